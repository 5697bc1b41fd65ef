"""Cases of kind `interface`: the default steps against the engine's own small steps, where media meet.

There is no independent reference for these: what is judged is whether the default steps are short enough
beside density jumps, not the cross sections. The dose of small steps is `reference.npz`. Where the case's
folder has none a full run computes it, and `--record` keeps it.
"""

from __future__ import annotations

from functools import partial

from phantoms.errors import InputError
from validation.cases import figures
from validation.cases.case import Case, read_physics
from validation.cases.judge import judge, pair_doses
from validation.cases.reference import REFERENCE
from validation.cases.stored import load_dose, save_dose
from validation.cases.sums import Histories, beam_sums
from validation.cases.tank import read_beam, read_phantom
from validation.cases.verdict import Options, Verdict

ORACLE_SEED = 2  # the default steps' is 1: two doses of the same random numbers would share their noise


def run(case: Case, options: Options) -> Verdict:
    """Simulate the case with default steps, and with small ones where they are not stored."""
    table = case.table()
    physics = read_physics(table)
    phantom = read_phantom(table.table("phantom"))
    beam = read_beam(table.table("beam"))
    wanted = Histories.read(table.table("histories"))
    entry = table.table("small_steps")
    small, oracle_wanted = read_physics(entry, physics), Histories.read(entry.table("histories"))
    entry.finish()
    table.finish()
    area = (beam.x2 - beam.x1) * (beam.y2 - beam.y1)
    path, oracle = case.folder / REFERENCE, None
    if not path.exists():
        if options.quick:
            missing = "it has no stored dose of small steps: run it in full with --record"
            return Verdict(case.name, skipped=missing)
        oracle = beam_sums(
            options, f"{case.name}-small-steps", phantom, beam, small, oracle_wanted, ORACLE_SEED
        )
        path = path if options.record else options.out / case.name / REFERENCE
        path.parent.mkdir(parents=True, exist_ok=True)
        save_dose(path, area * oracle.mean, area * oracle.sigma, phantom.grid)
    reference, reference_sigma, grid = load_dose(path)
    if not grid.matches(phantom.grid):
        raise InputError(path, "has another grid than the phantom of case.toml", "remove it and run in full")
    sums = beam_sums(options, case.name, phantom, beam, physics, wanted)
    pair = pair_doses(
        phantom.grid, area * sums.mean, area * sums.sigma, reference, reference_sigma, sums.freedom
    )
    found = judge(pair, options)
    return Verdict(
        case.name,
        (*found.checks, *sums.checks()),
        physics,
        sums.histories * sums.batches,
        sums.cpu_seconds + (oracle.cpu_seconds if oracle else 0.0),
        {**found.facts, "small_steps": vars(small)},
        partial(figures.draw_pair, title=case.title, found=found),
    )

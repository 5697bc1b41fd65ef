"""Cases of kind `interface`: the default steps against the engine's own small steps, where media meet.

There is no independent reference for these: what is judged is whether the default steps are short enough
beside density jumps, not the cross sections. The dose of small steps is `reference.npz`. Where the case's
folder has none a full run computes it, and `--record` keeps it.
"""

from __future__ import annotations

from dataclasses import replace

from phantoms.files import replacing
from validation.engine.case import Case, read_physics
from validation.engine.reference import REFERENCE, compare, load_reference
from validation.engine.stored import save_dose
from validation.engine.sums import Histories, simulate_beam
from validation.engine.tank import read_beam, read_phantom
from validation.engine.verdict import Options, Verdict

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
    path, small_seconds = case.folder / REFERENCE, 0.0
    if not path.exists():
        if options.quick:
            missing = "it has no stored dose of small steps: run it in full with --record"
            return Verdict(case.name, skipped=missing)
        oracle = simulate_beam(
            options, f"{case.name}-small-steps", phantom, beam, small, oracle_wanted, ORACLE_SEED
        )
        small_seconds = oracle.cpu_seconds
        path = path if options.record else options.out / case.name / REFERENCE
        with replacing(path, private=False, parents=True) as partial:
            save_dose(partial, oracle.dose, oracle.sigma, phantom.grid)
    reference = load_reference(path, phantom.grid)
    simulated = simulate_beam(options, case.name, phantom, beam, physics, wanted)
    verdict = compare(case, options, physics, phantom.grid, simulated, reference)
    return replace(
        verdict,
        cpu_seconds=verdict.cpu_seconds + small_seconds,
        facts={**verdict.facts, "small_steps": vars(small)},
    )

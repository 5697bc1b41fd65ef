"""Cases of kind `reference`: a dose in a tank or slab against that of an independent code.

The source is a simple beam (dose in Gy cm2 per unit fluence at the surface), or a phase space of which the
reference used every particle, in its mirror images, equally often (Gy per original history): then the
file's latent noise is in both doses and cancels.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from mc.beam_dose import Account
from mc.config import Physics
from mc.run import PlacedBeam, Progress, StopRule, group_count, simulate
from mc.schema import Table
from mc.source.phase_space import open_phase_space
from mc.spread import REPEATS, Spread
from phantoms.errors import InputError
from phantoms.phantom import Phantom
from validation.cases import figures
from validation.cases.case import Case, read_physics
from validation.cases.judge import judge, pair_doses
from validation.cases.stored import load_dose
from validation.cases.sums import Histories, Store, account_checks, beam_sums, store_key
from validation.cases.tank import read_beam, read_phantom
from validation.cases.verdict import Check, Options, Verdict

REFERENCE = "reference.npz"


def run(case: Case, options: Options) -> Verdict:
    """Simulate the case and judge it."""
    table = case.table()
    physics = read_physics(table)
    phantom = read_phantom(table.table("phantom"))
    reference, reference_sigma, grid = load_dose(case.folder / REFERENCE)
    if not grid.matches(phantom.grid):
        raise InputError(case.folder / REFERENCE, "has another grid than the phantom of case.toml")
    shared = "phase_space" in table
    if shared:
        entry = table.table("phase_space")
        path = case.folder / entry.text("path")
        if not path.with_name(f"{path.name}.IAEAheader").exists():
            return Verdict(case.name, skipped=f"its phase space {path.name} is not beside the checkout")
        dose, sigma, checks, histories, cpu = _phase_space(case, options, phantom, entry, path, physics)
        table.finish()
    else:
        beam = read_beam(table.table("beam"))
        wanted = Histories.read(table.table("histories"))
        table.finish()
        sums = beam_sums(options, case.name, phantom, beam, physics, wanted)
        area = (beam.x2 - beam.x1) * (beam.y2 - beam.y1)
        dose, sigma, checks = area * sums.mean, area * sums.sigma, sums.checks()
        histories, cpu = sums.histories * sums.batches, sums.cpu_seconds
    found = judge(pair_doses(phantom.grid, dose, sigma, reference, reference_sigma, shared), options)
    return Verdict(
        case.name,
        (*found.checks, *checks),
        physics,
        histories,
        cpu,
        found.facts,
        lambda path: figures.draw_pair(path, case.title, found),
    )


def _phase_space(
    case: Case, options: Options, phantom: Phantom, entry: Table, path: Path, physics: Physics
) -> tuple[np.ndarray, np.ndarray, tuple[Check, Check], float, float]:
    """Dose per original history and its transport sigma [Gy], checks, histories and CPU seconds.

    A round of `mc.run.simulate` uses every particle twice in each of its mirror images; rounds differ in
    their seeds.
    """
    mirror = entry.text("mirror", "")
    ssd = entry.number("ssd", above=0)
    rounds = int(entry.number("quick_rounds" if options.quick else "full_rounds", above=0))
    for key in ("quick_rounds", "full_rounds"):
        entry.number(key, above=0)
    entry.finish()
    space = open_phase_space(path)
    beam = PlacedBeam(1, space, np.eye(3), np.array([0.0, 0.0, -ssd]), 1.0, ("x" in mirror, "y" in mirror))
    groups = group_count([beam])
    per_round = REPEATS * beam.images * space.header.orig_histories
    key = store_key(phantom, physics, f"{path.name} {len(space)} {mirror} {ssd}")
    store = Store(options, case.name, key)
    spread, account, cpu, wall = Spread(phantom.density.size, groups), Account(), 0.0, 0.0
    if (held := store.load()) is not None:
        account = Account(**{name: held.pop(name) for name in asdict(account)})
        cpu, wall = held.pop("cpu_seconds"), held.pop("wall_seconds")
        vars(spread).update(held)
    progress = Progress()
    done = spread.batches // (REPEATS * groups)
    while done < rounds:
        started, batches = time.monotonic(), []

        def show(inner: Progress, done: int = done, wall: float = wall) -> None:
            progress.histories = done * per_round + inner.histories
            progress.share_done = (done + inner.share_done) / rounds
            progress.elapsed = wall + inner.elapsed
            options.on_progress(progress)

        def keep(batch: np.ndarray, kept: list[np.ndarray] = batches) -> bool:
            kept.append(batch.ravel().astype(np.float32))
            return False

        result = simulate(
            phantom,
            [beam],
            physics,
            StopRule(None, per_round),
            seed=1 + done,
            threads=options.threads,
            on_progress=show,
            on_batch=keep,
        )
        if result.quality["stopped_by"] == "interrupted":
            raise KeyboardInterrupt  # the rounds before this one are kept
        for batch in batches:
            spread.add(batch)
        quality = result.quality
        account.emitted += 1.0  # every round emits the same energy
        account.missing += 1.0 - quality["energy_balance"]
        account.lost += quality["lost_particles"]
        account.overflows += quality["stack_overflows"]
        cpu, wall, done = cpu + quality["cpu_seconds"], wall + time.monotonic() - started, done + 1
        store.save(vars(spread) | asdict(account) | {"cpu_seconds": cpu, "wall_seconds": wall})
    shape = phantom.grid.shape
    transport, _ = spread.variances()
    return (
        spread.mean().reshape(shape),
        np.sqrt(transport).reshape(shape),
        account_checks(account.balance, account.lost + account.overflows),
        done * per_round,
        cpu,
    )

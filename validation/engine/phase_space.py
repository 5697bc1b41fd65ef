"""Dose of a phase space that the reference used too, in rounds that can be broken off."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from mc.compute.beam_dose import Account
from mc.config import Physics
from mc.plan.delivery import fixed
from mc.run.batch import PlacedBeam, group_count
from mc.run.batch_statistics import REPEATS, BatchStatistics
from mc.run.options import RunOptions, StopRule
from mc.run.progress import Listener, Progress
from mc.run.simulate import simulate
from mc.source.phase_space import open_phase_space
from phantoms.phantom import Phantom
from phantoms.schema import Table
from validation.engine.sums import Simulated, Store, account_checks, store_key
from validation.engine.verdict import Options


@dataclass(frozen=True)
class SharedFile:
    """A phase space that the reference used too.

    Parameters
    ----------
    path : Path
        Without its suffix.
    mirror : str
        Axes about which mirror images are used.
    ssd : float
        [cm]
    quick_rounds, full_rounds : int
        A round uses every particle twice in each of its mirror images.
    """

    path: Path
    mirror: str
    ssd: float
    quick_rounds: int
    full_rounds: int

    @classmethod
    def read(cls, entry: Table, folder: Path) -> SharedFile:
        """Read the entry [phase_space]."""
        found = cls(
            folder / entry.text("path"),
            entry.text("mirror", ""),
            entry.number("ssd", above=0),
            *(int(entry.number(key, above=0)) for key in ("quick_rounds", "full_rounds")),
        )
        entry.finish()
        return found

    @property
    def is_here(self) -> bool:
        """Whether the file lies where it should."""
        return self.path.with_name(f"{self.path.name}.IAEAheader").exists()


def phase_space_dose(
    options: Options, name: str, phantom: Phantom, source: SharedFile, physics: Physics
) -> Simulated:
    """Dose per original history [Gy] of a phase space on the axis; rounds differ in their seeds."""
    space = open_phase_space(source.path)
    mirror = "x" in source.mirror, "y" in source.mirror
    beam = PlacedBeam(1, space, fixed(np.eye(3), np.array([0.0, 0.0, -source.ssd])), 1.0, mirror)
    rounds = source.quick_rounds if options.quick else source.full_rounds
    groups = group_count([beam])
    per_round = REPEATS * beam.images * space.header.orig_histories
    key = store_key(phantom, physics, f"{source.path.name} {len(space)} {mirror} {source.ssd}")
    store = Store(options, name, key)
    stats, account, cpu, wall = BatchStatistics(phantom.density.size, groups), Account(), 0.0, 0.0
    if (held := store.load()) is not None:
        account = Account(**{name: held.pop(name) for name in asdict(account)})
        cpu, wall = held.pop("cpu_seconds"), held.pop("wall_seconds")
        vars(stats).update(held)  # as it was saved
    progress = Progress()
    done = stats.batches // (REPEATS * groups)
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
            RunOptions(physics, StopRule(None, per_round), seed=1 + done, threads=options.threads),
            on_batch=keep,
            listener=Listener(progress=show),
        )
        report = result.report
        if report.interrupted:
            raise KeyboardInterrupt  # the rounds before this one are kept
        for batch in batches:
            stats.add(batch)
        account.emitted += 1.0  # every round emits the same energy
        account.missing += 1.0 - report.energy_balance
        account.lost += report.lost_particles
        account.overflows += report.stack_overflows
        cpu, wall, done = cpu + report.cpu_seconds, wall + time.monotonic() - started, done + 1
        store.save(vars(stats) | asdict(account) | {"cpu_seconds": cpu, "wall_seconds": wall})
    shape = phantom.grid.shape
    transport, _ = stats.variances()
    return Simulated(
        stats.mean().reshape(shape),
        np.sqrt(transport).reshape(shape),
        stats.batches / REPEATS,
        account_checks(account.balance, account.lost + account.overflows),
        done * per_round,
        cpu,
    )

"""From sources to a dose: batches, the two sigmas, stop rules, checkpoints.

`mc.run.batch_statistics` describes rounds, groups and batches, `mc.run.batch` how ranks share a batch.

The dose is bit-identical for any number of threads and ranks, and for any number of times a run was broken
off and resumed: random streams are named by history, each batch is tallied in integers, and batches are
folded in their fixed order.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import islice
from typing import Any

import numba
import numpy as np

from mc.backends import cpu
from mc.config import Physics
from mc.dose import Dose
from mc.geometry.voxels import without_margin
from mc.numerics.constants import MEV_PER_G_TO_GY
from mc.numerics.jit import source_hash
from mc.run import parallel
from mc.run.batch import BatchTransport, PlacedBeam
from mc.run.batch_statistics import REPEATS, BatchStatistics, batch_order, parts
from mc.run.checkpoint import Checkpoint, CheckpointRule
from mc.run.interrupt import INTERRUPTED, SUSPENDED, Interrupt, Suspended
from mc.source.weights import typical_weight
from mc.tables import tables_hash
from mc.transport.scoring import (
    EMITTED,
    ESCAPED,
    FLIGHTS,
    HISTORIES,
    LOST,
    MISSED,
    N_COUNTERS,
    OVERFLOWS,
    PARTICLES,
    QUANTUM,
    ROULETTE,
    STEPS,
)
from phantoms.errors import InputError
from phantoms.phantom import Phantom

NO_DOSE = "run", "no dose in the patient", "check isocentre, gantry angle, field and body outline"


@dataclass(frozen=True)
class StopRule:
    """When to stop: whichever comes first. `uncertainty` is a fraction, `max_time` in seconds."""

    uncertainty: float | None = 0.01
    histories: int | None = None
    max_time: float | None = None


@dataclass
class Progress:
    """How far a run has come; handed to the caller after every batch."""

    batches: int = 0
    passes: float = 0.0
    histories: int = 0
    uncertainty: float | None = None
    estimated_at: int = 0  # batches when the uncertainty was found
    share_done: float = 0.0
    elapsed: float = 0.0


@dataclass(frozen=True, eq=False)
class Simulation:
    """What came of a run: the dose, and how it came about (see `quality`)."""

    dose: Dose
    quality: dict = field(default_factory=dict)


class _RunStatistics:
    """What a run has come to over its batches so far."""

    def __init__(self, voxels: int, groups: int, water: bool) -> None:
        self.medium = BatchStatistics(voxels, groups)
        self.water = BatchStatistics(voxels, groups) if water else None
        self.counters = np.zeros(N_COUNTERS, object)  # Python integers, which have no end
        self.deposited = 0
        self.resumed = 0  # times it went on from a checkpoint
        self._elapsed, self._cpu = 0.0, 0.0  # of the parts before
        self._started, self._cpu_started = time.monotonic(), time.process_time()

    @property
    def elapsed(self) -> float:
        """Time of all parts of the run [s]."""
        return self._elapsed + time.monotonic() - self._started

    @property
    def cpu_seconds(self) -> float:
        """Processor time of this rank, and of rank 0 in the parts before [s]."""
        return self._cpu + time.process_time() - self._cpu_started

    def fold(
        self,
        transport: BatchTransport,
        phantom: Phantom,
        scored: np.ndarray | None,
        whole: np.ndarray | None,
    ) -> None:
        """Take in a complete batch, layer by layer, so that no copy of the grid is made.

        `whole` (nz, ny, nx) takes up its dose to medium [Gy], if that is asked for.
        """
        tally = transport.tally
        self.counters += transport.counters
        self.deposited += int(tally.medium.sum())
        layer = phantom.density[0].size
        to_gray_gram = transport.norm * MEV_PER_G_TO_GY
        for k, density in enumerate(phantom.density):
            to_gray = to_gray_gram / (density.ravel().astype(float) * phantom.grid.voxel_volume)
            if scored is not None:
                to_gray[~scored[k].ravel()] = 0.0
            part = slice(k * layer, (k + 1) * layer)
            batch = without_margin(tally.medium, phantom)[k].ravel() * QUANTUM * to_gray
            self.medium.add_part(part, batch)
            if whole is not None:
                whole[k] = batch.reshape(density.shape)
            if self.water is not None:
                batch = without_margin(tally.water, phantom)[k].ravel() * QUANTUM * to_gray
                self.water.add_part(part, batch)
        for stats in (self.medium, self.water):
            if stats is not None:
                stats.end_batch()

    def arrays(self, transport: BatchTransport) -> dict[str, np.ndarray]:
        """The sums and those of the batch in hand, for a checkpoint."""
        by_quantity = (
            {"medium": self.medium} if self.water is None else {"medium": self.medium, "water": self.water}
        )
        named = {
            f"{to}/{name}": array for to, stats in by_quantity.items() for name, array in stats.arrays.items()
        }
        return named | {
            "batch/medium": transport.tally.medium,
            "batch/water": transport.tally.water,
            "batch/counters": transport.counters,
            "batch/done": transport.done,
        }

    def numbers(self) -> dict[str, Any]:
        """What a checkpoint holds beside the arrays."""
        return {
            "batches": self.medium.batches,
            "counters": [int(count) for count in self.counters],
            "deposited": self.deposited,
            "resumed": self.resumed,
            "elapsed": self.elapsed,
            "cpu_seconds": self.cpu_seconds,
        }

    def resume_from(self, numbers: dict[str, Any]) -> None:
        """Take over the numbers of a checkpoint, whose arrays are in place already."""
        for stats in (self.medium, self.water):
            if stats is not None:
                stats.batches = numbers["batches"]
        self.counters[:] = numbers["counters"]
        self.deposited, self.resumed = numbers["deposited"], numbers["resumed"] + 1
        self._elapsed, self._cpu = numbers["elapsed"], numbers["cpu_seconds"]


def simulate(
    phantom: Phantom,
    beams: Sequence[PlacedBeam],
    physics: Physics,
    stop: StopRule,
    *,
    scored: np.ndarray | None = None,
    water: bool = False,
    seed: int = 1,
    threads: int | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
    on_batch: Callable[[np.ndarray], bool] | None = None,
    checkpoint: CheckpointRule | None = None,
    world: parallel.World | None = None,
) -> Simulation:
    """Transport beams through a phantom.

    Parameters
    ----------
    phantom : Phantom
    beams : sequence of PlacedBeam
    physics : Physics
    stop : StopRule
        Ctrl-C stops too, and keeps what is done. Time counts from the beginning, over all parts of a run.
    scored : (nz, ny, nx) bool, optional
        Where dose is kept; elsewhere (the air around the patient) it is 0 in the result.
    water : bool
        Whether dose to water is scored too; stop rules and balance speak of dose to medium all the same.
    seed : int
        Names the random streams.
    threads : int, optional
        All cores if not given.
    on_progress : callable
        Called after every batch.
    on_batch : callable, optional
        Called with the dose of every batch, (nz, ny, nx) [Gy], in the order of
        `mc.run.batch_statistics.batch_order`; if it returns True the run stops. The next batch overwrites
        the array.
    checkpoint : CheckpointRule, optional
        Where the run keeps its checkpoints, and goes on from if one lies there; whoever has saved the result
        removes it. It cannot bring back what `on_batch` was told.
    world : World, optional
        The MPI ranks; found if not given.

    Returns
    -------
    Simulation
        The same on every rank.

    Raises
    ------
    InputError
        If there is no dose in the patient, the run was stopped before its first two batches, or the
        checkpoint is of another run.
    Suspended
        On SIGTERM or SIGUSR1, on all ranks, once the checkpoint is written.
    """
    world = world or parallel.world()
    used_threads = cpu.set_threads(threads)
    transport = BatchTransport(phantom, beams, physics, water=water, seed=seed, world=world)
    groups, images = transport.groups, transport.images
    per_pass = images * sum(beam.phase_space.header.orig_histories for beam in beams)
    whole = None if on_batch is None else np.empty(phantom.grid.shape)

    totals = _RunStatistics(phantom.density.size, groups, water)
    stats, counters = totals.medium, totals.counters
    progress, reason = Progress(), ""
    kept = None
    if checkpoint is not None:
        if on_batch is not None:
            raise ValueError("a checkpoint cannot bring back what on_batch was told")
        key = _key(phantom, beams, physics, scored, water, seed, transport) if world.rank == 0 else {}
        kept = Checkpoint(checkpoint, key, totals.arrays(transport), world)
        _resume(kept, checkpoint, totals, transport, progress, per_pass, world)

    with Interrupt() as interrupt:
        for replica, group in islice(batch_order(groups), stats.batches, None):
            while not reason and not transport.round(replica, group, lambda: bool(interrupt.requested)):
                reason = _synchronise(interrupt, kept, totals, transport, world)
            if reason:
                break
            transport.collect()
            totals.fold(transport, phantom, scored, whole)
            transport.reset()
            enough = on_batch is not None and on_batch(whole)
            # in the first round an estimate now and then, for the time left only
            first_round = stats.batches < REPEATS * groups
            if stats.at_end_of_round or (first_round and stats.batches % 8 == 0):
                progress.uncertainty, progress.estimated_at = _uncertainty(stats), stats.batches
            _report(progress, stats, per_pass, world.broadcast(totals.elapsed), stop)
            on_progress(progress)
            if stats.at_end_of_round and not stats.sum.any():
                raise InputError(*NO_DOSE)
            reason = "enough" if enough else _reason_to_stop(progress, stop, stats)
            # Processors differ in the last bit of a logarithm: one rank decides for all.
            reason = world.broadcast(reason) or _synchronise(interrupt, kept, totals, transport, world)
            if reason:
                break

    if stats.batches < 2:
        raise InputError("run", f"stopped ({reason}) before there was a dose", "give it more time")
    if not stats.sum.any():
        raise InputError(*NO_DOSE)
    batches, kept = stats.batches, None
    transport.free_memory()  # sums and results are all that is held from here on
    dose, latent = _dose(phantom, stats, beams)
    in_water = {}
    if totals.water is not None:
        to_water, latent_in_water = _dose(phantom, totals.water, beams)
        dose = replace(dose, to_water=to_water)
        in_water = {
            "transport_uncertainty_in_water": to_water.relative_uncertainty(),
            "latent_uncertainty_in_water": latent_in_water,
        }
    quality = {
        "stopped_by": reason,
        "passes": batches / groups,
        "groups": groups,
        "histories": round(per_pass * batches / groups),
        "recorded_histories": int(counters[HISTORIES]),
        "particles": int(counters[PARTICLES]),
        "phase_space_reuse": images * batches / groups,
        "transport_uncertainty": dose.relative_uncertainty(),
        "latent_uncertainty": latent,
        **in_water,
        "energy_balance": (totals.deposited + int(counters[ESCAPED] + counters[ROULETTE]))
        / max(1, int(counters[EMITTED])),
        "missed_energy_share": int(counters[MISSED]) / max(1, int(counters[EMITTED] + counters[MISSED])),
        "lost_particles": int(counters[LOST]),
        "stack_overflows": int(counters[OVERFLOWS]),
        "electron_steps": int(counters[STEPS]),
        "photon_flights": int(counters[FLIGHTS]),
        "seed": seed,
        "threads": used_threads,
        "ranks": world.size,
        "resumed": totals.resumed,
        "wall_seconds": totals.elapsed,
        "cpu_seconds": totals.cpu_seconds,
        "tables_sha256": tables_hash(phantom.materials, physics),
    }
    return Simulation(dose, quality)


def _key(
    phantom: Phantom,
    beams: Sequence[PlacedBeam],
    physics: Physics,
    scored: np.ndarray | None,
    water: bool,
    seed: int,
    transport: BatchTransport,
) -> dict[str, str]:
    """All that the dose depends on, for `mc.run.checkpoint`; stop rules may change when a run goes on."""
    patient = sha256(repr((phantom.grid, phantom.materials)).encode())
    patient.update(phantom.density)
    patient.update(phantom.material)
    patient.update(b"all" if scored is None else np.packbits(scored))
    aimed = sha256()
    for beam in beams:
        facts = beam.number, beam.weight, beam.mirror, beam.target_z, beam.rotate
        aimed.update(repr((*facts, beam.through and beam.through.collimators)).encode())
        for part in beam.delivery:
            aimed.update(np.ascontiguousarray(part, np.float64))
    files = sha256("".join(beam.phase_space.sha256 for beam in beams).encode())
    return {
        "patient or voxel size": patient.hexdigest(),
        "beams, their control points, weight or calibration": aimed.hexdigest(),
        "phase spaces": files.hexdigest(),
        "physics options": repr(physics),
        "cross sections": tables_hash(phantom.materials, physics),
        "version of mcverify": f"{source_hash()}, numba {numba.__version__}",
        "seed": str(seed),
        "dose to water": str(water),
        "batches": repr((transport.groups, transport.images, len(transport.done))),
    }


def _resume(
    kept: Checkpoint,
    rule: CheckpointRule,
    totals: _RunStatistics,
    transport: BatchTransport,
    progress: Progress,
    per_pass: int,
    world: parallel.World,
) -> None:
    """Begin where the checkpoint ends, if there is one."""
    numbers = kept.load()
    if numbers is None:
        return
    totals.resume_from(numbers)
    transport.hold_on_root()
    stats = totals.medium
    if stats.batches >= 2 and stats.sum.any():
        progress.uncertainty, progress.estimated_at = _uncertainty(stats), stats.batches
    if world.rank == 0:
        share = stats.batches + transport.done.mean()
        histories = per_pass * share / stats.groups
        rule.on_message(f"going on from {rule.path}, at {histories:.3g} histories")


def _synchronise(
    interrupt: Interrupt,
    kept: Checkpoint | None,
    totals: _RunStatistics,
    transport: BatchTransport,
    world: parallel.World,
) -> str:
    """Let the ranks agree on whether one was told to stop, and write the checkpoint that is due.

    Returns the reason to stop, or nothing.
    """
    asked = interrupt.requested
    flags = [asked == INTERRUPTED, asked == SUSPENDED, kept is not None and world.rank == 0 and kept.due]
    interrupted, suspended, due = world.sum_to_all(np.array(flags, np.int64)) > 0
    if kept is not None and (interrupted or suspended or due):
        transport.collect()
        kept.save(totals.numbers(), must=bool(suspended))
        transport.hold_on_root()
    if suspended:
        raise Suspended(on_all_ranks=True)
    return INTERRUPTED if interrupted else ""


def _uncertainty(stats: BatchStatistics, above: float = 0.5) -> float:
    """Rms relative transport sigma of the voxels above a share of the maximum."""
    limit = above * (stats.sum.max() * (stats.groups / stats.batches))
    squares = []
    for part in parts(stats.sum.size):
        mean = stats.mean(part)
        high = mean > limit
        if high.any():
            squares.append(stats.variances(part)[0][high] / mean[high] ** 2)
    if not squares:
        return np.inf
    return float(np.sqrt(np.mean(np.concatenate(squares))))


def _report(
    progress: Progress, stats: BatchStatistics, per_pass: int, elapsed: float, stop: StopRule
) -> None:
    """Bring the progress up to date; its share is that of the stop rule nearest to its end."""
    progress.batches = stats.batches
    progress.passes = stats.batches / stats.groups
    progress.histories = round(per_pass * progress.passes)
    progress.elapsed = elapsed
    shares = [0.0]
    if stop.histories:
        shares.append(progress.histories / stop.histories)
    if stop.max_time:
        shares.append(elapsed / stop.max_time)
    if stop.uncertainty and progress.uncertainty:
        # variance falls as 1/batches since it was last computed
        shares.append((stop.uncertainty / progress.uncertainty) ** 2 * stats.batches / progress.estimated_at)
    progress.share_done = min(1.0, max(shares))


def _reason_to_stop(progress: Progress, stop: StopRule, stats: BatchStatistics) -> str:
    if stats.at_end_of_round and stop.uncertainty and progress.uncertainty <= stop.uncertainty:
        return "uncertainty"
    if stop.histories and progress.histories >= stop.histories and stats.batches >= 2:
        return "histories"
    if stop.max_time and progress.elapsed >= stop.max_time and stats.batches >= 2:
        return "time"
    return ""


def _dose(phantom: Phantom, stats: BatchStatistics, beams: Sequence[PlacedBeam]) -> tuple[Dose, float]:
    """Mean and sigmas as a Dose, and the rms relative latent sigma above half the maximum.

    A voxel's latent variance is a small difference of noisy numbers, often below 0. It is clipped in the
    map, but only after averaging in the rms, which clipping would bias upwards.
    """
    mean, transport, latent = stats.consume()
    relative = np.nan
    if latent is None:
        latent = np.full_like(mean, np.nan)
    else:
        counted = count_variance(beams)
        high = mean > 0.5 * mean.max()
        relative = float(np.sqrt(max(0.0, np.mean(latent[high] / mean[high] ** 2)) + counted))
        for part in parts(mean.size):
            latent[part] = np.sqrt(np.maximum(latent[part], 0.0) + mean[part] ** 2 * counted)
    shape = phantom.grid.shape
    sigmas = np.sqrt(transport, out=transport).reshape(shape), latent.reshape(shape)
    stated = {"latent_uncertainty": relative if np.isfinite(relative) else None}
    return Dose(phantom.grid, mean.reshape(shape), *sigmas, stated), relative


def count_variance(beams: Sequence[PlacedBeam]) -> float:
    """Relative variance from the random number of histories that left particles in the files.

    Of N original histories a share p is recorded: binomial, relative variance (1 - p)/(N p). Beams that
    share a file vary together; files count by the particles they send in.
    """
    files: dict = {}
    for beam in beams:
        space = beam.phase_space
        recorded, original = space.recorded, space.header.orig_histories
        variance = max(0.0, 1.0 / recorded - 1.0 / original)
        sent = beam.weight / original * typical_weight(space) * len(space)
        files[space.data_path] = (files.get(space.data_path, (0.0, 0.0))[0] + sent, variance)
    total = sum(sent for sent, _ in files.values())
    return sum((sent / total) ** 2 * variance for sent, variance in files.values())

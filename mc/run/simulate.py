"""From sources to a dose: batches, transport and latent sigma, stop rules, checkpoints.

`mc.run.batch_statistics` describes rounds, groups and batches, `mc.run.batch` how ranks share a batch.

The dose is bit-identical for any number of threads and ranks, and for any number of interruptions and
resumptions: random streams are named by history, each batch is tallied in integers, and batches are added in
a fixed order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import islice

import numba
import numpy as np

from mc.backends import cpu
from mc.dose import Dose
from mc.run.batch import BatchTransport, PlacedBeam
from mc.run.batch_statistics import REPEATS, BatchStatistics, batch_order, parts
from mc.run.checkpoint import Checkpoint
from mc.run.interrupt import INTERRUPTED, SUSPENDED, Interrupt, Suspended
from mc.run.options import RunOptions, StopRule
from mc.run.progress import Listener, Progress
from mc.run.report import RunReport
from mc.run.subsets import SubsetSums
from mc.run.totals import RunTotals
from mc.source.weights import typical_weight
from mc.tables import tables_hash
from mc.transport.scoring import (
    EMITTED,
    ESCAPED,
    FLIGHTS,
    HISTORIES,
    LOST,
    MISSED,
    OVERFLOWS,
    PARTICLES,
    ROULETTE,
    STEPS,
)
from phantoms.errors import InputError
from phantoms.kernel_cache import source_hash
from phantoms.phantom import Phantom

NO_DOSE = "run", "no dose in the patient", "check isocentre, gantry angle, field and body outline"
ESTIMATE_EVERY = 8  # batches between estimates of the uncertainty in the first round


@dataclass(frozen=True, eq=False)
class Simulation:
    """Result of a run.

    Parameters
    ----------
    dose : Dose
        Dose to medium, with dose to water beside it where that was scored.
    report : RunReport
    """

    dose: Dose
    report: RunReport


def simulate(
    phantom: Phantom,
    beams: Sequence[PlacedBeam],
    options: RunOptions = RunOptions(),
    *,
    scored: np.ndarray | None = None,
    on_batch: Callable[[np.ndarray], bool] | None = None,
    listener: Listener = Listener(),
) -> Simulation:
    """Transport beams through a phantom.

    Ctrl-C ends the run too and keeps what has been computed. If `options.checkpoint` names an existing
    checkpoint, the run is resumed from it; the caller removes it once the result is saved.

    Parameters
    ----------
    phantom : Phantom
    beams : sequence of PlacedBeam
    options : RunOptions
    scored : (nz, ny, nx) bool, optional
        Voxels whose dose is kept; in the others, such as the air around the patient, the result is 0.
    on_batch : callable, optional
        Called with the dose to medium of every batch, (nz, ny, nx) [Gy], in the order of
        `mc.run.batch_statistics.batch_order`; the run ends if it returns True. The array is overwritten by
        the next batch. It cannot be combined with a checkpoint, which does not hold the doses of single
        batches.
    listener : Listener

    Returns
    -------
    Simulation
        The same on every rank.

    Raises
    ------
    InputError
        If there is no dose in the patient, the run ended before its second batch, or the checkpoint is of
        another run.
    Suspended
        On SIGTERM or SIGUSR1, on all ranks, once the checkpoint is written.
    """
    if options.checkpoint is not None and on_batch is not None:
        raise ValueError("a checkpoint does not hold the doses of single batches")
    run = _Run(phantom, beams, options, scored, listener)
    if options.checkpoint is not None:
        run.open_checkpoint()
    reason = run.transport_batches(on_batch)
    return run.result(reason)


class _Run:
    """A run in progress on this rank; parameters are those of `simulate`."""

    def __init__(
        self,
        phantom: Phantom,
        beams: Sequence[PlacedBeam],
        options: RunOptions,
        scored: np.ndarray | None,
        listener: Listener,
    ) -> None:
        self._phantom, self._beams, self._options = phantom, beams, options
        self._scored, self._listener, self._world = scored, listener, options.ranks
        self._threads = cpu.set_threads(options.threads)
        self._transport = BatchTransport(phantom, beams, options)
        self._totals = RunTotals(phantom.grid, self._transport.groups, options.dose_to_water, scored)
        self._histories_per_pass = self._transport.images * sum(
            beam.phase_space.header.orig_histories for beam in beams
        )
        self._progress = Progress()
        self._checkpoint: Checkpoint | None = None

    def open_checkpoint(self) -> None:
        """Prepare the checkpoint, and resume the run from it if there is one."""
        rule, transport, totals, world = self._options.checkpoint, self._transport, self._totals, self._world
        key = self._key() if world.rank == 0 else {}
        self._checkpoint = Checkpoint(rule, key, totals.arrays(transport), world, self._listener.message)
        numbers = self._checkpoint.load()
        if numbers is None:
            return
        totals.resume_from(numbers)
        transport.hold_on_root()
        stats = totals.medium
        if stats.batches >= 2 and stats.sum.any():
            self._estimate_uncertainty()
        if world.rank == 0:
            batches = stats.batches + transport.done.mean()
            histories = self._histories_per_pass * batches / stats.groups
            self._listener.message(f"resumed from {rule.path} at {histories:.3g} histories")

    def transport_batches(self, on_batch: Callable[[np.ndarray], bool] | None) -> str:
        """Transport batch after batch; returns the reason why the run ends."""
        transport, totals, progress, world = self._transport, self._totals, self._progress, self._world
        stats, groups, reason = totals.medium, transport.groups, ""
        batch_dose = None if on_batch is None else np.empty(self._phantom.grid.shape)
        with Interrupt() as interrupt:
            if stats.batches:  # resumed, perhaps after its transport had ended
                self._update_progress(world.broadcast(totals.elapsed))
                reason = world.broadcast(_reason_to_stop(progress, self._options.stop, stats))
                if reason:
                    return reason
            for replica, group in islice(batch_order(groups), stats.batches, None):
                while not reason and not transport.round(replica, group, lambda: bool(interrupt.requested)):
                    reason = self._synchronise(interrupt)
                if reason:
                    break
                transport.collect()
                totals.add(transport, self._phantom, group, batch_dose)
                transport.reset()
                enough = on_batch is not None and on_batch(batch_dose)
                # estimates within the first round serve the display of the remaining time only
                first_round = stats.batches < REPEATS * groups
                if stats.at_end_of_round or (first_round and stats.batches % ESTIMATE_EVERY == 0):
                    self._estimate_uncertainty()
                self._update_progress(world.broadcast(totals.elapsed))
                self._listener.progress(progress)
                if stats.at_end_of_round and not stats.sum.any():
                    raise InputError(*NO_DOSE)
                reason = "enough" if enough else _reason_to_stop(progress, self._options.stop, stats)
                # Processors differ in the last bit of a logarithm: one rank decides for all.
                reason = world.broadcast(reason)
                # What comes after the transport may be broken off, too: a last checkpoint.
                reason = self._synchronise(interrupt, ended=bool(reason)) or reason
                if reason:
                    break
        return reason

    def result(self, reason: str) -> Simulation:
        """Dose and report of a run that ended for `reason`; releases the memory of the transport."""
        totals, beams = self._totals, self._beams
        stats, water = totals.medium, totals.water
        if stats.batches < 2:
            raise InputError("run", f"stopped ({reason}) before there was a dose", "give it more time")
        if not stats.sum.any():
            raise InputError(*NO_DOSE)
        self._checkpoint = None
        self._transport.free_memory()  # from here on only the sums and the results are held
        dose, latent = _dose(self._phantom, stats, totals.medium_subsets, beams)
        sigmas = {"transport_uncertainty": dose.relative_uncertainty(), "latent_uncertainty": latent}
        if water is not None:
            to_water, latent_in_water = _dose(self._phantom, water, totals.water_subsets, beams)
            dose = replace(dose, to_water=to_water)
            sigmas["transport_uncertainty_in_water"] = to_water.relative_uncertainty()
            sigmas["latent_uncertainty_in_water"] = latent_in_water
        return Simulation(dose, self._report(reason, **sigmas))

    def _report(self, reason: str, **sigmas: float) -> RunReport:
        """The report of a run that ended for `reason`, with the relative `sigmas` of its doses."""
        totals, transport, options = self._totals, self._transport, self._options
        counters = [int(count) for count in totals.counters]
        emitted, missed = counters[EMITTED], counters[MISSED]
        passes = totals.medium.batches / totals.medium.groups
        return RunReport(
            **sigmas,
            stopped_by=reason,
            passes=passes,
            groups=transport.groups,
            histories=round(self._histories_per_pass * passes),
            recorded_histories=counters[HISTORIES],
            particles=counters[PARTICLES],
            phase_space_reuse=transport.images * passes,
            energy_balance=(totals.deposited + counters[ESCAPED] + counters[ROULETTE]) / max(1, emitted),
            missed_energy_share=missed / max(1, emitted + missed),
            lost_particles=counters[LOST],
            stack_overflows=counters[OVERFLOWS],
            electron_steps=counters[STEPS],
            photon_flights=counters[FLIGHTS],
            seed=options.seed,
            threads=self._threads,
            ranks=self._world.size,
            resumed=totals.resumed,
            wall_seconds=totals.elapsed,
            cpu_seconds=totals.cpu_seconds,
            tables_sha256=tables_hash(self._phantom.materials, options.physics),
        )

    def _synchronise(self, interrupt: Interrupt, ended: bool = False) -> str:
        """Let the ranks agree on whether to stop, and write the checkpoint if it is due or the run `ended`.

        Returns the reason to stop, or an empty string; of a run that has ended always an empty one.
        """
        asked, checkpoint = interrupt.requested, self._checkpoint
        due = checkpoint is not None and self._world.rank == 0 and (ended or checkpoint.due)
        flags = np.array([asked == INTERRUPTED, asked == SUSPENDED, due], np.int64)
        interrupted, suspended, due = self._world.sum_to_all(flags) > 0
        if checkpoint is not None and (interrupted or suspended or due):
            self._transport.collect()
            checkpoint.save(self._totals.numbers(), must=bool(suspended))
            self._transport.hold_on_root()
        if suspended:
            raise Suspended(on_all_ranks=True)
        return INTERRUPTED if interrupted and not ended else ""

    def _estimate_uncertainty(self) -> None:
        stats = self._totals.medium
        self._progress.uncertainty = stats.relative_uncertainty()
        self._progress.estimated_at = stats.batches

    def _update_progress(self, elapsed: float) -> None:
        """Update `progress`; its share is that of the criterion nearest to being met."""
        progress, stop, stats = self._progress, self._options.stop, self._totals.medium
        progress.batches = stats.batches
        progress.passes = stats.batches / stats.groups
        progress.histories = round(self._histories_per_pass * progress.passes)
        progress.elapsed = elapsed
        shares = [0.0]
        if stop.histories:
            shares.append(progress.histories / stop.histories)
        if stop.max_time:
            shares.append(elapsed / stop.max_time)
        if stop.uncertainty and progress.uncertainty:
            # the variance falls as 1 / batches, and is judged at the end of a round
            needed = progress.estimated_at * (progress.uncertainty / stop.uncertainty) ** 2
            rounds = math.ceil(max(needed, stats.batches) / (REPEATS * stats.groups))
            shares.append(stats.batches / (rounds * REPEATS * stats.groups))
        progress.share_done = min(1.0, max(shares))

    def _key(self) -> dict[str, str]:
        """All that the dose depends on, for `mc.run.checkpoint`; the stop rule may change on resumption."""
        phantom, options, transport = self._phantom, self._options, self._transport
        patient = sha256(repr((phantom.grid, phantom.materials)).encode())
        patient.update(phantom.density)
        patient.update(phantom.material)
        patient.update(b"all" if self._scored is None else np.packbits(self._scored))
        aimed = sha256()
        for beam in self._beams:
            facts = beam.number, beam.weight, beam.mirror, beam.target_z, beam.rotate
            aimed.update(repr((*facts, beam.through and beam.through.collimators)).encode())
            for part in beam.delivery:
                aimed.update(np.ascontiguousarray(part, np.float64))
        files = sha256("".join(beam.phase_space.sha256 for beam in self._beams).encode())
        return {
            "patient or voxel size": patient.hexdigest(),
            "beams, their control points, weight or calibration": aimed.hexdigest(),
            "phase spaces": files.hexdigest(),
            "physics options": repr(options.physics),
            "cross sections": tables_hash(phantom.materials, options.physics),
            "version of mcverify": f"{source_hash()}, numba {numba.__version__}",
            "seed": str(options.seed),
            "dose to water": str(options.dose_to_water),
            "batches": repr((transport.groups, transport.images, len(transport.done))),
        }


def _reason_to_stop(progress: Progress, stop: StopRule, stats: BatchStatistics) -> str:
    if stats.at_end_of_round and stop.uncertainty and progress.uncertainty <= stop.uncertainty:
        return "uncertainty"
    if stop.histories and progress.histories >= stop.histories and stats.batches >= 2:
        return "histories"
    if stop.max_time and progress.elapsed >= stop.max_time and stats.batches >= 2:
        return "time"
    return ""


def _dose(
    phantom: Phantom, stats: BatchStatistics, subsets: SubsetSums, beams: Sequence[PlacedBeam]
) -> tuple[Dose, float]:
    """Mean and sigmas as a Dose, and the rms relative latent sigma above half the maximum.

    A voxel's latent variance is a small difference of noisy numbers, often below 0. It is clipped in the
    map, but only after averaging in the rms, which clipping would bias upwards.
    """
    counted = count_variance(beams)
    covariance = subsets.covariance(stats.batches_of_groups, math.sqrt(counted))
    mean, transport, latent = stats.consume()
    relative = np.nan
    if latent is None:
        latent = np.full_like(mean, np.nan)
    else:
        high = mean > 0.5 * mean.max()
        relative = float(np.sqrt(max(0.0, np.mean(latent[high] / mean[high] ** 2)) + counted))
        for part in parts(mean.size):
            latent[part] = np.sqrt(np.maximum(latent[part], 0.0) + mean[part] ** 2 * counted)
    shape = phantom.grid.shape
    sigmas = np.sqrt(transport, out=transport).reshape(shape), latent.reshape(shape)
    stated = {"latent_uncertainty": relative if np.isfinite(relative) else None}
    return Dose(phantom.grid, mean.reshape(shape), *sigmas, stated, covariance=covariance), relative


def count_variance(beams: Sequence[PlacedBeam]) -> float:
    """Relative variance of the dose due to the random number of histories recorded in the phase spaces.

    A share p of the N original histories left particles in the file: binomial, relative variance
    (1 - p)/(N p). Beams that share a file vary together; files are weighted by the particles they contribute.
    """
    files: dict = {}
    for beam in beams:
        space = beam.phase_space
        recorded, original = space.recorded, space.header.orig_histories
        variance = max(0.0, 1.0 / recorded - 1.0 / original)
        contributed = beam.weight / original * typical_weight(space) * len(space)
        files[space.data_path] = (files.get(space.data_path, (0.0, 0.0))[0] + contributed, variance)
    total = sum(contributed for contributed, _ in files.values())
    return sum((contributed / total) ** 2 * variance for contributed, variance in files.values())

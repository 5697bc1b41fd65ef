"""From sources to a dose: batches, the two sigmas, stop rules.

What a round, a group and a batch are is told in `mc.spread`.

The dose is bit-identical for any number of threads and ranks: random streams are named by history, each
batch is tallied in integers, and batches are folded in their fixed order.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from mc import parallel
from mc.backends import cpu
from mc.config import Physics
from mc.constants import MEV_PER_G_TO_GY
from mc.dose import Dose
from mc.geometry.voxels import build_voxels, without_rim
from mc.interrupt import Interrupt
from mc.source.phase_space import PhaseSpace
from mc.spread import REPEATS, Spread, batch_order
from mc.tables import build_tables, tables_hash
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

GROUPS = 16  # groups of a pass: enough for the spread between them, few enough to fold
LARGEST_BATCH = 500_000  # phase-space particles; larger files are cut into more groups
NO_DOSE = "run", "no dose in the patient", "check isocentre, gantry angle, field and body outline"
KEPT_PARTICLES = 8_000_000  # phase spaces up to this size stay in memory


@dataclass(frozen=True, eq=False)
class PlacedBeam:
    """A phase space aimed at the patient.

    Parameters
    ----------
    number : int
        Names the beam in the random streams and in messages.
    phase_space : PhaseSpace
    rotation, origin : (3, 3), (3,) float64
        From phase-space to patient coordinates, x, y, z [cm].
    weight : float
        Dose of the beam is `weight` times the dose per original history.
    mirror : (bool, bool)
        Axes x, y about which head and field are symmetric: a pass uses every mirror image of the file,
        which lowers its latent sigma.
    """

    number: int
    phase_space: PhaseSpace
    rotation: np.ndarray
    origin: np.ndarray
    weight: float
    mirror: tuple[bool, bool] = (False, False)

    @property
    def images(self) -> int:
        """Number of mirror images, the file itself included."""
        return 2 ** sum(self.mirror)

    def signs(self, image: int) -> np.ndarray:
        """Signs of x and y in a mirror image, (2,); beyond `images` they repeat."""
        signs = np.ones(2)
        for axis, mirrored in enumerate(self.mirror):
            if mirrored:
                signs[axis] = 1.0 - 2.0 * (image & 1)
                image >>= 1
        return signs


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
    known_at: int = 0  # batches when the uncertainty was found
    share_done: float = 0.0
    elapsed: float = 0.0


@dataclass(frozen=True, eq=False)
class Simulation:
    """What came of a run: the dose, and how it came about (see `quality`)."""

    dose: Dose
    quality: dict = field(default_factory=dict)


def group_count(beams: Sequence[PlacedBeam]) -> int:
    """Number of groups of histories that a pass is cut into."""
    largest = max(len(beam.phase_space) for beam in beams)
    return max(GROUPS, -(-largest // LARGEST_BATCH))


def _images(beams: Sequence[PlacedBeam]) -> int:
    return max(beam.images for beam in beams)


_tables = lru_cache(maxsize=2)(build_tables)  # runs often follow each other in the same materials


class _Records:
    """Groups of phase spaces as kernel arrays, kept in memory while they are small."""

    def __init__(self) -> None:
        self._kept: dict = {}

    def load(self, space: PhaseSpace, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """Histories `first` to `last` of a file: (n, 9) float32 particles, (histories + 1,) starts."""
        key = (space.data_path, first, last)
        if key in self._kept:
            return self._kept[key]
        starts = np.asarray(space.history_starts[first : last + 1])
        read = space.read(int(starts[0]), int(starts[-1]))
        columns = (read.kind - 1, read.energy, read.x, read.y, read.z, read.u, read.v, read.w, read.weight)
        loaded = np.stack(columns, axis=1).astype(np.float32), starts - starts[0]
        if len(space) <= KEPT_PARTICLES:
            self._kept[key] = loaded
        return loaded


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
    world: parallel.World | None = None,
) -> Simulation:
    """Transport beams through a phantom.

    Parameters
    ----------
    phantom : Phantom
    beams : sequence of PlacedBeam
    physics : Physics
    stop : StopRule
        Ctrl-C stops too, and keeps what is done.
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
        Called with the dose of every batch, (nz, ny, nx) [Gy], in the order of `mc.spread.batch_order`; if
        it returns True the run stops.
    world : World, optional
        The MPI ranks; found if not given.

    Returns
    -------
    Simulation
        The same on every rank.

    Raises
    ------
    InputError
        If there is no dose in the patient, or the run was stopped before its first two batches.
    """
    world = world or parallel.world()
    started, cpu_started = time.monotonic(), time.process_time()
    used_threads = cpu.set_threads(threads)
    tables = _tables(phantom.materials, physics)
    geometry = build_voxels(phantom, _rim(phantom, beams))
    cuts = cpu.cuts_of(physics)
    groups, images = group_count(beams), _images(beams)
    scales, norm = _scales(beams)
    per_pass = images * sum(beam.phase_space.header.orig_histories for beam in beams)

    mass = phantom.density.ravel().astype(float) * phantom.grid.voxel_volume
    to_gray = norm * MEV_PER_G_TO_GY / mass
    if scored is not None:
        to_gray = np.where(scored.ravel(), to_gray, 0.0)

    records, spread = _Records(), Spread(mass.size, groups)
    spread_in_water = Spread(mass.size, groups) if water else None
    tally = cpu.empty_tally(geometry, tables, cuts, water)
    rows = np.zeros((cpu.CHUNKS, N_COUNTERS), np.int64)
    counters = np.zeros(N_COUNTERS, object)  # Python integers, which have no end
    deposited = 0
    progress, reason = Progress(), ""
    with Interrupt() as interrupt:
        for replica, group in batch_order(groups):
            tally.medium[:] = 0
            tally.water[:] = 0
            rows[:] = 0
            # All mirror images of a history belong to one batch: they are not independent.
            for image in range(images):
                for beam, scale in zip(beams, scales, strict=True):
                    _run_group(
                        beam, scale, group, groups, image, replica * images + image,
                        seed, geometry, tables, cuts, tally, rows, records, world,
                    )  # fmt: skip
            world.sum_in_place(tally.medium)
            world.sum_in_place(tally.water)
            batch_counters = rows.sum(axis=0)
            world.sum_in_place(batch_counters)
            counters += batch_counters
            deposited += int(tally.medium.sum())
            batch = without_rim(tally.medium, phantom).ravel() * QUANTUM * to_gray
            spread.add(batch)
            if spread_in_water is not None:
                spread_in_water.add(without_rim(tally.water, phantom).ravel() * QUANTUM * to_gray)
            enough = on_batch is not None and on_batch(batch.reshape(phantom.grid.shape))
            # in the first round an estimate now and then, for the time left only
            first_round = spread.batches < REPEATS * groups
            if spread.at_end_of_round or (first_round and spread.batches % 8 == 0):
                progress.uncertainty, progress.known_at = _uncertainty(spread), spread.batches
            elapsed = world.broadcast(time.monotonic() - started)
            _report(progress, spread, per_pass, elapsed, stop)
            on_progress(progress)
            if spread.at_end_of_round and not spread.sum.any():
                raise InputError(*NO_DOSE)
            reason = "enough" if enough else _reason_to_stop(progress, stop, spread)
            # Processors differ in the last bit of a logarithm: one rank decides for all.
            reason = world.broadcast(reason)
            if world.sum_to_all(np.array([interrupt.requested], np.int64))[0]:
                reason = "interrupted"
            if reason:
                break

    if spread.batches < 2:
        raise InputError("run", f"stopped ({reason}) before there was a dose", "give it more time")
    if not spread.sum.any():
        raise InputError(*NO_DOSE)
    dose, latent = _dose(phantom, spread, beams)
    in_water = {}
    if spread_in_water is not None:
        to_water, latent_in_water = _dose(phantom, spread_in_water, beams)
        dose = replace(dose, to_water=to_water)
        in_water = {
            "transport_uncertainty_in_water": to_water.relative_uncertainty(),
            "latent_uncertainty_in_water": latent_in_water,
        }
    quality = {
        "stopped_by": reason,
        "passes": spread.batches / groups,
        "groups": groups,
        "histories": round(per_pass * spread.batches / groups),
        "recorded_histories": int(counters[HISTORIES]),
        "particles": int(counters[PARTICLES]),
        "phase_space_reuse": images * spread.batches / groups,
        "transport_uncertainty": dose.relative_uncertainty(),
        "latent_uncertainty": latent,
        **in_water,
        "energy_balance": (deposited + int(counters[ESCAPED] + counters[ROULETTE]))
        / max(1, int(counters[EMITTED])),
        "missed_energy_share": int(counters[MISSED]) / max(1, int(counters[EMITTED] + counters[MISSED])),
        "lost_particles": int(counters[LOST]),
        "stack_overflows": int(counters[OVERFLOWS]),
        "electron_steps": int(counters[STEPS]),
        "photon_flights": int(counters[FLIGHTS]),
        "seed": seed,
        "threads": used_threads,
        "ranks": world.size,
        "wall_seconds": time.monotonic() - started,
        "cpu_seconds": time.process_time() - cpu_started,
        "tables_sha256": tables_hash(phantom.materials, physics),
    }
    return Simulation(dose, quality)


def _rim(phantom: Phantom, beams: Sequence[PlacedBeam]) -> float:
    """How far the sources lie outside the grid along any axis [cm]: the rim of air must hold the way."""
    lower, upper = phantom.grid.lower[::-1], phantom.grid.upper[::-1]
    farthest = 0.0
    for beam in beams:
        some = beam.phase_space.read(0, min(1000, len(beam.phase_space)))
        centre = np.array([some.x.mean(), some.y.mean(), some.z.mean()])
        source = beam.origin + beam.rotation @ centre
        farthest = max(farthest, float(np.max(np.maximum(lower - source, source - upper))))
    return farthest


def _scales(beams: Sequence[PlacedBeam]) -> tuple[list[float], float]:
    """Factors on the particles' weights, about 1 at most, and what they were divided by.

    Weights near 1 leave the integer tally its full resolution.
    """
    uses = _images(beams)
    per_history = [beam.weight / (uses * beam.phase_space.header.orig_histories) for beam in beams]
    typical = [
        scale * _typical_weight(beam.phase_space) for scale, beam in zip(per_history, beams, strict=True)
    ]
    norm = max(typical)
    return [scale / norm for scale in per_history], norm


def _run_group(
    beam, scale, group, groups, image, replica, seed, geometry, tables, cuts, tally, rows, records, world
) -> None:
    """Transport this rank's part of one group of one beam, in a mirror image."""
    recorded = len(beam.phase_space.history_starts) - 1
    first, last = group * recorded // groups, (group + 1) * recorded // groups
    mine = first + (last - first) * world.rank // world.size
    to = first + (last - first) * (world.rank + 1) // world.size
    if to > mine:
        particles, starts = records.load(beam.phase_space, mine, to)
        cpu.run_phase_space(
            particles, starts, mine, beam.rotation, beam.origin, beam.signs(image), scale, beam.number,
            replica, seed, geometry, tables, cuts, tally, rows,
        )  # fmt: skip


def _uncertainty(spread: Spread, above: float = 0.5) -> float:
    """Rms relative transport sigma of the voxels above a share of the maximum."""
    mean = spread.mean()
    high = mean > above * mean.max()
    if not high.any():
        return np.inf
    return float(np.sqrt(np.mean(spread.variances()[0][high] / mean[high] ** 2)))


def _report(progress: Progress, spread: Spread, per_pass: int, elapsed: float, stop: StopRule) -> None:
    """Bring the progress up to date; its share is that of the stop rule nearest to its end."""
    progress.batches = spread.batches
    progress.passes = spread.batches / spread.groups
    progress.histories = round(per_pass * progress.passes)
    progress.elapsed = elapsed
    shares = [0.0]
    if stop.histories:
        shares.append(progress.histories / stop.histories)
    if stop.max_time:
        shares.append(elapsed / stop.max_time)
    if stop.uncertainty and progress.uncertainty:
        # variance falls as 1/batches since it was last computed
        shares.append((stop.uncertainty / progress.uncertainty) ** 2 * spread.batches / progress.known_at)
    progress.share_done = min(1.0, max(shares))


def _reason_to_stop(progress: Progress, stop: StopRule, spread: Spread) -> str:
    if spread.at_end_of_round and stop.uncertainty and progress.uncertainty <= stop.uncertainty:
        return "uncertainty"
    if stop.histories and progress.histories >= stop.histories and spread.batches >= 2:
        return "histories"
    if stop.max_time and progress.elapsed >= stop.max_time and spread.batches >= 2:
        return "time"
    return ""


def _dose(phantom: Phantom, spread: Spread, beams: Sequence[PlacedBeam]) -> tuple[Dose, float]:
    """Mean and sigmas as a Dose, and the rms relative latent sigma above half the maximum.

    A voxel's latent variance is a small difference of noisy numbers, often below 0. It is clipped in the
    map, but only after averaging in the rms, which clipping would bias upwards.
    """
    mean = spread.mean()
    transport, latent = spread.variances()
    relative = np.nan
    if latent is None:
        latent_sigma = np.full_like(mean, np.nan)
    else:
        counted = count_variance(beams)
        high = mean > 0.5 * mean.max()
        relative = float(np.sqrt(max(0.0, np.mean(latent[high] / mean[high] ** 2)) + counted))
        latent_sigma = np.sqrt(np.maximum(latent, 0.0) + mean**2 * counted)
    shape = phantom.grid.shape
    sigmas = np.sqrt(transport).reshape(shape), latent_sigma.reshape(shape)
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
        recorded, original = len(space.history_starts) - 1, space.header.orig_histories
        variance = max(0.0, 1.0 / recorded - 1.0 / original)
        sent = beam.weight / original * _typical_weight(space) * len(space)
        files[space.data_path] = (files.get(space.data_path, (0.0, 0.0))[0] + sent, variance)
    total = sum(sent for sent, _ in files.values())
    return sum((sent / total) ** 2 * variance for sent, variance in files.values())


def _typical_weight(space: PhaseSpace) -> float:
    """Mean weight of the first particles of a file."""
    return float(np.mean(space.read(0, min(1000, len(space))).weight))

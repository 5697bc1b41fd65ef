"""One batch of a plan: beams in patient coordinates, divided into work units and transported by all ranks.

`mc.run.batch_statistics` describes which histories make a batch. A batch comprises every beam in every mirror
image; each of these is divided into equal work units of histories, the same for any number of ranks, so that
the list of completed units describes an incomplete batch (`mc.run.checkpoint`). `mc.run.sharing` distributes
the units over the ranks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from mc.backends import cpu
from mc.backends.tally import merge
from mc.config import Physics
from mc.geometry.voxels import build_voxels
from mc.machine.collimator_geometry import build_collimator, collimator_materials
from mc.machine.machine import Machine
from mc.plan.delivery import Delivery, positions
from mc.run.options import RunOptions
from mc.run.parallel import World
from mc.run.sharing import Sharing
from mc.source.phase_space import PhaseSpace, open_phase_space
from mc.source.weights import roulette_weight, typical_weight
from mc.tables import build_tables
from mc.transport.scoring import N_COUNTERS
from phantoms.phantom import Phantom

GROUPS = 16  # groups of a pass: enough for their variance, few enough that adding batches is cheap
MAX_BATCH_PARTICLES = 500_000  # of the phase space; larger files are divided into more groups
UNIT_PARTICLES = 4096  # phase-space particles of a work unit: about 0.1 s on one processor
MIN_UNIT_PARTICLES = 64  # below, the call of a kernel (0.1 ms) takes a noticeable share
UNITS_PER_BATCH = 16  # at least, so that small files can be distributed, too
KEPT_PARTICLES = 8_000_000  # phase spaces up to this size stay in memory

_tables = lru_cache(maxsize=4)(build_tables)  # successive runs often have the same materials


@dataclass(frozen=True, eq=False)
class PlacedBeam:
    """A phase space placed in patient coordinates.

    Parameters
    ----------
    number : int
        Identifies the beam in the random streams and in messages.
    phase_space : PhaseSpace
    delivery : Delivery
        Placement of the phase space in the patient, and its motion during irradiation.
    weight : float
        The dose of the beam is `weight` times its dose per original history.
    mirror : (bool, bool)
        Axes x, y about which head and field are symmetric: a pass uses every mirror image of the file,
        which reduces its latent sigma.
    target_z : float
        z of the target in the coordinates of the phase space [cm].
    rotate : bool
        Whether each use of a history is rotated about the beam axis by a random angle.
    through : Machine, optional
        The machine whose collimators the particles traverse; none for a phase space below the jaws.
    cone : float, optional
        Diameter of the mounted cone in the isocentre plane [cm].
    opening : (x1, x2, y1, y2), optional
        Rectangle that contains the opening of the collimators, or its part of interest, in the isocentre
        plane [cm].
    """

    number: int
    phase_space: PhaseSpace
    delivery: Delivery
    weight: float
    mirror: tuple[bool, bool] = (False, False)
    target_z: float = 0.0
    rotate: bool = False
    through: Machine | None = None
    cone: float | None = None
    opening: tuple[float, float, float, float] | None = None

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


@lru_cache(maxsize=16)
def collimation_of(machine: Machine, physics: Physics, cone: float | None = None) -> cpu.Collimation:
    """A machine's collimators with cross-section tables of their own; the patient's do not depend on them."""
    materials = collimator_materials(machine.collimators)
    followed = True if machine.collimators.electrons else None
    return cpu.Collimation(build_collimator(machine, materials, cone), _tables(materials, physics), followed)


def open_on_all_ranks(path: Path, world: World) -> PhaseSpace:
    """Open a phase space (`mc.source.phase_space`) that only rank 0 reads completely, checks and hashes."""
    space = None
    if world.rank == 0:
        space = open_phase_space(path)
        _ = space.sha256  # cached in the object, and broadcast with it
    return world.broadcast(space)


def group_count(beams: Sequence[PlacedBeam]) -> int:
    """Number of groups of histories that a pass is divided into."""
    return max(GROUPS, -(-_largest(beams) // MAX_BATCH_PARTICLES))


class BatchTransport:
    """Phantom and beams prepared for transport, and the tally of the current batch.

    Parameters
    ----------
    phantom : Phantom
    beams : sequence of PlacedBeam
    options : RunOptions
        Each of its ranks holds its own part of the sums until `collect`.

    Attributes
    ----------
    tally : Tally
        Deposits of the batch [quanta].
    counters : (N_COUNTERS,) int64
        Counters of the batch (`mc.transport.scoring`).
    done : (units,) int64
        1 for the work units that are done, on any rank.
    norm : float
        Divisor of the particles' weights, which brings them near 1, where the integer tally has its full
        resolution.
    """

    def __init__(
        self,
        phantom: Phantom,
        beams: Sequence[PlacedBeam],
        options: RunOptions,
    ) -> None:
        physics, world = options.physics, options.ranks
        self.groups, self.images = group_count(beams), max(beam.images for beam in beams)
        self._cut = _cut(_largest(beams) // self.groups, self.images * len(beams))
        self._beams, self._seed, self._world = beams, options.seed, world
        self._tables = _tables(phantom.materials, physics)
        self._geometry = build_voxels(phantom, _air_margin(phantom, beams))
        self._cuts = cpu.cuts_of(physics)
        self._collimation = [
            collimation_of(beam.through, physics, beam.cone) if beam.through else cpu.Collimation()
            for beam in beams
        ]
        self._scales, self.norm = _scales(beams, self.images)
        self._roulette_weights = [_roulette_weight(beam) for beam in beams]
        self._records, self._sharing = _Records(), Sharing(world)
        self._rows = cpu.empty_rows()
        self._tallies = cpu.empty_tally(self._geometry, self._tables, self._cuts, options.dose_to_water)
        self.tally = merge(self._tallies, self._geometry.density.size)
        self.counters = np.zeros(N_COUNTERS, np.int64)
        self.done = np.zeros(self.images * len(beams) * self._cut, np.int64)

    def reset(self) -> None:
        """Set the sums of the batch to 0, for the next one."""
        for sums in (self._tallies.medium, self._tallies.water, self._rows, self.counters, self.done):
            sums[:] = 0

    def round(self, replica: int, group: int, stop: Callable[[], bool]) -> bool:
        """Transport a part of a batch, until `stop` or for some seconds; returns whether it is complete.

        All mirror images of a history belong to the same batch, since they are not independent.
        """
        units = self._work_units(group)
        cost = np.array([1 + last - first for *_, first, last in units], np.int64)
        self._sharing.round(cost, self.done, lambda unit: self._run(units[unit], replica), stop)
        return bool(self.done.all())

    def collect(self) -> None:
        """Sum tally and counters over the ranks, on every rank."""
        self.counters += self._rows.sum(axis=0)
        self._rows[:] = 0
        merge(self._tallies, self._geometry.density.size)
        for sums in (self.tally.medium, self.tally.water, self.counters):
            self._world.sum_in_place(sums)

    def hold_on_root(self) -> None:
        """Keep what was collected or loaded on rank 0 only, so that the next `collect` counts it once."""
        if self._world.rank > 0:
            for sums in (self.tally.medium, self.tally.water, self.counters):
                sums[:] = 0

    def free_memory(self) -> None:
        """Release all large arrays; nothing more can be transported."""
        del self.tally, self._tallies, self._geometry, self._records

    def _work_units(self, group: int) -> list[tuple[int, int, int, int]]:
        """Image, beam, first history and the one after the last, of every work unit of a group's batch."""
        units = []
        for image in range(self.images):
            for b, beam in enumerate(self._beams):
                first = group * beam.phase_space.recorded // self.groups
                size = (group + 1) * beam.phase_space.recorded // self.groups - first
                edges = [first + size * k // self._cut for k in range(self._cut + 1)]
                units += [(image, b, *edge) for edge in pairwise(edges)]
        return units

    def _run(self, unit: tuple[int, int, int, int], replica: int) -> None:
        """Transport a work unit."""
        image, b, first, last = unit
        if first == last:
            return
        beam = self._beams[b]
        particles, starts = self._records.load(beam.phase_space, first, last)
        use = cpu.PhaseSpaceUse(
            first_history=first,
            beam=beam.number,
            replica=replica * self.images + image,
            seed=self._seed,
            target_z=beam.target_z,
            mirror=beam.signs(image),
            rotate=beam.rotate,
            scale=self._scales[b],
            min_weight=self._roulette_weights[b],
        )
        cpu.run_phase_space(
            particles, starts, use, beam.delivery, *self._collimation[b],
            self._geometry, self._tables, self._cuts, self._tallies, self._rows,
        )  # fmt: skip


class _Records:
    """Parts of phase spaces as kernel arrays, kept in memory if the files are small."""

    def __init__(self) -> None:
        self._kept: dict = {}

    def load(self, space: PhaseSpace, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """Histories `first` to `last` of a file: (n, 9) float32 particles, (histories + 1,) starts."""
        key = (space.data_path, first, last)
        if key in self._kept:
            return self._kept[key]
        starts = space.starts(first, last)
        read = space.read(int(starts[0]), int(starts[-1]))
        columns = (read.kind - 1, read.energy, read.x, read.y, read.z, read.u, read.v, read.w, read.weight)
        loaded = np.stack(columns, axis=1).astype(np.float32), starts - starts[0]
        if len(space) <= KEPT_PARTICLES:
            self._kept[key] = loaded
        return loaded


def _largest(beams: Sequence[PlacedBeam]) -> int:
    """Particles of the largest phase space."""
    return max(len(beam.phase_space) for beam in beams)


def _cut(particles: int, uses: int) -> int:
    """Number of work units for the particles of a group, of which a batch makes so many uses."""
    units_to_share = min(-(-UNITS_PER_BATCH // uses), particles // MIN_UNIT_PARTICLES)
    return max(1, -(-particles // UNIT_PARTICLES), units_to_share)


def _air_margin(phantom: Phantom, beams: Sequence[PlacedBeam]) -> float:
    """Largest distance of a source from the grid along any axis [cm], which the air margin must cover."""
    lower, upper = phantom.grid.lower[::-1], phantom.grid.upper[::-1]
    farthest = 0.0
    for beam in beams:
        sample = beam.phase_space.read(0, min(1000, len(beam.phase_space)))
        centre = np.array([sample.x.mean(), sample.y.mean(), sample.z.mean() - beam.target_z])
        sources = positions(beam.delivery, centre)
        farthest = max(farthest, float(np.max(np.maximum(lower - sources, sources - upper))))
    return farthest


def _roulette_weight(beam: PlacedBeam) -> float:
    """Weight below which particles of a beam undergo Russian roulette."""
    if beam.through is None:
        return roulette_weight(beam.phase_space)
    isocentre = beam.target_z + beam.through.sad_cm
    return roulette_weight(beam.phase_space, beam.opening, isocentre, beam.rotate)


def _scales(beams: Sequence[PlacedBeam], images: int) -> tuple[list[float], float]:
    """Factors on the particles' weights, about 1 at most, and the divisor that made them so."""
    per_history = [beam.weight / (images * beam.phase_space.header.orig_histories) for beam in beams]
    typical = [
        scale * typical_weight(beam.phase_space) for scale, beam in zip(per_history, beams, strict=True)
    ]
    norm = max(typical)
    return [scale / norm for scale in per_history], norm

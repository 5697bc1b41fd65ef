"""The CPU backend: histories shared out over threads, one integer tally for all of them.

Everything that is particular to the processor is in this package: threads, memory, atomic additions and the
compiler's flags. The transport it compiles knows no processor.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Literal, NamedTuple

import numba
import numpy as np
from numba import prange

from mc.backends.tally import Tallies, atomic_add, medium_tally, part_of
from mc.backends.workspace import STACK_ROWS, new_passage, new_solids, new_stack, new_tracks
from mc.config import Physics
from mc.geometry import voxels
from mc.geometry.collimator import Collimator
from mc.numerics.jit import njit
from mc.numerics.rng import stream, uniform
from mc.numerics.sampling import azimuth
from mc.plan.delivery import first_state, fixed, sample_state
from mc.source.beams import Beam, sample_beam
from mc.tables import Tables, build_tables
from mc.transport.collimation import collimate
from mc.transport.context import Context, Cuts
from mc.transport.entry import enter, is_sound, normalised, read_particle, to_patient
from mc.transport.particle import PHOTON, particle_at, turned, with_weight
from mc.transport.scoring import HISTORIES, LOST, N_COUNTERS, water_ratio
from mc.transport.shower import make_shower
from phantoms.recipes import water_tank

CHUNKS = 256  # parts of a call's histories, taken by threads as they come free
COPY_LIMIT = 1 << 25  # bytes of a tally of which every thread may have a copy

_shower = make_shower(voxels)


class Collimation(NamedTuple):
    """What lies between phase space and patient: nothing, or the collimators of a machine.

    Kernels take them apart, since the compiler hands no tuples of tuples to threads.
    """

    collimator: Collimator | None = None
    tables: Tables | None = None  # of the collimator's materials
    electrons: Literal[True] | None = None  # True: secondary electrons of the collimators are followed


class PhaseSpaceUse(NamedTuple):
    """How a phase space is used.

    Attributes
    ----------
    first_history : int
        Number of the first history in its file: with beam, replica and seed it names the random stream.
    beam, replica, seed : int
    target_z : float
        z of the target in the coordinates of the phase space [cm].
    mirror : (2,) float64
        -1 for each axis x, y of the phase space to be mirrored, else 1.
    rotate : bool
        Whether each history is turned about the axis by a random angle.
    scale : float
        Factor on the particles' weights.
    min_weight : float
        Weight in the file below which particles play roulette for it; 0: all are followed.
    """

    first_history: int
    beam: int
    replica: int
    seed: int
    target_z: float
    mirror: np.ndarray
    rotate: bool
    scale: float
    min_weight: float


@njit(parallel=True, cache=True, _nrt=True)
def run_phase_space(
    particles, starts, use, delivery, collimator, solids, electrons, geo, tables, cuts, tallies, rows
):
    """Transport the original histories of a part of a phase space.

    Parameters
    ----------
    particles : (n, 9) float32
        Kind, energy [MeV], x, y, z [cm], u, v, w, weight, in the coordinates of the phase space.
    starts : (histories + 1,) int64
        Index of the first particle of each original history.
    use : PhaseSpaceUse
    delivery : Delivery
        What the machine does meanwhile; all particles of a history find it in one state.
    collimator : Collimator or None
        The collimators between the phase space and the patient.
    solids : Tables or None
        Of the collimators' materials.
    electrons : True or None
        Whether secondary electrons of the collimators are followed. Kernels of their own.
    geo : mc.geometry.voxels.Voxels
    tables : Tables
    cuts : Cuts
    tallies : Tallies
        Added to: each thread's own copy, or one that they share.
    rows : (threads, N_COUNTERS) int64
        Counters of each thread; added to.
    """
    histories = starts.shape[0] - 1
    turn = np.zeros(1, np.int64)
    for worker in prange(rows.shape[0]):
        counters = np.zeros(N_COUNTERS, np.int64)  # rows of two threads share a cache line
        tally = part_of(tallies, geo.density.shape[0], worker)
        ctx = Context(geo, tables, cuts, tally, new_stack(STACK_ROWS), new_tracks(), counters)
        state, output = first_state(delivery), delivery.output[0]
        passage = new_passage(collimator, state.jaws, state.leaves, solids, cuts, counters)
        inside = new_solids(electrons, passage)
        c, s = 1.0, 0.0
        chunk = atomic_add(turn, 0, 1)
        while chunk < CHUNKS:
            for history in range(chunk * histories // CHUNKS, (chunk + 1) * histories // CHUNKS):
                counters[HISTORIES] += 1
                rng = stream(use.seed, use.beam, 0, use.first_history + history, use.replica)
                if delivery.cumulative.shape[0] > 1:
                    output, rng = sample_state(delivery, state, rng)
                if use.rotate:
                    c, s, rng = azimuth(rng)
                for p in range(starts[history], starts[history + 1]):
                    particle = read_particle(particles, p, use.mirror, use.target_z)
                    weight = particle.weight
                    if 0.0 < weight < use.min_weight:
                        number, rng = uniform(rng)
                        if number * use.min_weight >= weight:
                            continue
                        weight = use.min_weight
                    weight *= output * use.scale
                    particle = with_weight(particle, weight)
                    if use.rotate:
                        particle = turned(particle, c, s)
                    if collimator is None:
                        enter(ctx, to_patient(state, particle))
                        rng = _shower(ctx, rng)
                    elif is_sound(particle):
                        rng = collimate(passage, normalised(particle), inside, rng)
                        for k in range(passage.emerged.depth[0]):
                            enter(ctx, to_patient(state, particle_at(passage.emerged, k)))
                            rng = _shower(ctx, rng)
                    else:
                        counters[LOST] += 1
            chunk = atomic_add(turn, 0, 1)
        rows[worker] += counters


@njit(parallel=True, cache=True, _nrt=True)
def run_beam(beam, histories, first_history, replica, seed, geo, tables, cuts, tallies, rows):
    """Transport `histories` particles of a simple beam (`mc.source.beams.Beam`); see `run_phase_space`."""
    turn = np.zeros(1, np.int64)
    for worker in prange(rows.shape[0]):
        counters = np.zeros(N_COUNTERS, np.int64)
        tally = part_of(tallies, geo.density.shape[0], worker)
        ctx = Context(geo, tables, cuts, tally, new_stack(STACK_ROWS), new_tracks(), counters)
        chunk = atomic_add(turn, 0, 1)
        while chunk < CHUNKS:
            for history in range(chunk * histories // CHUNKS, (chunk + 1) * histories // CHUNKS):
                counters[HISTORIES] += 1
                rng = stream(seed, 0, 0, first_history + history, replica)
                particle, rng = sample_beam(beam, rng)
                enter(ctx, particle)
                rng = _shower(ctx, rng)
            chunk = atomic_add(turn, 0, 1)
        rows[worker] += counters


def cuts_of(physics: Physics) -> Cuts:
    """What the kernels need of the transport options."""
    return Cuts(*(getattr(physics, name) for name in Cuts._fields))


def empty_tally(geometry: voxels.Voxels, tables: Tables, cuts: Cuts, water: bool = False) -> Tallies:
    """A tally of nothing yet, of dose to medium, or with `water` of dose to medium and to water.

    It has a copy for each thread in use, unless one takes more than `COPY_LIMIT`.
    """
    cells = geometry.density.size
    copies = numba.get_num_threads() if 8 * cells * (1 + water) <= COPY_LIMIT else 1
    if not water:
        return medium_tally(copies * cells)
    ratios = [water_ratio(tables.water_ratio, m, cuts.electron_cut) for m in range(len(tables.water_ratio))]
    material = geometry.medium & (voxels.INTERFACE - 1)
    sums = (np.zeros(copies * cells, np.int64) for _ in range(2))
    return Tallies(*sums, np.array(ratios, np.float32)[material])


def empty_rows() -> np.ndarray:
    """Counters of nothing yet, (threads in use, N_COUNTERS) int64."""
    return np.zeros((numba.get_num_threads(), N_COUNTERS), np.int64)


def set_threads(threads: int | None) -> int:
    """Use `threads` threads, or every core; returns how many are in use."""
    available = numba.config.NUMBA_NUM_THREADS
    numba.set_num_threads(min(threads or available, available))
    numba.set_parallel_chunksize(1)
    return numba.get_num_threads()


def warm_up(
    simple_beams: bool = False, water: bool = False, collimations: Sequence[Collimation] = (Collimation(),)
) -> None:
    """Compile `run_phase_space`, or load it from the cache, by transporting nothing in a little water.

    What is handed over has the types of a real run, since each other combination of types would be compiled
    anew.

    Parameters
    ----------
    simple_beams : bool
        Whether to compile `run_beam` too.
    water : bool
        Whether dose to water is scored as well: kernels of their own.
    collimations : sequence of Collimation
        What phase spaces reach the patient through.
    """
    geometry, tables, cuts = _little_water()
    tallies, rows = empty_tally(geometry, tables, cuts, water), empty_rows()
    use = PhaseSpaceUse(0, 0, 0, 1, 0.0, np.ones(2), False, 1.0, 0.0)
    particles, starts, delivery = (
        np.empty((0, 9), np.float32),
        np.zeros(1, np.int64),
        fixed(np.eye(3), np.zeros(3)),
    )
    for collimation in collimations:
        run_phase_space(particles, starts, use, delivery, *collimation, geometry, tables, cuts, tallies, rows)
    if simple_beams:
        beam = Beam(PHOTON, np.array([1.0, 1.0]), np.array([0.0, 1.0]), 0.0, 0.0, 0.0, 0.0, 0.0, 100.0)
        run_beam(beam, 0, 0, 0, 1, geometry, tables, cuts, tallies, rows)


@cache
def _little_water() -> tuple[voxels.Voxels, Tables, Cuts]:
    physics, phantom = Physics(), water_tank((1.0, 1.0, 1.0), (0.5, 0.5, 0.5))
    return voxels.build_voxels(phantom), build_tables(phantom.materials, physics), cuts_of(physics)

"""The CPU backend: histories shared out over threads, one integer tally for all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numba
import numpy as np
from numba import prange

from mc.config import Physics
from mc.geometry import voxels
from mc.geometry.collimator import Collimator
from mc.numerics.jit import njit
from mc.numerics.rng import stream, uniform
from mc.numerics.sampling import ENERGY_MAX, azimuth
from mc.plan.delivery import first_state, fixed, sample_state
from mc.source.beams import Beam, sample_beam
from mc.tables import Tables, build_tables
from mc.transport.collimation import OUT_COLUMNS, OUT_ROWS, collimate
from mc.transport.freed import room_for
from mc.transport.history import Cuts, make_cascade
from mc.transport.particle import ELECTRON, PHOTON, POSITRON, STACK_COLUMNS, STACK_DEPTH, escape, push
from mc.transport.replay import new_tracks
from mc.transport.scoring import (
    EMITTED,
    HISTORIES,
    LOST,
    MISSED,
    N_COUNTERS,
    PARTICLES,
    Tally,
    atomic_add,
    medium_tally,
    part_of,
    water_ratio,
)
from phantoms.recipes import water_tank

CHUNKS = 256  # parts of a call's histories, taken by threads as they come free
COPY_LIMIT = 1 << 25  # bytes of a tally of which every thread may have a copy

_cascade = make_cascade(voxels)


class Between(NamedTuple):
    """What lies between phase space and patient: nothing, or the collimators of a machine.

    Kernels take them apart, since the compiler hands no tuples of tuples to threads.
    """

    collimator: Collimator | None = None
    tables: Tables | None = None  # of the collimator's materials
    electrons: Literal[True] | None = None  # True: those set free in the solids are followed


@njit
def _is_sound(kind, energy, x, y, z, u, v, w, weight):
    """Whether a source particle is one that can be followed."""
    known = kind == PHOTON or kind == ELECTRON or kind == POSITRON
    return known and 0.0 < energy < ENERGY_MAX and math.isfinite(energy + x + y + z + u + v + w + weight)


@njit
def _enter(kind, energy, x, y, z, u, v, w, weight, geo, cuts, tally, stack, counters):
    """Bring a source particle to the grid's rim and onto the stack; return the stack's depth."""
    if not _is_sound(kind, energy, x, y, z, u, v, w, weight):
        counters[LOST] += 1
        return 0
    counters[PARTICLES] += 1
    distance = voxels.entry(geo, x, y, z, u, v, w)
    if distance < 0.0:
        escape(kind, energy, weight, MISSED, counters)
        return 0
    x, y, z = x + u * distance, y + v * distance, z + w * distance
    escape(kind, energy, weight, EMITTED, counters)
    voxel = voxels.index(geo, voxels.locate(geo, x, y, z))
    depth = 0
    if kind == PHOTON:
        return push(stack, depth, kind, energy, x, y, z, u, v, w, weight, tally, voxel, counters)
    for _ in range(cuts.split):  # charged particles carry the weight of a split photon's electrons
        depth = push(
            stack, depth, kind, energy, x, y, z, u, v, w, weight / cuts.split, tally, voxel, counters
        )
    return depth


@njit
def _to_patient(state, a, b, c, d, e, f):
    """Place and direction in the patient of a particle of the phase space, at its target's origin."""
    rotation, origin = state.rotation, state.origin
    x = origin[0] + rotation[0, 0] * a + rotation[0, 1] * b + rotation[0, 2] * c
    y = origin[1] + rotation[1, 0] * a + rotation[1, 1] * b + rotation[1, 2] * c
    z = origin[2] + rotation[2, 0] * a + rotation[2, 1] * b + rotation[2, 2] * c
    norm = 1.0 / math.sqrt(d * d + e * e + f * f)
    u = norm * (rotation[0, 0] * d + rotation[0, 1] * e + rotation[0, 2] * f)
    v = norm * (rotation[1, 0] * d + rotation[1, 1] * e + rotation[1, 2] * f)
    w = norm * (rotation[2, 0] * d + rotation[2, 1] * e + rotation[2, 2] * f)
    return x, y, z, u, v, w


@njit(parallel=True, cache=True, _nrt=True)
def run_phase_space(
    particles, starts, first_history, delivery, target_z, mirror, rotate, collimator, solids, electrons,
    scale, least, beam, replica, seed, geo, tables, cuts, tallies, rows,
):  # fmt: skip
    """Transport the original histories of a piece of phase space.

    Parameters
    ----------
    particles : (n, 9) float32
        Kind, energy [MeV], x, y, z [cm], u, v, w, weight, in the coordinates of the phase space.
    starts : (histories + 1,) int64
        Index of the first particle of each original history.
    first_history : int
        Number of the first history in its file: with beam, replica and seed it names the random stream.
    delivery : Delivery
        What the machine does meanwhile; all particles of a history find it in one state.
    target_z : float
        z of the target in the coordinates of the phase space [cm].
    mirror : (2,) float64
        -1 for each axis x, y of the phase space to be mirrored, else 1.
    rotate : bool
        Whether each history is turned about the axis by a random angle.
    collimator : Collimator or None
        The collimators between the phase space and the patient.
    solids : Tables or None
        Of the collimators' materials.
    electrons : True or None
        Whether electrons that are set free in the collimators are followed. Kernels of their own.
    scale : float
        Factor on the particles' weights.
    least : float
        Weight in the file below which particles play roulette for it; 0: all are followed.
    tallies : Tally
        Added to: each thread's own copy, or one that they share.
    rows : (threads, N_COUNTERS) int64
        Counters of each thread; added to.
    """
    histories = starts.shape[0] - 1
    turn = np.zeros(1, np.int64)
    for worker in prange(rows.shape[0]):
        stack, tracks = np.empty((STACK_DEPTH, STACK_COLUMNS)), new_tracks()
        state, output = first_state(delivery), delivery.output[0]
        out, c, s = np.empty((OUT_ROWS, OUT_COLUMNS)), 1.0, 0.0
        scrap = room_for(electrons, collimator)
        counters = np.zeros(N_COUNTERS, np.int64)  # rows of two threads share a cache line
        tally = part_of(tallies, geo.density.shape[0], worker)
        chunk = atomic_add(turn, 0, 1)
        while chunk < CHUNKS:
            for history in range(chunk * histories // CHUNKS, (chunk + 1) * histories // CHUNKS):
                counters[HISTORIES] += 1
                rng = stream(seed, beam, 0, first_history + history, replica)
                if delivery.cumulative.shape[0] > 1:
                    output, rng = sample_state(delivery, state, rng)
                if rotate:
                    c, s, rng = azimuth(rng)
                for p in range(starts[history], starts[history + 1]):
                    kind, energy = int(particles[p, 0]), float(particles[p, 1])
                    x, y, z = (
                        mirror[0] * particles[p, 2],
                        mirror[1] * particles[p, 3],
                        particles[p, 4] - target_z,
                    )
                    u, v, w = mirror[0] * particles[p, 5], mirror[1] * particles[p, 6], particles[p, 7]
                    weight = float(particles[p, 8])
                    if 0.0 < weight < least:
                        number, rng = uniform(rng)
                        if number * least >= weight:
                            continue
                        weight = least
                    weight *= output * scale
                    if rotate:
                        x, y = c * x - s * y, s * x + c * y
                        u, v = c * u - s * v, s * u + c * v
                    if collimator is None:
                        x, y, z, u, v, w = _to_patient(state, x, y, z, u, v, w)
                        depth = _enter(
                            kind, energy, x, y, z, u, v, w, weight, geo, cuts, tally, stack, counters
                        )
                        rng = _cascade(geo, tables, cuts, tally, stack, depth, tracks, counters, rng)
                    elif _is_sound(kind, energy, x, y, z, u, v, w, weight):
                        norm = 1.0 / math.sqrt(u * u + v * v + w * w)
                        count, rng = collimate(
                            kind, energy, x, y, z, norm * u, norm * v, norm * w, weight,
                            collimator, state.jaws, state.leaves, solids, cuts,
                            counters, out, scrap, rng,
                        )  # fmt: skip
                        for k in range(count):
                            x, y, z, u, v, w = _to_patient(
                                state, out[k, 2], out[k, 3], out[k, 4], out[k, 5], out[k, 6], out[k, 7]
                            )
                            depth = _enter(
                                int(out[k, 0]), out[k, 1], x, y, z, u, v, w, out[k, 8],
                                geo, cuts, tally, stack, counters,
                            )  # fmt: skip
                            rng = _cascade(geo, tables, cuts, tally, stack, depth, tracks, counters, rng)
                    else:
                        counters[LOST] += 1
            chunk = atomic_add(turn, 0, 1)
        rows[worker] += counters


@njit(parallel=True, cache=True, _nrt=True)
def run_beam(beam, histories, first_history, replica, seed, geo, tables, cuts, tallies, rows):
    """Transport `histories` particles of a simple beam (`mc.source.beams.Beam`); see `run_phase_space`."""
    turn = np.zeros(1, np.int64)
    for worker in prange(rows.shape[0]):
        stack, tracks = np.empty((STACK_DEPTH, STACK_COLUMNS)), new_tracks()
        counters = np.zeros(N_COUNTERS, np.int64)
        tally = part_of(tallies, geo.density.shape[0], worker)
        chunk = atomic_add(turn, 0, 1)
        while chunk < CHUNKS:
            for history in range(chunk * histories // CHUNKS, (chunk + 1) * histories // CHUNKS):
                counters[HISTORIES] += 1
                rng = stream(seed, 0, 0, first_history + history, replica)
                energy, x, y, z, u, v, w, rng = sample_beam(beam, rng)
                depth = _enter(beam.kind, energy, x, y, z, u, v, w, 1.0, geo, cuts, tally, stack, counters)
                rng = _cascade(geo, tables, cuts, tally, stack, depth, tracks, counters, rng)
            chunk = atomic_add(turn, 0, 1)
        rows[worker] += counters


def cuts_of(physics: Physics) -> Cuts:
    """What the kernels need of the transport options."""
    return Cuts(
        physics.electron_cut,
        physics.photon_cut,
        physics.photon_split,
        physics.track_repeat,
        physics.range_rejection,
    )


def empty_tally(geometry: voxels.Voxels, tables: Tables, cuts: Cuts, water: bool = False) -> Tally:
    """A tally of nothing yet, of dose to medium, or with `water` of dose to medium and to water.

    It has a copy for each thread in use, unless one takes more than `COPY_LIMIT`.
    """
    cells = geometry.density.size
    copies = numba.get_num_threads() if 8 * cells * (1 + water) <= COPY_LIMIT else 1
    if not water:
        return medium_tally(copies * cells)
    ratios = [water_ratio(tables.water_ratio, m, cuts.electron) for m in range(len(tables.water_ratio))]
    material = geometry.medium & (voxels.NARROW - 1)
    sums = (np.zeros(copies * cells, np.int64) for _ in range(2))
    return Tally(*sums, np.array(ratios, np.float32)[material])


def empty_rows() -> np.ndarray:
    """Counters of nothing yet, (threads in use, N_COUNTERS) int64."""
    return np.zeros((numba.get_num_threads(), N_COUNTERS), np.int64)


def set_threads(threads: int | None) -> int:
    """Use `threads` threads, or every core; returns how many are in use."""
    available = numba.config.NUMBA_NUM_THREADS
    numba.set_num_threads(min(threads or available, available))
    numba.set_parallel_chunksize(1)
    return numba.get_num_threads()


def warm_up(simple_beams: bool = False, water: bool = False, ways: Sequence[Between] = (Between(),)) -> None:
    """Compile `run_phase_space`, or load it from the cache, by transporting nothing in a little water.

    With `simple_beams` `run_beam` too; `ways` are those that phase spaces go to the patient, straight and
    through collimators; `water` chooses the kernels that score dose to water as well. What is handed over has
    the types of a real run, since each other combination of types would be compiled anew.
    """
    physics, phantom = Physics(), water_tank((1.0, 1.0, 1.0), (0.5, 0.5, 0.5))
    geometry, tables = voxels.build_voxels(phantom), build_tables(phantom.materials, physics)
    cuts = cuts_of(physics)
    tally, rows = empty_tally(geometry, tables, cuts, water), empty_rows()
    for way in ways:
        run_phase_space(
            np.empty((0, 9), np.float32), np.zeros(1, np.int64), 0, fixed(np.eye(3), np.zeros(3)), 0.0,
            np.ones(2), False, *way, 1.0, 0.0, 0, 0, 1, geometry, tables, cuts, tally, rows,
        )  # fmt: skip
    if simple_beams:
        beam = Beam(PHOTON, np.array([1.0, 1.0]), np.array([0.0, 1.0]), 0.0, 0.0, 0.0, 0.0, 0.0, 100.0)
        run_beam(beam, 0, 0, 0, 1, geometry, tables, cuts, tally, rows)

"""The transport as kernels of a GPU, and the sole importer of numba.cuda.

The kernels compile, and in numba-cuda's simulator agree with the CPU to the last bit
(`tests/mc/backends/test_cuda_*.py`). They have **not yet run on a device**: nothing here launches them, and
no dose comes of them.

Each thread takes one chunk of consecutive histories and works in rows of its own of global arrays, whose
sizes are parameters. The collimators and the showers behind them are separate kernels, since both with their
tables would exceed the 4,096 bytes of a kernel's parameters.

numba-cuda compiles for the GPU what `mc.numerics.jit.njit` decorates. It takes the set of fast-math flags
there for full fast-math, which concerns single precision alone: division, functions and denormal numbers. The
transport divides and takes functions in double precision only, and a product is fused into a sum without any
flag; the test looks for what fast-math would leave in the PTX.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numba import cuda

from mc.backends.tally import Tallies
from mc.geometry import voxels
from mc.numerics.rng import stream
from mc.transport.collimation import collimate
from mc.transport.collimator_electrons import cuts_in_solids
from mc.transport.context import Context
from mc.transport.entry import enter, is_sound, normalised, to_patient
from mc.transport.particle import STACK_COLUMNS, Particle, Stack, particle_at
from mc.transport.passage import Passage
from mc.transport.replay import EVENT_COLUMNS, TRACK_COLUMNS, Tracks
from mc.transport.scoring import HISTORIES, LOST, N_COUNTERS, Tally
from mc.transport.shower import make_shower

SHOWER_STREAM, COLLIMATOR_STREAM = range(2)  # in place of a control point in the names of random streams

_shower = make_shower(voxels)


class Histories(NamedTuple):
    """Original histories: the particles of each, and what names its random streams.

    Attributes
    ----------
    starts : (histories + 1,) int64
        Index of the first particle of each.
    first_history : int
        Number of the first one in its phase space.
    beam, replica, seed : int
    """

    starts: np.ndarray
    first_history: int
    beam: int
    replica: int
    seed: int


class Workspace(NamedTuple):
    """Memory for showers; arrays as in `Stack` and `Tracks`, with a leading axis of threads."""

    stack: Stack
    tracks: Tracks


class SolidsWorkspace(NamedTuple):
    """Memory for secondary electrons of the collimators, with a leading axis of threads.

    What is deposited in the solids, a cell for each layer, is not used.

    Attributes
    ----------
    stack : Stack
    tallies : Tallies
        Of dose to medium alone.
    counters : (threads, N_COUNTERS) int64
    """

    stack: Stack
    tallies: Tallies
    counters: np.ndarray


def new_stacks(count: int, rows: int, empty: Callable = cuda.device_array) -> Stack:
    """So many stacks of so many rows; `empty` allocates an array by shape and type."""
    return Stack(empty((count, rows, STACK_COLUMNS), np.float64), empty((count, 1), np.int64))


def new_workspace(
    threads: int, stack_rows: int, tracks: int, track_rows: int, empty: Callable = cuda.device_array
) -> Workspace:
    """Memory for the showers of so many threads.

    Parameters
    ----------
    threads : int
    stack_rows : int
        Particles that can wait at a time; one more is counted, and its energy deposited where it is.
    tracks : int
        Recorded tracks kept at a time, one a material.
    track_rows : int
        Straight paths of a track; an electron with more of them goes on by itself.
    empty : callable
        Allocates an array by shape and type.
    """
    return Workspace(
        new_stacks(threads, stack_rows, empty),
        Tracks(
            empty((threads, tracks, track_rows, TRACK_COLUMNS), np.float64),
            empty((threads, tracks, EVENT_COLUMNS), np.float64),
            empty((threads, tracks), np.int64),
            empty((threads, tracks), np.int64),
        ),
    )


def new_solids_workspace(
    threads: int, stack_rows: int, layers: int, empty: Callable = cuda.device_array
) -> SolidsWorkspace:
    """Memory for the secondary electrons of a collimator of so many layers; see `new_workspace`."""
    return SolidsWorkspace(
        new_stacks(threads, stack_rows, empty),
        Tallies(empty((threads, layers), np.int64), empty((0, 0), np.int64), empty(0, np.float32)),
        empty((threads, N_COUNTERS), np.int64),
    )


@cuda.jit(device=True)
def atomic_add(array, index, value):
    """Add to one element of a tally in global memory; returns what it held before.

    A tally of dose to water that was not asked for has two dimensions, and never gets here.
    """
    if array.ndim == 1:
        return cuda.atomic.add(array, index, value)
    return 0


@cuda.jit(device=True)
def _particle_in(row):
    """The particle in a row of kind, energy, x, y, z, u, v, w, weight."""
    return Particle(int(row[0]), row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8])


@cuda.jit(device=True)
def _stack_in(stacks, row):
    """One of several stacks."""
    return Stack(stacks.rows[row], stacks.depth[row])


@cuda.jit(device=True)
def _solids_in(workspace, thread, placed, tables, cuts):
    """What a thread follows secondary electrons of the collimators with; None if the workspace is."""
    if workspace is None:
        return None
    counters, tallies = workspace.counters[thread], workspace.tallies
    for k in range(N_COUNTERS):
        counters[k] = 0
    tally = Tally(tallies.medium[thread], tallies.water, tallies.cut_ratio, atomic_add)
    stack = _stack_in(workspace.stack, thread)
    return Context(placed, tables, cuts_in_solids(cuts), tally, stack, None, counters)


@cuda.jit
def run_collimators(particles, histories, placed, tables, cuts, waiting, workspace, emerged, counters):
    """Send the particles of original histories through the collimators.

    Parameters
    ----------
    particles : (n, 9) float64
        Kind, energy [MeV], x, y, z [cm], u, v, w, weight, in phase-space coordinates with the target at the
        origin.
    histories : Histories
    placed : mc.geometry.collimator.Placed
    tables : mc.tables.Tables
        For the materials of the collimators.
    cuts : mc.transport.context.Cuts
    waiting : Stack
        One a thread, of as many rows as those of `emerged`.
    workspace : SolidsWorkspace or None
        None: secondary electrons of the solids stay there. A kernel of its own.
    emerged : Stack
        One a particle; holds afterwards what emerges below, in the coordinates of `particles`.
    counters : (threads, N_COUNTERS) int64
        Added to; there are as many threads as rows.
    """
    thread, threads = cuda.grid(1), counters.shape[0]
    if thread >= threads:
        return
    solids = _solids_in(workspace, thread, placed, tables, cuts)
    count = histories.starts.shape[0] - 1
    for history in range(thread * count // threads, (thread + 1) * count // threads):
        number = histories.first_history + history
        rng = stream(histories.seed, histories.beam, COLLIMATOR_STREAM, number, histories.replica)
        for p in range(histories.starts[history], histories.starts[history + 1]):
            particle, out = _particle_in(particles[p]), _stack_in(emerged, p)
            if is_sound(particle):
                passage = Passage(placed, tables, cuts, out, _stack_in(waiting, thread), counters[thread])
                rng = collimate(passage, normalised(particle), solids, rng)
            else:
                out.depth[0] = 0
                counters[thread, LOST] += 1


@cuda.jit
def run_showers(sources, histories, state, geo, tables, cuts, tallies, workspace, counters):
    """Transport original histories through the voxels.

    Parameters
    ----------
    sources : Stack
        For each particle of a phase space what reaches the patient of it: one a particle, in phase-space
        coordinates with the target at the origin; `emerged` of `run_collimators`.
    histories : Histories
    state : mc.plan.delivery.State
        Where the machine stands.
    geo : mc.geometry.voxels.Voxels
    tables : mc.tables.Tables
    cuts : mc.transport.context.Cuts
    tallies : mc.backends.tally.Tallies
        One copy that all threads share; added to.
    workspace : Workspace
    counters : (threads, N_COUNTERS) int64
        Added to; there are as many threads as rows.
    """
    thread, threads = cuda.grid(1), counters.shape[0]
    if thread >= threads:
        return
    tally = Tally(tallies.medium, tallies.water, tallies.cut_ratio, atomic_add)
    recorded = workspace.tracks
    tracks = Tracks(
        recorded.rows[thread], recorded.events[thread], recorded.material[thread], recorded.uses[thread]
    )
    ctx = Context(geo, tables, cuts, tally, _stack_in(workspace.stack, thread), tracks, counters[thread])
    count = histories.starts.shape[0] - 1
    for history in range(thread * count // threads, (thread + 1) * count // threads):
        ctx.counters[HISTORIES] += 1
        number = histories.first_history + history
        rng = stream(histories.seed, histories.beam, SHOWER_STREAM, number, histories.replica)
        for p in range(histories.starts[history], histories.starts[history + 1]):
            source = _stack_in(sources, p)
            for k in range(source.depth[0]):
                enter(ctx, to_patient(state, particle_at(source, k)))
                rng = _shower(ctx, rng)

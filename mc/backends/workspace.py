"""Memory that a thread of the CPU works in, and how much of it."""

from __future__ import annotations

import numpy as np

from mc.backends.tally import adder
from mc.geometry.collimator import Placed
from mc.numerics.jit import njit
from mc.transport.collimator_electrons import cuts_in_solids
from mc.transport.context import Context
from mc.transport.particle import STACK_COLUMNS, Stack
from mc.transport.passage import Passage
from mc.transport.replay import EVENT_COLUMNS, TRACK_COLUMNS, Tracks
from mc.transport.scoring import N_COUNTERS, Tally

TRACKS = 8  # kept at a time, one a material; with more materials they are made anew in turn
TRACK_ROWS = 256  # straight paths of a track
# A flight leaves the secondaries of its replayed tracks on the stack: up to 64 tracks of so many paths.
STACK_ROWS = 1024 + 64 * TRACK_ROWS
EMERGED_ROWS = 32  # of what one particle can send out of the collimators
SOLIDS_ROWS = 1024  # of the stack inside the collimators


@njit(_nrt=True)
def new_stack(rows):
    """An empty stack of so many rows."""
    return Stack(np.empty((rows, STACK_COLUMNS)), np.zeros(1, np.int64))


@njit(_nrt=True)
def new_tracks():
    """Space for the tracks of a flight."""
    return Tracks(
        np.empty((TRACKS, TRACK_ROWS, TRACK_COLUMNS)),
        np.empty((TRACKS, EVENT_COLUMNS)),
        np.empty(TRACKS, np.int64),
        np.empty(TRACKS, np.int64),
    )


@njit(_nrt=True)
def new_passage(collimator, jaws, leaves, tables, cuts, counters):
    """What particles pass a collimator with, at positions that may be overwritten; None without it."""
    if collimator is None:
        return None
    placed = Placed(collimator, jaws, leaves)
    return Passage(placed, tables, cuts, new_stack(EMERGED_ROWS), new_stack(EMERGED_ROWS), counters)


@njit(_nrt=True)
def new_solids(electrons, passage):
    """What secondary electrons of the collimators are followed with; None if `electrons` is.

    What is deposited in the solids and counted there is not used.
    """
    if electrons is None:
        return None
    layers = passage.placed.collimator.shape.size
    tally = Tally(np.zeros(layers, np.int64), np.zeros((0, 0), np.int64), np.zeros(0, np.float32), adder())
    counters = np.zeros(N_COUNTERS, np.int64)
    cuts = cuts_in_solids(passage.cuts)
    return Context(passage.placed, passage.tables, cuts, tally, new_stack(SOLIDS_ROWS), None, counters)

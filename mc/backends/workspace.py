"""Memory that a thread of the CPU works in, and how much of it."""

from __future__ import annotations

import numpy as np

from mc.numerics.jit import njit
from mc.transport.particle import STACK_COLUMNS, Stack
from mc.transport.replay import EVENT_COLUMNS, TRACK_COLUMNS, Tracks

TRACKS = 8  # kept at a time, one a material; with more materials they are made anew in turn
TRACK_ROWS = 256  # straight paths of a track
# A flight leaves the secondaries of its replayed tracks on the stack: up to 64 tracks of so many paths.
STACK_ROWS = 1024 + 64 * TRACK_ROWS


@njit(_nrt=True)
def new_stack(rows):
    """An empty stack of so many rows."""
    return Stack(np.empty((rows, STACK_COLUMNS)), np.zeros(1, np.int64))


@njit(_nrt=True)
def new_tracks():
    """Room for the tracks of a flight."""
    return Tracks(
        np.empty((TRACKS, TRACK_ROWS, TRACK_COLUMNS)),
        np.empty((TRACKS, EVENT_COLUMNS)),
        np.empty(TRACKS, np.int64),
        np.empty(TRACKS, np.int64),
    )

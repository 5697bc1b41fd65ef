"""The linac's head on the CPU: electrons shared out over threads, each chunk with records of its own."""

from __future__ import annotations

import numpy as np
from numba import prange

from mc.backends.tally import adder
from mc.backends.workspace import STACK_ROWS, new_stack
from mc.numerics.jit import njit
from mc.numerics.rng import stream
from mc.transport.directional import HeadContext
from mc.transport.head import NEW, RECORDS, HeadTally, transport_history

HEAD_STREAM = 1 << 20  # in place of a beam in the names of random streams


@njit(parallel=True, cache=True, _nrt=True)
def run_head(source, spans, headroom, seed, geo, tables, norms, cuts, medium, records, rows):
    """Transport electrons on the target.

    Parameters
    ----------
    source : mc.transport.head.Source
    spans : (chunks, 2) int64
        First electron of each chunk and the one after its last; on return the first is the next to be done,
        short of the last where the records are full.
    headroom : int
        Free records below which no electron is begun.
    seed : int
    geo, tables, norms, cuts
        See `mc.transport.directional.HeadContext`.
    medium : (regions,) int64
        Energy deposited [quanta]; added to.
    records : (chunks, n, RECORD_COLUMNS) float32
        Filled from the start: see `mc.transport.head`.
    rows : (chunks, N_HEAD_COUNTERS) int64
        Counters; added to, RECORDS set.
    """
    for chunk in prange(spans.shape[0]):
        counters = rows[chunk]
        counters[RECORDS] = 0
        no_water, no_ratio = np.zeros((0, 0), np.int64), np.zeros(0, np.float32)
        tally = HeadTally(medium, no_water, no_ratio, adder(), records[chunk])
        ctx = HeadContext(geo, tables, norms, cuts, tally, new_stack(STACK_ROWS), counters)
        while spans[chunk, 0] < spans[chunk, 1] and counters[RECORDS] + headroom <= records.shape[1]:
            rng = stream(seed, HEAD_STREAM, 0, spans[chunk, 0], 0)
            first = counters[RECORDS]
            transport_history(ctx, source, rng)
            if counters[RECORDS] > first:
                records[chunk, first, NEW] = 1.0
            spans[chunk, 0] += 1

"""Single interactions of photons, as transport makes them: what lies on the stack afterwards."""

from __future__ import annotations

import numpy as np

from mc.numerics.jit import njit
from mc.numerics.rng import stream, uniform
from mc.tables import Tables
from mc.transport.history import Cuts
from mc.transport.particle import STACK_COLUMNS
from mc.transport.photon import interact
from mc.transport.scoring import LOST, N_COUNTERS, OVERFLOWS, QUANTUM, medium_tally

MAX_PARTICLES = 6  # particles of one interaction
KIND, ENERGY = 0, 1  # columns


@njit
def _loop(energy, tables, cuts, tally, stack, counters, particles, deposit):
    rng = stream(3, 0, 0, 0, 0)
    for event in range(particles.shape[0]):
        before = tally.medium[0]
        choice, rng = uniform(rng)
        depth, rng = interact(
            energy, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0, 0, choice,
            tables, cuts, tally, stack, 0, counters, rng,
        )  # fmt: skip
        deposit[event] = tally.medium[0] - before
        for row in range(depth):
            particles[event, row, KIND] = stack[row, 0]
            particles[event, row, ENERGY] = stack[row, 1]


def interact_alone(n: int, energy: float, tables: Tables, cuts: Cuts) -> tuple[np.ndarray, np.ndarray]:
    """Let `n` photons along z interact once in the first material.

    Returns
    -------
    particles : (n, MAX_PARTICLES, 2) float64
        Kind and energy [MeV] of what is emitted; 0 where there is none.
    deposit : (n,) float64
        On the spot [MeV].
    """
    tally = medium_tally(1)
    stack, counters = np.zeros((MAX_PARTICLES, STACK_COLUMNS)), np.zeros(N_COUNTERS, np.int64)
    particles, deposit = np.zeros((n, MAX_PARTICLES, 2)), np.zeros(n, np.int64)
    _loop(energy, tables, cuts, tally, stack, counters, particles, deposit)
    assert counters[LOST] == 0 and counters[OVERFLOWS] == 0
    return particles, deposit * QUANTUM

"""Single interactions of photons, as transport makes them: what lies on the stack afterwards."""

from __future__ import annotations

import numpy as np

from mc.backends.tally import medium_tally, part_of
from mc.backends.workspace import new_stack
from mc.numerics.jit import njit
from mc.numerics.rng import stream, uniform
from mc.tables import Tables
from mc.transport.context import Context, Cuts
from mc.transport.particle import PHOTON, Particle, particle_at
from mc.transport.photon import interact
from mc.transport.scoring import LOST, N_COUNTERS, OVERFLOWS, QUANTUM

MAX_PARTICLES = 6  # particles of one interaction
KIND, ENERGY = 0, 1  # columns
NO_DIRECTIONS = np.zeros((0, MAX_PARTICLES, 3))


@njit(_nrt=True)
def _loop(energy, tables, cuts, tallies, counters, particles, directions, deposit):
    rng = stream(3, 0, 0, 0, 0)
    tally, stack = part_of(tallies, 1, 0), new_stack(MAX_PARTICLES)
    ctx = Context(None, tables, cuts, tally, stack, None, counters)
    photon = Particle(PHOTON, energy, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0)
    for event in range(particles.shape[0]):
        before = tally.medium[0]
        choice, rng = uniform(rng)
        stack.depth[0] = 0
        rng = interact(ctx, photon, 0, 0, choice, rng)
        deposit[event] = tally.medium[0] - before
        for row in range(stack.depth[0]):
            emitted = particle_at(stack, row)
            particles[event, row, KIND] = emitted.kind
            particles[event, row, ENERGY] = emitted.energy
            if event < directions.shape[0]:
                directions[event, row] = emitted.u, emitted.v, emitted.w


def interact_alone(
    n: int, energy: float, tables: Tables, cuts: Cuts, directions: np.ndarray = NO_DIRECTIONS
) -> tuple[np.ndarray, np.ndarray]:
    """Let `n` photons along z interact once in the first material.

    `directions`, (m, MAX_PARTICLES, 3), are filled in for the first m of them.

    Returns
    -------
    particles : (n, MAX_PARTICLES, 2) float64
        Kind and energy [MeV] of what is emitted; 0 where there is none.
    deposit : (n,) float64
        On the spot [MeV].
    """
    tally = medium_tally(1)
    counters = np.zeros(N_COUNTERS, np.int64)
    particles, deposit = np.zeros((n, MAX_PARTICLES, 2)), np.zeros(n, np.int64)
    _loop(energy, tables, cuts, tally, counters, particles, directions, deposit)
    assert counters[LOST] == 0 and counters[OVERFLOWS] == 0
    return particles, deposit * QUANTUM

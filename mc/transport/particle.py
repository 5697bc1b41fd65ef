"""Particles and the stack of those that still wait for their transport."""

from __future__ import annotations

from mc.constants import ELECTRON_MASS
from mc.jit import njit
from mc.rng import uniform
from mc.sampling import azimuth, rotate
from mc.transport.scoring import OVERFLOWS, quanta, score

PHOTON, ELECTRON, POSITRON = 0, 1, 2
STACK_DEPTH = 256
# Columns of a stack row: kind, energy, x, y, z, u, v, w, weight.
STACK_COLUMNS = 9


@njit
def push(stack, depth, kind, energy, x, y, z, u, v, w, weight, tally, voxel, counters):
    """Put a particle on the stack and return the new depth.

    A full stack is counted, and the energy deposited where the particle was born.
    """
    if depth == stack.shape[0]:
        counters[OVERFLOWS] += 1
        rest = 2.0 * ELECTRON_MASS if kind == POSITRON else 0.0
        score(tally, voxel, (energy + rest) * weight)
        return depth
    stack[depth, 0], stack[depth, 1], stack[depth, 8] = kind, energy, weight
    stack[depth, 2], stack[depth, 3], stack[depth, 4] = x, y, z
    stack[depth, 5], stack[depth, 6], stack[depth, 7] = u, v, w
    return depth + 1


@njit
def annihilate_at_rest(stack, depth, x, y, z, weight, photon_cut, tally, voxel, counters, rng):
    """Put the two back-to-back photons of a stopped positron on the stack."""
    if photon_cut >= ELECTRON_MASS:
        score(tally, voxel, 2.0 * ELECTRON_MASS * weight)
        return depth, rng
    a, rng = uniform(rng)
    c, s, rng = azimuth(rng)
    u, v, w = rotate(0.0, 0.0, 1.0, 2.0 * a - 1.0, c, s)
    depth = push(stack, depth, PHOTON, ELECTRON_MASS, x, y, z, u, v, w, weight, tally, voxel, counters)
    depth = push(stack, depth, PHOTON, ELECTRON_MASS, x, y, z, -u, -v, -w, weight, tally, voxel, counters)
    return depth, rng


@njit
def escape(kind, energy, weight, counter, counters):
    """Book the energy of a particle under `counter`, a positron's with the mass it will annihilate."""
    if kind == POSITRON:
        energy += 2.0 * ELECTRON_MASS
    counters[counter] += quanta(energy * weight)

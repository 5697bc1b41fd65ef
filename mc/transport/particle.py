"""Particles, and the stack of those that still wait for their transport."""

from __future__ import annotations

import math

from mc.numerics.constants import ELECTRON_MASS
from mc.numerics.jit import njit
from mc.numerics.rng import uniform
from mc.numerics.sampling import azimuth, rotate
from mc.transport.scoring import ESCAPED, LOST, OVERFLOWS, ROULETTE, quanta, score

PHOTON, ELECTRON, POSITRON = 0, 1, 2
# A flight leaves the stack what its replayed tracks set free: up to 64 of them, of at most 256 pieces.
STACK_DEPTH = 1024 + 64 * 256
# Columns of a stack row: kind, energy, x, y, z, u, v, w, weight; then, of a charged particle amid a step, its
# budget, what is left to the hinge and what comes behind it (`mc.transport.track`); a budget of 0 before one.
BUDGET, TO_HINGE, REST, STACK_COLUMNS = range(9, 13)


@njit
def push(stack, depth, kind, energy, x, y, z, u, v, w, weight, tally, voxel, counters):
    """Put a particle on the stack and return the new depth.

    A full stack is counted, and the energy deposited where the particle was born.
    """
    if depth == stack.shape[0]:
        counters[OVERFLOWS] += 1
        rest = 2.0 * ELECTRON_MASS if kind == POSITRON else 0.0
        score(tally, voxel, (energy + rest) * weight, counters)
        return depth
    stack[depth, 0], stack[depth, 1], stack[depth, 8] = kind, energy, weight
    stack[depth, 2], stack[depth, 3], stack[depth, 4] = x, y, z
    stack[depth, 5], stack[depth, 6], stack[depth, 7] = u, v, w
    stack[depth, BUDGET] = 0.0
    return depth + 1


@njit
def push_amid(stack, depth, energy, x, y, z, u, v, w, weight, budget, to_hinge, rest, tally, voxel, counters):
    """Put an electron in the midst of a step on the stack and return the new depth; see `push`."""
    was = depth
    depth = push(stack, depth, ELECTRON, energy, x, y, z, u, v, w, weight, tally, voxel, counters)
    if depth > was:
        stack[was, BUDGET], stack[was, TO_HINGE], stack[was, REST] = budget, to_hinge, rest
    return depth


@njit
def release_photon(
    energy, x, y, z, u, v, w, weight, cuts, tally, voxel, stack, depth, counters, rng, importance=1.0
):
    """Send a secondary photon through Russian roulette and on its way; returns stack depth and rng.

    Below the cut-off it is deposited where it is. It goes on with a chance of `importance` in N, N being the
    interactions of a flight. What roulette takes and gives is booked, so the energy balance stays exact.
    """
    if energy <= cuts.photon:
        score(tally, voxel, energy * weight, counters)
        return depth, rng
    if cuts.split > 1:
        a, rng = uniform(rng)
        if a * cuts.split >= importance:
            counters[ROULETTE] += quanta(energy * weight, counters)
            return depth, rng
        heavier = weight * cuts.split / importance
        counters[ROULETTE] -= quanta(energy * (heavier - weight), counters)
        weight = heavier
    depth = push(stack, depth, PHOTON, energy, x, y, z, u, v, w, weight, tally, voxel, counters)
    return depth, rng


@njit
def release_charged(kind, energy, x, y, z, u, v, w, weight, cuts, tally, voxel, stack, depth, counters, rng):
    """Send a charged particle on its way, or stop it here if it is below the cut-off."""
    if energy > cuts.electron:
        depth = push(stack, depth, kind, energy, x, y, z, u, v, w, weight, tally, voxel, counters)
        return depth, rng
    score(tally, voxel, energy * weight, counters)
    if kind == POSITRON:
        return annihilate_at_rest(x, y, z, weight, cuts, tally, voxel, stack, depth, counters, rng)
    return depth, rng


@njit
def annihilate_at_rest(x, y, z, weight, cuts, tally, voxel, stack, depth, counters, rng):
    """Set the two back-to-back photons of a stopped positron free."""
    a, rng = uniform(rng)
    c, s, rng = azimuth(rng)
    u, v, w = rotate(0.0, 0.0, 1.0, 2.0 * a - 1.0, c, s)
    depth, rng = release_photon(
        ELECTRON_MASS, x, y, z, u, v, w, weight, cuts, tally, voxel, stack, depth, counters, rng
    )
    return release_photon(
        ELECTRON_MASS, x, y, z, -u, -v, -w, weight, cuts, tally, voxel, stack, depth, counters, rng
    )


@njit
def escape(kind, energy, weight, counter, counters):
    """Book the energy of a particle under `counter`, a positron's with the mass it will annihilate."""
    if kind == POSITRON:
        energy += 2.0 * ELECTRON_MASS
    counters[counter] += quanta(energy * weight, counters)


@njit
def leave(kind, energy, x, y, z, weight, counters):
    """Book a charged particle that has left the grid; one that is nowhere is lost."""
    if math.isfinite(x + y + z):
        escape(kind, energy, weight, ESCAPED, counters)
    else:
        counters[LOST] += 1

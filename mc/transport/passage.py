"""How particles pass the openings of a collimator, and where they meet its solids or the air.

Coordinates are those of the beam limiting devices, as in `mc.geometry.collimator`; rows of `out` are in
those of phase spaces (`mc.plan.coordinates`).
"""

from __future__ import annotations

import math

from mc.geometry.collimator import depth_in, march
from mc.numerics.jit import njit
from mc.numerics.rng import uniform
from mc.numerics.sampling import energy_position
from mc.physics.energy_loss import energy_of, interval_of_range, range_of, strength_of
from mc.transport.track import deflect

AIR = 0  # material of every collimator's and phantom's first place
NEAR = 2.0  # mean free paths to the way out within which every interaction is followed
LEAST_CHANCE = 0.05  # of surviving roulette anywhere


@njit
def emit(out, count, kind, energy, x, y, z, u, v, w, weight):
    """Write a particle, in beam limiting device coordinates, into a row of `out`."""
    out[count, 0], out[count, 1], out[count, 8] = kind, energy, weight
    out[count, 2], out[count, 3], out[count, 4] = x, -y, z
    out[count, 5], out[count, 6], out[count, 7] = u, -v, w


@njit
def draw_clocks(rng):
    """What ends a flight: a uniform number for the air, mean free paths in solids."""
    a, rng = uniform(rng)
    b, rng = uniform(rng)
    return a, -math.log(b), rng


@njit
def chance(collimator, k, jaws, leaves, x, y, z, attenuation):
    """Chance to survive roulette at an interaction in layer `k`, by mean free paths to the way out.

    `attenuation` in 1/cm.
    """
    depth = depth_in(collimator, k, jaws, leaves, x, y, z) * attenuation
    return 1.0 if depth <= NEAR else max(LEAST_CHANCE, math.exp(0.5 * (NEAR - depth)))


@njit
def fly(energy, x, y, z, u, v, w, airy, left, collimator, jaws, leaves, photon):
    """Fly a photon to where it interacts or emerges.

    Parameters
    ----------
    airy, left : float
        From `draw_clocks`.

    Returns
    -------
    i, f : int, float
        Interval of the energy grid and fraction within it.
    k : int
        Layer it interacts in; -1: the air, or it emerges.
    emerges : bool
    x, y, z : float
    """
    i, f = energy_position(energy)
    end = (collimator.bottom - z) / w
    per_cm = collimator.air_density * (photon[AIR, i, 0, 0] + f * photon[AIR, i, 0, 1])
    reach = end
    if airy < per_cm * end:  # else there is no need for a logarithm
        reach = min(end, -math.log1p(-airy) / per_cm)
    k, way, _ = march(collimator, jaws, leaves, photon, i, f, x, y, z, u, v, w, reach, left)
    return i, f, k, k < 0 and reach == end, x + u * way, y + v * way, z + w * way


@njit
def drift(kind, energy, x, y, z, u, v, w, collimator, jaws, leaves, tables, rng):
    """Bring a charged particle through the air, down to the next solid or out below.

    It slows down on its way and is deflected at one hinge.

    Returns
    -------
    k : int
        Layer of the solid it meets; -1 if it meets none.
    energy, x, y, z, u, v, w : float
        There, or at the bottom; energy 0 if it gets to neither.
    rng
    """
    charge = kind - 1
    i, residual = range_of(tables.slowing, tables.starts, AIR, charge, energy)
    hinge, rng = uniform(rng)
    for leg in range(2):
        if w <= 0.0:
            return -1, 0.0, x, y, z, u, v, w, rng
        length = (collimator.bottom - z) / w
        if leg == 0:
            length *= hinge
        k, length, _ = march(collimator, jaws, leaves, tables.photon, 0, 0.0, x, y, z, u, v, w, length, 0.0)
        left = residual - length * collimator.air_density
        if left <= 0.0:
            return -1, 0.0, x, y, z, u, v, w, rng
        x, y, z = x + u * length, y + v * length, z + w * length
        j = interval_of_range(left)
        strength = strength_of(tables.slowing, AIR, charge, i, residual)
        strength -= strength_of(tables.slowing, AIR, charge, j, left)
        i, residual, energy = j, left, energy_of(tables.slowing, AIR, charge, j, left)
        if k >= 0:
            return k, energy, x, y, z, u, v, w, rng
        if leg == 0:  # the way behind the hinge scatters as much per length as the one before
            strength /= hinge
            u, v, w, rng = deflect(energy, charge, AIR, strength, u, v, w, tables, rng)
    return -1, energy, x, y, z, u, v, w, rng

"""How particles pass the openings of a collimator, and where they meet its solids or the air.

Coordinates are those of the beam limiting devices, as in `mc.geometry.collimator`.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from mc.geometry.collimator import DENSITY, depth_in, trace
from mc.numerics.columns import ATTENUATION, interval_value
from mc.numerics.jit import njit
from mc.numerics.rng import uniform
from mc.numerics.sampling import energy_position
from mc.physics.energy_loss import energy_of, interval_of_range, range_of, strength_of
from mc.transport.particle import Particle, moved, put, with_energy
from mc.transport.scoring import OVERFLOWS
from mc.transport.track import deflect

AIR = 0  # material of every collimator's and phantom's first place
NEAR = 2.0  # mean free paths to the surface within which every interaction is followed
MIN_SURVIVAL = 0.05  # of roulette anywhere


class Passage(NamedTuple):
    """What the transport through collimators works on; cf. `mc.transport.context.Context`.

    Attributes
    ----------
    placed : mc.geometry.collimator.Placed
    tables : Tables
        For the materials of the collimators.
    cuts : Cuts
    emerged : Stack
        What emerges below, in phase-space coordinates.
    waiting : Stack
        Photons that wait.
    counters : (N_COUNTERS,) int64
        Particles lost and overflows are counted.
    """

    placed: Any
    tables: Any
    cuts: Any
    emerged: Any
    waiting: Any
    counters: np.ndarray


@njit
def mirrored(particle):
    """The particle with y reversed: from coordinates of phase spaces to those of the devices, or back."""
    kind, energy, x, y, z, u, v, w, weight = particle
    return Particle(kind, energy, x, -y, z, u, -v, w, weight)


@njit
def put_or_count(stack, particle, counters):
    """Put a particle on a stack; an overflow is counted."""
    if stack.depth[0] == stack.rows.shape[0]:
        counters[OVERFLOWS] += 1
    else:
        put(stack, particle)


@njit
def emerge(emerged, particle, counters):
    """Add a particle to those that emerge, in phase-space coordinates."""
    put_or_count(emerged, mirrored(particle), counters)


@njit
def sample_free_flight(rng):
    """What ends a flight: a uniform number for the air, mean free paths in solids; and the rng."""
    a, rng = uniform(rng)
    b, rng = uniform(rng)
    return a, -math.log(b), rng


@njit
def attenuation_in(collimator, k, table, i, f):
    """Attenuation in the solid of layer `k` [1/cm].

    `table` is `mc.tables.Tables.photon`; `i`, `f` are from `energy_position`.
    """
    attenuation = interval_value(table, collimator.material[k], i, ATTENUATION, f)
    return collimator.measures[k, DENSITY] * attenuation


@njit
def survival(placed, k, photon, attenuation):
    """Probability to survive roulette at an interaction in layer `k`, by mean free paths to the surface.

    `attenuation` in 1/cm.
    """
    depth = depth_in(placed, k, photon.x, photon.y, photon.z) * attenuation
    return 1.0 if depth <= NEAR else max(MIN_SURVIVAL, math.exp(0.5 * (NEAR - depth)))


@njit
def free_flight(placed, table, photon, air, left):
    """Move a photon to where it interacts or emerges.

    Parameters
    ----------
    placed : Placed
    table : (nm, ne, 4, 2) array
        `mc.tables.Tables.photon`.
    photon : Particle
    air, left : float
        From `sample_free_flight`.

    Returns
    -------
    i, f : int, float
        Interval of the energy grid and fraction within it.
    k : int
        Layer it interacts in; -1: the air, or it emerges.
    emerges : bool
    photon : Particle
        There.
    """
    i, f = energy_position(photon.energy)
    end = (placed.collimator.bottom - photon.z) / photon.w
    per_cm = placed.collimator.air_density * interval_value(table, AIR, i, ATTENUATION, f)
    reach = end
    if air < per_cm * end:  # else there is no need for a logarithm
        reach = min(end, -math.log1p(-air) / per_cm)
    k, distance, _ = trace(placed, photon, table, i, f, reach, left)
    return i, f, k, k < 0 and reach == end, moved(photon, distance)


@njit
def drift(placed, tables, particle, rng):
    """Bring a charged particle through the air, down to the next solid or out below.

    It slows down and is deflected at one hinge.

    Returns
    -------
    k : int
        Layer of the solid it meets; -1 if it meets none.
    particle : Particle
        There, or at the bottom; energy 0 if it gets to neither.
    rng
    """
    slowing, bottom, air = tables.slowing, placed.collimator.bottom, placed.collimator.air_density
    charge = particle.kind - 1
    i, residual = range_of(slowing, tables.starts, AIR, charge, particle.energy)
    hinge, rng = uniform(rng)
    for leg in range(2):
        if particle.w <= 0.0:
            return -1, with_energy(particle, 0.0), rng
        length = (bottom - particle.z) / particle.w
        if leg == 0:
            length *= hinge
        k, length, _ = trace(placed, particle, tables.photon, 0, 0.0, length, 0.0)
        left = residual - length * air
        if left <= 0.0:
            return -1, with_energy(particle, 0.0), rng
        particle = moved(particle, length)
        j = interval_of_range(left)
        strength = strength_of(slowing, AIR, charge, i, residual)
        strength -= strength_of(slowing, AIR, charge, j, left)
        i, residual = j, left
        particle = with_energy(particle, energy_of(slowing, AIR, charge, j, left))
        if k >= 0:
            return k, particle, rng
        if leg == 0:  # the length behind the hinge scatters as much per cm as the one before
            strength /= hinge
            particle, rng = deflect(particle, AIR, strength, tables, rng)
    return -1, particle, rng

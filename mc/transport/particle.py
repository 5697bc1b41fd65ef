"""Particles in flight, and the stack of those that still wait for their transport."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from mc.numerics.constants import ELECTRON_MASS
from mc.numerics.jit import njit, njit_device
from mc.transport.scoring import OVERFLOWS, quanta, score

PHOTON, ELECTRON, POSITRON = 0, 1, 2

# Columns of a row of the stack. The last three belong to an electron that waits mid-step: see `Step`.
KIND, ENERGY, X, Y, Z, U, V, W, WEIGHT, K1_STEP, TO_HINGE, AFTER_HINGE, STACK_COLUMNS = range(13)


class Particle(NamedTuple):
    """A particle in flight.

    Attributes
    ----------
    kind : int
        PHOTON, ELECTRON or POSITRON.
    energy : float
        Kinetic [MeV].
    x, y, z : float
        [cm]
    u, v, w : float
        Direction cosines.
    weight : float
    """

    kind: int
    energy: float
    x: float
    y: float
    z: float
    u: float
    v: float
    w: float
    weight: float


class Step(NamedTuple):
    """A condensed-history step in progress, in scattering strength K1 (`mc.transport.track`).

    Attributes
    ----------
    k1 : float
        Of the whole step; 0 before a step has begun.
    to_hinge, after_hinge : float
        Still to be spent up to the hinge, and behind it.
    """

    k1: float
    to_hinge: float
    after_hinge: float


class Stack(NamedTuple):
    """Particles that wait.

    Attributes
    ----------
    rows : (n, STACK_COLUMNS) float64
    depth : (1,) int64
        Number of rows in use.
    """

    rows: np.ndarray
    depth: np.ndarray


@njit
def moved(particle, distance):
    """The particle, `distance` [cm] farther along its direction."""
    kind, energy, x, y, z, u, v, w, weight = particle
    return Particle(kind, energy, x + u * distance, y + v * distance, z + w * distance, u, v, w, weight)


@njit
def with_energy(particle, energy):
    """The particle at another energy [MeV]."""
    kind, _, x, y, z, u, v, w, weight = particle
    return Particle(kind, energy, x, y, z, u, v, w, weight)


@njit
def with_direction(particle, u, v, w):
    """The particle on another course."""
    kind, energy, x, y, z, _, _, _, weight = particle
    return Particle(kind, energy, x, y, z, u, v, w, weight)


@njit
def with_weight(particle, weight):
    """The particle at another weight."""
    kind, energy, x, y, z, u, v, w, _ = particle
    return Particle(kind, energy, x, y, z, u, v, w, weight)


@njit
def turned(particle, c, s):
    """The particle turned about the z axis by an angle of cosine `c` and sine `s`."""
    kind, energy, x, y, z, u, v, w, weight = particle
    return Particle(kind, energy, c * x - s * y, s * x + c * y, z, c * u - s * v, s * u + c * v, w, weight)


@njit
def secondary(parent, kind, energy, u, v, w):
    """A particle born where `parent` is, of the same weight."""
    return Particle(kind, energy, parent.x, parent.y, parent.z, u, v, w, parent.weight)


@njit
def is_finite(particle):
    """Whether energy, place, direction and weight are finite numbers."""
    _, energy, x, y, z, u, v, w, weight = particle
    return math.isfinite(energy + weight + x + y + z + u + v + w)


@njit
def total_energy(kind, energy):
    """Kinetic energy and, of a positron, the two electron masses that it will annihilate [MeV]."""
    return energy + 2.0 * ELECTRON_MASS if kind == POSITRON else energy


@njit
def put(stack, particle):
    """Write a particle onto the stack, which must have a row left."""
    row = stack.rows[stack.depth[0]]
    row[KIND], row[ENERGY], row[WEIGHT] = particle.kind, particle.energy, particle.weight
    row[X], row[Y], row[Z] = particle.x, particle.y, particle.z
    row[U], row[V], row[W] = particle.u, particle.v, particle.w
    row[K1_STEP] = 0.0
    stack.depth[0] += 1


@njit
def particle_at(stack, k):
    """The particle in row `k` of a stack."""
    row = stack.rows[k]
    return Particle(int(row[KIND]), row[ENERGY], row[X], row[Y], row[Z], row[U], row[V], row[W], row[WEIGHT])


@njit
def pop(stack):
    """Take the last particle off the stack; its row is left as it is, for `popped_step`."""
    stack.depth[0] -= 1
    return particle_at(stack, stack.depth[0])


@njit
def popped_step(stack):
    """The step of the particle that was just taken off the stack."""
    row = stack.rows[stack.depth[0]]
    return Step(row[K1_STEP], row[TO_HINGE], row[AFTER_HINGE])


@njit_device
def push(ctx, particle, voxel):
    """Put a particle on the stack; whether there was a row left.

    A full stack is counted, and the energy deposited where the particle was born.
    """
    stack = ctx.stack
    if stack.depth[0] == stack.rows.shape[0]:
        ctx.counters[OVERFLOWS] += 1
        score(ctx, voxel, total_energy(particle.kind, particle.energy) * particle.weight)
        return False
    put(stack, particle)
    return True


@njit_device
def push_mid_step(ctx, electron, step, voxel):
    """Put an electron on the stack that is in the middle of a step; see `push`."""
    if push(ctx, electron, voxel):
        row = ctx.stack.rows[ctx.stack.depth[0] - 1]
        row[K1_STEP], row[TO_HINGE], row[AFTER_HINGE] = step


@njit
def tally_energy(particle, counter, counters):
    """Add the energy of a particle to `counter`, a positron's with the mass it will annihilate."""
    counters[counter] += quanta(total_energy(particle.kind, particle.energy) * particle.weight, counters)

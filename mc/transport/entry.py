"""Source particles: from a phase space to the air margin of the voxels, and onto the stack."""

from __future__ import annotations

import math

import numpy as np

from mc.geometry import voxels
from mc.numerics.jit import njit, njit_device
from mc.numerics.sampling import ENERGY_MAX
from mc.transport.particle import (
    ELECTRON,
    PHOTON,
    POSITRON,
    Particle,
    is_finite,
    moved,
    push,
    tally_energy,
    with_direction,
    with_weight,
)
from mc.transport.scoring import EMITTED, LOST, MISSED, PARTICLES


@njit
def is_sound(particle):
    """Whether a source particle is one that can be followed."""
    kind = particle.kind
    known = kind == PHOTON or kind == ELECTRON or kind == POSITRON
    return known and 0.0 < particle.energy < ENERGY_MAX and is_finite(particle)


@njit
def read_particle(particles, p, mirror, target_z):
    """A particle of a phase space, at its target's origin.

    Its `w` stays in single precision, as it is in the file.

    Parameters
    ----------
    particles : (n, 9) float32
        Kind, energy [MeV], x, y, z [cm], u, v, w, weight, in the coordinates of the phase space.
    p : int
    mirror : (2,) float64
        -1 for each axis x, y of the phase space to be mirrored, else 1.
    target_z : float
        z of the target in the coordinates of the phase space [cm].
    """
    return Particle(
        int(particles[p, 0]), np.float64(particles[p, 1]),
        mirror[0] * particles[p, 2], mirror[1] * particles[p, 3], particles[p, 4] - target_z,
        mirror[0] * particles[p, 5], mirror[1] * particles[p, 6], particles[p, 7],
        np.float64(particles[p, 8]),
    )  # fmt: skip


@njit
def normalised(particle):
    """The particle with a direction of length 1."""
    u, v, w = particle.u, particle.v, particle.w
    norm = 1.0 / math.sqrt(u * u + v * v + w * w)
    return with_direction(particle, norm * u, norm * v, norm * w)


@njit
def to_patient(state, particle):
    """A particle of the phase space, at its target's origin, in the coordinates of the patient."""
    rotation, origin = state.rotation, state.origin
    kind, energy, a, b, c, d, e, f, weight = particle
    x = origin[0] + rotation[0, 0] * a + rotation[0, 1] * b + rotation[0, 2] * c
    y = origin[1] + rotation[1, 0] * a + rotation[1, 1] * b + rotation[1, 2] * c
    z = origin[2] + rotation[2, 0] * a + rotation[2, 1] * b + rotation[2, 2] * c
    norm = 1.0 / math.sqrt(d * d + e * e + f * f)
    u = norm * (rotation[0, 0] * d + rotation[0, 1] * e + rotation[0, 2] * f)
    v = norm * (rotation[1, 0] * d + rotation[1, 1] * e + rotation[1, 2] * f)
    w = norm * (rotation[2, 0] * d + rotation[2, 1] * e + rotation[2, 2] * f)
    return Particle(kind, energy, x, y, z, u, v, w, weight)


@njit_device
def enter(ctx, particle):
    """Bring a source particle to the air margin of the voxels and onto the empty stack."""
    counters, geo = ctx.counters, ctx.geo
    ctx.stack.depth[0] = 0
    if not is_sound(particle):
        counters[LOST] += 1
        return
    counters[PARTICLES] += 1
    distance = voxels.entry(geo, particle.x, particle.y, particle.z, particle.u, particle.v, particle.w)
    if distance < 0.0:
        tally_energy(particle, MISSED, counters)
        return
    particle = moved(particle, distance)
    tally_energy(particle, EMITTED, counters)
    voxel = voxels.index(geo, voxels.locate(geo, particle.x, particle.y, particle.z))
    if particle.kind == PHOTON:
        push(ctx, particle, voxel)
        return
    # charged particles carry the weight of a split photon's electrons
    part = with_weight(particle, particle.weight / ctx.cuts.photon_split)
    for _ in range(ctx.cuts.photon_split):
        push(ctx, part, voxel)

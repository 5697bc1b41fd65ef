"""Source particles on their way onto the stack."""

from __future__ import annotations

import math

from mc.geometry import voxels
from mc.numerics.jit import njit
from mc.numerics.sampling import ENERGY_MAX
from mc.transport.particle import (
    ELECTRON,
    PHOTON,
    POSITRON,
    is_finite,
    moved,
    push,
    tally_energy,
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
    part = with_weight(particle, particle.weight / ctx.cuts.split)
    for _ in range(ctx.cuts.split):
        push(ctx, part, voxel)

"""Secondary particles: cut-offs, Russian roulette, and the annihilation of positrons at rest."""

from __future__ import annotations

from mc.numerics.constants import ELECTRON_MASS
from mc.numerics.jit import njit_device
from mc.numerics.rng import uniform
from mc.numerics.sampling import azimuth, rotate
from mc.transport.particle import PHOTON, POSITRON, push, secondary, with_weight
from mc.transport.scoring import ROULETTE, quanta, score


@njit_device
def emit_photon(ctx, photon, voxel, rng, importance=1.0):
    """Put a secondary photon on the stack after Russian roulette. Returns the rng.

    Below the cut-off it is deposited where it is. It survives with a probability of `importance` in N, N
    being the interactions of a flight. What roulette takes and gives is tallied, so the energy balance stays
    exact.
    """
    cuts, counters = ctx.cuts, ctx.counters
    energy, weight = photon.energy, photon.weight
    if energy <= cuts.photon_cut:
        score(ctx, voxel, energy * weight)
        return rng
    if cuts.photon_split > 1:
        a, rng = uniform(rng)
        if a * cuts.photon_split >= importance:
            counters[ROULETTE] += quanta(energy * weight, counters)
            return rng
        heavier = weight * cuts.photon_split / importance
        counters[ROULETTE] -= quanta(energy * (heavier - weight), counters)
        photon = with_weight(photon, heavier)
    push(ctx, photon, voxel)
    return rng


@njit_device
def emit_charged(ctx, particle, voxel, rng):
    """Put a charged particle on the stack, or stop it here if it is below the cut-off. Returns the rng."""
    if particle.energy > ctx.cuts.electron_cut:
        push(ctx, particle, voxel)
        return rng
    score(ctx, voxel, particle.energy * particle.weight)
    if particle.kind == POSITRON:
        return annihilate_at_rest(ctx, particle, voxel, rng)
    return rng


@njit_device
def annihilate_at_rest(ctx, positron, voxel, rng):
    """Emit the two back-to-back photons of a stopped positron. Returns the rng."""
    a, rng = uniform(rng)
    c, s, rng = azimuth(rng)
    u, v, w = rotate(0.0, 0.0, 1.0, 2.0 * a - 1.0, c, s)
    rng = emit_photon(ctx, secondary(positron, PHOTON, ELECTRON_MASS, u, v, w), voxel, rng)
    return emit_photon(ctx, secondary(positron, PHOTON, ELECTRON_MASS, -u, -v, -w), voxel, rng)

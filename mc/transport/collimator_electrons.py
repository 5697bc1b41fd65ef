"""Secondary electrons of the collimators, followed with all that comes of them.

So are charged particles from above that meet a solid. Every photon interaction is that of
`mc.transport.photon`; charged particles are those of `mc.transport.electron` over
`mc.geometry.collimator_solids`, with bremsstrahlung and fluorescence. Left out: bremsstrahlung of charged
particles that cannot leave their solid, photons that turn back up, and the scattering and slowing down in air
of electrons that move upwards.
"""

from __future__ import annotations

import math

from mc.geometry import collimator_solids
from mc.geometry.collimator import UPPER, trace
from mc.numerics.jit import njit, njit_device
from mc.numerics.rng import uniform
from mc.transport.context import Cuts
from mc.transport.electron import ANALOGUE, make_electron
from mc.transport.particle import PHOTON, moved, pop, push, with_weight
from mc.transport.passage import AIR, attenuation_in, drift, emerge, free_flight, sample_free_flight, survival
from mc.transport.photon import interact
from mc.transport.scoring import LOST, OVERFLOWS


@njit
def cuts_in_solids(cuts):
    """Cut-offs in the solids: no splitting, and what cannot leave its solid stops, whatever its energy."""
    return Cuts(cuts.electron_cut, cuts.photon_cut, 1, 1, math.inf)


@njit_device
def _on_exit(ctx, particle, rng):
    """Let a charged particle that has left a solid wait for its flight through the air. Returns the rng."""
    push(ctx, particle, 0)
    return rng


_transport_electron = make_electron(
    collimator_solids, collimator_solids.JUMP, ANALOGUE._replace(on_exit=_on_exit)
)


@njit_device
def follow(ctx, emerged, counters, particle, air, left, survived, rng):
    """Follow a particle, and all that comes of it, through solids and air. Returns the rng.

    Parameters
    ----------
    ctx : Context
        Over `mc.geometry.collimator_solids`, with `cuts_in_solids`; stack, tally and counters are its own.
    emerged : Stack
        Added to: what emerges below, in phase-space coordinates.
    counters : (N_COUNTERS,) int64
        Particles lost and overflows are counted.
    particle : Particle
        In device coordinates.
    air, left : float
        Of a photon's first flight (`mc.transport.passage.free_flight`).
    survived : bool
        Whether it has survived the roulette of its first interaction.
    rng : (uint64, uint64)
    """
    placed, tables, cuts, stack = ctx.geo, ctx.tables, ctx.cuts, ctx.stack
    stack.depth[0] = 0
    push(ctx, particle, 0)
    first = True
    while stack.depth[0] > 0:
        particle = pop(stack)
        emerges = False
        if particle.kind == PHOTON:
            if particle.w <= 0.0 or particle.energy <= cuts.photon_cut:
                continue
            if not first:
                air, left, rng = sample_free_flight(rng)
            i, f, k, emerges, particle = free_flight(placed, tables.photon, particle, air, left)
            if not emerges:
                material = AIR
                if k >= 0:
                    material = placed.collimator.material[k]
                    if not (first and survived):
                        probability = survival(
                            placed, k, particle, attenuation_in(placed.collimator, k, tables.photon, i, f)
                        )
                        a, rng = uniform(rng)
                        if a >= probability:
                            first = False
                            continue
                        particle = with_weight(particle, particle.weight / probability)
                choice, rng = uniform(rng)
                rng = interact(ctx, particle, material, max(k, 0), choice, rng)
        elif (
            collimator_solids.solid_at(placed, particle.x, particle.y, particle.z)
            != collimator_solids.NOWHERE
        ):
            rng = _transport_electron(ctx, particle, rng)
        elif particle.w != 0.0:
            if particle.w > 0.0:
                k, particle, rng = drift(placed, tables, particle, rng)
                emerges = k < 0 and particle.energy > cuts.electron_cut
            else:  # over a gap between leaves, as a rule
                up = (placed.collimator.measures[0, UPPER] - particle.z) / particle.w
                k, distance, _ = trace(placed, particle, tables.photon, 0, 0.0, up, 0.0)
                particle = moved(particle, distance)
            if k >= 0 and particle.energy > cuts.electron_cut:
                push(ctx, moved(particle, collimator_solids.PAST_FACE), 0)
        if emerges:
            emerge(emerged, particle, counters)
        first = False
    counters[LOST] += ctx.counters[LOST]
    counters[OVERFLOWS] += ctx.counters[OVERFLOWS]
    ctx.counters[LOST] = ctx.counters[OVERFLOWS] = 0
    return rng

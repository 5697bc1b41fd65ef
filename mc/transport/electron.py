"""Charged-particle transport through a geometry: the steps of `mc.transport.track` and the faces between.

- **Faces.** The K1 still to be spent is carried across voxel faces, so a face costs one addition and no
  scattering.
- **Hard collisions** that leave most of the energy do not end the step either. If they did, the deflections
  would come of the few steps that happen to be completed, and fluctuate like a Poisson number (3 % of the
  dose of a small field of 12 MeV electrons with a threshold of 10 keV).
- **A step is dropped** at a density jump and after a hard collision with a large loss. Since the hinge is
  uniform in the step, the mean deflection of a step cut short is that of the K1 it spent.
- **Interface and low-density voxels** (gas, and those beside density jumps): a step is no longer than the
  voxel, and weak. Steps are dropped on entering such voxels and on leaving them: done in one direction
  only, it would bias the fluence.
- **Mid-step start.** Everywhere else a particle that is born, or whose step was dropped, starts in the middle
  of a step. Were all to begin one where they are born and at faces, the fluence beside a jump would show it
  (1 % of the dose in a Fano test).
- **Range rejection** (ESAVE of EGSnrc, against the nearest face as HOWNEAR gives it). Below
  `cuts.range_rejection` a particle whose range ends within its voxel is deposited there; hard bremsstrahlung
  it might still emit is neglected.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any, NamedTuple

from mc.numerics.columns import FREE_PATH, FULL_STEP
from mc.numerics.jit import njit, njit_inlined
from mc.physics.energy_loss import range_of, strength_of
from mc.transport.particle import POSITRON, popped_step, push, tally_energy, with_energy
from mc.transport.region import CHANGED, COMPLETED, LEFT, make_path, make_region
from mc.transport.scoring import ESCAPED, LOST, STEPS, Deposit, lose, score_end, score_track
from mc.transport.secondaries import annihilate_at_rest, emit_photon
from mc.transport.track import (
    ANNIHILATION,
    BREMSSTRAHLUNG,
    HARD,
    KEPT,
    KNOCK_ON,
    NOTHING,
    SCATTER,
    annihilate,
    begin_step,
    deflect,
    next_event,
    sample_hard,
    sample_to_hard,
    slow_down,
)

INTERFACE_K1 = 0.03  # largest strength of a step in interface voxels


@njit_inlined
def radiate(ctx, electron, photon, material, voxel, rng):
    """Emit a bremsstrahlung photon; `electron` is as it was before. Returns the rng."""
    return emit_photon(ctx, photon, voxel, rng)


@njit_inlined
def annihilate_in_flight(ctx, positron, voxel, rng):
    """Emit the two photons of an annihilation in flight. Returns the rng."""
    first, second, rng = annihilate(positron, rng)
    rng = emit_photon(ctx, first, voxel, rng)
    return emit_photon(ctx, second, voxel, rng)


@njit
def tally_exit(particle, counters):
    """Tally a charged particle that has left the geometry; one that is nowhere is lost."""
    if math.isfinite(particle.x + particle.y + particle.z):
        tally_energy(particle, ESCAPED, counters)
    else:
        counters[LOST] += 1


@njit_inlined
def on_exit(ctx, particle, rng):
    """Tally a particle that has left the geometry. Returns the rng."""
    tally_exit(particle, ctx.counters)
    return rng


class Callbacks(NamedTuple):
    """Kernels for what a charged particle does at a hinge, for its photons, and for when it leaves."""

    deflect: Any
    radiate: Any
    annihilate_in_flight: Any
    annihilate_at_rest: Any
    on_exit: Any


ANALOGUE = Callbacks(deflect, radiate, annihilate_in_flight, annihilate_at_rest, on_exit)


def make_electron(geometry: ModuleType, jump: float, callbacks: Callbacks = ANALOGUE):
    """Compile charged-particle transport over a geometry; `jump` is the density ratio that ends a step."""
    locate, inverse = geometry.locate, geometry.inverse
    clearance, longest_step = geometry.clearance, geometry.longest_step
    deflect, radiate, annihilate_in_flight, annihilate_at_rest, on_exit = callbacks
    region_of, follow_path = make_region(geometry), make_path(geometry)

    @njit_inlined
    def transport_electron(ctx, particle, rng):
        """Follow the charged particle just taken off the stack until it stops or leaves. Returns the rng."""
        geo, tables, cuts, counters = ctx.geo, ctx.tables, ctx.cuts, ctx.counters
        slowing, starts = tables.slowing, tables.starts
        charge = particle.kind - 1
        region = region_of(geo, locate(geo, particle.x, particle.y, particle.z))
        i, residual = range_of(slowing, starts, region.material, charge, particle.energy)
        strength = strength_of(slowing, region.material, charge, i, residual)
        _, stop = range_of(slowing, starts, region.material, charge, cuts.electron_cut)
        inverses = inverse(particle.u), inverse(particle.v), inverse(particle.w)
        deposit = Deposit(0.0, 0.0)
        k1_step, to_hinge, after_hinge = 0.0, 0.0, 0.0
        waiting = popped_step(ctx.stack)
        if waiting.k1 > 0.0:
            k1_step, to_hinge, after_hinge = waiting
        begins = k1_step == 0.0  # a step begins: a new length and hinge, what is left of the last one dropped
        mid_step = begins
        to_hard, majorant = -1.0, 0.0

        while particle.energy > cuts.electron_cut and residual > stop:
            if begins:
                if particle.energy < cuts.range_rejection and residual < region.density * clearance(
                    geo, region.cell, particle.x, particle.y, particle.z
                ):
                    break  # cannot leave this voxel
                k1_step = slowing[region.material, charge, i, FULL_STEP]
                if region.interface:
                    longest = (
                        region.density
                        * longest_step(geo, particle.x, particle.y, particle.z)
                        / slowing[region.material, charge, i, FREE_PATH]
                    )
                    k1_step = min(k1_step, INTERFACE_K1, longest)
                to_hinge, after_hinge, rng = begin_step(
                    k1_step, after_hinge, mid_step and not region.interface, rng
                )
                begins = mid_step = False
            if to_hard < 0.0:
                to_hard, majorant, rng = sample_to_hard(particle.energy, charge, tables, rng)

            counters[STEPS] += 1
            thickness, event = next_event(
                slowing, region.material, charge, i, residual, stop, to_hinge, to_hard
            )
            before = region
            how, left, particle, region, deposit = follow_path(
                ctx, particle, inverses, region, residual, thickness, deposit
            )
            if how == LEFT:
                return on_exit(ctx, particle, rng)
            i, residual, strength, to_hinge, to_hard, after = slow_down(
                slowing, before.material, charge, residual, strength, to_hinge, to_hard, thickness - left
            )
            if how == COMPLETED:
                deposit = lose(ctx, deposit, region.material, particle.energy, after)
                particle = with_energy(particle, after)

            if how == CHANGED:
                if region.material != before.material:
                    i, residual = range_of(slowing, starts, region.material, charge, particle.energy)
                    strength = strength_of(slowing, region.material, charge, i, residual)
                    _, stop = range_of(slowing, starts, region.material, charge, cuts.electron_cut)
                if (
                    region.density > jump * before.density
                    or before.density > jump * region.density
                    or region.interface != before.interface
                ):
                    begins, after_hinge, mid_step = True, 0.0, True
            elif event == SCATTER:
                particle, rng = deflect(particle, region.material, k1_step, tables, rng)
                inverses = inverse(particle.u), inverse(particle.v), inverse(particle.w)
                begins, after_hinge = True, after_hinge + to_hinge
            elif event == HARD:
                to_hard = -1.0
                collision, changed, emitted, rng = sample_hard(
                    particle, region.material, majorant, tables, cuts, rng
                )
                if collision == NOTHING:
                    continue
                if collision == KNOCK_ON:
                    push(ctx, emitted, region.voxel)
                elif collision == BREMSSTRAHLUNG:
                    rng = radiate(ctx, particle, emitted, region.material, region.voxel, rng)
                elif collision == ANNIHILATION:
                    rng = annihilate_in_flight(ctx, particle, region.voxel, rng)
                    score_track(ctx, region.voxel, deposit, particle.weight)
                    return rng
                if changed.energy < KEPT * particle.energy:
                    begins, after_hinge, mid_step = True, 0.0, True
                particle = changed
                inverses = inverse(particle.u), inverse(particle.v), inverse(particle.w)
                i, residual = range_of(
                    slowing, starts, region.material, charge, max(particle.energy, cuts.electron_cut)
                )
                strength = strength_of(slowing, region.material, charge, i, residual)

        if not math.isfinite(particle.x + particle.y + particle.z + particle.energy):
            counters[LOST] += 1
            return rng
        score_end(ctx, region, deposit, particle.energy, particle.weight)
        if particle.kind == POSITRON:
            return annihilate_at_rest(ctx, particle, region.voxel, rng)
        return rng

    return transport_electron

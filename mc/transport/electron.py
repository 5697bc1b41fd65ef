"""Charged-particle transport through a geometry: the steps of `mc.transport.track` and the faces between.

The budget of a step is carried across voxel faces, so that a face costs one addition and no scattering, and
through hard collisions that leave most of the energy: were it dropped there, a particle would owe its
deflections to the few steps that happen to be spared, and their number would fluctuate like a Poisson's (3 %
of the dose of a small field of 12 MeV electrons with a threshold of 10 keV). At a density jump and after a
hard collision with a large loss the step is given up: as the hinge is uniform, the mean deflection of a step
cut short is that of the strength it spent. In gas and beside density jumps a step is no longer than a voxel,
and weak; on the way into such voxels and out of them it is given up too, for what is done one way only would
bias the fluence. Elsewhere a particle that comes to life, or begins anew, is in the midst of a step: were all
to begin one where they are born and at the face, the fluence beside a jump would know of it (1 % of the dose,
Fano).
A particle of less than the energy `save` whose range ends within its voxel is deposited there; the hard
bremsstrahlung it might still emit is neglected.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any, NamedTuple

from mc.numerics.jit import njit_inlined
from mc.physics.energy_loss import FREE_PATH, FULL_STEP, energy_of, interval_of_range, range_of, strength_of
from mc.transport.particle import (
    BUDGET,
    ELECTRON,
    POSITRON,
    REST,
    TO_HINGE,
    annihilate_at_rest,
    leave,
    push,
    release_photon,
)
from mc.transport.scoring import LOST, STEPS, loss_in_water, score_end, score_track
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
    spend,
)

DONE, CHANGED, GONE = range(3)  # how a flight ends
NARROW_K1 = 0.03  # largest strength of a step in narrow voxels


@njit_inlined
def radiate(
    photon, a, b, c, energy, x, y, z, u, v, w, weight, material,
    tables, cuts, tally, voxel, stack, depth, counters, rng,
):  # fmt: skip
    """Send a bremsstrahlung photon on its way along (a, b, c). Returns stack depth and rng.

    The electron had `energy` before it and flies along (u, v, w).
    """
    return release_photon(photon, x, y, z, a, b, c, weight, cuts, tally, voxel, stack, depth, counters, rng)


@njit_inlined
def annihilate_in_flight(energy, x, y, z, u, v, w, weight, cuts, tally, voxel, stack, depth, counters, rng):
    """Send the two photons of an annihilation in flight on their way. Returns stack depth and rng."""
    first, a, b, c, second, d, e, f, rng = annihilate(energy, u, v, w, rng)
    depth, rng = release_photon(
        first, x, y, z, a, b, c, weight, cuts, tally, voxel, stack, depth, counters, rng
    )
    return release_photon(second, x, y, z, d, e, f, weight, cuts, tally, voxel, stack, depth, counters, rng)


@njit_inlined
def depart(kind, energy, x, y, z, u, v, w, weight, cuts, tally, stack, depth, counters, rng):
    """Book a particle that has left. Returns stack depth and rng."""
    leave(kind, energy, x, y, z, weight, counters)
    return depth, rng


class Fate(NamedTuple):
    """Kernels for what a charged particle does at a hinge, for its photons, and for when it leaves."""

    deflect: Any
    radiate: Any
    annihilate_in_flight: Any
    annihilate_at_rest: Any
    depart: Any


ANALOGUE = Fate(deflect, radiate, annihilate_in_flight, annihilate_at_rest, depart)


def make_flight(geometry: ModuleType):
    """Compile the straight flight of a charged particle over a geometry."""
    index, medium = geometry.index, geometry.medium
    boundary, cross = geometry.boundary, geometry.cross

    @njit_inlined
    def fly(
        cell, voxel, density, material, narrow, charge, x, y, z, u, v, w, iu, iv, iw, weight, residual,
        thickness, energy, deposit, to_water, geo, tables, tally, counters,
    ):  # fmt: skip
        """Fly straight through a mass thickness [g/cm2], but no farther than the medium goes.

        Returns
        -------
        how : int
            DONE; CHANGED, at a face to another material, or to or within narrow voxels; GONE from the grid.
        left : float
            Of the thickness.
        energy : float
            At the last face: what was lost before is scored or in `deposit` and `to_water`.
        cell, voxel, density, material, narrow, x, y, z, deposit, to_water
        """
        both = tally.water.ndim == 1
        left = thickness
        while True:
            distance, face = boundary(geo, cell, x, y, z, iu, iv, iw)
            reach = distance * density
            if left <= reach:
                distance = left / density
                x, y, z = x + u * distance, y + v * distance, z + w * distance
                return DONE, 0.0, energy, cell, voxel, density, material, narrow, x, y, z, deposit, to_water
            left -= reach
            x, y, z = x + u * distance, y + v * distance, z + w * distance
            there = residual - (thickness - left)
            after = energy_of(tables.slowing, material, charge, interval_of_range(there), there)
            deposit += energy - after
            if both:
                to_water += loss_in_water(tables.water_ratio, material, energy, after)
            energy = after
            score_track(tally, voxel, deposit * weight, to_water * weight, counters)
            deposit, to_water = 0.0, 0.0
            cell, within = cross(geo, cell, face, iu, iv, iw)
            if not within:
                return GONE, left, energy, cell, voxel, density, material, narrow, x, y, z, deposit, to_water
            voxel = index(geo, cell)
            density, other, narrow_there = medium(geo, voxel)
            if other != material or narrow or narrow_there:
                return (
                    CHANGED, left, energy, cell, voxel, density, other, narrow_there, x, y, z,
                    deposit, to_water,
                )  # fmt: skip

    return fly


def make_electron(geometry: ModuleType, jump: float, fate: Fate = ANALOGUE):
    """Compile charged-particle transport over a geometry; `jump` is the density ratio that ends a step."""
    locate, index, medium = geometry.locate, geometry.index, geometry.medium
    inverse, clearance, longest_step = geometry.inverse, geometry.clearance, geometry.longest_step
    deflect, radiate, annihilate_in_flight, annihilate_at_rest, depart = fate
    fly = make_flight(geometry)

    @njit_inlined
    def transport_electron(
        kind, energy, x, y, z, u, v, w, weight, geo, tables, cuts, tally, stack, depth, counters, rng
    ):
        """Follow the electron or positron taken off place `depth` of the stack until it stops or escapes.

        Returns stack depth and rng.
        """
        charge = kind - 1
        slowing = tables.slowing
        cell = locate(geo, x, y, z)
        voxel = index(geo, cell)
        density, material, narrow = medium(geo, voxel)
        i, residual = range_of(slowing, tables.starts, material, charge, energy)
        strength = strength_of(slowing, material, charge, i, residual)
        _, stop = range_of(slowing, tables.starts, material, charge, cuts.electron)
        iu, iv, iw = inverse(u), inverse(v), inverse(w)
        deposit, to_water = 0.0, 0.0  # not yet scored in this voxel
        both = tally.water.ndim == 1
        budget, to_hinge, rest = 0.0, 0.0, 0.0
        if stack[depth, BUDGET] > 0.0:  # it comes in the midst of a step
            budget, to_hinge, rest = stack[depth, BUDGET], stack[depth, TO_HINGE], stack[depth, REST]
        fresh = budget == 0.0  # a step begins: a new budget, its hinge, the residual of the last one dropped
        amid = fresh  # in the midst of it
        to_hard, majorant = -1.0, 0.0

        while energy > cuts.electron and residual > stop:
            if fresh:
                if energy < cuts.save and residual < density * clearance(geo, cell, x, y, z):
                    break  # cannot leave this voxel
                budget = slowing[material, charge, i, FULL_STEP]
                if narrow:
                    longest = density * longest_step(geo, x, y, z) / slowing[material, charge, i, FREE_PATH]
                    budget = min(budget, NARROW_K1, longest)
                to_hinge, rest, rng = begin_step(budget, rest, amid and not narrow, rng)
                fresh = amid = False
            if to_hard < 0.0:
                to_hard, majorant, rng = sample_to_hard(energy, charge, tables, rng)

            counters[STEPS] += 1
            thickness, event = next_event(slowing, material, charge, i, residual, stop, to_hinge, to_hard)
            was_density, was_material, was_narrow = density, material, narrow
            (
                how, left, energy, cell, voxel, density, material, narrow, x, y, z, deposit, to_water,
            ) = fly(
                cell, voxel, density, material, narrow, charge, x, y, z, u, v, w, iu, iv, iw, weight,
                residual, thickness, energy, deposit, to_water, geo, tables, tally, counters,
            )  # fmt: skip
            if how == GONE:
                return depart(
                    kind, energy, x, y, z, u, v, w, weight, cuts, tally, stack, depth, counters, rng
                )
            i, residual, strength, to_hinge, to_hard, after = spend(
                slowing, was_material, charge, residual, strength, to_hinge, to_hard, thickness - left
            )
            if how == DONE:
                deposit += energy - after
                if both:
                    to_water += loss_in_water(tables.water_ratio, material, energy, after)
                energy = after

            if how == CHANGED:
                if material != was_material:
                    i, residual = range_of(slowing, tables.starts, material, charge, energy)
                    strength = strength_of(slowing, material, charge, i, residual)
                    _, stop = range_of(slowing, tables.starts, material, charge, cuts.electron)
                if density > jump * was_density or was_density > jump * density or narrow != was_narrow:
                    fresh, rest, amid = True, 0.0, True
            elif event == SCATTER:
                u, v, w, rng = deflect(energy, charge, material, budget, u, v, w, tables, rng)
                iu, iv, iw = inverse(u), inverse(v), inverse(w)
                fresh, rest = True, rest + to_hinge
            elif event == HARD:
                to_hard = -1.0
                collision, after, secondary, u, v, w, a, b, c, rng = sample_hard(
                    kind, energy, u, v, w, material, majorant, tables, cuts, rng
                )
                if collision == NOTHING:
                    continue
                if collision == KNOCK_ON:
                    depth = push(
                        stack, depth, ELECTRON, secondary, x, y, z, a, b, c, weight, tally, voxel, counters
                    )
                elif collision == BREMSSTRAHLUNG:
                    depth, rng = radiate(
                        secondary, a, b, c, energy, x, y, z, u, v, w, weight, material,
                        tables, cuts, tally, voxel, stack, depth, counters, rng,
                    )  # fmt: skip
                elif collision == ANNIHILATION:
                    depth, rng = annihilate_in_flight(
                        energy, x, y, z, u, v, w, weight, cuts, tally, voxel, stack, depth, counters, rng
                    )
                    score_track(tally, voxel, deposit * weight, to_water * weight, counters)
                    return depth, rng
                if after < KEPT * energy:
                    fresh, rest, amid = True, 0.0, True
                energy = after
                iu, iv, iw = inverse(u), inverse(v), inverse(w)
                i, residual = range_of(slowing, tables.starts, material, charge, max(energy, cuts.electron))
                strength = strength_of(slowing, material, charge, i, residual)

        if not math.isfinite(x + y + z + energy):
            counters[LOST] += 1
            return depth, rng
        score_end(tally, voxel, material, energy, deposit, to_water, weight, tables, cuts, counters)
        if kind == POSITRON:
            return annihilate_at_rest(x, y, z, weight, cuts, tally, voxel, stack, depth, counters, rng)
        return depth, rng

    return transport_electron

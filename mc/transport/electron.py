"""Charged-particle transport: class II condensed history with a random hinge.

Hard collisions (knock-on above the electron cut-off, photon above the photon cut-off, annihilation) are
simulated one by one; the rest is continuous slowing down and multiple scattering. A step is a budget of
scattering strength K: the particle flies straight until a uniformly drawn part of the budget is spent,
is deflected once for the whole of it (Goudsmit-Saunderson), and flies on until the rest is spent
(Sempau, Wilderman and Bielajew, Phys. Med. Biol. 45 (2000) 2263). The next step's budget is drawn at the
hinge, and the flight goes straight on to the next hinge, which spares an event per step. The budget is
carried across voxel faces, so that a face costs one addition and no scattering, and through hard collisions
that leave most of the energy: were it dropped there, a particle would owe its deflections to the few steps
that happen to be spared, and their number would fluctuate like a Poisson's (3 % of the dose of a small field
of 12 MeV electrons with a threshold of 10 keV). At a density jump and after a hard collision with a large
loss the step is given up: as the hinge is uniform, the mean deflection of a step cut short is that of the
strength it spent. In gas and beside density jumps a step is no longer than a voxel,
and weak; on the way into such voxels and out of them it is given up too, for what is done one way only would
bias the fluence. Were all to begin anew there, the steps that come back to the face would know of it; so one
out of such voxels is joined at a random place, and those within are weak. Before, the dose in thin gaps was 1
to 2 % low (Fano).
A particle of less than the energy `save` whose range ends within its voxel is deposited there; the hard
bremsstrahlung it might still emit is neglected.
"""

from __future__ import annotations

import math
from types import ModuleType

from mc.jit import njit
from mc.physics.annihilation import sample_annihilation
from mc.physics.bremsstrahlung import sample_bremsstrahlung
from mc.physics.elastic import sample_elastic
from mc.physics.energy_loss import energy_of, interval_of_range, range_of, strength_of
from mc.physics.moller_bhabha import collision_cosines, sample_bhabha, sample_moller
from mc.rng import uniform
from mc.sampling import azimuth, energy_position, rotate
from mc.transport.particle import (
    ELECTRON,
    POSITRON,
    annihilate_at_rest,
    escape,
    push,
    release_photon,
)
from mc.transport.scoring import ESCAPED, LOST, STEPS, ratio_to_rest, score_track, water_ratio

FACE, HARD, SCATTER, STOP = range(4)
NARROW_K1 = 0.005  # largest strength of a step in narrow voxels
KEPT = 0.8  # a hard collision that leaves less of the energy ends the step


def make_electron(geometry: ModuleType, jump: float):
    """Compile charged-particle transport over a geometry; `jump` is the density ratio that ends a step."""
    locate, index, medium = geometry.locate, geometry.index, geometry.medium
    inverse, boundary, clearance, cross = (
        geometry.inverse, geometry.boundary, geometry.clearance, geometry.cross,
    )  # fmt: skip

    @njit
    def hard_event(
        kind, energy, x, y, z, u, v, w, weight, material, choice,
        tables, cuts, tally, voxel, stack, depth, counters, rng,
    ):  # fmt: skip
        """Simulate a hard collision, or none if the majorant drew a fictitious one.

        Returns
        -------
        energy : float
            After the event; 0 if the particle is gone.
        u, v, w, depth, rng
        """
        charge = kind - 1
        i, f = energy_position(energy)
        t = tables.hard
        total = t[material, charge, i, 0] + f * (t[material, charge, i + 1, 0] - t[material, charge, i, 0])
        if choice >= total:
            return energy, u, v, w, depth, rng
        choice /= total
        brems = t[material, charge, i, 1] + f * (t[material, charge, i + 1, 1] - t[material, charge, i, 1])
        knock = t[material, charge, i, 2] + f * (t[material, charge, i + 1, 2] - t[material, charge, i, 2])
        c, s, rng = azimuth(rng)
        if choice < brems:
            if energy <= cuts.photon:
                return energy, u, v, w, depth, rng
            photon, cosine, rng = sample_bremsstrahlung(energy, cuts.photon, tables.brems, material, rng)
            a, b, d = rotate(u, v, w, cosine, c, s)
            depth, rng = release_photon(
                photon, x, y, z, a, b, d, weight, cuts, tally, voxel, stack, depth, counters, rng
            )
            return energy - photon, u, v, w, depth, rng
        if choice < knock:
            least = 2.0 * cuts.electron if kind == ELECTRON else cuts.electron
            if energy <= least:
                return energy, u, v, w, depth, rng
            if kind == ELECTRON:
                loss, rng = sample_moller(energy, cuts.electron, rng)
            else:
                loss, rng = sample_bhabha(energy, cuts.electron, rng)
            cosine, knocked_cosine = collision_cosines(energy, loss)
            a, b, d = rotate(u, v, w, knocked_cosine, -c, -s)
            depth = push(stack, depth, ELECTRON, loss, x, y, z, a, b, d, weight, tally, voxel, counters)
            u, v, w = rotate(u, v, w, cosine, c, s)
            return energy - loss, u, v, w, depth, rng
        first, first_cosine, second, second_cosine, rng = sample_annihilation(energy, rng)
        a, b, d = rotate(u, v, w, first_cosine, c, s)
        depth, rng = release_photon(
            first, x, y, z, a, b, d, weight, cuts, tally, voxel, stack, depth, counters, rng
        )
        a, b, d = rotate(u, v, w, second_cosine, -c, -s)
        depth, rng = release_photon(
            second, x, y, z, a, b, d, weight, cuts, tally, voxel, stack, depth, counters, rng
        )
        return 0.0, u, v, w, depth, rng

    @njit
    def transport_electron(
        kind, energy, x, y, z, u, v, w, weight, geo, tables, cuts, tally, stack, depth, counters, rng
    ):
        """Follow one electron or positron until it stops or escapes. Returns stack depth and rng."""
        charge = kind - 1
        slowing = tables.slowing
        cell = locate(geo, x, y, z)
        voxel = index(geo, cell)
        density, material, narrow = medium(geo, voxel)
        i, residual = range_of(slowing, material, charge, energy)
        strength = strength_of(slowing, material, charge, i, residual)
        _, stop = range_of(slowing, material, charge, cuts.electron)
        iu, iv, iw = inverse(u), inverse(v), inverse(w)
        deposit, to_water = 0.0, 0.0  # not yet scored in this voxel
        both = tally.water.ndim == 1
        budget, to_hinge, rest, to_hard = 0.0, 0.0, 0.0, -1.0
        fresh = True  # a step begins: a new budget, its hinge, the residual of the last one dropped
        amid = False  # in the midst of it

        while energy > cuts.electron and residual > stop:
            if fresh:
                if energy < cuts.save and residual < density * clearance(geo, cell, x, y, z):
                    break  # cannot leave this voxel
                budget = slowing[material, charge, i, 5]
                if narrow:
                    longest = slowing[material, charge, i, 4] * density * geo.narrow_length
                    budget = min(budget, NARROW_K1, longest)
                a, rng = uniform(rng)
                if amid:
                    begun, rng = uniform(rng)
                    rest = -begun * budget
                    if a < begun:  # that step's hinge lies behind: the next one's comes
                        rest += budget
                        a, rng = uniform(rng)
                to_hinge, rest = rest + a * budget, (1.0 - a) * budget
                fresh = amid = False
            if to_hard < 0.0:
                interval, fraction = energy_position(energy)
                majorant = tables.hard_majorant[charge, interval]
                majorant += fraction * (tables.hard_majorant[charge, interval + 1] - majorant)
                a, rng = uniform(rng)
                to_hard = -math.log(a) / majorant

            counters[STEPS] += 1
            distance, face = boundary(geo, cell, x, y, z, iu, iv, iw)
            thickness, event = distance * density, FACE
            if residual - stop < thickness:
                thickness, event = residual - stop, STOP
            if to_hard < thickness:
                thickness, event = to_hard, HARD
            # kappa_1 rises as the particle slows: the step to the hinge takes its value midway
            to_scatter = max(0.0, to_hinge) / slowing[material, charge, i, 4]
            if to_scatter < thickness:
                middle = interval_of_range(slowing, material, charge, i, residual - 0.5 * to_scatter)
                to_scatter = max(0.0, to_hinge) / slowing[material, charge, middle, 4]
                if to_scatter < thickness:
                    thickness, event = to_scatter, SCATTER

            distance = thickness / density
            x, y, z = x + u * distance, y + v * distance, z + w * distance
            residual -= thickness
            i = interval_of_range(slowing, material, charge, i, residual)
            after = energy_of(slowing, material, charge, i, residual)
            deposit += energy - after
            if both:
                ratio = water_ratio(tables.water_ratio, material, 0.5 * (energy + after))
                to_water += (energy - after) * ratio
            energy = after
            spent = strength
            strength = strength_of(slowing, material, charge, i, residual)
            to_hinge -= spent - strength
            to_hard -= thickness

            if event == FACE:
                score_track(tally, voxel, deposit * weight, to_water * weight, counters)
                deposit, to_water = 0.0, 0.0
                cell, within = cross(geo, cell, face, iu, iv, iw)
                if not within:
                    if math.isfinite(x + y + z):
                        escape(kind, energy, weight, ESCAPED, counters)
                    else:
                        counters[LOST] += 1
                    return depth, rng
                voxel = index(geo, cell)
                was_density, was_material, was_narrow = density, material, narrow
                density, material, narrow = medium(geo, voxel)
                if material != was_material:
                    i, residual = range_of(slowing, material, charge, energy)
                    strength = strength_of(slowing, material, charge, i, residual)
                    _, stop = range_of(slowing, material, charge, cuts.electron)
                if density > jump * was_density or was_density > jump * density or narrow != was_narrow:
                    fresh, rest, amid = True, 0.0, not narrow
            elif event == SCATTER:
                place, f = energy_position(energy)
                t = tables.elastic
                row = t[material, charge, place, 0]
                row += f * (t[material, charge, place + 1, 0] - row)
                layer = t[material, charge, place, 1]
                layer += f * (t[material, charge, place + 1, 1] - layer)
                cosine, rng = sample_elastic(budget, row, layer, tables.gs_quantiles, tables.gs_widths, rng)
                c, s, rng = azimuth(rng)
                u, v, w = rotate(u, v, w, cosine, c, s)
                iu, iv, iw = inverse(u), inverse(v), inverse(w)
                fresh, rest = True, rest + to_hinge
            elif event == HARD:
                a, rng = uniform(rng)
                after, u, v, w, depth, rng = hard_event(
                    kind, energy, x, y, z, u, v, w, weight, material, a * majorant,
                    tables, cuts, tally, voxel, stack, depth, counters, rng,
                )  # fmt: skip
                to_hard = -1.0
                if after < energy:
                    if after < KEPT * energy:
                        fresh, rest = True, 0.0
                    energy = after
                    iu, iv, iw = inverse(u), inverse(v), inverse(w)
                    i, residual = range_of(slowing, material, charge, max(energy, cuts.electron))
                    strength = strength_of(slowing, material, charge, i, residual)

        if not math.isfinite(x + y + z + energy):
            counters[LOST] += 1
            return depth, rng
        if both:
            ratio = ratio_to_rest(tables.water_ratio, material, tally.cut_ratio[voxel], energy, cuts.electron)
            to_water += energy * ratio
        score_track(tally, voxel, (deposit + energy) * weight, to_water * weight, counters)
        if kind == POSITRON and energy > 0.0:
            return annihilate_at_rest(x, y, z, weight, cuts, tally, voxel, stack, depth, counters, rng)
        return depth, rng

    return transport_electron

"""Charged-particle transport: class II condensed history with a random hinge.

Hard collisions (knock-on above the electron cut-off, photon above the photon cut-off, annihilation) are
simulated one by one; the rest is continuous slowing down and multiple scattering. A step is a budget of
scattering strength K: the particle flies straight until a uniformly drawn part of the budget is spent,
is deflected once for the whole of it (Goudsmit-Saunderson), and flies on until the rest is spent
(Sempau, Wilderman and Bielajew, Phys. Med. Biol. 45 (2000) 2263). The budget is carried across voxel
faces, so that a face costs one addition and no scattering. At a density jump the step is given up: as the
hinge is uniform, the mean deflection of a step cut short is that of the strength it spent. In gas and
beside density jumps a step is no longer than a voxel.
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
from mc.transport.particle import ELECTRON, PHOTON, POSITRON, annihilate_at_rest, escape, push
from mc.transport.scoring import ESCAPED, STEPS, score

FACE, HARD, SCATTER, STOP = range(4)


def make_electron(geometry: ModuleType, jump: float):
    """Compile charged-particle transport over a geometry; `jump` is the density ratio that ends a step."""
    locate, index, medium = geometry.locate, geometry.index, geometry.medium
    boundary, cross = geometry.boundary, geometry.cross

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
            depth = push(stack, depth, PHOTON, photon, x, y, z, a, b, d, weight, tally, voxel, counters)
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
        depth = push(stack, depth, PHOTON, first, x, y, z, a, b, d, weight, tally, voxel, counters)
        a, b, d = rotate(u, v, w, second_cosine, -c, -s)
        depth = push(stack, depth, PHOTON, second, x, y, z, a, b, d, weight, tally, voxel, counters)
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
        deposit = 0.0  # not yet scored in this voxel
        left = 0.0  # of the scattering budget, to the hinge or from it to the step's end

        while energy > cuts.electron:
            # A new step: its budget, where in it the hinge lies, and the next hard collision.
            budget = slowing[material, charge, i, 5]
            if narrow:
                budget = min(budget, slowing[material, charge, i, 4] * density * geo.narrow_length)
            hinge, rng = uniform(rng)
            left = max(0.0, left + hinge * budget)
            ahead_of_hinge = True
            interval, fraction = energy_position(energy)
            low, high = tables.hard_majorant[charge, interval], tables.hard_majorant[charge, interval + 1]
            majorant = low + fraction * (high - low)
            a, rng = uniform(rng)
            to_hard = -math.log(a) / majorant

            while True:
                counters[STEPS] += 1
                distance, face = boundary(geo, cell, x, y, z, u, v, w)
                thickness, event = distance * density, FACE
                if residual - stop < thickness:
                    thickness, event = residual - stop, STOP
                if to_hard < thickness:
                    thickness, event = to_hard, HARD
                to_scatter = left / slowing[material, charge, i, 4]
                if to_scatter < thickness:
                    # kappa_1 rises as the particle slows: take its value midway
                    middle = interval_of_range(slowing, material, charge, i, residual - 0.5 * to_scatter)
                    to_scatter = left / slowing[material, charge, middle, 4]
                    if to_scatter < thickness:
                        thickness, event = to_scatter, SCATTER

                distance = thickness / density
                x, y, z = x + u * distance, y + v * distance, z + w * distance
                residual -= thickness
                i = interval_of_range(slowing, material, charge, i, residual)
                after = energy_of(slowing, material, charge, i, residual)
                deposit += energy - after
                energy = after
                spent = strength
                strength = strength_of(slowing, material, charge, i, residual)
                left -= spent - strength
                to_hard -= thickness

                if event == FACE:
                    score(tally, voxel, deposit * weight)
                    deposit = 0.0
                    cell, within = cross(geo, cell, face, u, v, w)
                    if not within:
                        escape(kind, energy, weight, ESCAPED, counters)
                        return depth, rng
                    voxel = index(geo, cell)
                    was_density, was_material, was_narrow = density, material, narrow
                    density, material, narrow = medium(geo, voxel)
                    if material != was_material:
                        i, residual = range_of(slowing, material, charge, energy)
                        strength = strength_of(slowing, material, charge, i, residual)
                        _, stop = range_of(slowing, material, charge, cuts.electron)
                    if residual <= stop:
                        break
                    if (
                        density > jump * was_density
                        or was_density > jump * density
                        or (narrow and not was_narrow)
                    ):
                        left = 0.0
                        break
                elif event == SCATTER:
                    if not ahead_of_hinge:
                        break
                    place, f = energy_position(energy)
                    eta = tables.eta_index
                    row = eta[material, charge, place]
                    row += f * (eta[material, charge, place + 1] - row)
                    cosine, rng = sample_elastic(budget, row, tables.gs_quantiles, tables.gs_widths, rng)
                    c, s, rng = azimuth(rng)
                    u, v, w = rotate(u, v, w, cosine, c, s)
                    ahead_of_hinge = False
                    left = max(0.0, left + (1.0 - hinge) * budget)
                elif event == HARD:
                    a, rng = uniform(rng)
                    after, u, v, w, depth, rng = hard_event(
                        kind, energy, x, y, z, u, v, w, weight, material, a * majorant,
                        tables, cuts, tally, voxel, stack, depth, counters, rng,
                    )  # fmt: skip
                    if after < energy:
                        energy = after
                        left = 0.0
                        if energy > cuts.electron:
                            i, residual = range_of(slowing, material, charge, energy)
                            strength = strength_of(slowing, material, charge, i, residual)
                        break
                    a, rng = uniform(rng)
                    to_hard = -math.log(a) / majorant
                else:
                    break
            if residual <= stop:
                break

        score(tally, voxel, (deposit + energy) * weight)
        if kind == POSITRON and energy > 0.0:
            depth, rng = annihilate_at_rest(
                stack, depth, x, y, z, weight, cuts.photon, tally, voxel, counters, rng
            )
        return depth, rng

    return transport_electron

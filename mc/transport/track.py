"""The track of a charged particle where there are no faces: how far to the next event, and what it does.

Class II condensed history with a random hinge. Hard collisions (knock-on above the electron cut-off, photon
above the photon cut-off, annihilation) are simulated one by one; the rest is continuous slowing down and
multiple scattering. A step is a budget of scattering strength K: the particle flies straight until a
uniformly drawn part of the budget is spent, is deflected once for the whole of it (Goudsmit-Saunderson), and
flies on until the rest is spent (Sempau, Wilderman and Bielajew, Phys. Med. Biol. 45 (2000) 2263). The next
step's budget is drawn at the hinge, and the flight goes straight on to the next hinge, which spares an event
per step.
"""

from __future__ import annotations

import math

from mc.numerics.jit import njit, njit_inlined
from mc.numerics.rng import uniform
from mc.numerics.sampling import azimuth, energy_position, rotate
from mc.physics.annihilation import sample_annihilation
from mc.physics.bremsstrahlung import sample_bremsstrahlung
from mc.physics.elastic import sample_elastic
from mc.physics.energy_loss import FREE_PATH, energy_of, interval_of_range, strength_of
from mc.physics.moller_bhabha import collision_cosines, sample_bhabha, sample_moller
from mc.transport.particle import ELECTRON

HARD, SCATTER, STOP = range(3)  # events
NOTHING, KNOCK_ON, BREMSSTRAHLUNG, ANNIHILATION = range(4)  # hard collisions
KEPT = 0.8  # a hard collision that leaves less of the energy ends the step


@njit
def begin_step(budget, rest, amid, rng):
    """Strength to the next hinge and from there to the end of its step.

    Parameters
    ----------
    budget : float
        Strength of the step.
    rest : float
        Strength still to be spent of the step before it, its hinge passed.
    amid : bool
        A particle that joins in, just born or out of narrow voxels, finds itself in the midst of a step: only
        so are steps at any phase everywhere, and what begins anew at one place leaves no trace at others.
    """
    a, rng = uniform(rng)
    if amid:
        begun, rng = uniform(rng)
        rest = -begun * budget
        if a < begun:  # that step's hinge lies behind: the next one's comes
            rest += budget
            a, rng = uniform(rng)
    return rest + a * budget, (1.0 - a) * budget, rng


@njit
def sample_to_hard(energy, charge, tables, rng):
    """Mass thickness to the next hard collision [g/cm2], real or not, and the cross section it is drawn from.

    The cross section is no less than that of any material at this or any lower energy.
    """
    i, f = energy_position(energy)
    majorant = tables.hard_majorant[charge, i]
    majorant += f * (tables.hard_majorant[charge, i + 1] - majorant)
    a, rng = uniform(rng)
    return -math.log(a) / majorant, majorant, rng


@njit_inlined
def next_event(slowing, material, charge, i, residual, stop, to_hinge, to_hard):
    """Mass thickness to the next event [g/cm2], and which it is."""
    thickness, event = residual - stop, STOP
    if to_hard < thickness:
        thickness, event = to_hard, HARD
    # kappa_1 rises as the particle slows: by kappa_1 midway, then by what is missing where that leads
    to_hinge = max(0.0, to_hinge)
    to_scatter = to_hinge * slowing[material, charge, i, FREE_PATH]
    middle = interval_of_range(residual - 0.5 * to_scatter)
    to_scatter = to_hinge * slowing[material, charge, middle, FREE_PATH]
    there = interval_of_range(residual - to_scatter)
    now, then = (
        strength_of(slowing, material, charge, i, residual),
        strength_of(slowing, material, charge, there, residual - to_scatter),
    )
    to_scatter += (to_hinge - (now - then)) * slowing[material, charge, there, FREE_PATH]
    if to_scatter < thickness:
        return max(0.0, to_scatter), SCATTER
    return thickness, event


@njit
def spend(slowing, material, charge, residual, strength, to_hinge, to_hard, thickness):
    """Go a mass thickness on [g/cm2].

    Returns
    -------
    i, residual, strength, to_hinge, to_hard
        Interval of the range, and what is left.
    energy : float
        [MeV]
    """
    residual -= thickness
    i = interval_of_range(residual)
    energy = energy_of(slowing, material, charge, i, residual)
    there = strength_of(slowing, material, charge, i, residual)
    return i, residual, there, to_hinge - (strength - there), to_hard - thickness, energy


@njit_inlined
def deflect(energy, charge, material, budget, u, v, w, tables, rng):
    """Turn the direction at the hinge of a step of strength `budget`."""
    i, f = energy_position(energy)
    t = tables.elastic
    row, layer = t[material, charge, i, 0], t[material, charge, i, 1]
    row += f * (t[material, charge, i + 1, 0] - row)
    layer += f * (t[material, charge, i + 1, 1] - layer)
    cosine, rng = sample_elastic(budget, row, layer, tables.gs_quantiles, tables.gs_widths, rng)
    c, s, rng = azimuth(rng)
    u, v, w = rotate(u, v, w, cosine, c, s)
    return u, v, w, rng


@njit_inlined
def sample_hard(kind, energy, u, v, w, material, majorant, tables, cuts, rng):
    """Sample a hard collision.

    Returns
    -------
    collision : int
        NOTHING if the majorant drew a fictitious one.
    energy : float
        Of the particle after it [MeV]; unchanged by ANNIHILATION, which `annihilate` does.
    secondary : float
        Energy of the photon or electron set free [MeV].
    u, v, w, a, b, d : float
        Directions of the particle and of the secondary.
    rng
    """
    charge = kind - 1
    i, f = energy_position(energy)
    t = tables.hard
    choice, rng = uniform(rng)
    choice *= majorant
    total = t[material, charge, i, 0] + f * (t[material, charge, i + 1, 0] - t[material, charge, i, 0])
    if choice >= total:
        return NOTHING, energy, 0.0, u, v, w, u, v, w, rng
    choice /= total
    brems = t[material, charge, i, 1] + f * (t[material, charge, i + 1, 1] - t[material, charge, i, 1])
    knock = t[material, charge, i, 2] + f * (t[material, charge, i + 1, 2] - t[material, charge, i, 2])
    if choice < brems:
        if energy <= cuts.photon:
            return NOTHING, energy, 0.0, u, v, w, u, v, w, rng
        photon, cosine, rng = sample_bremsstrahlung(energy, cuts.photon, tables.brems, material, rng)
        c, s, rng = azimuth(rng)
        a, b, d = rotate(u, v, w, cosine, c, s)
        return BREMSSTRAHLUNG, energy - photon, photon, u, v, w, a, b, d, rng
    if choice >= knock:
        return ANNIHILATION, energy, 0.0, u, v, w, u, v, w, rng
    least = 2.0 * cuts.electron if kind == ELECTRON else cuts.electron
    if energy <= least:
        return NOTHING, energy, 0.0, u, v, w, u, v, w, rng
    if kind == ELECTRON:
        loss, rng = sample_moller(energy, cuts.electron, rng)
    else:
        loss, rng = sample_bhabha(energy, cuts.electron, rng)
    cosine, knocked_cosine = collision_cosines(energy, loss)
    c, s, rng = azimuth(rng)
    a, b, d = rotate(u, v, w, knocked_cosine, -c, -s)
    u, v, w = rotate(u, v, w, cosine, c, s)
    return KNOCK_ON, energy - loss, loss, u, v, w, a, b, d, rng


@njit
def annihilate(energy, u, v, w, rng):
    """Energies [MeV] and directions of the two photons of an annihilation in flight."""
    first, first_cosine, second, second_cosine, rng = sample_annihilation(energy, rng)
    c, s, rng = azimuth(rng)
    a, b, d = rotate(u, v, w, first_cosine, c, s)
    e, f, g = rotate(u, v, w, second_cosine, -c, -s)
    return first, a, b, d, second, e, f, g, rng

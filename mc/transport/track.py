"""The track of a charged particle where there are no faces: how far to the next event, and what it does.

Class II condensed history with a random hinge (Sempau, Wilderman and Bielajew, Phys. Med. Biol. 45 (2000)
2263). Hard collisions are simulated one by one: knock-on electrons above the electron cut-off, photons above
the photon cut-off, annihilation. The rest is continuous slowing down and multiple scattering.

A step has a length in scattering strength, K1. The particle moves straight until a uniformly drawn part
of it is spent, is deflected once for the whole of it (Goudsmit-Saunderson), and moves on until the rest is
spent. The next step is drawn at the hinge already, and the path goes straight on to the next hinge, which
saves one event a step.
"""

from __future__ import annotations

import math

from mc.numerics.columns import (
    FREE_PATH,
    HARD_BREMSSTRAHLUNG,
    HARD_COLLISION,
    HARD_TOTAL,
    SCREENING_ROW,
    SPIN_LAYER,
    node_value,
)
from mc.numerics.jit import njit, njit_inlined
from mc.numerics.rng import uniform
from mc.numerics.sampling import azimuth, energy_position, rotate
from mc.physics.annihilation import sample_annihilation
from mc.physics.bremsstrahlung import sample_bremsstrahlung
from mc.physics.elastic import sample_elastic
from mc.physics.energy_loss import energy_of, interval_of_range, strength_of
from mc.physics.moller_bhabha import collision_cosines, sample_bhabha, sample_moller
from mc.transport.particle import ELECTRON, PHOTON, secondary, with_direction, with_energy

HARD, SCATTER, STOP = range(3)  # events
NOTHING, KNOCK_ON, BREMSSTRAHLUNG, ANNIHILATION = range(4)  # hard collisions
KEPT = 0.8  # a hard collision that leaves less of the energy ends the step


@njit
def begin_step(k1_step, after_hinge, mid_step, rng):
    """Strength to the next hinge and from there to the end of its step, and the rng.

    Parameters
    ----------
    k1_step : float
        Strength of the step.
    after_hinge : float
        Strength still to be spent of the step before it, its hinge passed.
    mid_step : bool
        Whether the particle joins in the middle of a step, as one that is just born does: only so are steps
        at any phase everywhere, and what begins anew at one place leaves no trace at others.
    """
    a, rng = uniform(rng)
    if mid_step:
        begun, rng = uniform(rng)
        after_hinge = -begun * k1_step
        if a < begun:  # that step's hinge is passed: the next one's comes
            after_hinge += k1_step
            a, rng = uniform(rng)
    return after_hinge + a * k1_step, (1.0 - a) * k1_step, rng


@njit
def sample_to_hard(energy, charge, tables, rng):
    """Mass thickness to the next hard collision [g/cm2], real or not, its cross section, and the rng.

    The cross section is no less than that of any material at this or any lower energy.
    """
    i, f = energy_position(energy)
    majorant = tables.hard_majorant[charge, i]
    majorant += f * (tables.hard_majorant[charge, i + 1] - majorant)
    a, rng = uniform(rng)
    return -math.log(a) / majorant, majorant, rng


@njit_inlined
def next_event(slowing, material, charge, i, residual, stop, to_hinge, to_hard):
    """Mass thickness to the next event [g/cm2], and which it is.

    Parameters
    ----------
    slowing : (nm, 2, nr, 6) array
    material, charge : int
    i, residual : int, float
        Residual range and its interval [g/cm2].
    stop : float
        Residual range at the cut-off [g/cm2].
    to_hinge : float
        Scattering strength to the next hinge.
    to_hard : float
        Mass thickness to the next hard collision [g/cm2].
    """
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
def slow_down(slowing, material, charge, residual, strength, to_hinge, to_hard, thickness):
    """Slow down over a mass thickness [g/cm2].

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
def deflect(particle, material, k1, tables, rng):
    """Turn a particle at the hinge of a step of strength `k1`. Returns it, and the rng."""
    charge = particle.kind - 1
    i, f = energy_position(particle.energy)
    row = node_value(tables.elastic, material, charge, i, SCREENING_ROW, f)
    layer = node_value(tables.elastic, material, charge, i, SPIN_LAYER, f)
    cosine, rng = sample_elastic(k1, row, layer, tables.gs_quantiles, tables.gs_widths, rng)
    c, s, rng = azimuth(rng)
    u, v, w = rotate(particle.u, particle.v, particle.w, cosine, c, s)
    return with_direction(particle, u, v, w), rng


@njit_inlined
def sample_hard(particle, material, majorant, tables, cuts, rng):
    """Sample a hard collision.

    Returns
    -------
    collision : int
        NOTHING if the majorant drew a fictitious one.
    particle : Particle
        After it; unchanged by ANNIHILATION, which `annihilate` does.
    secondary : Particle
        The photon or electron emitted; of no meaning for NOTHING and ANNIHILATION.
    rng
    """
    energy, u, v, w = particle.energy, particle.u, particle.v, particle.w
    charge = particle.kind - 1
    i, f = energy_position(energy)
    choice, rng = uniform(rng)
    choice *= majorant
    total = node_value(tables.hard, material, charge, i, HARD_TOTAL, f)
    if choice >= total:
        return NOTHING, particle, particle, rng
    choice /= total
    bremsstrahlung = node_value(tables.hard, material, charge, i, HARD_BREMSSTRAHLUNG, f)
    collision = node_value(tables.hard, material, charge, i, HARD_COLLISION, f)
    if choice < bremsstrahlung:
        if energy <= cuts.photon_cut:
            return NOTHING, particle, particle, rng
        photon, cosine, rng = sample_bremsstrahlung(energy, cuts.photon_cut, tables.brems, material, rng)
        c, s, rng = azimuth(rng)
        a, b, d = rotate(u, v, w, cosine, c, s)
        emitted = secondary(particle, PHOTON, photon, a, b, d)
        return BREMSSTRAHLUNG, with_energy(particle, energy - photon), emitted, rng
    if choice >= collision:
        return ANNIHILATION, particle, particle, rng
    least = 2.0 * cuts.electron_cut if particle.kind == ELECTRON else cuts.electron_cut
    if energy <= least:
        return NOTHING, particle, particle, rng
    if particle.kind == ELECTRON:
        loss, rng = sample_moller(energy, cuts.electron_cut, rng)
    else:
        loss, rng = sample_bhabha(energy, cuts.electron_cut, rng)
    cosine, knocked_cosine = collision_cosines(energy, loss)
    c, s, rng = azimuth(rng)
    a, b, d = rotate(u, v, w, knocked_cosine, -c, -s)
    emitted = secondary(particle, ELECTRON, loss, a, b, d)
    u, v, w = rotate(u, v, w, cosine, c, s)
    return KNOCK_ON, with_energy(with_direction(particle, u, v, w), energy - loss), emitted, rng


@njit
def annihilate(positron, rng):
    """The two photons of an annihilation in flight, and the rng."""
    u, v, w = positron.u, positron.v, positron.w
    first, first_cosine, second, second_cosine, rng = sample_annihilation(positron.energy, rng)
    c, s, rng = azimuth(rng)
    a, b, d = rotate(u, v, w, first_cosine, c, s)
    one = secondary(positron, PHOTON, first, a, b, d)
    a, b, d = rotate(u, v, w, second_cosine, -c, -s)
    return one, secondary(positron, PHOTON, second, a, b, d), rng

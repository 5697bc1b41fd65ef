"""Particles through jaws, leaves or a cone.

**Photons** are traced through the solids (`mc.geometry.collimator`): they pass with the probability of their
attenuation, their weight unchanged. Where one interacts, the photons that come of it are followed likewise,
to any order, until they emerge below, fall under the cut-off or turn back: Compton and Rayleigh scattering
and the annihilation of a pair's positron, at rest where it was born. Deep inside a solid, from where little
returns, and on solids they meet squarely photons play Russian roulette, which changes no mean.

**Charged particles** of the phase space, and Compton electrons of the air, are slowed down and deflected by
the air; a solid stops them. Secondary electrons of the solids stay there, unless the machine file asks for
them (`mc.transport.collimator_electrons`).

Left out: bremsstrahlung from the solids, fluorescence, and photons that turn back up.

Coordinates are those of the beam limiting devices: `collimate` converts what comes in, `emerge` what goes
out.
"""

from __future__ import annotations

import math

from mc.geometry.collimator import LOWER, OPEN, SHUT, UPPER, classify_ray
from mc.numerics.columns import ATTENUATION, COMPTON, PAIR, RAYLEIGH, interval_value
from mc.numerics.constants import ELECTRON_MASS
from mc.numerics.jit import njit, njit_device, njit_inlined
from mc.numerics.rng import uniform
from mc.numerics.sampling import azimuth, energy_position, rotate
from mc.physics.compton import sample_compton
from mc.physics.rayleigh import sample_rayleigh
from mc.transport.collimator_electrons import follow
from mc.transport.particle import (
    ELECTRON,
    PHOTON,
    is_finite,
    moved,
    pop,
    put,
    secondary,
    with_direction,
    with_energy,
    with_weight,
)
from mc.transport.passage import (
    AIR,
    attenuation_in,
    drift,
    emerge,
    free_flight,
    mirrored,
    sample_free_flight,
    survival,
)
from mc.transport.scoring import LOST, OVERFLOWS


@njit
def _interact(photon, material, i, f, tables, rng):
    """Let a photon interact.

    Returns
    -------
    photon : Particle
        The one that goes on; of a pair, one of the two that its positron ends in. Energy 0: none does.
    pair : bool
        Whether a second one goes in the opposite direction.
    electron : Particle
        A Compton electron; energy 0 if there is none.
    rng
    """
    energy, u, v, w = photon.energy, photon.u, photon.v, photon.w
    compton = interval_value(tables.photon, material, i, COMPTON, f)
    rayleigh = interval_value(tables.photon, material, i, RAYLEIGH, f)
    pair = interval_value(tables.photon, material, i, PAIR, f)
    choice, rng = uniform(rng)
    none = secondary(photon, ELECTRON, 0.0, u, v, w)
    if choice < compton:
        scattered, cosine, electron_cosine, rng = sample_compton(energy, tables.incoherent, material, rng)
        c, s, rng = azimuth(rng)
        a, b, d = rotate(u, v, w, electron_cosine, -c, -s)
        electron = secondary(photon, ELECTRON, energy - scattered, a, b, d)
        u, v, w = rotate(u, v, w, cosine, c, s)
        return with_energy(with_direction(photon, u, v, w), scattered), False, electron, rng
    if choice < rayleigh:
        cosine, rng = sample_rayleigh(energy, tables.coherent, material, rng)
        c, s, rng = azimuth(rng)
        u, v, w = rotate(u, v, w, cosine, c, s)
        return with_direction(photon, u, v, w), False, none, rng
    if choice < pair and energy > 2.0 * ELECTRON_MASS:
        a, rng = uniform(rng)
        c, s, rng = azimuth(rng)
        u, v, w = rotate(0.0, 0.0, 1.0, 2.0 * a - 1.0, c, s)
        return with_energy(with_direction(photon, u, v, w), ELECTRON_MASS), True, none, rng
    return with_energy(photon, 0.0), False, none, rng


@njit_device
def _through_air(passage, particle, rng):
    """Send a charged particle through the openings. Returns the rng."""
    k, particle, rng = drift(passage.placed, passage.tables, particle, rng)
    if k < 0 and particle.energy > passage.cuts.electron_cut:
        emerge(passage.emerged, particle, passage.counters)
    return rng


@njit_device
def _through(passage, photon, air, left, survived, rng):
    """Follow a photon, and what comes of it, through solids and air. Returns the rng.

    `air` and `left` are those of its first flight (`mc.transport.passage.free_flight`); `survived`: it has
    survived the roulette of its first interaction.
    """
    placed, tables, cuts = passage.placed, passage.tables, passage.cuts
    emerged, waiting = passage.emerged, passage.waiting
    waiting.depth[0] = 0
    while True:
        while photon.w > 0.0 and photon.energy > cuts.photon_cut:
            if emerged.depth[0] + waiting.depth[0] + 2 > emerged.rows.shape[0]:
                passage.counters[OVERFLOWS] += 1
                return rng
            i, f, k, emerges, photon = free_flight(placed, tables.photon, photon, air, left)
            if emerges:
                emerge(emerged, photon, passage.counters)
                break
            material = AIR
            if k >= 0:
                material = placed.collimator.material[k]
                if not survived:
                    probability = survival(
                        placed, k, photon, attenuation_in(placed.collimator, k, tables.photon, i, f)
                    )
                    a, rng = uniform(rng)
                    if a >= probability:
                        break
                    photon = with_weight(photon, photon.weight / probability)
            photon, pair, electron, rng = _interact(photon, material, i, f, tables, rng)
            if pair:
                put(waiting, with_direction(photon, -photon.u, -photon.v, -photon.w))
            if k < 0 and electron.energy > cuts.electron_cut:
                rng = _through_air(passage, electron, rng)
            survived = False
            air, left, rng = sample_free_flight(rng)
        if waiting.depth[0] == 0:
            return rng
        photon = pop(waiting)
        survived = False
        air, left, rng = sample_free_flight(rng)


@njit_inlined
def collimate(passage, particle, solids, rng):
    """Send a particle through the collimators. Returns the rng.

    Parameters
    ----------
    passage : Passage
        `emerged` is emptied, and holds afterwards what emerges below the last collimator.
    particle : Particle
        Above the collimators in phase-space coordinates: origin at the target, z along the beam, x = X_b and
        y = -Y_b of IEC 61217.
    solids : Context or None
        To follow secondary electrons of the solids with (`mc.transport.collimator_electrons`); without it
        they stay there.
    rng : (uint64, uint64)
    """
    passage.emerged.depth[0] = 0
    if not is_finite(particle):
        passage.counters[LOST] += 1
        return rng
    if particle.w <= 0.0:
        return rng
    placed, tables = passage.placed, passage.tables
    collimator = placed.collimator
    end = (collimator.bottom - particle.z) / particle.w
    particle = mirrored(particle)
    if end <= 0.0:
        emerge(passage.emerged, particle, passage.counters)
        return rng
    air, left, survived = 0.0, 0.0, False
    if particle.kind == PHOTON:
        seen, k = classify_ray(placed, particle)
        i, f = energy_position(particle.energy)
        air, rng = uniform(rng)
        per_cm = collimator.air_density * interval_value(tables.photon, AIR, i, ATTENUATION, f)
        by_air = air < per_cm * end  # it may meet the air
        if seen == OPEN and not by_air:
            emerge(passage.emerged, moved(particle, end), passage.counters)
            return rng
        left, rng = uniform(rng)
        left = -math.log(left)
        if seen == SHUT and not by_air:
            per_cm = attenuation_in(collimator, k, tables.photon, i, f)
            distance = (collimator.measures[k, UPPER] - particle.z) / particle.w + left / per_cm
            there = moved(particle, distance)
            if there.z < collimator.measures[k, LOWER]:  # the solid has no gaps here: there it interacts
                probability = survival(placed, k, there, per_cm)
                a, rng = uniform(rng)
                if a >= probability:
                    return rng
                particle, survived = with_weight(particle, particle.weight / probability), True
    elif solids is None:
        return _through_air(passage, particle, rng)
    if solids is None:
        return _through(passage, particle, air, left, survived, rng)
    return follow(solids, passage.emerged, passage.counters, particle, air, left, survived, rng)

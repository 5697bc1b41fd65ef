"""Particles on their way through jaws, leaves or a cone.

A photon is traced through the solids (`mc.geometry.collimator`): it passes with the probability of its
attenuation, its weight unchanged. Where it interacts, the photons that come of it are followed likewise, to
any order, until they emerge below, fall under the cut-off or turn back: Compton and Rayleigh scattering and
the annihilation of a pair's positron, at rest where it was born. Photons deep inside a solid, from where
little returns, and those that meet one squarely play Russian roulette, which changes no mean. Left out are
what electrons radiate in the solids, fluorescence, and photons that turn back up.

The air around and between the solids scatters as well. Charged particles of the phase space, and the Compton
electrons of the air, are slowed down and deflected by it; a solid stops them. Those that photons set free in
a solid stay in it, unless the machine file asks for them (`mc.transport.freed`).
"""

from __future__ import annotations

import math

from mc.geometry.collimator import DENSITY, LOWER, OPEN, SHUT, UPPER, glance
from mc.numerics.constants import ELECTRON_MASS
from mc.numerics.jit import njit, njit_inlined
from mc.numerics.rng import uniform
from mc.numerics.sampling import azimuth, energy_position, rotate
from mc.physics.compton import sample_compton
from mc.physics.rayleigh import sample_rayleigh
from mc.transport.freed import follow
from mc.transport.particle import ELECTRON, PHOTON
from mc.transport.passage import AIR, chance, draw_clocks, drift, emit, fly
from mc.transport.scoring import LOST, OVERFLOWS

OUT_ROWS, OUT_COLUMNS = 32, 9  # of `out`: room for all that one particle can send out


@njit
def _interact(energy, u, v, w, material, i, f, photon, incoherent, coherent, rng):
    """Let a photon interact.

    Returns
    -------
    energy, u, v, w : float
        Of the photon that goes on; of a pair, one of the two that its positron ends in. Energy 0: none does.
    pair : bool
        Whether a second one flies the opposite way.
    electron, a, b, c : float
        Energy and direction of a Compton electron; energy 0 if there is none.
    rng
    """
    compton = photon[material, i, 1, 0] + f * photon[material, i, 1, 1]
    rayleigh = photon[material, i, 2, 0] + f * photon[material, i, 2, 1]
    pair = photon[material, i, 3, 0] + f * photon[material, i, 3, 1]
    choice, rng = uniform(rng)
    if choice < compton:
        scattered, cosine, electron_cosine, rng = sample_compton(energy, incoherent, material, rng)
        c, s, rng = azimuth(rng)
        a, b, d = rotate(u, v, w, electron_cosine, -c, -s)
        u, v, w = rotate(u, v, w, cosine, c, s)
        return scattered, u, v, w, False, energy - scattered, a, b, d, rng
    if choice < rayleigh:
        cosine, rng = sample_rayleigh(energy, coherent, material, rng)
        c, s, rng = azimuth(rng)
        u, v, w = rotate(u, v, w, cosine, c, s)
        return energy, u, v, w, False, 0.0, u, v, w, rng
    if choice < pair and energy > 2.0 * ELECTRON_MASS:
        a, rng = uniform(rng)
        c, s, rng = azimuth(rng)
        u, v, w = rotate(0.0, 0.0, 1.0, 2.0 * a - 1.0, c, s)
        return ELECTRON_MASS, u, v, w, True, 0.0, u, v, w, rng
    return 0.0, u, v, w, False, 0.0, u, v, w, rng


@njit
def _charged(kind, energy, x, y, z, u, v, w, weight, collimator, jaws, leaves, tables, cut, out, count, rng):
    """Send a charged particle through the openings; device coordinates. Returns the new count and the rng."""
    k, energy, x, y, z, u, v, w, rng = drift(
        kind, energy, x, y, z, u, v, w, collimator, jaws, leaves, tables, rng
    )
    if k < 0 and energy > cut:
        emit(out, count, kind, energy, x, y, z, u, v, w, weight)
        count += 1
    return count, rng


@njit
def _through(
    energy, x, y, z, u, v, w, weight, airy, left, spared,
    collimator, jaws, leaves, tables, cuts, counters, out, rng,
):  # fmt: skip
    """Follow a photon, and what comes of it, through solids and air; device coordinates.

    `airy` and `left` are those of its first flight (`mc.transport.passage.fly`); `spared`: it has survived
    the roulette of its first interaction. Photons that wait are kept at the end of `out`. Returns how many
    particles emerged, and the rng.
    """
    photon = tables.photon
    rows = out.shape[0]
    count, waiting = 0, 0
    while True:
        while w > 0.0 and energy > cuts.photon:
            if count + waiting + 2 > rows:
                counters[OVERFLOWS] += 1
                return count, rng
            i, f, k, emerges, x, y, z = fly(
                energy, x, y, z, u, v, w, airy, left, collimator, jaws, leaves, photon
            )
            if emerges:
                emit(out, count, PHOTON, energy, x, y, z, u, v, w, weight)
                count += 1
                break
            material = AIR
            if k >= 0:
                material = collimator.material[k]
                if not spared:
                    attenuation = photon[material, i, 0, 0] + f * photon[material, i, 0, 1]
                    attenuation *= collimator.measures[k, DENSITY]
                    survives = chance(collimator, k, jaws, leaves, x, y, z, attenuation)
                    a, rng = uniform(rng)
                    if a >= survives:
                        break
                    weight /= survives
            energy, u, v, w, pair, electron, a, b, c, rng = _interact(
                energy, u, v, w, material, i, f, photon, tables.incoherent, tables.coherent, rng
            )
            if pair:
                waiting += 1
                emit(out, rows - waiting, PHOTON, energy, x, y, z, -u, -v, -w, weight)
            if k < 0 and electron > cuts.electron:
                count, rng = _charged(
                    ELECTRON, electron, x, y, z, a, b, c, weight,
                    collimator, jaws, leaves, tables, cuts.electron, out, count, rng,
                )  # fmt: skip
            spared = False
            airy, left, rng = draw_clocks(rng)
        if waiting == 0:
            return count, rng
        row = out[rows - waiting]
        energy, x, y, z, u, v, w, weight = row[1], row[2], -row[3], row[4], row[5], -row[6], row[7], row[8]
        waiting -= 1
        spared = False
        airy, left, rng = draw_clocks(rng)


@njit_inlined
def collimate(
    kind, energy, x, y, z, u, v, w, weight, collimator, jaws, leaves, tables, cuts, counters, out, scrap, rng
):
    """Send a particle through the collimators.

    Parameters
    ----------
    kind, energy, x, y, z, u, v, w, weight
        A particle above the collimators in phase-space coordinates: origin at the target, z along the beam,
        x = X_b and y = -Y_b of IEC 61217 [MeV, cm].
    collimator : Collimator
        From `build_collimator`.
    jaws : (4,) float64
        x1, x2, y1, y2 in the isocentre plane, IEC beam limiting device coordinates [cm].
    leaves : (2 * pairs,) or (0,) float64
        Bank 1, then bank 2, in IEC order and coordinates [cm]; none: the leaves stand aside.
    tables : Tables
        For the materials `build_collimator` was given.
    cuts : Cuts
    counters : (N_COUNTERS,) int64
        Particles lost and overflows are counted.
    out : (m, OUT_COLUMNS) float64
        Rows kind, energy, x, y, z, u, v, w, weight of what emerges below the last collimator; m at least
        OUT_ROWS. Rows beyond are used as well.
    scrap : mc.transport.freed.Scrap or None
        Room to follow what photons set free in the solids; none: it stays there.
    rng : (uint64, uint64)

    Returns
    -------
    count : int
        Rows in use.
    rng
    """
    if not math.isfinite(energy + x + y + z + u + v + w + weight):
        counters[LOST] += 1
        return 0, rng
    if w <= 0.0:
        return 0, rng
    end = (collimator.bottom - z) / w
    if end <= 0.0:
        emit(out, 0, kind, energy, x, -y, z, u, -v, w, weight)
        return 1, rng
    if kind != PHOTON:
        if scrap is not None:
            return follow(
                kind, energy, x, -y, z, u, -v, w, weight, 0.0, 0.0, False,
                collimator, jaws, leaves, tables, cuts, counters, out, scrap, rng,
            )  # fmt: skip
        return _charged(
            kind, energy, x, -y, z, u, -v, w, weight,
            collimator, jaws, leaves, tables, cuts.electron, out, 0, rng,
        )  # fmt: skip
    seen, k = glance(collimator, jaws, leaves, x, -y, z, u, -v, w)
    i, f = energy_position(energy)
    airy, rng = uniform(rng)
    per_cm = collimator.air_density * (tables.photon[AIR, i, 0, 0] + f * tables.photon[AIR, i, 0, 1])
    by_air = airy < per_cm * end  # it may meet the air
    if seen == OPEN and not by_air:
        emit(out, 0, kind, energy, x + u * end, -y - v * end, z + w * end, u, -v, w, weight)
        return 1, rng
    left, rng = uniform(rng)
    left = -math.log(left)
    spared = False
    if seen == SHUT and not by_air:
        m, measures = collimator.material[k], collimator.measures[k]
        per_cm = measures[DENSITY] * (tables.photon[m, i, 0, 0] + f * tables.photon[m, i, 0, 1])
        way = (measures[UPPER] - z) / w + left / per_cm
        if z + way * w < measures[LOWER]:  # the solid has no gaps here: there it interacts
            survives = chance(collimator, k, jaws, leaves, x + way * u, -y - way * v, z + way * w, per_cm)
            a, rng = uniform(rng)
            if a >= survives:
                return 0, rng
            weight, spared = weight / survives, True
    if scrap is not None:
        return follow(
            PHOTON, energy, x, -y, z, u, -v, w, weight, airy, left, spared,
            collimator, jaws, leaves, tables, cuts, counters, out, scrap, rng,
        )  # fmt: skip
    return _through(
        energy, x, -y, z, u, -v, w, weight, airy, left, spared,
        collimator, jaws, leaves, tables, cuts, counters, out, rng,
    )  # fmt: skip

"""Transport of a linac's head: an electron on the target, and all it sets free down to the scoring plane.

Charged particles are those of `mc.transport.electron`, photons are traced from interaction to interaction;
both over the analytic geometry, with directional splitting (`mc.transport.directional`).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from mc.geometry import analytic
from mc.numerics.jit import njit, njit_inlined
from mc.numerics.rng import uniform
from mc.numerics.sampling import (
    BREMS_PER_OCTAVE,
    ENERGY_MAX_EXP,
    ENERGY_MIN_EXP,
    azimuth,
    energy_position,
    octave_position,
    rotate,
)
from mc.transport.directional import (
    annihilate_at_rest,
    annihilate_in_flight,
    direct_compton,
    direct_isotropic,
    direct_rayleigh,
    is_full,
    radiate,
    settle,
)
from mc.transport.electron import Fate, make_electron
from mc.transport.particle import ELECTRON, PHOTON, escape, push
from mc.transport.photon import interact
from mc.transport.scoring import EMITTED, ESCAPED, FLIGHTS, HISTORIES, LOST, N_COUNTERS, OVERFLOWS
from mc.transport.track import deflect

# Counters beyond those of `mc.transport.scoring`: records made, full photons that met the scoring plane and
# their energy [quanta]. Records beyond the room for them are counted under OVERFLOWS.
RECORDS, WIDE, WIDE_ENERGY = range(N_COUNTERS, N_COUNTERS + 3)
N_HEAD_COUNTERS = N_COUNTERS + 3
RECORD_COLUMNS = 9  # kind, energy, x, y, u, v, w, weight, 1 for the first of a history
WEIGHT, NEW = 7, 8
AT = 1e-6  # how near a plane is on it [cm]


class Source(NamedTuple):
    """Electrons that meet the target along the axis.

    energy, sigma : float
        Mean energy and standard deviation of a normal distribution, cut off at `MOST_SIGMAS` [MeV].
    gaussian : bool
        Whether the spot is normal, of standard deviations `a` and `b` in x and y, or a uniform disc of radius
        `a` [cm].
    z : float
        Front of the target [cm].
    """

    energy: float
    sigma: float
    gaussian: bool
    a: float
    b: float
    z: float


class HeadTally(NamedTuple):
    """Deposits (cf. `mc.transport.scoring.Tally`) and the records (n, RECORD_COLUMNS) of a phase space."""

    medium: np.ndarray
    water: np.ndarray
    cut_ratio: np.ndarray
    records: np.ndarray


MOST_SIGMAS = 3.0


@njit
def _normal_pair(rng):
    """Two standard normal numbers (Box and Muller)."""
    c, s, rng = azimuth(rng)
    a, rng = uniform(rng)
    r = math.sqrt(-2.0 * math.log(a))
    return r * c, r * s, rng


@njit
def sample_electron(source, rng):
    """Energy [MeV] and x, y [cm] of an electron on the target, and rng."""
    deviation = 2.0 * MOST_SIGMAS
    while abs(deviation) > MOST_SIGMAS:
        deviation, _, rng = _normal_pair(rng)
    energy = source.energy + source.sigma * deviation
    if source.gaussian:
        x, y, rng = _normal_pair(rng)
        return energy, source.a * x, source.b * y, rng
    c, s, rng = azimuth(rng)
    a, rng = uniform(rng)
    r = source.a * math.sqrt(a)
    return energy, r * c, r * s, rng


@njit
def depart(kind, energy, x, y, z, u, v, w, weight, cuts, tally, stack, depth, counters, rng):
    """Score a particle that meets the scoring plane, turn a charged one at the gate over to the stack.

    Returns stack depth and rng.
    """
    if not math.isfinite(x + y + z + u + v + w + energy):
        counters[LOST] += 1
        return depth, rng
    if w > 0.0 and abs(z - cuts.plane) < AT:
        escape(kind, energy, weight, ESCAPED, counters)
        if is_full(weight, cuts):
            counters[WIDE] += 1
            escape(kind, energy, weight, WIDE_ENERGY, counters)
            if not cuts.wide:
                return depth, rng
        n = counters[RECORDS]
        if n == tally.records.shape[0]:
            counters[OVERFLOWS] += 1
            return depth, rng
        row = tally.records[n]
        row[0], row[1], row[2], row[3], row[4] = kind, energy, x, y, u
        row[5], row[6], row[7], row[NEW] = v, w, weight, 0.0
        counters[RECORDS] = n + 1
        return depth, rng
    if kind != PHOTON and abs(z - cuts.gate) < AT:
        first = depth
        z = cuts.gate if w > 0.0 else cuts.gate - AT
        depth = push(stack, depth, kind, energy, x, y, z, u, v, w, weight, tally, 0, counters)
        if w > 0.0:
            return depth, rng
        return settle(stack, first, depth, depth, False, cuts, counters, rng)
    escape(kind, energy, weight, ESCAPED, counters)
    return depth, rng


@njit_inlined
def deflect_widely(energy, charge, material, budget, u, v, w, tables, rng):
    """Turn at a hinge, with the large angles of heavy elements (`mc.tables.large_angles`)."""
    row, f = octave_position(energy, ENERGY_MIN_EXP, ENERGY_MAX_EXP, BREMS_PER_OCTAVE)
    t = tables.large_angles
    share = t[material, row, 0] + f * (t[material, row + 1, 0] - t[material, row, 0])
    mean = budget * (t[material, row, 1] + f * (t[material, row + 1, 1] - t[material, row, 1]))
    u, v, w, rng = deflect(energy, charge, material, budget * share, u, v, w, tables, rng)
    a, rng = uniform(rng)
    none = math.exp(-mean)
    while a > none:  # Knuth's way to a Poisson number
        b, rng = uniform(rng)
        place = b * (t.shape[2] - 3)
        i = int(place)
        mu = t[material, row, 2 + i] + (place - i) * (t[material, row, 3 + i] - t[material, row, 2 + i])
        c, s, rng = azimuth(rng)
        u, v, w = rotate(u, v, w, 1.0 - 2.0 * mu, c, s)
        b, rng = uniform(rng)
        a *= b
    return u, v, w, rng


_transport_electron = make_electron(
    analytic, analytic.JUMP, Fate(deflect_widely, radiate, annihilate_in_flight, annihilate_at_rest, depart)
)


@njit_inlined
def transport_photon(
    energy, x, y, z, u, v, w, weight, geo, tables, norms, cuts, tally, stack, depth, counters, rng
):
    """Follow a photon to its next interaction, or out. Returns stack depth and rng."""
    counters[FLIGHTS] += 1
    i, f = energy_position(energy)
    t = tables.photon
    a, rng = uniform(rng)
    left = -math.log(a)
    cell = analytic.locate(geo, x, y, z)
    while True:
        voxel = analytic.index(geo, cell)
        density, material, _ = analytic.medium(geo, voxel)
        attenuation = density * (t[material, i, 0, 0] + f * t[material, i, 0, 1])
        distance, face = analytic.boundary(geo, cell, x, y, z, u, v, w)
        if left < distance * attenuation:
            break
        left -= distance * attenuation
        x, y, z = x + u * distance, y + v * distance, z + w * distance
        cell, within = analytic.cross(geo, cell, analytic.beyond(face), u, v, w)
        if not within:
            return depart(PHOTON, energy, x, y, z, u, v, w, weight, cuts, tally, stack, depth, counters, rng)
    distance = left / attenuation
    x, y, z = x + u * distance, y + v * distance, z + w * distance
    choice, rng = uniform(rng)
    first, full = depth, is_full(weight, cuts)
    depth, rng = interact(
        energy, x, y, z, u, v, w, weight, material, voxel, choice,
        tables, cuts, tally, stack, depth, counters, rng,
    )  # fmt: skip
    last = depth
    if full and choice < t[material, i, 1, 0] + f * t[material, i, 1, 1]:
        norm = norms[material, i, 0] + f * (norms[material, i + 1, 0] - norms[material, i, 0])
        depth, rng = direct_compton(
            energy, x, y, z, u, v, w, weight, material, tables.incoherent, norm,
            cuts, tally, voxel, stack, depth, counters, rng,
        )  # fmt: skip
    elif full and choice < t[material, i, 2, 0] + f * t[material, i, 2, 1]:
        norm = norms[material, i, 1] + f * (norms[material, i + 1, 1] - norms[material, i, 1])
        depth, rng = direct_rayleigh(
            energy, x, y, z, u, v, w, weight, material, tables.coherent, norm,
            cuts, tally, voxel, stack, depth, counters, rng,
        )  # fmt: skip
    elif full:  # photons of fluorescence, or of a positron that stopped at once
        for k in range(first, last):
            if stack[k, 0] == PHOTON:
                depth, rng = direct_isotropic(
                    stack[k, 1], x, y, z, weight, cuts, tally, voxel, stack, depth, counters, rng
                )
    return settle(stack, first, last, depth, full, cuts, counters, rng)


@njit
def split_charged(kind, energy, x, y, z, u, v, w, weight, cuts, tally, stack, depth, counters, rng):
    """Put N light copies of a full charged particle on the stack. Returns stack depth and rng."""
    for _ in range(cuts.number):
        c, s = 1.0, 0.0
        if cuts.symmetric:
            c, s, rng = azimuth(rng)
        depth = push(
            stack, depth, kind, energy, c * x - s * y, s * x + c * y, z, c * u - s * v, s * u + c * v, w,
            weight * cuts.share, tally, 0, counters,
        )  # fmt: skip
    return depth, rng


@njit_inlined
def transport_history(source, geo, tables, norms, cuts, tally, stack, counters, rng):
    """Transport an electron on the target and all it sets free."""
    energy, x, y, rng = sample_electron(source, rng)
    counters[HISTORIES] += 1
    escape(ELECTRON, energy, 1.0, EMITTED, counters)
    depth = push(stack, 0, ELECTRON, energy, x, y, source.z, 0.0, 0.0, 1.0, 1.0, tally, 0, counters)
    while depth > 0:
        depth -= 1
        kind = int(stack[depth, 0])
        energy, weight = stack[depth, 1], stack[depth, 8]
        x, y, z = stack[depth, 2], stack[depth, 3], stack[depth, 4]
        u, v, w = stack[depth, 5], stack[depth, 6], stack[depth, 7]
        if not math.isfinite(energy + weight + x + y + z + u + v + w):
            counters[LOST] += 1
        elif kind == PHOTON:
            depth, rng = transport_photon(
                energy, x, y, z, u, v, w, weight, geo, tables, norms, cuts, tally, stack, depth, counters, rng
            )
        elif z >= cuts.gate and is_full(weight, cuts):
            depth, rng = split_charged(
                kind, energy, x, y, z, u, v, w, weight, cuts, tally, stack, depth, counters, rng
            )
        else:
            depth, rng = _transport_electron(
                kind, energy, x, y, z, u, v, w, weight, geo, tables, cuts, tally, stack, depth, counters, rng
            )

"""Transport of a linac's head: an electron on the target, and all its secondaries down to the scoring plane.

Charged particles are those of `mc.transport.electron`, photons are traced from interaction to interaction;
both over the analytic geometry, with directional splitting (`mc.transport.directional`).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from mc.geometry import analytic
from mc.numerics.columns import (
    ATTENUATION,
    COMPTON,
    FIRST_QUANTILE,
    LARGE_ANGLE_RATE,
    RAYLEIGH,
    SMALL_ANGLES,
    interval_value,
)
from mc.numerics.jit import njit, njit_device, njit_inlined
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
    apply_splitting,
    direct_compton,
    direct_isotropic,
    direct_rayleigh,
    is_fat,
    radiate,
)
from mc.transport.electron import Callbacks, make_electron
from mc.transport.particle import (
    ELECTRON,
    ENERGY,
    KIND,
    PHOTON,
    Particle,
    is_finite,
    moved,
    pop,
    push,
    tally_energy,
    turned,
    with_direction,
    with_weight,
)
from mc.transport.photon import interact
from mc.transport.scoring import EMITTED, ESCAPED, FLIGHTS, HISTORIES, LOST, N_COUNTERS, OVERFLOWS
from mc.transport.track import deflect

# Counters besides those of `mc.transport.scoring`: records made, fat photons that met the scoring plane and
# their energy [quanta]. Records that there is no space for are counted under OVERFLOWS.
RECORDS, OUTSIDE_FIELD, OUTSIDE_FIELD_ENERGY = range(N_COUNTERS, N_COUNTERS + 3)
N_HEAD_COUNTERS = N_COUNTERS + 3
RECORD_COLUMNS = 9  # kind, energy, x, y, u, v, w, weight, 1 for the first of a history
WEIGHT, NEW = 7, 8
AT = 1e-6  # how near a plane is on it [cm]
MAX_SIGMAS = 3.0


class Source(NamedTuple):
    """Electrons that meet the target along the axis.

    Attributes
    ----------
    energy, sigma : float
        Mean energy and standard deviation of a normal distribution, cut off at `MAX_SIGMAS` [MeV].
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
    add: Any
    records: np.ndarray


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
    deviation = 2.0 * MAX_SIGMAS
    while abs(deviation) > MAX_SIGMAS:
        deviation, _, rng = _normal_pair(rng)
    energy = source.energy + source.sigma * deviation
    if source.gaussian:
        x, y, rng = _normal_pair(rng)
        return energy, source.a * x, source.b * y, rng
    c, s, rng = azimuth(rng)
    a, rng = uniform(rng)
    r = source.a * math.sqrt(a)
    return energy, r * c, r * s, rng


@njit_device
def on_exit(ctx, particle, rng):
    """Score a particle on the scoring plane; put a charged one at the splitting plane back on the stack.

    Returns the rng.
    """
    cuts, counters = ctx.cuts, ctx.counters
    kind, energy, x, y, z, u, v, w, weight = particle
    if not math.isfinite(x + y + z + u + v + w + energy):
        counters[LOST] += 1
        return rng
    if w > 0.0 and abs(z - cuts.scoring_plane) < AT:
        tally_energy(particle, ESCAPED, counters)
        if is_fat(weight, cuts):
            counters[OUTSIDE_FIELD] += 1
            tally_energy(particle, OUTSIDE_FIELD_ENERGY, counters)
            if not cuts.keep_outside_field:
                return rng
        n = counters[RECORDS]
        if n == ctx.tally.records.shape[0]:
            counters[OVERFLOWS] += 1
            return rng
        row = ctx.tally.records[n]
        row[0], row[1], row[2], row[3], row[4] = kind, energy, x, y, u
        row[5], row[6], row[WEIGHT], row[NEW] = v, w, weight, 0.0
        counters[RECORDS] = n + 1
        return rng
    if kind != PHOTON and abs(z - cuts.splitting_plane) < AT:
        first = ctx.stack.depth[0]
        z = cuts.splitting_plane if w > 0.0 else cuts.splitting_plane - AT
        push(ctx, Particle(kind, energy, x, y, z, u, v, w, weight), 0)
        if w > 0.0:
            return rng
        return apply_splitting(ctx, first, ctx.stack.depth[0], False, rng)
    tally_energy(particle, ESCAPED, counters)
    return rng


@njit_inlined
def deflect_by_large_angles(particle, material, k1, tables, rng):
    """Turn at a hinge, with the large angles of heavy elements (`mc.tables.large_angles`); see `deflect`."""
    row, f = octave_position(particle.energy, ENERGY_MIN_EXP, ENERGY_MAX_EXP, BREMS_PER_OCTAVE)
    t = tables.large_angles
    low, high = t[material, row, SMALL_ANGLES], t[material, row + 1, SMALL_ANGLES]
    share = low + f * (high - low)
    low, high = t[material, row, LARGE_ANGLE_RATE], t[material, row + 1, LARGE_ANGLE_RATE]
    mean = k1 * (low + f * (high - low))
    particle, rng = deflect(particle, material, k1 * share, tables, rng)
    a, rng = uniform(rng)
    none = math.exp(-mean)
    while a > none:  # a Poisson number by Knuth's method
        b, rng = uniform(rng)
        place = b * (t.shape[2] - FIRST_QUANTILE - 1)
        i = int(place)
        low, high = t[material, row, FIRST_QUANTILE + i], t[material, row, FIRST_QUANTILE + 1 + i]
        mu = low + (place - i) * (high - low)
        c, s, rng = azimuth(rng)
        u, v, w = rotate(particle.u, particle.v, particle.w, 1.0 - 2.0 * mu, c, s)
        particle = with_direction(particle, u, v, w)
        b, rng = uniform(rng)
        a *= b
    return particle, rng


_transport_electron = make_electron(
    analytic,
    analytic.JUMP,
    Callbacks(deflect_by_large_angles, radiate, annihilate_in_flight, annihilate_at_rest, on_exit),
)


@njit_inlined
def transport_photon(ctx, photon, rng):
    """Follow a photon to its next interaction, or out. Returns the rng."""
    geo, t, norms = ctx.geo, ctx.tables.photon, ctx.norms
    ctx.counters[FLIGHTS] += 1
    i, f = energy_position(photon.energy)
    a, rng = uniform(rng)
    left = -math.log(a)
    cell = analytic.locate(geo, photon.x, photon.y, photon.z)
    while True:
        voxel = analytic.index(geo, cell)
        density, material, _ = analytic.medium(geo, voxel)
        attenuation = density * interval_value(t, material, i, ATTENUATION, f)
        distance, face = analytic.boundary(
            geo, cell, photon.x, photon.y, photon.z, photon.u, photon.v, photon.w
        )
        if left < distance * attenuation:
            break
        left -= distance * attenuation
        photon = moved(photon, distance)
        cell, inside = analytic.cross(geo, cell, analytic.region_behind(face), photon.u, photon.v, photon.w)
        if not inside:
            return on_exit(ctx, photon, rng)
    photon = moved(photon, left / attenuation)
    choice, rng = uniform(rng)
    first, fat = ctx.stack.depth[0], is_fat(photon.weight, ctx.cuts)
    rng = interact(ctx, photon, material, voxel, choice, rng)
    last = ctx.stack.depth[0]
    if fat and choice < interval_value(t, material, i, COMPTON, f):
        norm = norms[material, i, 0] + f * (norms[material, i + 1, 0] - norms[material, i, 0])
        rng = direct_compton(ctx, photon, material, norm, voxel, rng)
    elif fat and choice < interval_value(t, material, i, RAYLEIGH, f):
        norm = norms[material, i, 1] + f * (norms[material, i + 1, 1] - norms[material, i, 1])
        rng = direct_rayleigh(ctx, photon, material, norm, voxel, rng)
    elif fat:  # photons of fluorescence, or of a positron that stopped at once
        rows = ctx.stack.rows
        for k in range(first, last):
            if rows[k, KIND] == PHOTON:
                rng = direct_isotropic(ctx, photon, rows[k, ENERGY], voxel, rng)
    return apply_splitting(ctx, first, last, fat, rng)


@njit_device
def split_charged(ctx, particle, rng):
    """Put N split copies of a fat charged particle on the stack. Returns the rng."""
    for _ in range(ctx.cuts.number):
        c, s = 1.0, 0.0
        if ctx.cuts.symmetric:
            c, s, rng = azimuth(rng)
        push(ctx, with_weight(turned(particle, c, s), particle.weight * ctx.cuts.share), 0)
    return rng


@njit_inlined
def transport_history(ctx, source, rng):
    """Transport an electron on the target and all its secondaries (SHOWER of EGSnrc)."""
    energy, x, y, rng = sample_electron(source, rng)
    ctx.counters[HISTORIES] += 1
    electron = Particle(ELECTRON, energy, x, y, source.z, 0.0, 0.0, 1.0, 1.0)
    tally_energy(electron, EMITTED, ctx.counters)
    ctx.stack.depth[0] = 0
    push(ctx, electron, 0)
    while ctx.stack.depth[0] > 0:
        particle = pop(ctx.stack)
        if not is_finite(particle):
            ctx.counters[LOST] += 1
        elif particle.kind == PHOTON:
            rng = transport_photon(ctx, particle, rng)
        elif particle.z >= ctx.cuts.splitting_plane and is_fat(particle.weight, ctx.cuts):
            rng = split_charged(ctx, particle, rng)
        else:
            rng = _transport_electron(ctx, particle, rng)

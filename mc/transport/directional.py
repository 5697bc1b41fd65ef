"""Directional bremsstrahlung splitting (DBS): many split photons into the field, few fat ones elsewhere.

After Kawrakow, Rogers and Walters, Med. Phys. 31 (2004) 2883, in the terms of BEAMnrc, with samplers of its
own. A particle is *fat*, of weight 1, or *split*, of weight 1/N. The splitting field is a disc about the
axis; a photon is *aimed* if it is directed at it.

- **Photons** are split if aimed, and fat otherwise. Charged particles are transported analogue and fat.
- **Emitted by a fat particle** (bremsstrahlung, Compton and Rayleigh scattering, annihilation, fluorescence):
  BEAMnrc makes N photons of weight 1/N and plays roulette at 1/N with those not aimed. Here the analogue
  photon stands for the latter: it is kept if it is not aimed and dropped if it is. Of the former only those
  are sampled that may hit the field (`mc.physics.directed`), so the time does not grow with N.
- **Emitted by a split photon**: an aimed photon is split; all else plays roulette at 1/N and becomes fat.
- **Below the splitting plane**, a height above the parts that contaminating electrons come from, charged
  particles are split too. A fat one that is emitted there or comes through is split into N, turned about the
  axis by random angles where source and head are symmetric. Those of split photons are kept. One that goes
  back up through the plane plays roulette.

So every particle of weight 1 below the splitting plane is a photon outside the splitting field. What roulette
and splitting take and give is tallied under ROULETTE: its expectation is zero, and emitted = deposited +
escaped + ROULETTE is exact.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from mc.numerics.constants import ELECTRON_MASS
from mc.numerics.jit import njit, njit_device, njit_inlined
from mc.numerics.rng import uniform
from mc.numerics.sampling import azimuth, rotate
from mc.physics.bremsstrahlung import sample_bremsstrahlung
from mc.physics.directed import (
    compton_share,
    dipole_share,
    rayleigh_share,
    try_compton,
    try_dipole,
    try_rayleigh,
)
from mc.physics.koch_motz import dipole_variable, koch_motz_factor, largest_factor, sample_koch_motz
from mc.transport import secondaries
from mc.transport.particle import (
    PHOTON,
    WEIGHT,
    particle_at,
    push,
    secondary,
    tally_energy,
    with_weight,
)
from mc.transport.scoring import ROULETTE
from mc.transport.secondaries import emit_photon
from mc.transport.track import annihilate

MIN_SINE = 1e-6  # of an angle below which a direction has no side


class HeadCuts(NamedTuple):
    """Absorption energies [MeV] and directional splitting; cf. `mc.transport.context.Cuts`.

    Attributes
    ----------
    number : int
        N; 1 is analogue transport.
    share : float
        1/N.
    radius, field : float
        Of the splitting field, and its height [cm].
    splitting_plane, scoring_plane : float
        Heights [cm].
    symmetric : bool
        Whether source and head are, about the axis.
    keep_outside_field : bool
        Whether fat photons are scored.
    """

    electron_cut: float
    photon_cut: float
    range_rejection: float
    number: int
    share: float
    radius: float
    field: float
    splitting_plane: float
    scoring_plane: float
    symmetric: bool
    keep_outside_field: bool
    photon_split: int = 1
    track_repeat: int = 1


class HeadContext(NamedTuple):
    """What the transport of a head works on; cf. `mc.transport.context.Context`.

    Attributes
    ----------
    geo : mc.geometry.analytic.Analytic
    tables : mc.tables.large_angles.HeadTables
    norms : (nm, ne, 2) float64
        Of Compton and Rayleigh scattering: `mc.physics.directed.norms`.
    cuts : HeadCuts
    tally : mc.transport.head.HeadTally
    stack : mc.transport.particle.Stack
    counters : (N_HEAD_COUNTERS,) int64
    """

    geo: Any
    tables: Any
    norms: np.ndarray
    cuts: Any
    tally: Any
    stack: Any
    counters: np.ndarray


class Window(NamedTuple):
    """Directions from a point that may hit the splitting field, about a direction (u, v, w).

    Attributes
    ----------
    low, high : float
        Bounds of the polar cosine.
    half : float
        Of the azimuth to either side of the unit vector (a, b, c), which is normal to (u, v, w).
    """

    low: float
    high: float
    half: float
    a: float
    b: float
    c: float


@njit
def is_fat(weight, cuts):
    """Whether a particle carries a weight of 1, in transport with splitting."""
    return weight > 1.5 * cuts.share


@njit
def is_aimed(particle, cuts):
    """Whether a particle is directed at the splitting field."""
    if particle.w <= 0.0:
        return False
    distance = (cuts.field - particle.z) / particle.w
    a, b = particle.x + particle.u * distance, particle.y + particle.v * distance
    return distance >= 0.0 and a * a + b * b < cuts.radius * cuts.radius


@njit
def window(particle, cuts):
    """The `Window` from where a particle is, about its direction.

    The ball about the field has the angular radius asin(R/d).
    """
    u, v, w = particle.u, particle.v, particle.w
    to = cuts.field - particle.z
    distance = math.sqrt(particle.x * particle.x + particle.y * particle.y + to * to)
    if distance <= cuts.radius:
        return Window(-1.0, 1.0, math.pi, *_normal(u, v, w))
    sine = cuts.radius / distance
    cosine = math.sqrt((1.0 - sine) * (1.0 + sine))
    a, b, c = -particle.x / distance, -particle.y / distance, to / distance
    along = a * u + b * v + c * w
    a, b, c = a - along * u, b - along * v, c - along * w
    off = math.sqrt(a * a + b * b + c * c)
    low = along * cosine - off * sine if along > -cosine else -1.0
    high = along * cosine + off * sine if along < cosine else 1.0
    if off < MIN_SINE:
        return Window(max(-1.0, low), min(1.0, high), math.pi, *_normal(u, v, w))
    half = math.asin(sine / off) if off > sine and abs(along) < cosine else math.pi
    return Window(max(-1.0, low), min(1.0, high), half, a / off, b / off, c / off)


@njit
def _normal(u, v, w):
    """A unit vector normal to (u, v, w)."""
    if abs(w) < 0.7:
        norm = math.sqrt(u * u + v * v)
        return v / norm, -u / norm, 0.0
    norm = math.sqrt(v * v + w * w)
    return 0.0, w / norm, -v / norm


@njit
def _in_window(particle, cosine, aim, rng):
    """A direction at a polar cosine about that of a particle, at a uniform azimuth of the window; the rng."""
    u, v, w = particle.u, particle.v, particle.w
    a, b, c = aim.a, aim.b, aim.c
    number, rng = uniform(rng)
    phi = aim.half * (2.0 * number - 1.0)
    sine = math.sqrt(max(0.0, (1.0 - cosine) * (1.0 + cosine)))
    p, q = sine * math.cos(phi), sine * math.sin(phi)
    d, e, f = v * c - w * b, w * a - u * c, u * b - v * a
    u, v, w = (u * cosine + a * p + d * q, v * cosine + b * p + e * q, w * cosine + c * p + f * q)
    norm = 1.5 - 0.5 * (u * u + v * v + w * w)
    return u * norm, v * norm, w * norm, rng


@njit
def _tries(share, half, cuts, rng):
    """Number of tries whose mean is that part of N that falls into the window, and the rng."""
    number, rng = uniform(rng)
    return int(cuts.number * share * half / math.pi + number), rng


@njit_device
def _push_if_aimed(ctx, photon, voxel):
    """Put a fat photon on the stack as a split one, if it is above the cut-off and hits the field."""
    if photon.energy <= ctx.cuts.photon_cut or not is_aimed(photon, ctx.cuts):
        return
    photon = with_weight(photon, photon.weight * ctx.cuts.share)
    tally_energy(with_weight(photon, -photon.weight), ROULETTE, ctx.counters)
    push(ctx, photon, voxel)


@njit_device
def direct_bremsstrahlung(ctx, electron, material, voxel, rng):
    """Bremsstrahlung into the field, of a fat electron. Returns the rng."""
    energy, cuts, atomic_number = electron.energy, ctx.cuts, ctx.tables.z_pair[material]
    aim = window(electron, cuts)
    share, start, width = dipole_share(energy, aim.low, aim.high)
    largest = largest_factor(dipole_variable(energy, aim.low))
    tries, rng = _tries(share * largest, aim.half, cuts, rng)
    for _ in range(tries):
        cosine, rng = try_dipole(energy, start, width, rng)
        u, v, w, rng = _in_window(electron, cosine, aim, rng)
        if is_aimed(secondary(electron, PHOTON, energy, u, v, w), cuts):
            photon, _, rng = sample_bremsstrahlung(energy, cuts.photon_cut, ctx.tables.brems, material, rng)
            number, rng = uniform(rng)
            xi = dipole_variable(energy, cosine)
            if number * largest < koch_motz_factor(xi, energy, photon, atomic_number):
                _push_if_aimed(ctx, secondary(electron, PHOTON, photon, u, v, w), voxel)
    return rng


@njit_device
def direct_compton(ctx, photon, material, norm, voxel, rng):
    """Compton photons into the field. Returns the rng."""
    incoherent, aim = ctx.tables.incoherent, window(photon, ctx.cuts)
    share, smallest, largest = compton_share(photon.energy, aim.low, aim.high, norm)
    tries, rng = _tries(share, aim.half, ctx.cuts, rng)
    for _ in range(tries):
        scattered, cosine, rng = try_compton(photon.energy, smallest, largest, incoherent, material, rng)
        if scattered > 0.0:
            u, v, w, rng = _in_window(photon, cosine, aim, rng)
            _push_if_aimed(ctx, secondary(photon, PHOTON, scattered, u, v, w), voxel)
    return rng


@njit_device
def direct_rayleigh(ctx, photon, material, norm, voxel, rng):
    """Rayleigh scattered photons into the field. Returns the rng."""
    coherent, aim = ctx.tables.coherent, window(photon, ctx.cuts)
    share, start, width = rayleigh_share(photon.energy, aim.low, aim.high, coherent, material, norm)
    tries, rng = _tries(share, aim.half, ctx.cuts, rng)
    for _ in range(tries):
        passed, cosine, rng = try_rayleigh(photon.energy, start, width, coherent, material, rng)
        if passed:
            u, v, w, rng = _in_window(photon, cosine, aim, rng)
            _push_if_aimed(ctx, secondary(photon, PHOTON, photon.energy, u, v, w), voxel)
    return rng


@njit_device
def direct_isotropic(ctx, parent, energy, voxel, rng):
    """Isotropic photons of an energy [MeV] from where `parent` is, those into the field. Returns the rng."""
    upright = secondary(parent, PHOTON, energy, 0.0, 0.0, 1.0)
    aim = window(upright, ctx.cuts)
    low, high = aim.low, aim.high
    tries, rng = _tries(0.5 * (high - low), aim.half, ctx.cuts, rng)
    for _ in range(tries):
        number, rng = uniform(rng)
        u, v, w, rng = _in_window(upright, low + number * (high - low), aim, rng)
        _push_if_aimed(ctx, secondary(parent, PHOTON, energy, u, v, w), voxel)
    return rng


@njit_device
def apply_splitting(ctx, first, last, fat, rng):
    """Weigh the secondaries of a fat or a split parent, rows `first` to `last` of the stack. Returns the rng.

    Fat parent: aimed photons are removed, for others were sampled in their place. Split parent: all but those
    photons, and charged particles below the splitting plane, play roulette.
    """
    cuts, counters, stack = ctx.cuts, ctx.counters, ctx.stack
    for k in range(last - 1, first - 1, -1):
        particle = particle_at(stack, k)
        aimed = particle.kind == PHOTON and is_aimed(particle, cuts)
        removed = fat and aimed
        if not fat and not aimed and (particle.kind == PHOTON or particle.z < cuts.splitting_plane):
            number, rng = uniform(rng)
            removed = number >= cuts.share
            if not removed:
                gain = with_weight(particle, -particle.weight * (cuts.number - 1))
                tally_energy(gain, ROULETTE, counters)
                stack.rows[k, WEIGHT] *= cuts.number
        if removed:
            tally_energy(particle, ROULETTE, counters)
            stack.depth[0] -= 1
            for column in range(stack.rows.shape[1]):
                stack.rows[k, column] = stack.rows[stack.depth[0], column]
    return rng


@njit_inlined
def radiate(ctx, electron, photon, material, voxel, rng):
    """Bremsstrahlung, its direction by Koch and Motz; see `mc.transport.electron.radiate`."""
    first, fat = ctx.stack.depth[0], is_fat(electron.weight, ctx.cuts)
    cosine, rng = sample_koch_motz(electron.energy, photon.energy, ctx.tables.z_pair[material], rng)
    c, s, rng = azimuth(rng)
    u, v, w = rotate(electron.u, electron.v, electron.w, cosine, c, s)
    push(ctx, secondary(electron, PHOTON, photon.energy, u, v, w), voxel)
    last = ctx.stack.depth[0]
    if fat:
        rng = direct_bremsstrahlung(ctx, electron, material, voxel, rng)
    return apply_splitting(ctx, first, last, fat, rng)


@njit_device
def annihilate_in_flight(ctx, positron, voxel, rng):
    """Annihilation in flight, which is rare: of a fat positron N times over, those into the field kept."""
    first, fat = ctx.stack.depth[0], is_fat(positron.weight, ctx.cuts)
    one, other, rng = annihilate(positron, rng)
    rng = emit_photon(ctx, one, voxel, rng)
    rng = emit_photon(ctx, other, voxel, rng)
    last = ctx.stack.depth[0]
    if fat:
        for _ in range(ctx.cuts.number):
            one, other, rng = annihilate(positron, rng)
            _push_if_aimed(ctx, one, voxel)
            _push_if_aimed(ctx, other, voxel)
    return apply_splitting(ctx, first, last, fat, rng)


@njit_device
def annihilate_at_rest(ctx, positron, voxel, rng):
    """Annihilation at rest; see `mc.transport.secondaries.annihilate_at_rest`."""
    first, fat = ctx.stack.depth[0], is_fat(positron.weight, ctx.cuts)
    rng = secondaries.annihilate_at_rest(ctx, positron, voxel, rng)
    last = ctx.stack.depth[0]
    if fat:
        for _ in range(2):
            rng = direct_isotropic(ctx, positron, ELECTRON_MASS, voxel, rng)
    return apply_splitting(ctx, first, last, fat, rng)

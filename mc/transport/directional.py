"""Directional bremsstrahlung splitting (DBS): many light photons into the field, few full ones elsewhere.

After Kawrakow, Rogers and Walters, Med. Phys. 31 (2004) 2883, with samplers of its own. Weights are 1 (full)
or 1/N (light). The shower of charged particles is analogue and full; a photon is light if it flies towards
the splitting field, a disc about the axis, and full otherwise:

- Where a full particle sets a photon free (bremsstrahlung, Compton and Rayleigh scattering, annihilation,
  fluorescence), N photons of weight 1/N would be made and those that fly past the field played roulette at
  1/N. In place of the latter the analogue photon is kept if it flies past the field and dropped if not; of
  the former only those are sampled that may hit the field (`mc.physics.directed`), so the time does not grow
  with N.
- What a light photon sets free is light if it is a photon towards the field; all else plays roulette at 1/N
  and becomes full.
- Below the *gate*, a plane before the parts that contaminating electrons come from, charged particles are
  light too: a full one that is set free there or comes through is split into N (turned about the axis by
  random angles where source and head are symmetric), those of light photons are kept, and one that goes back
  up through the gate plays roulette.

So every particle of weight 1 below the gate is a photon past the field. What roulette and splitting take and
give is booked under ROULETTE: its expectation is zero, and emitted = deposited + escaped + ROULETTE is exact.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from mc.numerics.constants import ELECTRON_MASS
from mc.numerics.jit import njit, njit_inlined
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
from mc.transport import particle
from mc.transport.particle import PHOTON, escape, push, release_photon
from mc.transport.scoring import ROULETTE
from mc.transport.track import annihilate

NARROWEST = 1e-6  # sine of an angle below which a direction has no side


class HeadCuts(NamedTuple):
    """Absorption energies [MeV] and directional splitting; cf. `mc.transport.history.Cuts`.

    number : int
        N; 1 is analogue transport.
    share : float
        1/N.
    radius, field : float
        Of the splitting field, and its height [cm].
    gate, plane : float
        Heights of the gate and of the scoring plane [cm].
    symmetric : bool
        Whether source and head are, about the axis.
    wide : bool
        Whether full photons are scored.
    """

    electron: float
    photon: float
    save: float
    number: int
    share: float
    radius: float
    field: float
    gate: float
    plane: float
    symmetric: bool
    wide: bool
    split: int = 1
    repeat: int = 1


@njit
def is_full(weight, cuts):
    """Whether a particle carries a full weight, in transport with splitting."""
    return weight > 1.5 * cuts.share


@njit
def is_aimed(x, y, z, u, v, w, cuts):
    """Whether a ray hits the splitting field."""
    if w <= 0.0:
        return False
    way = (cuts.field - z) / w
    a, b = x + u * way, y + v * way
    return way >= 0.0 and a * a + b * b < cuts.radius * cuts.radius


@njit
def window(x, y, z, u, v, w, cuts):
    """Directions from a point that may hit the field, about the direction (u, v, w).

    The ball about the field has the angular radius asin(R/d). Directions in it are bounded by two cosines and
    an azimuth to either side of the unit vector (a, b, c), normal to (u, v, w).

    Returns
    -------
    low, high, half, a, b, c : float
    """
    to = cuts.field - z
    distance = math.sqrt(x * x + y * y + to * to)
    if distance <= cuts.radius:
        return -1.0, 1.0, math.pi, *_normal(u, v, w)
    sine = cuts.radius / distance
    cosine = math.sqrt((1.0 - sine) * (1.0 + sine))
    a, b, c = -x / distance, -y / distance, to / distance
    along = a * u + b * v + c * w
    a, b, c = a - along * u, b - along * v, c - along * w
    off = math.sqrt(a * a + b * b + c * c)
    low = along * cosine - off * sine if along > -cosine else -1.0
    high = along * cosine + off * sine if along < cosine else 1.0
    if off < NARROWEST:
        return max(-1.0, low), min(1.0, high), math.pi, *_normal(u, v, w)
    half = math.asin(sine / off) if off > sine and abs(along) < cosine else math.pi
    return max(-1.0, low), min(1.0, high), half, a / off, b / off, c / off


@njit
def _normal(u, v, w):
    """A unit vector normal to (u, v, w)."""
    if abs(w) < 0.7:
        norm = math.sqrt(u * u + v * v)
        return v / norm, -u / norm, 0.0
    norm = math.sqrt(v * v + w * w)
    return 0.0, w / norm, -v / norm


@njit
def _in_window(u, v, w, cosine, half, a, b, c, rng):
    """A direction at a polar cosine about (u, v, w), at a uniform azimuth in the window."""
    number, rng = uniform(rng)
    azimuth = half * (2.0 * number - 1.0)
    sine = math.sqrt(max(0.0, (1.0 - cosine) * (1.0 + cosine)))
    p, q = sine * math.cos(azimuth), sine * math.sin(azimuth)
    d, e, f = v * c - w * b, w * a - u * c, u * b - v * a
    u, v, w = (u * cosine + a * p + d * q, v * cosine + b * p + e * q, w * cosine + c * p + f * q)
    norm = 1.5 - 0.5 * (u * u + v * v + w * w)
    return u * norm, v * norm, w * norm, rng


@njit
def _tries(share, half, cuts, rng):
    """Number of tries whose mean is that part of N that falls into the window."""
    number, rng = uniform(rng)
    return int(cuts.number * share * half / math.pi + number), rng


@njit
def _aim(energy, x, y, z, u, v, w, weight, cuts, tally, voxel, stack, depth, counters):
    """Put a light photon above the cut-off on the stack if it hits the field; returns stack depth."""
    if energy <= cuts.photon or not is_aimed(x, y, z, u, v, w, cuts):
        return depth
    weight *= cuts.share
    escape(PHOTON, energy, -weight, ROULETTE, counters)
    return push(stack, depth, PHOTON, energy, x, y, z, u, v, w, weight, tally, voxel, counters)


@njit
def direct_bremsstrahlung(
    energy, x, y, z, u, v, w, weight, material, brems, atomic_number,
    cuts, tally, voxel, stack, depth, counters, rng,
):  # fmt: skip
    """Bremsstrahlung into the field, of an electron of `energy`. Returns stack depth and rng."""
    low, high, half, a, b, c = window(x, y, z, u, v, w, cuts)
    share, start, width = dipole_share(energy, low, high)
    most = largest_factor(dipole_variable(energy, low))
    tries, rng = _tries(share * most, half, cuts, rng)
    for _ in range(tries):
        cosine, rng = try_dipole(energy, start, width, rng)
        d, e, f, rng = _in_window(u, v, w, cosine, half, a, b, c, rng)
        if is_aimed(x, y, z, d, e, f, cuts):
            photon, _, rng = sample_bremsstrahlung(energy, cuts.photon, brems, material, rng)
            number, rng = uniform(rng)
            xi = dipole_variable(energy, cosine)
            if number * most < koch_motz_factor(xi, energy, photon, atomic_number):
                depth = _aim(photon, x, y, z, d, e, f, weight, cuts, tally, voxel, stack, depth, counters)
    return depth, rng


@njit
def direct_compton(
    energy, x, y, z, u, v, w, weight, material, incoherent, norm,
    cuts, tally, voxel, stack, depth, counters, rng,
):  # fmt: skip
    """Compton photons into the field. Returns stack depth and rng."""
    low, high, half, a, b, c = window(x, y, z, u, v, w, cuts)
    share, least, most = compton_share(energy, low, high, norm)
    tries, rng = _tries(share, half, cuts, rng)
    for _ in range(tries):
        scattered, cosine, rng = try_compton(energy, least, most, incoherent, material, rng)
        if scattered > 0.0:
            d, e, f, rng = _in_window(u, v, w, cosine, half, a, b, c, rng)
            depth = _aim(scattered, x, y, z, d, e, f, weight, cuts, tally, voxel, stack, depth, counters)
    return depth, rng


@njit
def direct_rayleigh(
    energy, x, y, z, u, v, w, weight, material, coherent, norm,
    cuts, tally, voxel, stack, depth, counters, rng,
):  # fmt: skip
    """Rayleigh scattered photons into the field. Returns stack depth and rng."""
    low, high, half, a, b, c = window(x, y, z, u, v, w, cuts)
    share, start, width = rayleigh_share(energy, low, high, coherent, material, norm)
    tries, rng = _tries(share, half, cuts, rng)
    for _ in range(tries):
        passed, cosine, rng = try_rayleigh(energy, start, width, coherent, material, rng)
        if passed:
            d, e, f, rng = _in_window(u, v, w, cosine, half, a, b, c, rng)
            depth = _aim(energy, x, y, z, d, e, f, weight, cuts, tally, voxel, stack, depth, counters)
    return depth, rng


@njit
def direct_isotropic(energy, x, y, z, weight, cuts, tally, voxel, stack, depth, counters, rng):
    """Photons that fly in all directions alike, those into the field. Returns stack depth and rng."""
    low, high, half, a, b, c = window(x, y, z, 0.0, 0.0, 1.0, cuts)
    tries, rng = _tries(0.5 * (high - low), half, cuts, rng)
    for _ in range(tries):
        number, rng = uniform(rng)
        d, e, f, rng = _in_window(0.0, 0.0, 1.0, low + number * (high - low), half, a, b, c, rng)
        depth = _aim(energy, x, y, z, d, e, f, weight, cuts, tally, voxel, stack, depth, counters)
    return depth, rng


@njit
def settle(stack, first, last, depth, full, cuts, counters, rng):
    """Weigh the particles set free at places `first` to `last` of the stack by a full or a light parent.

    Full parent: photons towards the field go, for others were sent in their place. Light parent: all but
    those, and charged particles below the gate, play roulette. Returns stack depth and rng.
    """
    for k in range(last - 1, first - 1, -1):
        kind = int(stack[k, 0])
        aimed = kind == PHOTON and is_aimed(
            stack[k, 2], stack[k, 3], stack[k, 4], stack[k, 5], stack[k, 6], stack[k, 7], cuts
        )
        gone = full and aimed
        if not full and not aimed and (kind == PHOTON or stack[k, 4] < cuts.gate):
            number, rng = uniform(rng)
            gone = number >= cuts.share
            if not gone:
                escape(kind, stack[k, 1], -stack[k, 8] * (cuts.number - 1), ROULETTE, counters)
                stack[k, 8] *= cuts.number
        if gone:
            escape(kind, stack[k, 1], stack[k, 8], ROULETTE, counters)
            depth -= 1
            for column in range(stack.shape[1]):
                stack[k, column] = stack[depth, column]
    return depth, rng


@njit_inlined
def radiate(
    photon, a, b, c, energy, x, y, z, u, v, w, weight, material,
    tables, cuts, tally, voxel, stack, depth, counters, rng,
):  # fmt: skip
    """Bremsstrahlung, by Koch and Motz in place of (a, b, c); see `mc.transport.electron.radiate`."""
    first, full = depth, is_full(weight, cuts)
    cosine, rng = sample_koch_motz(energy, photon, tables.z_pair[material], rng)
    p, q, rng = azimuth(rng)
    a, b, c = rotate(u, v, w, cosine, p, q)
    depth = push(stack, depth, PHOTON, photon, x, y, z, a, b, c, weight, tally, voxel, counters)
    last = depth
    if full:
        depth, rng = direct_bremsstrahlung(
            energy, x, y, z, u, v, w, weight, material, tables.brems, tables.z_pair[material],
            cuts, tally, voxel, stack, depth, counters, rng,
        )  # fmt: skip
    return settle(stack, first, last, depth, full, cuts, counters, rng)


@njit
def annihilate_in_flight(energy, x, y, z, u, v, w, weight, cuts, tally, voxel, stack, depth, counters, rng):
    """Annihilation in flight, which is rare: of a full positron N times over, those into the field kept."""
    first, full = depth, is_full(weight, cuts)
    one, a, b, c, other, d, e, f, rng = annihilate(energy, u, v, w, rng)
    depth, rng = release_photon(
        one, x, y, z, a, b, c, weight, cuts, tally, voxel, stack, depth, counters, rng
    )
    depth, rng = release_photon(
        other, x, y, z, d, e, f, weight, cuts, tally, voxel, stack, depth, counters, rng
    )
    last = depth
    if full:
        for _ in range(cuts.number):
            one, a, b, c, other, d, e, f, rng = annihilate(energy, u, v, w, rng)
            depth = _aim(one, x, y, z, a, b, c, weight, cuts, tally, voxel, stack, depth, counters)
            depth = _aim(other, x, y, z, d, e, f, weight, cuts, tally, voxel, stack, depth, counters)
    return settle(stack, first, last, depth, full, cuts, counters, rng)


@njit
def annihilate_at_rest(x, y, z, weight, cuts, tally, voxel, stack, depth, counters, rng):
    """Annihilation at rest; see `mc.transport.particle.annihilate_at_rest`."""
    first, full = depth, is_full(weight, cuts)
    depth, rng = particle.annihilate_at_rest(x, y, z, weight, cuts, tally, voxel, stack, depth, counters, rng)
    last = depth
    if full:
        for _ in range(2):
            depth, rng = direct_isotropic(
                ELECTRON_MASS, x, y, z, weight, cuts, tally, voxel, stack, depth, counters, rng
            )
    return settle(stack, first, last, depth, full, cuts, counters, rng)

"""Triplet production: an electron-positron pair made in the field of an atomic electron, which recoils.

The recoil is sampled from the exact lowest-order cross section of a free electron at rest (Borsellino,
Helv. Phys. Acta 20 (1947) 136), differential in its kinetic energy T and in the invariant mass W of the pair.
In the reduced units of this file (energies in electron masses; photon energy k, Q^2 = 2 T,
x = Q^2/(Q^2 + W^2), y = (Q^2 + W^2)/(2 k)) it is deep inelastic scattering off a photon. With the structure
functions F2 and FL of a real photon that turns into an electron-positron pair (Budnev, Ginzburg, Meledin and
Serbo, Phys. Rep. 15 (1975) 181, appendix E), and keeping the mass of the scattered electron,

    d2sigma/dT dW^2  ~  [ (Q^2 - 2) (F2 - FL)/x + 4 k (1 - y)/y F2 ] / Q^4.

Its integral tends to Borsellino's alpha r_e^2 (28/9 ln 2k - 218/27), and the recoil at high energies to that
of Boldyshev, Vinokurov, Merenkov and Peresunko, Phys. Part. Nucl. 25 (1994) 292. Binding enters as in Compton
scattering, through S(q, Z)/Z. Exchange and the diagrams in which the photon hits the atomic electron are left
out of the shape (they matter below 5 MeV, where triplets are rare); the cross section, XCOM's, has them.

Electron and positron leave their common centre of mass as from two real photons (Breit and Wheeler, Phys.
Rev. 46 (1934) 1087), along the axis on which the photon comes in there. Energy and momentum are conserved
exactly.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from mc.numerics.constants import ELECTRON_MASS, HC
from mc.numerics.jit import njit
from mc.numerics.rng import uniform
from mc.numerics.sampling import azimuth, rotate
from mc.physics.compton import scattering_share

MIN_TRIPLET = 4.0 * ELECTRON_MASS * (1.0 + 1e-6)  # a few eV over the threshold: rounding [MeV]


class Emission(NamedTuple):
    """Kinetic energy [MeV] of a particle and direction about the photon's; the recoil's azimuth is 0."""

    energy: float
    cos_theta: float
    cos_phi: float
    sin_phi: float


@njit
def recoil_limits(k, w2):
    """Least and largest recoil energy at the pair's squared mass `w2`, both in electron masses."""
    s = 1.0 + 2.0 * k
    half = k * k - 0.5 * w2 * (k + 1.0)
    larger = half + math.sqrt(max(0.0, half * half - 0.25 * s * w2 * w2))
    return 0.25 * w2 * w2 / larger, larger / s


@njit
def recoil_density(k, t, w2):
    """Density in T and W^2 of the module's formula, times T W^4/k^2 (bounded for all k)."""
    q2 = 2.0 * t
    u = 1.0 / (q2 + w2)
    x, y = q2 * u, 0.5 / (u * k)
    beta = math.sqrt(max(0.0, 1.0 - 4.0 / w2))
    log = 2.0 * math.log(0.5 * math.sqrt(w2) * (1.0 + beta))
    f2 = (x * x + (1.0 - x) ** 2 + 4.0 * (1.0 - 3.0 * x) * u - 8.0 * u * u) * log
    f2 += beta * (-1.0 + 8.0 * x * (1.0 - x) - 4.0 * (1.0 - x) * u)
    fl = 4.0 * x * (beta * (1.0 - x) - 2.0 * u * log)  # both over x
    structure = (q2 - 2.0) * (f2 - fl) + 4.0 * k * (1.0 - y) / y * x * f2
    return structure * w2 * w2 / (4.0 * t * k * k)


@njit
def density_bound(k):
    """No less than `recoil_density` times the logarithm of the ratio of `recoil_limits`, for all T and W."""
    log = math.log(0.25 * k)
    return log * (1.7 + 9.43 * log) / (1.0 + 0.09 * log)


@njit
def sample_recoil(energy, incoherent, material, rng):
    """Sample the recoil of a triplet.

    Uniform in 1/W^2 and, within its limits, in ln T; then rejection, also by S(x)/Z of the momentum transfer.

    Parameters
    ----------
    energy : float
        Photon energy, above four electron masses [MeV].
    incoherent : (nm, nx) array
        S(x)/Z on the momentum-transfer grid.
    material : int
    rng : (uint64, uint64)

    Returns
    -------
    t, w2 : float
        Kinetic energy of the recoil and squared mass of the pair, in electron masses.
    rng
    """
    k = energy / ELECTRON_MASS
    least = 1.0 / (math.sqrt(1.0 + 2.0 * k) - 1.0) ** 2
    bound = density_bound(k)
    while True:
        a, rng = uniform(rng)
        b, rng = uniform(rng)
        choice, rng = uniform(rng)
        w2 = 1.0 / (least + a * (0.25 - least))
        low, high = recoil_limits(k, w2)
        log = math.log(high / low)
        t = low * math.exp(b * log)
        momentum = math.sqrt(t * (t + 2.0))
        s = scattering_share(0.5 * momentum * ELECTRON_MASS / HC, incoherent, material)
        if choice * bound <= log * s * recoil_density(k, t, w2):
            return t, w2, rng


@njit
def sample_breit_wheeler(beta, rng):
    """Sample the polar cosine z of an electron of speed `beta` made by two photons in their centre of mass.

    [1 + 2 beta^2 (1 - beta^2) (1 - z^2) - beta^4 z^4] / (1 - beta^2 z^2)^2
    """
    b2 = beta * beta
    top = 1.0 + 3.0 * b2 - 2.0 * b2 * b2
    span = math.atanh(beta)
    while True:
        a, rng = uniform(rng)
        choice, rng = uniform(rng)
        z = math.tanh((2.0 * a - 1.0) * span) / beta if beta > 1e-6 else 2.0 * a - 1.0
        z = min(1.0, max(-1.0, z))
        c = b2 * z * z
        if choice * top <= 1.0 + c + 2.0 * b2 * (1.0 - b2) * (1.0 - z * z) / (1.0 - c):
            return z, rng


@njit
def _polar(x, y, z):
    """Polar cosine, cosine and sine of the azimuth of a vector."""
    across = math.sqrt(x * x + y * y)
    length = math.sqrt(across * across + z * z)
    if across < 1e-12 * length or length == 0.0:
        return math.copysign(1.0, z), 1.0, 0.0
    return z / length, x / across, y / across


@njit
def sample_triplet(energy, incoherent, material, rng):
    """Sample a triplet.

    Parameters
    ----------
    energy, incoherent, material, rng
        See `sample_recoil`.

    Returns
    -------
    recoil, electron, positron : Emission
    rng
    """
    k = energy / ELECTRON_MASS
    t, w2, rng = sample_recoil(energy, incoherent, material, rng)
    w = math.sqrt(w2)
    momentum = math.sqrt(t * (t + 2.0))
    recoil_cos = min(1.0, (0.5 * w2 + t * (k + 1.0)) / (k * momentum))
    # the pair: its energy, momentum, and the photon's direction where it rests
    total = k - t
    px = -momentum * math.sqrt(max(0.0, 1.0 - recoil_cos * recoil_cos))
    pz = k - momentum * recoil_cos
    boost = k * pz / (w * (total + w)) - k / w
    ax, az = px * boost, k + pz * boost
    norm = 1.0 / math.sqrt(ax * ax + az * az)
    beta = math.sqrt(max(0.0, 1.0 - 4.0 / w2))
    z, rng = sample_breit_wheeler(beta, rng)
    c, s, rng = azimuth(rng)
    dx, dy, dz = rotate(ax * norm, 0.0, az * norm, z, c, s)
    half = 0.5 * beta * w
    boost = half * (dx * px + dz * pz) / (w * (total + w))
    ex, ey, ez = half * dx + px * (boost + 0.5), half * dy, half * dz + pz * (boost + 0.5)
    electron = 0.5 * total + half * (dx * px + dz * pz) / w - 1.0
    electron = min(max(0.0, electron), total - 2.0) * ELECTRON_MASS
    recoil = t * ELECTRON_MASS
    positron = max(0.0, energy - 2.0 * ELECTRON_MASS - recoil - electron)
    return (
        Emission(recoil, recoil_cos, 1.0, 0.0),
        Emission(electron, *_polar(ex, ey, ez)),
        Emission(positron, *_polar(px - ex, -ey, pz - ez)),
        rng,
    )

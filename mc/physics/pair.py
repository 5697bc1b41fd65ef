"""Pair production in the field of the nucleus: how electron and positron share the energy, and directions.

In the field of an atomic electron: `mc.physics.triplet`.
"""

from __future__ import annotations

import math

from mc.numerics.constants import ELECTRON_MASS
from mc.numerics.jit import njit
from mc.numerics.rng import uniform
from mc.numerics.sampling import dipole_cosine

SCREENING_RADIUS = 111.7  # of hydrogen in the exponentially screened field, times Z^(-1/3) [hbar/(m c)]
MIN_SCREENED = 4.0  # photon energy in electron masses below which screening is less than 1e-3
MIN_KINETIC = 1e-6  # of either particle, in electron masses: below, rounding exceeds the density
MIN_EXCESS = 2e-3  # over the threshold, in electron masses: likewise
MARGIN = 1.1  # of the density at equal shares, which it exceeds by up to 4 % at 32 MeV


@njit
def _born(k, total):
    """Density in the electron's `total` energy of an unscreened nucleus, in alpha (Z r_e)^2.

    Bethe and Heitler, Proc. R. Soc. A 146 (1934) 83, as Motz, Olsen and Koch, Rev. Mod. Phys. 41 (1969) 581
    write it (3D-1000), exact in the first Born approximation. Energies in electron masses.
    """
    other = k - total
    p2, q2 = total * total - 1.0, other * other - 1.0
    p, q = math.sqrt(p2), math.sqrt(q2)
    ee, pq = total * other, p * q
    log = 2.0 * math.log((ee + pq + 1.0) / k)
    log_p, log_q = 2.0 * math.log(total + p) / p, 2.0 * math.log(other + q) / q
    curly = -4.0 / 3.0 - 2.0 * ee * (1.0 / p2 + 1.0 / q2) + log_q * total / q2 + log_p * other / p2
    curly -= log_p * log_q
    square = k * k * (ee * ee + pq * pq) / (pq * pq * pq) - 8.0 / 3.0 * ee / pq
    square -= k / (2.0 * pq) * ((ee - p2) / p2 * log_p + (ee - q2) / q2 * log_q + 2.0 * k * ee / (pq * pq))
    return pq / (k * k * k) * (curly + log * square)


@njit
def _screening(b):
    """What screening takes off the functions phi1, phi2 of Bethe and Heitler; `b` is large without it."""
    b2 = b * b
    arc = b * math.atan(1.0 / b)
    log0, log1 = 2.0 * math.log(1.0 + b2) - 4.0 * math.log(b), 3.0 * math.log(1.0 + 1.0 / b2)
    common = b2 * (4.0 - 4.0 * arc - log1)
    return 13.0 / 3.0 - log0 - 6.0 * arc - common, 23.0 / 6.0 - log0 - 3.0 * arc + 0.5 * common


@njit
def pair_density(share, k, z):
    """Density in the electron's share of the photon energy `k` [electron masses], in alpha (Z r_e)^2.

    That of the bare nucleus, and what the exponentially screened field of the PENELOPE manual, section 2.4,
    takes off it at high energies; at least 0.
    """
    least = 1.0 + MIN_KINETIC
    if share * k < least or (1.0 - share) * k < least:
        return 0.0
    if k < 2.0 + MIN_EXCESS:  # in the limit the momenta's cubes
        return ((share * k) ** 2 - 1.0) ** 1.5 * (((1.0 - share) * k) ** 2 - 1.0) ** 1.5
    density = k * _born(k, share * k)
    if k > MIN_SCREENED:
        radius = SCREENING_RADIUS / z ** (1.0 / 3.0)
        less1, less2 = _screening(radius / (2.0 * k * share * (1.0 - share)))
        density += 2.0 / 3.0 * (2.0 * (0.5 - share) ** 2 * less1 + less2)
    return max(0.0, density)


@njit
def sample_pair(energy, z, rng):
    """Sample the energies and polar cosines of an electron-positron pair.

    Energies by rejection from `pair_density`; the Coulomb correction, which favours the positron where both
    are slow, is left out. Directions follow the leading term of the high-energy distribution.

    Parameters
    ----------
    energy : float
        Photon energy, above two electron masses [MeV].
    z : float
        Effective atomic number.
    rng : (uint64, uint64)

    Returns
    -------
    electron, electron_cos, positron, positron_cos : float
        Kinetic energies [MeV] and polar cosines.
    rng
    """
    k = energy / ELECTRON_MASS
    bound = MARGIN * pair_density(0.5, k, z)
    while True:
        a, rng = uniform(rng)
        choice, rng = uniform(rng)
        share = (1.0 + a * (k - 2.0)) / k
        if choice * bound <= pair_density(share, k, z):
            break
    electron = max(0.0, share * energy - ELECTRON_MASS)
    positron = max(0.0, energy - 2.0 * ELECTRON_MASS - electron)
    electron_cos, rng = dipole_cosine(electron, rng)
    positron_cos, rng = dipole_cosine(positron, rng)
    return electron, electron_cos, positron, positron_cos, rng

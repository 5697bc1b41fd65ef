"""Pair production in the field of the nucleus: how electron and positron share the energy, and directions.

In the field of an atomic electron: `mc.physics.triplet`.
"""

from __future__ import annotations

import math

from mc.constants import ELECTRON_MASS, FINE_STRUCTURE
from mc.jit import njit
from mc.rng import uniform
from mc.sampling import dipole_cosine


@njit
def _coulomb(a2):
    """Davies-Bethe-Maximon Coulomb correction f(alpha Z), `a2` = (alpha Z)^2."""
    series = 0.202059 + a2 * (-0.03693 + a2 * (0.00835 + a2 * (-0.00201 + a2 * 0.00049)))
    return a2 * (1.0 / (1.0 + a2) + series)


@njit
def _screening(b):
    """Screening functions g1, g2 of the exponentially screened field."""
    b2 = b * b
    arc = b * math.atan(1.0 / b)
    log0, log1 = 2.0 * math.log(1.0 + b2), 3.0 * math.log(1.0 + 1.0 / b2)
    common = b2 * (4.0 - 4.0 * arc - log1)
    return 7.0 / 3.0 - log0 - 6.0 * arc - common, 11.0 / 6.0 - log0 - 3.0 * arc + 0.5 * common


@njit
def pair_density(share, k, g0, screening_radius):
    """The two terms of the share's distribution, phi1 and phi2, at least 0 (see `sample_pair`)."""
    g1, g2 = _screening(screening_radius / (2.0 * k * share * (1.0 - share)))
    return max(0.0, g1 + g0), max(0.0, g2 + g0)


@njit
def pair_parameters(k, z):
    """g0 and the reduced screening radius R m c/hbar (PENELOPE manual, eq. 2.82 f.)."""
    a = FINE_STRUCTURE * z
    radius = 111.7 / z ** (1.0 / 3.0)  # Thomas-Fermi scaling of the reduced radius
    t = math.sqrt(2.0 / k)
    low_energy = (
        (-0.1774 - 12.10 * a + 11.18 * a * a) * t
        + (8.523 + 73.26 * a - 44.41 * a * a) * t**2
        - (13.52 + 121.1 * a - 96.41 * a * a) * t**3
        + (8.946 + 62.05 * a - 63.41 * a * a) * t**4
    )
    return 4.0 * math.log(radius) - 4.0 * _coulomb(a * a) + low_energy, radius


@njit
def sample_pair(energy, z, rng):
    """Sample the energies and polar cosines of an electron-positron pair.

    The electron's share of the photon energy (rest mass included) follows the Bethe-Heitler
    distribution with exponential screening, Coulomb and low-energy corrections,
    2 (1/2 - share)^2 phi1 + phi2 (Baro et al., Radiat. Phys. Chem. 44 (1994) 531; PENELOPE manual,
    section 2.4). Directions follow the leading term of the high-energy distribution.

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
    least = 1.0 / k
    half = 0.5 - least
    g0, radius = pair_parameters(k, z)
    phi1, phi2 = pair_density(0.5, k, g0, radius)
    weight1 = 2.0 / 3.0 * half * half * phi1
    if weight1 + phi2 <= 0.0:  # at threshold both vanish: any share will do
        phi1, phi2, weight1 = 0.0, 0.0, 0.0
    while True:
        choice, rng = uniform(rng)
        a, rng = uniform(rng)
        b, rng = uniform(rng)
        if phi2 == 0.0 and weight1 == 0.0:
            share = least + 2.0 * half * a
            break
        if choice * (weight1 + phi2) < weight1:
            root = 2.0 * a - 1.0
            share = 0.5 + half * math.copysign(abs(root) ** (1.0 / 3.0), root)
            if b * phi1 <= pair_density(share, k, g0, radius)[0]:
                break
        else:
            share = least + 2.0 * half * a
            if b * phi2 <= pair_density(share, k, g0, radius)[1]:
                break
    electron = max(0.0, share * energy - ELECTRON_MASS)
    positron = max(0.0, energy - 2.0 * ELECTRON_MASS - electron)
    electron_cos, rng = dipole_cosine(electron, rng)
    positron_cos, rng = dipole_cosine(positron, rng)
    return electron, electron_cos, positron, positron_cos, rng

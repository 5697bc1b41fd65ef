"""Hard bremsstrahlung: Seltzer-Berger energies, leading-order angles. The electron goes straight on."""

from __future__ import annotations

import math

from mc.numerics.jit import njit
from mc.numerics.rng import uniform
from mc.numerics.sampling import (
    BREMS_PER_OCTAVE,
    ENERGY_MAX_EXP,
    ENERGY_MIN_EXP,
    dipole_cosine,
    octave_position,
)


@njit
def sample_bremsstrahlung(energy, threshold, brems, material, rng):
    """Sample the photon of a hard bremsstrahlung event.

    The quantiles of ln k/ln E between the threshold and the electron energy are tabulated on a coarse
    energy grid; one of the two neighbouring rows is chosen at random, so that the mixture is linear in
    energy. Positrons radiate like electrons.

    Parameters
    ----------
    energy : float
        Kinetic energy of the electron [MeV].
    threshold : float
        Least photon energy, below `energy` [MeV].
    brems : (nm, nb, nq) array
        Quantiles of x, k = threshold (energy/threshold)^x.
    material : int
    rng : (uint64, uint64)

    Returns
    -------
    photon : float
        Photon energy [MeV].
    cos_theta : float
    rng
    """
    row, f = octave_position(energy, ENERGY_MIN_EXP, ENERGY_MAX_EXP, BREMS_PER_OCTAVE)
    a, rng = uniform(rng)
    if a < f or brems[material, row, brems.shape[2] - 1] == 0.0:  # rows below the threshold are empty
        row += 1
    a, rng = uniform(rng)
    place = a * (brems.shape[2] - 1)
    i = int(place)
    x = brems[material, row, i] + (place - i) * (brems[material, row, i + 1] - brems[material, row, i])
    photon = threshold * math.exp(x * math.log(energy / threshold))
    cos_theta, rng = dipole_cosine(energy, rng)
    return min(photon, energy), cos_theta, rng

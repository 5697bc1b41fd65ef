"""Two-photon annihilation of positrons, in flight and at rest."""

from __future__ import annotations

import math

from mc.numerics.constants import ELECTRON_MASS
from mc.numerics.jit import njit
from mc.numerics.rng import uniform


@njit
def sample_annihilation(energy, rng):
    """Sample the two photons of an annihilation in flight.

    Heitler's distribution by the method of the PENELOPE manual, section 3.3.4.

    Parameters
    ----------
    energy : float
        Kinetic energy of the positron [MeV].

    Returns
    -------
    first, first_cos, second, second_cos : float
        Photon energies [MeV] and polar cosines; the azimuths are opposite.
    rng
    """
    gamma = 1.0 + max(energy, 1e-6) / ELECTRON_MASS
    momentum = math.sqrt(gamma * gamma - 1.0)
    least = 1.0 / (gamma + 1.0 + momentum)
    span = math.log((1.0 - least) / least)
    g1 = gamma + 1.0
    c = gamma * gamma + 4.0 * gamma + 1.0
    top = c - 2.0 * g1
    while True:
        a, rng = uniform(rng)
        b, rng = uniform(rng)
        share = least * math.exp(a * span)
        if b * top <= c - g1 * g1 * share - 1.0 / share:
            break
    total = energy + 2.0 * ELECTRON_MASS
    first_cos = (g1 - 1.0 / share) / momentum
    second_cos = (g1 - 1.0 / (1.0 - share)) / momentum
    first_cos = min(1.0, max(-1.0, first_cos))
    second_cos = min(1.0, max(-1.0, second_cos))
    return share * total, first_cos, (1.0 - share) * total, second_cos, rng

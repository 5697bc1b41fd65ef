"""Hard collisions of electrons and positrons with atomic electrons, taken as free and at rest."""

from __future__ import annotations

import math

from mc.numerics.constants import ELECTRON_MASS
from mc.numerics.jit import njit
from mc.numerics.rng import uniform


@njit
def collision_cosines(energy, loss):
    """Polar cosines of the primary and of the knocked-on electron (two-body kinematics).

    Parameters
    ----------
    energy, loss : float
        Kinetic energy of the primary before the event, and that of the knocked-on electron [MeV].
    """
    m2 = 2.0 * ELECTRON_MASS
    rest = energy - loss
    primary = math.sqrt(rest * (energy + m2) / (energy * (rest + m2))) if rest > 0.0 else 0.0
    secondary = math.sqrt(loss * (energy + m2) / (energy * (loss + m2)))
    return min(1.0, primary), min(1.0, secondary)


@njit
def sample_moller(energy, threshold, rng):
    """Sample the energy loss [MeV] of a Moller event, between `threshold` and half of `energy`.

    1/W^2 by inversion and the rest by rejection (PIRS-701, section 2.4.3). Of two indistinguishable
    electrons the slower is the secondary.

    Returns
    -------
    loss : float
    rng
    """
    tau = energy / ELECTRON_MASS
    a = (tau / (tau + 1.0)) ** 2
    b = (2.0 * tau + 1.0) / (tau + 1.0) ** 2
    least = threshold / energy
    top = max(1.0, 2.0 + 0.25 * a - b)
    while True:
        p, rng = uniform(rng)
        q, rng = uniform(rng)
        kappa = least / (1.0 - (1.0 - 2.0 * least) * p)
        x = kappa / (1.0 - kappa)
        if q * top <= 1.0 + x * x + a * kappa * kappa - b * x:
            return kappa * energy, rng


@njit
def sample_bhabha(energy, threshold, rng):
    """Sample the energy loss [MeV] of a Bhabha event, between `threshold` and `energy`.

    1/W^2 by inversion and the rest by rejection (PENELOPE manual, eq. 3.103 f.).

    Returns
    -------
    loss : float
    rng
    """
    gamma = 1.0 + energy / ELECTRON_MASS
    scale = ((gamma - 1.0) / gamma) ** 2
    g1 = (gamma + 1.0) ** 2
    b1 = scale * (2.0 * g1 - 1.0) / (gamma * gamma - 1.0)
    b2 = scale * (3.0 * g1 + 1.0) / g1
    b3 = scale * 2.0 * gamma * (gamma - 1.0) / g1
    b4 = scale * (gamma - 1.0) ** 2 / g1
    least = threshold / energy
    while True:
        p, rng = uniform(rng)
        q, rng = uniform(rng)
        kappa = least / (1.0 - (1.0 - least) * p)
        if q <= 1.0 - kappa * (b1 - kappa * (b2 - kappa * (b3 - kappa * b4))):
            return kappa * energy, rng

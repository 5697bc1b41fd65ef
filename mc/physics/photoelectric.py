"""Photoelectric absorption: the direction of the photoelectron.

Which shell it comes from, and what becomes of the vacancy: `mc.physics.relaxation`.
"""

from __future__ import annotations

import math

from mc.numerics.constants import ELECTRON_MASS
from mc.numerics.jit import njit
from mc.numerics.rng import uniform


@njit
def sample_photoelectron(energy, rng):
    """Sample the polar cosine of a photoelectron of kinetic energy `energy` [MeV].

    Sauter's K-shell distribution (Sauter, Ann. Phys. 11 (1931) 454) by the rejection of the PENELOPE
    manual, section 2.2.1.

    Returns
    -------
    cos_theta : float
    rng
    """
    gamma = 1.0 + energy / ELECTRON_MASS
    beta = math.sqrt(energy * (energy + 2.0 * ELECTRON_MASS)) / (energy + ELECTRON_MASS)
    a = 1.0 / beta - 1.0
    c = 0.5 * beta * gamma * (gamma - 1.0) * (gamma - 2.0)
    top = 2.0 * (1.0 / a + c)
    while True:
        p, rng = uniform(rng)
        nu = 2.0 * a / ((a + 2.0) ** 2 - 4.0 * p) * (2.0 * p + (a + 2.0) * math.sqrt(p))
        q, rng = uniform(rng)
        if q * top <= (2.0 - nu) * (1.0 / (a + nu) + c):
            return 1.0 - nu, rng

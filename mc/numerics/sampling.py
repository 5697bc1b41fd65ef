"""Tables on octave grids, and the few geometric samplers every process shares.

An octave grid has its nodes equally spaced within each power of two,
``x[o * n + j] = 2**(first + o) * (1 + j / n)``: nearly logarithmic, yet the interval of a value
is read off its exponent and mantissa bits, without a logarithm or a search.
"""

from __future__ import annotations

import math

import numpy as np

from mc.numerics.constants import ELECTRON_MASS
from mc.numerics.jit import njit
from mc.numerics.rng import uniform

# Each grid: exponent of its first node, exponent of its last node, nodes per octave.
ENERGY_MIN_EXP, ENERGY_MAX_EXP, ENERGY_PER_OCTAVE = -7, 5, 64  # kinetic energy, 7.8 keV to 32 MeV
RANGE_MIN_EXP, RANGE_MAX_EXP, RANGE_PER_OCTAVE = -14, 6, 32  # residual range [g/cm2]
X_MIN_EXP, X_MAX_EXP, X_PER_OCTAVE = -8, 9, 16  # momentum transfer sin(theta/2)/lambda [1/Angstrom]
BREMS_PER_OCTAVE = 8  # kinetic energy, over the exponents of the energy grid
ETA_MIN_EXP, ETA_MAX_EXP, ETA_PER_OCTAVE = -28, -2, 2  # elastic screening parameter
SPINS = (-1.5, 0.0, 1.0)  # strengths of the spin factor of elastic scattering
LEVELS = 128  # intervals of the quantiles of multiple scattering
K1_MIN_EXP, K1_MAX_EXP, K1_PER_OCTAVE = -12, 0, 8  # mean 1 - cos(theta) of one multiple-scattering event

_MANTISSA = (1 << 52) - 1  # of an IEEE 754 double
ENERGY_MIN, ENERGY_MAX = 2.0**ENERGY_MIN_EXP, 2.0**ENERGY_MAX_EXP


def octave_nodes(min_exponent: int, max_exponent: int, per_octave: int) -> np.ndarray:
    """Nodes of an octave grid, from ``2**min_exponent`` to ``2**max_exponent`` inclusive."""
    octaves = 2.0 ** np.arange(min_exponent, max_exponent)
    mantissas = 1.0 + np.arange(per_octave) / per_octave
    return np.append(np.outer(octaves, mantissas).ravel(), 2.0**max_exponent)


@njit
def octave_position(x, min_exponent, max_exponent, per_octave):
    """Interval of `x` on an octave grid and the linear fraction within it, clipped to the grid.

    Exponent and mantissa are read off the bits of the double. `x` is above 0.
    """
    bits = np.float64(x).view(np.int64)
    octave = (bits >> 52) - 1023 - min_exponent
    if octave < 0:
        return 0, 0.0
    if octave >= max_exponent - min_exponent:
        return (max_exponent - min_exponent) * per_octave - 1, 1.0
    place = (bits & _MANTISSA) * per_octave
    return octave * per_octave + (place >> 52), (place & _MANTISSA) * 2.0**-52


@njit
def octave_interval(x, min_exponent, max_exponent, per_octave):
    """Interval of `x` on an octave grid, clipped to the grid."""
    bits = np.float64(x).view(np.int64)
    i = ((bits >> 52) - 1023 - min_exponent) * per_octave + (((bits & _MANTISSA) * per_octave) >> 52)
    return min(max(i, 0), (max_exponent - min_exponent) * per_octave - 1)


@njit
def energy_position(energy):
    """Interval and fraction of a kinetic energy [MeV] on the energy grid."""
    return octave_position(energy, ENERGY_MIN_EXP, ENERGY_MAX_EXP, ENERGY_PER_OCTAVE)


@njit
def azimuth(rng):
    """Cosine and sine of a uniform azimuth, without a trigonometric call.

    The double angle of a uniform point of the half disc (von Neumann 1951), which takes no square root.
    """
    while True:
        a, rng = uniform(rng)
        b, rng = uniform(rng)
        a = 2.0 * a - 1.0
        square = a * a + b * b
        if 1e-12 < square < 1.0:
            norm = 1.0 / square
            return (a * a - b * b) * norm, 2.0 * a * b * norm, rng


@njit
def rotate(u, v, w, cos_theta, cos_phi, sin_phi):
    """Turn the unit vector (u, v, w) by a polar angle and an azimuth, and keep its length at 1.

    The azimuth is counted in the frame of Duff et al., Journal of Computer Graphics Techniques 6 (2017) 1.
    """
    sin_theta = math.sqrt(max(0.0, (1.0 - cos_theta) * (1.0 + cos_theta)))
    a, b = sin_theta * cos_phi, sin_theta * sin_phi
    sign = math.copysign(1.0, w)
    c = -1.0 / (sign + w)
    d = u * v * c
    u, v, w = (
        u * cos_theta + a * (1.0 + sign * u * u * c) + b * d,
        v * cos_theta + a * sign * d + b * (sign + v * v * c),
        w * cos_theta - a * sign * u - b * v,
    )
    # One Newton step of 1/sqrt keeps the length at 1 over any number of turns.
    norm = 1.5 - 0.5 * (u * u + v * v + w * w)
    return u * norm, v * norm, w * norm


@njit
def dipole_cosine(energy, rng):
    """Sample a polar cosine from 1/(1 - beta cos)^2, beta that of an electron of `energy` [MeV].

    The leading term of the angular distribution of relativistic pairs and of bremsstrahlung
    (EGSnrc manual PIRS-701, eqs. 2.1.16 and 2.4.9; Motz, Olsen and Koch 1969).
    """
    beta = math.sqrt(energy * (energy + 2.0 * ELECTRON_MASS)) / (energy + ELECTRON_MASS)
    a, rng = uniform(rng)
    a = 2.0 * a - 1.0
    return (a + beta) / (a * beta + 1.0), rng

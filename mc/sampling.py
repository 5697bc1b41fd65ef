"""Tables on octave grids, and the few geometric samplers every process shares.

An octave grid has its nodes equally spaced within each power of two,
``x[o * n + j] = 2**(first + o) * (1 + j / n)``: nearly logarithmic, yet the interval of a value
is read off its exponent and mantissa bits, without a logarithm or a search.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

# Each grid: exponent of its first node, exponent of its last node, nodes per octave.
ENERGY_MIN_EXP, ENERGY_MAX_EXP, ENERGY_PER_OCTAVE = -7, 5, 64  # kinetic energy, 7.8 keV to 32 MeV
X_MIN_EXP, X_MAX_EXP, X_PER_OCTAVE = -8, 9, 16  # momentum transfer sin(theta/2)/lambda [1/Angstrom]
RANGE_MIN_EXP, RANGE_MAX_EXP, RANGE_PER_OCTAVE = -16, 7, 32  # range [g/cm2]
BREMS_PER_OCTAVE = 8  # kinetic energy, over the exponents of the energy grid
ETA_MIN_EXP, ETA_MAX_EXP, ETA_PER_OCTAVE = -32, 2, 2  # elastic screening parameter
K1_MIN_EXP, K1_MAX_EXP, K1_PER_OCTAVE = -14, 0, 8  # mean 1 - cos(theta) of one multiple-scattering event

ENERGY_MIN, ENERGY_MAX = 2.0**ENERGY_MIN_EXP, 2.0**ENERGY_MAX_EXP


def octave_nodes(min_exponent: int, max_exponent: int, per_octave: int) -> np.ndarray:
    """Nodes of an octave grid, from ``2**min_exponent`` to ``2**max_exponent`` inclusive."""
    octaves = 2.0 ** np.arange(min_exponent, max_exponent)
    mantissas = 1.0 + np.arange(per_octave) / per_octave
    return np.append(np.outer(octaves, mantissas).ravel(), 2.0**max_exponent)


@njit
def octave_position(x, min_exponent, max_exponent, per_octave):
    """Interval of `x` on an octave grid and the linear fraction within it, clipped to the grid.

    `per_octave` must be a power of two.
    """
    mantissa, exponent = math.frexp(x)  # x = mantissa 2**exponent, mantissa in [1/2, 1)
    octave = exponent - 1 - min_exponent
    if octave < 0:
        return 0, 0.0
    if octave >= max_exponent - min_exponent:
        return (max_exponent - min_exponent) * per_octave - 1, 1.0
    place = (2.0 * mantissa - 1.0) * per_octave
    step = int(place)
    return octave * per_octave + step, place - step


@njit
def energy_position(energy):
    """Interval and fraction of a kinetic energy [MeV] on the energy grid."""
    return octave_position(energy, ENERGY_MIN_EXP, ENERGY_MAX_EXP, ENERGY_PER_OCTAVE)


@njit
def rotate(u, v, w, cos_theta, phi):
    """Turn the unit vector (u, v, w) by a polar angle and an azimuth.

    The azimuth counts from an arbitrary axis; where (u, v, w) is nearly along z, from x.
    """
    sin_theta = math.sqrt(max(0.0, (1.0 - cos_theta) * (1.0 + cos_theta)))
    a, b = sin_theta * math.cos(phi), sin_theta * math.sin(phi)
    transverse = u * u + v * v
    if transverse > 1e-12:
        t = math.sqrt(transverse)
        uw, vw = u * w / t, v * w / t
        u, v, w = (
            u * cos_theta + a * uw - b * v / t,
            v * cos_theta + a * vw + b * u / t,
            w * cos_theta - a * t,
        )
    else:
        u, v, w = u * cos_theta + a, v * cos_theta + b * math.copysign(1.0, w), w * cos_theta
    # One Newton step of 1/sqrt keeps the length at 1 over any number of turns.
    norm = 1.5 - 0.5 * (u * u + v * v + w * w)
    return u * norm, v * norm, w * norm

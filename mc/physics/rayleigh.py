"""Coherent scattering of photons by the atomic form factor."""

from __future__ import annotations

import math

from mc.numerics.constants import HC
from mc.numerics.jit import njit
from mc.numerics.rng import uniform
from mc.numerics.sampling import X_MAX_EXP, X_MIN_EXP, X_PER_OCTAVE, octave_position


@njit
def node_square(i):
    """x^2 at node `i` of the momentum-transfer grid [1/Angstrom^2]."""
    octave, step = i // X_PER_OCTAVE, i % X_PER_OCTAVE
    x = 2.0 ** (X_MIN_EXP + octave) * (1.0 + step / X_PER_OCTAVE)
    return x * x


@njit
def cumulative(square, coherent, material):
    """A(x^2), the integral of F^2 up to x^2 = `square` [1/Angstrom^2]."""
    if square <= node_square(0):
        return coherent[material, 0] * square / node_square(0)
    i, _ = octave_position(math.sqrt(square), X_MIN_EXP, X_MAX_EXP, X_PER_OCTAVE)
    low, high = node_square(i), node_square(i + 1)
    slope = (coherent[material, i + 1] - coherent[material, i]) / (high - low)
    return coherent[material, i] + slope * (min(square, high) - low)


@njit
def square_at(target, coherent, material, beyond):
    """The x^2 [1/Angstrom^2] where A(x^2) is `target`; it lies below node `beyond` of the grid."""
    if target < coherent[material, 0]:
        return node_square(0) * target / coherent[material, 0]
    first, last = 0, beyond
    while last - first > 1:
        middle = (first + last) // 2
        if coherent[material, middle] <= target:
            first = middle
        else:
            last = middle
    step = coherent[material, first + 1] - coherent[material, first]
    base = node_square(first)
    return base + (target - coherent[material, first]) * (node_square(first + 1) - base) / step


@njit
def sample_rayleigh(energy, coherent, material, rng):
    """Sample the polar cosine of one Rayleigh event.

    x^2 is drawn from F(x)^2 through its cumulative integral A(x^2), then accepted with the Thomson
    factor (1 + cos^2 theta)/2 (PENELOPE manual, section 2.1).

    Parameters
    ----------
    energy : float
        Photon energy [MeV].
    coherent : (nm, nx) array
        A(x^2) on the momentum-transfer grid.
    material : int
    rng : (uint64, uint64)

    Returns
    -------
    cos_theta : float
    rng
    """
    most = energy / HC
    top, _ = octave_position(most, X_MIN_EXP, X_MAX_EXP, X_PER_OCTAVE)
    low, high = node_square(top), node_square(top + 1)
    most2 = min(most * most, high)
    slope = (coherent[material, top + 1] - coherent[material, top]) / (high - low)
    total = coherent[material, top] + slope * (most2 - low)
    if most2 <= node_square(0) or total <= 0.0:  # below the table F is constant: pure Thomson
        total = 0.0
    while True:
        a, rng = uniform(rng)
        if total > 0.0:
            square = square_at(a * total, coherent, material, top + 1)
        else:
            square = a * most2
        cos_theta = 1.0 - 2.0 * min(1.0, square / (most * most))
        b, rng = uniform(rng)
        if 2.0 * b <= 1.0 + cos_theta * cos_theta:
            return cos_theta, rng

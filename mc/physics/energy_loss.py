"""Continuous energy loss: the exact relation of energy, residual range and scattering strength.

Energy and scattering strength K are tabulated as piecewise linear functions of the residual range, on an
octave grid, so that any sequence of steps, however short, loses exactly what one long step would. Columns of
the table `slowing`, by interval of the range:

    0, 1  a, b with E = a + b R
    2, 3  a, b with K = a + b R; b is the first transport coefficient kappa_1 [cm2/g]
    4     1/kappa_1 [g/cm2]
    5     strength of a full step that starts in this interval
"""

from __future__ import annotations

from mc.numerics.jit import njit
from mc.numerics.sampling import (
    RANGE_MAX_EXP,
    RANGE_MIN_EXP,
    RANGE_PER_OCTAVE,
    energy_position,
    octave_interval,
)

FREE_PATH, FULL_STEP = 4, 5  # columns


@njit
def interval_of_range(residual):
    """Interval of a residual range [g/cm2]."""
    return octave_interval(residual, RANGE_MIN_EXP, RANGE_MAX_EXP, RANGE_PER_OCTAVE)


@njit
def range_of(slowing, starts, material, charge, energy):
    """Interval and residual range [g/cm2] at a kinetic energy [MeV].

    Parameters
    ----------
    slowing : (nm, 2, nr, 6) array
    starts : (nm, 2, ne) array
        Interval of the range at each node of the energy grid.
    """
    node, _ = energy_position(energy)
    i = int(starts[material, charge, node])
    residual = (energy - slowing[material, charge, i, 0]) / slowing[material, charge, i, 1]
    reached = interval_of_range(residual)
    if reached > i:  # the interval of energies, the finer grid, holds a node of the range: beyond it
        i = reached
        residual = (energy - slowing[material, charge, i, 0]) / slowing[material, charge, i, 1]
    return i, residual


@njit
def energy_of(slowing, material, charge, i, residual):
    """Kinetic energy [MeV] at a residual range in interval `i`."""
    return slowing[material, charge, i, 0] + slowing[material, charge, i, 1] * residual


@njit
def strength_of(slowing, material, charge, i, residual):
    """Cumulative scattering strength K at a residual range in interval `i`."""
    return slowing[material, charge, i, 2] + slowing[material, charge, i, 3] * residual

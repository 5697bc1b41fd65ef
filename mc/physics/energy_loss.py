"""Continuous energy loss: the exact relation of energy, residual range and scattering strength.

Within one interval of the energy grid, range R and scattering strength K are linear in energy; both are
kept as functions of the range, so that any sequence of steps, however short, loses exactly what one long
step would. Columns of the table `slowing`:

    0  R at the interval's lower node [g/cm2]
    1, 2  a, b with E = a + b R
    3, 4  a, b with K = a + b R; b is the first transport coefficient kappa_1 [cm2/g]
    5  strength of a full step that starts in this interval
"""

from __future__ import annotations

from mc.jit import njit
from mc.sampling import energy_position


@njit
def range_of(slowing, material, charge, energy):
    """Interval of the energy grid and residual range [g/cm2] at a kinetic energy [MeV]."""
    i, _ = energy_position(energy)
    return i, (energy - slowing[material, charge, i, 1]) / slowing[material, charge, i, 2]


@njit
def interval_of_range(slowing, material, charge, i, residual):
    """Interval of a residual range, going down from interval `i`."""
    while i > 0 and slowing[material, charge, i, 0] > residual:
        i -= 1
    return i


@njit
def energy_of(slowing, material, charge, i, residual):
    """Kinetic energy [MeV] at a residual range in interval `i`."""
    return slowing[material, charge, i, 1] + slowing[material, charge, i, 2] * residual


@njit
def strength_of(slowing, material, charge, i, residual):
    """Cumulative scattering strength K at a residual range in interval `i`."""
    return slowing[material, charge, i, 3] + slowing[material, charge, i, 4] * residual

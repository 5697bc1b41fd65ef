"""Continuous energy loss: the exact relation of energy, residual range and scattering strength.

Energy and scattering strength K1 are tabulated as piecewise linear functions of the residual range, on an
octave grid (`mc.tables.Tables.slowing`), so that any sequence of steps, however short, loses exactly what one
long step would.
"""

from __future__ import annotations

from mc.numerics.columns import ENERGY_A, ENERGY_B, K1_A, K1_B
from mc.numerics.jit import njit
from mc.numerics.sampling import (
    RANGE_MAX_EXP,
    RANGE_MIN_EXP,
    RANGE_PER_OCTAVE,
    energy_position,
    octave_interval,
)


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
    residual = (energy - slowing[material, charge, i, ENERGY_A]) / slowing[material, charge, i, ENERGY_B]
    reached = interval_of_range(residual)
    if (
        reached > i
    ):  # the interval of energies, the finer grid, holds a node of the range, and it is past that
        i = reached
        residual = (energy - slowing[material, charge, i, ENERGY_A]) / slowing[material, charge, i, ENERGY_B]
    return i, residual


@njit
def energy_of(slowing, material, charge, i, residual):
    """Kinetic energy [MeV] at a residual range in interval `i`."""
    return slowing[material, charge, i, ENERGY_A] + slowing[material, charge, i, ENERGY_B] * residual


@njit
def strength_of(slowing, material, charge, i, residual):
    """Cumulative scattering strength K1 at a residual range in interval `i`."""
    return slowing[material, charge, i, K1_A] + slowing[material, charge, i, K1_B] * residual

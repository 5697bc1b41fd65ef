"""Columns of the kernels' tables (`mc.tables.Tables`), and linear interpolation in them."""

from __future__ import annotations

from mc.numerics.jit import njit

LOW, RISE = range(2)  # last axis of tables by interval: value at its lower end, rise to its upper
# `photon`: mass attenuation, then the probability of Compton scattering, of it or Rayleigh scattering, of
# these or pair production; the rest is photoelectric.
ATTENUATION, COMPTON, RAYLEIGH, PAIR = range(4)
# `hard`: cross section, then the probability of bremsstrahlung, of it or a collision with an electron; the
# rest is annihilation.
HARD_TOTAL, HARD_BREMSSTRAHLUNG, HARD_COLLISION = range(3)
# `elastic`: row and layer of the Goudsmit-Saunderson table.
SCREENING_ROW, SPIN_LAYER = range(2)
# `slowing`, by interval of the residual range R: a and b of the energy, E = a + b R, and of the scattering
# strength, K1 = a + b R; 1/kappa_1 [g/cm2]; strength of a full step that starts there.
ENERGY_A, ENERGY_B, K1_A, K1_B, FREE_PATH, FULL_STEP = range(6)
# `relaxation`: cumulative probability, photon energy [MeV] (0: none), next vacancy (-1: none to follow).
PROBABILITY, FLUORESCENCE, NEXT_VACANCY = range(3)
# `large_angles`: share of the strength left to the Goudsmit-Saunderson table, events per unit strength, then
# the quantiles of sin^2(theta/2).
SMALL_ANGLES, LARGE_ANGLE_RATE, FIRST_QUANTILE = range(3)


@njit
def interval_value(table, material, i, column, f):
    """Value of a table by interval, such as `photon`, a fraction `f` into interval `i`."""
    return table[material, i, column, LOW] + f * table[material, i, column, RISE]


@njit
def node_value(table, material, charge, i, column, f):
    """Value of a table by node, such as `hard`, a fraction `f` from node `i` to the next."""
    low = table[material, charge, i, column]
    return low + f * (table[material, charge, i + 1, column] - low)

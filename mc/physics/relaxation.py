"""Vacancies of inner shells: which shell a photoabsorption ionises, and the fluorescence that follows."""

from __future__ import annotations

from mc.numerics.jit import njit
from mc.numerics.rng import uniform


@njit
def sample_shell(energy, i, f, shells, binding, material, rng):
    """Sample which inner shell a photon of `energy` [MeV] ionises.

    Parameters
    ----------
    energy : float
    i : int
        Its interval of the energy grid,
    f : float
        and its place therein.
    shells : (nm, ne - 1, nv, 2) array
        Cumulative share of the shells in photoabsorption: lower end and rise of every interval.
    binding : (nv,) array
        [MeV]
    material : int
    rng : (uint64, uint64)

    Returns
    -------
    shell : int
        -1 if it is none of these.
    rng
    """
    count = binding.shape[0]
    if count == 0 or shells[material, i, count - 1, 0] + shells[material, i, count - 1, 1] <= 0.0:
        return -1, rng
    while True:
        a, rng = uniform(rng)
        shell = 0
        while shell < count and a >= shells[material, i, shell, 0] + f * shells[material, i, shell, 1]:
            shell += 1
        if shell == count:
            return -1, rng
        if energy > binding[shell]:  # in the interval of an edge the shares are those above it
            return shell, rng


@njit
def sample_transition(shell, relaxation, rng):
    """Sample how a vacancy in an inner shell is filled.

    Parameters
    ----------
    shell : int
    relaxation : (nv, nt, 3) array
        Cumulative probability, photon energy [MeV] (0: none), next vacancy (-1: none to follow).
    rng : (uint64, uint64)

    Returns
    -------
    photon : float
        Energy of the fluorescence photon [MeV], 0 if there is none.
    shell : int
        The vacancy this leaves, -1 if the relaxation ends.
    rng
    """
    a, rng = uniform(rng)
    row = 0
    while a >= relaxation[shell, row, 0]:
        row += 1
    return relaxation[shell, row, 1], int(relaxation[shell, row, 2]), rng

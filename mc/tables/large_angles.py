"""Elastic scattering of heavy elements by large angles, for the heads of linacs.

The Goudsmit-Saunderson table knows one law, Rutherford's with a screening and a spin factor 1 - s mu, mu
being sin^2(theta/2). With both transport moments met that is right for light elements. Of a heavy element,
though, Mott's cross section exceeds it between 10 and 130 degrees, by up to 0.7 of Rutherford's for tungsten.
Fitted to the moments, the law makes up for that at small angles, where tungsten then scatters 15 % too
strongly. In a patient that is negligible; in a target of tungsten the high energies on the axis would come
out 5 % low.

Here the law is that of Born's approximation, s = beta^2, and the excess of Mott's cross section makes
single events: a compound Poisson process, which adds to the deflection of a step. Its strength is subtracted
from the law's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mc.config import Physics
from mc.numerics.sampling import (
    BREMS_PER_OCTAVE,
    ENERGY_MAX_EXP,
    ENERGY_MIN_EXP,
    ENERGY_PER_OCTAVE,
    ETA_MAX_EXP,
    ETA_MIN_EXP,
    ETA_PER_OCTAVE,
    SPINS,
    octave_nodes,
)
from mc.tables.build import Tables, build_tables, energy_nodes, tables_hash
from mc.tables.elements import load_elements
from mc.tables.inelastic import beta_squared
from mc.tables.medium import Atom, Medium
from mc.tables.scattering import rutherford_prefactor, screened_moments
from phantoms.materials import Material

SHAPE = Path(__file__).parents[1] / "data" / "elastic_shape.npz"
MU = np.concatenate([np.geomspace(1e-3, 0.1, 17), np.linspace(0.1, 1.0, 19)[1:]])
QUANTILES = 128  # intervals of the quantiles of mu
FINE = 400  # points of the integrals over ln mu
BREMS_QUANTILES = 1024  # finer than for patients: here bremsstrahlung is the source


def _with(fields: type[NamedTuple], *more: str) -> list[tuple[str, type]]:
    return [(name, np.ndarray) for name in (*fields._fields, *more)]


HeadTables = NamedTuple("HeadTables", _with(Tables, "large_angles"))
HeadTables.__doc__ = """`mc.tables.Tables` for heads, with bremsstrahlung in finer steps and

    large_angles : (nm, nb, 2 + QUANTILES + 1) float32
        On the coarse energies of bremsstrahlung: share of the scattering strength that is left to the
        Goudsmit-Saunderson table; events of large angles per unit strength; quantiles of their mu.
"""


def shape_energies() -> np.ndarray:
    """Kinetic energies of the data, (n_e,) [MeV]."""
    return octave_nodes(ENERGY_MIN_EXP, ENERGY_MAX_EXP, 2)


def head_tables(materials: Sequence[Material], physics: Physics) -> HeadTables:
    """The kernels' tables for a head; see `mc.tables.build_tables`."""
    tables = build_tables(materials, physics, BREMS_QUANTILES)
    energy = energy_nodes()
    numbers = sorted({z for material in materials for z, _ in material.composition})
    atoms = {z: Atom(element, physics, energy) for z, element in load_elements(numbers).items()}
    elastic, large_angles = tables.elastic.copy(), []
    for m, material in enumerate(materials):
        medium = Medium(material, atoms)
        kappa = [medium.soft_transport(positron)[0] for positron in (False, True)]
        events, quantiles = _events(medium, energy)
        rate = events / kappa[0]
        # a strength is a mean 1 - cos = 2 mu, and mu is uniform between quantiles
        rest = 1.0 - rate * (quantiles[:, 1:] + quantiles[:, :-1]).mean(axis=1)
        for charge in (0, 1):
            elastic[m, charge] = np.stack(_law(rest * kappa[charge] / medium.rutherford, energy), axis=-1)
        large_angles.append(
            np.column_stack([rest, rate, quantiles])[:: ENERGY_PER_OCTAVE // BREMS_PER_OCTAVE]
        )
    stacked = np.ascontiguousarray(large_angles, np.float32)
    return HeadTables(*tables._replace(elastic=elastic), large_angles=stacked)


def head_tables_hash(materials: Sequence[Material], physics: Physics) -> str:
    """SHA-256 over all that `head_tables` is made of; cf. `mc.tables.tables_hash`."""
    parts = tables_hash(materials, physics), hashlib.sha256(SHAPE.read_bytes()).hexdigest(), BREMS_QUANTILES
    return hashlib.sha256(repr(parts).encode()).hexdigest()


@cache
def _data() -> tuple[np.ndarray, np.ndarray]:
    with np.load(SHAPE) as file:
        return file["z"], file["ratio"].astype(np.float64)


def mott_ratio(z: int, energy: np.ndarray) -> np.ndarray:
    """Elastic cross section over Rutherford's at `MU`, (n, n_mu); between elements with data linear in Z."""
    known, ratio = _data()
    i = int(np.clip(np.searchsorted(known, z) - 1, 0, len(known) - 2))
    share = (z - known[i]) / (known[i + 1] - known[i])
    between = (1.0 - share) * ratio[i] + share * ratio[i + 1]
    grid = np.log(shape_energies())
    return np.array([np.interp(np.log(energy), grid, column) for column in between.T]).T


def _events(medium: Medium, energy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Events beyond Born's cross section: how many [cm2/g], (n,), and quantiles of mu, (n, QUANTILES + 1)."""
    mu = np.geomspace(MU[0], 1.0, FINE)
    density = np.zeros((len(energy), FINE))
    born = 1.0 - beta_squared(energy)[:, None] * MU
    for element, number in zip(medium.elements, medium.per_gram, strict=True):
        beyond = np.maximum(0.0, mott_ratio(element.z, energy) - born)
        beyond[:, 0] = 0.0
        prefactor = 0.5 * number * element.z**2 * rutherford_prefactor(energy)
        at = np.array([np.interp(np.log(mu), np.log(MU), row) for row in beyond])
        density += prefactor[:, None] * at / mu**2
    steps = 0.5 * (density[:, 1:] + density[:, :-1]) * np.diff(mu)
    cumulative = np.concatenate([np.zeros((len(steps), 1)), np.cumsum(steps, axis=1)], axis=1)
    u = np.linspace(0.0, 1.0, QUANTILES + 1)
    total = cumulative[:, -1]
    shares = cumulative / np.where(total > 0.0, total, 1.0)[:, None]
    return total, np.array([np.interp(u, row, mu) for row in shares])


def _law(strength: np.ndarray, energy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row and layer of the Goudsmit-Saunderson table for kappa_1 over Rutherford's prefactor."""
    log2_eta = np.linspace(ETA_MIN_EXP, ETA_MAX_EXP, 64 * (ETA_MAX_EXP - ETA_MIN_EXP) + 1)
    g1, h1, _, _ = screened_moments(2.0**log2_eta)
    spin = beta_squared(energy)
    x = np.array([np.interp(-a, -(g1 - s * h1), log2_eta) for a, s in zip(strength, spin, strict=True)])
    mantissa, exponent = np.frexp(2.0**x)  # mantissa in [1/2, 1)
    row = ETA_PER_OCTAVE * (exponent - 1 - ETA_MIN_EXP + 2.0 * mantissa - 1.0)
    layer = np.interp(spin, SPINS, np.arange(len(SPINS)))
    return np.clip(row, 0.0, ETA_PER_OCTAVE * (ETA_MAX_EXP - ETA_MIN_EXP)), layer

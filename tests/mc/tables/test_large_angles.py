"""Mott scattering of heavy elements for heads, and directions of their bremsstrahlung."""

from itertools import pairwise

import numpy as np
import pytest

from mc.config import Physics
from mc.numerics.jit import njit
from mc.numerics.rng import stream
from mc.numerics.sampling import (
    BREMS_PER_OCTAVE,
    ENERGY_MAX_EXP,
    ENERGY_MIN_EXP,
    ETA_MIN_EXP,
    ETA_PER_OCTAVE,
    octave_nodes,
)
from mc.physics.koch_motz import dipole_variable, koch_motz_factor, largest_factor, sample_koch_motz
from mc.tables import build_tables
from mc.tables.build import energy_nodes
from mc.tables.elements import load_elements
from mc.tables.inelastic import beta_squared
from mc.tables.large_angles import MU, head_tables, mott_ratio
from mc.tables.medium import Atom, Medium
from mc.tables.scattering import screened_moments
from phantoms.materials import load_materials

NAMES = ("air", "tungsten", "copper")
ENERGIES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)


@pytest.fixture(scope="module")
def library():
    return [load_materials()[name] for name in NAMES]


@pytest.fixture(scope="module")
def tables(library):
    return head_tables(library, Physics())


def moments_of_events(tables, m, row):
    """Mean 1 - P1 and 1 - P2 of the events of large angles, per unit strength."""
    _, rate, *quantiles = tables.large_angles[m, row].astype(float)
    mu = np.concatenate([np.linspace(a, b, 41) for a, b in pairwise(quantiles)])
    return rate * np.mean(2 * mu), rate * np.mean(6 * mu * (1 - mu))


@pytest.mark.parametrize("m", range(3))
@pytest.mark.parametrize("energy", ENERGIES)
def test_law_and_events_have_both_transport_moments(tables, library, m, energy):
    """The first is built in; that the second comes out as well says that the shape is right."""
    atoms = {
        z: Atom(element, Physics(), np.array([energy]))
        for z, element in load_elements(z for z, _ in library[m].composition).items()
    }
    medium = Medium(library[m], atoms)
    kappa_1, kappa_2 = medium.soft_transport(False)[:, 0]
    coarse = octave_nodes(ENERGY_MIN_EXP, ENERGY_MAX_EXP, BREMS_PER_OCTAVE)
    row = int(np.argmin(abs(coarse - energy)))
    node = int(np.argmin(abs(energy_nodes() - energy)))
    assert coarse[row] == energy == energy_nodes()[node]
    first, second = moments_of_events(tables, m, row)
    assert tables.large_angles[m, row, 0] + first == pytest.approx(1.0, abs=1e-5)
    octave, part = divmod(tables.elastic[m, 0, node, 0] / ETA_PER_OCTAVE, 1.0)
    eta = 2.0 ** (ETA_MIN_EXP + octave) * (1.0 + part)
    g1, h1, g2, h2 = screened_moments(np.array([eta]))
    spin = beta_squared(np.array([energy]))
    found = second + tables.large_angles[m, row, 0] * ((g2 - spin * h2) / (g1 - spin * h1))[0]
    assert found == pytest.approx(kappa_2 / kappa_1, rel=0.01)


def test_ratio_to_rutherford():
    """Born's for a light element at a large angle, Mott's hump for tungsten, less of it at high energy."""
    energy = np.array([1.0])
    at = int(np.argmin(abs(MU - 0.5)))
    born = 1.0 - beta_squared(energy)[0] * MU[at]
    assert mott_ratio(6, energy)[0, at] == pytest.approx(born, rel=0.06)
    assert 1.5 < mott_ratio(74, energy)[0, at] < 1.8
    assert mott_ratio(74, np.array([30.0]))[0, at] < mott_ratio(74, energy)[0, at]
    between = mott_ratio(77, energy)[0, at]  # iridium has no data of its own
    assert mott_ratio(74, energy)[0, at] < between < mott_ratio(79, energy)[0, at]


def test_tables_of_patients_stay_as_they_are(library, tables):
    plain = build_tables(library, Physics())
    for name in plain._fields:
        if name not in ("elastic", "brems"):
            assert np.array_equal(getattr(plain, name), getattr(tables, name)), name


@njit(_nrt=True)
def koch_motz_histogram(energy, photon, z, n, bins, rng):
    counts = np.zeros(bins)
    for _ in range(n):
        cosine, rng = sample_koch_motz(energy, photon, z, rng)
        counts[min(int(dipole_variable(energy, cosine) * bins), bins - 1)] += 1
    return counts


@pytest.mark.parametrize("photon", [0.1, 3.0, 5.9])
def test_bremsstrahlung_by_koch_and_motz(photon):
    """Chi-square of 40 bins against the density; above 80 by chance 1 in 5000."""
    bins, n = 40, 100_000
    counts = koch_motz_histogram(
        6.0, photon, 74.0, n, bins, tuple(np.uint64(w) for w in stream(1, 0, 0, 0, 0))
    )
    points = (np.arange(bins * 50) + 0.5) / (bins * 50)
    density = (
        np.array([koch_motz_factor(xi, 6.0, photon, 74.0) for xi in points]).reshape(bins, 50).mean(axis=1)
    )
    assert density.mean() == pytest.approx(1.0, abs=0.005)
    expected = n * density / density.sum()
    assert np.sum((counts - expected) ** 2 / expected) < 80.0


@pytest.mark.parametrize("z", [1.0, 29.0, 82.0])
def test_bound_of_the_factor(z):
    for energy in (0.1, 0.5, 2.0, 6.0, 20.0, 31.0):
        for photon in energy * np.array([0.01 / energy, 0.1, 0.5, 0.9, 0.99, 0.999]):
            for least in (0.0, 0.02, 0.2, 0.5):
                for xi in np.linspace(least + 1e-6, 1.0, 25):
                    assert koch_motz_factor(xi, energy, photon, z) <= largest_factor(least + 1e-9)


def test_photons_of_low_energy_are_less_forward():
    """2BS by hand at xi = 1 and 1/2: k = 0.6, E0 = 6.511 (T = 6), Z = 74."""
    mass, total, photon = 0.51099895, 6.51099895, 0.6
    left = total - photon
    r = left / total

    def h(xi):
        m = 1.0 / ((photon * mass / (2 * total * left)) ** 2 + (74 ** (1 / 3) * xi / 111) ** 2)
        q = xi * (1 - xi)
        return 16 * q * r - (1 + r) ** 2 + (1 + r * r - 4 * q * r) * np.log(m)

    found = koch_motz_factor(1.0, 6.0, photon, 74.0) / koch_motz_factor(0.5, 6.0, photon, 74.0)
    assert found == pytest.approx(h(1.0) / h(0.5), rel=1e-9)
    forward = np.linspace(0.4, 1.0, 13)
    low, high = (
        np.mean([koch_motz_factor(xi, 6.0, energy, 74.0) for xi in forward]) for energy in (0.3, 5.0)
    )
    assert low < 0.95 * high

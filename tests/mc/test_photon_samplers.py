"""Samplers of photon interactions against distributions computed here from the formulas.

Chi-square at 1e-4 a test, about 40 in this file: less than 1 in 200 to fail by chance at a new seed.
"""

import numpy as np
import pytest
from distributions import assert_follows, draw, tabulate
from nist_reference import TUNGSTEN, WATER

from mc.config import Physics
from mc.constants import ELECTRON_MASS, FINE_STRUCTURE, HC
from mc.physics.compton import sample_compton
from mc.physics.pair import sample_pair
from mc.physics.photoelectric import sample_photoelectron
from mc.physics.rayleigh import sample_rayleigh
from mc.sampling import X_MAX_EXP, X_MIN_EXP, X_PER_OCTAVE, dipole_cosine, octave_nodes
from mc.tables import build_tables

X = octave_nodes(X_MIN_EXP, X_MAX_EXP, X_PER_OCTAVE)
MATERIALS = (WATER, TUNGSTEN)
COSINES = np.sort(np.concatenate([np.linspace(-1, 1, 4001), 1 - np.geomspace(1e-9, 1e-3, 2000)]))


@pytest.fixture(scope="module")
def tables():
    return build_tables(MATERIALS, Physics())


def beta_of(energy):
    return np.sqrt(energy * (energy + 2 * ELECTRON_MASS)) / (energy + ELECTRON_MASS)


# --- Compton ------------------------------------------------------------------------------------------


def klein_nishina(energy, cosine):
    """Shape of dsigma/dOmega (Klein and Nishina 1929)."""
    ratio = 1 / (1 + energy / ELECTRON_MASS * (1 - cosine))
    return ratio**2 * (ratio + 1 / ratio - (1 - cosine**2))


@pytest.mark.parametrize("material", [0, 1], ids=["water", "tungsten"])
@pytest.mark.parametrize("energy", [0.01, 0.06, 0.5, 2.0, 20.0])
def test_compton_is_klein_nishina_times_the_scattering_function(tables, energy, material):
    scattered, cosine, _ = draw(sample_compton, energy, tables.incoherent, material, columns=3)

    def density(mu):
        x = energy / HC * np.sqrt(0.5 * (1 - mu))
        return klein_nishina(energy, mu) * np.interp(x, X, tables.incoherent[material])

    assert_follows(cosine, COSINES, tabulate(density, COSINES))
    np.testing.assert_allclose(scattered, energy / (1 + energy / ELECTRON_MASS * (1 - cosine)), rtol=1e-9)


@pytest.mark.parametrize("energy", [0.01, 0.5, 20.0])
def test_compton_conserves_momentum(tables, energy):
    scattered, cosine, electron_cosine = draw(
        sample_compton, energy, tables.incoherent, 0, columns=3, n=10000
    )
    sine = np.sqrt((1 - cosine) * (1 + cosine))
    along, across = energy - scattered * cosine, -scattered * sine
    recoil = energy - scattered
    momentum = np.sqrt(recoil * (recoil + 2 * ELECTRON_MASS))
    forward = 1e-6  # below this 1 - cos the test's own subtraction is the coarser
    wide = (1 - cosine > forward) & (1 + cosine > forward)
    np.testing.assert_allclose(np.hypot(along, across)[wide], momentum[wide], rtol=1e-7)
    np.testing.assert_allclose(electron_cosine[wide], (along / np.hypot(along, across))[wide], atol=1e-7)


# --- Rayleigh -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("material", [0, 1], ids=["water", "tungsten"])
@pytest.mark.parametrize("energy", [2e-5, 6e-5, 0.01, 0.06, 0.5, 6.5, 20.0])
def test_rayleigh_is_the_form_factor_times_thomson(tables, energy, material):
    """Also below the momentum transfers of the table and above them: 0.05 keV and 6.3 MeV."""
    (cosine,) = draw(sample_rayleigh, energy, tables.coherent, material)
    most = energy / HC
    squares, integral = np.append(0, X) ** 2, np.append(0, tables.coherent[material])
    form_factor_squared = np.diff(integral) / np.diff(squares)
    # where F(x)^2 is constant: the Thomson factor (1 + mu^2)/2 is integrated by hand
    edges = np.append(squares[squares < most**2], most**2) if most < X[-1] else squares
    edges = np.unique(np.concatenate([edges, np.linspace(0, min(most, X[-1]), 4001) ** 2]))
    mu = 1 - 2 * edges / most**2
    middle = np.searchsorted(squares, 0.5 * (edges[1:] + edges[:-1])) - 1
    share = form_factor_squared[middle] * -np.diff(mu + mu**3 / 3)
    assert_follows(1 - cosine, 1 - mu, np.append(0, np.cumsum(share)))


# --- photoelectric effect -----------------------------------------------------------------------------


@pytest.mark.parametrize("energy", [0.01, 0.1, 1.0, 3.0, 20.0])
def test_photoelectron_is_sauters(energy):
    (cosine,) = draw(sample_photoelectron, energy)
    beta, gamma = beta_of(energy), 1 + energy / ELECTRON_MASS

    def density(mu):  # Sauter 1931, as PIRS-701 and the PENELOPE manual write it
        angle = (1 - mu**2) / (1 - beta * mu) ** 4
        return angle * (1 + 0.5 * gamma * (gamma - 1) * (gamma - 2) * (1 - beta * mu))

    assert_follows(cosine, COSINES, tabulate(density, COSINES))


# --- pairs --------------------------------------------------------------------------------------------


def pair_shares(energy, z):
    """Density of the electron's share: Baro et al. 1994 (PENELOPE manual, section 2.4)."""
    k, a = energy / ELECTRON_MASS, FINE_STRUCTURE * z
    radius = 111.7 / z ** (1 / 3)
    coulomb = a**2 * sum(1 / (n * (n**2 + a**2)) for n in range(1, 20000))  # Davies, Bethe, Maximon 1954
    root = np.sqrt(2 / k)
    low_energy = np.polynomial.Polynomial(
        [
            0,
            -0.1774 - 12.10 * a + 11.18 * a**2,
            8.523 + 73.26 * a - 44.41 * a**2,
            -(13.52 + 121.1 * a - 96.41 * a**2),
            8.946 + 62.05 * a - 63.41 * a**2,
        ]
    )(root)

    def density(share):
        b = radius / (2 * k * share * (1 - share))
        arc, log = 4 * b * np.arctan(1 / b), 3 * np.log1p(b**-2)
        g1 = 7 / 3 - 2 * np.log1p(b**2) - 1.5 * arc - b**2 * (4 - arc - log)
        g2 = 11 / 6 - 2 * np.log1p(b**2) - 0.75 * arc + b**2 / 2 * (4 - arc - log)
        g0 = 4 * np.log(radius) - 4 * coulomb + low_energy
        return 2 * (0.5 - share) ** 2 * np.maximum(g1 + g0, 0) + np.maximum(g2 + g0, 0)

    return density


@pytest.mark.parametrize("z", [7.5, 74.0])
@pytest.mark.parametrize("energy", [1.1, 1.5, 3.0, 6.0, 20.0])
def test_pair_shares_are_bethe_heitlers(energy, z):
    electron, _, positron, _ = draw(sample_pair, energy, z, columns=4, n=3_000_000)
    np.testing.assert_allclose(electron + positron + 2 * ELECTRON_MASS, energy, rtol=1e-12)
    least = ELECTRON_MASS / energy
    share = np.linspace(least, 1 - least, 4001)
    assert_follows((electron + ELECTRON_MASS) / energy, share, tabulate(pair_shares(energy, z), share))


def test_pair_at_the_threshold_is_finite():
    energy = 2 * ELECTRON_MASS * (1 + 1e-12)
    drawn = draw(sample_pair, energy, 7.5, columns=4, n=1000)
    assert np.isfinite(drawn).all() and (drawn[[0, 2]] >= 0).all() and (np.abs(drawn[[1, 3]]) <= 1).all()


@pytest.mark.parametrize("column", [1, 3], ids=["electron", "positron"])
def test_pair_directions_are_dipoles_at_each_ones_own_speed(column):
    drawn = draw(sample_pair, 3.0, 7.5, columns=4)
    beta = beta_of(drawn[column - 1])
    # (cos - beta)/(1 - beta cos), the cosine seen by who moves along, is uniform for a dipole
    seen = (drawn[column] - beta) / (1 - beta * drawn[column])
    assert_follows(seen, np.linspace(-1, 1, 101), np.linspace(0, 1, 101))


@pytest.mark.parametrize("energy", [0.0, 0.05, 1.0, 20.0])
def test_dipole(energy):
    (cosine,) = draw(dipole_cosine, energy)
    beta = beta_of(energy)
    assert_follows(cosine, COSINES, tabulate(lambda mu: (1 - beta * mu) ** -2, COSINES))

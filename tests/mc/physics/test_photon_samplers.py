"""Samplers of photon interactions against distributions computed here from the formulas.

Chi-square at 1e-4 a test, about 40 in this file: less than 1 in 200 to fail by chance at a new seed.
"""

import numpy as np
import pytest

from mc.config import Physics
from mc.numerics.constants import ELECTRON_MASS, HC
from mc.numerics.sampling import X_MAX_EXP, X_MIN_EXP, X_PER_OCTAVE, dipole_cosine, octave_nodes
from mc.physics.compton import sample_compton
from mc.physics.pair import pair_density, sample_pair
from mc.physics.photoelectric import sample_photoelectron
from mc.physics.rayleigh import sample_rayleigh
from mc.tables import build_tables
from tests.mc.distributions import assert_follows, draw, tabulate
from tests.mc.nist_reference import TUNGSTEN, WATER

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


def bethe_heitler(k, electron):
    """d sigma/d E of the bare nucleus, exact Born, in alpha (Z r_e)^2: Motz, Olsen, Koch 1969, 3D-1000."""
    positron = k - electron
    p, q = np.sqrt(electron**2 - 1), np.sqrt(positron**2 - 1)
    both = electron * positron
    log_p, log_q = 2 * np.arccosh(electron), 2 * np.arccosh(positron)
    log = 2 * np.log((both + p * q + 1) / k)
    terms = -4 / 3 - 2 * both * (p**2 + q**2) / (p * q) ** 2
    terms += log_q * electron / q**3 + log_p * positron / p**3 - log_p * log_q / (p * q)
    bracket = k**2 / (p * q) ** 3 * (both**2 + (p * q) ** 2) - 8 / 3 * both / (p * q)
    last = (both - p**2) / p**3 * log_p + (both - q**2) / q**3 * log_q + 2 * k * both / (p * q) ** 2
    return p * q / k**3 * (terms + log * (bracket - k / (2 * p * q) * last))


def pair_shares(energy, z):
    """Density of the electron's share: Bethe and Heitler less the exponential screening."""
    k = energy / ELECTRON_MASS

    def less(b):
        arc, log = 4 * b * np.arctan(1 / b), 3 * np.log1p(b**-2)
        unscreened = -2 - 4 * np.log(b)
        g1 = 7 / 3 - 2 * np.log1p(b**2) - 1.5 * arc - b**2 * (4 - arc - log)
        g2 = 11 / 6 - 2 * np.log1p(b**2) - 0.75 * arc + b**2 / 2 * (4 - arc - log)
        return g1 - unscreened, g2 - unscreened

    def density(share):
        less1, less2 = less(111.7 / z ** (1 / 3) / (2 * k * share * (1 - share)))
        screening = 2 / 3 * (2 * (0.5 - share) ** 2 * less1 + less2)
        return k * bethe_heitler(k, share * k) + (screening if k > 4 else 0)

    return density


@pytest.mark.parametrize("k", [2.1, 2.5, 3.0])
def test_bethe_heitler_of_this_test_has_the_known_integral(k):
    """Near the threshold, by the series of Maximon (J. Res. NBS 72B (1968) 79)."""
    electron = np.linspace(1, k - 1, 20001)[1:-1]
    eta = (k - 2) / (k + 2)
    series = 1 + eta / 2 + 23 / 40 * eta**2 + 11 / 60 * eta**3 + 29 / 960 * eta**4
    expected = 2 * np.pi / 3 * ((k - 2) / k) ** 3 * series
    assert np.trapezoid(bethe_heitler(k, electron), electron) == pytest.approx(expected, rel=2e-3)


def test_pair_density_is_completely_screened_at_high_energies():
    """4 [(1 + 2 (1/2 - s)^2) 2/3 ln(183 Z^(-1/3)) - s (1 - s)/9]: Bethe and Heitler 1934, eq. 33."""
    for z in (8.0, 74.0):
        for share in (0.1, 0.3, 0.5):
            shape = 2 / 3 * (1 + 2 * (0.5 - share) ** 2) * np.log(183 * z ** (-1 / 3))
            expected = 4 * (shape - share * (1 - share) / 9)
            assert pair_density(share, 3e4, z) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("z", [1.0, 82.0])
def test_pair_density_keeps_below_its_bound(z):
    for energy in (1.023, 1.1, 2.0, 2.1, 6.0, 20.0, 32.0):
        k = energy / ELECTRON_MASS
        density = [pair_density(share, k, z) for share in np.linspace(1 / k, 1 - 1 / k, 2001)]
        assert max(density) < 1.1 * pair_density(0.5, k, z)


@pytest.mark.parametrize("z", [7.5, 74.0])
@pytest.mark.parametrize("energy", [1.03, 1.1, 1.5, 3.0, 6.0, 20.0])
def test_pair_shares_are_bethe_heitlers(energy, z):
    electron, _, positron, _ = draw(sample_pair, energy, z, columns=4)
    np.testing.assert_allclose(electron + positron + 2 * ELECTRON_MASS, energy, rtol=1e-12)
    least = ELECTRON_MASS / energy
    share = np.linspace(least, 1 - least, 4003)[1:-1]
    drawn = np.clip((electron + ELECTRON_MASS) / energy, share[0], share[-1])  # the density ends at 0
    assert_follows(drawn, share, tabulate(pair_shares(energy, z), share))


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

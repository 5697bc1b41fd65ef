"""Samplers of hard collisions, bremsstrahlung and annihilation against their cross sections.

Chi-square at 1e-4 a test, about 30 in this file: 1 in 300 to fail by chance at a new seed.
"""

import numpy as np
import pytest

from mc.config import Physics
from mc.numerics.constants import ELECTRON_MASS
from mc.numerics.jit import njit
from mc.numerics.rng import uniform
from mc.numerics.sampling import BREMS_PER_OCTAVE, ENERGY_MAX_EXP, ENERGY_MIN_EXP, octave_nodes
from mc.physics.annihilation import sample_annihilation
from mc.physics.bremsstrahlung import sample_bremsstrahlung
from mc.physics.moller_bhabha import collision_cosines, sample_bhabha, sample_moller
from mc.tables import build_tables
from mc.tables.elements import load_elements
from tests.mc.distributions import assert_follows, draw, tabulate
from tests.mc.nist_reference import TUNGSTEN, WATER

PLAN = Physics()
ROWS = octave_nodes(ENERGY_MIN_EXP, ENERGY_MAX_EXP, BREMS_PER_OCTAVE)


def momentum(energy):
    """Of an electron of kinetic `energy` [MeV/c]."""
    return np.sqrt(energy * (energy + 2 * ELECTRON_MASS))


# --- Moller and Bhabha --------------------------------------------------------------------------------


def moller(tau, share):
    """Moller 1932: shape of dsigma over the share of the energy lost."""
    return (
        share**-2
        + (1 - share) ** -2
        + (tau / (tau + 1)) ** 2
        - (2 * tau + 1) / (tau + 1) ** 2 / (share * (1 - share))
    )


def bhabha(tau, share):
    """Bhabha 1936, in Rohrlich and Carlson's form with y = 1/(tau + 2)."""
    y, beta2 = 1 / (tau + 2), tau * (tau + 2) / (tau + 1) ** 2
    b1, b2 = 2 - y**2, (1 - 2 * y) * (3 + y**2)
    b3, b4 = (1 - 2 * y) ** 2 + (1 - 2 * y) ** 3, (1 - 2 * y) ** 3
    return 1 / (beta2 * share**2) - b1 / share + b2 - b3 * share + b4 * share**2


@pytest.mark.parametrize(
    ("energy", "threshold"), [(0.4, 0.189), (0.03, 0.01), (2.0, 0.189), (20.0, 0.01), (20.0, 2.0)]
)
def test_moller(energy, threshold):
    (loss,) = draw(sample_moller, energy, threshold)
    share = np.geomspace(threshold / energy, 0.5, 4001)
    share[0], share[-1] = threshold / energy, 0.5
    assert_follows(loss / energy, share, tabulate(lambda s: moller(energy / ELECTRON_MASS, s), share))


@pytest.mark.parametrize(
    ("energy", "threshold"), [(0.2, 0.189), (0.02, 0.01), (2.0, 0.189), (20.0, 0.01), (20.0, 2.0)]
)
def test_bhabha(energy, threshold):
    (loss,) = draw(sample_bhabha, energy, threshold)
    share = np.geomspace(threshold / energy, 1.0, 4001)
    share[0], share[-1] = threshold / energy, 1.0
    assert_follows(loss / energy, share, tabulate(lambda s: bhabha(energy / ELECTRON_MASS, s), share))


@pytest.mark.parametrize("energy", [0.02, 1.0, 20.0])
@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.999, 1.0])
def test_collisions_conserve_momentum(energy, share):
    loss = share * energy
    primary, secondary = collision_cosines(energy, loss)
    p, q = momentum(energy - loss), momentum(loss)
    assert p * primary + q * secondary == pytest.approx(momentum(energy), rel=1e-10)
    across = [k * np.sqrt((1 - c) * (1 + c)) for k, c in ((p, primary), (q, secondary))]
    assert across[0] == pytest.approx(across[1], abs=1e-7 * momentum(energy))


# --- annihilation in flight ---------------------------------------------------------------------------


@pytest.mark.parametrize("energy", [1e-4, 0.05, 0.5, 3.0, 20.0])
def test_annihilation_is_heitlers(energy):
    first, first_cosine, second, second_cosine = draw(sample_annihilation, energy, columns=4)
    total = energy + 2 * ELECTRON_MASS
    np.testing.assert_allclose(first + second, total, rtol=1e-12)
    np.testing.assert_allclose(
        first * first_cosine + second * second_cosine, momentum(energy), rtol=1e-10, atol=1e-10
    )
    across = [k * np.sqrt((1 - c) * (1 + c)) for k, c in ((first, first_cosine), (second, second_cosine))]
    np.testing.assert_allclose(across[0], across[1], atol=2e-6 * total)

    gamma = 1 + energy / ELECTRON_MASS
    least = 1 / (gamma + 1 + np.sqrt(gamma**2 - 1))

    def density(share):  # of either photon: Heitler 1954; symmetric in share and 1 - share
        def half(s):
            return -((gamma + 1) ** 2) + (gamma**2 + 4 * gamma + 1) / s - s**-2

        return half(share) + half(1 - share)

    share = least + (1 - 2 * least) * 0.5 * (1 - np.cos(np.linspace(0, np.pi, 4001)))
    either = np.concatenate([first, second])[np.arange(first.size) + np.arange(first.size) % 2 * first.size]
    assert_follows(either / total, share, tabulate(density, share))


# --- bremsstrahlung -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tables():
    return build_tables((WATER, TUNGSTEN), PLAN)


@pytest.mark.parametrize("material", [0, 1], ids=["water", "tungsten"])
@pytest.mark.parametrize("energy", [0.0501, 0.0523, 0.3, 2.0, 6.1, 20.0])
def test_bremsstrahlung_is_the_mixture_of_its_neighbouring_rows(tables, energy, material):
    photon, _ = draw(sample_bremsstrahlung, energy, PLAN.photon_cut, tables.brems, material, columns=2)
    row = np.searchsorted(ROWS, energy, side="right") - 1
    share = (energy - ROWS[row]) / (ROWS[row + 1] - ROWS[row])
    x = np.linspace(0, 1, 4001)
    levels = np.linspace(0, 1, tables.brems.shape[2])
    low, high = (np.interp(x, tables.brems[material, r], levels) for r in (row, row + 1))
    assert_follows(
        np.log(photon / PLAN.photon_cut) / np.log(energy / PLAN.photon_cut),
        x,
        (1 - share) * low + share * high,
    )


@pytest.mark.parametrize("energy", [0.5, 2.0, 10.0])
def test_bremsstrahlung_is_seltzer_bergers(tables, energy):
    """Down to the data: 65 quantiles bend the spectrum by less than 1e-3 of the cumulative one."""
    photon, cosine = draw(sample_bremsstrahlung, energy, PLAN.photon_cut, tables.brems, 1, columns=2)
    element = load_elements([74])[74]
    row = int(np.argmin(np.abs(element.bremsstrahlung_energy - energy)))
    assert element.bremsstrahlung_energy[row] == pytest.approx(energy)
    k = np.geomspace(PLAN.photon_cut, energy, 4001)
    spectrum = np.interp(k / energy, element.bremsstrahlung_fraction, element.bremsstrahlung[row]) / k
    cumulative = np.append(0, np.cumsum(0.5 * (spectrum[1:] + spectrum[:-1]) * np.diff(k)))
    drawn = np.searchsorted(np.sort(photon), k) / photon.size
    assert np.abs(drawn - cumulative / cumulative[-1]).max() < 2.5e-3
    beta = momentum(energy) / (energy + ELECTRON_MASS)
    seen = (cosine - beta) / (1 - beta * cosine)  # uniform for a dipole
    assert_follows(seen, np.linspace(-1, 1, 101), np.linspace(0, 1, 101))


def test_chi_square_sees_one_percent():
    """The tests' own power: a Moller law bent by 1 % (rms over the samples) is refused."""

    @njit
    def bent(energy, threshold, rng):
        while True:
            loss, rng = sample_moller(energy, threshold, rng)
            a, rng = uniform(rng)
            if a < 1.0 - 0.12 * loss / energy:
                return loss, rng

    energy, threshold = 2.0, 0.189
    share = np.geomspace(threshold / energy, 0.5, 4001)
    (loss,) = draw(bent, energy, threshold)
    assert 0.12 * np.std(loss / energy) < 0.0135
    with pytest.raises(AssertionError, match="chi-square"):
        assert_follows(loss / energy, share, tabulate(lambda s: moller(energy / ELECTRON_MASS, s), share))

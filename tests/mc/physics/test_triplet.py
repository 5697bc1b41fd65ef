"""Triplets: the recoil against Borsellino, the pair against Breit and Wheeler; conservation.

Chi-square at 1e-4 a test and counts at 4.5 sigma, about 25 in all: less than 1 in 300 to fail by chance.
"""

import numpy as np
import pytest

from mc.config import Physics
from mc.numerics.constants import CLASSICAL_ELECTRON_RADIUS, ELECTRON_MASS, HC
from mc.numerics.jit import njit
from mc.numerics.sampling import X_MAX_EXP, X_MIN_EXP, X_PER_OCTAVE, octave_nodes
from mc.physics.triplet import (
    MIN_TRIPLET,
    density_bound,
    recoil_density,
    recoil_limits,
    sample_breit_wheeler,
    sample_recoil,
    sample_triplet,
)
from mc.tables import build_tables
from mc.tables.elements import load_elements
from mc.tables.photons import photon_cross_sections
from mc.transport.context import Cuts
from mc.transport.particle import ELECTRON, POSITRON
from phantoms.materials import Material, load_materials
from tests.mc.distributions import assert_follows, draw, tabulate
from tests.mc.events import ENERGY, KIND, interact_alone

FINE_STRUCTURE = 7.2973525693e-3
X = octave_nodes(X_MIN_EXP, X_MAX_EXP, X_PER_OCTAVE)
FREE = np.ones((1, len(X)), np.float32)  # no binding


def borsellino(k, t, w2):
    """d2sigma/dT dW2 in units of alpha r_e^2, written with Q^2 and x; `t`, `w2` arrays in electron masses."""
    q2 = 2 * t
    x, y, nu = q2 / (q2 + w2), (q2 + w2) / (2 * k), 1 / q2
    beta = np.sqrt(np.maximum(1 - 4 / w2, 0))
    log = np.log1p(2 * beta / (1 - beta))
    splitting = x**2 + (1 - x) ** 2
    f2 = x * (splitting + 4 * x * (1 - 3 * x) * nu - 8 * x**2 * nu**2) * log
    f2 += x * beta * (8 * x * (1 - x) - 1 - 4 * x * (1 - x) * nu)
    fl = 4 * x**2 * ((1 - x) * beta - 2 * x * nu * log)
    return ((q2 - 2) * (f2 - fl) / x + 4 * k * (1 - y) / y * f2) / q2**2 / k**2


def kinematic(k, t, w2):
    """Whether a recoil of `t` is possible: |cos| <= 1."""
    return 0.5 * w2 + t * (k + 1) <= k * np.sqrt(t * (t + 2))


def marginal(k, weight, nodes=1200):
    """Integrate the cross section times weight(t) over W^2: grid of ln T and density per ln T."""
    largest = (np.sqrt(1 + 2 * k) - 1) ** 2
    low, high = (limit for limit in recoil_limits(k, 4.0))
    log_t = np.linspace(np.log(low), np.log(high), nodes)
    t = np.exp(log_t)
    w2_top = np.minimum(2 * (k * np.sqrt(t * (t + 2)) - t * (k + 1)), largest)  # where cos = 1
    points, weights = np.polynomial.legendre.leggauss(80)
    half = 0.5 * np.log(np.maximum(w2_top, 4.0) / 4.0)[:, None]
    w2 = 4.0 * np.exp(half * (1 + points))
    values = borsellino(k, t[:, None], w2) * w2 * weights * half
    return log_t, values.sum(axis=1) * t * weight(t)


# --- the cross section --------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1e4, 1e5])
def test_integral_is_borsellinos_asymptote(k):
    log_t, density = marginal(k, np.ones_like, 20000)
    expected = 28 / 9 * np.log(2 * k) - 218 / 27
    assert np.trapezoid(density, log_t) == pytest.approx(expected, rel=0.005)


@pytest.mark.parametrize("reduced", [0.05, 0.2, 0.5, 1.0])
def test_recoil_at_high_energies_is_boldyshevs(reduced):
    """d sigma/d ln X = 14/9 - 4/15 X + 2 x 0.0348 X^2 - 3 x 0.008 X^3 with X = 2 T."""
    log_t, density = marginal(1e5, np.ones_like, 20000)
    expected = 14 / 9 - 4 / 15 * reduced + 0.0696 * reduced**2 - 0.024 * reduced**3
    assert np.interp(np.log(reduced / 2), log_t, density) == pytest.approx(expected, rel=0.005)


@pytest.mark.parametrize(("energy", "limit"), [(5.0, 0.06), (8.0, 0.02), (20.0, 0.03)])
def test_integral_is_xcoms_triplet_cross_section(energy, limit):
    """Of hydrogen, with its scattering function. XCOM has exchange: less by 5 % at 5 MeV, vanishing above."""
    hydrogen = load_elements([1])[1]
    log_t, density = marginal(
        energy / ELECTRON_MASS,
        lambda t: np.interp(0.5 * np.sqrt(t * (t + 2)) * ELECTRON_MASS / HC, *hydrogen.scattering),
    )
    ours = np.trapezoid(density, log_t) * FINE_STRUCTURE * CLASSICAL_ELECTRON_RADIUS**2 * 1e24
    assert ours == pytest.approx(photon_cross_sections(hydrogen, np.array([energy]))[4, 0], rel=limit)


@pytest.mark.parametrize("energy", [MIN_TRIPLET, 2.05, 2.2, 3.0, 6.0, 15.0, 32.0])
def test_bound_holds_and_is_tight(energy):
    k = energy / ELECTRON_MASS
    largest = (np.sqrt(1 + 2 * k) - 1) ** 2
    highest = 0.0
    for w2 in 1 / np.linspace(1 / largest, 0.25, 300):
        low, high = recoil_limits(k, w2)
        for t in np.geomspace(low, high, 100):
            if high > low:
                highest = max(highest, recoil_density(k, t, w2) * np.log(high / low))
    assert 0.5 < highest / density_bound(k) <= 1.0


# --- samplers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("energy", [2.1, 3.0, 6.0, 20.0])
def test_recoil_follows_borsellino(energy):
    k = energy / ELECTRON_MASS
    t, w2 = draw(sample_recoil, energy, FREE, 0, columns=2, n=300_000)
    assert kinematic(k, t * (1 + 1e-12), w2 * (1 - 1e-9)).all() and (w2 >= 4).all()
    log_t, density = marginal(k, np.ones_like, 4001)
    cumulative = np.append(0, np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(log_t)))
    assert_follows(np.log(t), log_t, cumulative)


def test_pair_mass_follows_borsellino():
    energy = 10.0
    k = energy / ELECTRON_MASS
    _, drawn = draw(sample_recoil, energy, FREE, 0, columns=2, n=300_000)
    w2 = np.geomspace(4.0, (np.sqrt(1 + 2 * k) - 1) ** 2, 2001)
    points, weights = np.polynomial.legendre.leggauss(60)

    def density(mass):
        mass = np.atleast_2d(mass)[..., None]
        low, high = np.vectorize(recoil_limits)(k, mass)
        half = 0.5 * np.log(high / low)
        t = low * np.exp(half * (1 + points))
        return (borsellino(k, t, mass) * t * weights * half).sum(axis=-1)

    assert_follows(drawn, w2, tabulate(density, w2))


def test_binding_hinders_small_recoils():
    energy = 20.0
    tables = build_tables([load_materials()["lead"]], Physics())
    t, _ = draw(sample_recoil, energy, tables.incoherent, 0, columns=2, n=300_000)

    def taking_part(t):
        return np.interp(0.5 * np.sqrt(t * (t + 2)) * ELECTRON_MASS / HC, X, tables.incoherent[0])

    log_t, density = marginal(energy / ELECTRON_MASS, taking_part, 4001)
    cumulative = np.append(0, np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(log_t)))
    assert_follows(np.log(t), log_t, cumulative)


@pytest.mark.parametrize("beta", [0.0, 0.01, 0.5, 0.9, 0.999])
def test_breit_wheeler(beta):
    (z,) = draw(sample_breit_wheeler, beta, n=300_000)
    grid = np.tanh(np.linspace(-1, 1, 4001) * np.arctanh(max(beta, 1e-3))) / max(beta, 1e-3)
    grid[[0, -1]] = -1, 1

    def density(z):
        c = beta**2 * z**2
        return (1 + 2 * beta**2 * (1 - beta**2) * (1 - z**2) - beta**4 * z**4) / (1 - c) ** 2

    cumulative = tabulate(density, grid)
    if beta > 0.1:  # the total cross section of Breit and Wheeler
        log = np.log((1 + beta) / (1 - beta))
        assert cumulative[-1] == pytest.approx(
            ((3 - beta**4) * log - 2 * beta * (2 - beta**2)) / beta, rel=1e-6
        )
    assert_follows(z, grid, cumulative)


@njit
def _sample_flat(energy, incoherent, material, rng):
    """Recoil, electron and positron as 12 numbers, and the rng."""
    recoil, electron, positron, rng = sample_triplet(energy, incoherent, material, rng)
    return (
        recoil.energy, recoil.cos_theta, recoil.cos_phi, recoil.sin_phi,
        electron.energy, electron.cos_theta, electron.cos_phi, electron.sin_phi,
        positron.energy, positron.cos_theta, positron.cos_phi, positron.sin_phi,
        rng,
    )  # fmt: skip


@pytest.mark.parametrize("energy", [MIN_TRIPLET, 2.1, 3.0, 6.0, 20.0])
def test_energy_and_momentum_are_conserved(energy):
    drawn = draw(_sample_flat, energy, FREE, 0, columns=12, n=100_000)
    (recoil, *recoil_direction), (electron, *electron_direction), (positron, *positron_direction) = (
        drawn.reshape(3, 4, -1)
    )
    assert (drawn[::4] >= 0).all()
    np.testing.assert_allclose(recoil + electron + positron + 2 * ELECTRON_MASS, energy, rtol=1e-12)
    balance = np.array([[0.0], [0.0], [-energy]])
    for kinetic, (cosine, c, s) in (
        (recoil, recoil_direction),
        (electron, electron_direction),
        (positron, positron_direction),
    ):
        momentum = np.sqrt(kinetic * (kinetic + 2 * ELECTRON_MASS))
        across = momentum * np.sqrt((1 - cosine) * (1 + cosine))
        balance = balance + np.stack([across * c, across * s, momentum * cosine])
    assert np.abs(balance).max() < 1e-5 * energy  # square roots of rounding where a cosine is 1


def test_electron_and_positron_are_alike():
    drawn = draw(_sample_flat, 8.0, FREE, 0, columns=12, n=400_000)
    electron, positron = drawn[4], drawn[8]
    assert (electron - positron).mean() == pytest.approx(
        0, abs=4.5 * (electron - positron).std() / np.sqrt(4e5)
    )
    assert drawn[5].mean() == pytest.approx(drawn[9].mean(), abs=4.5 * drawn[5].std() * np.sqrt(2 / 4e5))


# --- events -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("energy", [3.0, 6.0, 20.0])
def test_triplets_have_xcoms_share(energy):
    hydrogen = Material("H", 8.4e-5, ((1, 1.0),), 19.2)
    tables, n = build_tables([hydrogen], Physics()), 1_000_000
    particles, deposit = interact_alone(n, energy, tables, Cuts(electron_cut=0.0, photon_cut=0.0))
    left = particles[:, :, ENERGY].sum(axis=1) + deposit
    positrons = (particles[:, :, KIND] == POSITRON).any(axis=1)
    np.testing.assert_allclose(left[~positrons], energy, rtol=1e-6)
    np.testing.assert_allclose(left[positrons], energy - 2 * ELECTRON_MASS, rtol=1e-6)
    triplets = positrons & ((particles[:, :, KIND] == ELECTRON).sum(axis=1) == 2)
    coherent, incoherent, photo, pair, triplet = photon_cross_sections(
        load_elements([1])[1], np.array([energy])
    )
    share = (triplet / (coherent + incoherent + photo + pair + triplet))[0]
    assert triplets.mean() == pytest.approx(share, rel=2e-3, abs=4.5 * np.sqrt(share / n))

"""Photons into a window of directions against the full samplers: as many, of the same energies.

Each comparison of two counts fails by chance at 4.5 sigma, 7 in a million.
"""

import math

import numpy as np
import pytest

from mc.config import Physics
from mc.numerics.jit import njit
from mc.numerics.rng import stream
from mc.numerics.sampling import dipole_cosine
from mc.physics import directed
from mc.physics.compton import sample_compton
from mc.physics.rayleigh import sample_rayleigh
from mc.tables import build_tables
from phantoms.materials import load_materials

TRIES = 400_000
WINDOWS = ((0.99, 1.0), (0.5, 0.7), (-1.0, -0.6))


@pytest.fixture(scope="module")
def tables():
    library = load_materials()
    return build_tables((library["air"], library["tungsten"]), Physics())


def state(seed):
    return tuple(np.uint64(word) for word in stream(seed, 0, 0, 0, 0))


@njit(_nrt=True)
def dipoles(energy, low, high, tries, rng):
    full = 0
    cosines = np.zeros(2)
    share, start, width = directed.dipole_share(energy, low, high)
    for _ in range(tries):
        cosine, rng = dipole_cosine(energy, rng)
        if low <= cosine < high:
            full += 1
            cosines[0] += cosine
        cosine, rng = directed.try_dipole(energy, start, width, rng)
        cosines[1] += cosine
    return full, share * tries, cosines[0] / max(full, 1), cosines[1] / tries


@njit(_nrt=True)
def comptons(energy, low, high, incoherent, material, tries, rng):
    norm = directed.compton_norm(energy, incoherent, material)
    share, least, most = directed.compton_share(energy, low, high, norm)
    counts, sums = np.zeros(2), np.zeros(2)
    for _ in range(tries):
        scattered, cosine, _, rng = sample_compton(energy, incoherent, material, rng)
        if low <= cosine < high:
            counts[0] += 1
            sums[0] += scattered
        scattered, cosine, rng = directed.try_compton(energy, least, most, incoherent, material, rng)
        if scattered > 0.0:
            counts[1] += 1
            sums[1] += scattered
    return counts[0], share * counts[1], sums / counts, counts[1]


@njit(_nrt=True)
def rayleighs(energy, low, high, coherent, material, tries, rng):
    norm = directed.rayleigh_norm(energy, coherent, material)
    share, start, width = directed.rayleigh_share(energy, low, high, coherent, material, norm)
    counts, sums = np.zeros(2), np.zeros(2)
    for _ in range(tries):
        cosine, rng = sample_rayleigh(energy, coherent, material, rng)
        if low <= cosine < high:
            counts[0] += 1
            sums[0] += cosine
        passed, cosine, rng = directed.try_rayleigh(energy, start, width, coherent, material, rng)
        if passed:
            counts[1] += 1
            sums[1] += cosine
    return counts[0], share * counts[1], sums / counts, counts[1]


def assert_alike(full, expected, successes):
    sigma = math.sqrt(full + expected * expected / successes)
    assert abs(full - expected) < 4.5 * sigma + 1e-9 * expected


@pytest.mark.parametrize("window", WINDOWS)
def test_bremsstrahlung(window):
    full, expected, mean, mean_within = dipoles(6.0, *window, TRIES, state(1))
    assert_alike(full, expected, np.inf)
    assert mean_within == pytest.approx(
        mean, abs=4.5 * (window[1] - window[0]) / math.sqrt(12 * max(full, 1))
    )


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("energy", [0.1, 2.0])
def test_compton(tables, energy, window):
    full, expected, means, successes = comptons(energy, *window, tables.incoherent, 1, TRIES, state(2))
    assert full > 100
    assert_alike(full, expected, successes)
    assert means[1] == pytest.approx(means[0], rel=0.02)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("energy", [0.06, 0.4])
def test_rayleigh(tables, energy, window):
    full, expected, means, successes = rayleighs(energy, *window, tables.coherent, 1, TRIES, state(3))
    assert_alike(full, expected, successes)
    if full > 100:
        assert means[1] == pytest.approx(means[0], abs=4.5 * (window[1] - window[0]) / math.sqrt(12 * full))

"""Simple beams: spectrum, field, solid angle. Chi-square at 1e-4, 9 of them: 1 in 1,000 to fail by chance."""

import math

import numpy as np
import pytest

from mc.numerics.jit import njit
from mc.source.beams import Beam, sample_beam, spectrum
from mc.transport.particle import PHOTON
from tests.mc.distributions import assert_follows, draw

EDGES, COUNTS = np.array([0.2, 0.5, 1.0, 4.0, 6.0]), [3.0, 0.0, 5.0, 1.0]
FIELD = (-2.0, 7.0, 1.0, 5.0)


@njit
def _sample(beam, rng):
    particle, rng = sample_beam(beam, rng)
    _, energy, x, y, z, u, v, w, _ = particle
    return energy, x, y, z, u, v, w, rng


def drawn(distance, edges=EDGES, counts=COUNTS):
    beam = Beam(PHOTON, *spectrum(edges, counts), *FIELD, 3.0, distance)
    return draw(_sample, beam, columns=7, n=400_000)


def test_spectrum_is_the_histogram():
    energy = drawn(math.inf)[0]
    assert_follows(energy, EDGES, np.cumsum([0, 3, 0, 5, 1]))  # the four bins
    assert not ((energy > 0.5) & (energy < 1.0)).any()  # the empty one
    inside = energy[(energy > 1.0) & (energy < 4.0)]
    assert_follows(inside, np.linspace(1, 4, 101), np.linspace(1, 4, 101))  # flat within a bin


def test_single_energy():
    assert (drawn(math.inf, np.array([1.25, 1.25]), [1.0])[0] == 1.25).all()


def test_parallel_beam_is_flat():
    _, x, y, z, *direction = drawn(math.inf)
    assert_follows(x, np.linspace(-2, 7, 91), np.linspace(-2, 7, 91))
    assert_follows(y, np.linspace(1, 5, 81), np.linspace(1, 5, 81))
    assert (z == 3.0).all()
    np.testing.assert_array_equal(np.unique(direction, axis=1).T, [[0, 0, 1]])


@pytest.mark.parametrize("distance", [2.0, 100.0])
def test_point_source_is_isotropic(distance):
    """Per unit area the solid angle is d/r^3; it has a primitive, atan(x y/(d r))."""
    _, x, y, z, u, v, w = drawn(distance)
    r = np.sqrt(x**2 + y**2 + distance**2)
    np.testing.assert_allclose([u, v, w], [x / r, y / r, distance / r], rtol=1e-12, atol=1e-15)
    assert (z == 3.0).all()

    def solid_angle(x, y):
        return np.arctan(x * y / (distance * np.sqrt(x**2 + y**2 + distance**2)))

    at = np.linspace(-2, 7, 451)
    assert_follows(x, at, solid_angle(at, 5.0) - solid_angle(at, 1.0))
    at = np.linspace(1, 5, 401)
    assert_follows(y, at, solid_angle(7.0, at) - solid_angle(-2.0, at))

"""Octave grids, azimuths and rotations. Chi-square at 1e-4: 1 in 5,000 to fail by chance at a new seed."""

import numpy as np
import pytest

from mc.numerics.sampling import (
    ENERGY_MAX,
    ENERGY_MIN,
    azimuth,
    energy_position,
    octave_nodes,
    octave_position,
    rotate,
)
from tests.mc.distributions import assert_follows, draw

GRIDS = [(-7, 5, 64), (-8, 9, 16), (-32, -2, 2), (-12, 0, 8), (0, 1, 1)]


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_octave_position_is_where_searchsorted_finds_it(grid):
    nodes = octave_nodes(*grid)
    assert nodes[0] == 2.0 ** grid[0] and nodes[-1] == 2.0 ** grid[1]
    assert len(nodes) == (grid[1] - grid[0]) * grid[2] + 1 and (np.diff(nodes) > 0).all()
    random = np.exp(np.random.default_rng(1).uniform(np.log(nodes[0]), np.log(nodes[-1]), 2000))
    for x in np.concatenate([random, nodes[:-1], np.nextafter(nodes[1:], 0)]):
        i, f = octave_position(x, *grid)
        assert i == np.searchsorted(nodes, x, side="right") - 1
        assert 0 <= f < 1
        assert nodes[i] + f * (nodes[i + 1] - nodes[i]) == pytest.approx(x, rel=1e-15)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_outside_an_octave_grid_the_nearest_end_is_taken(grid):
    low, high, count = 2.0 ** grid[0], 2.0 ** grid[1], (grid[1] - grid[0]) * grid[2]
    for x in (low / 3, np.nextafter(low, 0), 1e-300):
        assert octave_position(x, *grid) == (0, 0.0)
    for x in (high, high * 1.7, 1e300):
        assert octave_position(x, *grid) == (count - 1, 1.0)
    assert octave_position(low, *grid) == (0, 0.0)


def test_energy_grid():
    assert energy_position(ENERGY_MIN) == (0, 0.0)
    assert energy_position(1.0) == (7 * 64, 0.0)
    assert energy_position(1.5) == (7 * 64 + 32, 0.0)
    assert energy_position(ENERGY_MAX)[0] == 12 * 64 - 1


def test_azimuth():
    cosine, sine = draw(azimuth, columns=2)
    np.testing.assert_allclose(cosine**2 + sine**2, 1, rtol=1e-14)
    angles = np.linspace(-np.pi, np.pi, 1001)
    assert_follows(np.arctan2(sine, cosine), angles, angles)


def some_directions():
    random = np.random.default_rng(2).normal(size=(40, 3))
    awkward = [(0, 0, 1), (0, 0, -1), (1, 0, 0), (0, -1, 0)]
    for tiny in (1e-14, 1e-9, 1e-7, 0.9e-6, 1.1e-6, 1e-3):  # either side of where the formula changes
        for sign in (1, -1):
            awkward += [(tiny, 0, sign), (0, -tiny, sign), (sign, tiny, 0), (tiny, sign, tiny)]
    directions = np.concatenate([random, np.array(awkward, float)])
    return directions / np.linalg.norm(directions, axis=1)[:, None]


@pytest.mark.parametrize("cosine", [1.0, 1 - 1e-12, 0.9, 0.0, -0.3, -1.0])
def test_rotate_turns_by_the_polar_angle(cosine):
    for direction in some_directions():
        on_axis = np.hypot(*direction[:2]) < 1e-6  # is taken for the axis itself
        for phi in (0.0, 1.0, 2.5, 4.0, 6.0):
            turned = np.array(rotate(*direction, cosine, np.cos(phi), np.sin(phi)))
            assert abs(turned @ turned - 1) < (1e-12 if on_axis else 1e-14)
            assert abs(turned @ direction - cosine) < (1.1e-6 if on_axis else 2e-12)
            across = np.linalg.norm(np.cross(direction, turned))
            assert abs(across - np.sqrt((1 - cosine) * (1 + cosine))) < (1.1e-6 if on_axis else 2e-8)


def test_rotate_by_opposite_azimuths_is_coplanar():
    """A primary and its secondary, thrown to phi and phi + pi: momentum balances across the direction."""
    for direction in some_directions():
        c, s = np.cos(0.7), np.sin(0.7)
        first = np.array(rotate(*direction, 0.6, c, s)) - 0.6 * direction
        second = np.array(rotate(*direction, 0.6, -c, -s)) - 0.6 * direction
        np.testing.assert_allclose(first, -second, atol=3e-6)


def test_rotate_covers_all_azimuths_evenly():
    """Azimuths a quarter turn apart stay so, right-handed about the direction."""
    for direction in some_directions():
        first = np.array(rotate(*direction, 0.0, 1.0, 0.0))
        second = np.array(rotate(*direction, 0.0, 0.0, 1.0))
        np.testing.assert_allclose(np.cross(first, second), direction, atol=3e-6)


def test_length_stays_at_one_over_many_turns():
    rng = np.random.default_rng(3)
    direction = (0.0, 0.0, -1.0)
    for _ in range(20000):
        phi = rng.uniform(0, 2 * np.pi)
        direction = rotate(*direction, rng.uniform(-1, 1), np.cos(phi), np.sin(phi))
    assert abs(np.linalg.norm(direction) - 1) < 1e-14

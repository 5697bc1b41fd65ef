"""Phase spaces of uneven weights: those of low weight play roulette at the source, without any bias."""

from __future__ import annotations

import numpy as np
import pytest

from mc.backends.cpu import cuts_of
from mc.config import Physics
from mc.source.phase_space import Particles
from mc.source.phase_space_writer import write_phase_space
from mc.source.weights import roulette_weight
from mc.tables import build_tables
from mc.transport.scoring import EMITTED, PARTICLES
from phantoms.recipes import water_tank
from tests.mc.engine import run_particles

N = 20_000


def uneven(folder, heavy_from=2.0, light=1.0, heavy=5.0):
    """Photons from a point source above z = 0, even in area at z = 100, heavy beyond a radius there."""
    random = np.random.default_rng(3)
    x, y = random.uniform(-10.0, 10.0, (2, N))
    z = np.full(N, 27.0)
    norm = np.sqrt(x * x + y * y + 1e4)
    weight = np.where(np.hypot(x, y) < heavy_from, light, heavy)
    ones = np.ones(N)
    particles = Particles(
        np.ones(N, np.int8), ones, 0.27 * x, 0.27 * y, z, x / norm, y / norm, 100.0 / norm, weight, ones > 0
    )
    return write_phase_space(folder / "uneven", particles, N)


def test_even_weights_play_no_roulette(tmp_path):
    assert roulette_weight(uneven(tmp_path, heavy=1.0)) == 0.0
    assert roulette_weight(uneven(tmp_path, heavy=1.9)) == 0.0


@pytest.mark.parametrize("rotate", [False, True])
def test_weight_of_an_opening(tmp_path, rotate):
    """The weighted mean weight of what enters: a square of 10 cm with photons of low weight within 2 cm."""
    space = uneven(tmp_path)
    light = np.pi * 4.0 / 100.0
    expected = (light + 25.0 * (1.0 - light)) / (light + 5.0 * (1.0 - light))
    assert roulette_weight(space, (-5.0, 5.0, -5.0, 5.0), 100.0, rotate) == pytest.approx(expected, rel=0.02)
    assert roulette_weight(space, (-1.0, 1.0, -1.0, 1.0), 100.0, rotate) == 0.0  # all are light here
    assert roulette_weight(space, (0.0, 0.0, 0.0, 0.0), 100.0, rotate) == 0.0  # nothing is open


def test_opening_off_the_axis_is_where_iec_has_it(tmp_path):
    """y of the phase space is -Y: an opening at Y > 0 sees the photons at y < 0."""
    random = np.random.default_rng(4)
    x, y = random.uniform(-5.0, 5.0, (2, N))
    ones = np.ones(N)
    norm = np.sqrt(x * x + y * y + 1e4)
    weight = np.where(y < 0.0, 1.0 + 4.0 * (x > 0.0), 1.0)
    particles = Particles(
        np.ones(N, np.int8), ones, 0.27 * x, 0.27 * y, 27.0 * ones, x / norm, y / norm, 100.0 / norm, weight,
        ones > 0,
    )  # fmt: skip
    space = write_phase_space(tmp_path / "half", particles, N)
    assert roulette_weight(space, (-5.0, 5.0, -5.0, 0.0), 100.0) == 0.0
    assert roulette_weight(space, (-5.0, 5.0, 0.0, 5.0), 100.0) == pytest.approx(26.0 / 6.0, rel=0.02)


def test_roulette_keeps_the_mean_and_saves_particles():
    """Dose of light and heavy photons with and without roulette: the same within its sigma, for less work."""
    phantom, physics = water_tank((4.0, 4.0, 4.0), (2.0, 2.0, 2.0)), Physics()
    tables, cuts = build_tables(phantom.materials, physics), cuts_of(physics)
    random = np.random.default_rng(5)
    particles = np.zeros((N, 9))
    particles[:, 1], particles[:, 4], particles[:, 7] = 1.0, -1.0, 1.0
    particles[:, 2:4] = random.uniform(-1.5, 1.5, (N, 2))
    particles[:, 8] = np.where(np.arange(N) % 2, 4.0, 1.0)
    all_of_them = run_particles(phantom, tables, cuts, particles)
    fewer = run_particles(phantom, tables, cuts, particles, least=4.0)
    assert all_of_them.counters[PARTICLES] == N
    assert fewer.counters[PARTICLES] == pytest.approx(0.625 * N, abs=4 * np.sqrt(0.5 * N * 0.25 * 0.75))
    # each photon of low weight emits 4 with a chance of 1/4: variance 3
    sigma = np.sqrt(0.5 * N * 3.0)
    emitted = [
        run.counters[EMITTED] / all_of_them.counters[EMITTED] * 2.5 * N for run in (all_of_them, fewer)
    ]
    assert emitted[1] == pytest.approx(emitted[0], abs=4 * sigma)
    spread = np.sqrt(2.0 * 0.5 * N * 17.0) / (2.5 * N)  # of the weights that interact, and of the roulette
    assert fewer.voxels.sum() == pytest.approx(all_of_them.voxels.sum(), rel=4 * spread)

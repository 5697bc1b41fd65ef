"""Copies of a dose with its noise, against the covariance they are drawn from."""

import numpy as np
import pytest

from mc.covariance import Covariance
from mc.dose import Dose
from phantoms.grid import Grid
from validation.metrics.noise import Noise

GRID = Grid((6, 8, 10), (0.3, 0.2, 0.2), (1.0, -2.0, 3.0))
ALL = tuple(slice(0, n) for n in GRID.shape)
RANDOM = np.random.default_rng(3)
MEAN = 10 + RANDOM.random(GRID.shape)
SIGMA = 0.1 + 0.1 * RANDOM.random(GRID.shape)
MAPS = (
    0.05 * RANDOM.standard_normal((16, *GRID.shape)) + 0.04 * RANDOM.standard_normal((16, 1, 1, 1))
).astype("f4")
HELD = Covariance(GRID, 1, MAPS, 15.0)


def dose(covariance=HELD, **more):
    return Dose(GRID, MEAN, SIGMA, np.zeros(GRID.shape), covariance=covariance, **more)


def calibrated(sigma):
    return {
        "calibrations": {"6 MV": {"gy_per_history": 2.0, "sigma": 2.0 * 0.6 * sigma, "latent": 0.8 * sigma}}
    }


def variance_of_copies(noise, weights, box=ALL):
    return np.var([np.sum(weights * copy) for copy in noise.copies(MEAN[box], box)])


@pytest.mark.parametrize("common", [0.0, 0.02])
def test_copies_have_the_covariance_exactly(common):
    noise = Noise.of(dose(provenance=calibrated(common)))
    for _ in range(5):
        weights = RANDOM.standard_normal(GRID.shape)
        of_maps = np.sum(np.sum(MAPS * weights, axis=(1, 2, 3)) ** 2)
        of_common = (common * np.sum(weights * MEAN)) ** 2
        assert variance_of_copies(noise, weights) == pytest.approx(of_maps + of_common, rel=1e-4)


def test_the_sigma_of_a_mean_is_that_of_the_copies():
    noise = Noise.of(dose(provenance=calibrated(0.01)))
    box = (slice(1, 4), slice(2, 8), slice(0, 5))
    weights = RANDOM.random((3, 6, 5))
    found = noise.sigma_of_mean(MEAN[box], weights, box)
    copies = variance_of_copies(noise, weights / weights.sum(), box)
    assert found == pytest.approx(np.sqrt(15 / 13 * copies), rel=1e-4)


def test_a_part_of_the_grid_has_its_part_of_the_maps():
    part = Grid((2, 5, 4), GRID.spacing, (1.6, -1.6, 3.4))
    for of_part, of_whole in zip(HELD.maps(part), HELD.maps(GRID), strict=True):
        np.testing.assert_array_equal(of_part, of_whole[2:4, 2:7, 2:6])


def test_on_another_grid_maps_are_interpolated_as_the_dose_is():
    other = Grid((5, 9, 9), (0.25, 0.17, 0.21), (1.1, -1.9, 3.05))
    maps = Dose(GRID, MAPS[3], SIGMA, SIGMA).crop_to(other).mean
    np.testing.assert_allclose(list(HELD.maps(other))[3], maps, atol=1e-6)


def test_blocks_add_the_noise_of_voxels_within_them():
    blocks = Grid((3, 4, 5), (0.6, 0.4, 0.4), (1.15, -1.9, 3.1))
    held = Covariance(blocks, 2, np.zeros((16, 3, 4, 5), "f4"), 15.0)
    weights = np.full(GRID.shape, 1.0 / MEAN.size)
    found = Noise.of(dose(held)).sigma_of_mean(MEAN, weights, ALL)
    assert found == pytest.approx(np.sqrt(15 / 13 * 7 / 8 * np.sum((weights * SIGMA) ** 2)))
    copies = list(Noise.of(dose(held)).copies(MEAN, ALL))
    assert np.std([c - MEAN for c in copies]) == pytest.approx(np.sqrt(7 / 8 * np.mean(SIGMA**2)), rel=0.05)


def test_without_a_covariance_voxels_are_independent_and_the_latent_noise_is_shared():
    old = Dose(GRID, MEAN, SIGMA, np.full(GRID.shape, 0.3))
    weights = np.full(GRID.shape, 1.0 / MEAN.size)
    found = Noise.of(old).sigma_of_mean(MEAN, weights, ALL)
    assert found == pytest.approx(np.hypot(0.3, np.sqrt(np.sum((weights * SIGMA) ** 2))))
    means = [copy.mean() for copy in Noise.of(old).copies(MEAN, ALL)]
    assert np.std(means) == pytest.approx(found, rel=0.35)


def test_a_file_keeps_the_covariance(tmp_path):
    dose().save(tmp_path / "dose.h5")
    read = Dose.load(tmp_path / "dose.h5").covariance
    assert (read.grid, read.block, read.freedom, read.common) == (HELD.grid, 1, 15.0, 0.0)
    np.testing.assert_allclose(read.deviations, MAPS, atol=1e-3 * np.abs(MAPS).max())


def test_a_cropped_dose_keeps_the_covariance():
    part = Grid((2, 5, 4), GRID.spacing, (1.6, -1.6, 3.4))
    noise = Noise.of(dose().crop_to(part))
    weights = RANDOM.random(part.shape)
    box = tuple(slice(0, n) for n in part.shape)
    whole = np.zeros(GRID.shape)
    whole[2:4, 2:7, 2:6] = weights
    expected = Noise.of(dose()).sigma_of_mean(MEAN, whole, ALL)
    assert noise.sigma_of_mean(MEAN[2:4, 2:7, 2:6], weights, box) == pytest.approx(expected, rel=1e-5)


def test_nothing_is_known_of_one_batch_of_a_phase_space():
    """Latent noise that no batches show makes every sigma infinite; a simple beam has none."""
    for quality, known in (({"passes": 0.125}, False), ({"passes": None}, True)):
        noise = Noise.of(Dose(GRID, MEAN, SIGMA, np.array(np.nan), {"quality": quality}))
        assert np.isfinite(noise.sigma_of_mean(MEAN, MEAN, ALL)) == known
        assert np.isfinite(noise.factor) == known

"""The covariance of a dose from subsets of the histories, against doses whose covariance is known."""

import numpy as np
import pytest

from mc.run.batch_statistics import BatchStatistics, batch_order
from mc.run.subsets import SubsetSums
from phantoms.grid import Grid

GRID = Grid((2, 3, 4), (0.3, 0.3, 0.3), (0.0, 0.0, 0.0))
GROUPS, TRANSPORT, LATENT = 16, 0.08, 0.05  # relative sigmas of a batch, per voxel and shared by all


def batches(random, count, groups=GROUPS):
    """Batches of mean 1: noise of each voxel's own, and one that all voxels share and a group repeats."""
    shared = random.standard_normal(groups)
    for _, (_, group) in zip(range(count), batch_order(groups), strict=False):
        own = TRANSPORT * random.standard_normal(GRID.shape)
        yield group, (1.0 + own + LATENT * shared[group]) / groups


def covariance_of(random, count, grid=GRID, groups=GROUPS, **options):
    """The covariance after so many batches, and the mean."""
    sums, stats = SubsetSums(grid, groups, **options), BatchStatistics(GRID.voxel_volume and 24, groups)
    for group, batch in batches(random, count, groups):
        stats.add(batch.ravel())
        for k, layer in enumerate(batch):
            sums.add_layer(group, k, layer)
    mean = stats.mean().reshape(GRID.shape).copy()
    return sums.covariance(stats.batches_of_groups, 0.0), mean


@pytest.mark.parametrize("count", [10, 16, 27, 32, 45, 64])
def test_variances_of_voxels_and_of_their_mean_are_those_of_repeated_runs(count):
    random = np.random.default_rng(count)
    runs = [covariance_of(random, count) for _ in range(600)]
    means = np.array([mean for _, mean in runs])
    for weights in (np.eye(24)[5].reshape(GRID.shape), np.full(GRID.shape, 1 / 24)):
        true = np.var(np.sum(means * weights, axis=(1, 2, 3)), ddof=1)
        stated = np.array([np.sum(np.sum(c.deviations * weights, axis=(1, 2, 3)) ** 2) for c, _ in runs])
        error = np.hypot(true * np.sqrt(2 / 600), stated.std() / np.sqrt(600))
        assert stated.mean() == pytest.approx(true, abs=3.5 * error)
    assert runs[0][0].freedom == pytest.approx(expected_freedom(count))


def expected_freedom(count):
    """Subsets in use, less one, of even numbers of batches; less where they are uneven."""
    used = BatchStatistics(1, GROUPS)
    used.batches = count
    counts = used.batches_of_groups
    return counts.sum() ** 2 / np.sum(counts**2) - 1


def test_two_sigmas_cover_the_truth_in_95_percent_however_few_subsets():
    random = np.random.default_rng(5)
    for count in (10, 16, 32):
        runs = [covariance_of(random, count) for _ in range(1500)]
        off = np.array([mean.mean() - 1.0 for _, mean in runs])
        sigma = np.array(
            [c.factor * np.sqrt(np.sum(c.deviations.mean(axis=(1, 2, 3)) ** 2)) for c, _ in runs]
        )
        covered = np.mean(np.abs(off) < 2 * sigma)
        assert covered == pytest.approx(0.952, abs=3.5 * np.sqrt(0.95 * 0.05 / 1500))


def test_more_groups_than_subsets_share_one():
    covariance, _ = covariance_of(np.random.default_rng(1), 120, groups=60)
    assert len(covariance.deviations) == 24
    assert covariance.freedom == pytest.approx(60**2 / (12 * 9 + 12 * 4) / 1 - 1, rel=1e-6)


def test_blocks_average_the_kept_voxels_alone(monkeypatch):
    monkeypatch.setattr("mc.run.subsets.MAX_VALUES", GROUPS * 4)
    scored = np.ones(GRID.shape, bool)
    scored[0, 0, :2] = False
    sums = SubsetSums(GRID, GROUPS, scored)
    assert sums.block == 2 and sums.sums.shape == (GROUPS, 1, 2, 2)
    dose = np.where(scored, 3.0, 0.0)
    for group in (0, 1):
        for k, layer in enumerate((1 + group) * dose):
            sums.add_layer(group, k, layer)
    np.testing.assert_allclose(sums.sums[1], 6.0)
    counts = np.zeros(GROUPS, int)
    counts[:2] = 1
    covariance = sums.covariance(counts, 0.0)
    assert covariance.block == 2
    on = list(covariance.maps(GRID))
    assert len(on) == 2 and on[0].shape == GRID.shape
    np.testing.assert_allclose(on[0], on[0].flat[0])
    np.testing.assert_allclose(covariance.grid.lower, GRID.lower)


def test_one_subset_knows_no_covariance():
    assert covariance_of(np.random.default_rng(1), 2)[0] is None

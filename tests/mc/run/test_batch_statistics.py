"""Both variances against the known ones of synthetic batches, and how often they cover the truth.

Batches are those of `REPEATED` independent runs, one a voxel, so the spread over runs is that over voxels.
A stated sigma is held to the true one within 2 %: five times the error of either.
"""

from itertools import islice

import numpy as np
import pytest

from mc.run.batch_statistics import BatchStatistics, batch_order, parts

REPEATED = 40_000
MEAN = 5.0
TRANSPORT, LATENT = 0.3, 0.2  # sigmas of a batch, of its random numbers and of its histories


def exponential(random, *shape):
    """Of mean 0 and sigma 1, and skew, as doses of few histories are."""
    return random.exponential(size=shape) - 1.0


def normal(random, *shape):
    return random.normal(size=shape)


def runs(batches, groups, seed, transport=TRANSPORT, latent=LATENT, draw=exponential):
    """Statistics of `batches` batches of files cut into `groups`, and the true mean of each file."""
    random = np.random.default_rng(seed)
    histories = MEAN + latent * draw(random, groups, REPEATED)
    statistics = BatchStatistics(REPEATED, groups)
    for _, group in islice(batch_order(groups), batches):
        statistics.add(histories[group] + transport * draw(random, REPEATED))
    return statistics, histories.sum(axis=0)


def rms(variance):
    return np.sqrt(variance.mean())


def test_order_of_batches():
    """Every group twice in a row, and every replica once over every group."""
    order = list(islice(batch_order(3), 12))
    assert order[:6] == [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)]
    assert sorted(order) == [(replica, group) for replica in range(4) for group in range(3)]


@pytest.mark.parametrize("groups", [16, 5])
@pytest.mark.parametrize("rounds", [1, 4])
def test_whole_rounds(rounds, groups):
    statistics, file = runs(2 * rounds * groups, groups, 1)
    assert statistics.at_end_of_round
    transport, latent = statistics.variances()
    error = statistics.mean() - file
    assert rms(transport) == pytest.approx(error.std(), rel=0.02)
    assert rms(transport) == pytest.approx(TRANSPORT * np.sqrt(groups / (2 * rounds)), rel=0.02)
    assert rms(latent) == pytest.approx(LATENT * np.sqrt(groups), rel=0.02)
    assert rms(transport + latent) == pytest.approx((statistics.mean() - groups * MEAN).std(), rel=0.02)


@pytest.mark.parametrize("batches", [4, 7, 20, 31, 33, 50, 79])
def test_wherever_a_run_stops(batches):
    """Groups used unequally often, and a pair cut in two: transport and total sigma are the true ones."""
    statistics, _ = runs(batches, 16, batches)
    assert not statistics.at_end_of_round
    transport, latent = statistics.variances()
    assert rms(transport) == pytest.approx(TRANSPORT * 16 / np.sqrt(batches), rel=0.02)
    total = (statistics.mean() - 16 * MEAN).std()
    assert np.sqrt((transport + latent).mean()) == pytest.approx(total, rel=0.025)


@pytest.mark.parametrize(("transport", "latent"), [(0.3, 0.0), (0.01, 0.3)])
def test_one_variance_alone(transport, latent):
    """Neither leaks into the other: the latent variance is 0 on average where histories do not differ."""
    statistics, _ = runs(64, 16, 3, transport, latent)
    stated, of_histories = statistics.variances()
    assert rms(stated) == pytest.approx(transport * 2, rel=0.02)
    error = 5 * of_histories.std() / np.sqrt(REPEATED)
    assert of_histories.mean() == pytest.approx(16 * latent**2, abs=error)


@pytest.mark.parametrize(("batches", "two_sigma"), [(32, 0.937), (64, 0.946), (320, 0.953)])
def test_coverage(batches, two_sigma):
    """Two sigma hold the truth as often as Student's t of as many degrees of freedom as there are pairs."""
    statistics, file = runs(batches, 16, 5, latent=0.0, draw=normal)
    error, (transport, _) = np.abs(statistics.mean() - file), statistics.variances()
    assert np.mean(error < 2 * np.sqrt(transport)) == pytest.approx(two_sigma, abs=0.005)


def test_two_batches_give_no_latent_variance():
    statistics, _ = runs(3, 16, 6)
    transport, latent = statistics.variances()
    assert latent is None
    assert rms(transport) == pytest.approx(TRANSPORT * 16 / np.sqrt(3), rel=0.025)


def test_mean_is_of_one_pass():
    statistics = BatchStatistics(1, 2)
    for value in (1.0, 2.0, 3.0, 4.0):
        statistics.add(np.array([value]))
    assert statistics.at_end_of_round and statistics.mean()[0] == 5.0


@pytest.mark.parametrize("batches", [3, 7, 34])
def test_part_by_part_is_the_same_to_the_last_bit(batches, monkeypatch):
    """Parts that do not divide the voxels; and the sums used up give what they gave before."""
    monkeypatch.setattr("mc.run.batch_statistics.PART", 37)
    random = np.random.default_rng(9)
    whole, cut = BatchStatistics(100, 16), BatchStatistics(100, 16)
    for _ in range(batches):
        batch = random.exponential(size=100)
        whole.add(batch)
        for part in parts(100):
            cut.add_part(part, batch[part])
        cut.end_batch()
    for name, array in whole.arrays.items():
        assert np.array_equal(array, cut.arrays[name])
    expected_moments = [whole.mean(), *whole.variances()]
    for found, expected in zip(cut.consume(), expected_moments, strict=True):
        assert found is None if expected is None else np.array_equal(found, expected)

"""Validation cases: the rules that judge two doses, on doses whose truth is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from phantoms.errors import InputError
from phantoms.grid import Grid
from validation.engine.curves import Curve, deviation
from validation.engine.judge import Pair, family_allowance, judge, pair_doses
from validation.engine.noise import inflation, mirror_noise, sigma_scale
from validation.engine.r50 import find_r50, moments, r50_sigma
from validation.engine.stored import load_dose, save_dose
from validation.engine.sums import Sums
from validation.engine.verdict import Check, Options, Verdict

GRID = Grid((60, 21, 21), (0.2, 0.5, 0.5), (0.1, -5.0, -5.0))
NOISE = 0.01  # of the local dose, at the maximum


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    """The uncertainty of a shift from 6 draws, which takes a quarter of the time."""
    monkeypatch.setattr("validation.engine.judge.DRAWS", 6)


def truth():
    """A field of 5 x 5 cm that fades with depth, with soft edges; its maximum is 1."""
    z, y, x = (GRID.centres(axis) for axis in range(3))
    across = [1 / (1 + np.exp((np.abs(c) - 2.5) / 0.2)) for c in (y, x)]
    dose = np.exp(-0.06 * z)[:, None, None] * across[0][:, None] * across[1]
    return dose / dose.max()


def noise(seed, along=1):
    """Noise of the dose's sigma, correlated over `along` voxels of depth, and that sigma."""
    random = np.random.default_rng(seed)
    nz, ny, nx = GRID.shape
    white = random.standard_normal((nz + along - 1, ny, nx))
    shared = sum(white[k : k + nz] for k in range(along)) / np.sqrt(along)
    sigma = NOISE * np.sqrt(truth() + 1e-3)
    return sigma * shared, sigma


def judged(change=lambda dose: dose, along=1, quick=False, seed=0, stated=1.0):
    """Checks by name of a dose that is `change` of the truth, both noisy."""
    (ours, sigma), (theirs, _) = noise(2 * seed + 1, along), noise(2 * seed + 2, along)
    pair = pair_doses(
        GRID, change(truth()) + ours, sigma, truth() + theirs, stated * sigma, rescale=stated != 1.0
    )
    assert isinstance(pair, Pair)
    return {check.name: check for check in judge(pair, Options(Path(), quick=quick)).checks}


def failed(checks):
    return [name for name, check in checks.items() if not check.passed]


@pytest.mark.parametrize("along", [1, 6])
def test_noise_alone_passes(along):
    """Correlated noise too, as electrons that cross several voxels make it."""
    checks = judged(along=along)
    assert failed(checks) == []
    assert checks["mean difference, above Dmax/2"].sigma < 0.1
    assert checks["curves, averaged along"].sigma < 0.4


def test_a_shift_of_one_percent_fails_every_check():
    checks = judged(lambda dose: dose + 0.012 * (dose > 0.05))
    assert failed(checks) == list(checks)  # shifts, means, curves, gamma


def test_a_shift_within_the_limits_passes():
    assert failed(judged(lambda dose: 1.002 * dose)) == []


def test_a_shift_of_a_part_of_the_voxels_is_found():
    """1.5 % in a fifth of the depth: the mean hardly moves."""

    def reduced(dose):
        dose = dose.copy()
        dose[10:20] *= 1.02
        return dose

    checks = judged(reduced)
    assert "systematic shift, above Dmax/2" in failed(checks)
    assert checks["systematic shift, above Dmax/2"].value == pytest.approx(1.6, abs=0.4)


def test_a_quick_run_has_wider_limits():
    checks = judged(lambda dose: 1.009 * dose, quick=True)
    assert failed(checks) == []
    mean = checks["mean difference, above Dmax/2"]
    assert mean.limit == 1.0 and mean.value > 0.3 + 2 * mean.sigma  # a full run would fail


def test_latent_noise_in_a_stated_sigma_is_found():
    """A reference that states twice the sigma it has is judged by the true one."""
    assert failed(judged(stated=2.0)) == []
    assert "mean difference, above Dmax/2" in failed(judged(lambda dose: 1.006 * dose, stated=2.0))


def test_a_sigma_from_few_batches_hides_no_tail():
    """Student's t for the normal: 6 batches in 4 mirror images, 20 degrees of freedom."""
    (ours, sigma), (theirs, _) = noise(1), noise(2)
    estimated = sigma * np.sqrt(np.random.default_rng(3).chisquare(5, GRID.shape) / 5)
    pair = pair_doses(GRID, truth() + ours, estimated, truth() + theirs, 0.2 * sigma, freedom=5)
    t = (pair.ours - truth())[pair.regions["above Dmax/2"]] / pair.ours_sigma[pair.regions["above Dmax/2"]]
    assert t.var() == pytest.approx(1.0, abs=0.05)


def test_scale_and_correlation_of_noise_are_read_from_a_dose():
    values, sigma = noise(7, along=5)
    region = truth() > 0.5
    assert sigma_scale(truth() + values, 2.0 * sigma, region) == pytest.approx(0.5, abs=0.03)
    # variance of the mean of five: 1 + 2 (4/5 4/5 + 3/5 3/5 + 2/5 2/5 + 1/5 1/5) = 3.4
    assert inflation(truth() + values, sigma, region, (5, 1, 1)) == pytest.approx(3.4, rel=0.15)
    assert inflation(truth() + noise(8)[0], sigma, region, (5, 1, 1)) == pytest.approx(1.0, abs=0.15)
    for drawn, where in mirror_noise(truth() + values):
        assert not drawn[~where].any()
        t = (drawn / sigma)[:, where[0]]
        for lag, expected in enumerate([1.0, 0.8, 0.6, 0.4, 0.2, 0.0]):
            assert np.mean(t[: len(t) - lag] * t[lag:]) == pytest.approx(expected, abs=0.08)


def test_the_worst_of_many_is_allowed_what_noise_makes_of_it():
    worst = np.abs(np.random.default_rng(3).standard_normal((4000, 500))).max(axis=1)
    assert np.mean(worst > family_allowance(500)) == pytest.approx(0.01, abs=0.006)


def test_a_check_allows_for_its_own_uncertainty_only():
    assert Check("a", 0.69, 0.5, 0.1).passed and not Check("a", -0.71, 0.5, 0.1).passed
    assert not Check("a", float("nan"), 0.5, 0.1).passed
    assert not Verdict("case").passed
    assert not Verdict("case", (Check("a", 0.0, 0.5), Check("b", 1.0, 0.5))).passed


def test_deviation_counts_distance_in_gradients_only():
    x = np.arange(0.0, 10.0, 0.5)
    edge = Curve("x", x, 1 / (1 + np.exp((x - 5.2) / 0.15)), np.zeros_like(x))
    moved = Curve("x", x, 1 / (1 + np.exp((x - 5.17) / 0.15)), np.zeros_like(x))
    assert np.abs(moved.dose - edge.dose).max() > 0.03  # 0.3 mm apart
    assert np.abs(deviation(moved, edge, 1.0, 0.05)).max() < 0.01  # of 0.05
    flat = Curve("x", x, np.ones_like(x), np.zeros_like(x))
    raised = Curve("x", x, 1.004 * np.ones_like(x), np.zeros_like(x))
    np.testing.assert_allclose(deviation(raised, flat, 1.0, 0.05), 0.004)


def test_a_dose_survives_its_compact_form(tmp_path):
    dose, sigma = 3e-11 * truth(), 3e-13 * np.sqrt(truth())
    save_dose(tmp_path / "reference.npz", dose, sigma, GRID)
    again, again_sigma, grid = load_dose(tmp_path / "reference.npz")
    assert grid.matches(GRID)
    np.testing.assert_allclose(again, dose, atol=0.51 / 65535 * dose.max())
    seen = dose > 0.01 * dose.max()
    np.testing.assert_allclose(again_sigma[seen] / again[seen], sigma[seen] / dose[seen], rtol=0.02)
    (tmp_path / "broken.npz").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="broken"):
        load_dose(tmp_path / "broken.npz")


# --- R50 ----------------------------------------------------------------------------------------------

DEPTH = np.arange(0.0125, 6.0, 0.025)


def fall(r50):
    """A depth dose that falls to half of its maximum of 1 at `r50`."""
    return (0.7 + 0.3 * np.exp(-(((DEPTH - 2.5) / 1.2) ** 2))) / (1 + np.exp((DEPTH - r50) / 0.25))


def test_r50_moves_with_the_curve():
    first = find_r50(DEPTH, fall(4.1))
    assert find_r50(DEPTH, 5e-13 * fall(4.1)) == pytest.approx(first, abs=1e-6)
    assert find_r50(DEPTH, np.interp(DEPTH - 0.05, DEPTH, fall(4.1))) == pytest.approx(first + 0.05, abs=2e-3)


def test_r50_of_a_straight_fall_is_exact():
    dose = np.clip(2.0 - 0.5 * DEPTH, 0.0, 1.0)
    assert find_r50(DEPTH, dose) == pytest.approx(3.0, abs=2e-3)


def test_uncertainty_of_r50_is_its_scatter():
    """Slices that share electrons: the covariance of batches shows it, their variances alone would not."""
    random, n, batches = np.random.default_rng(5), len(DEPTH), 60
    lags = 1.0 - np.abs(np.subtract.outer(range(n), range(n))) / 40.0
    spread = np.linalg.cholesky(np.maximum(lags, 0.0) + 1e-9 * np.eye(n))

    def sums():
        doses = fall(4.1) + 0.03 * random.standard_normal((batches, n)) @ spread.T
        total = np.concatenate([doses.sum(axis=0), (doses.T @ doses).ravel()])
        return Sums(1, batches, total, total)

    found, stated = [], []
    for repeat in range(60):
        mean, covariance = moments(sums(), n)
        found.append(find_r50(DEPTH, mean))
        if repeat < 2:
            stated.append(r50_sigma(DEPTH, mean, covariance))
    assert np.mean(stated) == pytest.approx(np.std(found, ddof=1), rel=0.35)
    alone = r50_sigma(DEPTH, fall(4.1), np.diag(np.diag(covariance)))
    assert np.mean(stated) > 2.0 * alone

"""Gamma in one dimension, and a scan against a curve."""

from __future__ import annotations

import numpy as np
import pytest

from tests.validation.scans.formats import csv, depth_dose, profile, write
from validation.metrics.gamma import Criterion
from validation.metrics.gamma_curve import distance_to_agreement, gamma_1d
from validation.scans import read_scans
from validation.scans.compare import compare

ONE_ONE = Criterion(1.0, 1.0, threshold_percent=0.0)


def test_gamma_of_a_straight_line():
    """A line of slope s shifted by d lies d / sqrt(dose^2 + (s distance)^2) away (Bakai et al. 2003)."""
    x = np.linspace(0, 10, 51)
    for slope, shift in ((0.0, 0.7), (5.0, 2.0), (-20.0, 1.3)):
        found = gamma_1d(x[20:30], 50 + slope * x[20:30], x, 50 + slope * x + shift, 1.0, 0.1)
        np.testing.assert_allclose(found, shift / np.hypot(1.0, 0.1 * slope), rtol=1e-12)


def test_gamma_against_dense_search():
    random = np.random.default_rng(1)
    x = np.sort(random.uniform(0, 5, 40))
    a, b = random.uniform(0, 10, 40), random.uniform(0, 10, 40)
    found = gamma_1d(x, a, x, b, 1.5, 0.3)
    fine = np.linspace(x[0], x[-1], 200_001)
    dose = np.interp(fine, x, b)
    for k in range(40):
        sought = np.hypot((fine - x[k]) / 0.3, (dose - a[k]) / 1.5).min()
        assert found[k] == pytest.approx(sought, abs=2e-3)


def test_distance_to_agreement():
    x = np.linspace(0, 10, 101)
    found = distance_to_agreement(x, 5 * x, x, 5 * (x + 0.13), 0.5)
    np.testing.assert_allclose(found[5:], 0.13, atol=1e-12)
    flat = distance_to_agreement(x, np.full(101, 3.0), x, np.full(101, 4.0), 0.5)
    np.testing.assert_array_equal(flat, 0.5)


def scan_of(tmp_path, rows):
    (scan,) = read_scans(write(tmp_path, "a.csv", csv(rows)))
    return scan


def against(scan, curve, criterion=ONE_ONE, build_up=1.5):
    """Compare a scan with a function of position, in units of its own."""
    at = np.unique(np.concatenate([np.arange(scan.positions[0], scan.positions[-1], 0.05), scan.positions]))
    dose = 3e-16 * curve(at)
    return compare(scan, at, dose, 0.005 * dose, 0.0 * dose, criterion, build_up)


def test_profile_shifted_by_a_millimetre(tmp_path):
    x = np.arange(-8, 8.01, 0.25)
    scan = scan_of(tmp_path, [(p, 0.0, 5.0, profile(p)) for p in x])
    same = against(scan, profile)
    assert same.passing_percent == 100.0 and same.max_gamma < 0.02
    assert np.abs(same.difference).max() < 0.02 and same.sigma_percent == pytest.approx(0.5, rel=0.1)
    shifted = against(scan, lambda p: profile(p - 0.1))
    assert shifted.max_gamma == pytest.approx(1.0, abs=0.02)
    steep = (shifted.measured > 30) & (shifted.measured < 70)
    np.testing.assert_allclose(shifted.distance_mm[steep], 1.0, atol=0.05)
    assert against(scan, lambda p: profile(p - 0.15)).passing_percent < 95.0


def test_only_shape_is_judged(tmp_path):
    """A curve of another unit, or twice as high, is the same curve."""
    x = np.arange(-8, 8.01, 0.25)
    scan = scan_of(tmp_path, [(p, 0.0, 5.0, profile(p)) for p in x])
    assert against(scan, lambda p: 7.0 * profile(p)).max_gamma < 0.02


def test_build_up_is_not_judged(tmp_path):
    z = np.arange(0, 25, 0.25)
    scan = scan_of(tmp_path, [(0.0, 0.0, d, depth_dose(d)) for d in z])
    wrong = against(scan, lambda d: depth_dose(d) * (1 + 0.3 * np.exp(-((d / 0.4) ** 2))))
    assert wrong.gamma.max() > 1.0 and wrong.passing_percent == 100.0
    assert not wrong.judged[z < 1.4].any() and wrong.judged[z >= 1.5].all()
    harder = against(scan, lambda d: depth_dose(d) * np.exp(0.004 * d))
    assert harder.difference[-1] > 1.0 and harder.passing_percent < 100.0
    at_ten = np.flatnonzero(np.isclose(z, 10.0))[0]
    assert abs(harder.difference[at_ten]) < 0.01  # where both are scaled to each other


def test_local_criterion(tmp_path):
    x = np.arange(-8, 8.01, 0.25)
    scan = scan_of(tmp_path, [(p, 0.0, 5.0, profile(p) + 3.0) for p in x])
    more_outside = against(scan, lambda p: profile(p) + 3.5)
    local = against(scan, lambda p: profile(p) + 3.5, Criterion(1.0, 1.0, True, 0.0))
    assert more_outside.passing_percent == 100.0 and local.passing_percent < 80.0

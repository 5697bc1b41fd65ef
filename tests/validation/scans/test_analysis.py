"""Figures of curves against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from validation.scans.analysis import (
    crossings,
    depth_dose_figures,
    depth_of_maximum,
    fitted_dose,
    inflections,
    profile_figures,
    tpr20_10,
)

X = np.arange(-8, 8.01, 0.1)
FIELD = (-5.0, 5.0, -5.0, 5.0)


def field(x, left=-5.0, right=5.0, width=0.3):
    """Product of two logistic edges: 50 % at left and right, slope by width [cm]."""
    return 1.0 / (1.0 + np.exp((left - x) / width)) / (1.0 + np.exp((x - right) / width))


def test_field_size_and_penumbra():
    """80 to 20 % of a logistic edge is 2 ln 4 of its width; interpolation costs some hundredths of a mm."""
    figures = profile_figures(X, 3.0 * field(X, -4.8, 5.2), True)
    assert figures["field_cm"] == pytest.approx(10.0, abs=2e-3)
    assert figures["centre_cm"] == pytest.approx(0.2, abs=1e-3)
    assert figures["penumbra_cm"] == pytest.approx(2 * math.log(4) * 0.3, abs=3e-3)


def test_flatness_and_symmetry():
    with_horns = field(X, width=0.05) * (1.0 + 0.002 * X**2 + 0.001 * X)
    figures = profile_figures(X, with_horns, True)
    at = 0.8 * 0.5 * figures["field_cm"]  # samples end within 1 mm of it
    top, least = 1.0 + 0.002 * at**2 + 0.001 * at, 1.0 - 0.001 / 8 / 1
    assert figures["flatness_percent"] == pytest.approx(100 * (top - least) / (top + least), abs=0.1)
    assert figures["symmetry_percent"] == pytest.approx(100 * 0.002 * at, abs=0.03)


def test_unflattened_field_by_its_inflection_points():
    """A cone over the field moves the 50 % points, hardly the inflection points."""

    def shape(x):
        return field(x) * np.exp(-0.12 * np.abs(x))

    cone, fine = shape(X), np.linspace(4.5, 5.5, 20_001)
    steepest = fine[np.argmin(np.gradient(shape(fine), fine))]
    assert inflections(X, cone) == pytest.approx((-steepest, steepest), abs=0.01)
    assert steepest == pytest.approx(5.0, abs=0.06)
    figures = profile_figures(X, cone, False)
    assert figures["inflection_field_cm"] == pytest.approx(2 * steepest, abs=0.02)
    assert figures["field_cm"] < 9.8 and "flatness_percent" not in figures
    assert figures["penumbra_cm"] == pytest.approx(2 * math.log(4) * 0.3, abs=0.1)


def test_edges_are_looked_for_from_the_inside():
    """What rises again outside the field is no edge, and a scan that ends inside has none."""
    bump = field(X) + 0.7 * np.exp(-(((X - 7.5) / 0.2) ** 2))
    assert crossings(X, bump, 0.5)[1] == pytest.approx(5.0, abs=0.01)
    short = np.abs(X) < 4
    assert all(math.isnan(edge) for edge in crossings(X[short], field(X)[short], 0.5))


def depth_dose(z, mu=0.05, attenuated=3.0):
    """A difference of exponentials, its maximum where mu e^(-mu z) = a s e^(-s z)."""
    return np.exp(-mu * z) - 0.6 * np.exp(-attenuated * z)


def test_depth_dose():
    z = np.arange(0.0, 30.01, 0.2)
    maximum = math.log(0.6 * 3.0 / 0.05) / (3.0 - 0.05)
    found, dose = depth_of_maximum(z, depth_dose(z))
    assert found == pytest.approx(maximum, abs=0.03)
    assert dose == pytest.approx(depth_dose(maximum), rel=5e-4)
    figures = depth_dose_figures(z, depth_dose(z), 90.0, FIELD)
    assert figures["D10_percent"] == pytest.approx(100 * math.exp(-0.5) / depth_dose(maximum), rel=1e-3)
    assert figures["D20_D10"] == pytest.approx(math.exp(-0.5), rel=1e-6)
    assert "TPR20_10" not in depth_dose_figures(z, depth_dose(z), 90.0, (-2.0, 2.0, -2.0, 2.0))
    assert math.isnan(fitted_dose(z[z < 15], depth_dose(z[z < 15]), 20.0))


def test_noise_hardly_moves_the_depth_of_maximum():
    z, random = np.arange(0.0, 30.01, 0.1), np.random.default_rng(3)
    maximum = math.log(0.6 * 3.0 / 0.05) / (3.0 - 0.05)
    found = [
        depth_of_maximum(z, depth_dose(z) * (1 + 0.002 * random.standard_normal(z.size)))[0]
        for _ in range(50)
    ]
    assert np.std(found) < 0.06 and np.mean(found) == pytest.approx(maximum, abs=0.05)


def test_tpr_of_another_ssd():
    """A depth dose that is attenuation and inverse square alone gives the same TPR from any SSD."""

    def ratio(ssd):
        return math.exp(-0.5) * ((ssd + 10) / (ssd + 20)) ** 2

    assert tpr20_10(ratio(100), 100.0) == pytest.approx(1.2661 * ratio(100) - 0.0595)
    assert tpr20_10(ratio(90), 90.0) == pytest.approx(tpr20_10(ratio(100), 100.0))

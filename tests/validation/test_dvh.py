"""DVH metrics against counted voxels, closed forms and drawn noise."""

from __future__ import annotations

import numpy as np
import pytest

from phantoms.errors import InputError
from validation.dvh import Dvh, _doses_of_volumes, parse_metric

DOSE = np.array([[[10.0, 20.0, 30.0, 40.0]]])


def test_metrics_of_counted_voxels():
    """Four voxels of 0.5 cc; one counts half."""
    dvh = Dvh(DOSE, np.array([[[1.0, 1.0, 1.0, 0.5]]]), 0.5)
    expected = {
        "Dmean": (10 + 20 + 30 + 0.5 * 40) / 3.5,
        "Dmin": 10,
        "Dmax": 40,
        "D0.25cc": 40,
        "D0.26cc": 30,
        "D0.75cc": 30,
        "D1.75cc": 10,
        "D100%": 10,
        "D50%": 20,  # 0.875 cc
        "V30Gy": 100 * 0.75 / 1.75,
        "V30.1Gy[cc]": 0.25,
        "V0Gy": 100,
        "V41Gy[cc]": 0,
        "V100%": 100 * 1.25 / 1.75,
        "V150%[cc]": 0.75,
    }
    assert dvh.volume == pytest.approx(1.75)
    for name, value in expected.items():
        found = dvh.metric(name, prescription=20.0)
        assert found.value == pytest.approx(value), name
        assert found.sigma is None
    np.testing.assert_allclose(
        dvh.curve([0, 10, 10.1, 40, 41]), np.array([1.75, 1.75, 1.25, 0.25, 0]) / 0.0175
    )


def test_voxel_outside_the_structure_does_not_count():
    dvh = Dvh(DOSE, np.array([[[1.0, 1.0, 0.0, 0.0]]]), 0.5)
    assert dvh.metric("Dmax").value == 20


def test_a_structure_smaller_than_the_asked_volume_is_reported():
    found = Dvh(DOSE, np.full(DOSE.shape, 0.1), 0.5).metric("D0.35cc")
    assert found.value is None and found.sigma is None
    assert "0.2 cc is smaller" in found.note
    assert "prescription" in Dvh(DOSE, np.ones(DOSE.shape), 0.5).metric("V95%").note


def test_sphere_of_falling_dose_in_closed_form():
    """Dose 50 - 10 r Gy in a sphere of 2 cm: the hottest volume v has radius (3 v / 4 pi)^(1/3)."""
    axis = np.linspace(-2.5, 2.5, 101)
    radius = np.sqrt(sum(c**2 for c in np.meshgrid(axis, axis, axis, indexing="ij")))
    spacing = axis[1] - axis[0]
    fraction = np.clip((2.0 - radius) / spacing + 0.5, 0, 1)  # linear partial volumes of the rim
    dvh = Dvh(50 - 10 * radius, fraction, spacing**3)
    total = 4 / 3 * np.pi * 8
    assert dvh.volume == pytest.approx(total, rel=1e-3)
    for volume in (0.35, 1.2, 5.0):
        expected = 50 - 10 * (3 * volume / (4 * np.pi)) ** (1 / 3)
        assert dvh.metric(f"D{volume}cc").value == pytest.approx(expected, abs=0.1)
    assert dvh.metric("Dmean").value == pytest.approx(50 - 10 * 1.5, abs=0.02)
    assert dvh.metric("V40Gy[cc]").value == pytest.approx(4 / 3 * np.pi, rel=0.02)


@pytest.mark.parametrize("name, tolerance", [("Dmean", 0.1), ("D50%", 0.25), ("D2%", 0.3), ("V50Gy", 0.25)])
def test_sigma_is_the_spread_over_repeated_doses(name, tolerance):
    """400 independent noisy doses spread by the sigma told of any one of them."""
    random = np.random.default_rng(7)
    truth = 45 + 10 * random.random((12, 12, 12))
    sigma = 0.2 + 0.4 * random.random(truth.shape)
    fraction = random.random(truth.shape)
    noisy = [truth + sigma * random.standard_normal(truth.shape) for _ in range(400)]
    spread = np.std([Dvh(dose, fraction, 0.001).metric(name).value for dose in noisy])
    told = np.mean([Dvh(dose, fraction, 0.001, sigma).metric(name).sigma for dose in noisy[:10]])
    assert told == pytest.approx(spread, rel=tolerance)


@pytest.mark.parametrize("name", ["D", "Dmedian", "D0%", "D101%", "D-1cc", "V20", "V20Gy[ml]", "D95", ""])
def test_unknown_metrics_are_refused(name):
    with pytest.raises(InputError, match="DVH metric"):
        parse_metric(name)


def test_empty_structures_and_broken_doses_are_refused():
    with pytest.raises(InputError, match="no volume"):
        Dvh(DOSE, np.zeros(DOSE.shape), 0.5)
    with pytest.raises(InputError, match="not finite"):
        Dvh(DOSE * np.nan, np.ones(DOSE.shape), 0.5)


@pytest.mark.parametrize("doses", ["spread", "equal", "few"])
def test_dose_of_a_volume_without_sorting(doses):
    """Against the sorted and summed voxels."""
    random = np.random.default_rng(2)
    volume = random.uniform(0.01, 1.0, 5000)
    dose = {
        "spread": random.normal(30, 5, 5000),
        "equal": np.full(5000, 7.0),
        "few": random.choice([1.0, 2.0, 50.0], 5000),
    }[doses]
    order = np.argsort(-dose, kind="stable")
    cumulative = np.cumsum(volume[order])
    asked = np.array([0.5, 1e-9, 0.02, 0.8765, 0.5001, 1 - 1e-9]) * cumulative[-1]
    expected = dose[order][np.searchsorted(cumulative, asked)]
    assert np.array_equal(_doses_of_volumes(dose, volume, asked), expected)


def test_metrics_at_once_are_those_one_by_one():
    random = np.random.default_rng(3)
    dose = random.normal(20, 2, (6, 6, 6))
    dvh = Dvh(dose, random.uniform(0, 1, dose.shape), 0.1, 0.02 * dose)
    names = ["Dmean", "D50%", "D0.5cc", "V20Gy", "V95%", "Dmax", "D900cc"]
    assert dvh.metrics(names) == {name: dvh.metric(name) for name in names}
    assert dvh.metric("D50%").sigma > 0 and dvh.metric("D900cc").sigma is None

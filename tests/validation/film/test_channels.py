"""Dose of pixels from one channel and from three."""

from __future__ import annotations

import numpy as np
import pytest

from tests.synthetic_film import rational
from validation.film.channels import single_channel, triple_channel
from validation.film.curve import fit_curve

DOSES = np.array([0.0, 0.5, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0])


@pytest.fixture(scope="module")
def curves():
    return tuple(fit_curve(DOSES, rational(DOSES)[:, k], np.full(DOSES.size, 1e-5)) for k in range(3))


def test_dose_and_disturbance_come_back_exactly(curves):
    """Without noise: a film 3 % thicker shows 3 % more density in every channel, and the dose is the same."""
    dose = np.linspace(0.3, 9.0, 60)
    for thicker in (0.97, 1.0, 1.03):
        response = rational(dose) ** thicker
        found = triple_channel(response, np.full_like(response, 1e-4), curves)
        assert found.dose == pytest.approx(dose, rel=2e-3, abs=2e-3)
        assert found.disturbance == pytest.approx(np.full(60, thicker), abs=1e-3)
        single = single_channel(response[:, 0], np.full(60, 1e-4), curves[0], 0.03)
        if thicker != 1.0:
            assert np.abs(single.dose / dose - 1.0).min() > 0.02


def test_stated_noise_is_the_scatter(curves):
    """Scatter of 20,000 pixels over their stated sigma, at three doses, with and without known thickness."""
    rng = np.random.default_rng(2)
    for dose in (1.0, 4.0, 8.0):
        clean = np.broadcast_to(rational(dose), (20000, 3))
        sigma = 0.004 * clean
        response = clean + sigma * rng.standard_normal(clean.shape)
        found = triple_channel(response, sigma, curves)
        assert found.dose.std() / found.noise.mean() == pytest.approx(1.0, abs=0.04)
        assert found.dose.mean() == pytest.approx(dose, rel=2e-3)
        assert found.chi2.mean() == pytest.approx(1.0, abs=0.05)
        spread = 0.005
        layer = 1.0 + spread * rng.standard_normal((20000, 1))
        found = triple_channel(response**layer, sigma, curves, spread)
        assert found.dose.std() / found.noise.mean() == pytest.approx(1.0, abs=0.04)
        assert found.chi2.mean() == pytest.approx(1.0, abs=0.05)


def test_what_is_known_of_the_thickness_keeps_noise_down(curves):
    clean = np.broadcast_to(rational(4.0), (20000, 3))
    sigma = 0.004 * clean
    response = clean + sigma * np.random.default_rng(3).standard_normal(clean.shape)
    free = triple_channel(response, sigma, curves).dose.std()
    bound = triple_channel(response, sigma, curves, 0.002).dose.std()
    red = single_channel(response[:, 0], sigma[:, 0], curves[0], 0.0).dose.std()
    assert bound < red < free


def test_beyond_the_calibrated_range_there_is_no_dose(curves):
    response = rational(np.array([5.0, 14.0]))
    found = triple_channel(response, np.full_like(response, 1e-3), curves, 0.01)
    assert np.isfinite(found.dose[0]) and np.isnan(found.dose[1]) and found.above[1]
    bed = triple_channel(np.full((1, 3), 0.95), np.full((1, 3), 1e-3), curves, 0.01)
    assert np.isnan(bed.dose[0]) or bed.chi2[0] > 100.0


def test_a_pen_mark_is_no_film(curves):
    """Black ink is dark in all channels alike, as film of no dose is."""
    found = triple_channel(np.full((1, 3), 0.15), np.full((1, 3), 1e-3), curves, 0.01)
    assert found.above[0] or found.chi2[0] > 100.0

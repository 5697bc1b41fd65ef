"""Sensitometric curves: any falling curve is followed, its inverse is one, its sigma is honest."""

from __future__ import annotations

import numpy as np
import pytest

from phantoms.errors import InputError
from tests.synthetic_film import devic, rational
from validation.film.curve import Curve, fit_curve

DOSES = np.array([0.0, 0.5, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0])
CURVES = {
    "rational": (lambda d: rational(d)[..., 0], 0.01),
    "devic red": (lambda d: devic(d)[..., 0], 0.4),
    "devic green": (lambda d: devic(d)[..., 1], 0.4),
    "saturating density": (lambda d: 0.6 * 10.0 ** (-0.75 * (1.0 - np.exp(-d / 4.0))), 0.4),
    "logarithm": (lambda d: 0.58 * 10.0 ** (-0.35 * np.log1p(d / 2.0)), 0.01),
    "parabola of density": (lambda d: 0.6 * 10.0 ** -(0.09 * d - 0.003 * d**2), 0.4),
    "with a toe": (lambda d: 0.1 + 0.45 / (1.0 + (d / 5.0) ** 1.3), 0.01),
}


@pytest.mark.parametrize("name", CURVES)
def test_any_falling_curve_is_followed(name):
    """Largest error of dose between 0.5 and 10 Gy, in percent (of 1 Gy below that)."""
    shape, most = CURVES[name]
    curve = fit_curve(DOSES, shape(DOSES), 1e-5 * np.ones(DOSES.size))
    fine = np.linspace(0.5, 10.0, 200)
    error = 100.0 * (curve.dose(shape(fine)) - fine) / np.maximum(fine, 1.0)
    assert np.abs(error).max() < most


def test_a_spline_follows_what_no_formula_does():
    """Density of a parabola up to its top, to 15 Gy: 5 % off by formula alone."""
    doses = np.array([0.0, 0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.5])
    curve = fit_curve(doses, CURVES["parabola of density"][0](doses), 1e-5 * np.ones(doses.size))
    assert len(curve.knots) == doses.size
    fine = np.linspace(0.5, 13.0, 200)
    error = curve.dose(CURVES["parabola of density"][0](fine)) - fine
    assert np.abs(error / np.maximum(fine, 1.0)).max() < 0.01
    by_difference = (curve.response(fine + 1e-5) - curve.response(fine - 1e-5)) / 2e-5
    assert curve.slope(fine) == pytest.approx(by_difference, rel=1e-4)


def test_a_rational_curve_stays_one_in_noise():
    """Films off by 0.1 % do not make a more supple curve worse than the plain one by much."""
    rng = np.random.default_rng(4)
    fine = np.linspace(1.0, 9.5, 100)
    errors = []
    for _ in range(10):
        response = rational(DOSES)[..., 0] * (1.0 + 1e-3 * rng.standard_normal(DOSES.size))
        curve = fit_curve(DOSES, response, 1e-4 * response)
        errors.append((curve.dose(rational(fine)[..., 0]) - fine) / fine)
    assert 100.0 * np.sqrt(np.mean(np.square(errors))) < 0.6


def test_sigma_of_the_fit_covers_the_truth():
    """Of 40 fits to noisy films the error in units of sigma scatters by about 1 (Student: 1.29)."""
    rng = np.random.default_rng(8)
    pulls = []
    for _ in range(40):
        response = rational(DOSES)[..., 0] * (1.0 + 2e-3 * rng.standard_normal(DOSES.size))
        parameters = fit_curve(DOSES, response, 1e-4 * response)
        if parameters.family == "rational":
            pulls.append((parameters.response(5.0) - rational(5.0)[..., 0]) / parameters.sigma(5.0))
    assert len(pulls) > 15
    assert 0.7 < np.std(pulls) < 1.9


def test_slope_and_inverse():
    curve = Curve("general", np.array([0.05, 0.55, 4.0, 1.2, 0.9]), np.zeros((5, 5)), 10.0, 0.0)
    dose = np.linspace(0.2, 10.0, 50)
    by_difference = (curve.response(dose + 1e-5) - curve.response(dose - 1e-5)) / 2e-5
    assert curve.slope(dose) == pytest.approx(by_difference, rel=1e-5)
    assert curve.dose(curve.response(dose)) == pytest.approx(dose, abs=1e-5)


def test_nothing_is_extrapolated():
    curve = fit_curve(DOSES, rational(DOSES)[..., 0], 1e-5 * np.ones(DOSES.size))
    assert curve.dose(rational(11.0)[..., 0]) == np.inf
    assert curve.dose(np.array(0.95)) == -np.inf
    assert curve.dose(rational(0.0)[..., 0] + 0.002) < 0.0  # noise about zero dose has both signs


def test_too_few_films_and_films_that_do_not_darken_are_refused():
    with pytest.raises(InputError, match="3 doses"):
        fit_curve([0.0, 1.0, 1.0, 2.0], [0.6, 0.5, 0.5, 0.4], [1e-3] * 4)
    with pytest.raises(InputError, match="no darker"):
        fit_curve(DOSES, 0.5 + 0.01 * DOSES, 1e-4 * np.ones(DOSES.size))

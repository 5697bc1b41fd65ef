"""Sensitometric curve of one channel: scanner response of a film against its dose.

    X(D) = a + b / (1 + (D / c)^m)^n

With m = n = 1 this is the rational function X = (A + B D) / (C + D) by which radiochromic film is described
(Micke, Lewis and Yu, Med Phys 38 (2011) 2523; Lewis et al., Med Phys 39 (2012) 6339): falling, without
wiggles, with an asymptote. The two exponents let it follow other monotone curves, and a spline through what
is left any. What is taken is decided by how well each film is foretold by the others (leave-one-out), so the
films decide and not the user.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.optimize import least_squares

from phantoms.errors import InputError

FAMILIES = {"rational": (), "power": ("n",), "hill": ("m",), "general": ("n", "m")}  # exponents that are free
FOR_SPLINE = 7  # films for a spline
BEND = 0.1  # dose about which the spline's logarithm turns, in parts of the largest
FEWEST = 4  # films for the simplest curve
BETTER = 1.25  # a curve with more parameters must foretell this much better
FAR_BETTER = 2.0  # and one with a spline, which follows the films' own errors too, this much
FINE_PERCENT = 0.2  # errors this small are as good as none
LOW = 0.01  # below this share of the largest dose the curve goes on straight
BELOW = -0.05  # share of the largest dose down to which noise about zero may reach
ABOVE = 1.02  # share of it up to which a dose counts as calibrated
ALONE = 0.002  # relative error of a film's response that weighs as much as its pixels' noise
STARTS = (0.3, 1.0, 3.0)  # of c, in parts of the mean dose


@dataclass(frozen=True, eq=False)
class Curve:
    """A fitted curve.

    Parameters
    ----------
    family : str
        Key of `FAMILIES`.
    parameters : (5,) float64
        a, b, c [Gy], n, m.
    covariance : (5, 5) float64
        Of them; zero where a parameter is fixed.
    largest : float
        Largest dose of the films [Gy].
    misfit : float
        Root mean square of the films' responses about the curve, relative to it.
    knots : (k, 2) float64
        Doses [Gy] and what a cubic spline in log(1 + D / (0.1 largest)) through them adds to the response;
        none where the curve alone does as well.
    """

    family: str
    parameters: np.ndarray
    covariance: np.ndarray = field(repr=False)
    largest: float
    misfit: float
    knots: np.ndarray = field(default_factory=lambda: np.empty((0, 2)), repr=False)

    def response(self, dose: np.ndarray) -> np.ndarray:
        """Response at `dose` [Gy]."""
        dose = np.asarray(dose, float)
        low = LOW * self.largest
        above = np.maximum(dose, low)
        value = _shape(self.parameters, above)
        if self._spline is not None:
            value = value + self._spline(np.log1p(above / self._bend))
        return value + np.minimum(dose - low, 0.0) * self._slope_above(np.array(low))

    def slope(self, dose: np.ndarray) -> np.ndarray:
        """Its derivative [1/Gy], below zero."""
        return self._slope_above(np.maximum(dose, LOW * self.largest))

    def sigma(self, dose: np.ndarray) -> np.ndarray:
        """One sigma of the response at `dose` by the fit's covariance."""
        dose = np.maximum(np.asarray(dose, float), LOW * self.largest)
        gradient = _gradient(self.parameters, dose)
        return np.sqrt(np.maximum(np.einsum("i...,ij,j...->...", gradient, self.covariance, gradient), 0.0))

    def doses(self) -> np.ndarray:
        """A fine row of doses over the range in which the curve counts, (n,) ascending [Gy]."""
        return np.linspace(BELOW * self.largest, ABOVE * self.largest, 4097)

    def dose(self, response: np.ndarray) -> np.ndarray:
        """Dose of a response [Gy]; infinite below or above the range in which the curve counts."""
        doses = self.doses()
        table = self.response(doses)
        return np.interp(-np.asarray(response), -table, doses, left=-np.inf, right=np.inf)

    def _slope_above(self, dose: np.ndarray) -> np.ndarray:
        _, b, c, n, m = self.parameters
        x = (dose / c) ** m
        slope = -b * n * m * x / dose * (1.0 + x) ** (-n - 1.0)
        if self._spline is not None:
            slope = slope + self._spline(np.log1p(dose / self._bend), 1) / (self._bend + dose)
        return slope

    @property
    def _bend(self) -> float:
        return BEND * self.largest

    @cached_property
    def _spline(self) -> CubicSpline | None:
        if not len(self.knots):
            return None
        return CubicSpline(np.log1p(self.knots[:, 0] / self._bend), self.knots[:, 1], bc_type="natural")

    def falls(self) -> bool:
        """Whether the response falls with dose wherever the curve counts."""
        table = self.response(self.doses())
        return bool(np.isfinite(table).all() and (np.diff(table) < 0.0).all())


def fit_curve(dose: Sequence[float], response: Sequence[float], sigma: Sequence[float]) -> Curve:
    """The simplest curve that foretells the films as well as any.

    Parameters
    ----------
    dose, response, sigma : (n,) sequence
        Of the films: dose [Gy], mean response and its one sigma.

    Raises
    ------
    InputError
        If there are too few films, or the response does not fall with dose.
    """
    dose, response, sigma = (np.asarray(values, float) for values in (dose, response, sigma))
    distinct = np.unique(dose).size
    if distinct < FEWEST:
        raise InputError("film calibration", f"has films of {distinct} doses; a curve needs {FEWEST}")
    weight = 1.0 / np.hypot(sigma, ALONE * response)
    if response[dose.argmax()] >= response[dose.argmin()]:
        raise InputError(
            "film calibration", "the film of the largest dose is no darker than that of the least"
        )
    curves: dict[str, Curve] = {}
    for family, free in FAMILIES.items():
        if 3 + len(free) <= max(distinct - 1, 3):
            # every form holds the simpler ones, whose parameters are where its own search starts
            found = _fit(family, dose, response, weight, [curve.parameters for curve in curves.values()])
            if found is not None:
                curves[family] = found
    if "rational" not in curves:
        raise InputError("film calibration", "no curve that falls with dose fits the films' responses")
    errors = {
        family: prediction_error(family, dose, response, weight, curve) for family, curve in curves.items()
    }
    limit = max(BETTER * min(errors.values()), FINE_PERCENT)
    family = next(family for family in FAMILIES if family in curves and errors[family] <= limit)
    chosen = curves[family]
    if distinct < max(FOR_SPLINE, dose.size) or errors[family] <= FINE_PERCENT:
        return chosen
    bent = _with_spline(chosen, dose, response)
    if not bent.falls():
        return chosen
    error = prediction_error(family, dose, response, weight, bent)
    return bent if FAR_BETTER * error <= errors[family] else chosen


def prediction_error(
    family: str, dose: np.ndarray, response: np.ndarray, weight: np.ndarray, curve: Curve
) -> float:
    """Root mean square error of dose with which a fit to the other films foretells a film [%].

    Of all films but those of the least and the largest dose. Doses below a tenth of the largest are taken as
    that, for no percentage of a small dose says anything.
    """
    errors = []
    for left_out in range(dose.size):
        others = np.arange(dose.size) != left_out
        if not dose[others].min() < dose[left_out] < dose[others].max():
            continue
        fitted = _fit(family, dose[others], response[others], weight[others], [curve.parameters])
        if fitted is None:
            return np.inf
        if len(curve.knots):
            fitted = _with_spline(fitted, dose[others], response[others])
        error = (fitted.response(dose[left_out]) - response[left_out]) / curve.slope(dose[left_out])
        errors.append(100.0 * error / max(dose[left_out], 0.1 * curve.largest))
    return float(np.sqrt(np.mean(np.square(errors)))) if errors else np.inf


def _shape(parameters: np.ndarray, dose: np.ndarray) -> np.ndarray:
    a, b, c, n, m = parameters
    return a + b * (1.0 + (dose / c) ** m) ** -n


def _gradient(parameters: np.ndarray, dose: np.ndarray) -> np.ndarray:
    """Derivative of `_shape` by each parameter, (5, ...)."""
    _, b, c, n, m = parameters
    ratio = np.maximum(dose, 1e-12) / c
    x = ratio**m
    fall = (1.0 + x) ** -n
    steep = b * n * x * fall / (1.0 + x)
    return np.array(
        [np.ones_like(fall), fall, steep * m / c, -b * fall * np.log1p(x), -steep * np.log(ratio)]
    )


def _fit(
    family: str,
    dose: np.ndarray,
    response: np.ndarray,
    weight: np.ndarray,
    near: Sequence[np.ndarray],
) -> Curve | None:
    """Weighted least squares of one family; all but a are sought as logarithms and so stay positive."""
    free = [0, 1, 2, *(3 if name == "n" else 4 for name in FAMILIES[family])]

    def whole(values: np.ndarray) -> np.ndarray:
        parameters = np.ones(5)
        parameters[free] = np.exp(np.clip(values, -12, 12))
        parameters[0] = values[0]
        return parameters

    def residuals(values: np.ndarray) -> np.ndarray:
        return weight * (_shape(whole(values), dose) - response)

    def jacobian(values: np.ndarray) -> np.ndarray:
        parameters = whole(values)
        chain = np.r_[1.0, parameters[1:]]
        return (weight * chain[:, None] * _gradient(parameters, dose))[free].T

    span = response.max() - response.min()
    if span <= 0.0:
        return None
    starts = [np.r_[parameters[0], np.log(parameters[1:])][free] for parameters in near]
    if not starts:
        asymptote, fall = response.min() - 0.5 * span, np.log(1.5 * span)
        rows = [np.r_[asymptote, fall, np.log(share * dose.mean()), 0.0, 0.0] for share in STARTS]
        starts = [row[free] for row in rows]
    best = None
    for first in starts:
        found = least_squares(residuals, first, jacobian, method="trf", x_scale="jac", max_nfev=200)
        if best is None or found.cost < best.cost:
            best = found
    parameters = whole(best.x)
    chain = np.r_[1.0, parameters[1:]][free]
    excess = max(dose.size - len(free), 1)
    covariance = np.zeros((5, 5))
    inverse = np.linalg.pinv(best.jac.T @ best.jac) * (2.0 * best.cost / excess)
    covariance[np.ix_(free, free)] = chain[:, None] * inverse * chain
    misfit = float(np.sqrt(np.mean(np.square(_shape(parameters, dose) / response - 1.0))))
    curve = Curve(family, parameters, covariance, float(dose.max()), misfit)
    return curve if curve.falls() else None


def _with_spline(curve: Curve, dose: np.ndarray, response: np.ndarray) -> Curve:
    """The curve bent through every film."""
    order = np.argsort(dose)
    knots = np.column_stack([dose, response - curve.response(dose)])[order]
    return replace(curve, misfit=ALONE, knots=knots)

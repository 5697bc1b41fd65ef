"""Dose from the responses of the three channels, pixel by pixel, with its uncertainty.

Triple channel: what is common to all channels but not dose (thickness of the active layer, scanner lamp)
scales the optical densities alike, by a disturbance near 1 (Micke, Lewis and Yu, Med Phys 38 (2011) 2523):

    -log10 X_k = disturbance * (-log10 X_k(D)),   k = red, green, blue.

Dose and disturbance are those of greatest likelihood, given the noise of every channel and the spread of
the disturbance that the calibration films showed. With a wide spread this is Micke's dose, on which the
channels agree best; with a narrow one the disturbance cannot amplify noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from validation.film.curve import Curve

LN10 = np.log(10.0)
STEPS = 40  # of the search, most
CONVERGED = 1e-5  # of the dose, in parts of the largest
DARKEST = 1e-4  # response below which nothing is distinguished


@dataclass(frozen=True, eq=False)
class ChannelDose:
    """Dose of pixels, (...) each.

    Parameters
    ----------
    dose : array
        [Gy]; NaN where the responses belong to no dose of the calibrated range.
    noise, fit : array
        One sigma by the pixels' noise, and by the fit of the curves [Gy].
    disturbance : array
        1 with a single channel.
    chi2 : array
        By which the channels disagree, per degree of freedom; NaN with a single channel.
    above, below : bool array
        Beyond either end of the calibrated range.
    """

    dose: np.ndarray
    noise: np.ndarray
    fit: np.ndarray
    disturbance: np.ndarray = field(repr=False)
    chi2: np.ndarray = field(repr=False)
    above: np.ndarray = field(repr=False)
    below: np.ndarray = field(repr=False)


def single_channel(response: np.ndarray, sigma: np.ndarray, curve: Curve, spread: float) -> ChannelDose:
    """Dose of one channel.

    Parameters
    ----------
    response, sigma : (...) arrays
        And the response's noise.
    curve : Curve
    spread : float
        One sigma of the disturbance, which a single channel cannot distinguish from dose.
    """
    found = curve.dose(response)
    above, below = found == np.inf, found == -np.inf
    dose = np.where(above | below, np.nan, found)
    steepness = np.abs(curve.slope(dose))
    disturbed = spread * np.abs(np.log(np.maximum(response, DARKEST))) * response
    return ChannelDose(
        dose,
        np.hypot(sigma, disturbed) / steepness,
        curve.sigma(dose) / steepness,
        np.ones_like(dose),
        np.full_like(dose, np.nan),
        above,
        below,
    )


def triple_channel(
    response: np.ndarray, sigma: np.ndarray, curves: Sequence[Curve], spread: float = np.inf
) -> ChannelDose:
    """Dose on which three channels agree.

    Parameters
    ----------
    response, sigma : (..., 3) arrays
        And the responses' noise.
    curves : three Curve
    spread : float
        One sigma of the disturbance about 1; infinite for Micke's method as it was published.
    """
    shape = response.shape[:-1]
    response, sigma = response.reshape(-1, 3), sigma.reshape(-1, 3)
    bright = np.maximum(response, DARKEST)
    density = -np.log10(bright)
    # a film's response strays about the curve as the calibration films do, besides its noise
    misfit = np.array([curve.misfit for curve in curves])
    density_sigma = np.hypot(sigma / bright, misfit) / LN10 + 1e-6
    weight = density_sigma**-2
    stiffness = 0.0 if np.isinf(spread) else spread**-2.0

    doses = _common_doses(curves)
    tables = [-np.log10(np.maximum(curve.response(doses), DARKEST)) for curve in curves]
    slopes = [np.gradient(table, doses) for table in tables]

    def looked_up(dose: np.ndarray, rows: list[np.ndarray]) -> np.ndarray:
        place = (dose - doses[0]) / (doses[1] - doses[0])
        low = np.clip(place.astype(int), 0, doses.size - 2)
        part = np.clip(place - low, 0.0, 1.0)
        return np.array([row[low] + part * (row[low + 1] - row[low]) for row in rows]).T

    def best_disturbance(curve_density: np.ndarray, rows: slice | np.ndarray) -> np.ndarray:
        num = (weight[rows] * density[rows] * curve_density).sum(axis=1) + stiffness
        return num / ((weight[rows] * curve_density**2).sum(axis=1) + stiffness)

    # start where a coarse row of doses fits best, then Gauss-Newton in dose and disturbance together
    dose = _best_of(
        doses[:: doses.size // 48], looked_up, best_disturbance, density, weight, stiffness, tables
    )
    active = np.arange(dose.size)
    for _ in range(STEPS):
        q, p = looked_up(dose[active], tables), looked_up(dose[active], slopes)
        factor = best_disturbance(q, active)
        w = weight[active]
        residual = density[active] - factor[:, None] * q
        by_dose = factor[:, None] * p
        a = (w * by_dose**2).sum(axis=1)
        b = (w * by_dose * q).sum(axis=1)
        c = (w * q**2).sum(axis=1) + stiffness
        right = (w * by_dose * residual).sum(axis=1)
        right_factor = (w * q * residual).sum(axis=1) + stiffness * (1.0 - factor)
        step = (c * right - b * right_factor) / np.maximum(a * c - b * b, 1e-12 * a * c)
        step = np.clip(step, -0.1 * doses[-1], 0.1 * doses[-1])
        moved = np.clip(dose[active] + step, doses[0], doses[-1])
        stays = np.abs(moved - dose[active]) < CONVERGED * doses[-1]
        dose[active] = moved
        active = active[~stays]
        if active.size == 0:
            break

    q, p = looked_up(dose, tables), looked_up(dose, slopes)
    factor = best_disturbance(q, slice(None))
    by_dose = factor[:, None] * p
    a = (weight * by_dose**2).sum(axis=1)
    b = (weight * by_dose * q).sum(axis=1)
    c = (weight * q**2).sum(axis=1) + stiffness
    determinant = np.maximum(a * c - b * b, 1e-12 * a * c)
    # change of dose by a change of one channel's density, from the normal equations
    influence = weight * (c[:, None] * by_dose - b[:, None] * q) / determinant[:, None]
    by_noise = np.sqrt(c / determinant)
    uncertain = np.array([curve.sigma(dose) for curve in curves]).T / (bright * LN10)
    by_fit = np.sqrt(((influence * factor[:, None] * uncertain) ** 2).sum(axis=1))
    chi2 = (weight * (density - factor[:, None] * q) ** 2).sum(axis=1) + stiffness * (factor - 1.0) ** 2
    # three densities, and what is known of the disturbance, less the two that were found from them
    chi2 = chi2 / (2.0 if stiffness else 1.0)
    edge = 1e-9 * doses[-1]
    above, below = dose >= doses[-1] - edge, dose <= doses[0] + edge
    dose = np.where(above | below, np.nan, dose)
    return ChannelDose(*(x.reshape(shape) for x in (dose, by_noise, by_fit, factor, chi2, above, below)))


def _common_doses(curves: Sequence[Curve]) -> np.ndarray:
    rows = [curve.doses() for curve in curves]
    return np.linspace(max(row[0] for row in rows), min(row[-1] for row in rows), rows[0].size)


def _best_of(doses, looked_up, best_disturbance, density, weight, stiffness, tables) -> np.ndarray:
    """Of a row of doses, for every pixel the one that fits best."""
    best, least = np.zeros(len(density)), np.full(len(density), np.inf)
    for value in doses:
        q = looked_up(np.full(1, value), tables)
        factor = best_disturbance(q, slice(None))
        cost = (weight * (density - factor[:, None] * q) ** 2).sum(axis=1) + stiffness * (factor - 1.0) ** 2
        better = cost < least
        best[better], least[better] = value, cost[better]
    return best

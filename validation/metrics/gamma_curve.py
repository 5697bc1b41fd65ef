"""Gamma and distance to agreement in one dimension, exact over the straight segments of the evaluated curve.

Gamma of a reference point is the least distance, in units of both criteria, to the evaluated curve (Low et
al., Med Phys 25 (1998) 656, eq. 4-7). In one dimension the curve is a polyline and the nearest point of
each segment has a closed form, so nothing is searched for.
"""

from __future__ import annotations

import numpy as np


def gamma_1d(
    positions: np.ndarray,
    reference: np.ndarray,
    evaluated_positions: np.ndarray,
    evaluated: np.ndarray,
    dose: float,
    distance: float,
) -> np.ndarray:
    """Gamma of every reference point.

    Parameters
    ----------
    positions, reference : (n,) array
        [cm] and doses in any unit.
    evaluated_positions, evaluated : (m,) array
        Ascending [cm], and doses in the same unit. The curve ends at its outermost points.
    dose, distance : float
        The two criteria, in that unit and in cm.

    Returns
    -------
    (n,) float64
    """
    x0, d0 = evaluated_positions[:-1] / distance, evaluated[:-1] / dose
    dx, dd = np.diff(evaluated_positions) / distance, np.diff(evaluated) / dose
    to_x = positions[:, None] / distance - x0
    to_d = reference[:, None] / dose - d0
    share = np.clip((to_x * dx + to_d * dd) / (dx * dx + dd * dd), 0.0, 1.0)
    return np.hypot(to_x - share * dx, to_d - share * dd).min(axis=1)


def distance_to_agreement(
    positions: np.ndarray,
    reference: np.ndarray,
    evaluated_positions: np.ndarray,
    evaluated: np.ndarray,
    reach: float,
) -> np.ndarray:
    """Distance [cm] from every reference point to where the evaluated curve has its dose, at most `reach`.

    Parameters
    ----------
    positions, reference, evaluated_positions, evaluated
        As of `gamma_1d`.
    reach : float
        [cm]

    Returns
    -------
    (n,) float64
        `reach` where no such place is nearer.
    """
    step = np.diff(evaluated)
    level = reference[:, None] - evaluated[:-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(step == 0.0, np.where(level == 0.0, 0.0, np.nan), level / step)
    met = (share >= 0.0) & (share <= 1.0)
    place = evaluated_positions[:-1] + np.where(met, share, 0.0) * np.diff(evaluated_positions)
    away = np.where(met, np.abs(positions[:, None] - place), reach)
    return np.minimum(away.min(axis=1), reach)

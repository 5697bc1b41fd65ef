"""Noise of residuals, point by point and in common, and how it is weighed.

What short runs know badly must not drown what they know well: the fluence that their few electrons leave on
the axis wanders, and whole curves with it, while the place of an edge is known to some hundredths of a
millimetre. So residuals are multiplied by the inverse root of their covariance, as in least squares; points
without noise keep their residuals.

Runs are too few to know the covariance of all pairs of points; taken as found it would pretend a precision
that is not there. It is drawn to its diagonal instead, by the share that makes the expected error least
(Schafer and Strimmer, Stat Appl Genet Mol Biol 4 (2005) 32, their target D).
"""

from __future__ import annotations

import numpy as np

PRECISION = 0.1  # tolerances: to this every point is taken as good, however little noise there is
SHOWN = 400  # points at most that determine the share


class Noise:
    """Covariance of the residuals of a fit to runs, and its inverse root.

    Parameters
    ----------
    sets : (runs, GROUPS, n) float64
        Residuals (`validation.commission.cost.residuals`).
    share : float
        Variance of the fit in that of a run.
    """

    def __init__(self, sets: np.ndarray, share: float) -> None:
        runs, groups, n = sets.shape
        freedom = runs * (groups - 1)
        spread = (sets - sets.mean(axis=1, keepdims=True)).reshape(-1, n) * np.sqrt(n)  # undoes `residuals`
        kept = shrinkage(spread, freedom)
        spread *= np.sqrt(share / groups / freedom)  # squares sum to the variance of the fit [tolerance^2]
        own = kept * np.sum(spread**2, axis=0)
        self._scale = PRECISION / np.sqrt(PRECISION**2 + own)
        in_common = spread * np.sqrt(1.0 - kept) * self._scale / PRECISION
        _, strength, self._shapes = np.linalg.svd(in_common, full_matrices=False)
        self._damping = 1.0 / np.sqrt(1.0 + strength**2) - 1.0

    def weighed(self, residuals: np.ndarray) -> np.ndarray:
        """Residuals (..., n) times the inverse root of their covariance, in units of `PRECISION`."""
        scaled = residuals * self._scale
        return scaled + ((scaled @ self._shapes.T) * self._damping) @ self._shapes


def shrinkage(spread: np.ndarray, freedom: int) -> float:
    """Share, 0 to 1, by which correlations are to be drawn to 0.

    The sum of the variances of the correlations found, over that of their squares, over all pairs of points.

    Parameters
    ----------
    spread : (m, n) float64
        Deviations from means.
    freedom : int
        Their degrees of freedom.
    """
    some = spread[:, :: -(-spread.shape[1] // SHOWN)]
    some = some[:, some.any(axis=0)]
    unit = some / np.sqrt(np.sum(some**2, axis=0) / freedom)
    correlation = unit.T @ unit / freedom
    variance = ((unit**2).T @ unit**2 / freedom - correlation**2) / freedom
    pairs = ~np.eye(len(correlation), dtype=bool)
    squares = np.sum(correlation[pairs] ** 2)
    return float(np.clip(np.sum(variance[pairs]) / squares, 0.0, 1.0)) if squares > 0.0 else 1.0

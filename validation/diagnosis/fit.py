"""Weighted least squares of a dose difference, with a covariance that does not trust the weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

HUBER = 2.5  # residuals beyond so many times their own spread pull with less than their square
ROUNDS = 8


@dataclass(frozen=True, eq=False)
class Fit:
    """A linear model fitted to data.

    Parameters
    ----------
    values : (p,) float64
    covariance : (p, p) float64
        Robust against residuals that differ in size and are correlated within a block.
    weights : (n,) float64
        With the robust factor.
    residual : (n,) float64
    chi2 : float
        Weighted sum of squared residuals.
    """

    values: np.ndarray
    covariance: np.ndarray
    weights: np.ndarray
    residual: np.ndarray
    chi2: float

    @property
    def sigma(self) -> np.ndarray:
        """One sigma of each parameter, (p,)."""
        return np.sqrt(np.diag(self.covariance))


def fit_columns(
    data: np.ndarray,
    columns: np.ndarray,
    weights: np.ndarray,
    blocks: np.ndarray,
    robust: bool = True,
    noise: np.ndarray | None = None,
) -> Fit:
    """Fit `data` = `columns` @ values.

    Residuals beyond `HUBER` times their median spread are given less weight (Huber, Ann Math Stat 35 (1964)
    73, by repeated reweighting). The covariance is the sandwich of Liang and Zeger (Biometrika 73 (1986) 13,
    eq. 7): residuals of one block may be correlated in any way, those of different blocks are not. What the
    data's known noise does to the values is added to it, since a deviation that looks like a column leaves no
    residual: the latent noise of a whole beam looks like an output.

    Parameters
    ----------
    data : (n,) float64
    columns : (n, p) float64
    weights : (n,) float64
        One over variance, as far as it is known.
    blocks : (n,) int
        Number of the block of each datum.
    robust : bool
        False: take `weights` as they are.
    noise : (k, n) array, optional
        Maps whose outer products sum to the covariance of the data.
    """
    factor = np.ones(len(data))
    for _ in range(ROUNDS if robust else 1):
        total = weights * factor
        values = _solve(columns, total, data)[0]
        residual = data - columns @ values
        if robust:
            scaled = np.abs(residual) * np.sqrt(weights)
            limit = HUBER * max(np.median(scaled) / 0.6745, 1e-12)
            factor = np.minimum(1.0, limit / np.maximum(scaled, 1e-12))
    values, bread = _solve(columns, total, data)
    residual = data - columns @ values
    scores = np.zeros((int(blocks.max()) + 1, columns.shape[1]))
    np.add.at(scores, blocks, columns * (total * residual)[:, None])
    filled = len(np.unique(blocks))
    small_sample = filled / max(1, filled - columns.shape[1])
    covariance = small_sample * bread @ (scores.T @ scores) @ bread
    if noise is not None and len(noise):
        follow = bread @ (columns.T @ (total * noise).T)
        covariance = covariance + follow @ follow.T
    return Fit(values, covariance, total, residual, float(np.sum(total * residual**2)))


def _solve(columns: np.ndarray, weights: np.ndarray, data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values and the inverse of the normal matrix; columns without any content get 0."""
    scale = np.sqrt(np.sum(weights[:, None] * columns**2, axis=0))
    scale[scale == 0.0] = 1.0
    scaled = columns / scale
    normal = scaled.T @ (weights[:, None] * scaled)
    inverse = np.linalg.pinv(normal, rcond=1e-10, hermitian=True)
    values = inverse @ (scaled.T @ (weights * data))
    return values / scale, inverse / np.outer(scale, scale)

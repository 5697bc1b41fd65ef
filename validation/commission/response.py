"""How residuals answer to the parameters, from runs that know them badly.

The residuals of the runs (`validation.commission.cost`) are fitted by a sum of quadratic functions of each
parameter; the cost is then known everywhere in between.

**Bends are believed as far as they are seen.** Most of what such a fit has to find out are bends, small and
drowned by noise; taken as found they would make the minimum several times as uncertain. So the bend of each
parameter is shrunk by the share of signal in what was found, S / (S + N): S is free of noise as any cost is,
N the rest. Runs without noise keep their bends; noisy ones are fitted by straight lines through their mean.
That is the linear estimate of least error (Wiener's filter; James and Stein, Proc 4th Berkeley Symp 1
(1961) 361).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize

from validation.commission.cost import products
from validation.commission.judge import jackknife
from validation.commission.noise import Noise

SURE = 2.0  # sigma that a change of the cost must have to be believed


class Response:
    """The cost between runs, noise weighed, with what noise can make of it.

    Parameters
    ----------
    points : (runs, parameters) float64
        Where the runs lie [steps from the centre].
    sets : (runs, GROUPS, n) float64
        Their residuals (`validation.commission.cost.residuals`).

    Attributes
    ----------
    noise : Noise
        Of the fit at the centre: how its residuals are weighed.
    """

    def __init__(self, points: np.ndarray, sets: np.ndarray) -> None:
        self._squares = np.mean(points**2, axis=0)
        self._bend = np.ones(points.shape[1])
        fit = np.linalg.pinv(self._terms(points))
        self.noise = Noise(sets, float(np.sum(fit[0] ** 2)))
        coefficients = np.einsum("cr,rgn->cgn", fit, sets)
        weighed = self.noise.weighed(coefficients)
        self._plain, self._weighed = products(coefficients), products(weighed)
        bends = slice(1 + points.shape[1], None)
        signal = np.diagonal(self._weighed[0])[bends].clip(0.0)
        whole = np.sum(weighed[bends].mean(axis=1) ** 2, axis=1)
        self._bend = signal / np.maximum(np.maximum(signal, whole), np.finfo(float).tiny)

    def _terms(self, at: Sequence[float] | np.ndarray) -> np.ndarray:
        """Terms of the fit at points (..., parameters): 1, t, and t^2 less its mean over the runs, shrunk.

        So the first coefficient is the mean of the runs, which all of them know.
        """
        at = np.asarray(at, float)
        bends = self._bend * (at**2 - self._squares)
        return np.concatenate([np.ones((*at.shape[:-1], 1)), at, bends], axis=-1)

    def cost(self, at: np.ndarray) -> float:
        """Cost at a point."""
        terms = self._terms(at)
        return float(terms @ self._weighed[0] @ terms)

    def plain_cost(self, at: np.ndarray) -> tuple[float, float]:
        """Cost at a point, noise not weighed, and its sigma."""
        terms, (gram, without) = self._terms(at), self._plain
        return float(terms @ gram @ terms), jackknife([terms @ each @ terms for each in without])

    def difference(self, at: np.ndarray, of: np.ndarray) -> tuple[float, float]:
        """Cost at one point less that at another, and its sigma."""
        here, there = self._terms(at), self._terms(of)
        gram, without = self._weighed
        return (
            float(here @ gram @ here - there @ gram @ there),
            jackknife([here @ each @ here - there @ each @ there for each in without]),
        )

    def falls(self, origin: np.ndarray, to: np.ndarray) -> bool:
        """Whether the cost falls from one point to another by more than noise can make it."""
        fall, sigma = self.difference(origin, to)
        return fall > SURE * sigma

    def rises(self, k: int, best: np.ndarray) -> bool:
        """Whether the cost, a step to both sides of parameter `k`, is higher by more than noise."""
        sides = []
        for side in (-1.0, 1.0):
            at = best.copy()
            at[k] += side
            sides.append(self.difference(at, best))
        return all(rise > SURE * sigma for rise, sigma in sides)

    def minimum(self, starts: Sequence[Sequence[float]]) -> np.ndarray:
        """Where, within a step of the centre, the cost is least, looked for from `starts`."""
        return self._minimum(self._weighed[0], starts)

    def minima_without(self, best: np.ndarray) -> np.ndarray:
        """The minimum without one group of histories after the other, (GROUPS, parameters)."""
        return np.array([self._minimum(each, [best]) for each in self._weighed[1]])

    def _minimum(self, gram: np.ndarray, starts: Sequence[Sequence[float]]) -> np.ndarray:
        def cost(at: np.ndarray) -> tuple[float, np.ndarray]:
            terms = self._terms(at)
            half_slope = gram @ terms
            linear, bend = half_slope[1:].reshape(2, -1)
            return float(terms @ half_slope), 2.0 * (linear + 2.0 * at * self._bend * bend)

        found = [
            minimize(cost, start, jac=True, bounds=[(-1.0, 1.0)] * len(start), method="L-BFGS-B")
            for start in starts
        ]
        return min(found, key=lambda result: result.fun).x

"""Tuning: which parameters of the source bring the computed curves nearest to the measured ones.

**What is done.** About a starting point every parameter is moved one step down and one step up: 2 k + 1 runs
for k parameters. The *curves*, not the cost, are taken as quadratic in each parameter between those runs, for
curves answer smoothly to small changes; the cost (`validation.commission.cost`) is then known everywhere in
between. Its minimum is looked for there and nowhere else: where it lies on the border, and the cost falls
towards it by more than noise can make it, the next round starts from it.

**What is claimed.** Leaving out one group of histories after the other moves the minimum; by how much is its
sigma (jackknife: transport and phase space). Where the cost does not rise to both sides by more than twice
the sigma of the rise, the scans do not determine the parameter, this is said, and unless the cost falls for
certain the parameter stays where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from scipy.optimize import minimize

from validation.commission.cost import products
from validation.commission.judge import jackknife

ROUNDS = 4  # at most
ON_BORDER = 0.98  # of a step: from here on a minimum may lie farther out
STARTS = (-0.7, 0.0, 0.7)  # of the search, in steps
CURVE_POINTS = 41
SURE = 2.0  # sigma by which the cost must rise to both sides of a minimum


@dataclass(frozen=True)
class Parameter:
    """A parameter of the source: where to start and how far to look; `least` and `most` are never passed."""

    name: str
    unit: str
    start: float
    step: float
    least: float
    most: float


@dataclass(frozen=True)
class Evaluation:
    """A run with its cost and the sigma of that."""

    values: tuple[float, ...]
    cost: float
    sigma: float


@dataclass(frozen=True, eq=False)
class CostCurve:
    """Cost along one parameter, the others at the minimum; arrays are (n,).

    `sigma` is that of the cost less its value at the minimum.
    """

    values: np.ndarray
    cost: np.ndarray
    sigma: np.ndarray


@dataclass(frozen=True, eq=False)
class Tuning:
    """What tuning found.

    Parameters
    ----------
    parameters : tuple of Parameter
    best, sigma : tuple of float
        Values at the least cost and their sigma.
    on_border : tuple of bool
        Whether the search ended at the end of the range, so that the true minimum may lie beyond.
    cost, cost_sigma : float
        At the minimum, from the curves between the runs.
    evaluations : tuple of Evaluation
        All runs, in their order.
    curves : tuple of CostCurve
        One for each parameter.
    """

    parameters: tuple[Parameter, ...]
    best: tuple[float, ...]
    sigma: tuple[float, ...]
    on_border: tuple[bool, ...]
    cost: float
    cost_sigma: float
    evaluations: tuple[Evaluation, ...] = ()
    curves: tuple[CostCurve, ...] = field(default=())

    def determined(self, k: int) -> bool:
        """Whether the scans determine parameter `k`: its cost rises to both sides, by more than noise can."""
        curve = self.curves[k]
        rise, sigma = curve.cost[[0, -1]] - self.cost, curve.sigma[[0, -1]]
        return not self.on_border[k] and bool((rise > SURE * sigma).all())


def tune(
    parameters: Sequence[Parameter],
    residuals_at: Callable[[dict[str, float]], np.ndarray],
    on_run: Callable[[dict[str, float]], None] = lambda _: None,
) -> Tuning:
    """Find the values of the least cost.

    Parameters
    ----------
    parameters : sequence of Parameter
    residuals_at : callable
        Residuals (`validation.commission.cost.residuals`) of a run with the values of all parameters.
    on_run : callable
        Called with the values before every run.
    """
    parameters = tuple(parameters)
    known: dict[tuple[float, ...], np.ndarray] = {}

    def run(values: np.ndarray) -> np.ndarray:
        key = tuple(float(f"{value:.6g}") for value in values)
        if key not in known:
            named = {p.name: value for p, value in zip(parameters, key, strict=True)}
            on_run(named)
            known[key] = residuals_at(named)
        return known[key]

    centre = np.array([p.start for p in parameters])
    for _ in range(ROUNDS):
        centre, steps = _within(parameters, centre)
        sets = [run(centre)]
        for k, step in enumerate(steps):
            for sign in (-1.0, 1.0):
                moved = centre.copy()
                moved[k] += sign * step
                sets.append(run(moved))
        gram, without = products(sets)
        best = _minimum(gram, list(product(STARTS, repeat=len(parameters))))
        at_border = np.abs(best) >= ON_BORDER
        farther = [
            p.least < centre[k] + best[k] * steps[k] < p.most if at_border[k] else False
            for k, p in enumerate(parameters)
        ]
        certain = _falls(best, gram, without)
        if not (any(farther) and certain):
            break
        centre = centre + np.where(farther, best, 0.0) * steps
    moved = np.array([_minimum(each, [best]) for each in without])
    if not certain:  # what noise alone may have moved stays where it was
        rising = [_rises(k, best, gram, without) for k in range(len(parameters))]
        best = np.where(rising, best, 0.0)
        at_border = np.abs(best) >= ON_BORDER
    weights = _weights(best)
    evaluations = []
    for values, one in known.items():
        own, own_without = products([one])
        evaluations.append(Evaluation(values, float(own[0, 0]), jackknife(own_without[:, 0, 0])))
    return Tuning(
        parameters=parameters,
        best=tuple(float(v) for v in centre + best * steps),
        sigma=tuple(jackknife(moved[:, k]) * steps[k] for k in range(len(parameters))),
        on_border=tuple(bool(b) for b in at_border),
        cost=float(weights @ gram @ weights),
        cost_sigma=jackknife([weights @ each @ weights for each in without]),
        evaluations=tuple(evaluations),
        curves=tuple(_curve(k, centre, steps, best, gram, without) for k in range(len(parameters))),
    )


def _within(parameters: Sequence[Parameter], centre: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre and steps such that no run passes a limit."""
    steps = np.array([min(p.step, 0.5 * (p.most - p.least)) for p in parameters])
    least, most = (np.array([getattr(p, name) for p in parameters]) for name in ("least", "most"))
    return np.clip(centre, least + steps, most - steps), steps


def _weights(at: np.ndarray) -> np.ndarray:
    """Weights of the runs (centre, then down and up along each parameter) in the curves at `at` [steps]."""
    pairs = [((t * t - t) / 2.0, (t * t + t) / 2.0) for t in at]
    return np.array([1.0 - float(np.sum(at**2)), *(weight for pair in pairs for weight in pair)])


def _minimum(gram: np.ndarray, starts: Sequence[Sequence[float]]) -> np.ndarray:
    """Where, within a step of the centre, the cost is least [steps], looked for from `starts`."""

    def cost(at: np.ndarray) -> tuple[float, np.ndarray]:
        weights = _weights(at)
        half_slope = gram @ weights
        own = half_slope[1:].reshape(-1, 2)
        slope = -2.0 * at * half_slope[0] + (at - 0.5) * own[:, 0] + (at + 0.5) * own[:, 1]
        return float(weights @ half_slope), 2.0 * slope

    found = [
        minimize(cost, start, jac=True, bounds=[(-1.0, 1.0)] * len(start), method="L-BFGS-B")
        for start in starts
    ]
    return min(found, key=lambda result: result.fun).x


def _falls(best: np.ndarray, gram: np.ndarray, without: np.ndarray) -> bool:
    """Whether the cost falls from the centre to `best` by more than noise can make it."""
    fall, sigma = _difference(np.zeros_like(best), best, gram, without)
    return fall > SURE * sigma


def _rises(k: int, best: np.ndarray, gram: np.ndarray, without: np.ndarray) -> bool:
    """Whether the cost rises from `best` to both ends of parameter `k` by more than noise can make it."""
    ends = []
    for end in (-1.0, 1.0):
        at = best.copy()
        at[k] = end
        ends.append(_difference(at, best, gram, without))
    return all(rise > SURE * sigma for rise, sigma in ends)


def _difference(at: np.ndarray, of: np.ndarray, gram: np.ndarray, without: np.ndarray) -> tuple[float, float]:
    """Cost at one place less that at another [steps], and its sigma."""
    here, there = _weights(at), _weights(of)
    return (
        float(here @ gram @ here - there @ gram @ there),
        jackknife([here @ each @ here - there @ each @ there for each in without]),
    )


def _curve(
    k: int,
    centre: np.ndarray,
    steps: np.ndarray,
    best: np.ndarray,
    gram: np.ndarray,
    without: np.ndarray,
) -> CostCurve:
    """Cost along parameter `k` through the minimum."""
    along = np.unique(np.append(np.linspace(-1.0, 1.0, CURVE_POINTS), best[k]))
    least = _weights(best)
    rises = []
    for t in along:
        at = best.copy()
        at[k] = t
        rises.append(_difference(at, best, gram, without))
    cost, sigma = np.array(rises).T
    return CostCurve(centre[k] + along * steps[k], cost + float(least @ gram @ least), sigma)

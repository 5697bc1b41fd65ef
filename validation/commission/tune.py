"""Tuning: which parameters of the source bring the computed curves nearest to the measured ones.

**What is done.** About a starting point all parameters are moved at once, one step down or up, by a
definitive screening design (Jones and Nachtsheim, J Qual Technol 43 (2011) 1): about two runs for each
parameter and one in the middle. The *curves*, not the cost, are fitted by a sum of quadratic functions of
each parameter, for curves answer smoothly to small changes; the cost (`validation.commission.cost`), in which
noise is weighed, is then known everywhere in between. Every run tells of every parameter, so runs may be
short. The minimum is looked for within the steps and nowhere else: where it lies on the border, and the cost
falls towards it by more than noise can make it, the next round starts from it.

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

from validation.commission.cost import products, weighed
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
    """A run with its cost, noise weighed, and the sigma of that."""

    values: tuple[float, ...]
    cost: float
    sigma: float


@dataclass(frozen=True, eq=False)
class CostCurve:
    """Cost, noise weighed, along one parameter, the others at the minimum; arrays are (n,).

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
        At the minimum, from the curves between the runs; noise not weighed, as of a run that has little.
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
        least = np.interp(self.best[k], curve.values, curve.cost)
        rise, sigma = curve.cost[[0, -1]] - least, curve.sigma[[0, -1]]
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
    points = design(len(parameters))
    fit = np.linalg.pinv(_features(points))
    for _ in range(ROUNDS):
        centre, steps = _within(parameters, centre)
        sets = np.array([run(centre + point * steps) for point in points])
        gram, without = products(np.einsum("cr,rgn->cgn", fit, weighed(sets)))
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
    weights = _features(best)
    plain, plain_without = products(np.einsum("cr,rgn->cgn", fit, sets))
    evaluations = []
    for values, one in zip(known, weighed(np.array(list(known.values()))), strict=True):
        own, own_without = products([one])
        evaluations.append(Evaluation(values, float(own[0, 0]), jackknife(own_without[:, 0, 0])))
    return Tuning(
        parameters=parameters,
        best=tuple(float(v) for v in centre + best * steps),
        sigma=tuple(jackknife(moved[:, k]) * steps[k] for k in range(len(parameters))),
        on_border=tuple(bool(b) for b in at_border),
        cost=float(weights @ plain @ weights),
        cost_sigma=jackknife([weights @ each @ weights for each in plain_without]),
        evaluations=tuple(evaluations),
        curves=tuple(_curve(k, centre, steps, best, gram, without) for k in range(len(parameters))),
    )


def _within(parameters: Sequence[Parameter], centre: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre and steps such that no run passes a limit."""
    steps = np.array([min(p.step, 0.5 * (p.most - p.least)) for p in parameters])
    least, most = (np.array([getattr(p, name) for p in parameters]) for name in ("least", "most"))
    return np.clip(centre, least + steps, most - steps), steps


def design(parameters: int) -> np.ndarray:
    """Points (runs, parameters) of a screening design [steps]: the middle, then pairs of opposite corners.

    The rows of a conference matrix C (C C' = (m - 1) 1, 0 on its diagonal) and their opposites: effects of
    the parameters do not mix with each other, nor with those of their squares.
    """
    if parameters == 1:
        return np.array([[0.0], [-1.0], [1.0]])
    order = next((order for order in CONFERENCE if order >= parameters), None)
    if order is None:
        raise ValueError(f"{parameters} parameters are more than there is a design for")
    rows = _conference(order)[:, :parameters]
    return np.concatenate([np.zeros((1, parameters)), -rows, rows])


CONFERENCE = (2, 4, 6)  # orders of conference matrices, one more than a prime of the kind 4 n + 1, or 3, or 1


def _conference(order: int) -> np.ndarray:
    """A conference matrix by Paley's construction, (order, order)."""
    prime = order - 1
    squares = {i * i % prime for i in range(1, prime)} if prime > 1 else set()
    matrix = np.ones((order, order))
    difference = np.subtract.outer(np.arange(prime), np.arange(prime)) % prime
    matrix[1:, 1:] = np.where(np.isin(difference, list(squares)), 1.0, -1.0)
    if prime % 4 == 3:
        matrix[1:, 0] = -1.0
    np.fill_diagonal(matrix, 0.0)
    return matrix


def _features(at: np.ndarray) -> np.ndarray:
    """Terms of the fit at points (..., parameters) [steps]: 1, then t and t^2 of each parameter."""
    at = np.asarray(at, float)
    return np.concatenate([np.ones((*at.shape[:-1], 1)), at, at**2], axis=-1)


def _minimum(gram: np.ndarray, starts: Sequence[Sequence[float]]) -> np.ndarray:
    """Where, within a step of the centre, the cost is least [steps], looked for from `starts`."""

    def cost(at: np.ndarray) -> tuple[float, np.ndarray]:
        terms = _features(at)
        half_slope = gram @ terms
        linear, square = half_slope[1:].reshape(2, -1)
        return float(terms @ half_slope), 2.0 * (linear + 2.0 * at * square)

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
    here, there = _features(at), _features(of)
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
    least = _features(best)
    rises = []
    for t in along:
        at = best.copy()
        at[k] = t
        rises.append(_difference(at, best, gram, without))
    cost, sigma = np.array(rises).T
    return CostCurve(centre[k] + along * steps[k], cost + float(least @ gram @ least), sigma)

"""Tuning: which parameters of the source bring the computed curves nearest to the measured ones.

**What is done.** About a starting point all parameters are moved at once, one step down or up, by a
screening design (`validation.commission.design`): about two runs for each parameter and one in the middle.
The *curves*, not the cost, are fitted (`validation.commission.response`), for curves answer smoothly to small
changes; the cost is then known everywhere in between. Every run informs about every parameter, so runs may be
short. The minimum is looked for within the steps and nowhere else: where it lies on the border, and the cost
falls towards it by more than noise can make it, the next round starts from it. Runs of earlier rounds that
lie near take part in its fit. About the minimum found a last round of longer runs, its steps shorter, shows
what is small: there the fit owes nothing to how curves bend farther off. "Steps" are its own from there on.

**What is claimed.** Leaving out one group of histories after the other moves the minimum; by how much is its
sigma (jackknife: transport and phase space). Where a step to both sides the cost is not higher by more than
twice the sigma of the rise, or the minimum is not known within half a step, the scans do not determine the
parameter, this is said, and unless the cost falls for certain the parameter stays where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from validation.commission.cost import products
from validation.commission.design import design
from validation.commission.judge import jackknife
from validation.commission.response import Response

ROUNDS, LAST_ROUNDS = 4, 2  # at most, of the search and of longer runs
ON_BORDER = 0.98  # of a step: from here on a minimum may lie farther out
NEAR = 2.01  # steps from the centre of a round: runs of earlier ones that take part in its fit
STARTS = (-0.7, 0.0, 0.7)  # of the search, in steps
CURVE_POINTS = 41
KNOWN = 0.5  # steps: largest sigma of a parameter that is determined
LAST_STEPS = 0.75  # of the last round, in those of the search


@dataclass(frozen=True)
class Parameter:
    """A parameter of the source: where to start and how far to look; `least` and `most` are never passed.

    Curves answer in proportion to the value to the power `power`: this is what the search moves, by `step`.
    """

    name: str
    unit: str
    start: float
    step: float
    least: float
    most: float
    power: int = 1

    def moved(self, value: float) -> float:
        """What the search moves, for a value."""
        return value**self.power

    def value(self, moved: float) -> float:
        """The value, for what the search moves."""
        return moved if self.power == 1 else max(moved, 0.0) ** (1.0 / self.power)


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
    known : tuple of bool
        Whether the minimum is known within `KNOWN`, and the cost rises to both sides of it.
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
    known: tuple[bool, ...]
    on_border: tuple[bool, ...]
    cost: float
    cost_sigma: float
    evaluations: tuple[Evaluation, ...] = ()
    curves: tuple[CostCurve, ...] = field(default=())

    def determined(self, k: int) -> bool:
        """Whether the scans determine parameter `k`."""
        return self.known[k] and not self.on_border[k]


def tune(
    parameters: Sequence[Parameter],
    residuals_at: Callable[[dict[str, float]], np.ndarray],
    on_run: Callable[[dict[str, float]], None] = lambda _: None,
    closer_at: Callable[[dict[str, float]], np.ndarray] | None = None,
) -> Tuning:
    """Find the values of the least cost.

    Parameters
    ----------
    parameters : sequence of Parameter
    residuals_at : callable
        Residuals (`validation.commission.cost.residuals`) of a run with the values of all parameters.
    on_run : callable
        Called with the values before every run.
    closer_at : callable, optional
        As `residuals_at`, with less noise: for the last round. Without, there is none.
    """
    parameters = tuple(parameters)
    search, evaluations = _Search(parameters), []

    def descend(at: Callable[[dict[str, float]], np.ndarray], rounds: int):
        """Go on until a minimum lies within: its fit, its place, whether the cost falls to it for certain."""
        runs: dict[tuple[float, ...], np.ndarray] = {}
        for left in reversed(range(rounds)):
            for values in search.round():
                if values not in runs:
                    named = {p.name: value for p, value in zip(parameters, values, strict=True)}
                    on_run(named)
                    runs[values] = at(named)
            places = search.places(runs)
            near = (np.abs(places) <= NEAR).all(axis=1)
            response = Response(places[near], np.array(list(runs.values()))[near])
            best = response.minimum(list(product(STARTS, repeat=len(parameters))))
            certain = response.falls(search.origin, best)
            if not (left and certain and search.go_on(best)):
                break
        evaluations.extend(_evaluation(values, response.noise.weighed(sets)) for values, sets in runs.items())
        return response, best, certain

    response, best, certain = descend(residuals_at, ROUNDS)
    if closer_at is not None:
        search.come_closer(best if certain else search.origin)
        response, best, certain = descend(closer_at, LAST_ROUNDS)
    on_border = np.abs(best) >= ON_BORDER
    sigma = np.array([jackknife(column) for column in response.minima_without(best).T])
    rises = np.array([response.rises(k, best) for k in range(len(parameters))])
    if not certain:  # what noise alone may have moved stays where it was
        best = np.where(rises, best, search.origin)
    cost, cost_sigma = response.plain_cost(best)
    return Tuning(
        parameters=parameters,
        best=search.values(best),
        sigma=tuple(0.5 * (np.array(search.values(best + sigma)) - search.values(best - sigma))),
        known=tuple(bool(known) for known in rises & (sigma < KNOWN)),
        on_border=tuple(bool(b) for b in on_border),
        cost=cost,
        cost_sigma=cost_sigma,
        evaluations=tuple(evaluations),
        curves=tuple(_curve(k, search, best, response) for k in range(len(parameters))),
    )


class _Search:
    """Where a search is: its centre and its steps, of what is moved; points are in steps from the centre.

    Attributes
    ----------
    origin : (parameters,) float64
        Where each parameter stays as long as nothing moves it.
    """

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self._parameters = parameters
        self._least, start, self._most = (
            np.array([p.moved(value) for p, value in zip(parameters, values, strict=True)])
            for values in zip(*((p.least, p.start, p.most) for p in parameters), strict=True)
        )
        self._steps = np.minimum([p.step for p in parameters], 0.5 * (self._most - self._least))
        self._move_to(start)
        self.origin = (start - self._centre) / self._steps

    def _move_to(self, place: np.ndarray) -> None:
        self._centre = np.clip(place, self._least + self._steps, self._most - self._steps)

    def come_closer(self, point: np.ndarray) -> None:
        """Move the centre to a point, from which on nothing moves unasked, and shorten the steps."""
        place = self._centre + point * self._steps
        self._steps = LAST_STEPS * self._steps
        self._move_to(place)
        self.origin = (place - self._centre) / self._steps

    def values(self, point: np.ndarray) -> tuple[float, ...]:
        """Values of the parameters at a point."""
        place = self._centre + np.asarray(point) * self._steps
        return tuple(float(f"{p.value(x):.6g}") for p, x in zip(self._parameters, place, strict=True))

    def places(self, values: Iterable[Sequence[float]]) -> np.ndarray:
        """Points where parameters have these values, (n, parameters)."""
        moved = [[p.moved(v) for p, v in zip(self._parameters, each, strict=True)] for each in values]
        return (np.array(moved) - self._centre) / self._steps

    def round(self) -> list[tuple[float, ...]]:
        """Values of the runs about the centre."""
        return [self.values(point) for point in design(len(self._parameters))]

    def go_on(self, best: np.ndarray) -> bool:
        """Move the centre to a minimum on the border that may lie farther out; whether there is one."""
        there = self._centre + best * self._steps
        farther = (np.abs(best) >= ON_BORDER) & (there > self._least) & (there < self._most)
        if farther.any():
            origin = np.where(farther, there, self._centre + self.origin * self._steps)
            self._move_to(np.where(farther, there, self._centre))
            self.origin = (origin - self._centre) / self._steps
        return bool(farther.any())


def _evaluation(values: tuple[float, ...], residuals: np.ndarray) -> Evaluation:
    """A run by itself."""
    cost, without = products([residuals])
    return Evaluation(values, float(cost[0, 0]), jackknife(without[:, 0, 0]))


def _curve(k: int, search: _Search, best: np.ndarray, response: Response) -> CostCurve:
    """Cost along parameter `k` through the minimum."""
    along = np.unique(np.append(np.linspace(-1.0, 1.0, CURVE_POINTS), best[k]))
    points = np.tile(best, (len(along), 1))
    points[:, k] = along
    cost, sigma = np.array([response.difference(at, best) for at in points]).T
    values = np.array([search.values(at)[k] for at in points])
    return CostCurve(values, cost + response.cost(best), sigma)

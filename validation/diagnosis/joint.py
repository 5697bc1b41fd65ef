"""The difference between a plan's dose and Monte Carlo, fitted with the effects of all errors together."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.ndimage import shift as moved

from validation.diagnosis.effects import RegionColumns, depth_column, shift_columns
from validation.diagnosis.fit import Fit, fit_columns
from validation.diagnosis.voxels import BLUR, MODEL, Doses, Voxels

SCALE, X, Y, Z, DEPTH = range(5)  # columns that are always fitted
SHIFT_ROUNDS, SETTLED = 8, 0.002  # repetitions until displacements change by less [cm]
SIGNIFICANT = 4.0  # sigmas from 0 for an effect to count
ALIKE = 0.998  # of a column explained by the others: the two cannot be told apart
SMOOTH = 0.7  # of the dose before its gradient is taken [voxels]


@dataclass(frozen=True, eq=False)
class Candidate:
    """An error that is added to the fit if the doses show it.

    Parameters
    ----------
    test, name : str
    columns : (n, 1 or 2) float64
        Relative effects; of a region: through its path and, where it is wide enough, inside it.
    index : int
        Of the beam or the region.
    region : RegionColumns, optional
    """

    test: str
    name: str
    columns: np.ndarray
    index: int = 0
    region: RegionColumns | None = None


@dataclass(frozen=True)
class Effect:
    """What a candidate does to the dose, and how well that is known.

    Parameters
    ----------
    value, sigma : float
        Its effect on the dose [relative].
    inside, behind : (float, float)
        Of a region: the effect within it and behind it, each with its sigma; sigma 0 where neither is known.
    parameter : float
        Of the path through a region: density change in units of its map.
    gain : float
        By what share it lowers chi2.
    """

    value: float
    sigma: float
    inside: tuple[float, float] = (0.0, 0.0)
    behind: tuple[float, float] = (0.0, 0.0)
    parameter: float = 0.0
    gain: float = 0.0

    @property
    def significance(self) -> float:
        """How many sigmas it is away from 0."""
        return abs(self.value) / self.sigma if self.sigma > 0 else 0.0


class JointFit:
    """The fit of all errors to the doses.

    Parameters
    ----------
    doses : Doses
    voxels : Voxels
    """

    def __init__(self, doses: Doses, voxels: Voxels) -> None:
        self._doses, self._voxels = doses, voxels
        self.scale, self.displacement = 1.0, np.zeros(3)  # (z, y, x) [cm]
        self.active: list[Candidate] = []
        self._depth = depth_column(voxels)
        mc = doses.mc[voxels.chosen]
        slope = np.linalg.norm(np.gradient(gaussian_filter(doses.mc, SMOOTH), *doses.grid.spacing), axis=0)
        variance = doses.sigma[voxels.chosen] ** 2 + (MODEL * mc) ** 2 + (BLUR * slope[voxels.chosen]) ** 2
        self.weights, self.mc = 1.0 / variance, mc
        self.fit = self._settle()

    def _plan(self) -> np.ndarray:
        """The plan's dose without scale and displacement found so far, on the whole grid."""
        dose = self._doses.plan
        if np.abs(self.displacement).max() > 0.0:
            steps = -self.displacement / np.array(self._doses.grid.spacing)
            dose = moved(dose, steps, order=3, mode="nearest")
        return dose / self.scale

    def _columns(self, dose: np.ndarray) -> np.ndarray:
        grid, chosen = self._doses.grid, self._voxels.chosen
        always = np.empty((len(self.mc), 5))
        always[:, SCALE] = self.mc
        always[:, X : Z + 1] = shift_columns(gaussian_filter(dose, SMOOTH), grid, chosen)
        always[:, DEPTH] = self.mc * self._depth
        return np.concatenate([always, *(self.mc[:, None] * c.columns for c in self.active)], axis=1)

    def _settle(self) -> Fit:
        """Fit; scale and displacement are taken out and fitted again until they stay."""
        for _ in range(SHIFT_ROUNDS):
            dose = self._plan()
            self._base = self._columns(dose)
            self._data = dose[self._voxels.chosen] - self.mc
            fit = fit_columns(self._data, self._base, self.weights, self._voxels.blocks)
            step = fit.values[[Z, Y, X]]
            if np.abs(step).max() < SETTLED and abs(fit.values[SCALE]) < SETTLED:
                return fit
            self.displacement = self.displacement + np.clip(step, -0.5, 0.5)
            self.scale *= 1.0 + np.clip(fit.values[SCALE], -0.9, 9.0)
        return fit

    def with_candidate(self, candidate: Candidate) -> Effect | None:
        """Effect of a candidate if it is added to the fit as it is; None if it is like what is there."""
        more = self.mc[:, None] * candidate.columns
        weights = self.fit.weights
        root = np.sqrt(weights)[:, None]
        base, extra = root * self._base, root * more
        rest = extra - base @ np.linalg.lstsq(base, extra, rcond=1e-10)[0]
        own = np.sum(extra[:, :1] ** 2)
        if not own > 0 or np.sum(rest[:, :1] ** 2) < (1.0 - ALIKE) * own:
            return None
        columns = np.concatenate([self._base, more], axis=1)
        fit = fit_columns(self._data, columns, weights, self._voxels.blocks, robust=False)
        own = slice(self._base.shape[1], columns.shape[1])
        gain = (self.fit.chi2 - fit.chi2) / max(self.fit.chi2, 1e-300)
        return replace(effect_of(candidate, fit, own), gain=gain)

    def add(self, candidate: Candidate) -> None:
        """Add a candidate, and fit again."""
        self.active.append(candidate)
        self.fit = self._settle()

    def of_active(self, candidate: Candidate) -> Effect:
        """Effect of a candidate that was added."""
        start = 5
        for other in self.active:
            stop = start + other.columns.shape[1]
            if other is candidate:
                return effect_of(candidate, self.fit, slice(start, stop))
            start = stop
        raise ValueError(f"{candidate.name} is not part of the fit")


def effect_of(candidate: Candidate, fit: Fit, own: slice) -> Effect:
    """Effect of a candidate from the parameters `own` of a fit."""
    values, covariance = fit.values[own], fit.covariance[own, own]
    if candidate.region is None:
        return Effect(float(values[0]), float(np.sqrt(covariance[0, 0])), parameter=float(values[0]))

    def mean(where: np.ndarray) -> tuple[float, float]:
        if not where.any():
            return 0.0, 0.0
        row = candidate.columns[where].mean(axis=0)
        return float(row @ values), float(np.sqrt(max(0.0, row @ covariance @ row)))

    inside, behind = mean(candidate.region.inside), mean(candidate.region.behind)
    seen = [e for e in (inside, behind) if e[1] > 0.0]
    main = max(seen, key=lambda e: abs(e[0]) if abs(e[0]) > SIGNIFICANT * e[1] else 0.0, default=(0.0, 0.0))
    return Effect(*main, inside, behind, float(values[0]))

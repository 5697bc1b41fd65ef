"""The difference between a plan's dose and Monte Carlo, fitted with the effects of all errors together."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.ndimage import shift as moved

from validation.diagnosis.effects import RegionColumns, depth_column, profile_column, slopes_at
from validation.diagnosis.fit import Fit, fit_columns
from validation.diagnosis.voxels import BLUR, MODEL, Doses, Voxels

SCALE, X, Y, Z, DEPTH, PROFILE = range(6)  # columns that are always fitted
UNLIKE = 0.002  # of chi2, by which one of them must fit better
MIN_DISPLACEMENT = 0.05  # displacement from which a dose grid can be distinguished from an isocentre [cm]
SHIFT_ROUNDS, CONVERGED = 8, 0.002  # repetitions until displacements change by less [cm]
MAX_SCALE, FARTHEST = 50.0, 3.0  # factor, displacement [cm] that doses of one plan may differ by
MIN_CLEAN = 0.2  # of the plan's dose that is left without its errors, at least
SIGNIFICANT = 4.0  # sigmas from 0 for an effect to count
ALIKE = 0.998  # of a column explained by the others: the two cannot be separated
SMOOTH = 0.7  # of the dose before its gradient is taken [voxels]
SMOOTH_SIGMA = 1.5  # of Monte Carlo's variance [voxels]


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
    favour : float
        Factor on what it gains, to choose between those that explain the same.
    """

    test: str
    name: str
    columns: np.ndarray
    index: int = 0
    region: RegionColumns | None = None
    favour: float = 1.0


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

    Attributes
    ----------
    scale, displacement : float, (3,) float64
        Taken out of the plan's dose before the fit; along z, y, x [cm].
    with_depth : bool or None
        Whether depth dose moved along with it: a dose grid elsewhere. Otherwise it stays in the patient while
        the beams move: another isocentre. None if that cannot be determined.
    common : float
        Relative sigma that all voxels of Monte Carlo's dose share.
    active : list of Candidate
    fit : Fit
        `SCALE` to `PROFILE`, then the columns of `active`.
    """

    def __init__(self, doses: Doses, voxels: Voxels) -> None:
        self._doses, self._voxels, self.common = doses, voxels, doses.common
        self.scale, self.displacement = 1.0, np.zeros(3)  # (z, y, x) [cm]
        self.active: list[Candidate] = []
        self._depth, self._profile = depth_column(voxels), profile_column(voxels)
        # smooth, since a voxel's own sigma goes with its own noise and would favour voxels that are too low
        self._noise = gaussian_filter(doses.sigma**2, SMOOTH_SIGMA)[voxels.chosen]
        self._mc = doses.mc[voxels.chosen]
        self._deviations = doses.deviations[:, voxels.chosen]
        self._clean = doses.plan[voxels.chosen]
        self.with_depth: bool | None = True
        self.fit = self._iterate()
        if np.linalg.norm(self.displacement) > MIN_DISPLACEMENT:
            self._estimate_isocentre()

    def _estimate_isocentre(self) -> None:
        """Fit the displacement of an isocentre, and keep it if it fits better."""
        kept = self.scale, self.displacement, self.fit.chi2
        self.with_depth = False
        self.fit = self._iterate()
        if abs(self.fit.chi2 / kept[2] - 1.0) < UNLIKE:
            self.with_depth = None
        elif self.fit.chi2 > kept[2]:
            self.with_depth = True
        if self.with_depth is not False:
            self.scale, self.displacement = kept[:2]
            self.fit = self._iterate()

    def _plan(self) -> np.ndarray:
        """The plan's dose without scale and displacement found so far, on the whole grid."""
        dose = self._doses.plan
        if np.abs(self.displacement).max() > 0.0:
            steps = -self.displacement / np.array(self._doses.grid.spacing)
            dose = moved(dose, steps, order=3, mode="nearest")
        return dose / self.scale

    def _deeper(self) -> np.ndarray | float:
        """Dose where a displacement comes from over that where it was, by their radiological depths."""
        if self.with_depth is not False:
            return 1.0
        return np.exp(-self._voxels.steepness @ self.displacement[::-1])

    def _columns(self, planned: np.ndarray, slopes: np.ndarray) -> np.ndarray:
        always = np.empty((len(self._mc), PROFILE + 1))
        always[:, SCALE] = self._clean
        always[:, X : Z + 1] = -slopes
        if self.with_depth is False:
            always[:, X : Z + 1] -= planned[:, None] * self._voxels.steepness
        always[:, DEPTH] = self._clean * self._depth
        always[:, PROFILE] = self._clean * self._profile
        return np.concatenate([always, *(self._clean[:, None] * c.columns for c in self.active)], axis=1)

    def _iterate(self) -> Fit:
        """Fit; scale and displacement are taken out and fitted again until they stay.

        Effects are relative to the plan's dose without its errors: Monte Carlo's without its noise.
        """
        for _ in range(SHIFT_ROUNDS):
            dose = self._plan()
            planned = dose[self._voxels.chosen] / self._deeper()
            slopes = slopes_at(gaussian_filter(dose, SMOOTH), self._doses.grid, self._voxels.chosen)
            model = (MODEL * planned) ** 2 + BLUR**2 * np.sum(slopes**2, axis=1)
            self._base = self._columns(planned, slopes)
            self._data = planned - self._mc
            weights = 1.0 / (self._noise + model)
            fit = fit_columns(self._data, self._base, weights, self._voxels.blocks, noise=self._deviations)
            self._clean = np.clip(planned - self._base @ fit.values, MIN_CLEAN * planned, planned / MIN_CLEAN)
            step = fit.values[[Z, Y, X]]
            if np.abs(step).max() < CONVERGED and abs(fit.values[SCALE]) < CONVERGED:
                return fit
            self.displacement = self.displacement + np.clip(step, -0.5, 0.5)
            self.scale *= 1.0 + np.clip(fit.values[SCALE], -0.9, 9.0)
        return fit

    @property
    def holds(self) -> bool:
        """Whether scale and displacement are such as doses of one plan may have; a fit to noise has none."""
        near = bool(np.linalg.norm(self.displacement) < FARTHEST)  # False for what is not a number, too
        return near and 1.0 / MAX_SCALE < self.scale < MAX_SCALE

    @property
    def scatter(self) -> float:
        """Rms difference left over in the upper half of the dose, less transport sigma [relative]."""
        high = self._clean > 0.5 * self._clean.max()
        own = self._doses.sigma[self._voxels.chosen][high]
        left = np.mean((self.fit.residual[high] ** 2 - own**2) / self._clean[high] ** 2)
        return float(np.sqrt(max(0.0, left)))

    def with_candidate(self, candidate: Candidate) -> Effect | None:
        """Effect of a candidate if it is added to the fit as it is; None if it is like what is there."""
        more = self._clean[:, None] * candidate.columns
        weights = self.fit.weights
        root = np.sqrt(weights)[:, None]
        base, extra = root * self._base, root * more
        rest = extra - base @ np.linalg.lstsq(base, extra, rcond=1e-10)[0]
        own = np.sum(extra[:, :1] ** 2)
        if not own > 0 or np.sum(rest[:, :1] ** 2) < (1.0 - ALIKE) * own:
            return None
        columns = np.concatenate([self._base, more], axis=1)
        fit = fit_columns(self._data, columns, weights, self._voxels.blocks, False, self._deviations)
        own = slice(self._base.shape[1], columns.shape[1])
        gain = (self.fit.chi2 - fit.chi2) / max(self.fit.chi2, 1e-300)
        return replace(effect_of(candidate, fit, own), gain=gain)

    def add(self, candidate: Candidate) -> None:
        """Add a candidate, and fit again."""
        self.active.append(candidate)
        self.fit = self._iterate()

    def of_active(self, candidate: Candidate) -> Effect:
        """Effect of a candidate that was added."""
        start = PROFILE + 1
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

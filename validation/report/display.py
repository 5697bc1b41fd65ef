"""What figures show of the doses: smoothed and averaged as far as the noise asks for, and which planes."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter, uniform_filter

from validation.plan_check.comparison import Comparison
from validation.plan_check.leading import leading_organ, leading_target, scale
from validation.report.choices import centre
from validation.report.lines import hottest_voxel

SMOOTH_TO = 0.005  # relative noise that isodoses are smoothed to
MAX_SMOOTHING = 1.5  # sigma of the smoothing [voxels]
AVERAGED_TO = 0.5  # noise that differences are averaged to [% of the scale]
SIDES = (1, 3, 5)  # of the cubes that differences are averaged over [voxels]
HIGH = 0.2  # of the plan's maximum: where differences are looked at
LEVELS = 3  # axial planes
APART = 0.6  # between axial planes [cm], and two voxels
ENDS = 0.35  # of the target's length, from its middle


class Place(NamedTuple):
    """A point (z, y, x) [cm] that planes go through, and its name."""

    point: np.ndarray
    name: str


@dataclass(frozen=True, eq=False)
class Display:
    """A comparison as figures show it.

    Parameters
    ----------
    comparison : Comparison
    """

    comparison: Comparison = field(repr=False)

    @cached_property
    def smoothing_mm(self) -> float:
        """Sigma by which the difference of both doses is smoothed for isodoses [mm]; 0 if it need not be."""
        noise = self.comparison.dose.relative_uncertainty()
        if not SMOOTH_TO < noise < np.inf:
            return 0.0
        # a Gaussian of s voxels lowers independent noise by (2 sqrt(pi) s)^1.5
        voxels = (noise / SMOOTH_TO) ** (2 / 3) / (2 * np.sqrt(np.pi))
        return 10 * min(voxels, MAX_SMOOTHING) * float(np.prod(self.comparison.dose.grid.spacing)) ** (1 / 3)

    @cached_property
    def found(self) -> np.ndarray:
        """The Monte Carlo dose for isodoses, (nz, ny, nx) [Gy].

        What is smoothed is its difference to the plan, so that the plan's own gradients stay as steep.
        """
        planned, found = self.comparison.planned_dose.dose, self.comparison.dose.mean
        if not self.smoothing_mm:
            return found
        sigma = [0.1 * self.smoothing_mm / d for d in self.comparison.dose.grid.spacing]
        return planned + gaussian_filter(found - planned, sigma)

    @cached_property
    def high(self) -> np.ndarray:
        """Voxels of the body where differences are looked at, (nz, ny, nx) bool."""
        planned = self.comparison.planned_dose.dose
        return self.comparison.body & (planned >= HIGH * planned.max())

    @cached_property
    def _averaged(self) -> tuple[np.ndarray, int, float]:
        """Difference [%], side of the cubes [voxels], noise that is left [%]."""
        comparison, percent = self.comparison, 100 / scale(self.comparison)[0]
        body = comparison.body.astype(float)
        difference = percent * (comparison.dose.mean - comparison.planned_dose.dose) * body
        variance = (percent * comparison.dose.sigma * body) ** 2
        inside = self.high if self.high.any() else comparison.body
        for side in SIDES:
            size = [min(side, n) for n in difference.shape]
            count = np.maximum(uniform_filter(body, size) * np.prod(size), 1.0)
            noise = np.sqrt(np.maximum(uniform_filter(variance, size), 0.0) * np.prod(size)) / count
            left = float(np.sqrt(np.mean(noise[inside] ** 2))) if inside.any() else 0.0
            if left <= AVERAGED_TO:
                break
        mean = uniform_filter(difference, size) * np.prod(size) / count
        return np.where(comparison.body, mean, np.nan), side, left

    @property
    def difference(self) -> np.ndarray:
        """Monte Carlo less plan, averaged [% of the scale], NaN outside the body, (nz, ny, nx)."""
        return self._averaged[0]

    @property
    def averaging(self) -> str:
        """Over what the difference is averaged, and the noise that is left, in words."""
        _, side, left = self._averaged
        spacing = [10 * side * d for d in self.comparison.dose.grid.spacing[::-1]]
        over = (
            "not averaged" if side == 1 else "averaged over " + " x ".join(f"{d:g}" for d in spacing) + " mm"
        )
        latent = self.comparison.report.latent_uncertainty
        text = f"{over}; 1 sigma of it {left:.1f} % by transport"
        if latent is not None and np.isfinite(latent):
            text += f", {100 * latent:.1f} % latent, which no averaging lowers"
        return text

    @cached_property
    def limit(self) -> float:
        """End of the colour scale of differences [% of the scale]: 3, 5, 10, 20, 50 or 100."""
        if not self.high.any():
            return 3.0
        most = float(np.quantile(np.abs(self.difference[self.high]), 0.999))
        return next((limit for limit in (3.0, 5.0, 10.0, 20.0, 50.0) if most <= limit), 100.0)

    @cached_property
    def critical(self) -> Place:
        """The plan's hottest voxel in the cord, else in the most important organ; else the isocentre."""
        organ = leading_organ(self.comparison)
        if organ is None:
            return Place(*centre(self.comparison))
        return Place(
            self._at(hottest_voxel(organ, self.comparison.planned_dose.dose)), f"maximum in {organ.name}"
        )

    @cached_property
    def levels(self) -> tuple[Place, ...]:
        """Axial planes, none of them twice, in the order of what matters."""
        grid = self.comparison.planned_dose.grid
        apart = max(APART, 1.99 * grid.spacing[0])
        chosen: list[Place] = []
        for place in self._candidates():
            if all(abs(place.point[0] - other.point[0]) >= apart for other in chosen):
                chosen.append(place)
            if len(chosen) == LEVELS:
                break
        return tuple(chosen)

    def _candidates(self) -> list[Place]:
        grid = self.comparison.planned_dose.grid
        point, name = centre(self.comparison)
        candidates = [self.critical, Place(point, name.removeprefix("the "))]
        if self.high.any():
            worst = np.where(self.high, np.abs(np.nan_to_num(self.difference)), -1.0).argmax()
            candidates.append(Place(self._at(np.unravel_index(worst, grid.shape)), "largest difference"))
        target = leading_target(self.comparison)
        if target is not None:
            filled = np.flatnonzero(target.fraction.any(axis=(1, 2)))
            low, high = (float(grid.centres(0)[i]) for i in (filled[0], filled[-1]))
            for sign, end in ((1, "upper part"), (-1, "lower part")):
                z = 0.5 * (low + high) + sign * ENDS * (high - low)
                candidates.append(Place(np.array([z, *point[1:]]), f"{end} of {target.name}"))
        return candidates

    def _at(self, index: tuple[int, ...]) -> np.ndarray:
        """Centre of a voxel (z, y, x) [cm]."""
        grid = self.comparison.planned_dose.grid
        return np.array([grid.centres(axis)[i] for axis, i in enumerate(index)])

"""The noise of a dose: copies of it that differ by one draw, for the sigma of whatever is read from it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from mc.covariance import Covariance
from mc.dose import Dose
from phantoms.grid import Grid

DRAWS = 40  # copies where no covariance is known: a sigma to 11 %
SEED = 20_000

Box = tuple[slice, ...]


@dataclass(frozen=True, eq=False)
class Noise:
    """Noise of a dose on a grid, transport and latent together.

    Parameters
    ----------
    sigma : (nz, ny, nx) array
        Transport sigma of single voxels [Gy].
    latent : (nz, ny, nx) array, optional
        Latent sigma of single voxels [Gy]; counts only where there is no `covariance`, and then as one draw
        that all voxels share, which states too much rather than too little.
    covariance : Covariance, optional
        Of all voxels. Without it the transport noise of different voxels is taken as independent.
    grid : Grid, optional
        Of the arrays, where there is a `covariance`.
    common : float
        Relative sigma that all voxels share beside it, of a calibration.
    known : bool
        False after so few batches of a phase space that nothing is known of its latent noise: every sigma
        is infinite.
    """

    sigma: np.ndarray = field(repr=False)
    latent: np.ndarray | None = field(default=None, repr=False)
    covariance: Covariance | None = None
    grid: Grid | None = None
    common: float = 0.0
    known: bool = True

    @classmethod
    def of(cls, dose: Dose) -> Self:
        """The noise of a dose, that of the calibration its provenance states included."""
        held, common = dose.covariance, calibration_sigma(dose.provenance.get("calibrations", {}))
        if held is not None:
            return cls(dose.sigma, None, held, dose.grid, math.hypot(common, held.common))
        latent = np.nan_to_num(dose.latent)
        if latent.any():
            return cls(dose.sigma, latent, common=common)
        from_phase_space = dose.provenance.get("quality", {}).get("passes") is not None
        return cls(dose.sigma, common=common, known=not from_phase_space)

    @property
    def factor(self) -> float:
        """By how much a sigma found from the copies is enlarged (`mc.covariance.Covariance.factor`)."""
        if not self.known:
            return math.inf
        return 1.0 if self.covariance is None else self.covariance.factor

    def copies(self, dose: np.ndarray, box: Box, most: int | None = None) -> Iterator[np.ndarray]:
        """Copies of a dose within a box of the grid, each with one draw of the noise added, float64.

        Parameters
        ----------
        dose : (nz, ny, nx) array
            Of the voxels in `box` [Gy].
        box : tuple of slice
        most : int, optional
            Number of copies; all by default. With a covariance less than all give a sigma that is not exact.
        """
        random = np.random.default_rng(SEED)
        sigma = self.sigma[box]
        if self.covariance is None:
            for _ in range(min(most or DRAWS, DRAWS)):
                copy = random.standard_normal(dose.shape)
                copy *= sigma  # in place: a large grid has no memory for more copies
                copy += dose
                if self.latent is not None:
                    copy += random.standard_normal() * self.latent[box]
                if self.common:
                    copy += (random.standard_normal() * self.common) * dose
                yield copy
            return
        weights = self.covariance.replicates()[:most]
        within = math.sqrt(1.0 - 1.0 / self.covariance.block**3)
        drawn = self.covariance.maps(self.grid, box, weights[:, :-1])
        for noise, shared in zip(drawn, weights[:, -1], strict=True):
            copy = dose * (1.0 + float(shared) * self.common)
            copy += noise
            if within:  # of the voxels of a block about their mean, which the maps do not hold
                copy += within * sigma * random.standard_normal(dose.shape)
            yield copy

    def sigma_of_mean(self, dose: np.ndarray, weights: np.ndarray, box: Box) -> float:
        """One sigma of the weighted mean of a dose within a box of the grid [Gy].

        Parameters
        ----------
        dose, weights : (nz, ny, nx) array
            Of the voxels in `box`.
        box : tuple of slice
        """
        if not self.known:
            return math.inf
        weights = weights / weights.sum(dtype=float)
        own = float(np.sum((weights * self.sigma[box]) ** 2))
        common = (self.common * float(np.sum(weights * dose))) ** 2
        if self.covariance is None:
            latent = 0.0 if self.latent is None else float(np.sum(weights * self.latent[box])) ** 2
            return math.sqrt(own + latent + common)
        found = sum(float(np.sum(weights * part)) ** 2 for part in self.covariance.maps(self.grid, box))
        within = own * (1.0 - 1.0 / self.covariance.block**3)
        return self.factor * math.sqrt(found + common + within)


def calibration_sigma(calibration: Mapping[str, Mapping]) -> float:
    """Relative sigma of a Monte Carlo calibration, transport and latent, of the least certain beam quality.

    Parameters
    ----------
    calibration : mapping
        By beam quality: the record of its calibration (`mc.compute.plan_dose`). What it does not state
        counts as 0.
    """
    worst = 0.0
    for record in calibration.values():
        value, sigma, latent = (record.get(key) for key in ("gy_per_history", "sigma", "latent"))
        if value and sigma is not None and latent is not None and math.isfinite(latent):
            worst = max(worst, math.hypot(sigma / value, latent))
    return worst

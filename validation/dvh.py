"""Dose-volume histograms and the metrics read from them, with their sigma.

Dose is constant in a voxel, and a voxel counts with the fraction of its volume that lies in the
structure. Nothing is interpolated and nothing is binned: D[v] is the greatest dose that the
volume v receives, V[d] the volume that receives at least d.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from phantoms.errors import InputError

DRAWS = 50  # resampled doses for the sigma of a quantile, which is then known to 10 %
SEED = 20_000


@dataclass(frozen=True)
class Metric:
    """A number to read from a DVH.

    Parameters
    ----------
    kind : {'mean', 'min', 'max', 'dose', 'volume'}
        Dmean, Dmin, Dmax; dose of a volume; volume of a dose.
    amount : float
        The volume or the dose that is asked for.
    amount_unit : {'%', 'cc', 'Gy'}
        Percent of the structure's volume in 'dose', of the prescription in 'volume'.
    unit : {'Gy', '%', 'cc'}
        Of the answer.
    """

    kind: str
    amount: float = float("nan")
    amount_unit: str = ""
    unit: str = "Gy"


@dataclass(frozen=True)
class MetricValue:
    """A metric's value, or why there is none.

    Parameters
    ----------
    name, unit : str
    value, sigma : float or None
        None where it cannot be told; `note` says why a value is missing.
    note : str
    """

    name: str
    unit: str
    value: float | None
    sigma: float | None = None
    note: str = ""


def parse_metric(name: str) -> Metric:
    """Read a metric's name: ``Dmean Dmin Dmax D95% D0.35cc V20Gy V20Gy[cc] V100% V100%[cc]``.

    V is in percent of the structure unless ``[cc]`` follows. V100% means percent of the prescription.
    """
    if name in ("Dmean", "Dmin", "Dmax"):
        return Metric(name[1:])
    number = r"(\d+(?:\.\d*)?|\.\d+)"
    if found := re.fullmatch(rf"D{number}(%|cc)", name):
        amount, unit = float(found[1]), found[2]
        if amount <= 0 or (unit == "%" and amount > 100):
            raise InputError(f"DVH metric '{name}'", "asks for a volume that is empty or above 100 %")
        return Metric("dose", amount, unit)
    if found := re.fullmatch(rf"V{number}(%|Gy)(?:\[(%|cc)\])?", name):
        return Metric("volume", float(found[1]), found[2], found[3] or "%")
    raise InputError(
        f"DVH metric '{name}'", "is not understood", "write Dmean, D95%, D0.35cc, V20Gy or V20Gy[cc]"
    )


class Dvh:
    """Cumulative dose-volume histogram of one structure.

    Parameters
    ----------
    dose : (nz, ny, nx) array
        [Gy]
    fraction : (nz, ny, nx) array
        Fraction of each voxel's volume that lies in the structure, 0 to 1.
    voxel_volume : float
        [cm3]
    sigma : (nz, ny, nx) array, optional
        Transport sigma of `dose` [Gy].
    """

    def __init__(
        self,
        dose: np.ndarray,
        fraction: np.ndarray,
        voxel_volume: float,
        sigma: np.ndarray | None = None,
    ) -> None:
        if dose.shape != fraction.shape or (sigma is not None and sigma.shape != dose.shape):
            raise ValueError(f"dose {dose.shape}, fractions and sigma must have one shape")
        inside = fraction > 0
        if not inside.any():
            raise InputError("DVH", "the structure has no volume on the dose grid")
        dose = dose[inside].astype(float)
        if not np.isfinite(dose).all():
            raise InputError("DVH", f"{np.count_nonzero(~np.isfinite(dose))} doses are not finite")
        order = np.argsort(-dose, kind="stable")
        self._dose = dose[order]
        self._volume = fraction[inside].astype(float)[order] * voxel_volume
        self._cumulative = np.cumsum(self._volume)
        self._sigma = None if sigma is None else sigma[inside].astype(float)[order]

    @property
    def volume(self) -> float:
        """Volume of the structure within the dose grid [cm3]."""
        return float(self._cumulative[-1])

    def curve(self, dose: np.ndarray) -> np.ndarray:
        """Percentage of the volume that receives at least `dose` (n,) [Gy], (n,)."""
        count = np.searchsorted(-self._dose, -np.asarray(dose, dtype=float), side="right")
        return 100.0 * np.concatenate(([0.0], self._cumulative))[count] / self.volume

    def metric(self, name: str, prescription: float | None = None) -> MetricValue:
        """The metric `name` (see `parse_metric`) and its sigma.

        The sigma takes the transport noise of different voxels as independent: for Dmean
        sqrt(sum w^2 sigma^2) / sum w, for all others the spread over `DRAWS` doses resampled from
        the voxels' sigmas with a fixed seed. Tracks that cross several voxels correlate them: for
        Dmean it is 0.7 to 0.9 of the true sigma, for quantiles within about 20 %, at the ends of the
        curve too large (docs/physics.md, Two sigmas). Latent noise is not in it. Noise also drives
        Dmax up and Dmin down; sigma does not say so: prefer D0.03cc and D98%.

        Parameters
        ----------
        name : str
        prescription : float, optional
            Dose that V100% speaks of [Gy].
        """
        metric = parse_metric(name)
        if metric.kind == "volume" and metric.amount_unit == "%" and prescription is None:
            return MetricValue(name, metric.unit, None, note="no prescription is known")
        if metric.amount_unit == "cc" and metric.amount > self.volume * (1 + 1e-9):
            return MetricValue(name, metric.unit, None, note=f"structure of {self.volume:.3g} cc is smaller")
        value = self._read(metric, self._dose, self._volume, self._cumulative, prescription)
        return MetricValue(name, metric.unit, value, self._spread(metric, prescription))

    def _spread(self, metric: Metric, prescription: float | None) -> float | None:
        """One sigma of `metric` from the voxels' sigmas."""
        if self._sigma is None:
            return None
        if metric.kind == "mean":
            return float(np.sqrt(np.sum((self._volume * self._sigma) ** 2)) / self.volume)
        random = np.random.default_rng(SEED)
        values = []
        for _ in range(DRAWS):
            dose = self._dose + self._sigma * random.standard_normal(self._dose.size)
            order = np.argsort(-dose)
            volume = self._volume[order]
            values.append(self._read(metric, dose[order], volume, np.cumsum(volume), prescription))
        return float(np.std(values, ddof=1))

    @staticmethod
    def _read(
        metric: Metric,
        dose: np.ndarray,
        volume: np.ndarray,
        cumulative: np.ndarray,
        prescription: float | None,
    ) -> float:
        """Value of `metric` for voxels in descending order of dose."""
        total = cumulative[-1]
        if metric.kind == "mean":
            return float(np.sum(dose * volume) / total)
        if metric.kind == "max":
            return float(dose[0])
        if metric.kind == "min":
            return float(dose[-1])
        if metric.kind == "dose":
            asked = metric.amount * (0.01 * total if metric.amount_unit == "%" else 1.0)
            # to 1e-9, so that rounding of the sum does not skip a voxel
            return float(dose[min(np.searchsorted(cumulative, asked * (1 - 1e-9)), dose.size - 1)])
        threshold = metric.amount * (0.01 * prescription if metric.amount_unit == "%" else 1.0)
        receiving = float(np.sum(volume[dose >= threshold]))
        return receiving if metric.unit == "cc" else 100.0 * receiving / total

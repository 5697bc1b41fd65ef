"""Dose-volume histograms and the metrics read from them, with their sigma.

Dose is constant in a voxel, and a voxel counts with the fraction of its volume that lies in the
structure. Nothing is interpolated and nothing is binned: D[v] is the greatest dose that the
volume v receives, V[d] the volume that receives at least d.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numba import njit

from phantoms.errors import InputError

DRAWS = 50  # resampled doses for the sigma of a quantile, which is then known to 10 %
SEED = 20_000
VOLUMES = ("volume", "cold volume")  # kinds of metrics that are volumes
BINS = 4096  # in which the dose of a volume is sought


@dataclass(frozen=True)
class Metric:
    """A number to read from a DVH.

    Parameters
    ----------
    kind : {'mean', 'min', 'max', 'dose', 'volume', 'cold dose', 'cold volume'}
        Dmean, Dmin, Dmax; dose of a volume (D) or of the coldest volume (DC); volume of a dose (V), or
        volume that is spared it (CV).
    amount : float
        The volume or the dose that is asked for.
    amount_unit : {'%', 'cc', 'Gy'}
        Percent of the structure's volume in doses, of the prescription in volumes.
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
    """Read a metric's name: ``Dmean Dmin Dmax D95% D0.35cc V20Gy V20Gy[cc] V100% V100%[cc] CV12Gy DC700cc``.

    D is the least dose of the hottest volume, DC the greatest dose of the coldest (complement) volume. V is
    the volume that receives a dose, in percent of the structure unless ``[cc]`` follows; CV the volume that
    receives less, in cc unless ``[%]`` follows. V100% means percent of the prescription.
    """
    if name in ("Dmean", "Dmin", "Dmax"):
        return Metric(name[1:])
    number = r"(\d+(?:\.\d*)?|\.\d+)"
    if found := re.fullmatch(rf"(DC?){number}(%|cc)", name):
        amount, unit = float(found[2]), found[3]
        if amount <= 0 or (unit == "%" and amount > 100):
            raise InputError(f"DVH metric '{name}'", "asks for a volume that is empty or above 100 %")
        return Metric("dose" if found[1] == "D" else "cold dose", amount, unit)
    if found := re.fullmatch(rf"(C?V){number}(%|Gy)(?:\[(%|cc)\])?", name):
        kind, usual = ("volume", "%") if found[1] == "V" else ("cold volume", "cc")
        return Metric(kind, float(found[2]), found[3], found[4] or usual)
    raise InputError(
        f"DVH metric '{name}'",
        "is not understood",
        "write Dmean, D95%, D0.35cc, DC700cc, V20Gy, V20Gy[cc] or CV12Gy",
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
        return self.metrics([name], prescription)[name]

    def metrics(self, names: Sequence[str], prescription: float | None = None) -> dict[str, MetricValue]:
        """Several metrics at once, see `metric`: they share the resampled doses."""
        values, asked = {}, {}
        for name in names:
            metric = parse_metric(name)
            note = self._missing(metric, prescription)
            value = None if note else self._read(metric, prescription)
            values[name] = MetricValue(name, metric.unit, value, note=note)
            if value is not None and self._sigma is not None:
                asked[name] = metric
        for name, sigma in self._spreads(asked, prescription).items():
            values[name] = replace(values[name], sigma=sigma)
        return values

    def _missing(self, metric: Metric, prescription: float | None) -> str:
        """Why there is no such metric; empty if there is."""
        if metric.kind in VOLUMES and metric.amount_unit == "%" and prescription is None:
            return "no prescription is known"
        if metric.amount_unit == "cc" and metric.amount > self.volume * (1 + 1e-9):
            return f"structure of {self.volume:.3g} cc is smaller"
        return ""

    def _spreads(self, metrics: Mapping[str, Metric], prescription: float | None) -> dict[str, float]:
        """One sigma of each metric from the voxels' sigmas."""
        sigmas = {}
        for name, metric in metrics.items():
            if metric.kind == "mean":
                sigmas[name] = float(np.sqrt(np.sum((self._volume * self._sigma) ** 2)) / self.volume)
        drawn: dict[str, list[float]] = {name: [] for name in metrics if name not in sigmas}
        of_volumes = [name for name in drawn if metrics[name].kind in ("dose", "cold dose")]
        asked = np.array([self._asked(metrics[name]) for name in of_volumes])
        random = np.random.default_rng(SEED)
        for _ in range(DRAWS if drawn else 0):
            dose = random.standard_normal(self._dose.size)
            dose *= self._sigma
            dose += self._dose
            doses = dict(zip(of_volumes, _doses_of_volumes(dose, self._volume, asked), strict=True))
            for name, values in drawn.items():
                known = doses.get(name)
                values.append(
                    self._extreme_or_volume(metrics[name], dose, prescription) if known is None else known
                )
        return sigmas | {name: float(np.std(values, ddof=1)) for name, values in drawn.items()}

    def _read(self, metric: Metric, prescription: float | None) -> float:
        """Value of `metric`, from the voxels in descending order of dose."""
        if metric.kind == "mean":
            return float(np.sum(self._dose * self._volume) / self.volume)
        if metric.kind in ("dose", "cold dose"):
            place = np.searchsorted(self._cumulative, self._asked(metric))
            return float(self._dose[min(place, self._dose.size - 1)])
        return self._extreme_or_volume(metric, self._dose, prescription)

    def _extreme_or_volume(self, metric: Metric, dose: np.ndarray, prescription: float | None) -> float:
        """Dmax, Dmin or a V, were `dose` (n,) that of the voxels."""
        if metric.kind == "max":
            return float(dose.max())
        if metric.kind == "min":
            return float(dose.min())
        threshold = metric.amount * (0.01 * prescription if metric.amount_unit == "%" else 1.0)
        hot = metric.kind == "volume"
        receiving = float(np.sum(self._volume[(dose >= threshold) == hot]))
        return receiving if metric.unit == "cc" else 100.0 * receiving / self.volume

    def _asked(self, metric: Metric) -> float:
        """Volume whose dose is asked for [cm3]; to 1e-9, so that rounding of sums does not skip a voxel."""
        asked = metric.amount * (0.01 * self.volume if metric.amount_unit == "%" else 1.0)
        return (self.volume - asked if metric.kind == "cold dose" else asked) * (1 - 1e-9)


@njit(cache=True)
def _doses_of_volumes(dose, volume, asked):
    """Greatest doses that volumes receive, without sorting all voxels: only those of the bins they lie in.

    Parameters
    ----------
    dose, volume : (n,) float64
    asked : (m,) float64
        The volumes.

    Returns
    -------
    (m,) float64
    """
    low, high = dose.min(), dose.max()
    scale = BINS / (high - low) if high > low else 0.0
    held, counts = np.zeros(BINS), np.zeros(BINS, np.int64)
    for n in range(dose.size):
        b = min(BINS - 1, int((dose[n] - low) * scale))
        held[b] += volume[n]
        counts[b] += 1
    # the bin of each volume, and what the bins above it hold
    bins, above = np.empty(asked.size, np.int64), np.empty(asked.size)
    first = np.full(BINS, -1)  # where the voxels of a bin are kept
    kept = 0
    for m in range(asked.size):
        b, total = BINS - 1, 0.0
        while b > 0 and total + held[b] < asked[m]:
            total += held[b]
            b -= 1
        bins[m], above[m] = b, total
        if first[b] < 0:
            first[b] = kept
            kept += counts[b]
    filled = first.copy()
    voxels, fallen = np.empty(kept, np.int64), np.empty(kept)
    for n in range(dose.size):
        b = min(BINS - 1, int((dose[n] - low) * scale))
        if first[b] >= 0:
            voxels[filled[b]], fallen[filled[b]] = n, -dose[n]
            filled[b] += 1
    found = np.empty(asked.size)
    for m in range(asked.size):
        start, stop = first[bins[m]], filled[bins[m]]
        total, found[m] = above[m], low
        for k in start + np.argsort(fallen[start:stop]):
            total += volume[voxels[k]]
            found[m] = -fallen[k]
            if total >= asked[m]:
                break
    return found

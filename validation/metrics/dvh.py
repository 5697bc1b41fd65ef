"""Dose-volume histograms and the metrics read from them, with their sigma.

A structure comes as cells finer than the voxels (`phantoms.subvoxels`). Between voxel centres the dose is
interpolated: linearly, and along each axis bent by the second differences where those at both ends agree in
sign (the smaller one counts), so it follows peaks and never swings beyond an edge. Over the outer half
voxel of the grid it stays as it is. A cell's volume is spread evenly over the doses that the gradient makes
in it. D[v] is the least dose of the hottest volume v, V[d] the volume that receives at least d.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from phantoms.errors import InputError
from phantoms.listing import Listing
from phantoms.subvoxels import SubVoxels
from phantoms.views import Artists, Axes
from validation.metrics.dvh_kernels import ROUNDING, extremes, histogram, nodes
from validation.metrics.noise import Noise

CELLS_DRAWN = 40_000  # of a structure, from which its sigmas are taken
MIN_COPIES, CELLS_OF_ALL_COPIES = 8, 80_000_000  # fewer copies of large structures
BEYOND_SIGMAS = 8.0  # by which a copy of the dose may leave its range
VOLUMES = ("volume", "cold volume")  # kinds of metrics that are volumes
SHOWN = ("Dmean", "D98%", "D95%", "D50%", "D2%", "D0.03cc")  # metrics of a DVH in a notebook
MAX_GY = 1e12  # beyond it numbers lose what lies below
CURVE_POINTS = 501  # of a drawn curve
BINS, BINS_DRAWN = 16384, 4096  # from the lowest to the highest dose; within them doses are interpolated


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
        None where it cannot be determined; `note` says why a value is missing.
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


def volume_note(name: str) -> str:
    """What the unit of a volume is whose metric leaves it open, V10Gy or CV10Gy; empty for other metrics."""
    metric = parse_metric(name)
    if metric.kind not in VOLUMES or metric.amount_unit != "Gy" or name.endswith("]"):
        return ""
    read, other = ("% of the structure", "cc") if metric.unit == "%" else ("cc", "%")
    return f"{name} is in {read}; write {name}[{other}] for {other}"


class Dvh:
    """Cumulative dose-volume histogram of one structure.

    Parameters
    ----------
    cells : SubVoxels
        The structure on the dose grid.
    dose : (nz, ny, nx) array
        On the whole grid [Gy].
    noise : Noise or (nz, ny, nx) array, optional
        Of `dose`; an array is the sigma of voxels whose noise is independent [Gy].
    """

    def __init__(self, cells: SubVoxels, dose: np.ndarray, noise: Noise | np.ndarray | None = None) -> None:
        if isinstance(noise, np.ndarray):
            noise = Noise(noise)
        if dose.shape != cells.grid.shape or (noise is not None and noise.sigma.shape != dose.shape):
            raise ValueError(
                f"dose {dose.shape} and sigma must be on the structure's grid {cells.grid.shape}"
            )
        self._cells = cells
        self.volume = cells.volume
        if not self.volume > 0:
            raise InputError("DVH", "the structure has no volume on the dose grid")
        # the voxels of the structure and those beside them, between which doses are interpolated
        around = tuple(
            slice(max(0, part.start - 2), min(n, part.stop + 2))
            for part, n in zip(cells.box, dose.shape, strict=True)
        )
        self._dose = np.ascontiguousarray(dose[around], dtype=np.float64)
        if not np.isfinite(self._dose).all():
            raise InputError("DVH", f"{np.count_nonzero(~np.isfinite(self._dose))} doses are not finite")
        if np.abs(self._dose).max() > MAX_GY:
            raise InputError("DVH", f"a dose of {np.abs(self._dose).max():.3g} Gy", "give doses in Gy")
        self._noise, self._around = noise, around
        self._corner = tuple(part.start - a.start for part, a in zip(cells.box, around, strict=True))
        self._read = self._cumulate(self._dose, cells)

    @property
    def lowest(self) -> float:
        """Dmin [Gy]."""
        return self._read.lowest

    @property
    def highest(self) -> float:
        """Dmax [Gy]."""
        return self._read.highest

    def curve(self, dose: np.ndarray) -> np.ndarray:
        """Percentage of the volume that receives at least `dose` (n,) [Gy], (n,)."""
        return self._read.percent(np.asarray(dose, dtype=float))

    def curve_sigma(self, dose: np.ndarray) -> np.ndarray:
        """One sigma of `curve` by the noise of the dose, (n,) [%]."""
        dose = np.asarray(dose, dtype=float)
        return self._sigma_of(
            [read.percent(dose) for read in self._copies], self._in_larger_cells.percent(dose)
        )

    def metric(self, name: str, prescription: float | None = None) -> MetricValue:
        """The metric `name` (see `parse_metric`) and its sigma.

        It is the standard deviation over copies of the dose with one draw each of its noise
        (`validation.metrics.noise`): transport and latent noise with all correlations where the covariance
        of the dose is known. For an array of sigmas the noise of different voxels is independent; tracks that
        cross several voxels correlate it, and the sigma of a mean is then up to 1.6 times too small.
        Noise also drives doses of small volumes up and those of almost the whole volume down: the cord's
        D0.03cc by 0.4 Gy of 20 at a sigma of 3 %. The sigma is at least what the copies are driven by.

        Parameters
        ----------
        name : str
        prescription : float, optional
            Dose that V100% speaks of [Gy].
        """
        return self.metrics([name], prescription)[name]

    def metrics(self, names: Sequence[str], prescription: float | None = None) -> dict[str, MetricValue]:
        """Several metrics at once, see `metric`."""
        values = {}
        for name in names:
            metric = parse_metric(name)
            note = self._missing(metric, prescription)
            value = sigma = None
            if not note:
                value = self._value(metric, self._read, prescription)
                if self._noise is not None and metric.kind == "mean":
                    sigma = self._sigma_of_mean()
                elif self._noise is not None:
                    drawn = [self._value(metric, read, prescription) for read in self._copies]
                    without = self._value(metric, self._in_larger_cells, prescription)
                    sigma = float(self._sigma_of(drawn, without))
            values[name] = MetricValue(name, metric.unit, value, sigma, note)
        return values

    def plot(self, axes: Axes, **look: Any) -> Artists:
        """Draw the curve, with one sigma of its noise where that is known.

        Parameters
        ----------
        axes : matplotlib.axes.Axes
        **look
            Options of `Axes.plot`, such as ``label="PTV"``.

        Returns
        -------
        tuple of artists
            The line, and the band of its sigma if there is one.
        """
        dose = np.linspace(0.0, 1.02 * self.highest or 1.0, CURVE_POINTS)
        percent = self.curve(dose)
        (line,) = axes.plot(dose, percent, **look)
        axes.set(xlabel="dose [Gy]", ylabel="volume [%]")
        if self._noise is None:
            return (line,)
        sigma = self.curve_sigma(dose)
        low, high = np.clip(percent - sigma, 0, 100), np.clip(percent + sigma, 0, 100)
        return line, axes.fill_between(dose, low, high, color=line.get_color(), alpha=0.25, linewidth=0)

    def _repr_html_(self) -> str:
        values = self.metrics(SHOWN).values()
        rows = [(v.name, "-" if v.value is None else f"{v.value:.3f} {v.unit}") for v in values]
        return Listing.facts(f"DVH, {self.volume:.3f} cc", rows)._repr_html_()

    def _missing(self, metric: Metric, prescription: float | None) -> str:
        """Why there is no such metric; empty if there is."""
        if metric.kind in VOLUMES and metric.amount_unit == "%" and prescription is None:
            return "no prescription is known"
        if metric.amount_unit == "cc" and metric.amount > self.volume * (1 + 1e-9):
            return f"structure of {self.volume:.3g} cc is smaller"
        return ""

    def _value(self, metric: Metric, read: _Cumulative, prescription: float | None) -> float:
        """Value of `metric` of the structure in one dose."""
        if metric.kind == "mean":
            return read.mean
        if metric.kind in ("min", "max"):
            return read.lowest if metric.kind == "min" else read.highest
        if metric.kind in VOLUMES:
            threshold = metric.amount * (0.01 * prescription if metric.amount_unit == "%" else 1.0)
            percent = float(read.percent(np.array([threshold]))[0])
            if metric.kind == "cold volume":
                percent = 100.0 - percent
            return percent if metric.unit == "%" else 0.01 * percent * self.volume
        asked = metric.amount * (0.01 * self.volume if metric.amount_unit == "%" else 1.0)
        return read.dose_of(self.volume - asked if metric.kind == "cold dose" else asked)

    def _sigma_of_mean(self) -> float:
        share = self._cells.fraction().astype(float)
        part = tuple(slice(a, a + n) for a, n in zip(self._corner, share.shape, strict=True))
        return self._noise.sigma_of_mean(self._dose[part], share, self._cells.box)

    def _sigma_of(self, read: Sequence, without: np.ndarray | float) -> np.ndarray:
        """One sigma of what was read from the copies, (copies, ...), and `without` their draws."""
        scatter = np.std(read, axis=0, ddof=int(self._noise.covariance is None))
        scatter = np.multiply(self._noise.factor, scatter, out=np.zeros_like(scatter), where=scatter > 0.0)
        return np.maximum(scatter, np.abs(np.mean(read, axis=0) - without))

    @cached_property
    def _larger_cells(self) -> SubVoxels:
        """Those that copies of the dose are read in."""
        return self._cells.coarser(CELLS_DRAWN)

    @cached_property
    def _in_larger_cells(self) -> _Cumulative:
        """The dose itself, in the cells of its copies."""
        return self._cumulate(self._dose, self._larger_cells)

    @cached_property
    def _copies(self) -> list[_Cumulative]:
        """Copies of the dose with its noise, in cells that may be larger."""
        cells = self._larger_cells
        most = max(MIN_COPIES, CELLS_OF_ALL_COPIES // cells.coverage.size)
        found = []
        for dose in self._noise.copies(self._dose, self._around, most):
            beyond = BEYOND_SIGMAS * float(np.sqrt(np.mean((dose - self._dose) ** 2)))
            within = self.lowest - beyond, self.highest + beyond
            found.append(self._cumulate(np.ascontiguousarray(dose, np.float64), cells, within))
        return found

    def _cumulate(
        self, dose: np.ndarray, cells: SubVoxels, within: tuple[float, float] | None = None
    ) -> _Cumulative:
        """The cells sorted by dose; where no range is given to sort them `within`, it is looked for."""
        along = zip(cells.coverage.shape, cells.divisions, self._corner, dose.shape, strict=True)
        axes = [nodes(*axis) for axis in along]
        bins = BINS if within is None else BINS_DRAWN
        if within is None:
            lowest, highest = extremes(cells.coverage, dose, *axes)
            # a valley between voxels does not go below 0
            within = max(lowest, min(0.0, float(dose.min()))), highest
        lowest, highest = within
        width = max((highest - lowest) / bins, ROUNDING * max(abs(highest), 1e-6))
        counts, more, ends, mean = histogram(cells.coverage, dose, *axes, lowest, highest, width, bins)
        inside = np.maximum(counts + np.cumsum(more), 0.0)
        below = np.concatenate([[0.0], np.cumsum(inside)])
        held = np.flatnonzero(inside > ROUNDING * below[-1])
        lowest, highest = ends[0, held[0]], ends[1, held[-1]]
        return _Cumulative(within[0], lowest, highest, width, below * cells.cell_volume, ends, mean)


@dataclass(frozen=True, eq=False)
class _Cumulative:
    """Volume below each of a row of doses.

    Parameters
    ----------
    start, lowest, highest, width : float
        Where the bins begin, doses of the structure, and the width of the bins [Gy].
    below : (bins + 1,) float64
        Volume whose dose is below each border of the bins [cm3].
    ends : (2, bins) float64
        Lowest and highest dose within each bin [Gy].
    mean : float
        [Gy]
    """

    start: float
    lowest: float
    highest: float
    width: float
    below: np.ndarray = field(repr=False)
    ends: np.ndarray = field(repr=False)
    mean: float

    def percent(self, dose: np.ndarray) -> np.ndarray:
        """Percentage of the volume that receives at least `dose` (n,) [Gy], (n,)."""
        dose = dose - ROUNDING * np.abs(dose)
        bins = np.clip(np.floor((dose - self.start) / self.width), 0, self.below.size - 2).astype(int)
        low, high = self.ends[:, bins]
        share = np.clip((dose - low) / np.maximum(high - low, ROUNDING * self.width), 0.0, 1.0)
        share = np.where(dose <= low, 0.0, np.where(dose > high, 1.0, share))
        below = self.below[bins] + share * (self.below[bins + 1] - self.below[bins])
        return 100.0 * (1.0 - below / self.below[-1])

    def dose_of(self, volume: float) -> float:
        """Least dose of the hottest `volume` [cm3], [Gy]."""
        colder = self.below[-1] - volume + ROUNDING * self.below[-1]
        n = int(np.searchsorted(self.below, colder, side="right")) - 1
        if n >= self.below.size - 1:
            return self.highest
        share = (colder - self.below[n]) / (self.below[n + 1] - self.below[n])
        low, high = self.ends[:, n]
        return float(low + share * (high - low))

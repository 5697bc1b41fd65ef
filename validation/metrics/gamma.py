"""Gamma: dose difference and distance to agreement in one number, in three dimensions.

Gamma of a reference voxel is the least distance, in units of the two criteria, to the
surface of the evaluated dose (Low et al., Med Phys 25 (1998) 656, eq. 4-7). The evaluated
dose is the continuous trilinear interpolation of its voxels and the minimum over it is found
exactly, to 1e-5, in the spirit of the geometric method (Ju et al., Med Phys 35 (2008) 879)
without its simplices: see `validation.metrics.gamma_search`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numba
import numpy as np

from phantoms.errors import InputError
from phantoms.grid import Grid
from phantoms.listing import Listing
from phantoms.plausible import GAMMA_DISTANCE, GAMMA_DOSE
from phantoms.views import Artists, Axes, centres_mm, draw_plane, nearest_plane, view_of
from validation.metrics.gamma_search import search

MAX_GAMMA = 2.0  # beyond which it is not sought
COLOURS = "coolwarm"  # of a picture: pale at gamma 1 where it ends at 2
NO_DOSE, NO_LOCAL_DOSE = 1e-100, 1e-12  # [Gy], and of the normalisation: as good as none
THICK_CM = 100.0  # of the two layers that stand for a missing axis
SWEEP_STEP = 5.0  # between the thresholds of a sweep [% of the normalisation]


@dataclass(frozen=True)
class Criterion:
    """What two doses may differ by.

    Parameters
    ----------
    dose_percent : float
        Dose criterion, in percent of the normalisation, or of the local reference dose.
    distance_mm : float
        Distance to agreement [mm].
    local : bool
        Whether the dose criterion is in percent of each voxel's own reference dose.
    threshold_percent : float
        Voxels whose reference dose lies below this percentage of the normalisation are left out.
    normalisation : float, optional
        Dose that is 100 % [Gy]; without it the maximum of the reference.
    """

    dose_percent: float
    distance_mm: float
    local: bool = False
    threshold_percent: float = 10.0
    normalisation: float | None = None

    def __post_init__(self) -> None:
        for name, allowed in (("dose_percent", GAMMA_DOSE), ("distance_mm", GAMMA_DISTANCE)):
            value = getattr(self, name)
            if value <= 0:
                raise InputError(f"gamma criterion {name}", f"must be above 0, is {value}")
            allowed.check(value, "gamma criterion", name, "write it like 2%/1mm")
        if not 0 <= self.threshold_percent <= 100:
            raise InputError(
                "gamma criterion threshold_percent", f"must be 0 to 100, is {self.threshold_percent}"
            )
        if self.normalisation is not None and not 0 < self.normalisation < np.inf:
            raise InputError("gamma criterion normalisation", f"must be above 0 Gy, is {self.normalisation}")

    def __str__(self) -> str:
        kind = "local" if self.local else "global"
        return (
            f"{self.dose_percent:g} %/{self.distance_mm:g} mm {kind}, {self.threshold_percent:g} % threshold"
        )


def parse_criterion(text: str, local: bool = False, threshold_percent: float = 10.0) -> Criterion:
    """Read a criterion written like ``2%/1mm``."""
    try:
        dose, distance = text.replace(" ", "").lower().split("/")
        if not (dose.endswith("%") and distance.endswith("mm")):
            raise ValueError
        dose_percent, distance_mm = float(dose[:-1]), float(distance[:-2])
    except ValueError:
        raise InputError(f"gamma criterion '{text}'", "is not understood", "write it like 2%/1mm") from None
    return Criterion(dose_percent, distance_mm, local, threshold_percent)


@dataclass(frozen=True, eq=False)
class Sweep:
    """Passing rates by dose threshold; arrays are (n,).

    Parameters
    ----------
    threshold_percent : float64
        Of the normalisation: that of the criterion, then multiples of `SWEEP_STEP`.
    passing_percent : float64
        NaN where no voxel is left.
    voxels : int
    """

    threshold_percent: np.ndarray
    passing_percent: np.ndarray
    voxels: np.ndarray


@dataclass(frozen=True, eq=False)
class GammaMap:
    """Gamma on the reference grid.

    Parameters
    ----------
    evaluated : (nz, ny, nx) bool
        Where it was sought.
    found : (n,) float64
        Gamma of these voxels in their order, capped at `max_gamma`.
    grid : Grid
        Of the reference dose.
    criterion : Criterion
    normalisation : float
        Dose that is 100 % [Gy].
    max_gamma : float
    uncovered : int
        Evaluated voxels outside the evaluated dose's grid. They are judged against the part of that
        grid within reach, and have `max_gamma` where there is none.
    """

    evaluated: np.ndarray
    found: np.ndarray
    grid: Grid
    criterion: Criterion
    normalisation: float
    max_gamma: float
    uncovered: int

    @property
    def gamma(self) -> np.ndarray:
        """Gamma as (nz, ny, nx) float64, NaN where not evaluated; made anew each time."""
        volume = np.full(self.evaluated.shape, np.nan)
        volume[self.evaluated] = self.found
        return volume

    @cached_property
    def _places(self) -> np.ndarray:
        """Where in the flat grid the evaluated voxels lie, (n,)."""
        return np.flatnonzero(self.evaluated)

    def part(self, box: tuple[slice, slice, slice]) -> np.ndarray:
        """Gamma in a box of the grid, float64, NaN where not evaluated."""
        evaluated = self.evaluated[box]
        index = (hit + side.start for hit, side in zip(np.nonzero(evaluated), box, strict=True))
        flat = np.ravel_multi_index(tuple(index), self.evaluated.shape)
        values = np.full(evaluated.shape, np.nan)
        values[evaluated] = self.found[np.searchsorted(self._places, flat)]
        return values

    def values(self, mask: np.ndarray | None = None) -> np.ndarray:
        """Gamma of the evaluated voxels (within `mask`), (n,)."""
        return self.found if mask is None else self.found[mask[self.evaluated]]

    def count(self, mask: np.ndarray | None = None) -> int:
        """Number of evaluated voxels (within `mask`)."""
        return self.values(mask).size

    def passing_rate(self, mask: np.ndarray | None = None) -> float:
        """Percentage of the evaluated voxels (within `mask`) with gamma up to 1; NaN if there are none."""
        return passing_rate(self.values(mask))

    def sweep(self, reference: np.ndarray) -> Sweep:
        """Passing rates above rising thresholds of the reference dose, (nz, ny, nx) [Gy]."""
        first = self.criterion.threshold_percent
        steps = np.arange(SWEEP_STEP, 100.0, SWEEP_STEP)
        threshold = np.concatenate([[first], steps[steps > first + 1e-9]])
        # counted once by the interval between two thresholds, then summed from the highest down
        place = np.digitize(100.0 * reference[self.evaluated] / self.normalisation, threshold[1:])
        voxels = np.bincount(place, minlength=threshold.size)[::-1].cumsum()[::-1]
        passing = np.bincount(place[self.found <= 1.0], minlength=threshold.size)[::-1].cumsum()[::-1]
        with np.errstate(invalid="ignore"):
            return Sweep(threshold, 100.0 * passing / np.where(voxels, voxels, np.nan), voxels)

    def histogram(self, width: float = 0.05, mask: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Counts of gamma in bins of `width` from 0 to `max_gamma`, (n,), and the edges, (n + 1,)."""
        bins = int(np.ceil(self.max_gamma / width - 1e-9))
        return np.histogram(self.values(mask), bins=bins, range=(0.0, bins * width))

    def plot(self, axes: Axes, view: str = "axial", at_mm: float | None = None) -> Artists:
        """Draw gamma in one plane of voxels; what fails is outlined in black.

        Parameters
        ----------
        axes : matplotlib.axes.Axes
        view : {'axial', 'coronal', 'sagittal'}
        at_mm : float, optional
            Where the plane lies along its normal; by default in the middle of what was evaluated.

        Returns
        -------
        tuple of artists
            The image, for a colour bar, and the outlines where there are any.

        Raises
        ------
        InputError
            If there is no such view.
        """
        chosen = view_of(view)
        along = self._middle(chosen.axis) if at_mm is None else 0.1 * at_mm
        index = nearest_plane(self.grid, chosen.axis, along)
        box = [slice(0, n) for n in self.grid.shape]
        box[chosen.axis] = slice(index, index + 1)
        plane = self.part(tuple(box)).squeeze(chosen.axis)
        place = self.grid.centres(chosen.axis)[index]
        look = {"cmap": COLOURS, "vmin": 0.0, "vmax": self.max_gamma, "label": f"gamma, {self.criterion}"}
        image = draw_plane(axes, plane, self.grid, chosen, place, **look)
        failing = np.nan_to_num(plane) > 1.0
        if not failing.any() or min(plane.shape) < 2:
            return (image,)
        outlines = axes.contour(
            *centres_mm(self.grid, chosen), failing, levels=[0.5], colors="black", linewidths=0.8
        )
        return image, outlines

    def _middle(self, axis: int) -> float:
        """Mean place of the evaluated voxels along `axis` [cm]."""
        counts = self.evaluated.sum(axis=tuple(a for a in range(3) if a != axis))
        return float(np.average(self.grid.centres(axis), weights=counts if counts.any() else None))

    def facts(self) -> list[tuple[str, str]]:
        """What was found, the criterion first."""
        values, capped = self.found, bool(self.found.size and self.found.max() >= self.max_gamma)
        facts = [
            ("criterion", f"{self.criterion}; 100 % is {self.normalisation:.4g} Gy"),
            ("passing rate", f"{self.passing_rate():.3f} %"),
            ("voxels", f"{np.count_nonzero(values <= 1.0)} of {values.size} pass"),
        ]
        if values.size:
            facts += [
                ("mean gamma", f"{values.mean():.4f}" + " (capped)" * capped),
                ("maximum gamma", "at least " * capped + f"{values.max():.4f}"),
            ]
        if self.uncovered:
            facts.append(("outside the evaluated dose", f"{self.uncovered} voxels"))
        return facts

    def _repr_html_(self) -> str:
        return Listing.facts("Gamma", self.facts())._repr_html_()


def passing_rate(values: np.ndarray) -> float:
    """Percentage of values of gamma up to 1; NaN if there are none."""
    return 100.0 * np.count_nonzero(values <= 1.0) / values.size if values.size else float("nan")


def gamma(
    reference: np.ndarray,
    reference_grid: Grid,
    evaluated: np.ndarray,
    evaluated_grid: Grid,
    criterion: Criterion,
    mask: np.ndarray | None = None,
    max_gamma: float = MAX_GAMMA,
) -> GammaMap:
    """Gamma of every reference voxel over the interpolated evaluated dose.

    Gamma is not symmetric. Noise in the evaluated dose gives each reference point more values to
    choose from and so raises the passing rate a little; noise in the reference lowers it a lot
    (a 2.5 % difference at 2 %/1 mm with 3 % noise: 98.1 against 93.5 %, 97.9 without). The smooth
    plan dose is therefore the reference by convention and the Monte Carlo dose is evaluated; the
    noise ceiling (`validation.metrics.statistics`) says what noise alone costs.

    Nothing is extrapolated: the evaluated dose ends at its outermost voxel centres.

    Parameters
    ----------
    reference, evaluated : (nz, ny, nx) array
        Doses [Gy], each on its own grid, finite everywhere.
    reference_grid, evaluated_grid : Grid
        Of any spacing and offset; the evaluated one with at least two voxels along each axis.
    criterion : Criterion
    mask : (nz, ny, nx) bool, optional
        Reference voxels to look at, such as BODY. The normalisation still comes from the whole reference.
    max_gamma : float
        Gamma is not sought beyond this value.

    Raises
    ------
    InputError
        If a dose cannot be used, or no voxel that is looked at lies within the evaluated dose.
    """
    reference = _checked(reference, reference_grid, "reference dose")
    evaluated = _checked(evaluated, evaluated_grid, "evaluated dose")
    if min(evaluated.shape) < 2:
        raise InputError("evaluated dose", f"needs two voxels along each axis, has {evaluated.shape}")
    if mask is not None and mask.shape != reference.shape:
        raise ValueError(f"mask of shape {mask.shape} on a reference of shape {reference.shape}")
    if not 0 < max_gamma < np.inf:
        raise ValueError(f"max_gamma must be finite and above 0, is {max_gamma}")
    normalisation = criterion.normalisation or float(reference.max())
    if normalisation <= NO_DOSE:
        raise InputError(
            "reference dose", "is zero everywhere, so there is no normalisation", "give the dose of a plan"
        )
    # a dose of zero has no local percentage
    chosen = reference >= 0.01 * criterion.threshold_percent * normalisation
    if criterion.local:
        chosen &= reference > NO_LOCAL_DOSE * normalisation
    if mask is not None:
        chosen &= mask.astype(bool, copy=False)

    distance = 0.1 * criterion.distance_mm
    size = tuple(spacing / distance for spacing in evaluated_grid.spacing)
    position = [
        (reference_grid.centres(axis) - evaluated_grid.origin[axis]) / evaluated_grid.spacing[axis]
        for axis in range(3)
    ]
    inside = [(p > -1e-6) & (p < n - 1 + 1e-6) for p, n in zip(position, evaluated.shape, strict=True)]
    covered = int(np.count_nonzero(chosen[np.ix_(*inside)]))
    if not covered and chosen.any():
        raise InputError(
            "gamma",
            "the doses do not overlap: no voxel to compare lies within the evaluated dose",
            "are both of the same patient and in the same coordinates?",
        )
    offsets, offset_distance = _cells_by_distance(size, max_gamma, evaluated.shape)
    values = search(
        reference,
        chosen,
        *position,
        evaluated,
        size,
        offsets,
        offset_distance,
        0.01 * criterion.dose_percent,
        0.0 if criterion.local else normalisation,
        float(max_gamma),
        numba.get_num_threads(),
    )
    return GammaMap(
        chosen, values, reference_grid, criterion, normalisation, max_gamma, values.size - covered
    )


def _checked(dose: np.ndarray, grid: Grid, name: str) -> np.ndarray:
    """`dose` as contiguous float64, refused where it is not finite or not of the grid's shape."""
    dose = np.ascontiguousarray(dose, np.float64).view()
    dose.flags.writeable = False  # to the compiler a read-only array is another type, and results are
    if dose.shape != grid.shape:
        raise ValueError(f"{name} of shape {dose.shape} on a grid of shape {grid.shape}")
    # a sum is finite if all are, or else says to look closer
    if not np.isfinite(dose.sum()) and not np.isfinite(dose).all():
        raise InputError(name, f"{np.count_nonzero(~np.isfinite(dose))} voxels are not finite")
    return dose


def thick(grid: Grid, dose: np.ndarray, axes: Iterable[int]) -> tuple[Grid, np.ndarray]:
    """A dose of one voxel along `axes` in two thick layers alike along each, with what it was in the middle.

    Gamma never leaves them, so it is that of the plane, or of the line.
    """
    spacing, origin = list(grid.spacing), list(grid.origin)
    for axis in axes:
        dose = np.repeat(dose, 2, axis=axis)
        spacing[axis], origin[axis] = THICK_CM, origin[axis] - 0.5 * THICK_CM
    return Grid(dose.shape, tuple(spacing), tuple(origin)), dose


def _cells_by_distance(
    size: tuple[float, ...], reach: float, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Cells within `reach` of a point anywhere in cell (0, 0, 0), from near to far; no more than a grid has.

    Returns
    -------
    offsets : (n, 3) int64
    squared_distance : (n,) float64
        From the nearest point of cell (0, 0, 0): a lower bound for any point of it.
    """
    counts = (int(min(np.ceil(reach / s) + 1, n)) for s, n in zip(size, shape, strict=True))
    axes = [np.arange(-n, n + 1) for n in counts]
    offsets = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    squared = ((np.maximum(np.abs(offsets) - 1, 0) * np.array(size)) ** 2).sum(axis=1)
    between_centres = ((offsets * np.array(size)) ** 2).sum(axis=1)
    order = np.lexsort((between_centres, squared))
    order = order[squared[order] < reach**2]
    return offsets[order], squared[order]

"""Gamma and DVH of bare arrays: coordinates in millimetres of patient coordinates, doses in Gy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from phantoms.dicom import MM_PER_CM
from phantoms.errors import InputError
from phantoms.grid import Grid
from phantoms.polygons import mask_by_centre
from phantoms.solids import cut
from phantoms.structures import ROI, make_roi
from validation.metrics.dvh import Dvh
from validation.metrics.gamma import Criterion, GammaMap, parse_criterion, thick
from validation.metrics.gamma import gamma as grid_gamma
from validation.workflow.kernels import load_dvh, load_gamma

EVEN = 1e-3  # by which steps of an axis may differ [mm]: coordinates in DICOM are rounded
ALONE_CM = 0.1  # voxel along an axis of one coordinate


def grid_of(axes_mm: Sequence[np.ndarray], name: str = "axes") -> Grid:
    """The grid whose voxel centres lie at these coordinates.

    Parameters
    ----------
    axes_mm : three (n,) arrays
        Coordinates z, y, x of the voxel centres, ascending and evenly spaced [mm].
    name : str
        What they are, for messages.

    Raises
    ------
    InputError
        If they are not three, not one-dimensional, or do not ascend evenly.
    """
    if len(axes_mm) != 3:
        raise InputError(name, f"are {len(axes_mm)} and not three", "state z, y and x, in this order")
    spacing, origin, shape = [], [], []
    for letter, given in zip("zyx", axes_mm, strict=True):
        axis = np.asarray(given, dtype=float)
        if axis.ndim != 1 or axis.size == 0 or not np.isfinite(axis).all():
            raise InputError(name, f"{letter} is not a row of finite numbers")
        steps = np.diff(axis)
        if axis.size > 1 and not steps.min() > 0:
            raise InputError(name, f"{letter} does not ascend", "flip this axis, and the dose along it")
        if axis.size > 1 and np.ptp(steps) > EVEN:
            raise InputError(
                name,
                f"{letter} is not evenly spaced ({steps.min():g} to {steps.max():g} mm)",
                "resample the dose to even steps",
            )
        mean = (axis[-1] - axis[0]) / (axis.size - 1) if axis.size > 1 else ALONE_CM * MM_PER_CM
        spacing.append(mean / MM_PER_CM)
        origin.append(axis[0] / MM_PER_CM)
        shape.append(axis.size)
    return Grid(tuple(shape), tuple(spacing), tuple(origin))


def gamma(
    axes_reference: Sequence[np.ndarray],
    dose_reference: np.ndarray,
    axes_evaluation: Sequence[np.ndarray],
    dose_evaluation: np.ndarray,
    criterion: str | Criterion = "3%/2mm",
    *,
    local: bool = False,
    threshold_percent: float = 10.0,
    within: np.ndarray | ROI | None = None,
    max_gamma: float = 2.0,
) -> GammaMap:
    """Gamma of two doses, the exact minimum over the interpolated evaluated dose (docs/gamma.md).

    The arguments come in the order of `pymedphys.gamma`.

    Parameters
    ----------
    axes_reference, axes_evaluation : sequences of (n,) arrays
        Coordinates of the voxel centres for each axis of the dose, in its order: z, y, x of a volume [mm].
    dose_reference, dose_evaluation : arrays of one, two or three dimensions
        Doses [Gy]; take the smooth one, usually the plan's, as the reference.
    criterion : str or Criterion
        Such as ``2%/1mm``.
    local : bool
        Whether the dose criterion is in percent of each voxel's own reference dose, not of the maximum.
    threshold_percent : float
        Voxels below this percentage of the reference's maximum are left out.
    within : bool array or ROI, optional
        Voxels of the reference to look at: those chosen, or those whose centre lies in a structure.
    max_gamma : float
        Beyond which gamma is not sought.

    Returns
    -------
    GammaMap
        Its `gamma` is (nz, ny, nx) float64, NaN where not evaluated; missing axes have one voxel.

    Raises
    ------
    InputError
        If axes, doses and criterion do not fit together.

    References
    ----------
    Low et al., Med Phys 25 (1998) 656, eq. 4-7.
    """
    if isinstance(criterion, str):
        criterion = parse_criterion(criterion, local, threshold_percent)
    reference_grid, reference = _volume(axes_reference, dose_reference, "reference dose")
    evaluated_grid, evaluated = _volume(axes_evaluation, dose_evaluation, "evaluated dose")
    dimensions, others = np.ndim(dose_reference), np.ndim(dose_evaluation)
    if dimensions != others:
        raise InputError("evaluated dose", f"has {others} dimensions, the reference {dimensions}")
    if dimensions < 3:
        evaluated_grid, evaluated = thick(evaluated_grid, evaluated, range(3 - dimensions))
    if not 0 < max_gamma < np.inf:
        raise InputError("max_gamma", f"must be finite and above 0, is {max_gamma}")
    if isinstance(within, ROI):
        within = mask_by_centre(within, reference_grid)
    elif within is not None:
        if np.shape(within) != np.shape(dose_reference):
            problem = f"has the shape {np.shape(within)}, the reference dose {np.shape(dose_reference)}"
            raise InputError("mask of gamma", problem)
        within = np.asarray(within, dtype=bool).reshape(reference.shape)
    load_gamma()
    return grid_gamma(reference, reference_grid, evaluated, evaluated_grid, criterion, within, max_gamma)


def dvh(
    dose: np.ndarray,
    axes: Sequence[np.ndarray],
    contours: ROI | Sequence[np.ndarray],
    *,
    sigma: np.ndarray | None = None,
) -> Dvh:
    """Dose-volume histogram of a structure, cut finer than voxels (docs/dvh.md).

    Parameters
    ----------
    dose : (nz, ny, nx) array
        [Gy]
    axes : three (n,) arrays
        Coordinates z, y, x of the voxel centres [mm].
    contours : ROI, or sequence of (n, 3) arrays
        Closed contours, each on a plane of constant z: x, y, z of their vertices [mm], as in DICOM.
    sigma : (nz, ny, nx) array, optional
        One sigma of the dose [Gy], for the sigma of curve and metrics.

    Returns
    -------
    Dvh
        Its `curve` and `metric` give the volume [%] and such as ``D95%`` [Gy].

    Raises
    ------
    InputError
        If dose, axes and contours do not fit together, or the structure has no volume on the grid.
    """
    grid, volume = _volume(axes, dose, "dose")
    if np.ndim(dose) != 3:
        raise InputError("dose", f"has {np.ndim(dose)} dimensions and not three")
    if sigma is not None and np.shape(sigma) != volume.shape:
        raise InputError("sigma of the dose", f"has the shape {np.shape(sigma)}, the dose {volume.shape}")
    load_dvh()
    return Dvh(cut(_structure(contours), grid), volume, None if sigma is None else np.asarray(sigma))


def _structure(contours: ROI | Sequence[np.ndarray]) -> ROI:
    """The structure of these contours [mm]."""
    if isinstance(contours, ROI):
        return contours
    vertices = [np.asarray(contour, dtype=float) for contour in contours]
    for contour in vertices:
        if contour.ndim != 2 or contour.shape[1] != 3 or len(contour) < 3:
            raise InputError(
                "contours", f"one has the shape {contour.shape}", "each is (n, 3): x, y, z of its vertices"
            )
        if np.ptp(contour[:, 2]) > EVEN:
            raise InputError("contours", "one does not lie on a plane of constant z")
    return make_roi("of contours", [contour / MM_PER_CM for contour in vertices])


def _volume(axes_mm: Sequence[np.ndarray], dose: np.ndarray, name: str) -> tuple[Grid, np.ndarray]:
    """A dose with three dimensions, the leading ones of one voxel where it has fewer, and its grid."""
    dose = np.asarray(dose, dtype=float)
    if not 1 <= dose.ndim <= 3:
        raise InputError(name, f"has {dose.ndim} dimensions, not one, two or three")
    if len(axes_mm) != dose.ndim:
        raise InputError(name, f"has {dose.ndim} dimensions, but {len(axes_mm)} axes are stated")
    missing = 3 - dose.ndim
    grid = grid_of([np.zeros(1)] * missing + list(axes_mm), f"axes of the {name}")
    if dose.shape != grid.shape[missing:]:
        raise InputError(name, f"has the shape {dose.shape}, its axes {grid.shape[missing:]}")
    return grid, dose.reshape(grid.shape)

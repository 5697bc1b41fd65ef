"""Lines through a target and an organ, along which both doses are drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import map_coordinates

from phantoms.grid import Grid
from validation.plan_check.verdict import Structure

LINE_STEP = 0.05  # between points of a line [cm]
LINE_BEYOND = 2.0  # a line reaches this far beyond its two ends [cm]
ALONG_BEYOND = 3.0  # a line along the patient, beyond the target [cm]


@dataclass(frozen=True, eq=False)
class Line:
    """Both doses along a line; arrays are (n,).

    Parameters
    ----------
    distance_mm : array
        From the target's centre, towards the organ; along the patient z itself.
    points : (n, 3) array
        z, y, x [cm].
    target, organ : str
        Structures at its ends.
    inside_target, inside_organ : bool arrays
    axis : str
        What the distance is, for the label of an axis.
    """

    distance_mm: np.ndarray
    points: np.ndarray
    target: str
    organ: str
    inside_target: np.ndarray
    inside_organ: np.ndarray
    axis: str

    def sample(self, values: np.ndarray, grid: Grid) -> np.ndarray:
        """`values` along the line, trilinear; NaN outside the grid."""
        return _sample(values, grid, self.points)


def line_between(target: Structure, organ: Structure, dose: np.ndarray, grid: Grid) -> Line:
    """The line from the middle of `target` through the hottest voxel of `organ`.

    Within the axial plane of that voxel where the target reaches into it, else from the target's centroid.

    Parameters
    ----------
    target, organ : Structure
    dose : (nz, ny, nx) array
        That says which voxel of the organ is hottest [Gy].
    grid : Grid
    """
    hottest = hottest_voxel(organ, dose)
    fraction = target.fraction
    in_plane = np.zeros_like(fraction)
    in_plane[hottest[0]] = fraction[hottest[0]]
    start = _centroid(in_plane if in_plane.any() else fraction, grid)
    end = np.array([grid.centres(axis)[i] for axis, i in enumerate(hottest)])
    length = float(np.linalg.norm(end - start))
    direction = (end - start) / length if length > 0 else np.array([0.0, 1.0, 0.0])
    distance = np.arange(-LINE_BEYOND - 0.5 * length, length + LINE_BEYOND + LINE_STEP, LINE_STEP)
    points = start + distance[:, None] * direction
    inside = (np.nan_to_num(_sample(s.fraction, grid, points)) >= 0.5 for s in (target, organ))
    axis = f"from the middle of {target.name} towards {organ.name} [mm]"
    return Line(10 * distance, points, target.name, organ.name, *inside, axis)


def line_along(organ: Structure, target: Structure, dose: np.ndarray, grid: Grid) -> Line:
    """The line along z through the hottest voxel of `organ`, over the slices of the target and beyond.

    Parameters
    ----------
    organ, target : Structure
    dose : (nz, ny, nx) array
        That says which voxel of the organ is hottest [Gy].
    grid : Grid
    """
    hottest = hottest_voxel(organ, dose)
    slices = np.flatnonzero(target.fraction.any(axis=(1, 2)))
    first, last = (grid.centres(0)[i] for i in (slices[0], slices[-1]))
    z = np.arange(
        max(first - ALONG_BEYOND, grid.centres(0)[0]),
        min(last + ALONG_BEYOND, grid.centres(0)[-1]) + LINE_STEP,
        LINE_STEP,
    )
    y, x = (grid.centres(axis)[hottest[axis]] for axis in (1, 2))
    points = np.stack([z, np.full(z.shape, y), np.full(z.shape, x)], axis=1)
    inside = (np.nan_to_num(_sample(s.fraction, grid, points)) >= 0.5 for s in (target, organ))
    return Line(10 * z, points, target.name, organ.name, *inside, "z, feet to head [mm]")


def hottest_voxel(structure: Structure, dose: np.ndarray) -> tuple[int, int, int]:
    """Index of the highest dose among the voxels at least half inside, or at all if there are none."""
    volume = structure.volume
    inside = volume.half if volume.half.any() else volume.inner > 0
    found = np.where(inside, volume.of_values(dose), -1.0).argmax()
    corner = (part.start for part in volume.box)
    return tuple(int(i) + c for i, c in zip(np.unravel_index(found, inside.shape), corner, strict=True))


def _centroid(weights: np.ndarray, grid: Grid) -> np.ndarray:
    """Weighted mean of the voxel centres (z, y, x) [cm]."""
    across = ((1, 2), (0, 2), (0, 1))
    sums = [np.sum(weights.sum(axis=across[a], dtype=float) * grid.centres(a)) for a in range(3)]
    return np.array(sums) / weights.sum(dtype=float)


def _sample(values: np.ndarray, grid: Grid, points: np.ndarray) -> np.ndarray:
    """`values` at `points` (n, 3) [cm], trilinear; NaN outside the outermost voxel centres."""
    index = grid.index(points).T
    return map_coordinates(values, index, float, order=1, mode="constant", cval=np.nan)

"""Polygons on voxels: which centres lie inside, and how much of each voxel does.

Both fill by scan lines along x with the even-odd rule. Rows are crossed half-open (lower end in, upper
end out), so vertices on a scan line count once and edges run through twice, as in keyholes, cancel.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from phantoms.grid import Grid

PLANE_TOLERANCE = 1e-4  # [cm] a slab reaches this far beyond its borders: rounding of slice positions


class Slab(NamedTuple):
    """A cylinder along z over polygons.

    Parameters
    ----------
    lower, upper : float
        Its ends [cm].
    polygons : list of (n, 2) float64
        Vertices (x, y) [cm]; the last joins the first.
    """

    lower: float
    upper: float
    polygons: list[np.ndarray]


class Region(Protocol):
    """What can be voxelised: anything made of slabs, such as `phantoms.structures.ROI`."""

    def slabs(self) -> list[Slab]: ...


def mask_by_centre(region: Region, grid: Grid) -> np.ndarray:
    """Return which voxels have their centre in `region`, (nz, ny, nx) bool."""
    mask = np.zeros(grid.shape, dtype=bool)
    z = grid.centres(0)
    slabs = region.slabs()
    # A centre on the border of two slabs belongs to the nearer plane's, rounding aside: the upper one.
    tops = np.array([slab.upper for slab in slabs])
    owner = np.searchsorted(tops, z + PLANE_TOLERANCE, side="right")
    for index in np.unique(owner[owner < len(slabs)]):
        inside_z = (owner == index) & (z >= slabs[index].lower - PLANE_TOLERANCE)
        if inside_z.any():
            mask[inside_z] = _centres_inside(slabs[index].polygons, grid)
    return mask


def volume_fraction(region: Region, grid: Grid, supersampling: int = 8) -> np.ndarray:
    """Return the fraction of each voxel's volume that lies in `region`, (nz, ny, nx) float32.

    Exact along x and z; along y each voxel row is sampled by `supersampling` scan lines.
    """
    fraction = np.zeros(grid.shape, dtype=np.float32)
    edges = grid.edges(0)
    for slab in region.slabs():
        overlap = np.minimum(edges[1:], slab.upper) - np.maximum(edges[:-1], slab.lower)
        layers = np.flatnonzero(overlap > 0)
        if len(layers) == 0:
            continue
        area = _area_fraction(slab.polygons, grid, supersampling)
        weight = (overlap[layers] / grid.spacing[0]).astype(np.float32)
        fraction[layers] += weight[:, None, None] * area
    return fraction


def volume(region: Region, lines: int = 2000) -> float:
    """Return the volume of `region` [cm3], from the lengths of `lines` scan lines in every slab."""
    total = 0.0
    for slab in region.slabs():
        y = np.concatenate(slab.polygons)[:, 1]
        step = np.ptp(y) / lines
        if step > 0:
            line, x = _crossings(slab.polygons, y.min() + step * (np.arange(lines) + 0.5))
            x = x[np.lexsort((x, line))]
            total += (x[1::2] - x[::2]).sum() * step * (slab.upper - slab.lower)
    return float(total)


def _crossings(polygons: list[np.ndarray], lines: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Intersect polygons with scan lines of constant y.

    Parameters
    ----------
    polygons : list of (n, 2) float64
    lines : (m,) float64
        Ascending, evenly spaced y.

    Returns
    -------
    line : (k,) intp
        Index of the scan line of each crossing.
    x : (k,) float64
    """
    start = np.concatenate(polygons)
    end = np.concatenate([np.roll(polygon, -1, axis=0) for polygon in polygons])
    # Sort each edge's ends, so that an edge run through both ways crosses at exactly the same x.
    swap = (start[:, 1] > end[:, 1]) | ((start[:, 1] == end[:, 1]) & (start[:, 0] > end[:, 0]))
    start, end = np.where(swap[:, None], end, start), np.where(swap[:, None], start, end)
    first = np.searchsorted(lines, start[:, 1], side="left")
    count = np.searchsorted(lines, end[:, 1], side="left") - first
    edge = np.repeat(np.arange(len(start)), count)
    line = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count) + first[edge]
    low, high = start[edge], end[edge]
    x = low[:, 0] + (lines[line] - low[:, 1]) / (high[:, 1] - low[:, 1]) * (high[:, 0] - low[:, 0])
    return line, x


def _centres_inside(polygons: list[np.ndarray], grid: Grid) -> np.ndarray:
    """Return which voxel centres of a layer lie inside, (ny, nx) bool."""
    _, ny, nx = grid.shape
    line, x = _crossings(polygons, grid.centres(1))
    column = np.searchsorted(grid.centres(2), x, side="left")  # first centre at or right of the crossing
    kept = column < nx
    toggles = np.bincount(line[kept] * nx + column[kept], minlength=ny * nx).reshape(ny, nx)
    return np.cumsum(toggles, axis=1) % 2 == 1


def _area_fraction(polygons: list[np.ndarray], grid: Grid, supersampling: int) -> np.ndarray:
    """Return the covered fraction of each pixel of a layer, (ny, nx) float32."""
    _, ny, nx = grid.shape
    fine = grid.spacing[1] / supersampling
    line, x = _crossings(polygons, grid.lower[1] + fine * (np.arange(ny * supersampling) + 0.5))
    order = np.lexsort((x, line))
    row = line[order] // supersampling
    position = np.clip((x[order] - grid.lower[2]) / grid.spacing[2], 0.0, nx)
    # Crossings come in pairs: a span covers everything below its end less everything below its start.
    sign = np.where(np.arange(len(row)) % 2 == 1, 1.0, -1.0)
    column = np.minimum(position.astype(np.intp), nx - 1)
    partial = np.bincount(row * nx + column, sign * (position - column), ny * nx).reshape(ny, nx)
    whole = np.bincount(row * nx + column, sign, ny * nx).reshape(ny, nx)
    below = np.cumsum(whole[:, ::-1], axis=1)[:, ::-1] - whole  # columns wholly left of a crossing
    return ((partial + below) / supersampling).astype(np.float32)

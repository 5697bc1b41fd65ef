"""Polygons on voxels: which centres lie inside, and how much of each voxel does.

Both fill by scan lines along x. Inside a polygon is what it goes round at all (nonzero winding number), so
loops of an outline that crosses itself leave no holes; polygons of one plane combine by the even-odd rule.
Rows are crossed half-open (lower end in, upper end out), so vertices on a scan line count once and edges
traversed there and back, as in keyholes, cancel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from phantoms.grid import Grid

PLANE_TOLERANCE = 1e-4  # [cm] a slab reaches this far beyond its borders: rounding of slice positions


class Slab(NamedTuple):
    """A cylinder along z over polygons.

    Attributes
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
            mask[inside_z] = mask_by_lines(slabs[index].polygons, grid)
    return mask


def volume_fraction(region: Region, grid: Grid, supersampling: int = 4) -> np.ndarray:
    """Return the fraction of each voxel's volume that lies in `region`, (nz, ny, nx) float32.

    The sum over voxels is exact: each voxel row is cut into `supersampling` strips and again at every
    vertex, and a strip's middle line gives the area of the trapezoids in it. Only how a slanted edge
    divides its area among neighbouring voxels within one strip is approximated.
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


def volume(region: Region) -> float:
    """Return the volume of `region` [cm3]."""
    return sum(area(slab.polygons) * (slab.upper - slab.lower) for slab in region.slabs())


def area(polygons: list[np.ndarray]) -> float:
    """Return the area within `polygons` [cm2]."""
    y = np.concatenate(polygons)[:, 1]
    # Cuts between the vertices keep the error small where edges cross each other.
    lines, heights = _strips(np.linspace(y.min(), y.max(), 101), y)
    line, x = _crossings(polygons, lines)
    order = np.lexsort((x, line))
    widths = x[order][1::2] - x[order][::2]
    return float((widths * heights[line[order][::2]]).sum())


def _strips(cuts: np.ndarray, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return middles and heights of the strips between `cuts` (ascending), cut again at `vertices`."""
    inner = vertices[(vertices > cuts[0]) & (vertices < cuts[-1])]
    edges = np.unique(np.concatenate([cuts, inner]))
    return 0.5 * (edges[1:] + edges[:-1]), np.diff(edges)


class _Crossings(NamedTuple):
    """Crossings of polygons with scan lines, by polygon, line and x."""

    owner: np.ndarray  # (k,) index of the polygon
    line: np.ndarray  # (k,) index of the scan line
    x: np.ndarray  # (k,)
    after: np.ndarray  # (k,) the polygon's winding number right of the crossing
    before: np.ndarray  # (k,) and left of it


def _all_crossings(polygons: list[np.ndarray], lines: np.ndarray) -> _Crossings:
    """Intersect polygons with scan lines of constant y, `lines` (m,) ascending."""
    start = np.concatenate(polygons)
    end = np.concatenate([np.roll(polygon, -1, axis=0) for polygon in polygons])
    owner = np.repeat(np.arange(len(polygons)), [len(polygon) for polygon in polygons])
    step = np.where(start[:, 1] < end[:, 1], 1, -1)
    # Sort each edge's ends, so that an edge traversed in both directions crosses at exactly the same x.
    swap = (start[:, 1] > end[:, 1]) | ((start[:, 1] == end[:, 1]) & (start[:, 0] > end[:, 0]))
    start, end = np.where(swap[:, None], end, start), np.where(swap[:, None], start, end)
    first = np.searchsorted(lines, start[:, 1], side="left")
    count = np.searchsorted(lines, end[:, 1], side="left") - first
    edge = np.repeat(np.arange(len(start)), count)
    line = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count) + first[edge]
    low, high = start[edge], end[edge]
    x = low[:, 0] + (lines[line] - low[:, 1]) / (high[:, 1] - low[:, 1]) * (high[:, 0] - low[:, 0])
    order = np.lexsort((x, line, owner[edge]))
    step = step[edge[order]]
    after = np.cumsum(step)  # 0 after the last crossing of a polygon with a line, as polygons are closed
    return _Crossings(owner[edge[order]], line[order], x[order], after, after - step)


def _crossings(polygons: list[np.ndarray], lines: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where scan lines enter and leave polygons.

    Parameters
    ----------
    polygons : list of (n, 2) float64
    lines : (m,) float64
        Ascending y.

    Returns
    -------
    line : (k,) intp
        Index of the scan line of each crossing.
    x : (k,) float64
    """
    found = _all_crossings(polygons, lines)
    border = (found.before == 0) != (found.after == 0)
    return found.line[border], found.x[border]


def windings(polygons: list[np.ndarray], lines: int = 64) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Areas that each polygon goes round once, more than once, and in the other direction, (n,) each [cm2].

    The right direction is that of the larger area. Estimated by so many scan lines over all polygons:
    what is smaller than their distance may be missed.
    """
    y = np.concatenate(polygons)[:, 1]
    distance = np.ptp(y) / lines
    found = _all_crossings(polygons, y.min() + distance * (np.arange(lines) + 0.5))
    strip = distance * np.append(np.diff(found.x), 0.0)
    strip[found.after == 0] = 0.0

    def total(chosen: np.ndarray) -> np.ndarray:
        return np.bincount(found.owner[chosen], strip[chosen], len(polygons))

    left, right = total(found.after > 0), total(found.after < 0)
    twice = np.where(left >= right, total(found.after > 1), total(found.after < -1))
    return np.maximum(left, right) - twice, twice, np.minimum(left, right)


def enclosed(polygons: Sequence[np.ndarray], points: np.ndarray) -> np.ndarray:
    """Which points (n, 2) lie inside polygons of one plane."""
    inside = np.zeros(len(points), bool)
    x, y = points[:, 0, None], points[:, 1, None]
    for polygon in polygons:
        (x0, y0), (x1, y1) = polygon.T, np.roll(polygon, -1, axis=0).T
        with np.errstate(divide="ignore", invalid="ignore"):
            right = x0 + (y - y0) / (y1 - y0) * (x1 - x0) > x
        winding = np.sum(right & (y0 <= y) & (y < y1), axis=1) - np.sum(right & (y1 <= y) & (y < y0), axis=1)
        inside ^= winding != 0
    return inside


def mask_by_lines(polygons: list[np.ndarray], grid: Grid) -> np.ndarray:
    """Return which voxel centres of a layer lie inside `polygons`, (ny, nx) bool."""
    _, ny, nx = grid.shape
    line, x = _crossings(polygons, grid.centres(1))
    column = np.searchsorted(grid.centres(2), x, side="left")  # first centre at or right of the crossing
    kept = column < nx
    toggles = np.bincount(line[kept] * nx + column[kept], minlength=ny * nx).reshape(ny, nx)
    return np.cumsum(toggles, axis=1) % 2 == 1


def _area_fraction(polygons: list[np.ndarray], grid: Grid, supersampling: int) -> np.ndarray:
    """Return the covered fraction of each pixel of a layer, (ny, nx) float32."""
    _, ny, nx = grid.shape
    cuts = grid.lower[1] + grid.spacing[1] / supersampling * np.arange(ny * supersampling + 1)
    lines, heights = _strips(cuts, np.concatenate(polygons)[:, 1])
    line, x = _crossings(polygons, lines)
    line = line[order := np.lexsort((x, line))]
    row = np.minimum(((lines[line] - cuts[0]) / grid.spacing[1]).astype(np.intp), ny - 1)
    position = np.clip((x[order] - grid.lower[2]) / grid.spacing[2], 0.0, nx)
    # Crossings come in pairs: a span covers everything below its end less everything below its start.
    weight = np.where(np.arange(len(line)) % 2 == 1, 1.0, -1.0) * heights[line] / grid.spacing[1]
    column = np.minimum(position.astype(np.intp), nx - 1)
    partial = np.bincount(row * nx + column, weight * (position - column), ny * nx).reshape(ny, nx)
    whole = np.bincount(row * nx + column, weight, ny * nx).reshape(ny, nx)
    below = np.cumsum(whole[:, ::-1], axis=1)[:, ::-1] - whole  # columns wholly left of a crossing
    return np.clip(partial + below, 0.0, 1.0).astype(np.float32)

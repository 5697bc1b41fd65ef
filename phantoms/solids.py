"""The solid between the contours of a structure, cut into cells.

Contours say where a structure is on their planes; between and beyond them a shape has to be put. Here:

- *between planes* by their distance maps (shape-based interpolation: Raya and Udupa, IEEE Trans Med Imaging 9
  (1990) 32; in higher order: Herman, Zheng and Bucholtz, IEEE Comput Graph Appl 12 (1992) 69). Interpolated
  is s (2 m - s), where s is the distance inside the outline and m its largest value: for a disc of radius r
  that is r^2 - rho^2, so spheres, cones, cylinders and ellipsoids come out as they are. The area of each
  section is that of the planes, interpolated likewise, so nothing is lost where outlines move sidewards.
- *beyond the last plane* the structure goes on as it shrank up to there, if it so comes to an end before the
  next plane would have followed (where it would have been contoured). Otherwise it ends half the contour
  spacing beyond the plane, as in planning systems, and grows or shrinks up to there as it did before.

Interpolation is quadratic where the second differences on both sides agree in sign (the smaller one counts),
and linear where they do not, so a step stays a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from phantoms.grid import Grid
from phantoms.kernel_cache import njit
from phantoms.polygons import area, mask_by_lines
from phantoms.subvoxels import SubVoxels, divisions

SAME_VERTEX = 1e-4  # vertices closer than this are one: 1 micrometre [cm]
# of the last spacing: an end extrapolated to lie on the next plane may lie a little behind it
EXTRAPOLATION = 1.05
AREA_PRECISION = 1e-4


class Run(NamedTuple):
    """Contours on planes that follow each other without a gap.

    Attributes
    ----------
    z : (n,) float64
        Ascending [cm].
    polygons : list of list of (n, 2) float64
        Of each plane; vertices (x, y) [cm].
    reach : (float, float)
        By how much the structure reaches beyond its first and its last plane where it ends flat: half the
        contour spacing there [cm].
    free : (float, float), optional
        How far beyond them the next plane would have followed on which anything is contoured [cm]; None
        where that is not known.
    """

    z: np.ndarray
    polygons: list[list[np.ndarray]]
    reach: tuple[float, float]
    free: tuple[float | None, float | None] = (None, None)


class Contoured(Protocol):
    """What can be cut into cells, such as `phantoms.structures.ROI`."""

    def runs(self) -> list[Run]: ...


def cut(region: Contoured, grid: Grid) -> SubVoxels:
    """Return what share of the cells of `grid` lies in `region`."""
    runs = region.runs()
    rough = sum(
        float(np.trapezoid(areas, run.z)) + run.reach[0] * areas[0] + run.reach[1] * areas[-1]
        for run in runs
        for areas in [np.array([area(polygons) for polygons in run.polygons])]
    )
    vertices = np.concatenate([polygon for run in runs for polygons in run.polygons for polygon in polygons])
    # voxels (y, x) of the outlines, within the grid or not: areas are of whole sections
    low = np.floor((vertices.min(axis=0)[::-1] - grid.lower[1:]) / grid.spacing[1:] - 0.05).astype(int)
    high = np.ceil((vertices.max(axis=0)[::-1] - grid.lower[1:]) / grid.spacing[1:] + 0.05).astype(int)
    height = max(run.z[-1] + 2 * run.reach[1] for run in runs)
    height -= min(run.z[0] - 2 * run.reach[0] for run in runs)
    box = np.prod(high - low) * height / grid.spacing[0]
    parts = divisions(rough, grid, box)
    size = np.array(grid.spacing) / parts  # of a cell
    raster = Grid(
        (1, *((high - low) * parts[1:])),
        tuple(size),
        (0.0, *(grid.lower[1:] + low * grid.spacing[1:] + 0.5 * size[1:])),
    )
    solids = [_Solid(run, raster) for run in runs]
    first = _voxel(min(solid.lower for solid in solids), grid)
    last = _voxel(max(solid.upper for solid in solids), grid)
    kept = [slice(max(0, a), max(0, min(b, n))) for a, b, n in zip(low, high, grid.shape[1:], strict=True)]
    inside = [slice(max(0, k.start - a), max(0, k.stop - a)) for k, a in zip(kept, low, strict=True)]
    rows, columns = (slice(s.start * n, s.stop * n) for s, n in zip(inside, parts[1:], strict=True))
    layers = range(max(0, first), max(max(0, first), min(last + 1, grid.shape[0])))
    coverage = np.zeros(
        (len(layers) * parts[0], max(0, rows.stop - rows.start), max(0, columns.stop - columns.start)),
        dtype=np.float32,
    )
    whole = 0.0
    for index in range(first * parts[0], (last + 1) * parts[0]):
        lower = grid.lower[0] + index * size[0]
        here = index - layers.start * parts[0]
        for solid in solids:
            a, b = max(lower, solid.lower), min(lower + size[0], solid.upper)
            if b - a <= 1e-9 * size[0]:
                continue
            section = solid.section(0.5 * (a + b)) * np.float32((b - a) / size[0])
            whole += float(section.sum(dtype=float))
            if 0 <= here < len(coverage):
                coverage[here] += section[rows, columns]
    np.minimum(coverage, 1.0, out=coverage)
    corner = (layers.start, kept[0].start, kept[1].start)
    return SubVoxels(grid, corner, parts, coverage, whole * float(np.prod(size)))


def solid_volume(region: Contoured) -> float:
    """Return the volume of the solid [cm3], that of `cut` on a grid that holds it."""
    return cut(region, Grid((1, 1, 1), (0.25, 0.25, 0.25), (0.0, 0.0, 0.0))).whole_cc


def _voxel(z: float, grid: Grid) -> int:
    """Layer of voxels in which `z` lies; outside the grid too."""
    return int(np.floor((z - grid.lower[0]) / grid.spacing[0]))


class _Solid:
    """A run of planes and what lies between and beyond them, section by section on a raster.

    Sections are asked for in ascending z: only the maps of the planes around are kept.
    """

    def __init__(self, run: Run, raster: Grid) -> None:
        self._run, self._raster = run, raster
        self._maps: dict[int, np.ndarray] = {}
        self._areas = np.array([area(polygons) for polygons in run.polygons])
        self._caps = [self._cap(end) for end in (0, -1)]
        self.lower = float(run.z[0]) - (self._caps[0] or run.reach[0])
        self.upper = float(run.z[-1]) + (self._caps[1] or run.reach[1])

    def section(self, z: float) -> np.ndarray:
        """Share of each cell of the raster that lies inside at `z`, (ny, nx) float32."""
        run = self._run
        pixel = self._raster.spacing[1] * self._raster.spacing[2]
        if z < run.z[0] or z > run.z[-1] or len(run.z) == 1:
            end = 0 if z < run.z[0] else -1
            section, wanted = self._beyond(end, abs(z - run.z[end]))
            return _covered(section, wanted / pixel, self._caps[end] is not None)
        k = min(int(np.searchsorted(run.z, z, side="right")) - 1, len(run.z) - 2)
        near = [n for n in range(k - 1, k + 3) if 0 <= n < len(run.z)]
        maps = [self._map(n) for n in near]
        for n in [n for n in self._maps if n < k - 1]:
            del self._maps[n]
        around, place = run.z[near], near.index(k)
        wanted = _interpolated(list(self._areas[near]), around, place, z)
        # an hourglass keeps half of its narrower plane at least
        wanted = max(wanted, 0.5 * min(self._areas[k], self._areas[k + 1]))
        return _covered(_interpolated(maps, around, place, z), wanted / pixel, False)

    def _map(self, k: int) -> np.ndarray:
        """s (2 m - s) of plane `k` (ny, nx) float64 [cm2]."""
        if k not in self._maps:
            distance = _signed_distance(self._run.polygons[k], self._raster)
            self._maps[k] = distance * (2.0 * max(distance.max(), 0.0) - distance)
        return self._maps[k]

    def _ends(self, end: int) -> tuple[int, list[int]]:
        """Number of the last plane at this end, and of the planes from it inwards, three at most."""
        n = len(self._run.z)
        planes = [0, 1, 2][:n] if end == 0 else [n - 1, n - 2, n - 3][:n]
        return planes[0], planes

    def _cap(self, end: int) -> float | None:
        """How far the solid goes on beyond its last plane, shrinking; None where it ends flat."""
        last, planes = self._ends(end)
        if len(planes) < 2:
            return None
        spacing = abs(self._run.z[planes[1]] - self._run.z[last])
        sizes = [max(float(self._map(k).max()), 0.0) for k in planes]  # squares of the largest s
        if sizes[0] >= sizes[1]:
            return None
        slope, bend = self._trend(sizes, planes)
        # size(d) = sizes[0] + slope d + bend/2 d (d + spacing): its first zero
        a, b = 0.5 * bend, slope + 0.5 * bend * spacing
        if abs(a) * spacing**2 < 1e-9 * sizes[1]:
            reach = -sizes[0] / b if b < 0 else np.inf
        else:
            # a cone's root is a double one: rounding must not make it none
            root = np.sqrt(max(b * b - 4 * a * sizes[0], 0.0))
            ends = [d for d in ((-b - root) / (2 * a), (-b + root) / (2 * a)) if d > 0]
            reach = min(ends, default=np.inf)
        # it would have been contoured on the next plane: that on which others are, but no nearer and no
        # farther than its own planes are
        widest = float(np.diff(self._run.z).max())
        bound = min(max(self._run.free[end] or widest, spacing), widest)
        return float(min(reach, bound)) if reach <= EXTRAPOLATION * bound else None

    def _trend(self, values: Sequence, planes: Sequence[int]) -> tuple:
        """Slope outwards between the last two planes, and second derivative, of numbers or maps.

        Not bent up more than a cone is: that of squares of a size that falls linearly.
        """
        z = self._run.z
        spacing = abs(z[planes[1]] - z[planes[0]])
        slope = (values[0] - values[1]) / spacing
        if len(planes) < 3:
            return slope, 0.0 * slope
        before = abs(z[planes[2]] - z[planes[1]])
        bend = 2.0 * (slope - (values[1] - values[2]) / before) / (spacing + before)
        outer, inner = (np.sqrt(max(float(self._map(k).max()), 0.0)) for k in planes[:2])
        return slope, np.minimum(bend, 2.0 * ((inner - outer) / spacing) ** 2)

    def _beyond(self, end: int, distance: float) -> tuple[np.ndarray, float]:
        """Map at `distance` beyond the last plane, and the area there (where it comes to an end: at most)."""
        last, planes = self._ends(end)
        if len(planes) < 2:
            return self._map(last), float(self._areas[last])
        maps, areas = [self._map(k) for k in planes], [self._areas[k] for k in planes]
        slope, bend = self._trend(maps, planes)
        spacing = abs(self._run.z[planes[1]] - self._run.z[last])
        if self._caps[end] is not None:
            return maps[0] + slope * distance + 0.5 * bend * distance * (distance + spacing), areas[0]
        if len(planes) < 3:
            return maps[0], areas[0]
        before = abs(self._run.z[planes[2]] - self._run.z[planes[1]])
        slope = _smaller(slope, (maps[1] - maps[2]) / before)
        growth = float(_smaller((areas[0] - areas[1]) / spacing, (areas[1] - areas[2]) / before))
        return maps[0] + slope * distance, max(areas[0] + growth * distance, 0.5 * areas[0])


def _smaller(a, b):
    """The smaller of two numbers or maps where they agree in sign, 0 where they do not."""
    return np.where(a * b > 0, np.where(np.abs(a) < np.abs(b), a, b), 0.0)


def _interpolated(values: Sequence, z: np.ndarray, k: int, at: float):
    """Value between planes `k` and `k + 1` of numbers or maps: linear, bent as both sides agree."""
    t = (at - z[k]) / (z[k + 1] - z[k])
    straight = values[k] + t * (values[k + 1] - values[k])
    bends = []
    for middle in (k, k + 1):
        if 0 < middle < len(z) - 1:
            right = (values[middle + 1] - values[middle]) / (z[middle + 1] - z[middle])
            left = (values[middle] - values[middle - 1]) / (z[middle] - z[middle - 1])
            bends.append(2.0 * (right - left) / (z[middle + 1] - z[middle - 1]))
    if not bends:
        return straight
    bend = bends[0] if len(bends) == 1 else _smaller(*bends)
    return straight + 0.5 * bend * (at - z[k]) * (at - z[k + 1])


def _edges(polygons: list[np.ndarray]) -> np.ndarray:
    """Edges (n, 4) as x, y, x, y [cm], without those of no border.

    Left out are edges of zero length, those that a polygon traverses there and back (keyholes), and those
    that two polygons share.
    """
    start = np.concatenate(polygons)
    end = np.concatenate([np.roll(polygon, -1, axis=0) for polygon in polygons])
    owner = np.repeat(np.arange(len(polygons)), [len(polygon) for polygon in polygons])
    keys = np.rint(np.hstack([start, end]) / SAME_VERTEX).astype(np.int64)
    swap = (keys[:, 0] > keys[:, 2]) | ((keys[:, 0] == keys[:, 2]) & (keys[:, 1] > keys[:, 3]))
    keys[swap] = keys[swap][:, [2, 3, 0, 1]]
    proper = np.flatnonzero((keys[:, :2] != keys[:, 2:]).any(axis=1))
    _, first, edge = np.unique(keys[proper], axis=0, return_index=True, return_inverse=True)
    directions = np.zeros((len(polygons), len(first)), np.int64)
    np.add.at(directions, (owner[proper], edge.ravel()), np.where(swap[proper], -1, 1))
    border = np.count_nonzero(directions, axis=0) % 2 == 1
    return np.hstack([start, end])[np.sort(proper[first[border]])]


def _signed_distance(polygons: list[np.ndarray], raster: Grid) -> np.ndarray:
    """Distance of each pixel's middle to the outline [cm], above 0 inside, (ny, nx)."""
    _, ny, nx = raster.shape
    edges = _edges(polygons)
    far = float(np.hypot(ny * raster.spacing[1], nx * raster.spacing[2]))
    distance = _distance(
        edges, raster.origin[1], raster.origin[2], raster.spacing[1], raster.spacing[2], ny, nx, far
    )
    return np.where(mask_by_lines(polygons, raster), distance, -distance)


@njit(cache=True)
def _to_edge(edges, n, x, y):
    """Square of the distance from a point to edge `n`."""
    ax, ay = edges[n, 0], edges[n, 1]
    ux, uy = edges[n, 2] - ax, edges[n, 3] - ay
    t = ((x - ax) * ux + (y - ay) * uy) / (ux * ux + uy * uy)
    t = min(1.0, max(0.0, t))
    dx, dy = x - ax - t * ux, y - ay - t * uy
    return dx * dx + dy * dy


@njit(cache=True)
def _distance(edges, y0, x0, dy, dx, ny, nx, far):
    """Distance of each pixel to the nearest edge, propagated from pixel to pixel.

    After Danielsson, Comput Graph Image Process 14 (1980) 227, with edges in place of points.
    """
    nearest = np.full((ny, nx), -1, np.int32)
    square = np.full((ny, nx), far * far)
    for n in range(edges.shape[0]):
        length = np.hypot((edges[n, 2] - edges[n, 0]) / dx, (edges[n, 3] - edges[n, 1]) / dy)
        steps = int(np.ceil(2.0 * length)) + 1
        for s in range(steps + 1):
            t = s / steps
            column = int(np.rint((edges[n, 0] + t * (edges[n, 2] - edges[n, 0]) - x0) / dx))
            row = int(np.rint((edges[n, 1] + t * (edges[n, 3] - edges[n, 1]) - y0) / dy))
            for j in range(max(0, row - 1), min(ny, row + 2)):
                for i in range(max(0, column - 1), min(nx, column + 2)):
                    if nearest[j, i] == n:
                        continue
                    found = _to_edge(edges, n, x0 + i * dx, y0 + j * dy)
                    if found < square[j, i]:
                        square[j, i], nearest[j, i] = found, n
    for pass_ in range(2):
        for jj in range(ny):
            j = jj if pass_ == 0 else ny - 1 - jj
            before = j - 1 if pass_ == 0 else j + 1
            y = y0 + j * dy
            for turn in range(2):
                for ii in range(nx):
                    i = ii if turn == 0 else nx - 1 - ii
                    x = x0 + i * dx
                    side = i - 1 if turn == 0 else i + 1
                    if 0 <= side < nx:
                        n = nearest[j, side]
                        if n >= 0 and n != nearest[j, i]:
                            found = _to_edge(edges, n, x, y)
                            if found < square[j, i]:
                                square[j, i], nearest[j, i] = found, n
                    if turn == 0 and 0 <= before < ny:
                        for near in range(max(0, i - 1), min(nx, i + 2)):
                            n = nearest[before, near]
                            if n >= 0 and n != nearest[j, i]:
                                found = _to_edge(edges, n, x, y)
                                if found < square[j, i]:
                                    square[j, i], nearest[j, i] = found, n
    return np.sqrt(square)


@njit(cache=True)
def _covered(values, wanted, at_most):
    """Share of each pixel in which `values` are above a level such that `wanted` pixels are covered.

    Parameters
    ----------
    values : (ny, nx) float64
    wanted : float
        Area in pixels.
    at_most : bool
        The level is 0 wherever that covers no more than `wanted`.

    Returns
    -------
    (ny, nx) float32
    """
    ny, nx = values.shape
    change = np.empty((ny, nx))  # of the values across a pixel
    for j in range(ny):
        a, b = max(0, j - 1), min(ny - 1, j + 1)
        for i in range(nx):
            c, d = max(0, i - 1), min(nx - 1, i + 1)
            change[j, i] = abs(values[b, i] - values[a, i]) / max(1, b - a)
            change[j, i] += abs(values[j, d] - values[j, c]) / max(1, d - c)
            change[j, i] = max(change[j, i], 1e-12)
    low, high = values.min() - change.max(), values.max() + change.max()
    level = 0.0
    for _ in range(60):
        covered, thin = 0.0, 0.0
        for j in range(ny):
            for i in range(nx):
                share = 0.5 + (values[j, i] - level) / change[j, i]
                if share >= 1.0:
                    covered += 1.0
                elif share > 0.0:
                    covered += share
                    thin += 1.0 / change[j, i]
        if at_most and level == 0.0 and covered <= wanted:
            break
        if abs(covered - wanted) <= AREA_PRECISION * wanted:
            break
        if covered > wanted:
            low = level
        else:
            high = level
        step = level + (covered - wanted) / thin if thin > 0.0 else low - 1.0
        level = step if low < step < high else 0.5 * (low + high)
    shares = np.empty((ny, nx), np.float32)
    for j in range(ny):
        for i in range(nx):
            shares[j, i] = min(1.0, max(0.0, 0.5 + (values[j, i] - level) / change[j, i]))
    return shares

"""Volumes on a grid, finer than its voxels: what share of each cell of a voxel lies in a volume.

A cell is one of n x n x n equal parts of a voxel. Small structures get more of them than large ones, so the
relative precision is the same for a nerve as for a lung, and neither needs much memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt

from phantoms.grid import Grid

CELLS = 300_000  # wanted inside a structure: edges of 1/70 of it
MIN_SHARE = 0.01  # share of a cell below which it is taken as empty, for margins
DIVISIONS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)  # of a voxel's side: each but 3 is twice another
MAX_CELLS = 10_000_000  # of the box around a structure, unless its voxels alone are more


@dataclass(frozen=True, eq=False)
class SubVoxels:
    """Shares of cells that lie in a volume.

    Parameters
    ----------
    grid : Grid
    first : (int, int, int)
        Voxel (z, y, x) whose cells come first.
    divisions : (int, int, int)
        Cells along each side (z, y, x) of a voxel.
    coverage : (mz, my, mx) float32
        Share of each cell, 0 to 1; whole voxels along each axis.
    whole_cc : float
        The volume, including the part outside the grid [cm3].
    """

    grid: Grid
    first: tuple[int, int, int]
    divisions: tuple[int, int, int]
    coverage: np.ndarray
    whole_cc: float

    @classmethod
    def of_fraction(cls, fraction: np.ndarray, grid: Grid) -> SubVoxels:
        """Of fractions of whole voxels, (nz, ny, nx) on `grid`: one cell each."""
        box = box_of(fraction)
        inner = np.ascontiguousarray(fraction[box], dtype=np.float32)
        whole = float(inner.sum(dtype=float)) * grid.voxel_volume
        return cls(grid, tuple(part.start for part in box), (1, 1, 1), inner, whole)

    @property
    def cell_volume(self) -> float:
        """Of one cell [cm3]."""
        return self.grid.voxel_volume / float(np.prod(self.divisions))

    @property
    def volume(self) -> float:
        """Of the structure within the grid [cm3]."""
        return float(self.coverage.sum(dtype=float)) * self.cell_volume

    @property
    def box(self) -> tuple[slice, slice, slice]:
        """The voxels that the cells are of."""
        parts = zip(self.first, self.coverage.shape, self.divisions, strict=True)
        return tuple(slice(first, first + cells // n) for first, cells, n in parts)

    def fraction(self) -> np.ndarray:
        """Share of each voxel of `box` that lies in the volume, float32."""
        a, b, c = self.divisions
        z, y, x = (cells // n for cells, n in zip(self.coverage.shape, self.divisions, strict=True))
        return self.coverage.reshape(z, a, y, b, x, c).mean(axis=(1, 3, 5), dtype=float).astype(np.float32)

    def coarser(self, cells: int) -> SubVoxels:
        """The same in larger cells, as long as more than `cells` lie inside and voxels are divided evenly."""
        divisions, coverage = self.divisions, self.coverage
        while coverage.sum(dtype=float) > cells:
            steps = [n if n < 4 else 2 for n in divisions]
            if max(steps) == 1:
                break
            a, b, c = steps
            z, y, x = (size // step for size, step in zip(coverage.shape, steps, strict=True))
            coverage = coverage.reshape(z, a, y, b, x, c).mean(axis=(1, 3, 5), dtype=np.float32)
            divisions = tuple(n // step for n, step in zip(divisions, steps, strict=True))
        return SubVoxels(self.grid, self.first, divisions, coverage, self.whole_cc)

    def expanded(self, margins: Sequence[float]) -> SubVoxels:
        """The volume grown by an ellipsoid of half axes `margins` (z, y, x) [cm], cut off at the grid.

        A half axis of 0 leaves that direction as it is. Borders are known to about a quarter of a cell.
        """
        size = np.array(self.grid.spacing) / self.divisions
        # a direction without margin counts as far at the first cell
        scale = size / np.maximum(margins, 1e-3 * size)
        wanted = np.ceil(np.array(margins) / self.grid.spacing).astype(int)
        low = np.maximum(np.array(self.first) - wanted, 0)
        voxels = np.array(self.coverage.shape) // self.divisions
        high = np.minimum(np.array(self.first) + voxels + wanted, self.grid.shape)
        before = (np.array(self.first) - low) * self.divisions
        after = (high - low) * self.divisions - before - self.coverage.shape
        coverage = np.pad(self.coverage, list(zip(before, after, strict=True)))
        distance, nearest = distance_transform_edt(coverage < MIN_SHARE, scale, return_indices=True)
        # a cell's length in the direction to the nearest cell that is not empty; the border lies beyond the
        # centre of that cell by its share above one half
        step = np.zeros(coverage.shape)
        for axis in range(3):
            apart = (nearest[axis] - np.arange(coverage.shape[axis]).reshape(_along(axis))) * scale[axis]
            step += np.abs(apart) * scale[axis]
        step /= np.maximum(distance, 1e-9)
        beyond = (coverage[tuple(nearest)] - 0.5) * step
        grown = np.clip(0.5 + (1.0 - distance + beyond) / np.maximum(step, 1e-9), 0.0, 1.0)
        coverage = np.maximum(coverage, np.where(distance > 0, grown, 1.0)).astype(np.float32)
        whole = float(coverage.sum(dtype=float)) * self.cell_volume
        return SubVoxels(self.grid, tuple(int(n) for n in low), self.divisions, coverage, whole)


def box_of(inside: np.ndarray) -> tuple[slice, ...]:
    """The smallest box that holds all of `inside` that is not 0; empty slices without any."""
    box = []
    for axis in range(inside.ndim):
        hit = np.flatnonzero(inside.any(axis=tuple(a for a in range(inside.ndim) if a != axis)))
        box.append(slice(int(hit[0]), int(hit[-1]) + 1) if hit.size else slice(0, 0))
    return tuple(box)


def divisions(volume: float, grid: Grid, voxels: float) -> tuple[int, int, int]:
    """Cells along each side (z, y, x) of a voxel, for `CELLS` in a structure of `volume` [cm3].

    Fewer where the `voxels` of the box around it would hold more than `MAX_CELLS`.
    """
    edge = (max(volume, 1e-9) / CELLS) ** (1 / 3)
    choices = [next((k for k, n in enumerate(DIVISIONS) if side / n <= edge), -1) for side in grid.spacing]
    choices = [k % len(DIVISIONS) for k in choices]
    while max(choices) > 0 and voxels * np.prod([DIVISIONS[k] for k in choices]) > MAX_CELLS:
        choices = [max(0, k - 1) if k == max(choices) else k for k in choices]
    return tuple(DIVISIONS[k] for k in choices)


def _along(axis: int) -> tuple[int, int, int]:
    """Shape by which an array lies along `axis` of three."""
    return tuple(-1 if a == axis else 1 for a in range(3))

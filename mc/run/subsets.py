"""Sums of a run's batches by subsets of the histories, from which the covariance of the dose is known."""

from __future__ import annotations

import numpy as np

from mc.covariance import Covariance
from phantoms.grid import Grid

SUBSETS = 24  # at most: each group of histories is one, until there are more
MAX_VALUES = 64_000_000  # of all maps together, 256 MB: larger grids are averaged over blocks


class SubsetSums:
    """Sums of batches by subset and block of voxels.

    Parameters
    ----------
    grid : Grid
        Of the voxels.
    groups : int
        Groups of histories of a pass (`mc.run.batch_statistics`).
    scored : (nz, ny, nx) bool, optional
        Voxels whose dose is kept; blocks are averaged over these alone.

    Attributes
    ----------
    sums : (subsets, mz, my, mx) float32
        Sums over the batches of each subset [Gy].
    block : int
        Voxels along each side of a block.
    """

    def __init__(self, grid: Grid, groups: int, scored: np.ndarray | None = None) -> None:
        self._grid, self._groups = grid, groups
        self.count = min(groups, SUBSETS)
        self.block = 1
        while self.count * np.prod([-(-n // self.block) for n in grid.shape]) > MAX_VALUES:
            self.block += 1
        self._starts = [np.arange(0, n, self.block) for n in grid.shape]
        shape = tuple(len(starts) for starts in self._starts)
        self.sums = np.zeros((self.count, *shape), np.float32)
        self._voxels = None if self.block == 1 else self._counts(scored)

    def _counts(self, scored: np.ndarray | None) -> np.ndarray:
        """Kept voxels of every block, at least 1."""
        counts = np.zeros(self.sums.shape[1:], np.float32)
        for k in range(self._grid.shape[0]):
            layer = np.ones(self._grid.shape[1:]) if scored is None else scored[k].astype(float)
            counts[k // self.block] += self._blocks(layer)
        return np.maximum(counts, 1.0)

    def _blocks(self, layer: np.ndarray) -> np.ndarray:
        """Sums over the blocks of a layer of voxels."""
        return np.add.reduceat(np.add.reduceat(layer, self._starts[1], axis=0), self._starts[2], axis=1)

    def add_layer(self, group: int, k: int, dose: np.ndarray) -> None:
        """Add layer `k` (ny, nx) [Gy] of a batch of `group`; voxels that are not kept are 0."""
        subset = group % self.count
        if self.block == 1:
            self.sums[subset, k] += dose
            return
        at = k // self.block
        self.sums[subset, at] += self._blocks(dose) / self._voxels[at]

    def covariance(self, batches_of_groups: np.ndarray, common: float) -> Covariance | None:
        """The covariance of the mean of a pass; None with fewer than two subsets. The sums are gone then.

        Parameters
        ----------
        batches_of_groups : (groups,) int
            Batches done of each group.
        common : float
            Relative sigma that all voxels share beside it.
        """
        counts = np.zeros(self.count)
        np.add.at(counts, np.arange(self._groups) % self.count, batches_of_groups)
        used, total = np.flatnonzero(counts), counts.sum()
        if len(used) < 2:
            return None
        deviations = self.sums if len(used) == self.count else self.sums[used]
        counts = counts[used]
        mean = deviations.sum(axis=0, dtype=np.float64) / total
        for values, n in zip(deviations, counts, strict=True):
            values -= n * mean
            values *= self._groups / total / np.sqrt(1.0 - n / total)
        freedom = total**2 / np.sum(counts**2) - 1.0
        spacing = self.block * np.array(self._grid.spacing)
        origin = self._grid.lower + 0.5 * spacing
        del self.sums
        grid = self._grid if self.block == 1 else Grid(deviations.shape[1:], tuple(spacing), tuple(origin))
        return Covariance(grid, self.block, deviations, float(freedom), common)

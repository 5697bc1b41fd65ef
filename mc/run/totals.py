"""Sums over the complete batches of a run: batch statistics of each quantity, counters, times."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from mc.geometry.voxels import without_margin
from mc.numerics.constants import MEV_PER_G_TO_GY
from mc.run.batch import BatchTransport
from mc.run.batch_statistics import BatchStatistics
from mc.run.subsets import SubsetSums
from mc.transport.scoring import N_COUNTERS, QUANTUM
from phantoms.grid import Grid
from phantoms.phantom import Phantom


class RunTotals:
    """Sums over the complete batches of a run.

    Parameters
    ----------
    grid : Grid
    groups : int
        Groups of histories in a pass.
    dose_to_water : bool
        Whether dose to water is scored too.
    scored : (nz, ny, nx) bool, optional
        Voxels whose dose is kept; all if not given.

    Attributes
    ----------
    medium : BatchStatistics
        Of dose to medium.
    water : BatchStatistics or None
        Of dose to water.
    medium_subsets : SubsetSums
        Of dose to medium.
    water_subsets : SubsetSums or None
        Of dose to water.
    counters : (N_COUNTERS,) array of int
        Sums of the batches' counters, as Python integers, which do not overflow.
    deposited : int
        Energy deposited in the medium [quanta].
    resumed : int
        Number of times the run was resumed from a checkpoint.
    """

    def __init__(
        self, grid: Grid, groups: int, dose_to_water: bool, scored: np.ndarray | None = None
    ) -> None:
        voxels = int(np.prod(grid.shape))
        self._scored = scored
        self.medium = BatchStatistics(voxels, groups)
        self.water = BatchStatistics(voxels, groups) if dose_to_water else None
        self.medium_subsets = SubsetSums(grid, groups, scored)
        self.water_subsets = SubsetSums(grid, groups, scored) if dose_to_water else None
        self.counters = np.zeros(N_COUNTERS, object)
        self.deposited = 0
        self.resumed = 0
        self._elapsed, self._cpu = 0.0, 0.0  # of the parts before the last resumption
        self._started, self._cpu_started = time.monotonic(), time.process_time()

    @property
    def elapsed(self) -> float:
        """Wall-clock time of all parts of the run [s]."""
        return self._elapsed + time.monotonic() - self._started

    @property
    def cpu_seconds(self) -> float:
        """Processor time of this rank, and of rank 0 in earlier parts of the run [s]."""
        return self._cpu + time.process_time() - self._cpu_started

    def add(
        self,
        transport: BatchTransport,
        phantom: Phantom,
        group: int,
        batch_dose: np.ndarray | None,
    ) -> None:
        """Add a complete batch, layer by layer, so that the grid is never copied as a whole.

        Parameters
        ----------
        transport : BatchTransport
            Holds the batch, summed over all ranks.
        phantom : Phantom
        group : int
            Group of histories that the batch is of.
        batch_dose : (nz, ny, nx) float64, optional
            Filled with the batch's dose to medium [Gy].
        """
        tally = transport.tally
        self.counters += transport.counters
        self.deposited += int(tally.medium.sum())
        layer = phantom.density[0].size
        to_gray_gram = transport.norm * MEV_PER_G_TO_GY
        for k, density in enumerate(phantom.density):
            to_gray = to_gray_gram / (density.ravel().astype(float) * phantom.grid.voxel_volume)
            if self._scored is not None:
                to_gray[~self._scored[k].ravel()] = 0.0
            part = slice(k * layer, (k + 1) * layer)
            batch = without_margin(tally.medium, phantom)[k].ravel() * QUANTUM * to_gray
            self.medium.add_part(part, batch)
            self.medium_subsets.add_layer(group, k, batch.reshape(density.shape))
            if batch_dose is not None:
                batch_dose[k] = batch.reshape(density.shape)
            if self.water is not None:
                batch = without_margin(tally.water, phantom)[k].ravel() * QUANTUM * to_gray
                self.water.add_part(part, batch)
                self.water_subsets.add_layer(group, k, batch.reshape(density.shape))
        for stats in self._statistics.values():
            stats.end_batch()

    def arrays(self, transport: BatchTransport) -> dict[str, np.ndarray]:
        """The sums, and those of the incomplete batch in `transport`, for a checkpoint."""
        named = {
            f"{quantity}/{name}": array
            for quantity, stats in self._statistics.items()
            for name, array in stats.arrays.items()
        }
        for quantity, subsets in (("medium", self.medium_subsets), ("water", self.water_subsets)):
            if subsets is not None:
                named[f"{quantity}/subsets"] = subsets.sums
        return named | {
            "batch/medium": transport.tally.medium,
            "batch/water": transport.tally.water,
            "batch/counters": transport.counters,
            "batch/done": transport.done,
        }

    def numbers(self) -> dict[str, Any]:
        """The numbers that a checkpoint holds beside the arrays."""
        return {
            "batches": self.medium.batches,
            "counters": [int(count) for count in self.counters],
            "deposited": self.deposited,
            "resumed": self.resumed,
            "elapsed": self.elapsed,
            "cpu_seconds": self.cpu_seconds,
        }

    def resume_from(self, numbers: dict[str, Any]) -> None:
        """Restore the numbers of a checkpoint, whose arrays have been read already."""
        for stats in self._statistics.values():
            stats.batches = numbers["batches"]
        self.counters[:] = numbers["counters"]
        self.deposited, self.resumed = numbers["deposited"], numbers["resumed"] + 1
        self._elapsed, self._cpu = numbers["elapsed"], numbers["cpu_seconds"]

    @property
    def _statistics(self) -> dict[str, BatchStatistics]:
        if self.water is None:
            return {"medium": self.medium}
        return {"medium": self.medium, "water": self.water}

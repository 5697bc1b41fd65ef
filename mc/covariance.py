"""The covariance of a dose's noise over all voxels, held as a few deviation maps.

The batches of a run are put into subsets by the histories they use. With S_k the sum of the n_k batches of
subset k, B the number of all batches, m their mean and G the number of batches of a pass,

    d_k = (G / B) (S_k - n_k m) / sqrt(1 - n_k / B)

has, summed over k, the covariance of the dose of a pass as its expectation (grouped jackknife; Wolter,
Introduction to Variance Estimation, 2nd ed., section 4.2): cov(i, j) = sum_k d_k(i) d_k(j). Histories of
different subsets are independent, and all uses of a history are in one subset. The covariance therefore
holds transport and latent noise together, and every correlation: of neighbours crossed by one track, of
beams that share a phase space, of all voxels that one electron on the target feeds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.linalg import hadamard
from scipy.ndimage import map_coordinates

from phantoms.grid import Grid

REPLICATES = 32  # of a dose, balanced: more than the maps of a run
SAME = 1e-3  # of a voxel, by which places may differ


@dataclass(frozen=True, eq=False)
class Covariance:
    """Covariance of the noise of a dose, transport and latent together; immutable.

    Parameters
    ----------
    grid : Grid
        Of the blocks of voxels that the maps are averaged over.
    block : int
        Voxels along each side of a block; 1 for voxels themselves.
    deviations : (n, nz, ny, nx) float32
        Maps d_k, one for each subset of the histories [Gy].
    freedom : float
        Degrees of freedom of a variance found from them.
    common : float
        Relative sigma that all voxels share beside it, such as that of a calibration.
    """

    grid: Grid
    block: int
    deviations: np.ndarray
    freedom: float
    common: float = 0.0

    @property
    def factor(self) -> float:
        """By how much a sigma from so few subsets is enlarged, so that two of it cover 95 %.

        It is the standard deviation of Student's distribution, sqrt(freedom / (freedom - 2)); infinite for
        two degrees of freedom or less.
        """
        return math.sqrt(self.freedom / (self.freedom - 2.0)) if self.freedom > 2.0 else math.inf

    def maps(
        self, grid: Grid, box: tuple[slice, ...] | None = None, weights: np.ndarray | None = None
    ) -> Iterator[np.ndarray]:
        """Weighted sums of the maps at the voxels of another grid, or of a box of it, one after another.

        Maps of voxels are interpolated linearly, as the dose is (`mc.dose.Dose.crop_to`); those of blocks
        are constant within a block. Beyond the maps they are held constant.

        Parameters
        ----------
        grid : Grid
        box : tuple of slice, optional
        weights : (m, n) array, optional
            Of each map in each sum; by default the maps themselves, one by one.

        Yields
        ------
        (nz, ny, nx) float32
            [Gy]
        """
        box = box or tuple(slice(0, n) for n in grid.shape)
        weights = np.eye(len(self.deviations), dtype=np.float32) if weights is None else weights
        places = [
            (grid.centres(axis)[part] - self.grid.origin[axis]) / self.grid.spacing[axis]
            for axis, part in enumerate(box)
        ]
        part = tuple(
            slice(int(np.clip(np.floor(at[0]), 0, n - 1)), int(np.clip(np.ceil(at[-1]), 0, n - 1)) + 1)
            for at, n in zip(places, self.grid.shape, strict=True)
        )
        held = self.deviations[(slice(None), *part)]
        places = [at - within.start for at, within in zip(places, part, strict=True)]
        same = held.shape[1:] == tuple(map(len, places)) and all(
            np.abs(at - np.arange(len(at))).max() < SAME for at in places
        )
        points = None if same else np.meshgrid(*places, indexing="ij")
        for row in weights:
            found = np.tensordot(row, held, 1)
            if points is not None:
                order = 1 if self.block == 1 else 0
                found = map_coordinates(found, points, np.float32, order=order, mode="nearest")
            yield found

    def replicates(self) -> np.ndarray:
        """Weights of the maps in copies of a dose that differ by one draw of the noise, (m, n + 1): +1 or -1.

        Balanced repeated replication (McCarthy, Rev Int Stat Inst 37 (1969) 239): the weights are columns of
        a Hadamard matrix, so the variance of the copies is that of the maps exactly for whatever is linear in
        the dose, and each copy is as far from the mean as the noise. The last column is for what all voxels
        share.
        """
        n = len(self.deviations) + 1
        order = REPLICATES
        while order <= n:
            order *= 2
        return hadamard(order)[:, 1 : n + 1].astype(np.float32)

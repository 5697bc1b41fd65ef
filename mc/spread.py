"""The two sigmas: transport and latent variance from the spread of batches.

**Passes and groups.** A pass transports every original history of the phase spaces once (once in each
mirror image, where the machine file allows them), for every beam. It is cut into groups of whole
histories, and a batch is one group in one pass. Passes differ only in their random numbers, so their
spread is the transport variance T of one pass. Groups differ in their histories as well, so their spread
is the total variance V of one pass. After P passes

    transport variance = T / P          (falls with every pass)
    latent variance    = V - T          (what the finite file leaves, however often it is reused)

The number of histories that left a particle in the file is itself random; its variance is added to the
latent part. A phase-space particle is never taken for an independent history.
"""

from __future__ import annotations

import numpy as np


class Spread:
    """Sums over batches from which mean, transport and latent variance follow. Arrays are (voxels,)."""

    def __init__(self, voxels: int, groups: int) -> None:
        self.groups = groups
        self.batches = 0
        self.sum = np.zeros(voxels)
        self.square_of_batches = np.zeros(voxels)
        self.square_of_passes = np.zeros(voxels)
        self._pass = np.zeros(voxels)

    @property
    def whole_passes(self) -> int:
        return self.batches // self.groups

    def add(self, batch: np.ndarray) -> None:
        """Fold in the next batch."""
        self.sum += batch
        self.square_of_batches += batch * batch
        self._pass += batch
        self.batches += 1
        if self.batches % self.groups == 0:
            self.square_of_passes += self._pass * self._pass
            self._pass[:] = 0.0

    def mean(self) -> np.ndarray:
        """Mean of one pass."""
        return self.sum * (self.groups / self.batches)

    def variances(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Transport variance of the mean, and latent variance; None if too few passes tell them apart.

        The latent variance is an unbiased difference and may be below 0.

        Without two whole passes the spread of the batches, which holds both, counts as transport.
        """
        passes = self.batches / self.groups
        square = self.square_of_batches - self.sum * self.sum / self.batches
        per_pass = self.groups * np.maximum(square, 0.0) / max(1, self.batches - 1)
        whole = self.whole_passes
        if whole < 2:
            return per_pass / passes, None
        whole_mean = (self.sum - self._pass) / whole
        transport = (self.square_of_passes - whole * whole_mean**2) / (whole - 1)
        transport = np.maximum(transport, 0.0)
        # Within a pass the groups spread about that pass's own mean.
        over = self.batches - whole * self.groups
        square = self.square_of_batches - self.square_of_passes / self.groups
        square -= self._pass**2 / max(1, over)
        within = np.maximum(square, 0.0) / (whole * (self.groups - 1) + max(0, over - 1))
        total = self.groups * within
        return transport / passes, total - transport

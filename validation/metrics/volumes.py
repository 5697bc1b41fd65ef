"""Volumes on a grid, held by the box around them: a plan has dozens, most of which fill little of a grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phantoms.subvoxels import SubVoxels


@dataclass(frozen=True, eq=False)
class Volume:
    """What fraction of each voxel lies in a volume.

    Parameters
    ----------
    shape : tuple of int
        Of the grid.
    box : tuple of slice
        Outside it all fractions are 0.
    inner : array
        Fractions within the box, 0 to 1.
    """

    shape: tuple[int, ...]
    box: tuple[slice, ...]
    inner: np.ndarray

    @classmethod
    def of(cls, cells: SubVoxels) -> Volume:
        """The fractions of voxels that make up `cells`."""
        return cls(cells.grid.shape, cells.box, cells.fraction())

    @property
    def whole(self) -> np.ndarray:
        """Fractions on the whole grid; made anew each time."""
        fraction = np.zeros(self.shape, self.inner.dtype)
        fraction[self.box] = self.inner
        return fraction

    @property
    def half(self) -> np.ndarray:
        """Which voxels of the box lie in the volume with half of theirs or more, bool."""
        return self.inner >= 0.5

    def plane(self, index: int, axis: int) -> np.ndarray:
        """Fractions of one plane of voxels normal to `axis`."""
        across = [a for a in range(len(self.shape)) if a != axis]
        fraction = np.zeros([self.shape[a] for a in across], self.inner.dtype)
        within = self.box[axis]
        if within.start <= index < within.stop:
            fraction[tuple(self.box[a] for a in across)] = self.inner.take(index - within.start, axis)
        return fraction

    def of_values(self, values: np.ndarray) -> np.ndarray:
        """Part of a grid's values that lies in the box, as a view."""
        return values[self.box]

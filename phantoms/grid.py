"""Grid: where voxels are; defines the order of axes and the coordinates.

Arrays are indexed (z, y, x). Coordinates are DICOM patient coordinates in cm: x to the
patient's left, y to posterior, z to the head (LPS), whatever the patient's position on the
couch. Spacing is uniform along each axis and all three axes ascend. DICOM's millimetres are
converted where DICOM is read and written.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Grid:
    """A uniform, axis-aligned voxel grid in patient coordinates.

    Parameters
    ----------
    shape : (int, int, int)
        Number of voxels (nz, ny, nx).
    spacing : (float, float, float)
        Voxel size (dz, dy, dx) [cm].
    origin : (float, float, float)
        Centre of voxel [0, 0, 0] as (z, y, x) [cm].
    """

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    origin: tuple[float, float, float]

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        object.__setattr__(self, "spacing", tuple(float(d) for d in self.spacing))
        object.__setattr__(self, "origin", tuple(float(c) for c in self.origin))
        finite = all(map(math.isfinite, (*self.spacing, *self.origin)))
        if min(self.shape) < 1 or not finite or not min(self.spacing) > 0:
            raise ValueError(
                f"empty grid: shape {self.shape}, spacing {self.spacing}, origin {self.origin} cm"
            )

    @property
    def lower(self) -> np.ndarray:
        """Lower corner (outer face of voxel [0, 0, 0]), (3,) as z, y, x [cm]."""
        return np.array(self.origin) - 0.5 * np.array(self.spacing)

    @property
    def upper(self) -> np.ndarray:
        """Upper corner, (3,) as z, y, x [cm]."""
        return self.lower + np.array(self.shape) * np.array(self.spacing)

    @property
    def voxel_volume(self) -> float:
        """Volume of one voxel [cm3]."""
        dz, dy, dx = self.spacing
        return dz * dy * dx

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size (dz, dy, dx) [mm]."""
        return tuple(10.0 * d for d in self.spacing)

    @property
    def axes_mm(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Voxel centres along z, y and x, (nz,), (ny,) and (nx,) [mm]."""
        return tuple(10.0 * self.centres(axis) for axis in range(3))

    def centres(self, axis: int) -> np.ndarray:
        """Voxel centres along `axis` (0 z, 1 y, 2 x), (n,) [cm]."""
        return self.origin[axis] + self.spacing[axis] * np.arange(self.shape[axis])

    def edges(self, axis: int) -> np.ndarray:
        """Voxel edges along `axis`, (n + 1,) [cm]."""
        return self.lower[axis] + self.spacing[axis] * np.arange(self.shape[axis] + 1)

    def index(self, points: np.ndarray) -> np.ndarray:
        """Fractional voxel indices of `points` (..., 3) given as z, y, x [cm]; whole at centres."""
        return (np.asarray(points) - np.array(self.origin)) / np.array(self.spacing)

    def matches(self, other: Grid, tolerance: float = 1e-3) -> bool:
        """Whether `other` has the same voxels, to `tolerance` [cm] at either end."""
        return (
            self.shape == other.shape
            and np.allclose(self.lower, other.lower, atol=tolerance)
            and np.allclose(self.upper, other.upper, atol=tolerance)
        )

    def block(self, slices: tuple[slice, slice, slice]) -> Grid:
        """The grid of a block of the voxels."""
        start = np.array([part.start for part in slices])
        origin = np.array(self.origin) + start * np.array(self.spacing)
        return Grid(tuple(part.stop - part.start for part in slices), self.spacing, tuple(origin))

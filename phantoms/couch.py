"""A treatment couch that is not in the CT: slabs beneath the patient, where the plan puts the table top."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from phantoms.grid import Grid
from phantoms.materials import Material
from phantoms.phantom import Phantom


@dataclass(frozen=True)
class Slab:
    """A layer of a couch."""

    thickness_cm: float
    material: Material
    density: float  # [g/cm3]


@dataclass(frozen=True)
class Couch:
    """A table top of flat slabs, the first on top, without end along the patient."""

    width_cm: float
    slabs: tuple[Slab, ...]

    @property
    def thickness_cm(self) -> float:
        """Of all slabs."""
        return sum(slab.thickness_cm for slab in self.slabs)


@dataclass(frozen=True, eq=False)
class Placed:
    """A couch in the patient's coordinates.

    Parameters
    ----------
    couch : Couch
    surface : (3,) float64
        A point in the middle of the table top's surface, LPS (x, y, z) [cm].
    up, across : (3,) float64
        Unit vectors along axes of the patient: away from the couch, and along its width.
    """

    couch: Couch
    surface: np.ndarray
    up: np.ndarray
    across: np.ndarray

    def extent(self, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
        """Corners (z, y, x) [cm] of the couch over the length of a grid along the patient."""
        half = 0.5 * self.couch.width_cm * self.across
        deep = self.couch.thickness_cm * self.up
        corners = self.surface + np.array([half, -half, half - deep, -half - deep])
        lower, upper = corners.min(axis=0)[::-1], corners.max(axis=0)[::-1]
        lower[0], upper[0] = grid.lower[0], grid.upper[0]
        return lower, upper

    def depth(self, points: np.ndarray) -> np.ndarray:
        """How far points (..., 3), LPS x, y, z, lie beneath the surface [cm]."""
        return (self.surface - points) @ self.up


def add_couch(phantom: Phantom, placed: Placed, free: np.ndarray) -> Phantom:
    """Fill the voxels of a couch that are `free`, (nz, ny, nx) bool, as much as its slabs fill them.

    Density is the mean over the voxel, the material that of the slab with the most mass in it.
    """
    grid, couch = phantom.grid, placed.couch
    centres = [grid.centres(2 - axis) for axis in range(3)]  # x, y, z
    vertical, lateral = (int(np.abs(v).argmax()) for v in (placed.up, placed.across))
    beneath = (placed.surface[vertical] - centres[vertical]) * placed.up[vertical]
    half = 0.5 * grid.spacing[2 - vertical]
    edges = np.concatenate([[0.0], np.cumsum([slab.thickness_cm for slab in couch.slabs])])
    overlap = np.minimum.outer(beneath + half, edges[1:]) - np.maximum.outer(beneath - half, edges[:-1])
    filled = np.clip(overlap, 0.0, None) / (2.0 * half)  # (n, slabs)
    mass = filled * [slab.density for slab in couch.slabs]
    wide = np.abs(centres[lateral] - placed.surface[lateral]) <= 0.5 * couch.width_cm
    materials = list(phantom.materials)
    for slab in couch.slabs:
        if slab.material not in materials:
            materials.append(slab.material)
    numbers = np.array([materials.index(slab.material) for slab in couch.slabs])

    def along(axis: int, values: np.ndarray) -> np.ndarray:
        shape = [1, 1, 1]
        shape[2 - axis] = len(values)
        return values.reshape(shape)

    inside = free & along(lateral, wide) & along(vertical, filled.sum(axis=1) > 0.0)
    air = 1.0 - filled.sum(axis=1)
    density = along(vertical, mass.sum(axis=1) + air * phantom.materials[0].density)
    material = along(vertical, numbers[mass.argmax(axis=1)])
    return replace(
        phantom,
        density=np.where(inside, density, phantom.density).astype(phantom.density.dtype),
        material=np.where(inside, material, phantom.material).astype(phantom.material.dtype),
        materials=tuple(materials),
        audit={**phantom.audit, "couch": _account(couch.slabs, inside, grid)},
    )


def _account(slabs: Sequence[Slab], inside: np.ndarray, grid: Grid) -> dict[str, object]:
    """What the audit says of a couch."""
    return {
        "volume_cm3": float(np.count_nonzero(inside) * grid.voxel_volume),
        "slabs": [
            {"material": s.material.name, "density": s.density, "thickness_cm": s.thickness_cm} for s in slabs
        ],
    }

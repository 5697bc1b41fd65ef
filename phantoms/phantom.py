"""Phantom: the patient as transport sees it, voxels of a density and a material."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from phantoms.grid import Grid
from phantoms.materials import Material


@dataclass(frozen=True, eq=False)
class Phantom:
    """Voxels with density and material; immutable.

    Parameters
    ----------
    grid : Grid
    density : (nz, ny, nx) float32
        Mass density [g/cm3], above 0.
    material : (nz, ny, nx) uint8
        Index into `materials`.
    materials : tuple of Material
        The first is always air, which also fills everything outside the grid.
    audit : dict
        What was assigned and why, ready for the report: see `phantoms.hu` and `phantoms.structures`.
    """

    grid: Grid
    density: np.ndarray
    material: np.ndarray
    materials: tuple[Material, ...]
    audit: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        density = np.ascontiguousarray(self.density, dtype=np.float32)
        material = np.ascontiguousarray(self.material, dtype=np.uint8)
        if density.shape != self.grid.shape or material.shape != self.grid.shape:
            raise ValueError("density and material must have the shape of the grid")
        if not (np.isfinite(density).all() and density.min() > 0):
            raise ValueError("densities must be finite and above 0")
        if material.max() >= len(self.materials):
            raise ValueError("a material index has no material")
        density.flags.writeable = material.flags.writeable = False
        object.__setattr__(self, "density", density)
        object.__setattr__(self, "material", material)

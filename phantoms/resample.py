"""Averaging voxels onto another grid so that mass is conserved."""

from __future__ import annotations

import numpy as np

from phantoms.grid import Grid
from phantoms.kernel_cache import njit

SNAP = 1e-3  # output edges this close to an input edge, in input voxels, are taken to lie on it


def average_onto(
    source: Grid,
    density: np.ndarray,
    material: np.ndarray,
    target: Grid,
    n_materials: int,
    fill_density: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Average density over the volume of each target voxel; its material is that of the largest mass.

    Where target voxels reach outside the source they hold material 0 of `fill_density`.

    Parameters
    ----------
    source : Grid
    density : (nz, ny, nx) float32 [g/cm3]
    material : (nz, ny, nx) uint8
    target : Grid
    n_materials : int
        All of `material` is below it.
    fill_density : float [g/cm3]

    Returns
    -------
    density : target.shape float32 [g/cm3]
    material : target.shape uint8
    """
    overlaps = [_edges_in_source(source, target, axis) for axis in range(3)]
    return _average(density, material, *overlaps, n_materials, fill_density)


def _edges_in_source(source: Grid, target: Grid, axis: int) -> np.ndarray:
    """Return target edges along `axis` in source voxels from the source's lower face, (n + 1,)."""
    edges = (target.edges(axis) - source.lower[axis]) / source.spacing[axis]
    whole = np.round(edges)
    return np.where(np.abs(edges - whole) < SNAP, whole, edges)


@njit(cache=True)
def _average(density, material, edges_z, edges_y, edges_x, n_materials, fill_density):
    nz, ny, nx = len(edges_z) - 1, len(edges_y) - 1, len(edges_x) - 1
    mean = np.empty((nz, ny, nx), dtype=np.float32)
    heaviest = np.empty((nz, ny, nx), dtype=np.uint8)
    mass = np.empty(n_materials)
    for k in range(nz):
        z0, z1 = edges_z[k], edges_z[k + 1]
        first_z, last_z = max(0, int(np.floor(z0))), min(density.shape[0], int(np.ceil(z1)))
        for j in range(ny):
            y0, y1 = edges_y[j], edges_y[j + 1]
            first_y, last_y = max(0, int(np.floor(y0))), min(density.shape[1], int(np.ceil(y1)))
            for i in range(nx):
                x0, x1 = edges_x[i], edges_x[i + 1]
                first_x, last_x = max(0, int(np.floor(x0))), min(density.shape[2], int(np.ceil(x1)))
                volume = (z1 - z0) * (y1 - y0) * (x1 - x0)
                covered = 0.0
                mass[:] = 0.0
                for c in range(first_z, last_z):
                    dz = min(z1, c + 1.0) - max(z0, float(c))
                    for b in range(first_y, last_y):
                        dzy = dz * (min(y1, b + 1.0) - max(y0, float(b)))
                        for a in range(first_x, last_x):
                            overlap = dzy * (min(x1, a + 1.0) - max(x0, float(a)))
                            covered += overlap
                            mass[material[c, b, a]] += overlap * density[c, b, a]
                mass[0] += max(0.0, volume - covered) * fill_density
                best, total = 0, 0.0
                for m in range(n_materials):
                    total += mass[m]
                    if mass[m] > mass[best]:
                        best = m
                mean[k, j, i] = total / volume
                heaviest[k, j, i] = best
    return mean, heaviest

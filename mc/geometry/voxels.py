"""Voxel geometry: where a particle is, and how far to the next face.

Every geometry the transport is compiled over offers the same functions. A cell is a tuple that only the
geometry reads.

| function | |
|---|---|
| `locate` | cell of a point |
| `index`, `medium` | place of a cell in the tally; what it is filled with |
| `inverse` | of a direction cosine, in the form the functions below take |
| `boundary` | distance to the next face, and the face (HOWFAR of EGSnrc) |
| `cross` | cell behind a face |
| `clearance` | distance to the nearest face (HOWNEAR) |
| `longest_step` | of a charged particle in interface voxels |
| `face_distances` | distances to the next face of each axis; of voxels alone |

The grid is wrapped in a margin of air cells, as thick as the distance from the source, so that particles
scattered and emitted by that air are included. A particle that leaves the grid for the margin has escaped.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from mc.numerics.jit import njit
from phantoms.phantom import Phantom

INTERFACE = 128  # bit of the medium byte: interface or low-density voxel, where electron steps stay short
GAS_DENSITY = 0.1  # [g/cm3]; voxels below it, and those beside a jump by more than JUMP, are marked
JUMP = 3.0
MIN_MARGIN = 0.01  # [cm]


class Voxels(NamedTuple):
    """Kernel-side phantom. Lengths in cm, in the order x, y, z; cells flattened from (z, y, x), margin too.

    Cell 0 and cell n + 1 of an axis are the margin, 1 to n the voxels.
    """

    nx: int
    ny: int
    nz: int
    x0: float
    y0: float
    z0: float
    dx: float
    dy: float
    dz: float
    margin: float
    faces_x: np.ndarray  # (nx + 3,): the margin's outer face, the voxels' faces, the margin's outer face
    faces_y: np.ndarray
    faces_z: np.ndarray
    density: np.ndarray  # (cells,) float32 [g/cm3]
    medium: np.ndarray  # (cells,) uint8, material index + INTERFACE bit
    interface_step: float  # [cm]


def build_voxels(phantom: Phantom, margin: float = 0.0) -> Voxels:
    """Lay a phantom out for the kernels, wrapped in `margin` cm of its first material, air."""
    nz, ny, nx = phantom.grid.shape
    dz, dy, dx = phantom.grid.spacing
    z0, y0, x0 = phantom.grid.lower
    air = np.float32(phantom.materials[0].density)
    density = np.pad(phantom.density, 1, constant_values=air)
    medium = np.pad(phantom.material, 1, constant_values=0)
    medium[_beside_jump(density)] |= INTERFACE
    margin = max(margin, MIN_MARGIN)
    return Voxels(
        nx, ny, nz, x0, y0, z0, dx, dy, dz, margin,
        _faces(x0, dx, nx, margin), _faces(y0, dy, ny, margin), _faces(z0, dz, nz, margin),
        density.ravel(), medium.ravel(),
        min(dx, dy, dz),
    )  # fmt: skip


def without_margin(cells: np.ndarray, phantom: Phantom) -> np.ndarray:
    """The voxels (nz, ny, nx) of a flat array over all cells, as a view."""
    nz, ny, nx = phantom.grid.shape
    return cells.reshape(nz + 2, ny + 2, nx + 2)[1:-1, 1:-1, 1:-1]


def _faces(lower: float, step: float, n: int, margin: float) -> np.ndarray:
    inner = lower + step * np.arange(n + 1)
    return np.concatenate([[lower - margin], inner, [inner[-1] + margin]])


def _beside_jump(density: np.ndarray) -> np.ndarray:
    """Voxels of gas and those that share a face with one JUMP times denser or lighter."""
    marked = density < GAS_DENSITY
    for axis in range(3):
        a = np.moveaxis(density, axis, 0)
        ratio = a[1:] / a[:-1]
        jump = (ratio > JUMP) | (ratio < 1.0 / JUMP)
        view = np.moveaxis(marked, axis, 0)
        view[1:] |= jump
        view[:-1] |= jump
    return marked


@njit
def _cell_of(position, lower, step, n):
    # int(): numba-cuda's floor gives a float
    return min(max(int(math.floor((position - lower) / step)) + 1, 0), n + 1)  # noqa: RUF046


@njit
def locate(geometry, x, y, z):
    """Cell of a point, clipped to the margin."""
    return (
        _cell_of(x, geometry.x0, geometry.dx, geometry.nx),
        _cell_of(y, geometry.y0, geometry.dy, geometry.ny),
        _cell_of(z, geometry.z0, geometry.dz, geometry.nz),
    )


@njit
def index(geometry, cell):
    """Place of a cell in the tally."""
    return (cell[2] * (geometry.ny + 2) + cell[1]) * (geometry.nx + 2) + cell[0]


@njit
def medium(geometry, voxel):
    """Density [g/cm3], material and whether it is an interface or low-density voxel, of a tally place."""
    code = geometry.medium[voxel]
    return float(geometry.density[voxel]), int(code) & (INTERFACE - 1), code >= INTERFACE


@njit
def inverse(cosine):
    """1/cosine, kept finite: a ray along an axis never meets the faces of the other two."""
    return 1.0 / cosine if abs(cosine) > 1e-12 else math.copysign(1e12, cosine)


@njit
def face_distances(geometry, cell, x, y, z, iu, iv, iw):
    """Distances along a ray from a point to the next face of the cell on each axis [cm]."""
    return (
        (geometry.faces_x[cell[0] + (iu > 0.0)] - x) * iu,
        (geometry.faces_y[cell[1] + (iv > 0.0)] - y) * iv,
        (geometry.faces_z[cell[2] + (iw > 0.0)] - z) * iw,
    )


@njit
def boundary(geometry, cell, x, y, z, iu, iv, iw):
    """Distance to the next face of the cell [cm] and the axis it is normal to (HOWFAR).

    The direction is given by the `inverse` of its cosines.
    """
    a, b, c = face_distances(geometry, cell, x, y, z, iu, iv, iw)
    a, b, c = max(0.0, a), max(0.0, b), max(0.0, c)
    if a < b:
        return (a, 0) if a < c else (c, 2)
    return (b, 1) if b < c else (c, 2)


@njit
def clearance(geometry, cell, x, y, z):
    """Distance to the nearest face of the voxel in any direction [cm] (HOWNEAR); not for the margin."""
    a = x - geometry.x0 - (cell[0] - 1) * geometry.dx
    b = y - geometry.y0 - (cell[1] - 1) * geometry.dy
    c = z - geometry.z0 - (cell[2] - 1) * geometry.dz
    return min(a, geometry.dx - a, b, geometry.dy - b, c, geometry.dz - c)


@njit
def longest_step(geometry, x, y, z):
    """Longest step of a charged particle in interface voxels [cm]."""
    return geometry.interface_step


@njit
def cross(geometry, cell, axis, iu, iv, iw):
    """The cell behind the face, and whether the particle is still to be followed there."""
    ix, iy, iz = cell
    if axis == 0:
        ix += 1 if iu > 0.0 else -1
        leaves = (ix == 0 or ix == geometry.nx + 1) and 0 < iy <= geometry.ny and 0 < iz <= geometry.nz
        return (ix, iy, iz), 0 <= ix <= geometry.nx + 1 and not leaves
    if axis == 1:
        iy += 1 if iv > 0.0 else -1
        leaves = (iy == 0 or iy == geometry.ny + 1) and 0 < ix <= geometry.nx and 0 < iz <= geometry.nz
        return (ix, iy, iz), 0 <= iy <= geometry.ny + 1 and not leaves
    iz += 1 if iw > 0.0 else -1
    leaves = (iz == 0 or iz == geometry.nz + 1) and 0 < ix <= geometry.nx and 0 < iy <= geometry.ny
    return (ix, iy, iz), 0 <= iz <= geometry.nz + 1 and not leaves


@njit
def entry(geometry, x, y, z, u, v, w):
    """Distance along a ray to the margin [cm], 0 from inside it, negative if the ray misses."""
    near, far, margin = 0.0, math.inf, geometry.margin
    for axis in range(3):
        if axis == 0:
            position, direction, lower, upper = x, u, geometry.x0, geometry.x0 + geometry.nx * geometry.dx
        elif axis == 1:
            position, direction, lower, upper = y, v, geometry.y0, geometry.y0 + geometry.ny * geometry.dy
        else:
            position, direction, lower, upper = z, w, geometry.z0, geometry.z0 + geometry.nz * geometry.dz
        if direction == 0.0:
            if position < lower - margin or position > upper + margin:
                return -1.0
            continue
        a = (lower - margin - position) / direction
        b = (upper + margin - position) / direction
        near, far = max(near, min(a, b)), min(far, max(a, b))
    return near if near < far else -1.0

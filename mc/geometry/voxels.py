"""Voxel geometry: where a particle is, and how far to the next face.

Every geometry the transport is compiled over offers the same functions: `locate`, `index`, `medium`,
`inverse`, `boundary`, `clearance` and `cross`. A cell is a tuple that only the geometry reads.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from mc.jit import njit
from phantoms.phantom import Phantom

NARROW = 128  # bit of the medium byte: electron steps are kept shorter than a voxel here
GAS_DENSITY = 0.1  # [g/cm3]; below it, and beside a jump by more than JUMP, voxels are narrow
JUMP = 3.0


class Voxels(NamedTuple):
    """Kernel-side phantom. Lengths in cm, in the order x, y, z; voxels flattened from (z, y, x)."""

    nx: int
    ny: int
    nz: int
    x0: float
    y0: float
    z0: float
    dx: float
    dy: float
    dz: float
    density: np.ndarray  # (n,) float32 [g/cm3]
    medium: np.ndarray  # (n,) uint8, material index + NARROW bit
    narrow_length: float  # [cm]


def build_voxels(phantom: Phantom) -> Voxels:
    """Lay a phantom out for the kernels."""
    nz, ny, nx = phantom.grid.shape
    dz, dy, dx = phantom.grid.spacing
    z0, y0, x0 = phantom.grid.lower
    medium = phantom.material.copy()
    medium[_beside_jump(phantom.density)] |= NARROW
    return Voxels(
        nx, ny, nz, x0, y0, z0, dx, dy, dz,
        phantom.density.ravel(), medium.ravel(), min(dx, dy, dz),
    )  # fmt: skip


def _beside_jump(density: np.ndarray) -> np.ndarray:
    """Voxels of gas and those that share a face with one JUMP times denser or lighter."""
    narrow = density < GAS_DENSITY
    for axis in range(3):
        a = np.moveaxis(density, axis, 0)
        ratio = a[1:] / a[:-1]
        jump = (ratio > JUMP) | (ratio < 1.0 / JUMP)
        view = np.moveaxis(narrow, axis, 0)
        view[1:] |= jump
        view[:-1] |= jump
    return narrow


@njit
def locate(geometry, x, y, z):
    """Cell of a point, clipped to the grid."""
    ix = min(max(math.floor((x - geometry.x0) / geometry.dx), 0), geometry.nx - 1)
    iy = min(max(math.floor((y - geometry.y0) / geometry.dy), 0), geometry.ny - 1)
    iz = min(max(math.floor((z - geometry.z0) / geometry.dz), 0), geometry.nz - 1)
    return ix, iy, iz


@njit
def index(geometry, cell):
    """Place of a cell in the tally."""
    return (cell[2] * geometry.ny + cell[1]) * geometry.nx + cell[0]


@njit
def medium(geometry, voxel):
    """Density [g/cm3], material and whether steps must stay short, of a tally place."""
    code = geometry.medium[voxel]
    return float(geometry.density[voxel]), int(code) & (NARROW - 1), code >= NARROW


@njit
def inverse(cosine):
    """1/cosine, kept finite: a ray along an axis never meets the faces of the other two."""
    return 1.0 / cosine if abs(cosine) > 1e-12 else math.copysign(1e12, cosine)


@njit
def _to_face(lower, step, i, position, inverse_cosine):
    """Distance to the face of interval `i` ahead along one axis, at least 0 [cm]."""
    ahead = i + 1 if inverse_cosine > 0.0 else i
    return max(0.0, (lower + ahead * step - position) * inverse_cosine)


@njit
def boundary(geometry, cell, x, y, z, iu, iv, iw):
    """Distance to the face of the cell ahead [cm] and the axis it is normal to.

    The direction is given by the `inverse` of its cosines.
    """
    a = _to_face(geometry.x0, geometry.dx, cell[0], x, iu)
    b = _to_face(geometry.y0, geometry.dy, cell[1], y, iv)
    c = _to_face(geometry.z0, geometry.dz, cell[2], z, iw)
    if a < b:
        return (a, 0) if a < c else (c, 2)
    return (b, 1) if b < c else (c, 2)


@njit
def clearance(geometry, cell, x, y, z):
    """Distance to the nearest face of the cell in any direction [cm]."""
    a = x - geometry.x0 - cell[0] * geometry.dx
    b = y - geometry.y0 - cell[1] * geometry.dy
    c = z - geometry.z0 - cell[2] * geometry.dz
    return min(a, geometry.dx - a, b, geometry.dy - b, c, geometry.dz - c)


@njit
def cross(geometry, cell, axis, iu, iv, iw):
    """The cell beyond the face, and whether it is inside the grid."""
    ix, iy, iz = cell
    if axis == 0:
        ix += 1 if iu > 0.0 else -1
        return (ix, iy, iz), 0 <= ix < geometry.nx
    if axis == 1:
        iy += 1 if iv > 0.0 else -1
        return (ix, iy, iz), 0 <= iy < geometry.ny
    iz += 1 if iw > 0.0 else -1
    return (ix, iy, iz), 0 <= iz < geometry.nz


@njit
def entry(geometry, x, y, z, u, v, w):
    """Distance along a ray to the grid [cm], 0 from inside, negative if the ray misses."""
    near, far = 0.0, math.inf
    for axis in range(3):
        if axis == 0:
            position, direction, lower, length = x, u, geometry.x0, geometry.nx * geometry.dx
        elif axis == 1:
            position, direction, lower, length = y, v, geometry.y0, geometry.ny * geometry.dy
        else:
            position, direction, lower, length = z, w, geometry.z0, geometry.nz * geometry.dz
        if direction == 0.0:
            if position < lower or position > lower + length:
                return -1.0
            continue
        a = (lower - position) / direction
        b = (lower + length - position) / direction
        near, far = max(near, min(a, b)), min(far, max(a, b))
    return near if near < far else -1.0

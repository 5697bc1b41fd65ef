"""Voxel geometry: where a particle is, how far to the next face, and Woodcock majorants by block.

Every geometry the transport is compiled over offers the same functions: `locate`, `index`, `medium`,
`boundary`, `cross` for charged particles, and `locate_block`, `block_majorant`, `block_boundary`,
`block_cross` for the photons' Woodcock flights. A cell is a tuple that only the geometry reads.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from mc.jit import njit
from mc.tables import Tables
from phantoms.phantom import Phantom

BLOCK = 8  # voxels along the edge of a majorant block: 2 cm at clinical voxel sizes
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
    mx: int  # blocks along x, y, z
    my: int
    mz: int
    block_density: np.ndarray  # (blocks,) float32, the largest density within
    block_set: np.ndarray  # (blocks,) int32, which set of materials lies within
    set_attenuation: np.ndarray  # (sets, ne) float32, the largest mu/rho of each set [cm2/g]


def build_voxels(phantom: Phantom, tables: Tables) -> Voxels:
    """Lay a phantom out for the kernels.

    A majorant per block of voxels and set of materials keeps one implant from slowing the whole
    patient; as the node-wise maximum it bounds the linear interpolation of each material.
    """
    nz, ny, nx = phantom.grid.shape
    dz, dy, dx = phantom.grid.spacing
    z0, y0, x0 = phantom.grid.lower
    medium = phantom.material.copy()
    medium[_beside_jump(phantom.density)] |= NARROW

    starts = [np.arange(0, n, BLOCK) for n in phantom.grid.shape]
    block_density = _block_max(phantom.density, starts)
    present = np.stack(
        [_block_max(phantom.material == m, starts).ravel() for m in range(len(phantom.materials))], axis=1
    )
    sets, block_set = np.unique(present, axis=0, return_inverse=True)
    attenuation = np.stack([tables.photon[chosen, :, 0].max(axis=0) for chosen in sets])
    mz, my, mx = block_density.shape
    return Voxels(
        nx, ny, nz, x0, y0, z0, dx, dy, dz,
        phantom.density.ravel(), medium.ravel(), min(dx, dy, dz),
        mx, my, mz,
        block_density.ravel(), block_set.ravel().astype(np.int32),
        np.ascontiguousarray(attenuation, np.float32),
    )  # fmt: skip


def _block_max(array: np.ndarray, starts: list[np.ndarray]) -> np.ndarray:
    """Maximum of `array` over blocks that begin at `starts` along each axis."""
    for axis, first in enumerate(starts):
        array = np.maximum.reduceat(array, first, axis=axis)
    return array


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
def _to_face(lower, step, i, position, direction):
    """Distance to the face of interval `i` ahead along one axis, at least 0 [cm]."""
    if direction > 0.0:
        return max(0.0, (lower + (i + 1) * step - position) / direction)
    if direction < 0.0:
        return max(0.0, (lower + i * step - position) / direction)
    return math.inf


@njit
def boundary(geometry, cell, x, y, z, u, v, w):
    """Distance to the face of the cell ahead [cm] and the axis it is normal to."""
    a = _to_face(geometry.x0, geometry.dx, cell[0], x, u)
    b = _to_face(geometry.y0, geometry.dy, cell[1], y, v)
    c = _to_face(geometry.z0, geometry.dz, cell[2], z, w)
    if a < b:
        return (a, 0) if a < c else (c, 2)
    return (b, 1) if b < c else (c, 2)


@njit
def _step_cell(cell, axis, u, v, w):
    if axis == 0:
        return cell[0] + (1 if u > 0.0 else -1), cell[1], cell[2]
    if axis == 1:
        return cell[0], cell[1] + (1 if v > 0.0 else -1), cell[2]
    return cell[0], cell[1], cell[2] + (1 if w > 0.0 else -1)


@njit
def cross(geometry, cell, axis, u, v, w):
    """The cell beyond the face, and whether it is inside the grid."""
    cell = _step_cell(cell, axis, u, v, w)
    inside = 0 <= cell[0] < geometry.nx and 0 <= cell[1] < geometry.ny and 0 <= cell[2] < geometry.nz
    return cell, inside


@njit
def locate_block(geometry, x, y, z):
    """Majorant block of a point, clipped to the grid."""
    ix, iy, iz = locate(geometry, x, y, z)
    return ix // BLOCK, iy // BLOCK, iz // BLOCK


@njit
def block_majorant(geometry, block, interval, fraction):
    """Attenuation coefficient that no voxel of the block exceeds at an energy [1/cm]."""
    i = (block[2] * geometry.my + block[1]) * geometry.mx + block[0]
    chosen = geometry.block_set[i]
    low = geometry.set_attenuation[chosen, interval]
    high = geometry.set_attenuation[chosen, interval + 1]
    return geometry.block_density[i] * (low + fraction * (high - low)) * 1.000001


@njit
def block_boundary(geometry, block, x, y, z, u, v, w):
    """Distance to the face of the block ahead [cm] and the axis it is normal to."""
    a = _to_face(geometry.x0, BLOCK * geometry.dx, block[0], x, u)
    b = _to_face(geometry.y0, BLOCK * geometry.dy, block[1], y, v)
    c = _to_face(geometry.z0, BLOCK * geometry.dz, block[2], z, w)
    if a < b:
        return (a, 0) if a < c else (c, 2)
    return (b, 1) if b < c else (c, 2)


@njit
def block_cross(geometry, block, axis, u, v, w):
    """The block beyond the face, and whether it is inside the grid."""
    block = _step_cell(block, axis, u, v, w)
    inside = 0 <= block[0] < geometry.mx and 0 <= block[1] < geometry.my and 0 <= block[2] < geometry.mz
    return block, inside


@njit
def inside(geometry, x, y, z):
    """Whether a point lies within the grid: the last block may reach beyond it."""
    return (
        geometry.x0 <= x <= geometry.x0 + geometry.nx * geometry.dx
        and geometry.y0 <= y <= geometry.y0 + geometry.ny * geometry.dy
        and geometry.z0 <= z <= geometry.z0 + geometry.nz * geometry.dz
    )


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

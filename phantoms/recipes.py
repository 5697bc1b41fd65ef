"""Phantoms from parameters: water tanks and layered slabs with inserts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from phantoms.grid import Grid
from phantoms.materials import Material, load_materials
from phantoms.phantom import Phantom

EDGE = 1e-6  # [voxels] rounding allowed where a layer must end on a voxel edge


class Layer(NamedTuple):
    """A slab of one material across the whole phantom, from z0 to z1 [cm]."""

    material: Material
    density: float  # [g/cm3]
    z0: float
    z1: float


class Box(NamedTuple):
    """A cuboid insert between two corners (z, y, x) [cm]."""

    material: Material
    density: float  # [g/cm3]
    lower: tuple[float, float, float]
    upper: tuple[float, float, float]


def water_tank(
    size: tuple[float, float, float] = (30.0, 30.0, 30.0),
    voxel: tuple[float, float, float] = (0.25, 0.25, 0.25),
    surface: float = 0.0,
    inserts: Sequence[Box] = (),
) -> Phantom:
    """Return a tank of water, centred in x and y, its surface at z = `surface`, depth along +z.

    Parameters
    ----------
    size, voxel : (float, float, float)
        Along z, y, x [cm]; the tank must hold a whole number of voxels.
    surface : float
        [cm]
    inserts : sequence of Box
    """
    water = load_materials()["water"]
    return slabs([Layer(water, water.density, surface, surface + size[0])], size[1:], voxel, inserts)


def slabs(
    layers: Sequence[Layer],
    width: tuple[float, float],
    voxel: tuple[float, float, float],
    inserts: Sequence[Box] = (),
) -> Phantom:
    """Return a layered phantom, centred in x and y.

    Parameters
    ----------
    layers : sequence of Layer
        Ascending and without gaps; their borders must lie on voxel edges.
    width : (float, float)
        Along y and x [cm].
    voxel : (float, float, float)
        Along z, y, x [cm].
    inserts : sequence of Box
        Fill all voxels whose centre they hold; later ones win.
    """
    for above, below in pairwise(layers):
        if abs(above.z1 - below.z0) > EDGE * voxel[0]:
            raise ValueError(f"layers leave a gap or overlap between z = {above.z1} and {below.z0} cm")
    top, bottom = layers[0].z0, layers[-1].z1
    size = np.array([bottom - top, *width])
    shape = tuple(_whole(length / step) for length, step in zip(size, voxel, strict=True))
    lower = np.array([top, -0.5 * width[0], -0.5 * width[1]])
    grid = Grid(shape, voxel, tuple(lower + 0.5 * np.array(voxel)))

    materials = [load_materials()["air"]]
    density = np.empty(shape, dtype=np.float32)
    index = np.empty(shape, dtype=np.uint8)
    for layer in layers:
        block = slice(_whole((layer.z0 - top) / voxel[0]), _whole((layer.z1 - top) / voxel[0]))
        density[block], index[block] = layer.density, _index_of(layer.material, materials)
    for box in inserts:
        ranges = [
            np.flatnonzero((grid.centres(axis) >= box.lower[axis]) & (grid.centres(axis) < box.upper[axis]))
            for axis in range(3)
        ]
        density[np.ix_(*ranges)], index[np.ix_(*ranges)] = box.density, _index_of(box.material, materials)
    return Phantom(grid, density, index, tuple(materials))


def _whole(number: float) -> int:
    if abs(number - round(number)) > EDGE * max(1.0, abs(number)):
        raise ValueError(f"{number} voxels: sizes and layers must be whole numbers of voxels")
    return round(number)


def _index_of(material: Material, materials: list[Material]) -> int:
    """Return the index of `material`, adding it where it is new."""
    if material not in materials:
        materials.append(material)
    return materials.index(material)

"""Phantoms as a file describes them: a box, slabs and cuboids in it, and where a plan's isocentre lies.

Lengths are cm, along the patient's axes as DICOM has them: x to the left, y to posterior, z to the head.
Places count from the box's corner to the right, in front and below. docs/formats.md describes the entries.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from phantoms.errors import InputError
from phantoms.kinds import PHANTOM
from phantoms.materials import Material, load_materials
from phantoms.phantom import Phantom
from phantoms.recipes import Box, Layer, slabs
from phantoms.schema import Table, meant, read_table

SHIPPED = Path(__file__).parent / "data" / "phantoms"
AXES = ("x", "y", "z")
ON_FACE = 1e-6  # by which a face may lie beside one of voxels, in voxels
MAX_VOXELS = 500_000_000


@dataclass(frozen=True)
class PhantomFile:
    """A phantom that can be put about any isocentre.

    Parameters
    ----------
    path : Path
    title, notes : str
    size_cm, voxel_cm, isocentre_cm : (float, float, float)
        Along x, y, z; the isocentre from the corner.
    material : Material
    density : float
        Of the box [g/cm3].
    inserts : tuple of Box
        From the corner, in its order of axes: z, y, x.
    """

    path: Path
    title: str
    notes: str
    size_cm: tuple[float, float, float]
    voxel_cm: tuple[float, float, float]
    isocentre_cm: tuple[float, float, float]
    material: Material
    density: float
    inserts: tuple[Box, ...]

    def about(self, isocentre: tuple[float, float, float]) -> Phantom:
        """The phantom in the coordinates of a plan whose isocentre lies at `isocentre` (x, y, z) [cm]."""
        size, voxel = self.size_cm[::-1], self.voxel_cm[::-1]
        layer = Layer(self.material, self.density, 0.0, size[0])
        middle = np.array([0.0, 0.5 * size[1], 0.5 * size[2]])  # `slabs` centres y and x
        inserts = [
            box._replace(lower=tuple(np.array(box.lower) - middle), upper=tuple(np.array(box.upper) - middle))
            for box in self.inserts
        ]
        made = slabs([layer], size[1:], voxel, inserts)
        corner = np.array(isocentre[::-1]) - np.array(self.isocentre_cm[::-1])
        origin = tuple(corner + 0.5 * np.array(voxel))
        return replace(made, grid=replace(made.grid, origin=origin))


def find_phantom(name: str | Path) -> PhantomFile:
    """A phantom shipped under this name, or the file of this path.

    Raises
    ------
    InputError
        If there is none, or an entry is missing, unknown or impossible.
    """
    shipped = {path.stem: path for path in sorted(SHIPPED.glob("*.toml"))}
    path = shipped.get(str(name), Path(name))
    if not path.is_file():
        raise InputError(
            f"phantom {str(name)!r}",
            "is neither shipped nor a file",
            f"{meant(str(name), shipped)}shipped: {', '.join(shipped)}",
        )
    return read_phantom_file(path)


def read_phantom_file(path: Path) -> PhantomFile:
    """Read a phantom file; every unknown, missing or impossible entry is an InputError."""
    table = read_table(path)
    table.expect("size_cm voxel_cm", "isocentre_cm material density slabs boxes title notes", kind=PHANTOM)
    size = table.numbers("size_cm", 3, above=0.0)
    voxel = table.numbers("voxel_cm", above=0.0)
    if len(voxel) not in (1, 3):
        raise table.error("voxel_cm", f"must hold one number, or three, found {len(voxel)}")
    voxel = voxel * 3 if len(voxel) == 1 else voxel
    for axis in range(3):
        _whole(table, "size_cm", size[axis], voxel[axis], AXES[axis])
    if np.prod(np.array(size) / np.array(voxel)) > MAX_VOXELS:
        raise table.error("voxel_cm", f"makes more than {MAX_VOXELS:,} voxels", "choose larger ones")
    isocentre = table.numbers("isocentre_cm", 3) if "isocentre_cm" in table else tuple(0.5 * s for s in size)
    material, density = _material(table, default="water")
    inserts = [_slab(entry, size, voxel) for entry in (table.tables("slabs") if "slabs" in table else ())]
    inserts += [_cuboid(entry, size, voxel) for entry in (table.tables("boxes") if "boxes" in table else ())]
    found = PhantomFile(
        path=path,
        title=table.text("title", default=path.stem),
        notes=table.text("notes", default=""),
        size_cm=size,
        voxel_cm=voxel,
        isocentre_cm=isocentre,
        material=material,
        density=density,
        inserts=tuple(inserts),
    )
    table.finish()
    return found


def _material(table: Table, **default: str) -> tuple[Material, float]:
    materials = load_materials()
    material = materials[table.choice("material", tuple(materials), **default)]
    return material, table.number("density", above=0.0, default=material.density)


def _slab(table: Table, size: tuple[float, ...], voxel: tuple[float, ...]) -> Box:
    """A slab across the whole box."""
    table.expect("material from_cm to_cm", "density axis")
    axis = AXES.index(table.choice("axis", AXES, default="y"))
    lower, upper = [0.0, 0.0, 0.0], list(size)
    lower[axis], upper[axis] = table.number("from_cm"), table.number("to_cm")
    return _box(table, ("from_cm", "to_cm"), lower, upper, size, voxel)


def _cuboid(table: Table, size: tuple[float, ...], voxel: tuple[float, ...]) -> Box:
    table.expect("material lower_cm upper_cm", "density")
    lower, upper = table.numbers("lower_cm", 3), table.numbers("upper_cm", 3)
    return _box(table, ("lower_cm", "upper_cm"), lower, upper, size, voxel)


def _box(table: Table, keys: tuple[str, str], lower, upper, size, voxel) -> Box:
    """A cuboid between two corners (x, y, z), which must lie on faces of voxels within the box."""
    material, density = _material(table)
    table.finish()
    for axis, name in enumerate(AXES):
        low, high = lower[axis], upper[axis]
        if not -ON_FACE <= low < high <= size[axis] + ON_FACE:
            raise table.error(
                keys[0], f"{low:g} to {high:g} cm is no part of 0 to {size[axis]:g} along {name}"
            )
        for key, place in zip(keys, (low, high), strict=True):
            _whole(table, key, place, voxel[axis], name)
    return Box(material, density, tuple(lower[::-1]), tuple(upper[::-1]))


def _whole(table: Table, key: str, length: float, voxel: float, axis: str) -> None:
    if abs(length / voxel - round(length / voxel)) > ON_FACE * max(1.0, length / voxel):
        raise table.error(
            key,
            f"{length:g} cm along {axis} is no whole number of voxels of {voxel:g} cm",
            "change one of them",
        )

"""Hounsfield units to density and material, by a named calibration curve in a data file."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from phantoms.errors import InputError
from phantoms.kinds import CURVE
from phantoms.materials import DATA, Material, load_materials
from phantoms.schema import Table, meant, read_table

CURVES = DATA / "ct"
MAX_MATERIALS = 200


@dataclass(frozen=True, eq=False)
class Calibration:
    """A CT calibration curve.

    Parameters
    ----------
    name : str
    source : str
        Scanner and protocol, or publication.
    hu : (n,) float64
        HU of the curve's points, ascending.
    density : (n,) float64
        Density at these points [g/cm3]; linear between them.
    upper_hu : (m - 1,) float64
        Upper limits (exclusive) of all materials but the last, ascending.
    materials : tuple of Material, length m
    """

    name: str
    source: str
    hu: np.ndarray
    density: np.ndarray
    upper_hu: np.ndarray
    materials: tuple[Material, ...]

    def apply(self, hu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return density and material of voxels.

        HU below the first or above the last point of the curve take that point's density; see
        `count_clamped`.

        Parameters
        ----------
        hu : (...) float32

        Returns
        -------
        density : (...) float32 [g/cm3]
        material : (...) uint8
            Index into `materials`.
        """
        density = np.empty(hu.shape, dtype=np.float32)
        material = np.empty(hu.shape, dtype=np.uint8)
        for k in range(len(hu)):  # slice by slice: np.interp makes float64 copies
            density[k] = np.interp(hu[k], self.hu, self.density)
            material[k] = np.searchsorted(self.upper_hu, hu[k], side="right")
        return density, material

    def count_clamped(self, hu: np.ndarray) -> tuple[int, int]:
        """Return how many voxels lie below the first and above the last point of the curve."""
        return int(np.count_nonzero(hu < self.hu[0])), int(np.count_nonzero(hu > self.hu[-1]))


def calibration_names() -> list[str]:
    """Return the names of the curves that are shipped."""
    return sorted(path.stem for path in CURVES.glob("*.toml"))


def load_calibration(name_or_path: str | Path, materials: dict[str, Material] | None = None) -> Calibration:
    """Read a calibration curve.

    Parameters
    ----------
    name_or_path : str or path
        A shipped curve by name, or a TOML file laid out like those in data/ct.
    materials : dict of str to Material, optional
        Where material names are looked up; the shipped table by default.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = CURVES / f"{name_or_path}.toml"
        if str(name_or_path) not in calibration_names():
            raise InputError(
                name_or_path,
                "no CT calibration of this name",
                f"{meant(str(name_or_path), calibration_names())}"
                f"shipped are {', '.join(calibration_names())}; or name a .toml file",
            )
    table = read_table(path)
    table.expect("hu_to_density materials", "name source", kind=CURVE)
    hu, density = _read_curve(table)
    upper_hu, used = _read_materials(table, materials if materials is not None else load_materials())
    calibration = Calibration(
        name=table.text("name", path.stem),
        source=table.text("source", ""),
        hu=hu,
        density=density,
        upper_hu=upper_hu,
        materials=used,
    )
    table.finish()
    return calibration


def _read_curve(table: Table) -> tuple[np.ndarray, np.ndarray]:
    points = table.rows("hu_to_density", 2, remedy="[HU, density in g/cm3]")
    hu, density = np.array(points, dtype=np.float64).T
    if len(hu) < 2 or not (np.diff(hu) > 0).all():
        raise table.error("hu_to_density", "needs two or more points of ascending HU")
    if not density.min() > 0:
        raise table.error("hu_to_density", "densities must be above 0 g/cm3")
    return hu, density


def _read_materials(table: Table, known: dict[str, Material]) -> tuple[np.ndarray, tuple[Material, ...]]:
    """Upper HU limits of all materials but the last, and the materials."""
    rows, limits, used = table.tables("materials"), [], []
    for row in rows:
        row.expect("name", "below")
        used.append(known[row.choice("name", tuple(known))])
        if ("below" in row) == (row is rows[-1]):
            raise row.error("below", "every material but the last needs its upper HU limit")
        if row is not rows[-1]:
            limits.append(row.number("below"))
        row.finish()
    if any(not low < high for low, high in pairwise(limits)):
        raise table.error("materials", "the upper HU limits must ascend")
    if len(rows) > MAX_MATERIALS:
        raise table.error("materials", f"are {len(rows)}, more than the {MAX_MATERIALS} a phantom can hold")
    return np.array(limits, dtype=np.float64), tuple(used)

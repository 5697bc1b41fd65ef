"""Hounsfield units to density and material, by a named calibration curve in a data file."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from phantoms.errors import InputError
from phantoms.materials import DATA, Material, load_materials, read_toml

CURVES = DATA / "ct"


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
                f"shipped are {', '.join(calibration_names())}; or name a .toml file",
            )
    row = read_toml(path)
    unknown = set(row) - {"name", "source", "hu_to_density", "materials"}
    if unknown:
        raise InputError(path, f"unknown key {sorted(unknown)[0]}")
    hu, density = _read_curve(path, row.get("hu_to_density"))
    upper_hu, names = _read_materials(path, row.get("materials"))
    table = materials if materials is not None else load_materials()
    for name in names:
        if name not in table:
            raise InputError(path, f"unknown material {name}", "see phantoms/data/materials.toml")
    return Calibration(
        name=str(row.get("name", path.stem)),
        source=str(row.get("source", "")),
        hu=hu,
        density=density,
        upper_hu=upper_hu,
        materials=tuple(table[name] for name in names),
    )


def _read_curve(path: Path, points: object) -> tuple[np.ndarray, np.ndarray]:
    try:
        hu, density = np.array(points, dtype=np.float64).T
    except (TypeError, ValueError):
        raise InputError(path, "hu_to_density must be a list of [HU, density in g/cm3]") from None
    if len(hu) < 2 or not np.isfinite(hu).all() or not (np.diff(hu) > 0).all():
        raise InputError(path, "hu_to_density needs two or more points of ascending HU")
    if not (np.isfinite(density).all() and density.min() > 0):
        raise InputError(path, "hu_to_density: densities must be above 0 g/cm3")
    return hu, density


def _read_materials(path: Path, rows: object) -> tuple[np.ndarray, list[str]]:
    if not (isinstance(rows, list) and rows and all(isinstance(row, dict) and "name" in row for row in rows)):
        raise InputError(path, "materials must be a list of { name, below }")
    limits = [row.get("below") for row in rows[:-1]]
    if not all(isinstance(limit, int | float) for limit in limits) or "below" in rows[-1]:
        raise InputError(path, "every material but the last needs its upper HU limit `below`")
    if any(not low < high for low, high in pairwise(limits)):
        raise InputError(path, "the upper HU limits of the materials must ascend")
    if len(rows) > 200:
        raise InputError(path, f"{len(rows)} materials are more than the 200 that a phantom can hold")
    return np.array(limits, dtype=np.float64), [str(row["name"]) for row in rows]

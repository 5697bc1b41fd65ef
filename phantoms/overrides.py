"""The case file: what the user says about a case beyond the planning system's export.

calibration = "opentps-4"        # a shipped CT calibration, or a .toml file beside the case file
external = "BODY"                # the patient's outline, where the RTSTRUCT has several
materials = "our-materials.toml" # materials of your own, laid out as phantoms/data/materials.toml

[overrides]                      # later entries win where structures overlap
"Rod left" = { material = "titanium", density = 4.54 }
"Cement" = { material = "pmma" } # without density: the material's own
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from phantoms.errors import InputError
from phantoms.materials import Material, is_positive, load_materials, read_toml, with_own_materials


@dataclass(frozen=True)
class Override:
    """One material and density for all voxels of a structure."""

    roi: str
    material: Material
    density: float  # [g/cm3]


@dataclass(frozen=True)
class CaseFile:
    """The content of a case file; None where it does not say.

    Parameters
    ----------
    calibration : str or None
        Name of a shipped calibration, or path of the user's own.
    external : str or None
        Name of the body outline.
    overrides : tuple of Override
    materials : dict of str to Material, or None
        The shipped materials and the user's own, where there are any.
    """

    calibration: str | None = None
    external: str | None = None
    overrides: tuple[Override, ...] = ()
    materials: dict[str, Material] | None = None

    @property
    def own_materials(self) -> list[Material]:
        """The user's own materials."""
        shipped = load_materials()
        return [m for m in (self.materials or {}).values() if m.name not in shipped]


def load_case_file(path: str | Path) -> CaseFile:
    """Read a case file. Files it names lie beside it."""
    path = Path(path)
    content = read_toml(path)
    known = ("calibration", "external", "materials", "overrides")
    unknown = set(content) - set(known)
    if unknown:
        raise InputError(path, f"unknown key {sorted(unknown)[0]}", f"known are {', '.join(known)}")
    for key in known[:3]:
        if not isinstance(content.get(key, ""), str):
            raise InputError(path, f"{key} must be a text")
    table = content.get("overrides", {})
    if not isinstance(table, dict):
        raise InputError(path, "overrides must be a table")
    own = with_own_materials(path.parent / content["materials"]) if "materials" in content else None
    materials = load_materials() if own is None else own
    calibration = content.get("calibration")
    if calibration is not None and calibration.endswith(".toml"):
        calibration = str(path.parent / calibration)
    return CaseFile(
        calibration=calibration,
        external=content.get("external"),
        overrides=tuple(_override(path, roi, row, materials) for roi, row in table.items()),
        materials=own,
    )


def _override(path: Path, roi: str, row: object, materials: Mapping[str, Material]) -> Override:
    where = f"{path}, override of {roi}"
    if not isinstance(row, dict) or not isinstance(row.get("material"), str):
        raise InputError(where, "needs a material", 'like { material = "titanium", density = 4.54 }')
    unknown = set(row) - {"material", "density"}
    if unknown:
        raise InputError(where, f"unknown key {sorted(unknown)[0]}")
    if row["material"] not in materials:
        raise InputError(where, f"unknown material {row['material']}", f"known are {', '.join(materials)}")
    material = materials[row["material"]]
    density = row.get("density", material.density)
    if not is_positive(density) or density > 25:
        raise InputError(where, f"density {density!r} is not between 0 and 25 g/cm3")
    return Override(roi, material, float(density))

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

from phantoms.kinds import CASE
from phantoms.materials import Material, load_materials, with_own_materials
from phantoms.schema import Table, read_table

MAX_DENSITY = 25.0  # of an override [g/cm3]; osmium has 22.6
EXAMPLE = 'like { material = "titanium", density = 4.54 }'


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
    table = read_table(path)
    table.expect("", "calibration external materials overrides", kind=CASE)
    own = with_own_materials(path.parent / table.text("materials")) if "materials" in table else None
    calibration = table.text("calibration") if "calibration" in table else None
    if calibration is not None and calibration.endswith(".toml"):
        calibration = str(path.parent / calibration)
    case = CaseFile(
        calibration=calibration,
        external=table.text("external") if "external" in table else None,
        overrides=_overrides(table, load_materials() if own is None else own),
        materials=own,
    )
    table.finish()
    return case


def _overrides(table: Table, materials: Mapping[str, Material]) -> tuple[Override, ...]:
    if "overrides" not in table:
        return ()
    by_roi = table.table("overrides")
    return tuple(_override(by_roi.table(roi, EXAMPLE), roi, materials) for roi in by_roi)


def _override(table: Table, roi: str, materials: Mapping[str, Material]) -> Override:
    table.expect("material", "density")
    material = materials[table.choice("material", tuple(materials))]
    density = table.number("density", above=0.0, default=material.density, remedy="in g/cm3")
    table.finish()
    if density > MAX_DENSITY:
        raise table.error("density", f"{density:g} is above {MAX_DENSITY:g}", "in g/cm3")
    return Override(roi, material, density)

"""The head of a linac as a machine file describes it: the electrons on the target and the parts of the head.

The table `[energies.head]` (docs/formats.md). Lengths are cm, z along the beam from the front of the target.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from phantoms.schema import Table

DEFAULT_SPLITTING, MAX_SPLITTING = 200, 5_000  # the stack could not hold the secondaries of more
DEFAULT_ELECTRONS, MAX_ELECTRONS = 500_000, 10**12
CM = "lengths are cm, counted from the front of the target"
FWHM = 2.0 * math.sqrt(2.0 * math.log(2.0))  # of a normal distribution, in standard deviations


@dataclass(frozen=True)
class Part:
    """A solid of revolution about the axis, its outline straight between the heights `z_cm`.

    Parameters
    ----------
    name : str
    material : str
        Name in the table of materials.
    density : float or None
        [g/cm3]; None for that of the material.
    z_cm, inner_cm, outer_cm : tuple of float
        Heights, ascending, and the radii there; an outer radius of infinity is a plate.
    """

    name: str
    material: str
    density: float | None
    z_cm: tuple[float, ...]
    inner_cm: tuple[float, ...]
    outer_cm: tuple[float, ...]


@dataclass(frozen=True)
class Core:
    """The centre of the splitting field, whose photons come from separate electrons with more splitting.

    Near the axis, rotating histories about it gains nothing, so more photons are needed there.

    Parameters
    ----------
    radius_cm : float
        In the isocentre plane.
    splitting : int
    share : float
        Of the electrons on the target.
    """

    radius_cm: float
    splitting: int
    share: float


@dataclass(frozen=True)
class Head:
    """Electron beam, parts, and how the head is simulated.

    Parameters
    ----------
    electron_mev, energy_fwhm_mev : float
        Mean kinetic energy and full width at half maximum of its normal distribution.
    spot_radius_cm : float or None
        Of a uniform disc of parallel electrons; None for a normal spot.
    spot_fwhm_cm : tuple of float or None
        Full widths at half maximum in x and y of a normal spot; None for a disc.
    splitting : int
        Photons that directional splitting makes of each; 1 is analogue transport.
    splitting_radius_cm : float
        Of the splitting field in the isocentre plane.
    contaminants_from_z_cm : float or None
        Below this height charged particles are split too; None: nowhere, and they keep their full weight.
    plane_z_cm : float
        Where the phase space is scored.
    radius_cm : float
        Of the simulated cylinder; particles that leave it are discarded.
    electrons : int
        On the target, for a phase space that is made when it is first needed.
    parts : tuple of Part
    core : Core or None
    """

    electron_mev: float
    energy_fwhm_mev: float
    spot_radius_cm: float | None
    spot_fwhm_cm: tuple[float, float] | None
    splitting: int
    splitting_radius_cm: float
    contaminants_from_z_cm: float | None
    plane_z_cm: float
    radius_cm: float
    electrons: int
    parts: tuple[Part, ...]
    core: Core | None = None

    @property
    def symmetric(self) -> bool:
        """Whether the beam is symmetric about the axis, as all parts are."""
        return self.spot_fwhm_cm is None or self.spot_fwhm_cm[0] == self.spot_fwhm_cm[1]

    @property
    def top_cm(self) -> float:
        """Where the electrons meet the first part."""
        return min(part.z_cm[0] for part in self.parts)


def read_head(table: Table, isocentre_cm: float) -> Head:
    """Read `[energies.head]`; every unknown, missing or impossible entry is an InputError.

    Parameters
    ----------
    isocentre_cm : float
        Height of the isocentre.
    """
    spot = "energy_fwhm_mev spot_radius_cm spot_fwhm_cm"
    optional = f"{spot} splitting contaminants_from_z_cm radius_cm electrons core"
    table.expect("electron_mev splitting_radius_cm plane_z_cm parts", optional)
    disc, normal = "spot_radius_cm" in table, "spot_fwhm_cm" in table
    if disc == normal:
        raise table.error("spot_radius_cm", "give either it, for a disc, or spot_fwhm_cm, for a normal spot")
    head = Head(
        electron_mev=table.number("electron_mev", above=0.0),
        energy_fwhm_mev=_not_negative(table, "energy_fwhm_mev", 0.0),
        spot_radius_cm=_not_negative(table, "spot_radius_cm") if disc else None,
        spot_fwhm_cm=table.numbers("spot_fwhm_cm", 2, above=0.0) if normal else None,
        splitting=_whole(table, "splitting", DEFAULT_SPLITTING, MAX_SPLITTING),
        splitting_radius_cm=table.number("splitting_radius_cm", above=0.0),
        contaminants_from_z_cm=(
            table.number("contaminants_from_z_cm") if "contaminants_from_z_cm" in table else None
        ),
        plane_z_cm=table.number("plane_z_cm"),
        radius_cm=table.number("radius_cm", above=0.0, default=30.0),
        electrons=_whole(table, "electrons", DEFAULT_ELECTRONS, MAX_ELECTRONS),
        parts=tuple(_part(entry) for entry in table.tables("parts")),
        core=_core(table.table("core")) if "core" in table else None,
    )
    table.finish()
    if head.electron_mev <= 1.5 * head.energy_fwhm_mev:
        raise table.error("energy_fwhm_mev", "is too wide for the electron energy", "both are in MeV")
    top, splitting_plane = head.top_cm, head.contaminants_from_z_cm
    if not top < head.plane_z_cm < isocentre_cm:
        raise table.error("plane_z_cm", f"must lie between {top:g} and the isocentre at {isocentre_cm:g}", CM)
    if splitting_plane is not None and not top < splitting_plane < head.plane_z_cm:
        raise table.error("contaminants_from_z_cm", f"must lie between {top:g} and the plane", CM)
    if head.core is not None and not head.core.radius_cm < head.splitting_radius_cm:
        raise table.error("core", "its radius_cm must lie within splitting_radius_cm")
    for part in head.parts:
        if part.z_cm[-1] > head.plane_z_cm:
            raise table.error("parts", f"{part.name} reaches below the plane at {head.plane_z_cm:g} cm", CM)
    return head


def _core(table: Table) -> Core:
    table.expect("radius_cm", "splitting share")
    core = Core(
        radius_cm=table.number("radius_cm", above=0.0),
        splitting=_whole(table, "splitting", MAX_SPLITTING, MAX_SPLITTING),
        share=table.number("share", above=0.0, default=0.5),
    )
    table.finish()
    if not core.share < 1.0:
        raise table.error("share", f"must lie between 0 and 1, found {core.share:g}")
    return core


def _not_negative(table: Table, key: str, *default: float) -> float:
    value = table.number(key, **({"default": default[0]} if default else {}))
    if value < 0.0:
        raise table.error(key, f"must not be negative, found {value:g}")
    return value


def _whole(table: Table, key: str, default: int, maximum: int) -> int:
    value = table.number(key, above=0.0, default=float(default))
    if value != int(value) or value > maximum:
        raise table.error(key, f"must be a whole number up to {maximum}, found {value:g}")
    return int(value)


def _part(table: Table) -> Part:
    table.expect("name material z_cm", "density inner_cm outer_cm")
    heights = table.numbers("z_cm")
    part = Part(
        name=table.text("name"),
        material=table.text("material"),
        density=table.number("density", above=0.0) if "density" in table else None,
        z_cm=heights,
        inner_cm=_radii(table, "inner_cm", len(heights), 0.0),
        outer_cm=_radii(table, "outer_cm", len(heights), math.inf),
    )
    table.finish()
    if len(heights) < 2 or any(high <= low for low, high in pairwise(heights)):
        raise table.error("z_cm", f"must be two or more ascending heights, found {list(heights)}")
    pairs = list(zip(part.inner_cm, part.outer_cm, strict=True))
    if any(inner < 0.0 or inner > outer for inner, outer in pairs) or all(a == b for a, b in pairs):
        raise table.error("outer_cm", "must lie outside inner_cm, and neither below 0")
    return part


def _radii(table: Table, key: str, length: int, default: float) -> Sequence[float]:
    """Radii at the heights of a part; a single one is that of a cylinder."""
    if key not in table:
        return (default,) * length
    radii = table.numbers(key)
    if len(radii) not in (1, length):
        raise table.error(key, f"must hold one radius, or one for each of the {length} heights of z_cm")
    return radii * length if len(radii) == 1 else radii

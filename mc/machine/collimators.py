"""Collimators as a machine file describes them: jaws, one multileaf collimator, fixed cones.

Heights are cm along the beam from the front of the target; positions, boundaries and diameters are those of
the isocentre plane, as plans state them (IEC 61217 beam limiting device axes X and Y). docs/formats.md
describes the entries for the user, `mc.geometry.collimator` what the kernels make of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from phantoms.errors import InputError
from phantoms.materials import Material, load_materials
from phantoms.schema import Table

AXES = ("X", "Y")
ENDS = ("focused", "flat", "rounded")
POSITIONS = ("light_field", "tip")
BORES = ("focused", "cylindrical")
LARGEST_TILT = 0.1  # of a leaf bank [rad]; the leaves are sheared, not turned
LEAF_TOLERANCE = 0.01  # between leaf boundaries of plan and machine [cm]


@dataclass(frozen=True)
class Ends:
    """The faces of a pair of jaws or leaves that shape the field.

    Parameters
    ----------
    kind : {"focused", "flat", "rounded"}
        A plane through the target, a plane parallel to the axis, or a circular arc centred at half height.
    radius_cm : float
        Of the arc; 0 unless rounded.
    position : {"light_field", "tip"}
        What a stated position is: where the ray from the target that grazes the end meets the isocentre
        plane, or the end's most protruding point, projected from the target. The same for focused ends.
    offset_cm : float
        By which the ends stand farther back than stated, each in the isocentre plane.
    """

    kind: str
    radius_cm: float = 0.0
    position: str = "light_field"
    offset_cm: float = 0.0


@dataclass(frozen=True)
class Block:
    """What all collimators have in common: a material between two heights."""

    top_cm: float
    bottom_cm: float
    material: Material
    density: float  # [g/cm3]


@dataclass(frozen=True)
class Jaws(Block):
    """A pair of jaws that move along `axis`, without end on their far sides."""

    axis: str
    ends: Ends


@dataclass(frozen=True)
class Leaves(Block):
    """A multileaf collimator.

    Parameters
    ----------
    axis : {"X", "Y"}
        Along which the leaves move.
    boundaries_cm : tuple of float
        Borders of the leaf pairs, ascending. The outermost leaves have no end outwards.
    ends : Ends
    gap_cm : float
        Of air between the sides of neighbours, as built.
    tongue_cm : float
        Width by which the sides are staggered, as built; 0 for plain sides. Between `tongue_top_cm` and
        `tongue_bottom_cm` every side stands half of it farther along the axis across the leaves, above and
        below half of it less.
    tongue_top_cm, tongue_bottom_cm : float
    tilt_rad : float
        By which the sides are turned off the target, about the axis of motion at half height.
    """

    axis: str
    boundaries_cm: tuple[float, ...]
    ends: Ends
    gap_cm: float
    tongue_cm: float
    tongue_top_cm: float
    tongue_bottom_cm: float
    tilt_rad: float

    @property
    def pairs(self) -> int:
        """Number of leaf pairs."""
        return len(self.boundaries_cm) - 1


@dataclass(frozen=True)
class Cones(Block):
    """Exchangeable circular collimators; one is mounted at a time."""

    diameters_cm: tuple[float, ...]
    bore: str  # "focused": a cone from the target; "cylindrical"; both of the diameter named


@dataclass(frozen=True)
class Collimators:
    """All collimators of a machine, each kind in the order of the beam."""

    jaws: tuple[Jaws, ...] = ()
    leaves: Leaves | None = None
    cones: Cones | None = None
    electrons: bool = False  # whether electrons and positrons that photons produce in the solids are followed

    @property
    def materials(self) -> tuple[Material, ...]:
        """The materials, each once."""
        blocks = [*self.jaws, self.leaves, self.cones]
        return tuple(dict.fromkeys(block.material for block in blocks if block is not None))


def read_collimators(table: Table) -> Collimators:
    """Read the table [collimators] of a machine file."""
    table.expect("", "jaws mlc cones electrons")
    collimators = Collimators(
        jaws=tuple(_jaws(entry) for entry in table.tables("jaws")) if "jaws" in table else (),
        leaves=_leaves(table.table("mlc")) if "mlc" in table else None,
        cones=_cones(table.table("cones")) if "cones" in table else None,
        electrons=table.flag("electrons", default=False),
    )
    table.finish()
    axes = [jaws.axis for jaws in collimators.jaws]
    if len(set(axes)) < len(axes):
        raise table.error("jaws", "more than one pair moves along the same axis")
    parts = [("jaws", jaws) for jaws in collimators.jaws]
    parts += [("mlc", collimators.leaves)] if collimators.leaves else []
    parts += [("cones", collimators.cones)] if collimators.cones else []
    if not parts:
        raise table.error("jaws", "is missing, and so are mlc and cones", "describe one at least")
    parts.sort(key=lambda part: part[1].top_cm)
    for (_, above), (name, below) in pairwise(parts):
        if below.top_cm < above.bottom_cm:
            raise table.error(
                name,
                f"begins at {below.top_cm:g} cm, above the bottom of the one before, {above.bottom_cm:g} cm",
                "heights along the beam must not overlap",
            )
    return collimators


def refuse_other_leaves(
    collimators: Collimators, boundaries: Mapping[str, Sequence[float]], where: str
) -> None:
    """Raise InputError unless the leaves of a beam are those of the machine.

    Parameters
    ----------
    collimators : Collimators
    boundaries : mapping of str to (pairs + 1,) sequence of float
        Leaf boundaries by device, MLCX or MLCY, in the isocentre plane [cm]; empty for a beam without leaves.
    where : str
        Names the beam in the message.
    """
    own = collimators.leaves
    for device, found in boundaries.items():
        if own is None or device != f"MLC{own.axis}":
            known = "none" if own is None else f"MLC{own.axis}"
            raise InputError(where, f"has leaves {device}, which the machine has not", f"it has {known}")
        if len(found) != own.pairs + 1:
            raise InputError(where, f"has {len(found) - 1} leaf pairs, the machine {own.pairs}")
        off = max(abs(a - b) for a, b in zip(found, own.boundaries_cm, strict=True))
        if off > LEAF_TOLERANCE:
            raise InputError(
                where,
                f"has leaf boundaries up to {10 * off:.1f} mm off those of the machine",
                "correct leaf_widths_cm of the machine file, or name another one",
            )


def _block(table: Table) -> dict[str, object]:
    top, bottom = table.number("top_cm", above=0.0), table.number("bottom_cm", above=0.0)
    if bottom <= top:
        raise table.error(
            "bottom_cm", f"{bottom:g} is not below top_cm {top:g}", "heights count from the target"
        )
    material = load_materials()[table.choice("material", tuple(load_materials()))]
    density = table.number("density", above=0.0, default=material.density)
    return {"top_cm": top, "bottom_cm": bottom, "material": material, "density": density}


def _ends(table: Table, height: float) -> Ends:
    kind = table.choice("ends", ENDS)
    radius = 0.0
    if kind == "rounded":
        radius = table.number("radius_cm", above=0.0)
        if 2.0 * radius < height:
            raise table.error("radius_cm", f"{radius:g} is less than half the height, {0.5 * height:g} cm")
    position = table.choice("position", POSITIONS, default="light_field")
    return Ends(kind, radius, position, table.number("offset_cm", default=0.0))


def _jaws(table: Table) -> Jaws:
    table.expect("top_cm bottom_cm material axis ends", "density radius_cm position offset_cm")
    block = _block(table)
    jaws = Jaws(
        **block,
        axis=table.choice("axis", AXES),
        ends=_ends(table, block["bottom_cm"] - block["top_cm"]),
    )
    table.finish()
    return jaws


def _leaves(table: Table) -> Leaves:
    optional = "density radius_cm position offset_cm gap_cm tongue_cm tongue_top_cm tongue_bottom_cm tilt_rad"
    table.expect("top_cm bottom_cm material axis ends leaf_widths_cm", optional)
    block = _block(table)
    top, bottom = block["top_cm"], block["bottom_cm"]
    boundaries = _boundaries(table)
    tongue = table.number("tongue_cm", default=0.0)
    leaves = Leaves(
        **block,
        axis=table.choice("axis", AXES),
        boundaries_cm=boundaries,
        ends=_ends(table, bottom - top),
        gap_cm=table.number("gap_cm", default=0.0),
        tongue_cm=tongue,
        tongue_top_cm=table.number("tongue_top_cm") if tongue else top,
        tongue_bottom_cm=table.number("tongue_bottom_cm") if tongue else bottom,
        tilt_rad=table.number("tilt_rad", default=0.0),
    )
    table.finish()
    if not top <= leaves.tongue_top_cm < leaves.tongue_bottom_cm <= bottom:
        raise table.error("tongue_top_cm", "tongue_top_cm and tongue_bottom_cm do not lie within the leaf")
    if not 0.0 <= leaves.gap_cm < 0.1 or not 0.0 <= leaves.tongue_cm < 0.2:
        raise table.error("gap_cm", "gap_cm must be 0 to 0.1 and tongue_cm 0 to 0.2", "lengths are cm")
    if abs(leaves.tilt_rad) > LARGEST_TILT:
        raise table.error("tilt_rad", f"is beyond {LARGEST_TILT:g}", "give it in radians")
    return leaves


def _boundaries(table: Table) -> tuple[float, ...]:
    """Leaf boundaries from [[number of leaves, width], ...], centred on the axis."""
    groups = table.rows("leaf_widths_cm", 2, above=0.0)
    widths = [width for number, width in groups for _ in range(int(number))]
    if any(number != int(number) for number, _ in groups):
        raise table.error("leaf_widths_cm", "a number of leaves is not whole", "[[leaves, width], ...]")
    total = math.fsum(widths)
    return tuple(math.fsum(widths[:i]) - 0.5 * total for i in range(len(widths) + 1))


def _cones(table: Table) -> Cones:
    table.expect("top_cm bottom_cm material diameters_cm", "density bore")
    cones = Cones(
        **_block(table),
        diameters_cm=table.numbers("diameters_cm", above=0.0),
        bore=table.choice("bore", BORES, default="focused"),
    )
    table.finish()
    return cones

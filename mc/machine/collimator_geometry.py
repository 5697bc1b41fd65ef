"""Collimators of a machine file, laid out for the kernels (`mc.transport.collimation`)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mc.geometry.collimator import (
    CONE,
    DENSITY,
    FLAT,
    FOCUSED,
    JAWS,
    LEAVES,
    MEASURES,
    OFFSET,
    RADIUS,
    ROUNDED,
    THICK,
    Collimator,
)
from mc.machine.collimators import Block, Collimators, Cones, Jaws, Leaves
from mc.machine.machine import Machine
from mc.transport.passage import AIR
from phantoms.errors import InputError
from phantoms.materials import Material, load_materials

BEHIND = 0.5  # from where on an end is thick, behind all of its curve [cm]
ENDS = {"focused": FOCUSED, "flat": FLAT, "rounded": ROUNDED, "cylindrical": FLAT}


def collimator_materials(collimators: Collimators) -> tuple[Material, ...]:
    """Air, which lies between the solids, and the materials of the collimators, each once."""
    return tuple(dict.fromkeys((load_materials()["air"], *collimators.materials)))


def build_collimator(
    machine: Machine, materials: Sequence[Material], cone: float | None = None
) -> Collimator:
    """Lay a machine's collimators out for the kernels.

    Parameters
    ----------
    machine : Machine
    materials : sequence of Material
        Those the tables are built for, in their order: air first (`collimator_materials`).
    cone : float, optional
        Diameter of the mounted cone in the isocentre plane [cm]; needed if the machine has nothing else.

    Raises
    ------
    InputError
        If the machine has no collimators, or no such cone.
    """
    collimators = machine.collimators
    if collimators is None:
        raise InputError(
            machine.path, "describes no collimators", "add [collimators], or a phase space below the jaws"
        )
    if materials[AIR].name != "air":
        raise InputError("materials", f"{materials[AIR].name} is first", "air must be")
    blocks: list[Block] = [*collimators.jaws]
    blocks += [collimators.leaves] if collimators.leaves else []
    if collimators.cones and (cone is not None or not blocks):
        blocks.append(_mounted(machine, collimators.cones, cone))
    blocks.sort(key=lambda block: block.top_cm)
    measures = np.zeros((len(blocks), MEASURES))
    columns: dict[str, list[int]] = {"shape": [], "axis": [], "ends": [], "at_tip": [], "material": []}
    for block, row in zip(blocks, measures, strict=True):
        row[:DENSITY] = block.top_cm, block.bottom_cm
        row[DENSITY] = block.density
        shape, axis, ends, at_tip = CONE, "X", "focused", False
        if isinstance(block, Cones):
            ends = block.bore
            row[RADIUS] = 0.5 * cone
        elif isinstance(block, Jaws | Leaves):
            shape, axis = JAWS if isinstance(block, Jaws) else LEAVES, block.axis
            ends, at_tip = block.ends.kind, block.ends.position == "tip"
            radius, half = block.ends.radius_cm, 0.5 * (block.bottom_cm - block.top_cm)
            row[RADIUS], row[OFFSET] = radius, block.ends.offset_cm
            row[THICK] = BEHIND + (radius - math.sqrt(radius**2 - half**2) if radius else 0.0)
        facts = shape, "XY".index(axis), ENDS[ends], at_tip, materials.index(block.material)
        for column, fact in zip(columns.values(), facts, strict=True):
            column.append(int(fact))
    leaves = collimators.leaves
    bands, shifts = _sides(leaves) if leaves else ([0.0, 0.0], [0.0])
    gap, tilt, height = (
        (leaves.gap_cm, leaves.tilt_rad, leaves.bottom_cm - leaves.top_cm) if leaves else (0, 0, 0)
    )
    return Collimator(
        sad=machine.sad_cm,
        bottom=blocks[-1].bottom_cm,
        air_density=load_materials()["air"].density,
        **{name: np.array(column, np.int64) for name, column in columns.items()},
        measures=measures,
        bands=np.array(bands),
        shifts=np.array(shifts),
        boundaries=np.array(leaves.boundaries_cm if leaves else (-1.0, 1.0)) / machine.sad_cm,
        half_gap=0.5 * gap,
        tilt=float(tilt),
        reach=0.5 * gap + 0.5 * abs(tilt) * height + max(map(abs, shifts)),
    )


def _sides(leaves: Leaves) -> tuple[list[float], list[float]]:
    """Bands of height in which the leaf sides are planes, and how much each is shifted."""
    edges = [leaves.top_cm, leaves.tongue_top_cm, leaves.tongue_bottom_cm, leaves.bottom_cm]
    half = 0.5 * leaves.tongue_cm
    shifts = [-half, half, -half]
    kept = [i for i in range(3) if edges[i + 1] > edges[i]]
    return [edges[i] for i in kept] + [edges[-1]], [shifts[i] for i in kept]


def _mounted(machine: Machine, cones: Cones, diameter: float | None) -> Cones:
    known = f"it has {', '.join(f'{cone:g}' for cone in cones.diameters_cm)} cm"
    if diameter is None:
        raise InputError(machine.path, "its fields need a cone, and none is named", known)
    if not any(abs(cone - diameter) < 1e-3 for cone in cones.diameters_cm):
        raise InputError(machine.path, f"no cone of diameter {diameter:g} cm", known)
    return cones

"""Collimators for tests."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np

from mc.geometry.collimator import Collimator
from mc.machine.collimator_geometry import build_collimator
from mc.machine.collimators import Block, Collimators, Cones, Ends, Jaws, Leaves
from phantoms.materials import load_materials

SAD = 100.0
TUNGSTEN = load_materials()["tungsten"]
MATERIALS = (load_materials()["air"], TUNGSTEN)
FIELD = np.array([-3.0, 4.0, -5.0, 2.0])
NO_LEAVES = np.zeros(0)


def jaws(axis: str, top: float, ends: Ends, density: float = TUNGSTEN.density) -> Jaws:
    """A pair of jaws 7.8 cm high."""
    return Jaws(top, top + 7.8, TUNGSTEN, density, axis, ends)


def leaves(
    ends: Ends, *, axis: str = "X", tongue: float = 0.04, tilt: float = 0.0, gap: float = 0.01
) -> Leaves:
    """Sixteen leaf pairs, 6 cm high from 48 cm, of 1, 0.5 and 1 cm width."""
    boundaries = tuple(np.r_[-6.0:-2.0, -2.0:2.0:0.5, 2.0:6.5:1.0])
    return Leaves(
        48.0, 54.0, TUNGSTEN, 18.0, axis, boundaries, ends, gap, tongue, 50.0, 52.5, tilt
    )  # fmt: skip


def parts(*blocks: Block) -> Collimators:
    """Collimators of some blocks."""
    return Collimators(
        tuple(block for block in blocks if isinstance(block, Jaws)),
        next((block for block in blocks if isinstance(block, Leaves)), None),
        next((block for block in blocks if isinstance(block, Cones)), None),
    )


def built(*blocks: Block, cone: float | None = None) -> Collimator:
    """The kernel's view of some collimators, in `MATERIALS`."""
    machine = SimpleNamespace(collimators=parts(*blocks), sad_cm=SAD, path=Path("test.toml"))
    return build_collimator(machine, MATERIALS, cone)

"""Collimators in machine files: what is read, and every kind of mistake."""

import re
import tomllib
from pathlib import Path

import pytest

from mc.machine.collimators import Ends, read_collimators, refuse_other_leaves
from phantoms.errors import InputError
from phantoms.schema import Table

GOOD = """
[[jaws]]
axis = "Y"
top_cm = 28.0
bottom_cm = 35.8
material = "tungsten"
ends = "focused"

[mlc]
axis = "X"
top_cm = 48.0
bottom_cm = 54.0
material = "tungsten"
density = 18.0
ends = "rounded"
radius_cm = 8.0
offset_cm = 0.01
leaf_widths_cm = [[2, 1.0], [4, 0.5], [2, 1.0]]
gap_cm = 0.005
tongue_cm = 0.04
tongue_top_cm = 50.0
tongue_bottom_cm = 52.0

[cones]
top_cm = 60.0
bottom_cm = 70.0
material = "lead"
diameters_cm = [0.5, 1.0]
"""

MISTAKES = {
    "unknown": (r"gap_cm", "gapp_cm", "mlc.gapp_cm: is unknown"),
    "overlap": (r"bottom_cm = 35.8", "bottom_cm = 50.0", "mlc: begins at 48 cm, above the bottom"),
    "upside down": (r"bottom_cm = 35.8", "bottom_cm = 25.8", "is not below top_cm 28"),
    "axis": (r'"Y"', '"Z"', "axis: 'Z' is unknown"),
    "material": (r'"tungsten"', '"tungstn"', "did you mean 'tungsten'"),
    "density": (r"density = 18.0", "density = -1.0", "must be greater than 0"),
    "radius": (r"radius_cm = 8.0", "radius_cm = 2.0", "less than half the height"),
    "no radius": (r"radius_cm = 8.0\n", "", "radius_cm: is missing"),
    "radius of a plane": (r'"focused"', '"focused"\nradius_cm = 3.0', "radius_cm: is unknown"),
    "half a leaf": (r"\[2, 1.0\]", "[2.5, 1.0]", "number of leaves is not whole"),
    "no width": (r"\[\[2, 1.0\], \[4, 0.5\], \[2, 1.0\]\]", "[8, 1.0]", "must be a list of 2 numbers"),
    "tongue outside": (r"tongue_bottom_cm = 52.0", "tongue_bottom_cm = 55.0", "do not lie within the leaf"),
    "wide gap": (r"gap_cm = 0.005", "gap_cm = 0.5", "gap_cm must be"),
    "degrees": (r"gap_cm", "tilt_rad = 0.5\ngap_cm", "give it in radians"),
    "no diameters": (r"diameters_cm = \[0.5, 1.0\]", "diameters_cm = []", "must be a list of numbers"),
    "two pairs along Y": (r"(?s)(.*)\[mlc\]", r"\1\1[mlc]", "along the same axis"),
    "nothing": (r"(?s).*", "", "describe one at least"),
}  # fmt: skip


def read(text):
    return read_collimators(Table(Path("linac.toml"), tomllib.loads(text), "collimators."))


def test_entries():
    found = read(GOOD)
    (jaws,), leaves, cones = found.jaws, found.leaves, found.cones
    assert (jaws.axis, jaws.top_cm, jaws.bottom_cm, jaws.density) == ("Y", 28, 35.8, 19.3)
    assert jaws.ends == Ends("focused")
    assert leaves.boundaries_cm == (-3, -2, -1, -0.5, 0, 0.5, 1, 2, 3) and leaves.pairs == 8
    assert leaves.ends == Ends("rounded", 8.0, "light_field", 0.01) and leaves.density == 18
    assert (leaves.gap_cm, leaves.tongue_cm, leaves.tilt_rad) == (0.005, 0.04, 0)
    assert cones.diameters_cm == (0.5, 1.0) and cones.bore == "focused"
    assert [material.name for material in found.materials] == ["tungsten", "lead"]
    assert not found.electrons and read("electrons = true\n" + GOOD).electrons


def test_plain_sides_need_no_tongue():
    leaves = read(re.sub("tongue.*\n", "", GOOD)).leaves
    assert (leaves.tongue_cm, leaves.tongue_top_cm, leaves.tongue_bottom_cm) == (0, 48, 54)


@pytest.mark.parametrize(
    "device, boundaries, message",
    [
        ("MLCY", [0.0] * 9, "which the machine has not"),
        ("MLCX", [0.0] * 8, "has 7 leaf pairs, the machine 8"),
        ("MLCX", [-3, -2, -1, -0.5, 0, 0.5, 1, 2.02, 3], "up to 0.2 mm off"),
    ],
)
def test_leaves_of_another_machine(device, boundaries, message):
    collimators = read(GOOD)
    refuse_other_leaves(collimators, {}, "beam 1")
    refuse_other_leaves(collimators, {"MLCX": collimators.leaves.boundaries_cm}, "beam 1")
    with pytest.raises(InputError, match=message):
        refuse_other_leaves(collimators, {device: boundaries}, "beam 1")


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_named(mistake):
    pattern, replacement, message = MISTAKES[mistake]
    changed = re.sub(pattern, replacement, GOOD, count=1)
    assert changed != GOOD
    with pytest.raises(InputError, match=message) as error:
        read(changed)
    assert "linac.toml" in str(error.value)

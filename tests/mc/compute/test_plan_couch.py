"""The machine's couch under the patient: where the plan puts it, and what it does to the dose from behind."""

import numpy as np
import pytest

from mc.compute.plan_dose import compute_plan_dose
from mc.machine.machine import read_machine
from mc.plan.couch import place_couch
from mc.plan.rtplan import read_plan
from mc.run.options import RunOptions, StopRule
from phantoms.ct import read_ct
from phantoms.errors import InputError
from phantoms.structures import read_structures
from tests.dicom_factory import GRID, Field, body_box, write_ct, write_plan, write_structures
from tests.dicom_factory import Contours as Structure
from tests.mc.small_linac import write_machine

COUCH = """
[couch]
width_cm = 50.0
[[couch.slabs]]
thickness_cm = 1.0
material = "carbon_fibre"
[[couch.slabs]]
thickness_cm = 4.0
material = "polystyrene"
density = 0.05
"""
BACK = GRID.upper[1] - 0.4  # of the body, LPS y [cm]
ISOCENTRE = (3.0, -1.0, 0.0)


@pytest.fixture
def linac(tmp_path):
    path = write_machine(tmp_path / "machine")
    path.write_text(path.read_text() + COUCH)
    return read_machine(path)


def table(height, lateral=0.0, beam=None):
    """Puts the table top so high above the isocentre [cm]."""

    def edit(data):
        for item in data.BeamSequence if beam is None else [data.BeamSequence[beam]]:
            item.ControlPointSequence[0].TableTopVerticalPosition = 10 * height
            item.ControlPointSequence[0].TableTopLateralPosition = 10 * lateral

    return edit


def outline_of(folder, *more):
    write_ct(folder, hu=np.zeros(GRID.shape))
    return read_structures(write_structures(folder, [body_box(GRID), *more]))


def test_the_couch_lies_where_the_plan_puts_it(tmp_path, linac):
    outline = outline_of(tmp_path).external()
    plan = read_plan(write_plan(tmp_path, edit=table(ISOCENTRE[1] - BACK - 2.0, 1.5)))
    placed = place_couch(plan, linac.couch, outline)
    np.testing.assert_allclose(placed.surface, (4.5, BACK + 2.0, 0.0), atol=1e-6)  # HFS: +x is to the left
    np.testing.assert_allclose(placed.up, (0, -1, 0))
    prone = read_plan(
        write_plan(tmp_path, position="HFP", edit=table(GRID.lower[1] + 0.4 - ISOCENTRE[1] - 2.0))
    )
    placed = place_couch(prone, linac.couch, outline)
    np.testing.assert_allclose(placed.surface[1], GRID.lower[1] + 0.4 - 2.0, atol=1e-6)
    assert place_couch(read_plan(write_plan(tmp_path)), linac.couch, outline) is None


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (table(-60.0), "would lie .* cm below BODY"),
        (table(2.0), "would lie .* cm inside BODY"),
        (
            lambda d: [table(ISOCENTRE[1] - BACK - h, beam=b)(d) for b, h in ((0, 1.0), (1, 3.0))],
            "different places",
        ),
    ],
)
def test_tables_on_other_scales_are_refused(tmp_path, linac, edit, message):
    plan = read_plan(write_plan(tmp_path, [Field(), Field(90)], edit=edit))
    with pytest.raises(InputError, match=message):
        place_couch(plan, linac.couch, outline_of(tmp_path).external())


def test_the_couch_attenuates_beams_from_behind(tmp_path, linac):
    """By 1 cm of carbon fibre, some 7 % at these energies; structures of type SUPPORT take its place."""
    support = Structure("Couch", body_box(GRID).contours, "SUPPORT")
    support.contours = [c + (0.0, 50.0, 0.0) for c in support.contours]
    doses = {}
    for name, edit, more in (
        ("none", None, ()),
        ("couch", table(ISOCENTRE[1] - BACK - 0.2), ()),
    ):
        structures = outline_of(tmp_path, *more)
        plan = read_plan(write_plan(tmp_path, [Field(180)], edit=edit))
        found = compute_plan_dose(
            plan,
            read_ct(sorted(tmp_path.glob("CT*"))),
            structures,
            GRID,
            machine=linac,
            options=RunOptions(stop=StopRule(uncertainty=None, histories=60_000), threads=1),
        )
        warned = any("without a couch" in warning for warning in found.warnings)
        assert warned == (name == "none") and ("couch" in found.phantom.audit) == (name == "couch")
        doses[name] = found.dose.mean[:, 2:-6, 8:-8].sum()  # deep behind the surface
    assert 0.88 < doses["couch"] / doses["none"] < 0.97

"""Whole plans through jaws and leaves: MLC fields, arcs, a real VMAT plan on a phantom; absolute dose."""

import json

import numpy as np
import pytest

from mc.compute.calibration import made_with, water_tank_beam
from mc.compute.plan_dose import compute_phantom_dose
from mc.config import Physics
from mc.machine.machine import read_machine
from mc.plan.rtplan import read_plan
from mc.run.options import RunOptions, StopRule
from phantoms.errors import InputError
from phantoms.recipes import water_tank
from tests.dicom_factory import Field, cone, write_case, write_plan
from tests.machines import focused_leaves, machine_text, tungsten
from tests.mc.small_linac import (
    ABOVE,
    Y_JAWS,
    above_machine,
    judged,
    moving_leaves,
    plan,
    small_case,
    write_above_machine,
)
from validation.cli import main

# An MLC and jaws across it alone, of another name, flattened, without a table of monitor backscatter
AGILITY = machine_text(
    ABOVE, Y_JAWS, focused_leaves([[80, 0.5]]), name="2619", fluence_mode="STANDARD", averaging_cm=3.0
)
ROBOT = machine_text(
    ABOVE,
    tungsten("[collimators.cones]", 28.0, 40.0, diameters_cm=[2.0, 5.0]),
    averaging_cm=3.0,
    field_cm=None,
    cone_cm=5.0,
)
BOX = water_tank((20.0, 20.0, 20.0), (1.0, 1.0, 1.0), surface=-10.0)  # about the origin


@pytest.fixture
def linac(tmp_path):
    return read_machine(write_above_machine(tmp_path / "machine"))


def few(histories):
    return RunOptions(stop=StopRule(uncertainty=None, histories=histories), threads=1)


def test_a_real_vmat_plan_on_a_phantom(shared, tmp_path):
    """Two partial arcs of an Agility, from the patient's left and right and from behind, on the isocentre."""
    found = read_plan(shared / "data" / "plans" / "agility-6mv" / "vmat_example.dcm")
    machine = read_machine(write_above_machine(tmp_path, AGILITY, particles=60_000))
    computed = compute_phantom_dose(found, BOX, machine, options=few(120_000))
    dose, centres = computed.dose.mean, BOX.grid.centres(0)
    assert computed.report.energy_balance == pytest.approx(1.0, abs=1e-6)
    near = np.abs(centres) < 2.0
    target = dose[np.ix_(near, near, near)].mean()
    assert target > 0
    beside = dose[np.ix_(np.abs(centres) > 4.0, near, near)].mean()  # along the axis of rotation
    assert beside < 0.1 * target
    # gantry 90 to 150 and 270 to 210 never come from the front: HFS, +y is posterior
    front, back = (
        dose[np.ix_(near, side, np.abs(centres) < 6.0)].mean() for side in (centres < -4, centres > 4)
    )
    assert back > 1.2 * front  # which sees what comes out
    left, right = (dose[np.ix_(near, centres > 0, side)].mean() for side in (centres > 3, centres < -3))
    assert left == pytest.approx(right, rel=0.5)


def test_an_arc_with_moving_leaves_from_the_command_line(tmp_path, monkeypatch, capsys):
    """From the export to the report; the report states what kind of beam it was."""
    small_case(tmp_path / "case")
    write_plan(tmp_path / "case", [moving_leaves()])
    write_above_machine(tmp_path / "machine")
    monkeypatch.chdir(tmp_path)
    assert judged(plan())
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    (beam,) = result["plan"]["beams"]
    assert beam["technique"] == "VMAT" and (beam["gantry_deg"], beam["gantry_last_deg"]) == (300, 420)
    assert beam["mean_open_area_cm2"] == pytest.approx(0.7 * 12 + 0.3 * 12)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "300 CW to 60" in page
    capsys.readouterr()
    assert main(["inspect", "case/RTPLAN.dcm"]) == 0
    shown = capsys.readouterr().out
    assert "VMAT" in shown and "300 CW to 60" in shown and "MLCX, 10 pairs of 10 mm" in shown


def test_fields_of_the_same_plan_by_jaws_and_by_leaves(linac, tmp_path):
    """A 4 x 4 cm field by the jaws, and by the leaves in wider jaws: the same dose but for what leaks."""
    leaves = ([-5.0] * 3 + [-2.0] * 4 + [-5.0] * 3) + ([-5.0] * 3 + [2.0] * 4 + [-5.0] * 3)
    doses = []
    for field in (
        Field(isocentre=(0, 0, 0), jaws=(-2, 2, -2, 2)),
        Field(isocentre=(0, 0, 0), jaws=(-5, 5, -2.5, 2.5), leaves=leaves, boundaries=np.arange(-5, 6.0)),
    ):
        found = read_plan(write_plan(tmp_path, [field]))
        doses.append(compute_phantom_dose(found, BOX, linac, options=few(60_000)).dose.mean)
    centres = BOX.grid.centres(0)
    inside, outside = np.abs(centres) < 2, (np.abs(centres) > 3) & (np.abs(centres) < 5)
    field, beside = (d[np.ix_(inside, np.abs(centres) < 9, inside)].mean() for d in doses)
    # Y jaws of 5 instead of 4 cm change the monitor signal by nothing here: its table is flat up to 5 cm
    assert field == pytest.approx(beside, rel=0.03)
    assert all(d[np.ix_(outside, inside, inside)].mean() < 0.1 * field for d in doses)


def test_monitor_backscatter(linac):
    """Jaws that scatter a quarter more into the monitor cost a fifth of the electrons."""
    (quality,) = linac.energies
    assert quality.output((-5, 5, -5, 5)) == 1.0
    assert quality.output((-1, 1, -2, 3)) == pytest.approx(1 / 1.25)
    assert quality.output((-1, 1, -3, 4.5)) == pytest.approx(1 / 1.125)
    assert water_tank_beam(linac, quality, (-2, 2, -2, 2), 90.0).weight == pytest.approx(0.8)
    with pytest.raises(InputError, match="known from 1 to 10 cm only"):
        quality.output((-1, 1, -0.2, 0.3))


def test_a_calibration_is_of_its_collimators(linac, tmp_path):
    other = read_machine(write_above_machine(tmp_path / "other", above_machine(x_bottom_cm=44.0)))
    hashes = {made_with(machine, machine.energies[0], Physics()) for machine in (linac, linac, other)}
    assert len(hashes) == 2


def test_leaves_of_another_machine_are_refused(tmp_path, monkeypatch, capsys):
    field = Field(leaves=[-1.0] * 4 + [1.0] * 4, boundaries=(-2, -1, 0, 1, 2))
    write_case(tmp_path / "case", fields=[field])
    write_above_machine(tmp_path / "machine")
    monkeypatch.chdir(tmp_path)
    assert main(plan()) == 2
    assert "beam 1 (field 1): has 4 leaf pairs, the machine 10" in capsys.readouterr().err


def test_cones_without_jaws(tmp_path):
    """Fields as round and as wide as their cones, in Gy by the reference field of a cone; else refused."""
    linac = read_machine(write_above_machine(tmp_path / "machine", ROBOT, particles=60_000))

    def beam(diameter):
        def edit(data):
            (item,) = data.BeamSequence
            item.ApplicatorSequence = [cone(10.0 * diameter)]
            del item.BeamLimitingDeviceSequence
            del item.ControlPointSequence[0].BeamLimitingDevicePositionSequence

        return read_plan(write_plan(tmp_path, [Field(isocentre=(0, 0, 0))], edit=edit))

    fine = water_tank((12.0, 20.0, 12.0), (0.25, 1.0, 0.25), surface=-6.0)
    grid = fine.grid
    x, y, z = (grid.centres(axis) for axis in range(3))
    radius = np.hypot(x, z[:, None])  # the beam comes along y
    level = np.abs(y) < 2.0
    doses = {}
    for diameter in (2.0, 5.0):
        dose = compute_phantom_dose(beam(diameter), fine, linac, options=few(240_000)).dose.mean
        plane = dose[:, level].mean(axis=1)
        doses[diameter] = middle = plane[radius < 0.6].mean()
        open_area = (plane > 0.5 * middle).sum() * 0.25**2
        assert np.sqrt(4.0 * open_area / np.pi) == pytest.approx(diameter, abs=0.12)
        square = np.maximum(np.abs(x), np.abs(z)[:, None]) < 0.45 * diameter
        assert plane[square & (radius > 0.58 * diameter)].mean() < 0.35 * middle
    assert 0.7 < doses[2.0] / doses[5.0] < 1.0  # the output factor
    with pytest.raises(InputError, match=r"no cone of diameter 3 cm.*it has 2, 5 cm"):
        compute_phantom_dose(beam(3.0), BOX, linac, options=few(1000))
    with pytest.raises(InputError, match="shaped by X jaws, which machine TESTLINAC does not have"):
        compute_phantom_dose(read_plan(write_plan(tmp_path)), BOX, linac, options=few(1000))
    with pytest.raises(InputError, match="has a cone, machine TESTLINAC has none"):
        jaws = read_machine(write_above_machine(tmp_path / "jaws"))
        compute_phantom_dose(beam(2.0), BOX, jaws, options=few(1000))

"""RTPLAN: beams read right, stand right in the patient, and what cannot be computed is refused."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from pydicom.dataset import Dataset
from scipy.spatial.transform import Rotation

from mc.plan.aperture import extent, jaw_ranges, mean_opening, shaped_by
from mc.plan.rtplan import Beam, ControlPoint, beam_to_patient, read_plan
from phantoms.ct import PATIENT_POSITIONS
from phantoms.errors import InputError
from tests.dicom_factory import Field, Stop, Uids, add_mlc, cone, write_plan, write_structures

LEFT, POSTERIOR, SUPERIOR = np.eye(3)
RIGHT, ANTERIOR, INFERIOR = -np.eye(3)


def beam(gantry=0.0, collimator=0.0, couch=0.0, isocentre=(1.0, -2.0, 3.0), sad=100.0):
    point = ControlPoint(0.0, gantry, collimator, couch, isocentre, (-5, 5, -5, 5))
    return Beam(1, "b", "M", 6.0, "FFF", 100.0, sad, (point,))


@pytest.mark.parametrize("gantry", [0, 30, 90, 140, 180, 260, 270, 359.5])
def test_head_first_supine_without_rotations(gantry):
    """The mapping stated with the spine reference case."""
    rotation, origin = beam_to_patient(beam(gantry), "HFS")
    c, s = np.cos(np.radians(gantry)), np.sin(np.radians(gantry))
    np.testing.assert_allclose(rotation @ [1, 0, 0], (c, s, 0), atol=1e-15)
    np.testing.assert_allclose(rotation @ [0, 1, 0], (0, 0, -1), atol=1e-15)
    np.testing.assert_allclose(rotation @ [0, 0, 1], (-s, c, 0), atol=1e-15)
    np.testing.assert_allclose(origin, np.array((1, -2, 3)) - 100 * np.array((-s, c, 0)), atol=1e-12)


# Derived by hand: (position, gantry, collimator, couch), where the source stands as seen from
# the isocentre, and where X_b and Y_b point. Facing the gantry, gantry 90 has the source on the right; the
# collimator turns counterclockwise as seen from the source, the couch counterclockwise as seen from above.
BY_HAND = [
    (("HFS", 0, 0, 0), ANTERIOR, LEFT, SUPERIOR),
    (("HFS", 90, 0, 0), LEFT, POSTERIOR, SUPERIOR),
    (("HFS", 180, 0, 0), POSTERIOR, RIGHT, SUPERIOR),
    (("HFS", 270, 0, 0), RIGHT, ANTERIOR, SUPERIOR),
    (("HFS", 0, 90, 0), ANTERIOR, SUPERIOR, RIGHT),
    (("HFS", 0, 270, 0), ANTERIOR, INFERIOR, LEFT),
    (("HFS", 90, 90, 0), LEFT, SUPERIOR, ANTERIOR),
    (("HFS", 0, 0, 90), ANTERIOR, INFERIOR, LEFT),  # the head swings to the left of who faces the gantry
    (("HFS", 0, 0, 270), ANTERIOR, SUPERIOR, RIGHT),
    (("HFS", 90, 0, 90), INFERIOR, POSTERIOR, LEFT),
    (("HFS", 270, 0, 90), SUPERIOR, ANTERIOR, LEFT),  # a vertex field
    (("HFS", 0, 90, 90), ANTERIOR, LEFT, SUPERIOR),  # collimator and couch undo each other
    (("HFP", 0, 0, 0), POSTERIOR, RIGHT, SUPERIOR),
    (("HFP", 90, 0, 0), RIGHT, ANTERIOR, SUPERIOR),
    (("HFP", 0, 0, 90), POSTERIOR, INFERIOR, RIGHT),
    (("FFS", 0, 0, 0), ANTERIOR, RIGHT, INFERIOR),
    (("FFS", 90, 0, 0), RIGHT, POSTERIOR, INFERIOR),
    (("FFS", 0, 90, 0), ANTERIOR, INFERIOR, LEFT),
    (("FFS", 0, 0, 90), ANTERIOR, SUPERIOR, RIGHT),
    (("FFP", 0, 0, 0), POSTERIOR, LEFT, INFERIOR),
    (("FFP", 270, 0, 0), RIGHT, POSTERIOR, INFERIOR),
    (("HFDR", 0, 0, 0), LEFT, POSTERIOR, SUPERIOR),
    (("HFDR", 90, 0, 0), POSTERIOR, RIGHT, SUPERIOR),
    (("HFDL", 0, 0, 0), RIGHT, ANTERIOR, SUPERIOR),
    (("HFDL", 90, 0, 0), ANTERIOR, LEFT, SUPERIOR),
    (("FFDR", 0, 0, 0), LEFT, ANTERIOR, INFERIOR),
    (("FFDL", 0, 0, 0), RIGHT, POSTERIOR, INFERIOR),
    (("FFDL", 90, 0, 0), POSTERIOR, LEFT, INFERIOR),
]


@pytest.mark.parametrize(("setup", "source", "x_b", "y_b"), BY_HAND)
def test_beams_stand_where_iec_61217_puts_them(setup, source, x_b, y_b):
    position, *angles = setup
    rotation, origin = beam_to_patient(beam(*angles), position)
    isocentre = np.array((1, -2, 3))
    np.testing.assert_allclose(origin, isocentre + 100 * source, atol=1e-12)
    np.testing.assert_allclose(rotation @ [1, 0, 0], x_b, atol=1e-15)
    np.testing.assert_allclose(rotation @ [0, -1, 0], y_b, atol=1e-15)
    np.testing.assert_allclose(origin + rotation @ [0, 0, 100], isocentre, atol=1e-12)


@pytest.mark.parametrize("position", PATIENT_POSITIONS)
def test_any_angles_against_scipy(position):
    """The chain as Euler angles about fixed axes: collimator z, gantry y, couch backwards z."""
    roll = {"S": 0, "P": 180, "DR": 90, "DL": -90}[position[2:]]  # what was up comes to lie anterior
    rng = np.random.default_rng(11)
    for gantry, collimator, couch in rng.uniform(0, 360, (20, 3)):
        rotation, _ = beam_to_patient(beam(gantry, collimator, couch), position)
        point = rng.uniform(-10, 10, 3)
        fixed = Rotation.from_euler("zyz", [collimator, gantry, -couch], degrees=True).apply(
            point * [1, -1, -1]
        )
        # Bring the patient back to head first supine: turn a feet-first table, then roll about its length.
        if position.startswith("F"):
            fixed = Rotation.from_euler("z", 180, degrees=True).apply(fixed)
        supine = Rotation.from_euler("y", roll, degrees=True).apply(fixed)
        expected = supine[0], -supine[2], supine[1]
        np.testing.assert_allclose(rotation @ point, expected, atol=1e-12)
        assert np.linalg.det(rotation) == pytest.approx(1)


def test_spine_plan(shared):
    plan = read_plan(shared / "cases" / "spine_l1" / "RTPLAN.dcm")
    assert (plan.label, plan.machine, plan.fractions, plan.patient_position) == (
        "SPINE5",
        "GEN6FFF",
        3,
        "HFS",
    )
    assert [b.gantry for b in plan.beams] == [180, 140, 220, 100, 260]
    for b in plan.beams:
        assert (b.energy, b.fluence_mode, b.mu, b.sad) == (6, "FFF", 150, 100)
        assert (b.collimator, b.couch, b.jaws) == (0, 0, (-2.5, 2.5, -2.5, 2.5))
        np.testing.assert_allclose(b.isocentre, (0.3956, -11.0319, 38.2302))
    (prescription,) = plan.prescriptions
    assert (prescription.dose, prescription.roi_number, prescription.description) == (16, 2, "PTV_L1")
    assert plan.warnings == ()


def test_beams_are_read(tmp_path):
    fields = [
        Field(30, 15, 350, (1, 2, 3), (-1, 2, -3, 4), 120.5),
        Field(200, fluence_mode="STANDARD", mu=80),
    ]
    plan = read_plan(write_plan(tmp_path, fields, "FFDL", fractions=5))
    first, second = plan.beams
    assert (first.gantry, first.collimator, first.couch, first.mu) == (30, 15, 350, 120.5)
    assert first.isocentre == (1, 2, 3) and first.jaws == (-1, 2, -3, 4)
    assert (first.fluence_mode, second.fluence_mode, second.name) == ("FFF", "STANDARD", "field 2")
    assert (plan.patient_position, plan.fractions, plan.machine) == ("FFDL", 5, "TESTLINAC")
    uids = Uids()
    assert (plan.uid, plan.structure_set_uid, plan.frame_of_reference_uid, plan.patient_id) == (
        uids.plan,
        uids.structures,
        uids.frame,
        uids.patient,
    )


def test_control_points_inherit_what_they_leave_out(tmp_path):
    plan = read_plan(write_plan(tmp_path, [Field(30, 15, 350)]))
    first, last = plan.beams[0].control_points
    assert (first.weight, last.weight) == (0, 1)
    for name in ("gantry", "collimator", "couch", "isocentre", "jaws"):
        assert getattr(first, name) == getattr(last, name)


def test_setup_beams_are_skipped(tmp_path):
    def edit(data):
        data.BeamSequence[0].TreatmentDeliveryType = "SETUP"
        data.BeamSequence[0].RadiationType = "ELECTRON"
        del data.FractionGroupSequence[0].ReferencedBeamSequence[0].BeamMeterset

    plan = read_plan(write_plan(tmp_path, [Field(), Field(90)], edit=edit))
    assert [b.number for b in plan.beams] == [2]


def test_beams_outside_the_fraction_group_are_left_out_and_said(tmp_path):
    def edit(data):
        del data.FractionGroupSequence[0].ReferencedBeamSequence[0]
        data.FractionGroupSequence[0].NumberOfBeams = 1

    plan = read_plan(write_plan(tmp_path, [Field(), Field(90)], edit=edit))
    assert [b.number for b in plan.beams] == [2] and "not part of the fraction group" in plan.warnings[0]


def test_an_unstated_fluence_mode_is_said(tmp_path):
    plan = read_plan(
        write_plan(tmp_path, edit=lambda d: delattr(d.BeamSequence[0], "PrimaryFluenceModeSequence"))
    )
    assert plan.beams[0].fluence_mode == "STANDARD" and "fluence mode" in plan.warnings[0]


BOUNDARIES = np.arange(-10, 10.1, 0.5)


@pytest.mark.parametrize(
    ("start", "turns", "stops", "expected"),
    [
        (350, "CW", [(0.3, 355), (0.6, 5), (1, 20)], [350, 355, 365, 380]),
        (20, "CC", [(0.3, 5), (0.6, 355), (1, 181)], [20, 5, -5, -179]),
        (181, "CW", [(1, 179)], [181, 539]),
        (179, "CC", [(1, 181)], [179, -179]),
        (5, "CW", [(1, 5)], [5, 365]),  # PS3.3 C.8.8.14.8: a whole turn
        (5, "CC", [(1, 5)], [5, -355]),
        (0, "CW", [(0.5, 90), (0.5, 80), (1, 100)], [0, 90, 80, 100]),  # back while the beam is off
        (0, "CW", [(0.5, 40, "CC"), (1, 350)], [0, 40, -10]),
        (0, "CW", [(0.4, 40, "NONE"), (0.6, None), (0.7, None, "CW"), (1, 50)], [0, 40, 40, 40, 50]),
        (0, "CW", [(0.4, 40), (0.6, 39.9), (1, 50)], [0, 40, 39.9, 50]),  # rounding
        (10, "NONE", [(0.4, 10.1), (1, 10.0)], [10, 10.1, 10]),
    ],
)
def test_the_gantry_turns_as_stated(tmp_path, start, turns, stops, expected):
    field = Field(start, turns=turns, stops=[Stop(*stop) for stop in stops])
    plan = read_plan(write_plan(tmp_path, [field]))
    assert [point.gantry for point in plan.beams[0].control_points] == pytest.approx(expected, abs=1e-9)
    assert bool(plan.warnings) == (39.9 in expected)


def test_standing_still_on_an_arc_is_no_whole_turn_and_is_said(tmp_path):
    field = Field(0, turns="CW", stops=[Stop(0.4, 40), Stop(0.6, 40), Stop(1.0, 50)])
    plan = read_plan(write_plan(tmp_path, [field]))
    assert [point.gantry for point in plan.beams[0].control_points] == [0, 40, 40, 50]
    assert "no rotation" in plan.warnings[0]


@pytest.mark.parametrize(
    ("keyword", "name", "growing"),
    [
        ("BeamLimitingDevice", "collimator", "CC"),  # seen from the source, against the clock
        ("PatientSupport", "couch", "CC"),  # PS3.3 C.8.8.14.8, third example
        ("Gantry", "gantry", "CW"),
    ],
)
@pytest.mark.parametrize("direction", ["CW", "CC"])
def test_collimator_and_couch_turn_as_stated(tmp_path, keyword, name, growing, direction):
    def edit(data):
        first, last = data.BeamSequence[0].ControlPointSequence
        data.BeamSequence[0].BeamType = "DYNAMIC"
        setattr(first, f"{keyword}Angle", 170)
        setattr(first, f"{keyword}RotationDirection", direction)
        setattr(last, f"{keyword}Angle", 160)

    points = read_plan(write_plan(tmp_path, edit=edit)).beams[0].control_points
    assert getattr(points[1], name) == pytest.approx(520 if direction == growing else 160)


def test_moving_beams_are_read(tmp_path):
    """Jaws, leaves and isocentre from control point to control point, with what is left out inherited."""
    boundaries = [-1.0, 0.0, 1.0]
    stops = [
        Stop(0.25, jaws=(-3, 3, -1, 2)),
        Stop(0.5, leaves=(-2, -1, 1, 2)),
        Stop(1.0, isocentre=(3.0, -1.0, 2.0)),
    ]
    field = Field(leaves=(-1, -1, 1, 1), boundaries=boundaries, mlc="MLCY", stops=stops)
    (beam,) = read_plan(write_plan(tmp_path, [field])).beams
    points = beam.control_points
    assert [point.weight for point in points] == [0, 0.25, 0.5, 1]
    assert [point.jaws for point in points] == [(-2.5, 2.5, -2.5, 2.5)] + 3 * [(-3, 3, -1, 2)]
    assert [point.leaves["MLCY"] for point in points] == 2 * [(-1, -1, 1, 1)] + 2 * [(-2, -1, 1, 2)]
    assert [point.isocentre[2] for point in points] == [0, 0, 0, 2]
    assert beam.leaf_boundaries == {"MLCY": tuple(boundaries)}


def test_a_direction_without_jaws_is_open(tmp_path):
    def edit(data):
        del data.BeamSequence[0].BeamLimitingDeviceSequence[0]
        del data.BeamSequence[0].ControlPointSequence[0].BeamLimitingDevicePositionSequence[0]

    plan = read_plan(write_plan(tmp_path, [Field(leaves=(-1, 1), boundaries=(-5, 5))], edit=edit))
    assert plan.beams[0].jaws == (-np.inf, np.inf, -2.5, 2.5)


def test_step_and_shoot_is_static(tmp_path):
    """DICOM calls a beam static if nothing changes while the meterset does."""
    stops = [Stop(0.4), Stop(0.4, jaws=(-1, 1, -1, 1)), Stop(1.0)]
    (beam,) = read_plan(write_plan(tmp_path, [Field(stops=stops, kind="STATIC")])).beams
    assert beam.control_points[2].jaws == (-1, 1, -1, 1)


def beam_edit(**values):
    def edit(data):
        for keyword, value in values.items():
            if value is None:
                delattr(data.BeamSequence[0], keyword)
            else:
                setattr(data.BeamSequence[0], keyword, value)

    return edit


def point_edit(index=0, **values):
    def edit(data):
        for keyword, value in values.items():
            if value is None:
                delattr(data.BeamSequence[0].ControlPointSequence[index], keyword)
            else:
                setattr(data.BeamSequence[0].ControlPointSequence[index], keyword, value)

    return edit


def drop(keyword):
    return lambda data: delattr(data, keyword)


def group_edit(data):
    return data.FractionGroupSequence[0]


def _two_groups(data):
    data.FractionGroupSequence.append(copy.deepcopy(data.FractionGroupSequence[0]))
    data.FractionGroupSequence[1].FractionGroupNumber = 2


def _no_mu(data):
    del group_edit(data).ReferencedBeamSequence[0].BeamMeterset


def _zero_mu(data):
    group_edit(data).ReferencedBeamSequence[0].BeamMeterset = 0


def _lost_beam(data):
    item = copy.deepcopy(group_edit(data).ReferencedBeamSequence[0])
    item.ReferencedBeamNumber = 9
    group_edit(data).ReferencedBeamSequence.append(item)
    group_edit(data).NumberOfBeams = 3


def _no_beams(data):
    data.BeamSequence = []


def _two_machines(data):
    data.BeamSequence[1].TreatmentMachineName = "OTHER"


def _two_positions(data):
    setup = Dataset()
    setup.PatientSetupNumber, setup.PatientPosition = 2, "HFP"
    data.PatientSetupSequence.append(setup)
    data.BeamSequence[1].ReferencedPatientSetupNumber = 2


def _beam_twice(data):
    data.BeamSequence.append(copy.deepcopy(data.BeamSequence[0]))


def _setup_beam_with_mu(data):
    data.BeamSequence[1].TreatmentDeliveryType = "SETUP"


def _lost_reference(data):
    del group_edit(data).ReferencedBeamSequence[1]


def _points_swapped(data):
    points = data.BeamSequence[0].ControlPointSequence
    points[0].ControlPointIndex, points[1].ControlPointIndex = 1, 0


def _jaws_of_two_kinds(data):
    first = data.BeamSequence[0].ControlPointSequence[0]
    other = copy.deepcopy(first.BeamLimitingDevicePositionSequence[0])
    other.RTBeamLimitingDeviceType, other.LeafJawPositions = "X", [-10, 10]
    first.BeamLimitingDevicePositionSequence.append(other)


def _jaws_twice(data):
    places = data.BeamSequence[0].ControlPointSequence[0].BeamLimitingDevicePositionSequence
    places.append(copy.deepcopy(places[0]))


def _jaws_not_positioned(data):
    del data.BeamSequence[0].ControlPointSequence[0].BeamLimitingDevicePositionSequence[1]


def _device_declared_twice(data):
    devices = data.BeamSequence[0].BeamLimitingDeviceSequence
    devices.append(copy.deepcopy(devices[0]))


def _pairs_miscounted(data):
    add_mlc(data, 9.0, BOUNDARIES)
    data.BeamSequence[0].BeamLimitingDeviceSequence[2].NumberOfLeafJawPairs = 60


def _setup_twice(data):
    _two_positions(data)
    data.PatientSetupSequence[1].PatientSetupNumber = 1
    data.BeamSequence[1].ReferencedPatientSetupNumber = 1


def _moving_jaws(data):
    first, last = data.BeamSequence[0].ControlPointSequence
    last.BeamLimitingDevicePositionSequence = copy.deepcopy(first.BeamLimitingDevicePositionSequence)
    last.BeamLimitingDevicePositionSequence[0].LeafJawPositions = [-20, 20]


def _late_mlc(data):
    add_mlc(data, 9.0, BOUNDARIES)
    first, last = data.BeamSequence[0].ControlPointSequence
    last.BeamLimitingDevicePositionSequence = [first.BeamLimitingDevicePositionSequence.pop(2)]


def _arc(direction):
    def edit(data):
        beam = data.BeamSequence[0]
        beam.BeamType = "DYNAMIC"
        beam.ControlPointSequence[0].GantryRotationDirection = direction
        beam.ControlPointSequence[1].GantryAngle = 10

    return edit


def _two_mlcs(data):
    add_mlc(data, 9.0, BOUNDARIES)
    add_mlc(data, 9.0, BOUNDARIES)
    data.BeamSequence[0].BeamLimitingDeviceSequence[3].RTBeamLimitingDeviceType = "MLCY"
    first = data.BeamSequence[0].ControlPointSequence[0]
    first.BeamLimitingDevicePositionSequence[3].RTBeamLimitingDeviceType = "MLCY"


def _boundaries_out_of_order(data):
    add_mlc(data, 9.0, BOUNDARIES)
    device = data.BeamSequence[0].BeamLimitingDeviceSequence[2]
    device.LeafPositionBoundaries = list(device.LeafPositionBoundaries)[::-1]


def _no_devices(data):
    del data.BeamSequence[0].ControlPointSequence[0].BeamLimitingDevicePositionSequence


def _unknown_device(data):
    first = data.BeamSequence[0].ControlPointSequence[0]
    first.BeamLimitingDevicePositionSequence[0].RTBeamLimitingDeviceType = "IRIS"


def _crossed_jaws(data):
    data.BeamSequence[0].ControlPointSequence[0].BeamLimitingDevicePositionSequence[0].LeafJawPositions = [
        5,
        -5,
    ]


def _leaf_count(data):
    add_mlc(data, 2.6, BOUNDARIES)
    data.BeamSequence[0].BeamLimitingDeviceSequence[2].LeafPositionBoundaries = [-100, 0, 100]


def _fluence(data):
    data.BeamSequence[0].PrimaryFluenceModeSequence[0].FluenceModeID = "SRS"


def _brachy(data):
    group_edit(data).NumberOfBrachyApplicationSetups = 1


def _wedge_position(data):
    item = Dataset()
    item.WedgePosition, item.ReferencedWedgeNumber = "IN", 1
    data.BeamSequence[0].ControlPointSequence[0].WedgePositionSequence = [item]


BROKEN = {
    "electrons": (beam_edit(RadiationType="ELECTRON"), "beam of ELECTRON"),
    "protons": (beam_edit(RadiationType="PROTON"), "beam of PROTON"),
    "wedge": (beam_edit(NumberOfWedges=1), "has wedges"),
    "wedge in": (_wedge_position, "wedge in the beam"),
    "block": (beam_edit(NumberOfBlocks=1), "has blocks"),
    "compensator": (beam_edit(NumberOfCompensators=1), "has compensators"),
    "bolus": (beam_edit(NumberOfBoli=1), "has bolus"),
    "applicator": (beam_edit(ApplicatorSequence=[Dataset()]), "has an applicator"),
    "electron applicator": (
        beam_edit(ApplicatorSequence=[cone(20, ApplicatorType="ELECTRON_SQUARE")]),
        "has an applicator CONE ELECTRON_SQUARE",
    ),
    "two cones": (beam_edit(ApplicatorSequence=[cone(20), cone(10)]), "has an applicator"),
    "applicator of no shape": (
        beam_edit(ApplicatorSequence=[cone(20, ApplicatorGeometrySequence=[])]),
        "not said to be round",
    ),
    "closed cone": (beam_edit(ApplicatorSequence=[cone(0)]), "is 0 mm"),
    "beam type": (beam_edit(BeamType="ROTATING"), "neither STATIC nor DYNAMIC"),
    "static arc": (point_edit(1, GantryAngle=10), "control point 1: is of a beam of type STATIC"),
    "static with moving jaws": (_moving_jaws, "of type STATIC, but the machine moved"),
    "arc without direction": (
        _arc("NONE"),
        "turned by 10 degrees to here, but its rotation direction is NONE",
    ),
    "direction unknown": (_arc("CCW"), "is CCW, which is not CW, CC or NONE"),
    "leaves appear late": (_late_mlc, "positions the MLCX, which control point 0 does not"),
    "two mlcs": (_two_mlcs, "two multileaf collimators"),
    "leaf boundaries": (_boundaries_out_of_order, "do not ascend"),
    "crossed leaves": (lambda d: add_mlc(d, -1.0, BOUNDARIES), "leaves of MLCX pair 1 are crossed"),
    "mlc miscounted": (_leaf_count, "80 leaf positions for 2 leaf pairs"),
    "no jaws, no leaves": (_no_devices, "neither jaws nor leaves"),
    "unknown device": (_unknown_device, "beam limiting device IRIS"),
    "crossed jaws": (_crossed_jaws, "not two ascending"),
    "couch pitch": (point_edit(TableTopPitchAngle=2), "couch pitch of 2"),
    "couch roll": (point_edit(TableTopRollAngle=359), "couch roll of 359"),
    "eccentric": (point_edit(TableTopEccentricAngle=5), "eccentric rotation of 5"),
    "gantry pitch": (point_edit(GantryPitchAngle=1), "gantry pitch"),
    "port film": (beam_edit(TreatmentDeliveryType="OPEN_PORTFILM"), "delivery type OPEN_PORTFILM"),
    "two groups": (_two_groups, "2 fraction groups"),
    "no mu": (_no_mu, "has no monitor units"),
    "zero mu": (_zero_mu, "has 0 monitor units"),
    "minutes": (beam_edit(PrimaryDosimeterUnit="MINUTE"), "dosed in MINUTE"),
    "no isocentre": (point_edit(IsocenterPosition=None), "Isocenter Position"),
    "no gantry": (point_edit(GantryAngle=None), "Gantry Angle"),
    "no collimator": (point_edit(BeamLimitingDeviceAngle=None), "Beam Limiting Device Angle"),
    "no couch": (point_edit(PatientSupportAngle=None), "Patient Support Angle"),
    "no energy": (point_edit(NominalBeamEnergy=None), "Nominal Beam Energy"),
    "two energies": (point_edit(1, NominalBeamEnergy=10), "nominal energies"),
    "no machine": (beam_edit(TreatmentMachineName=None), "Treatment Machine Name"),
    "no sad": (beam_edit(SourceAxisDistance=None), "Source-Axis Distance"),
    "two machines": (_two_machines, "several machines"),
    "unknown fluence": (_fluence, "fluence mode NON_STANDARD SRS"),
    "weights": (point_edit(1, CumulativeMetersetWeight=0.5), "do not run from 0 to 1"),
    "no final weight": (beam_edit(FinalCumulativeMetersetWeight=None), "Final Cumulative"),
    "no beams": (_no_beams, "Beam Sequence"),
    "lost beam": (_lost_beam, "refers to beam 9"),
    "no group": (drop("FractionGroupSequence"), "Fraction Group Sequence"),
    "no setup": (drop("PatientSetupSequence"), "patient position"),
    "two positions": (_two_positions, "several positions: HFP, HFS"),
    "beam twice": (_beam_twice, "2 beams of number 1"),
    "setup beam with mu": (_setup_beam_with_mu, "type SETUP, but the fraction group gives it 100 MU"),
    "beam lost in the group": (_lost_reference, r"Number of Beams \(300A,0080\) is 2, but there are 1"),
    "control point lost": (
        beam_edit(NumberOfControlPoints=3),
        "Number of Control Points .* is 3, but there are 2",
    ),
    "no control points": (beam_edit(ControlPointSequence=None), "Control Point Sequence .* is missing"),
    "empty control points": (beam_edit(ControlPointSequence=[]), "Control Point Sequence .* is missing"),
    "control points swapped": (_points_swapped, "control point 0: Control Point Index .* is 1"),
    "jaws of two kinds": (_jaws_of_two_kinds, "two pairs of jaws in x"),
    "jaws twice": (_jaws_twice, "positions the ASYMX twice"),
    "jaws not positioned": (_jaws_not_positioned, "does not position the ASYMY, which the beam declares"),
    "device declared twice": (_device_declared_twice, "declares the ASYMX twice"),
    "leaf pairs miscounted": (_pairs_miscounted, "MLCX: Number of Leaf/Jaw Pairs .* is 60, but there are 40"),
    "setup lost": (beam_edit(ReferencedPatientSetupNumber=4), "refers to patient setup 4"),
    "setup twice": (_setup_twice, "several positions: HFP, HFS"),
    "group number twice": (
        lambda d: d.FractionGroupSequence.append(copy.deepcopy(d.FractionGroupSequence[0])),
        "two fraction groups have the same number",
    ),
    "brachy": (_brachy, "brachytherapy"),
    "treatment device": (lambda d: setattr(d, "RTPlanGeometry", "TREATMENT_DEVICE"), "no patient geometry"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_cannot_be_computed_is_refused_by_name(tmp_path, case):
    edit, message = BROKEN[case]
    path = write_plan(tmp_path, [Field(), Field(90)], edit=edit)
    with pytest.raises(InputError, match=message) as caught:
        read_plan(path)
    assert "RTPLAN.dcm" in str(caught.value)


def test_a_stereotactic_cone(tmp_path):
    """It shapes the field with jaws, and without any jaws or leaves at all, as robots do."""

    def bare(data):
        beam_edit(ApplicatorSequence=[cone(12.5)], BeamLimitingDeviceSequence=None)(data)
        del data.BeamSequence[0].ControlPointSequence[0].BeamLimitingDevicePositionSequence

    for edit in (beam_edit(ApplicatorSequence=[cone(12.5)]), bare):
        (beam,) = read_plan(write_plan(tmp_path, [Field()], edit=edit)).beams
        assert beam.cone == 1.25 and shaped_by(beam) == "a cone of 1.25 cm"
        assert extent(beam) == (-0.625, 0.625, -0.625, 0.625)
        assert mean_opening(beam) == pytest.approx(np.pi * 0.625**2)
        assert jaw_ranges(beam).endswith("; cone 1.25")
    assert beam.jaws == (-np.inf, np.inf, -np.inf, np.inf)


def test_unknown_patient_positions_are_refused(tmp_path):
    with pytest.raises(InputError, match="SITTING is not handled"):
        read_plan(write_plan(tmp_path, position="SITTING"))


def test_a_structure_set_is_not_a_plan(tmp_path):
    with pytest.raises(InputError, match="not a photon RTPLAN"):
        read_plan(write_structures(tmp_path, []))


def test_a_truncated_plan_is_refused(tmp_path):
    path = write_plan(tmp_path, [Field(), Field(90)])
    content = path.read_bytes()
    for length in range(140, len(content), 23):
        path.write_bytes(content[:length])
        with pytest.raises(InputError):
            read_plan(path)


def test_agility_plans_without_preamble(shared):
    """Real exports of a planning system, read as they are."""
    folder = shared / "data" / "plans" / "agility-6mv"
    plan = read_plan(folder / "vmat_example.dcm")
    first, second = plan.beams
    assert [len(beam.control_points) for beam in plan.beams] == [32, 31]
    assert [beam.mu for beam in plan.beams] == pytest.approx([157.238693, 158.782211])
    assert (first.gantry, first.control_points[-1].gantry) == (90, 150)
    assert (second.gantry, second.control_points[-1].gantry) == (270, 210)
    assert np.diff([point.gantry for point in second.control_points]).max() < 0
    for beam in plan.beams:
        assert beam.leaf_boundaries["MLCX"] == tuple(np.arange(-20, 20.1, 0.5))
        assert all(point.jaws[:2] == (-np.inf, np.inf) for point in beam.control_points)
    assert first.jaws[2:] == (-0.5, 0.8) and first.control_points[1].jaws[2:] == (-0.8, 0.8)
    (beam,) = read_plan(folder / "FFF_example.dcm").beams
    assert beam.fluence_mode == "FFF" and beam.jaws[2:] == (-1.2, 1.2)
    assert beam.control_points[1].leaves == beam.control_points[0].leaves
    (beam,) = read_plan(folder / "24mm_x_20mm_rectangle.dcm").beams
    assert beam.jaws[2:] == (-1.3, 1.3)


def test_setup_beams_without_monitor_units_are_no_matter(tmp_path):
    """They are in the fraction group of many exports, and what another group delivers is not missed."""

    def edit(data):
        data.BeamSequence[1].TreatmentDeliveryType = "SETUP"
        del group_edit(data).ReferencedBeamSequence[1].BeamMeterset

    plan = read_plan(write_plan(tmp_path, [Field(), Field(90)], edit=edit))
    assert [beam.number for beam in plan.beams] == [1] and not plan.warnings


def test_jaws_stated_alike_by_two_names_are_one(tmp_path):
    def edit(data):
        _jaws_of_two_kinds(data)
        places = data.BeamSequence[0].ControlPointSequence[0].BeamLimitingDevicePositionSequence
        places[2].LeafJawPositions = places[0].LeafJawPositions

    assert read_plan(write_plan(tmp_path, edit=edit)).beams[0].jaws == (-2.5, 2.5, -2.5, 2.5)


def test_one_fraction_group_of_several_is_read(tmp_path):
    """Its beams, fractions and prescription; what else the plan has is said."""

    def edit(data):
        _two_groups(data)
        for group, beam, fractions in zip(data.FractionGroupSequence, (1, 2), (16, 4), strict=True):
            group.ReferencedBeamSequence = [group.ReferencedBeamSequence[beam - 1]]
            group.NumberOfBeams, group.NumberOfFractionsPlanned = 1, fractions
            reference = Dataset()
            reference.ReferencedDoseReferenceNumber = beam
            group.ReferencedDoseReferenceSequence = [reference]
        boost = copy.deepcopy(data.DoseReferenceSequence[0])
        boost.DoseReferenceNumber, boost.TargetPrescriptionDose = 2, 10
        data.DoseReferenceSequence.append(boost)

    path = write_plan(tmp_path, [Field(), Field(90, mu=50)], edit=edit)
    listed = r"2 fraction groups: 1 \(16 fractions of beams 1\); 2 \(4 fractions of beams 2\)"
    with pytest.raises(InputError, match=listed) as caught:
        read_plan(path)
    assert "--fraction-group" in caught.value.remedy
    for number, beam, fractions, mu, dose in ((1, 1, 16, 100, 24), (2, 2, 4, 50, 10)):
        plan = read_plan(path, number)
        assert (plan.fraction_group, plan.fractions) == (number, fractions)
        assert [(b.number, b.mu) for b in plan.beams] == [(beam, mu)]
        assert [p.dose for p in plan.prescriptions] == [dose]
        (said,) = plan.warnings
        assert said.startswith(
            f"fraction group {number} ({fractions} fractions of beams {beam}) alone is checked"
        )
    with pytest.raises(InputError, match="has no fraction group 3") as caught:
        read_plan(path, 3)
    assert "1 (16 fractions of beams 1)" in caught.value.remedy


def test_the_only_fraction_group_needs_no_choice(tmp_path):
    path = write_plan(tmp_path)
    assert read_plan(path) == read_plan(path, 1) and read_plan(path).fraction_group is None


def test_a_public_plan_of_two_fraction_groups(shared):
    path = shared / "data" / "plans" / "monaco-two-groups" / "rtplan.dcm"
    for number, fractions, beams, dose in ((1, 16, [1, 2, 3], 42.4), (2, 4, [4, 5, 6], 10.0)):
        plan = read_plan(path, number)
        assert plan.fractions == fractions and [beam.number for beam in plan.beams] == beams
        assert [p.dose for p in plan.prescriptions] == [dose]

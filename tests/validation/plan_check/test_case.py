"""A case as it is read: valid oddities of exports, fraction groups, and where plan and CT contradict."""

from __future__ import annotations

import re
from copy import deepcopy

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian, MRImageStorage

from mc.plan.plan import beam_to_patient
from phantoms.assemble import build_phantom
from phantoms.errors import InputError
from phantoms.hu import load_calibration
from tests.dicom_factory import (
    GRID,
    Contours,
    Field,
    Uids,
    body_box,
    circle,
    write_case,
    write_ct,
    write_dose,
    write_plan,
    write_structures,
)
from validation.cli import main
from validation.plan_check.case import load_case

CURVE = load_calibration("opentps-4")
HU = np.random.default_rng(3).integers(-200, 1200, GRID.shape).astype(float)
CENTRE = (3.0, -1.0)
PTV = Contours("PTV", [circle(0.6, z, CENTRE) for z in GRID.centres(0) if abs(z) < 0.7], "PTV")
FIELDS = [Field(), Field(90)]


def write_odd_case(folder):
    """An export with some thirty things in it that are valid, and rare."""
    write_ct(folder / "CT", GRID, HU, edit=_odd_slice)
    survey = {"edit": _localizer, "skip": range(1, 12)}
    write_ct(folder / "CT", prefix="scout", uids=Uids(series="1.2.5"), **survey)
    write_ct(folder / "CT", prefix="in_series", edit=_localizer_of_the_series, skip=range(1, 12))
    write_ct(folder / "phase", uids=Uids(series="1.2.6"), prefix="CT")  # names occur twice
    write_ct(folder / "MR", uids=Uids(series="1.2.7", frame="1.2.8"), prefix="MR", edit=_mr)
    write_structures(folder, _odd_structures(), edit=_odd_structure_set)
    write_structures(folder / "old", [body_box(GRID)], uids=Uids(structures="1.2.9"))
    write_plan(folder, [*FIELDS, Field(180)], edit=_odd_plan)
    write_dose(folder)
    write_dose(folder, summation="BEAM", beam=1, name="beam.dcm")
    write_dose(folder / "old", uids=Uids(plan="1.2.10"))
    for path in (folder / "RTPLAN.dcm", folder / "RTSTRUCT.dcm"):
        _without_preamble(path)
    (folder / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    (folder / "._RTPLAN.dcm").write_bytes(b"\0\5\26\7" * 100)
    (folder / "notes.txt").write_text("exported on Monday")
    (folder / "empty").mkdir()
    return folder


def _odd_slice(data):
    data.InstanceNumber = 100 - data.InstanceNumber  # from the head down
    data.add_new(0x00091010, "LO", "a vendor's own")
    data.add_new(0x00091001, "UN", b"\1\2\3\4" * 20_000)
    data.ImageComments = "Größe"
    data.SpecificCharacterSet = "ISO_IR 192"


def _localizer(data):
    data.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]


def _localizer_of_the_series(data):
    _localizer(data)
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = "1.2.11"


def _mr(data):
    data.Modality = "MR"
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = MRImageStorage


def _odd_structures():
    body = body_box(GRID)
    outlines = [np.vstack([contour, contour[:1]]) for contour in body.contours]  # closed in so many words
    many = [circle(0.5, z, CENTRE, n=3000) for z in GRID.centres(0)[2:6]]  # more than 64 kB, stored as UN
    ring = [_keyhole(z) for z in GRID.centres(0)]
    tilted = [c @ [[1, 0, 0.3], [0, 1, 0], [0, 0, 1]] for c in (circle(1, z, CENTRE) for z in (0.0, 0.3))]
    coronal = [circle(1, y)[:, [0, 2, 1]] for y in (0.0, 0.2)]
    return [
        Contours("BODY", [*outlines[::-1], outlines[3] + [1e-3, 0, 1e-3]], "EXTERNAL"),
        PTV,
        Contours("large", many),
        Contours("empty", []),
        Contours("isocentre", [np.array([[3.0, -1.0, 0.0]])], "ISOCENTER", geometry="POINT"),
        Contours("seed", [np.array([[3.0, -1.0, 0.0], [3.1, -1.0, 0.0]])], "", geometry="OPEN_NONPLANAR"),
        Contours("keyhole", ring),
        Contours(
            "exclusive",
            [circle(r, z, CENTRE) for z in (0.0, 0.3) for r in (1, 0.5)],
            geometry="CLOSEDPLANAR_XOR",
        ),
        Contours("tilted", tilted),
        Contours("coronal", coronal),
        Contours("one slice", [circle(0.5, 0.1, CENTRE)]),
        Contours(
            "noise", [circle(0.5, z, CENTRE) + [0, 0, 1e-3] * (np.arange(360) % 2)[:, None] for z in (0, 0.3)]
        ),
        Contours("beyond", [circle(0.5, z, CENTRE) for z in (9.0, 9.3)]),  # the CT
        Contours("on MR", [circle(0.5, z, CENTRE) for z in (0.0, 0.1)]),
        Contours("PTV", [circle(0.5, z, CENTRE) for z in (0.0, 0.1)]),  # on MR, too
    ]


def _keyhole(z):
    angle = np.linspace(0, 2 * np.pi, 61)
    circles = [
        np.column_stack([r * np.cos(s * angle), r * np.sin(s * angle)]) for r, s in ((1, 1), (0.5, -1))
    ]
    return np.column_stack([np.vstack(circles) + CENTRE, np.full(122, z)])


def _odd_structure_set(data):
    ct = data.ReferencedFrameOfReferenceSequence[0]
    mr = deepcopy(ct)
    mr.FrameOfReferenceUID = "1.2.8"
    series = mr.RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
    series.SeriesInstanceUID = "1.2.7"
    for image in series.ContourImageSequence:
        image.ReferencedSOPClassUID = MRImageStorage
    localizer = Dataset()
    localizer.ReferencedSOPClassUID, localizer.ReferencedSOPInstanceUID = (
        "1.2.840.10008.5.1.4.1.1.2",
        "1.2.11",
    )
    ct.RTReferencedStudySequence[0].RTReferencedSeriesSequence[0].ContourImageSequence.append(localizer)
    data.ReferencedFrameOfReferenceSequence = [mr, ct]
    for number in (13, 14):
        data.StructureSetROISequence[number].ReferencedFrameOfReferenceUID = "1.2.8"
    for contour in data.ROIContourSequence[2].ContourSequence:
        raw = contour.get_item("ContourData")
        contour[raw.tag] = raw._replace(VR="UN")
    second = deepcopy(data.RTROIObservationsSequence[1])
    second.ObservationNumber, second.ROIObservationLabel = 99, "reviewed"
    data.RTROIObservationsSequence.append(second)
    del data.ROIContourSequence[3].ContourSequence
    data.add_new(0x30091010, "LO", "a vendor's own")


def _odd_plan(data):
    setup = data.BeamSequence[2]
    setup.TreatmentDeliveryType = "SETUP"
    del data.FractionGroupSequence[0].ReferencedBeamSequence[2].BeamMeterset
    data.DoseReferenceSequence.append(deepcopy(data.DoseReferenceSequence[0]))
    data.DoseReferenceSequence[1].DoseReferenceNumber = 2
    data.DoseReferenceSequence[1].DoseReferenceType = "ORGAN_AT_RISK"
    data.BeamSequence[0].BeamDescription = ""
    data.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian


def _without_preamble(path):
    """As old exporters write files: the dataset alone."""
    data = pydicom.dcmread(path)
    syntax = data.file_meta.TransferSyntaxUID
    del data.file_meta, data.preamble
    data.save_as(path, implicit_vr=syntax.is_implicit_VR, little_endian=True, enforce_file_format=False)


def test_a_plan_with_thirty_valid_oddities_is_as_one_without(tmp_path):
    plain = load_case(write_case(tmp_path / "plain", GRID, HU, [body_box(GRID), PTV], FIELDS))
    odd = load_case(write_odd_case(tmp_path / "odd"))
    assert odd.plan.beams == plain.plan.beams and odd.plan.fractions == plain.plan.fractions
    np.testing.assert_array_equal(odd.ct.hu, plain.ct.hu)
    np.testing.assert_array_equal(odd.planned_dose.dose, plain.planned_dose.dose)
    phantoms = [build_phantom(case.ct, case.structures, CURVE, GRID) for case in (odd, plain)]
    np.testing.assert_array_equal(phantoms[0].density, phantoms[1].density)
    np.testing.assert_array_equal(phantoms[0].material, phantoms[1].material)
    said = " ".join([*odd.plan.warnings, *phantoms[0].audit["warnings"]])
    for words in (
        r"drawn in another frame of reference than the CT's: on MR, PTV",
        r"structure BODY: 1 contour\(s\) drawn twice",
        r"structure tilted, coronal has contours that do not lie on a plane",
    ):
        assert re.search(words, said)


@pytest.mark.parametrize("position", ["HFP", "FFS", "HFDR"])
def test_another_position_of_the_plan_than_of_the_ct_is_said(tmp_path, position):
    """Beams stand as the plan's position has them, which is the one of the treatment (C.8.8.12)."""
    write_case(tmp_path)
    write_plan(tmp_path, position=position)
    case = load_case(tmp_path)
    said = f"treats the patient in position {position}, the CT was taken in position HFS"
    assert said in case.warnings[0]
    beam = case.plan.beams[0]
    source = beam_to_patient(beam, case.plan.patient_position)[1] - beam.isocentre
    up = {"HFP": (0, 1, 0), "FFS": (0, -1, 0), "HFDR": (1, 0, 0)}[position]
    np.testing.assert_allclose(source, 100 * np.array(up), atol=1e-9)
    write_plan(tmp_path)
    assert "position" not in str(load_case(tmp_path).warnings)


def _two_groups(data):
    second = deepcopy(data.FractionGroupSequence[0])
    second.FractionGroupNumber, second.NumberOfFractionsPlanned = 2, 5
    second.ReferencedBeamSequence = second.ReferencedBeamSequence[1:]
    first = data.FractionGroupSequence[0]
    first.ReferencedBeamSequence = first.ReferencedBeamSequence[:1]
    second.NumberOfBeams = first.NumberOfBeams = 1
    data.FractionGroupSequence.append(second)


def _of_group(number):
    def edit(data):
        group = Dataset()
        group.ReferencedFractionGroupNumber = number
        data.ReferencedRTPlanSequence[0].ReferencedFractionGroupSequence = [group]

    return edit


def test_a_fraction_group_is_checked_against_its_own_dose(tmp_path):
    """The dose of a fraction times the group's fractions; that of the whole plan says nothing of it."""
    write_case(tmp_path, GRID, HU, fields=FIELDS)
    write_plan(tmp_path, FIELDS, edit=_two_groups)
    with pytest.raises(InputError, match="2 fraction groups"):
        load_case(tmp_path)
    with pytest.raises(InputError, match="dose of the whole plan, of which fraction group 2 alone") as caught:
        load_case(tmp_path, fraction_group=2)
    assert "FRACTION" in caught.value.remedy
    (tmp_path / "RTDOSE.dcm").unlink()
    case = load_case(tmp_path, fraction_group=2)
    assert case.planned_dose is None and [beam.number for beam in case.plan.beams] == [2]
    for number in (1, 2):
        write_dose(tmp_path, summation="FRACTION", edit=_of_group(number), name=f"group{number}.dcm")
    case = load_case(tmp_path, fraction_group=2)
    assert case.planned_dose.path.name == "group2.dcm"
    np.testing.assert_allclose(case.planned_dose.dose, 5.0)


def test_inspect_lists_all_fraction_groups(tmp_path, capsys):
    path = write_plan(tmp_path, FIELDS, edit=_two_groups)
    assert main(["inspect", str(path)]) == 0
    captured = capsys.readouterr()
    shown = " ".join((captured.out + captured.err).split())
    assert "2 fraction groups" in shown and "fraction group 1" in shown and "fraction group 2" in shown
    assert "--fraction-group" in shown


def test_inspect_says_what_a_plan_of_several_fraction_groups_states(tmp_path, capsys):
    def edit(data):
        _two_groups(data)
        data.ApprovalStatus = "REJECTED"

    assert main(["inspect", str(write_plan(tmp_path, FIELDS, edit=edit))]) == 0
    captured = capsys.readouterr()
    shown = " ".join((captured.out + captured.err).split())
    assert shown.count("the plan is REJECTED") == 1 and "alone is checked" not in shown


def test_inspect_and_dvh_state_one_volume(tmp_path, capsys):
    """On whichever grid the dose lies, and beyond it."""
    structures = write_structures(tmp_path, [body_box(GRID), PTV])
    dose = write_dose(tmp_path)
    assert main(["inspect", str(structures)]) == 0
    inspected = capsys.readouterr().out
    assert main(["dvh", str(dose), str(structures)]) == 0
    read = capsys.readouterr().out
    for name in ("BODY", "PTV"):
        volumes = [re.search(rf"{name}\b.*?(\d+\.\d\d)\b", text)[1] for text in (inspected, read)]
        assert volumes[0] == volumes[1]

"""Wrongness planted in a sound export: each is refused, or a warning, before anything is computed."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from phantoms.assemble import build_phantom
from phantoms.errors import InputError
from phantoms.hu import load_calibration
from phantoms.structures import read_structures
from tests.dicom_factory import GRID as SMALL
from tests.dicom_factory import (
    Contours,
    Field,
    body_box,
    rectangle,
    write_case,
    write_ct,
    write_dose,
    write_plan,
)
from validation.plan_check.case import load_case
from validation.plan_check.prescription import prescription_of

Z = SMALL.centres(0)
TARGET = Contours("PTV", [rectangle((2.5, 3.5), (-1.5, -0.5), z) for z in Z[4:8]], "PTV")
# the beam comes from the front: BODY begins at y = lower + 0.4 cm, the isocentre lies at y = -1
SSD_MM = 1000.0 + 10.0 * (SMALL.lower[1] + 0.4 + 1.0)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = write_case(tmp_path_factory.mktemp("sound"), structures=[body_box(SMALL), TARGET])
    write_dose(folder, SMALL, np.full(SMALL.shape, 24.0))
    return folder


def said(folder) -> tuple[str, ...]:
    """Warnings of an export that can be computed."""
    case = load_case(folder)
    curve = load_calibration("opentps-4")
    phantom = build_phantom(case.ct, case.structures, curve, case.ct.grid, case.case_file.overrides)
    return (*case.warnings, *case.plan.warnings, *phantom.audit["warnings"])


def changed(sound, tmp_path, name: str, edit) -> None:
    """A copy of the sound export in which `edit` changes every file whose name begins with `name`."""
    for path in sound.iterdir():
        data = pydicom.dcmread(path)
        if path.name.startswith(name):
            edit(data)
        data.save_as(tmp_path / path.name)


def point(data: Dataset) -> Dataset:
    return data.BeamSequence[0].ControlPointSequence[0]


def types(body: str, target: str):
    def edit(data: Dataset) -> None:
        for item, kind in zip(data.RTROIObservationsSequence, (body, target), strict=True):
            item.RTROIInterpretedType = kind

    return edit


def structure_set(data: Dataset) -> None:
    data.ReferencedStructureSetSequence = [Dataset()]
    data.ReferencedStructureSetSequence[0].ReferencedSOPInstanceUID = "1.2.3"


def moved(data: Dataset) -> None:
    for contour in data.ROIContourSequence[1].ContourSequence:
        places = np.reshape([float(c) for c in contour.ContourData], (-1, 3)) + (200.0, 0.0, 0.0)
        contour.ContourData = places.ravel().tolist()


def jaw(data: Dataset) -> None:
    point(data).BeamLimitingDevicePositionSequence[0].LeafJawPositions = [-1e6, 1e6]


def of(keyword: str, value, item=lambda data: data):
    return lambda data: setattr(item(data), keyword, value)


def meterset(data: Dataset) -> Dataset:
    return data.FractionGroupSequence[0].ReferencedBeamSequence[0]


SAID = {
    "another transform": ("RTDOSE", of("SpatialTransformOfDose", "NON_RIGID"), "NON_RIGID transform"),
    "water": ("RTDOSE", of("TissueHeterogeneityCorrection", "WATER"), "heterogeneity correction WATER"),
    "lossy dose": ("RTDOSE", of("LossyImageCompression", "01"), "its dose was compressed with loss"),
    "other structures": ("RTDOSE", structure_set, "another structure set than the plan's"),
    "nobody's dose": ("RTDOSE", of("PatientID", ""), "RTDOSE.dcm: no patient is stated"),
    "rejected plan": ("RTPLAN", of("ApprovalStatus", "REJECTED"), "the plan is REJECTED"),
    "a QA plan": ("RTPLAN", of("PlanIntent", "MACHINE_QA"), "intent is MACHINE_QA"),
    "rejected structures": ("RTSTRUCT", of("ApprovalStatus", "REJECTED"), "structure set is REJECTED"),
    "prescription": (
        "RTPLAN",
        of("TargetPrescriptionDose", 800.0, lambda data: data.DoseReferenceSequence[0]),
        "prescription of 800 Gy does not fit a planned maximum of 24 Gy",
    ),
    "SSD": ("RTPLAN", of("SourceToSurfaceDistance", SSD_MM - 30.0, point), "BODY is at"),
    "isocentre": ("RTPLAN", of("IsocenterPosition", [0, 0, 900], point), "cm outside BODY"),
    "target outside": ("RTSTRUCT", moved, "only 0% of the outline of PTV"),
    "lossy CT": ("CT", of("LossyImageCompression", "01"), "12 of 12 CT slices were compressed with loss"),
    "text in the CT": ("CT", of("BurnedInAnnotation", "YES"), "text burned into"),
    "bone": ("CT", of("RescaleIntercept", -400), "the median of BODY is 600 HU"),
}
REFUSED = {
    "monitor units": (
        "RTPLAN",
        of("BeamMeterset", 1e9, meterset),
        r"Beam Meterset .*1e\+09 MU is implausible",
    ),
    "fractions": (
        "RTPLAN",
        of("NumberOfFractionsPlanned", 1000, lambda data: data.FractionGroupSequence[0]),
        "1000 fractions is implausible",
    ),
    "negative prescription": (
        "RTPLAN",
        of("TargetPrescriptionDose", -5.0, lambda data: data.DoseReferenceSequence[0]),
        "-5 Gy is implausible",
    ),
    "jaws": ("RTPLAN", jaw, "position of ASYMX .*implausible"),
    "gantry": ("RTPLAN", of("GantryAngle", 1e6, point), "Gantry Angle .*implausible"),
    "far away": ("RTPLAN", of("IsocenterPosition", [0, 0, 1e6], point), "Isocenter Position .*implausible"),
    "mixed up": ("RTSTRUCT", types("PTV", "EXTERNAL"), r"BODY \(PTV\) is larger than the body PTV"),
    "no dose": ("RTDOSE", of("DoseGridScaling", "1e-30"), "its maximum: .* Gy is implausible"),
    "voxels": ("RTDOSE", of("PixelSpacing", [1e-6, 1e-6]), "side of a voxel: .* implausible"),
    "intercept 0": ("CT", of("RescaleIntercept", 0), "median of its CT values: 1000 HU is implausible"),
    "air": ("CT", of("RescaleIntercept", -2000), "median of its CT values: -1000 HU is implausible"),
    "pixels": ("CT", of("PixelSpacing", [1e6, 1e6]), "Pixel Spacing .*implausible"),
}


def test_a_sound_export_says_nothing(sound, tmp_path):
    changed(sound, tmp_path, "RTPLAN", of("SourceToSurfaceDistance", SSD_MM, point))
    assert said(tmp_path) == ()


@pytest.mark.parametrize("what", SAID)
def test_what_is_said(sound, tmp_path, what):
    name, edit, message = SAID[what]
    changed(sound, tmp_path, name, edit)
    warnings = said(tmp_path)
    assert len(warnings) == 1 and message in warnings[0], warnings


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused_with_a_remedy(sound, tmp_path, what):
    name, edit, message = REFUSED[what]
    changed(sound, tmp_path, name, edit)
    with pytest.raises(InputError, match=message) as caught:
        said(tmp_path)
    assert caught.value.remedy


def test_a_body_of_another_material_needs_no_hounsfield_units(sound, tmp_path):
    changed(sound, tmp_path, "CT", of("RescaleIntercept", 0))
    (tmp_path / "case.toml").write_text(
        'calibration = "opentps-4"\n[overrides.BODY]\nmaterial = "water"\ndensity = 1.0\n'
    )
    assert not [text for text in said(tmp_path) if "median" in text]


def test_a_scale_of_one_slice_is_said(tmp_path):
    write_case(tmp_path, structures=[body_box(SMALL)])
    write_ct(tmp_path, SMALL, edit_slice=(5, of("RescaleSlope", 1.01)))
    assert any("2 scales of HU: slope 1.01, intercept -1000" in text for text in said(tmp_path))


def test_ssd_counts_the_couch_where_the_planning_system_does(tmp_path):
    """From behind through a couch of 2 cm: either surface may be stated, no other."""
    x, y = (1.0, 4.5), (SMALL.upper[1] - 0.4, SMALL.upper[1] - 0.1)
    couch = Contours("Couch", [rectangle(x, y, z) for z in Z], "SUPPORT")
    skin = 1000.0 - 10.0 * (SMALL.upper[1] - 0.4 + 1.0)
    for stated, silent in ((skin, True), (skin - 3.0, True), (skin + 25.0, False), (skin - 25.0, False)):
        folder = write_case(tmp_path / f"{stated:.0f}", structures=[body_box(SMALL), couch])
        write_plan(folder, [Field(gantry=180.0)], edit=of("SourceToSurfaceDistance", stated, point))
        assert (not any("source-surface" in text for text in said(folder))) == silent


def test_one_dose_file_a_plane_is_the_dose(tmp_path):
    dose = 20.0 + np.arange(np.prod(SMALL.shape)).reshape(SMALL.shape) % 7
    folder = write_case(tmp_path, structures=[body_box(SMALL)])
    (folder / "RTDOSE.dcm").unlink()
    planes(folder, dose)
    case = load_case(folder)
    assert case.planned_dose.grid.matches(SMALL)
    np.testing.assert_allclose(case.planned_dose.dose, dose, atol=1e-5)
    (folder / "plane05.dcm").unlink()
    with pytest.raises(InputError, match=r"planes of the dose are 6 mm apart .*is a plane missing\?"):
        load_case(folder)
    for k in range(1, 12):
        (folder / f"plane{k:02d}.dcm").unlink(missing_ok=True)
    with pytest.raises(InputError, match="is a single plane of a dose"):
        load_case(folder)


def planes(folder, dose) -> None:
    """Single frames without their thickness, each scaled on its own and named in no order."""

    def flat(data: Dataset) -> None:
        del data.GridFrameOffsetVector, data.FrameIncrementPointer, data.NumberOfFrames

    for k, plane in enumerate(dose):
        origin = (Z[k], *SMALL.origin[1:])
        grid = type(SMALL)((1, *SMALL.shape[1:]), SMALL.spacing, origin)
        write_dose(folder, grid, plane[None], edit=flat, name=f"plane{k:02d}.dcm")


def test_percentages_are_of_the_maximum_where_the_prescription_cannot_be(sound):
    plan = load_case(sound).plan
    assert prescription_of(plan, 30.0) == (24.0, [])
    dose, warnings = prescription_of(plan, 3.0)
    assert dose is None and "percentages are of that maximum" in warnings[0]


def test_contours_of_a_kilometre_are_left_out(tmp_path):
    far = Contours("Far", [rectangle((0.0, 1e5), (0.0, 1e5), z) for z in Z])
    write_case(tmp_path, structures=[body_box(SMALL), far])
    assert "more than 100 cm" in read_structures(tmp_path / "RTSTRUCT.dcm")["Far"].problem
    assert any("Far" in text and "left out" in text for text in said(tmp_path))

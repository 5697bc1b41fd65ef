"""RTDOSE in and out: geometry, scaling, references, and what is refused."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest

from phantoms.errors import InputError
from phantoms.grid import Grid
from validation.rtdose import course_dose, read_rtdose, sum_beam_doses, write_rtdose

GRID = Grid((4, 5, 6), (0.25, 0.3, 0.2), (-1.0, 2.5, -30.4321))
DOSE = np.random.default_rng(1).random(GRID.shape) * 70


@pytest.fixture
def path(tmp_path):
    write_rtdose(tmp_path / "dose.dcm", DOSE, GRID, version="0.1")
    return tmp_path / "dose.dcm"


def edit(path, **fields):
    """Rewrite fields of an RTDOSE; None deletes one."""
    data = pydicom.dcmread(path)
    for name, value in fields.items():
        if value is None:
            delattr(data, name)
        else:
            setattr(data, name, value)
    data.save_as(path)
    return path


def test_round_trip_keeps_dose_to_half_a_step_and_the_grid(path):
    found = read_rtdose(path)
    assert found.grid.matches(GRID, tolerance=1e-8)
    assert np.abs(found.dose - DOSE).max() <= 0.5001 * found.scaling
    assert found.scaling < 70 / 2**31
    assert found.summation == "PLAN"
    data = pydicom.dcmread(path)
    np.testing.assert_allclose(data.pixel_array * data.DoseGridScaling, DOSE, atol=found.scaling)
    assert "mcverify 0.1" in data.SoftwareVersions


def test_template_gives_patient_frame_and_plan(path, shared, tmp_path):
    original = read_rtdose(shared / "cases" / "spine_l1" / "RTDOSE.dcm")
    write_rtdose(tmp_path / "copy.dcm", original.dose, original.grid, original)
    copy = read_rtdose(tmp_path / "copy.dcm")
    assert copy.grid == original.grid
    np.testing.assert_allclose(copy.dose, original.dose, atol=original.scaling)
    for name in ("frame_of_reference_uid", "plan_uid", "patient_id", "study_uid"):
        assert getattr(copy, name) == getattr(original, name) != ""
    assert copy.sop_uid != original.sop_uid
    a, b = (pydicom.dcmread(p.path) for p in (original, copy))
    assert [float(v) for v in a.ImagePositionPatient] == [float(v) for v in b.ImagePositionPatient]
    assert [float(v) for v in a.GridFrameOffsetVector] == [float(v) for v in b.GridFrameOffsetVector]
    assert b.PatientName == a.PatientName and b.SeriesInstanceUID != a.SeriesInstanceUID


def test_shared_plan_dose_lies_where_its_readme_says(shared):
    found = read_rtdose(shared / "cases" / "spine_l1" / "RTDOSE.dcm")
    assert found.grid.shape == (112, 101, 122)
    assert found.dose.max() == pytest.approx(21.3, abs=0.05)


ORIENTATIONS = [
    [1, 0, 0, 0, 1, 0],  # head first supine
    [-1, 0, 0, 0, -1, 0],  # head first prone
    [-1, 0, 0, 0, 1, 0],  # feet first supine
    [1, 0, 0, 0, -1, 0],  # feet first prone
    [0, 1, 0, -1, 0, 0],  # decubitus
    [0, 1, 0, 0, 0, -1],  # sagittal
    [1, 0, 0, 0, 0, 1],  # coronal
]


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_orientations_by_the_image_plane_equation(path, orientation, descending):
    """Each stored pixel, placed by PS3.3 C.7.6.2.1.1, is found at that place of the grid."""
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    normal = np.cross(row, column)
    stored = np.random.default_rng(3).integers(0, 2**16, (3, 4, 5)).astype("<u2")
    position, spacing = np.array([-12.5, 33.0, 7.25]), (3.0, 2.0)
    offsets = np.arange(3) * (-4.0 if descending else 4.0)
    edit(
        path,
        ImageOrientationPatient=list(orientation),
        ImagePositionPatient=list(position),
        PixelSpacing=list(spacing),
        GridFrameOffsetVector=list(offsets),
        NumberOfFrames=3,
        Rows=4,
        Columns=5,
        BitsAllocated=16,
        BitsStored=16,
        HighBit=15,
        DoseGridScaling=0.001,
        PixelData=stored.tobytes(),
    )
    found = read_rtdose(path)
    for k, i, j in np.ndindex(stored.shape):
        x, y, z = position + offsets[k] * normal + i * spacing[0] * column + j * spacing[1] * row
        index = found.grid.index([0.1 * z, 0.1 * y, 0.1 * x])
        np.testing.assert_allclose(index, np.rint(index), atol=1e-6)
        assert found.dose[tuple(np.rint(index).astype(int))] == pytest.approx(0.001 * stored[k, i, j])


@pytest.mark.parametrize("descending", [False, True])
def test_absolute_frame_offsets(path, descending):
    """DICOM's option b: the vector holds the frames' z coordinates."""
    data = pydicom.dcmread(path)
    z = float(data.ImagePositionPatient[2])
    stack = DOSE[::-1] if descending else DOSE
    offsets = z + np.arange(4) * (-2.5 if descending else 2.5)
    pixels = np.rint(stack / data.DoseGridScaling).astype("<u4").tobytes()
    found = read_rtdose(edit(path, GridFrameOffsetVector=list(offsets), PixelData=pixels))
    assert found.grid.origin[0] == pytest.approx(offsets.min() / 10)
    np.testing.assert_allclose(found.dose, DOSE, atol=1e-6)


REFUSALS = [
    ({"DoseUnits": "RELATIVE"}, "DoseUnits is RELATIVE"),
    ({"DoseType": "EFFECTIVE"}, "DoseType is EFFECTIVE"),
    ({"DoseSummationType": "CONTROL_POINT"}, "CONTROL_POINT"),
    ({"DoseSummationType": None}, "Dose Summation Type .* is missing"),
    ({"DoseGridScaling": None}, "Dose Grid Scaling .* is missing"),
    ({"DoseGridScaling": 0}, "DoseGridScaling is 0"),
    ({"GridFrameOffsetVector": [0, 2.5, 5, 8]}, "unevenly"),
    ({"GridFrameOffsetVector": [0, 0, 0, 0]}, "unevenly"),
    ({"GridFrameOffsetVector": [0, 2.5, 5]}, "has 3 values, not 4"),
    ({"GridFrameOffsetVector": [3, 5.5, 8, 10.5]}, "neither 0 nor"),
    ({"GridFrameOffsetVector": None}, "Grid Frame Offset Vector .* is missing"),
    ({"ImageOrientationPatient": [0.99, 0.141, 0, -0.141, 0.99, 0]}, "tilted"),
    ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "not a rotation"),
    ({"PixelData": b"\0" * 400}, "400 bytes of pixel data, not 480"),
    ({"PixelData": None}, "Pixel Data .* is missing"),
    ({"Modality": "RTPLAN"}, "is RTPLAN"),
    ({"FrameOfReferenceUID": None}, "Frame of Reference UID .* is missing"),
    ({"BitsAllocated": 8}, "8-bit"),
    ({"PixelSpacing": [0, 1]}, "PixelSpacing"),
    ({"ImagePositionPatient": [1, 2]}, "has 2 values, not 3"),
]


@pytest.mark.parametrize("fields, message", REFUSALS)
def test_refusals_name_the_file_and_the_fault(path, fields, message):
    with pytest.raises(InputError, match=message) as caught:
        read_rtdose(edit(path, **fields))
    assert str(path) in str(caught.value)


@pytest.mark.filterwarnings("ignore")  # pydicom remarks on each oddity it reads over
def test_files_cut_short_or_garbled_are_refused(path, tmp_path):
    """Cut at many places: never a traceback of another kind, never a dose."""
    content = path.read_bytes()
    cut = tmp_path / "cut.dcm"
    for length in [0, 1, 100, 131, 140, *range(150, len(content) - 1, 97), len(content) - 2]:
        cut.write_bytes(content[:length])
        with pytest.raises(InputError):
            read_rtdose(cut)
    cut.write_bytes(b"this is no DICOM file at all" * 50)
    with pytest.raises(InputError):
        read_rtdose(cut)
    with pytest.raises(InputError, match="cannot be read"):
        read_rtdose(tmp_path / "absent.dcm")
    cut.write_bytes(content.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.7\0"))
    with pytest.raises(InputError, match="transfer syntax"):
        read_rtdose(cut)


def test_unwritable_output_and_impossible_doses_are_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        write_rtdose(tmp_path / "absent" / "dose.dcm", DOSE, GRID)
    for bad in (-1.0, np.nan):
        with pytest.raises(InputError, match="negative or not finite"):
            write_rtdose(tmp_path / "dose.dcm", DOSE * bad, GRID)


def beam_dose(folder, number, grid=GRID, summation="BEAM"):
    path = folder / f"beam{number}.dcm"
    write_rtdose(path, DOSE * number, grid)
    beam, group, plan = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
    beam.ReferencedBeamNumber = number
    group.ReferencedFractionGroupNumber, group.ReferencedBeamSequence = 1, [beam]
    plan.ReferencedSOPClassUID, plan.ReferencedSOPInstanceUID = pydicom.uid.RTPlanStorage, "1.2.3"
    plan.ReferencedFractionGroupSequence = [group]
    edit(path, DoseSummationType=summation, ReferencedRTPlanSequence=[plan], FrameOfReferenceUID="1.2.4")
    return read_rtdose(path)


def test_beam_doses_sum_to_the_plan(tmp_path):
    doses = [beam_dose(tmp_path, number) for number in (1, 2, 4)]
    assert [d.beam for d in doses] == [1, 2, 4] and doses[0].fraction_group == 1
    total = sum_beam_doses(doses, [1, 2, 4])
    np.testing.assert_allclose(total.dose, 7 * DOSE, atol=1e-6)
    assert total.summation == "PLAN" and total.beam is None
    with pytest.raises(InputError, match="0 doses of beam 3"):
        sum_beam_doses(doses, [1, 2, 3, 4])
    with pytest.raises(InputError, match="2 doses of beam 1"):
        sum_beam_doses([*doses, doses[0]], [1, 2, 4])
    with pytest.raises(InputError, match="1 doses of beam 4, where the plan has 0"):
        sum_beam_doses(doses, [1, 2])
    moved = Grid(GRID.shape, GRID.spacing, (0.0, 2.5, -30.4321))
    with pytest.raises(InputError, match="its grid differs"):
        sum_beam_doses([doses[0], beam_dose(tmp_path, 2, moved)], [1, 2])
    with pytest.raises(InputError, match="PLAN dose"):
        sum_beam_doses([total], [1])


def test_fraction_dose_becomes_the_course_dose(tmp_path):
    fraction = beam_dose(tmp_path, 1, summation="FRACTION")
    np.testing.assert_allclose(course_dose(fraction, 3).dose, 3 * fraction.dose)
    assert course_dose(fraction, 3).summation == "PLAN"
    plan = beam_dose(tmp_path, 2, summation="PLAN")
    assert course_dose(plan, 3) is plan
    with pytest.raises(InputError, match="MULTI_PLAN"):
        course_dose(beam_dose(tmp_path, 3, summation="MULTI_PLAN"), 3)

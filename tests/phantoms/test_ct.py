"""CT series: every orientation gives the same patient, and what is not a whole series is refused."""

from __future__ import annotations

import shutil
import warnings

import numpy as np
import pydicom
import pytest

from phantoms.ct import PATIENT_POSITIONS, read_ct
from phantoms.errors import InputError
from tests.dicom_factory import GRID, Uids, axis_orientations, write_ct, write_plan

HU = np.random.default_rng(5).integers(-1000, 3000, GRID.shape).astype(float)


@pytest.mark.parametrize("orientation", axis_orientations())
def test_every_axis_orientation_gives_the_same_voxels_at_the_same_coordinates(tmp_path, orientation):
    write_ct(tmp_path, GRID, HU, orientation)
    ct = read_ct(tmp_path)
    assert ct.grid.matches(GRID, tolerance=1e-6)
    np.testing.assert_array_equal(ct.hu, HU)


@pytest.mark.parametrize("position", PATIENT_POSITIONS)
def test_patient_position_does_not_move_voxels(tmp_path, position):
    write_ct(tmp_path, GRID, HU, position=position)
    ct = read_ct(tmp_path)
    assert ct.patient_position == position
    assert ct.grid.matches(GRID, tolerance=1e-6)
    np.testing.assert_array_equal(ct.hu, HU)


def test_identity_of_the_series_is_kept(tmp_path):
    write_ct(tmp_path)
    ct, uids = read_ct(tmp_path), Uids()
    assert (ct.frame_of_reference_uid, ct.series_uid, ct.study_uid) == (uids.frame, uids.series, uids.study)
    assert ct.patient_id == uids.patient and len(ct.sop_uids) == GRID.shape[0] and not ct.warnings


def test_rescale_of_each_slice_is_its_own(tmp_path):
    def rescale(data):
        data.RescaleSlope, data.RescaleIntercept = 2, -500

    write_ct(tmp_path, GRID, HU, edit_slice=(4, rescale))
    expected = HU.copy()
    expected[4] = 2 * (HU[4] + 1000) - 500
    np.testing.assert_array_equal(read_ct(tmp_path).hu, expected)


def test_other_files_and_localizers_in_the_folder_are_ignored(tmp_path):
    write_ct(tmp_path, GRID, HU)
    write_plan(tmp_path)
    (tmp_path / "notes.txt").write_text("not DICOM " * 100)
    (tmp_path / "empty").touch()

    def localizer(data):
        data.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    write_ct(tmp_path, uids=Uids(series="1.2.3"), edit=localizer, skip=range(1, 12), prefix="scout")
    np.testing.assert_array_equal(read_ct(tmp_path).hu, HU)


def test_files_without_preamble_are_read(tmp_path):
    for path in write_ct(tmp_path, GRID, HU):
        content = path.read_bytes()
        start = content.index(b"\x08\x00\x16\x00UI")  # the dataset, after preamble and file meta
        path.write_bytes(content[start:])
    np.testing.assert_array_equal(read_ct(tmp_path).hu, HU)


def test_one_of_several_series_is_chosen_by_uid(tmp_path):
    write_ct(tmp_path, GRID, HU)
    write_ct(tmp_path, GRID, HU * 0, uids=Uids(series="1.2.3"), prefix="other")
    np.testing.assert_array_equal(read_ct(tmp_path, Uids().series).hu, HU)
    with pytest.raises(InputError, match="several CT series"):
        read_ct(tmp_path)
    with pytest.raises(InputError, match="no CT images of series"):
        read_ct(tmp_path, "1.2.3.4")


def test_small_rounding_of_positions_is_accepted(tmp_path):
    def nudge(data):
        data.ImagePositionPatient[2] += 0.02  # mm

    write_ct(tmp_path, GRID, HU, edit_slice=(5, nudge))
    assert read_ct(tmp_path).grid.matches(GRID, tolerance=1e-6)


def _set(**values):
    def edit(data):
        for keyword, value in values.items():
            if value is None:
                del data[keyword]
            else:
                setattr(data, keyword, value)

    return edit


def _shift(axis, mm):
    def edit(data):
        data.ImagePositionPatient[axis] += mm

    return edit


def _shear(data):
    data.ImagePositionPatient[1] += 0.1 * (data.InstanceNumber - 1)


def _nan_slope(data):
    data.RescaleSlope = 1
    data["RescaleSlope"]._value = "nan"


def _float_pixels(data):
    del data.PixelData
    data.FloatPixelData = np.full((data.Rows, data.Columns), np.nan, np.float32).tobytes()


def _compressed(data):
    data.file_meta.TransferSyntaxUID = pydicom.uid.JPEG2000Lossless
    data.PixelData = pydicom.encaps.encapsulate([b"\x00" * 64])
    data["PixelData"].is_undefined_length = True


TILTED = [1, 0, 0, 0, round(np.cos(0.1), 12), round(np.sin(0.1), 12)]
TURNED = [
    round(np.cos(0.1), 12),
    round(np.sin(0.1), 12),
    0,
    -round(np.sin(0.1), 12),
    round(np.cos(0.1), 12),
    0,
]

BROKEN_SLICE = {  # one slice of the series: (what is done to it, what the message must say)
    "other frame of reference": (_set(FrameOfReferenceUID="1.2.3"), "another frame of reference"),
    "other patient": (_set(PatientID="X"), "another patient"),
    "other position": (_set(PatientPosition="HFP"), "another patient position"),
    "other orientation": (_set(ImageOrientationPatient=[0, 1, 0, 1, 0, 0]), "another image orientation"),
    "other spacing": (_set(PixelSpacing=[2.0, 2.0]), "another pixel spacing"),
    "other size": (_set(Rows=8), "pixels"),
    "uneven": (_shift(2, 0.4), "unevenly spaced"),
    "duplicate position": (_shift(2, 3.0), "two CT slices at z"),
    "no position": (_set(ImagePositionPatient=None), "Image Position"),
    "no orientation": (_set(ImageOrientationPatient=None), "Image Orientation"),
    "no spacing": (_set(PixelSpacing=None), "Pixel Spacing"),
    "no frame of reference": (_set(FrameOfReferenceUID=None), "Frame of Reference UID"),
    "no rescale slope": (_set(RescaleSlope=None), "Rescale Slope"),
    "no rescale intercept": (_set(RescaleIntercept=None), "Rescale Intercept"),
    "slope zero": (_set(RescaleSlope=0), "Rescale Slope"),
    "slope nan": (_nan_slope, "Rescale Slope"),
    "not HU": (_set(RescaleType="MGML"), "not HU"),
    "no pixels": (_set(PixelData=None), "Pixel Data"),
    "short pixels": (_set(PixelData=b"\0" * 100), "pixel data"),
    "float pixels": (_float_pixels, "Pixel Data"),
    "compressed": (_compressed, "compressed"),
    "colour": (_set(PhotometricInterpretation="RGB"), "MONOCHROME2"),
    "multi-frame": (_set(NumberOfFrames=3), "multi-frame"),
}


@pytest.mark.parametrize("case", BROKEN_SLICE)
def test_a_broken_slice_is_refused(tmp_path, case):
    edit, message = BROKEN_SLICE[case]
    write_ct(tmp_path, edit_slice=(5, edit))
    with pytest.raises(InputError, match=message):
        read_ct(tmp_path)


BROKEN_SERIES = {
    "tilted": (dict(edit=_set(ImageOrientationPatient=TILTED)), "tilted or rotated by 5.73"),
    "turned": (dict(edit=_set(ImageOrientationPatient=TURNED)), "tilted or rotated by 5.73"),
    "sheared": (dict(edit=_shear), "sheared"),
    "skewed cosines": (dict(edit=_set(ImageOrientationPatient=[1, 0, 0, 1, 0, 0])), "perpendicular"),
    "missing slice": (dict(skip=[4]), r"missing between z = -11.00 and -5.00 mm"),
    "one slice": (dict(skip=range(1, 12)), "only one slice"),
    "unknown position": (dict(position="SITTING"), "patient position SITTING"),
}


@pytest.mark.parametrize("case", BROKEN_SERIES)
def test_a_broken_series_is_refused(tmp_path, case):
    options, message = BROKEN_SERIES[case]
    write_ct(tmp_path, **options)
    with pytest.raises(InputError, match=message):
        read_ct(tmp_path)


def _thicker(number, step=6.0, numbered=True):
    """Slices from a number on stand `step` [mm] apart."""

    def edit(data):
        after = max(0, data.InstanceNumber - number)
        data.ImagePositionPatient[2] += after * (step - 3.0)
        if not numbered:
            data.InstanceNumber = None

    return edit


@pytest.mark.parametrize(
    ("edit", "skip", "message"),
    [
        (_thicker(7), [], r"unevenly spaced: 6\.000 mm between z = -2\.00 and 4\.00 mm, 3\.000 mm elsewhere"),
        (_thicker(11), [], "unevenly spaced: 6.000 mm"),
        (_thicker(6, numbered=False), [], "unevenly spaced"),
        (_thicker(7, 5.0), [], "unevenly spaced: 5.000 mm"),
        (None, [4], "are missing between"),
        (_thicker(99, numbered=False), [4], "are missing between"),
        (None, [4, 5], "are missing between"),
    ],
)
def test_thicker_slices_are_no_missing_ones(tmp_path, edit, skip, message):
    """Instance Numbers distinguish them, or without any whether a wide gap stands alone."""
    write_ct(tmp_path, edit=edit, skip=skip)
    with pytest.raises(InputError, match=message):
        read_ct(tmp_path)


def test_a_copied_slice_is_refused(tmp_path):
    paths = write_ct(tmp_path)
    shutil.copy(paths[0], tmp_path / "copy.dcm")
    with pytest.raises(InputError, match="same image"):
        read_ct(tmp_path)


@pytest.mark.parametrize("keep", [10, 300, 700, 0.5, -1])
def test_a_truncated_slice_is_refused(tmp_path, keep):
    paths = write_ct(tmp_path)
    content = paths[3].read_bytes()
    length = int(keep * len(content)) if isinstance(keep, float) else keep
    paths[3].write_bytes(content[:length])
    with pytest.raises(InputError, match=paths[3].name):
        read_ct(paths)


@pytest.mark.parametrize("content", [b"", b"hello " * 1000])
def test_a_file_that_is_not_dicom_is_refused_where_a_ct_is_named(tmp_path, content):
    paths = write_ct(tmp_path)
    paths[3].write_bytes(content)
    with pytest.raises(InputError, match="not a DICOM file"):
        read_ct(paths)


def test_folders_without_ct_are_refused(tmp_path):
    with pytest.raises(InputError, match="not a folder"):
        read_ct(tmp_path / "absent")
    with pytest.raises(InputError, match="no DICOM files"):
        read_ct(tmp_path)
    plan = write_plan(tmp_path)
    with pytest.raises(InputError, match="no CT images"):
        read_ct(tmp_path)
    with pytest.raises(InputError, match="not a CT image"):
        read_ct([plan])


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_ct([tmp_path / "absent.dcm"])


def test_orientation_rounded_by_the_exporter_is_accepted(tmp_path):
    write_ct(tmp_path, GRID, HU, edit=_set(ImageOrientationPatient=[1, 1e-5, 0, -1e-5, 0.9999999, 0]))
    assert read_ct(tmp_path).grid.matches(GRID, tolerance=1e-6)


def test_spine_case_is_read_whole(shared):
    ct = read_ct(shared / "cases" / "spine_l1")
    assert ct.grid.shape == (112, 101, 122)
    np.testing.assert_allclose(ct.grid.spacing, 0.3)
    np.testing.assert_allclose(ct.grid.origin, (9.43018, -31.1319, -18.50437))
    assert ct.hu.max() == 3382


def test_an_empty_transfer_syntax_is_as_the_file_was_read(tmp_path):
    path = write_ct(tmp_path, GRID, HU)[3]
    syntax = b"1.2.840.10008.1.2.1\0"
    content = path.read_bytes()
    path.write_bytes(content.replace(syntax, b"\0" * len(syntax), 1))
    np.testing.assert_array_equal(read_ct(tmp_path).hu, HU)


@pytest.mark.parametrize("value", ["CT Image Storage", "1.2\\1.3", "0"])
def test_a_sop_class_that_is_none_is_refused(tmp_path, value):
    path = write_ct(tmp_path)[3]
    data = pydicom.dcmread(path)
    data["SOPClassUID"]._value = value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data.save_as(path)
    with pytest.raises(InputError, match=rf"{path.name}: is not a DICOM object: its SOP Class UID is "):
        read_ct(tmp_path)

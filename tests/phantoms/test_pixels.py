"""Pixels of a CT: padding, unused bits, loss, and what a deflated file may take."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, JPEGExtended12Bit

from phantoms.assemble import build_phantom
from phantoms.ct import read_ct
from phantoms.dicom import read_dataset
from phantoms.errors import InputError
from phantoms.hu import load_calibration
from phantoms.pixels import pixel_warnings
from phantoms.structures import read_structures
from tests.dicom_factory import GRID, body_box, write_ct, write_dose, write_structures

CURVE = load_calibration("opentps-4")
PIXELS = slice(2, 6), slice(3, 8)  # rows and columns, within BODY


def padded(value: int, fill: int, representation: int = 1):
    """An edit that stores `fill` in `PIXELS` of a slice and declares `value` as padding; HU are stored."""

    def edit(data: Dataset) -> None:
        water = 0 if representation else 1000
        stored = np.full((data.Rows, data.Columns), water)
        stored[PIXELS] = fill
        data.PixelRepresentation, data.RescaleIntercept = representation, -water
        data.PixelData = stored.astype("<i2").tobytes()
        data.PixelPaddingValue = value

    return edit


@pytest.mark.parametrize(
    ("value", "fill", "representation", "hu"),
    [
        (-2000, -2000, 1, -1000.0),
        (32767, 32767, 1, -1000.0),
        (-32768, -32768, 1, -1000.0),
        (0, 0, 0, -1000.0),
        (300, 300, 1, 300.0),  # may as well be bone: it stays, and is said
    ],
)
def test_padding_in_the_body_is_named_and_is_no_bone(tmp_path, value, fill, representation, hu):
    slices = write_ct(tmp_path, edit=padded(value, fill, representation))
    structures = read_structures(write_structures(tmp_path, [body_box(GRID)], len(slices)))
    ct = read_ct(slices)
    assert ct.hu[:, PIXELS[0], PIXELS[1]] == pytest.approx(hu) and ct.hu[0, -1, -1] == 0.0
    said = build_phantom(ct, structures, CURVE, GRID).audit["warnings"]
    (warning,) = [text for text in said if "padding" in text]
    cells = sum(int(one) for one in ct.padding[:, 2:-2, 2:-2].ravel())  # BODY leaves 0.4 cm
    assert f"{cells * GRID.voxel_volume:.0f} cm3 within BODY" in warning and f"as {hu:.0f} HU" in warning


def test_a_range_of_padding(tmp_path):
    def edit(data: Dataset) -> None:
        padded(-2000, -1990)(data)
        data.PixelPaddingRangeLimit = -1980

    assert read_ct(write_ct(tmp_path, edit=edit)).padding.sum() == GRID.shape[0] * 4 * 5


@pytest.mark.parametrize("filling", [0x0, 0xA, 0xF])
def test_nothing_is_read_from_unused_bits(tmp_path, filling):
    """12 bits stored of 16: the others may hold anything (PS3.5 8.1.1)."""
    hu = np.random.default_rng(2).integers(-900, 1000, GRID.shape)

    def edit(data: Dataset) -> None:
        stored = np.frombuffer(data.PixelData, "<i2").astype(np.int32)
        data.BitsStored, data.HighBit = 12, 11
        data.PixelData = ((stored & 0xFFF) | (filling << 12)).astype("<u2").tobytes()

    assert np.array_equal(read_ct(write_ct(tmp_path, hu=hu, edit=edit)).hu, hu)


def test_bits_in_the_wrong_place_are_refused(tmp_path):
    def edit(data: Dataset) -> None:
        data.BitsStored = 12

    with pytest.raises(InputError, match=r"Bits Stored .* does not fit High Bit") as caught:
        read_ct(write_ct(tmp_path, edit=edit))
    assert caught.value.remedy


def test_loss_is_said_by_flag_and_by_syntax(tmp_path):
    (path, *_) = write_ct(tmp_path)
    data = read_dataset(path)
    assert pixel_warnings([(path, data)], [(1, -1000)]) == []
    data.LossyImageCompression, data.LossyImageCompressionRatio = "01", 40
    assert (
        "1 of 1 CT slices were compressed with loss (40.0:1)" in pixel_warnings([(path, data)], [(1, 0)])[0]
    )
    del data.LossyImageCompression
    data.file_meta.TransferSyntaxUID = JPEGExtended12Bit
    assert "are compressed with loss" in pixel_warnings([(path, data)], [(1, 0)])[0]


def test_big_endian_slices_are_read(tmp_path):
    hu = np.random.default_rng(2).integers(-900, 1000, GRID.shape)

    def edit(data: Dataset) -> None:
        data.PixelData = np.frombuffer(data.PixelData, "<i2").astype(">i2").tobytes()
        data["PixelData"].VR = "OW"
        data.file_meta.TransferSyntaxUID = ExplicitVRBigEndian

    assert np.array_equal(read_ct(write_ct(tmp_path, hu=hu, edit=edit)).hu, hu)


def test_a_deflated_file_is_read_unless_it_inflates_beyond_reason(tmp_path):
    def deflated(frames: int):
        def edit(data: Dataset) -> None:
            data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
            data.NumberOfFrames, data.PixelData = frames, bytes(frames * data.Rows * data.Columns * 4)

        return edit

    assert read_dataset(write_dose(tmp_path, edit=deflated(12))).NumberOfFrames == 12
    path = write_dose(tmp_path, edit=deflated(30_000))
    assert path.stat().st_size < 60_000
    with pytest.raises(InputError, match=r"RTDOSE.dcm: inflates to more than \d+ MB \(export it"):
        read_dataset(path)

"""What is stored in an RTDOSE: words, bits, statements; and that ours has all that the standard asks for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian

from phantoms.errors import InputError
from phantoms.grid import Grid
from tests.dicom_factory import GRID, write_dose
from validation.rtdose import join_planes, read_rtdose, refuse_implausible, write_rtdose

DOSE = np.random.default_rng(1).random(GRID.shape) * 70
SHIPPED = Path(__file__).parents[3] / "phantoms" / "data" / "cases" / "spine_l1"
# Attributes of Type 1 and 2 of the modules of each IOD (DICOM PS3.3 A.18 to A.20, C.7 and C.8.8)
COMMON = {
    "patient": "PatientName PatientID PatientBirthDate PatientSex",
    "general study": "StudyInstanceUID StudyDate StudyTime ReferringPhysicianName StudyID AccessionNumber",
    "RT series": "Modality SeriesInstanceUID SeriesNumber OperatorsName",
    "general equipment": "Manufacturer",
    "SOP common": "SOPClassUID SOPInstanceUID",
}
FRAME = {"frame of reference": "FrameOfReferenceUID PositionReferenceIndicator"}
MODULES = {
    "RTDOSE": COMMON
    | FRAME
    | {
        "general image": "InstanceNumber",
        "image plane": "PixelSpacing ImageOrientationPatient ImagePositionPatient SliceThickness",
        "image pixel": "SamplesPerPixel PhotometricInterpretation Rows Columns BitsAllocated BitsStored "
        "HighBit PixelRepresentation PixelData",
        "multi-frame": "NumberOfFrames FrameIncrementPointer",
        "RT dose": "DoseUnits DoseType DoseSummationType GridFrameOffsetVector DoseGridScaling",
    },
    "RTSTRUCT": COMMON
    | {
        "structure set": "StructureSetLabel StructureSetDate StructureSetTime StructureSetROISequence",
        "ROI contour": "ROIContourSequence",
        "observations": "RTROIObservationsSequence",
    },
    "RTPLAN": COMMON
    | FRAME
    | {
        "RT general plan": "RTPlanLabel RTPlanDate RTPlanTime RTPlanGeometry",
        "RT fraction scheme": "FractionGroupSequence",
        "RT beams": "BeamSequence",
    },
}
ITEMS = {
    "RTSTRUCT": {
        "StructureSetROISequence": "ROINumber ReferencedFrameOfReferenceUID ROIName ROIGenerationAlgorithm",
        "ROIContourSequence": "ReferencedROINumber",
        "RTROIObservationsSequence": "ObservationNumber ReferencedROINumber RTROIInterpretedType "
        "ROIInterpreter",
    },
    "RTPLAN": {
        "FractionGroupSequence": "FractionGroupNumber NumberOfFractionsPlanned NumberOfBeams "
        "NumberOfBrachyApplicationSetups",
        "BeamSequence": "TreatmentMachineName BeamNumber BeamType RadiationType NumberOfWedges "
        "NumberOfCompensators NumberOfBoli NumberOfBlocks FinalCumulativeMetersetWeight "
        "NumberOfControlPoints BeamLimitingDeviceSequence ControlPointSequence",
    },
}
FIRST_POINT = (
    "ControlPointIndex CumulativeMetersetWeight GantryAngle GantryRotationDirection BeamLimitingDeviceAngle "
    "BeamLimitingDeviceRotationDirection PatientSupportAngle PatientSupportRotationDirection "
    "TableTopEccentricAngle TableTopEccentricRotationDirection TableTopVerticalPosition "
    "TableTopLongitudinalPosition TableTopLateralPosition IsocenterPosition"
)
FILLED = {
    *"StudyInstanceUID Modality SeriesInstanceUID SOPClassUID SOPInstanceUID FrameOfReferenceUID".split()
}


def missing(data: Dataset, modality: str) -> list[str]:
    """Attributes that an object lacks, or has empty where it must not."""
    names = " ".join(MODULES[modality].values()).split()
    found = [name for name in names if name not in data or (name in FILLED and not data.get(name))]
    for sequence, wanted in ITEMS.get(modality, {}).items():
        found += [
            f"{sequence}: {n}" for item in data.get(sequence, []) for n in wanted.split() if n not in item
        ]
    return found


def test_the_dose_that_is_written_has_all_that_its_modules_ask_for(tmp_path):
    write_rtdose(tmp_path / "dose.dcm", DOSE, GRID)
    data = pydicom.dcmread(tmp_path / "dose.dcm")
    assert missing(data, "RTDOSE") == [] and data.SOPClassUID.name == "RT Dose Storage"
    assert data.BitsStored == data.BitsAllocated == data.HighBit + 1
    del data.OperatorsName
    assert missing(data, "RTDOSE") == ["OperatorsName"]


@pytest.mark.parametrize("modality", MODULES)
def test_the_case_that_is_shipped_has_all_that_its_modules_ask_for(modality):
    data = pydicom.dcmread(SHIPPED / f"{modality}.dcm")
    assert missing(data, modality) == []
    if modality == "RTPLAN":
        points = [beam.ControlPointSequence[0] for beam in data.BeamSequence]
        assert not [name for point in points for name in FIRST_POINT.split() if name not in point]


@pytest.mark.parametrize("bits", [16, 32])
def test_big_endian_swaps_the_bytes_of_words(tmp_path, bits):
    """A 32-bit pixel is two words, the lower one first (PS3.5 7.3 and 8.1.1), as dcmtk and GDCM read it."""

    def edit(data: Dataset) -> None:
        stored = np.frombuffer(data.PixelData, "<u4")
        if bits == 16:
            stored = (stored >> 16).astype("<u2")
            data.DoseGridScaling = f"{float(data.DoseGridScaling) * 65536:.10g}"
        data.PixelData = stored.view("<u2").astype(">u2").tobytes()
        data["PixelData"].VR = "OW"
        data.BitsAllocated = data.BitsStored = bits
        data.HighBit = bits - 1
        data.file_meta.TransferSyntaxUID = ExplicitVRBigEndian

    found = read_rtdose(write_dose(tmp_path, dose=DOSE, edit=edit))
    np.testing.assert_allclose(found.dose, DOSE, atol=1.1 * found.scaling)


def test_big_endian_bytes_of_unknown_order_are_refused(tmp_path):
    def edit(data: Dataset) -> None:
        data["PixelData"].VR = "OB"
        data.file_meta.TransferSyntaxUID = ExplicitVRBigEndian

    with pytest.raises(InputError, match="big endian with pixel data of VR OB"):
        read_rtdose(write_dose(tmp_path, dose=DOSE, edit=edit))


@pytest.mark.parametrize(("stored", "high", "more"), [(28, 27, 0x30000000), (28, 31, 0), (40, 39, 0)])
def test_bits_that_hold_no_dose_must_be_empty(tmp_path, stored, high, more):
    def edit(data: Dataset, more: int = more) -> None:
        words = np.frombuffer(data.PixelData, "<u4")
        data.BitsStored, data.HighBit = stored, high
        data.PixelData = (words | np.uint32(more)).astype("<u4").tobytes()

    with pytest.raises(InputError, match=f"Bits Stored .* {stored} of 32") as caught:
        read_rtdose(write_dose(tmp_path, dose=DOSE, edit=edit))
    assert "32 bits stored" in caught.value.remedy


def test_fewer_bits_stored_do_no_harm(tmp_path):
    def edit(data: Dataset) -> None:
        data.BitsStored, data.HighBit = 28, 27

    found = read_rtdose(write_dose(tmp_path, dose=DOSE, edit=edit))
    np.testing.assert_allclose(found.dose, DOSE, atol=found.scaling)


@pytest.mark.parametrize(
    ("highest", "message"), [(0.0, "zero everywhere"), (1e-23, "1e-23 Gy"), (1e9, r"1e\+09")]
)
def test_doses_that_no_treatment_has(highest, message):
    with pytest.raises(InputError, match=message) as caught:
        refuse_implausible(Path("RTDOSE.dcm"), np.array([[[0.0, highest]]]))
    assert caught.value.remedy
    refuse_implausible(Path("RTDOSE.dcm"), np.array([[[0.0, 180.0]]]))


def test_planes_are_put_together_in_any_orientation(tmp_path):
    """Sagittal planes along x, of which one differs."""
    grid = Grid((4, 5, 6), (0.25, 0.3, 0.2), (-1.0, 2.5, -3.0))
    dose = np.random.default_rng(1).random(grid.shape)

    def plane(k: int):
        def edit(data: Dataset) -> None:
            data.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]  # columns along y, rows downwards
            data.ImagePositionPatient = [10 * grid.centres(2)[k], 25.0, 10 * grid.centres(0)[-1]]
            data.NumberOfFrames, (data.Rows, data.Columns) = 1, (4, 5)
            data.PixelSpacing = [2.5, 3.0]
            values = np.ascontiguousarray(dose[::-1, :, k]) / float(data.DoseGridScaling)
            data.PixelData = np.round(values).astype("<u4").tobytes()

        return read_rtdose(write_dose(tmp_path, edit=edit, name=f"{k}.dcm"))

    planes = [plane(k) for k in (3, 0, 5, 1, 4, 2)]
    (joined,) = join_planes(planes)
    assert joined.grid.matches(grid)
    np.testing.assert_allclose(joined.dose, dose, atol=2e-8)
    assert join_planes([joined]) == [joined]
    with pytest.raises(InputError, match="two planes of a dose at one place"):
        join_planes([*planes, planes[0]])

"""Write RTDOSE files that any viewer reads (DICOM PS3.3 A.18.3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from os import PathLike
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    RTDoseStorage,
    RTPlanStorage,
    RTStructureSetStorage,
    generate_uid,
)

from phantoms.dicom import read_dataset
from phantoms.errors import InputError
from phantoms.grid import Grid
from validation.rtdose.read import PlannedDose

STEPS = 2**32 - 100  # stored value of the maximum; the scaling's ten digits move it by up to 3


@dataclass(frozen=True)
class OfPlan:
    """The RTPLAN a dose is of, where there is no dose of the planning system to take identities from."""

    path: Path
    plan_uid: str
    structure_set_uid: str = ""


def write_rtdose(
    path: str | PathLike,
    dose: np.ndarray,
    grid: Grid,
    template: PlannedDose | OfPlan | None = None,
    description: str = "Monte Carlo dose",
    version: str = "",
) -> str:
    """Write a course dose as an RTDOSE of PLAN summation, 32 bits, on exactly `grid`.

    Parameters
    ----------
    path : path
    dose : (nz, ny, nx) array
        [Gy], finite; negative values have no place in the file and are refused.
    grid : Grid
    template : PlannedDose or OfPlan, optional
        The planning system's dose, or the plan: its patient, study, frame of reference, plan and structure
        set are kept. Without it the file is anonymous, in a study and frame of reference of its own.
    description, version : str
        SeriesDescription; SoftwareVersions after 'mcverify'.

    Returns
    -------
    str
        SOPInstanceUID of the new file.
    """
    path, dose = Path(path), np.asarray(dose, dtype=float)
    if dose.shape != grid.shape:
        raise ValueError(f"dose of shape {dose.shape} on a grid of shape {grid.shape}")
    if not np.isfinite(dose).all() or dose.min() < 0:
        raise InputError(path, "a dose that is negative or not finite cannot be written")
    data = _header(path, template, description, version)
    _describe_grid(data, grid)
    # DS holds 16 characters, so the scaling that counts is the one written
    data.DoseGridScaling = f"{max(float(dose.max()), 1e-6) / STEPS:.9e}"
    scaling = float(data.DoseGridScaling)
    data.PixelData = np.rint(dose / scaling).astype("<u4").tobytes()
    data["PixelData"].VR = "OW"
    try:
        data.save_as(path, enforce_file_format=True)
    except OSError as error:
        raise InputError(path, f"cannot be written: {error.strerror or error}") from None
    return str(data.SOPInstanceUID)


def _header(path: Path, template: PlannedDose | OfPlan | None, description: str, version: str) -> FileDataset:
    """Everything but the grid and the pixels."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = RTDoseStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(prefix=None)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
    source = read_dataset(template.path) if template else Dataset()
    for name in (
        *("SpecificCharacterSet", "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName"),
        *(
            "StudyInstanceUID",
            "StudyID",
            "StudyDescription",
            "PositionReferenceIndicator",
            "FrameOfReferenceUID",
        ),
        *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    ):
        setattr(data, name, source.get(name, ""))
    for name in ("StudyInstanceUID", "FrameOfReferenceUID"):
        setattr(data, name, getattr(data, name) or generate_uid(prefix=None))
    if not data.SpecificCharacterSet:
        del data.SpecificCharacterSet
    now = datetime.now()
    data.InstanceCreationDate, data.InstanceCreationTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    data.SOPClassUID, data.SOPInstanceUID = RTDoseStorage, meta.MediaStorageSOPInstanceUID
    data.Modality, data.Manufacturer = "RTDOSE", "mcverify"
    data.ManufacturerModelName, data.SoftwareVersions = "mcverify", f"mcverify {version}".strip()
    data.SeriesInstanceUID, data.SeriesNumber, data.OperatorsName = generate_uid(prefix=None), None, ""
    data.SeriesDescription, data.InstanceNumber = description[:64], 1
    data.DoseUnits, data.DoseType, data.DoseSummationType = "GY", "PHYSICAL", "PLAN"
    data.DoseComment = "independent Monte Carlo calculation; not a medical device"
    data.TissueHeterogeneityCorrection = "IMAGE"
    if template and template.plan_uid:
        data.ReferencedRTPlanSequence = [_reference(RTPlanStorage, template.plan_uid)]
    if template and template.structure_set_uid:
        data.ReferencedStructureSetSequence = [_reference(RTStructureSetStorage, template.structure_set_uid)]
    return data


def _reference(sop_class: str, uid: str) -> Dataset:
    """Item of a reference sequence."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
    return item


def _describe_grid(data: Dataset, grid: Grid) -> None:
    """Image plane and pixel modules of an axial, head-up, 32-bit grid."""
    dz, dy, dx = (10 * d for d in grid.spacing)
    data.ImagePositionPatient = [_decimal(10 * c) for c in grid.origin[::-1]]
    data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    data.PixelSpacing = [_decimal(dy), _decimal(dx)]
    data.SliceThickness = _decimal(dz)
    data.NumberOfFrames, data.Rows, data.Columns = grid.shape
    data.FrameIncrementPointer = pydicom.tag.Tag(0x3004, 0x000C)
    data.GridFrameOffsetVector = [_decimal(dz * k) for k in range(grid.shape[0])]
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME2", 0
    data.BitsAllocated, data.BitsStored, data.HighBit = 32, 32, 31


def _decimal(value: float) -> str:
    """`value` in the at most 16 characters of a DICOM decimal string, to 1e-6 mm."""
    return f"{round(value, 6) + 0.0:.10g}"

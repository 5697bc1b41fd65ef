"""Small, consistent DICOM exports for tests: CT in any orientation, RTSTRUCT, RTPLAN and RTDOSE.

Everything is described in the project's own terms (Grid, LPS centimetres); `edit` callbacks get the
pydicom datasets before they are written, to break one thing at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    RTDoseStorage,
    RTPlanStorage,
    RTStructureSetStorage,
    generate_uid,
)

from phantoms.grid import Grid

AXIAL = (1, 0, 0, 0, 1, 0)
CONTOUR_DATA = Tag("ContourData")
GRID = Grid((12, 16, 20), (0.3, 0.25, 0.2), (-2.0, -3.0, 1.0))

Edit = Callable[[Dataset], None]


def _uid(name: str) -> str:
    return generate_uid(entropy_srcs=["mcverify tests", name])


@dataclass
class Uids:
    """The UIDs that tie an export together; change one to break it."""

    study: str = _uid("study")
    frame: str = _uid("frame")
    series: str = _uid("series")
    structures: str = _uid("structures")
    plan: str = _uid("plan")
    patient: str = "PATIENT-1"


@dataclass
class Contours:
    """A structure: closed contours (n, 3) in LPS [cm]."""

    name: str
    contours: Sequence[np.ndarray]
    type: str = "ORGAN"
    geometry: str = "CLOSED_PLANAR"
    physical: dict[str, float] = field(default_factory=dict)


@dataclass
class Stop:
    """A further control point of a field; None leaves an attribute out. Lengths in cm at the isocentre."""

    weight: float
    gantry: float | None = None
    turns: str | None = None  # Gantry Rotation Direction from here on
    collimator: float | None = None
    couch: float | None = None
    isocentre: tuple[float, float, float] | None = None
    jaws: tuple[float, float, float, float] | None = None
    leaves: Sequence[float] | None = None  # bank 1, then bank 2


@dataclass
class Field:
    """A field of jaws, perhaps an MLC; static, or moving by its `stops`. Lengths in cm at the isocentre."""

    gantry: float = 0.0
    collimator: float = 0.0
    couch: float = 0.0
    isocentre: tuple[float, float, float] = (3.0, -1.0, 0.0)
    jaws: tuple[float, float, float, float] = (-2.5, 2.5, -2.5, 2.5)
    mu: float = 100.0
    fluence_mode: str = "FFF"
    turns: str = "NONE"  # Gantry Rotation Direction from the first control point on
    leaves: Sequence[float] | None = None  # bank 1, then bank 2
    boundaries: Sequence[float] = ()
    mlc: str = "MLCX"
    stops: Sequence[Stop] = ()  # in place of the one that repeats the first control point
    kind: str = ""  # Beam Type; by default DYNAMIC with stops


def _raw_decimals(values: np.ndarray) -> RawDataElement:
    """Contour data as the bytes of a file: pydicom would take a second for the decimals of a structure."""
    text = "\\".join(f"{value:.4f}" for value in values).encode()
    text += b" " * (len(text) % 2)
    return RawDataElement(CONTOUR_DATA, "DS", len(text), text, 0, False, True)


def circle(radius: float, z: float, centre: tuple[float, float] = (0.0, 0.0), n: int = 360) -> np.ndarray:
    """Return a circular contour in a plane of constant z [cm]."""
    angle = 2 * np.pi * np.arange(n) / n
    x, y = centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle)
    return np.column_stack([x, y, np.full(n, z)])


def rectangle(x: tuple[float, float], y: tuple[float, float], z: float) -> np.ndarray:
    """Return a rectangular contour in a plane of constant z [cm]."""
    return np.array([(x[0], y[0], z), (x[1], y[0], z), (x[1], y[1], z), (x[0], y[1], z)])


def body_box(grid: Grid, margin: float = 0.4, name: str = "BODY") -> Contours:
    """Return an EXTERNAL that leaves `margin` [cm] to the lateral edges of `grid`, on every slice."""
    (_, y0, x0), (_, y1, x1) = grid.lower + margin, grid.upper - margin
    return Contours(name, [rectangle((x0, x1), (y0, y1), z) for z in grid.centres(0)], "EXTERNAL")


def axis_orientations() -> list[tuple[int, ...]]:
    """Return all 24 axis-aligned Image Orientations (Patient)."""
    units = [sign * np.eye(3, dtype=int)[axis] for axis in range(3) for sign in (1, -1)]
    return [tuple(map(int, (*row, *column))) for row in units for column in units if row @ column == 0]


def write_ct(
    folder: Path,
    grid: Grid = GRID,
    hu: np.ndarray | None = None,
    orientation: Sequence[float] = AXIAL,
    position: str = "HFS",
    uids: Uids | None = None,
    edit: Edit | None = None,
    edit_slice: tuple[int, Edit] | None = None,
    skip: Sequence[int] = (),
    prefix: str = "CT",
) -> list[Path]:
    """Write `hu` (nz, ny, nx) on `grid` as a series of slices in an axis-aligned orientation.

    `edit` changes every slice, `edit_slice` (number along the slice normal, callback) one of them;
    `skip` leaves slices out.
    """
    uids = uids or Uids()
    hu = np.zeros(grid.shape) if hu is None else hu
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    directions = [np.cross(row, column), column, row]
    axes = [int(np.abs(d).argmax()) for d in directions]  # patient axes 0 x, 1 y, 2 z
    signs = [int(np.sign(d[axis])) for d, axis in zip(directions, axes, strict=True)]
    stack = hu.transpose([2 - axis for axis in axes])[tuple(slice(None, None, sign) for sign in signs)]
    spacing = [10 * grid.spacing[2 - axis] for axis in axes]
    start = [
        10 * grid.centres(2 - axis)[0 if sign > 0 else -1] for axis, sign in zip(axes, signs, strict=True)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    # Names in an order that has nothing to do with the position
    order = np.random.default_rng(3).permutation(len(stack))
    for k, pixels in enumerate(stack):
        if k in skip:
            continue
        corner = np.zeros(3)
        corner[axes] = start
        corner[axes[0]] += signs[0] * k * spacing[0]
        data = _common(CTImageStorage, "CT", uids, _uid(f"{uids.series} slice {k}"))
        data.SeriesInstanceUID = uids.series
        data.FrameOfReferenceUID = uids.frame
        data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        data.PatientPosition = position
        data.ImagePositionPatient = [f"{c:.5f}"[:16] for c in corner]
        data.ImageOrientationPatient = list(map(float, orientation))
        data.PixelSpacing = [round(spacing[1], 6), round(spacing[2], 6)]
        data.SliceThickness = round(spacing[0], 6)
        data.InstanceNumber = k + 1
        data.Rows, data.Columns = pixels.shape
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.BitsAllocated = data.BitsStored = 16
        data.HighBit, data.PixelRepresentation = 15, 1
        data.RescaleSlope, data.RescaleIntercept, data.RescaleType = 1, -1000, "HU"
        data.PixelData = np.ascontiguousarray(np.round(pixels + 1000).astype("<i2")).tobytes()
        for change in (edit, edit_slice[1] if edit_slice and edit_slice[0] == k else None):
            if change is not None:
                change(data)
        paths.append(_save(data, folder / f"{prefix}.{order[k]:03d}.dcm"))
    return sorted(paths)


def write_structures(
    folder: Path,
    structures: Sequence[Contours],
    ct_files: int = GRID.shape[0],
    uids: Uids | None = None,
    edit: Edit | None = None,
    name: str = "RTSTRUCT.dcm",
) -> Path:
    """Write an RTSTRUCT that refers to the first `ct_files` slices of `write_ct`."""
    uids = uids or Uids()
    data = _common(RTStructureSetStorage, "RTSTRUCT", uids, uids.structures)
    data.StructureSetLabel = "TEST"
    series = Dataset()
    series.SeriesInstanceUID = uids.series
    series.ContourImageSequence = []
    for k in range(ct_files):
        image = Dataset()
        image.ReferencedSOPClassUID = CTImageStorage
        image.ReferencedSOPInstanceUID = _uid(f"{uids.series} slice {k}")
        series.ContourImageSequence.append(image)
    study = Dataset()
    study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = "1.2.840.10008.3.1.2.3.1", uids.study
    study.RTReferencedSeriesSequence = [series]
    frame = Dataset()
    frame.FrameOfReferenceUID = uids.frame
    frame.RTReferencedStudySequence = [study]
    data.ReferencedFrameOfReferenceSequence = [frame]
    data.StructureSetROISequence = []
    data.ROIContourSequence = []
    data.RTROIObservationsSequence = []
    for number, structure in enumerate(structures, start=1):
        roi, drawn, observed = Dataset(), Dataset(), Dataset()
        roi.ROINumber, roi.ROIName, roi.ReferencedFrameOfReferenceUID = number, structure.name, uids.frame
        roi.ROIGenerationAlgorithm = "MANUAL"
        drawn.ReferencedROINumber, drawn.ROIDisplayColor = number, [255, 0, 0]
        drawn.ContourSequence = []
        for points in structure.contours:
            contour = Dataset()
            contour.ContourGeometricType = structure.geometry
            contour.NumberOfContourPoints = len(points)
            contour.set_original_encoding(False, True)
            contour[CONTOUR_DATA] = _raw_decimals(10.0 * np.ravel(points))
            drawn.ContourSequence.append(contour)
        observed.ObservationNumber = observed.ReferencedROINumber = number
        observed.RTROIInterpretedType, observed.ROIInterpreter = structure.type, ""
        if structure.physical:
            observed.ROIPhysicalPropertiesSequence = []
            for kind, value in structure.physical.items():
                item = Dataset()
                item.ROIPhysicalProperty, item.ROIPhysicalPropertyValue = kind, value
                observed.ROIPhysicalPropertiesSequence.append(item)
        data.StructureSetROISequence.append(roi)
        data.ROIContourSequence.append(drawn)
        data.RTROIObservationsSequence.append(observed)
    if edit is not None:
        edit(data)
    return _save(data, folder / name)


def write_plan(
    folder: Path,
    fields: Sequence[Field] = (Field(),),
    position: str = "HFS",
    fractions: int = 3,
    uids: Uids | None = None,
    edit: Edit | None = None,
    name: str = "RTPLAN.dcm",
) -> Path:
    """Write an RTPLAN on machine TESTLINAC."""
    uids = uids or Uids()
    data = _common(RTPlanStorage, "RTPLAN", uids, uids.plan)
    data.FrameOfReferenceUID = uids.frame
    data.RTPlanLabel, data.RTPlanGeometry = "TEST", "PATIENT"
    target = Dataset()
    target.DoseReferenceNumber, target.DoseReferenceStructureType = 1, "VOLUME"
    target.DoseReferenceType, target.TargetPrescriptionDose = "TARGET", 24
    target.ReferencedROINumber, target.DoseReferenceDescription = 2, "PTV"
    data.DoseReferenceSequence = [target]
    group = Dataset()
    group.FractionGroupNumber, group.NumberOfFractionsPlanned = 1, fractions
    group.NumberOfBeams, group.NumberOfBrachyApplicationSetups = len(fields), 0
    group.ReferencedBeamSequence = []
    data.FractionGroupSequence = [group]
    data.BeamSequence = []
    for number, item in enumerate(fields, start=1):
        reference = Dataset()
        reference.BeamMeterset, reference.ReferencedBeamNumber = item.mu, number
        group.ReferencedBeamSequence.append(reference)
        data.BeamSequence.append(_beam(number, item))
    setup = Dataset()
    setup.PatientSetupNumber, setup.PatientPosition = 1, position
    data.PatientSetupSequence = [setup]
    structures = Dataset()
    structures.ReferencedSOPClassUID = RTStructureSetStorage
    structures.ReferencedSOPInstanceUID = uids.structures
    data.ReferencedStructureSetSequence = [structures]
    if edit is not None:
        edit(data)
    return _save(data, folder / name)


def _beam(number: int, item: Field) -> Dataset:
    beam = Dataset()
    mode = Dataset()
    mode.FluenceMode = "STANDARD" if item.fluence_mode == "STANDARD" else "NON_STANDARD"
    mode.FluenceModeID = "" if item.fluence_mode == "STANDARD" else item.fluence_mode
    beam.PrimaryFluenceModeSequence = [mode]
    beam.TreatmentMachineName, beam.PrimaryDosimeterUnit, beam.SourceAxisDistance = "TESTLINAC", "MU", 1000
    beam.BeamNumber, beam.BeamName = number, f"field {number}"
    beam.BeamType = item.kind or ("DYNAMIC" if item.stops else "STATIC")
    beam.RadiationType, beam.TreatmentDeliveryType = "PHOTON", "TREATMENT"
    beam.NumberOfWedges = beam.NumberOfCompensators = beam.NumberOfBoli = beam.NumberOfBlocks = 0
    stops = item.stops or [Stop(1.0)]
    beam.FinalCumulativeMetersetWeight, beam.NumberOfControlPoints = 1, 1 + len(stops)
    beam.ReferencedPatientSetupNumber = 1
    beam.BeamLimitingDeviceSequence = []
    for kind in ("ASYMX", "ASYMY"):
        device = Dataset()
        device.RTBeamLimitingDeviceType, device.NumberOfLeafJawPairs = kind, 1
        beam.BeamLimitingDeviceSequence.append(device)
    if item.leaves is not None:
        device = Dataset()
        device.RTBeamLimitingDeviceType = item.mlc
        device.NumberOfLeafJawPairs = len(item.boundaries) - 1
        device.LeafPositionBoundaries = [10 * b for b in item.boundaries]
        beam.BeamLimitingDeviceSequence.append(device)
    first = Stop(
        0.0, item.gantry, item.turns, item.collimator, item.couch, item.isocentre, item.jaws, item.leaves
    )
    beam.ControlPointSequence = [_control_point(k, stop, item.mlc) for k, stop in enumerate([first, *stops])]
    point = beam.ControlPointSequence[0]
    point.NominalBeamEnergy, point.TableTopEccentricAngle = 6, 0
    return beam


def cone(opening: float, **values: object) -> Dataset:
    """A stereotactic cone, for the Applicator Sequence of a beam; `opening` is its diameter [mm]."""
    shape = Dataset()
    shape.ApplicatorApertureShape, shape.ApplicatorOpening = "SYM_CIRCULAR", opening
    applicator = Dataset()
    applicator.ApplicatorID, applicator.ApplicatorType = "CONE", "STEREOTACTIC"
    applicator.ApplicatorGeometrySequence = [shape]
    for keyword, value in values.items():
        setattr(applicator, keyword, value)
    return applicator


def _control_point(index: int, stop: Stop, mlc: str) -> Dataset:
    point = Dataset()
    point.ControlPointIndex, point.CumulativeMetersetWeight = index, stop.weight
    for keyword, value in (
        ("GantryAngle", stop.gantry),
        ("GantryRotationDirection", stop.turns),
        ("BeamLimitingDeviceAngle", stop.collimator),
        ("PatientSupportAngle", stop.couch),
    ):
        if value is not None:
            setattr(point, keyword, value)
    if stop.isocentre is not None:
        point.IsocenterPosition = [f"{10 * c:.4f}" for c in stop.isocentre]
    positions = {} if stop.jaws is None else {"ASYMX": stop.jaws[:2], "ASYMY": stop.jaws[2:]}
    if stop.leaves is not None:
        positions[mlc] = stop.leaves
    if positions:
        point.BeamLimitingDevicePositionSequence = []
    for kind, places in positions.items():
        place = Dataset()
        place.RTBeamLimitingDeviceType, place.LeafJawPositions = kind, [round(10 * p, 6) for p in places]
        point.BeamLimitingDevicePositionSequence.append(place)
    return point


def add_mlc(data: Dataset, half_gap: float, boundaries: Sequence[float]) -> None:
    """Give the first beam of a plan an MLCX whose leaves all stand at +-`half_gap` [cm]."""
    beam = data.BeamSequence[0]
    device, place = Dataset(), Dataset()
    device.RTBeamLimitingDeviceType = place.RTBeamLimitingDeviceType = "MLCX"
    pairs = len(boundaries) - 1
    device.NumberOfLeafJawPairs, device.LeafPositionBoundaries = pairs, [10 * b for b in boundaries]
    place.LeafJawPositions = [-10 * half_gap] * pairs + [10 * half_gap] * pairs
    beam.BeamLimitingDeviceSequence.append(device)
    beam.ControlPointSequence[0].BeamLimitingDevicePositionSequence.append(place)


def write_dose(
    folder: Path,
    grid: Grid = GRID,
    dose: np.ndarray | None = None,
    summation: str = "PLAN",
    beam: int | None = None,
    uids: Uids | None = None,
    edit: Edit | None = None,
    name: str = "RTDOSE.dcm",
) -> Path:
    """Write `dose` (nz, ny, nx) [Gy] as an axial RTDOSE."""
    uids = uids or Uids()
    dose = np.ones(grid.shape) if dose is None else dose
    data = _common(RTDoseStorage, "RTDOSE", uids, _uid(f"{uids.plan} dose {name}"))
    data.FrameOfReferenceUID = uids.frame
    z, y, x = (10 * c for c in grid.origin)
    data.ImagePositionPatient = [f"{c:.4f}" for c in (x, y, z)]
    data.ImageOrientationPatient = list(map(float, AXIAL))
    data.PixelSpacing = [round(10 * grid.spacing[1], 6), round(10 * grid.spacing[2], 6)]
    data.NumberOfFrames, data.Rows, data.Columns = grid.shape
    data.FrameIncrementPointer = 0x3004000C
    data.GridFrameOffsetVector = [f"{10 * grid.spacing[0] * k:.4f}" for k in range(grid.shape[0])]
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 32
    data.HighBit, data.PixelRepresentation = 31, 0
    data.DoseUnits, data.DoseType, data.DoseSummationType = "GY", "PHYSICAL", summation
    scaling = max(float(dose.max()), 1e-6) / 1e8
    data.DoseGridScaling = f"{scaling:.10g}"
    data.PixelData = np.round(dose / float(data.DoseGridScaling)).astype("<u4").tobytes()
    plan = Dataset()
    plan.ReferencedSOPClassUID, plan.ReferencedSOPInstanceUID = RTPlanStorage, uids.plan
    if beam is not None:
        reference = Dataset()
        reference.ReferencedBeamNumber = beam
        group = Dataset()
        group.ReferencedFractionGroupNumber, group.ReferencedBeamSequence = 1, [reference]
        plan.ReferencedFractionGroupSequence = [group]
    data.ReferencedRTPlanSequence = [plan]
    if edit is not None:
        edit(data)
    return _save(data, folder / name)


def write_case(
    folder: Path,
    grid: Grid = GRID,
    hu: np.ndarray | None = None,
    structures: Sequence[Contours] | None = None,
    fields: Sequence[Field] = (Field(),),
    orientation: Sequence[float] = AXIAL,
    position: str = "HFS",
    dose_grid: Grid | None = None,
) -> Path:
    """Write a whole, consistent export and return its folder."""
    slices = len(write_ct(folder, grid, hu, orientation, position))
    write_structures(folder, structures if structures is not None else [body_box(grid)], slices)
    write_plan(folder, fields, position)
    write_dose(folder, dose_grid or grid)
    return folder


def _common(sop_class: str, modality: str, uids: Uids, sop_uid: str) -> Dataset:
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID, data.SOPInstanceUID = sop_class, sop_uid
    data.file_meta.MediaStorageSOPClassUID, data.file_meta.MediaStorageSOPInstanceUID = sop_class, sop_uid
    data.Modality, data.Manufacturer = modality, "mcverify tests"
    data.PatientID, data.PatientName = uids.patient, "Test^Patient"
    data.StudyInstanceUID = uids.study
    data.SeriesInstanceUID = _uid(f"{modality} series of {uids.study}")
    return data


def _save(data: Dataset, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)
    return path

"""Read RTDOSE files: DICOM's dose grid to Gy on a Grid (DICOM PS3.3 C.8.8.3)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from phantoms.dicom import (
    items,
    optional,
    optional_float,
    optional_text,
    read_dataset,
    require_float,
    require_floats,
    require_int,
    require_text,
)
from phantoms.errors import InputError
from phantoms.grid import Grid
from phantoms.plausible import DOSE, PLACE, VOXEL
from validation.rtdose.pixels import read_stored
from validation.rtdose.status import read_status

COSINE_TOLERANCE = 1e-4  # of a direction: 0.03 mm over 30 cm
POSITION_TOLERANCE = 0.01  # of a frame's position [mm]: decimals in DICOM are often rounded to this
PLANE_MM = 1.0  # thickness of a single frame that states none
SUMMATIONS = ("PLAN", "FRACTION", "BEAM", "MULTI_PLAN", "PLAN_OVERVIEW")


@dataclass(frozen=True, eq=False)
class PlannedDose:
    """A dose as a planning system exported it.

    Parameters
    ----------
    path : Path
    grid : Grid
    dose : (nz, ny, nx) float64
        [Gy]
    summation : str
        DoseSummationType: PLAN and BEAM doses are of the whole course, FRACTION of one fraction.
    sop_uid, study_uid, frame_of_reference_uid, patient_id : str
    plan_uid, structure_set_uid : str
        Of the plan and structure set it refers to; empty where it names none.
    fraction_group, beam : int or None
        Numbers in the plan that a BEAM (or FRACTION) dose belongs to.
    scaling : float
        One step of the stored integers [Gy].
    status : tuple of str
        What it states that a physicist must know (`validation.rtdose.status`).
    """

    path: Path
    grid: Grid
    dose: np.ndarray = field(repr=False)
    summation: str
    sop_uid: str
    study_uid: str
    frame_of_reference_uid: str
    patient_id: str
    plan_uid: str
    structure_set_uid: str
    fraction_group: int | None
    beam: int | None
    scaling: float
    status: tuple[str, ...] = ()

    @property
    def is_plane(self) -> bool:
        """Whether it has one layer of voxels only."""
        return min(self.grid.shape) == 1


def read_rtdose(path: str | PathLike) -> PlannedDose:
    """Read an RTDOSE file; refuse what is not a physical dose in Gy on a uniform grid.

    Any axis-aligned orientation, frame offsets of either form (relative, or DICOM's option b with absolute
    z positions), in either direction. A single frame is a plane, one voxel thick.
    """
    path = Path(path)
    data = load(path)
    for keyword, needed in (("DoseUnits", "GY"), ("DoseType", "PHYSICAL")):
        found = require_text(data, keyword, path)
        if found != needed:
            raise InputError(path, f"{keyword} is {found}, not {needed}", "export the physical dose in Gy")
    summation = require_text(data, "DoseSummationType", path)
    if summation not in SUMMATIONS:
        raise InputError(
            path, f"DoseSummationType {summation} is not supported", f"one of {', '.join(SUMMATIONS)}"
        )
    scaling = require_float(data, "DoseGridScaling", path)
    if not scaling > 0:
        raise InputError(path, f"DoseGridScaling is {scaling:g}, not above 0")
    grid, dose = _to_patient_axes(data, read_stored(data, path, scaling), path)
    plan_uid, fraction_group, beam = _referenced_plan(data, path)
    structure_sets = items(data, "ReferencedStructureSetSequence", path) or [Dataset()]
    return PlannedDose(
        path,
        grid,
        dose,
        summation,
        sop_uid=require_text(data, "SOPInstanceUID", path),
        study_uid=optional_text(data, "StudyInstanceUID", path),
        frame_of_reference_uid=require_text(data, "FrameOfReferenceUID", path),
        patient_id=optional_text(data, "PatientID", path),
        plan_uid=plan_uid,
        structure_set_uid=optional_text(structure_sets[0], "ReferencedSOPInstanceUID", path),
        fraction_group=fraction_group,
        beam=beam,
        scaling=scaling,
        status=read_status(data, path),
    )


def load(path: Path) -> Dataset:
    """Read the file and see that it is an RTDOSE."""
    data = read_dataset(path)
    modality = require_text(data, "Modality", path)
    if modality != "RTDOSE":
        raise InputError(path, f"is {modality}, not RTDOSE")
    return data


def _to_patient_axes(data: Dataset, dose: np.ndarray, path: Path) -> tuple[Grid, np.ndarray]:
    """Turn (frame, row, column) into ascending (z, y, x) and say where it lies.

    Frame k, row i, column j lies at position + offset_k * normal + i * dy * column_direction +
    j * dx * row_direction (PS3.3 C.7.6.2.1.1), so each of the three index axes is one patient axis.
    """
    position = require_floats(data, "ImagePositionPatient", 3, path)
    orientation = require_floats(data, "ImageOrientationPatient", 6, path).reshape(2, 3)
    spacing = require_floats(data, "PixelSpacing", 2, path)
    if spacing.min() <= 0:
        raise InputError(path, f"PixelSpacing is {spacing.tolist()}")
    if np.abs(np.abs(orientation) - np.rint(np.abs(orientation))).max() > COSINE_TOLERANCE:
        raise InputError(
            path, "its grid is tilted against the patient axes", "export the dose on an untilted grid"
        )
    row, column = np.rint(orientation)
    normal = np.cross(row, column)
    if np.abs(normal).sum() != 1:
        raise InputError(path, f"ImageOrientationPatient {orientation.ravel().tolist()} is not a rotation")
    frame_step = _frame_step(
        data, dose.shape[0], position[np.abs(normal).argmax()], float(normal.sum()), path
    )
    steps = (normal * frame_step, column * spacing[0], row * spacing[1])  # of frame, row, column [mm]
    axes = [int(np.abs(step).argmax()) for step in steps]  # 0 x, 1 y, 2 z
    dose = np.transpose(dose, [axes.index(axis) for axis in (2, 1, 0)])
    origin, size = [], []
    for index, axis in enumerate((2, 1, 0)):
        step = steps[axes.index(axis)][axis]
        first = position[axis]
        if step < 0:
            dose = np.flip(dose, axis=index)
            first += step * (dose.shape[index] - 1)
        origin.append(0.1 * first)
        size.append(0.1 * abs(step))
    dose = np.ascontiguousarray(dose)
    for side, first in zip(size, origin, strict=True):
        VOXEL.check(side, path, "the side of a voxel")
        PLACE.check(first, path, "the position of its grid")
    return Grid(dose.shape, tuple(size), tuple(origin)), dose


def _frame_step(data: Dataset, frames: int, first: float, normal: float, path: Path) -> float:
    """Signed distance between frames along the normal [mm], from GridFrameOffsetVector."""
    if frames == 1:
        thickness = optional_float(data, "SliceThickness", path) or PLANE_MM
        if thickness < 0:
            raise InputError(path, f"Slice Thickness (0018,0050) is {thickness:g} mm", "export it again")
        return thickness
    offsets = require_floats(data, "GridFrameOffsetVector", frames, path)
    # PS3.3 C.8.8.3.2: relative to the first frame (a: begins with 0), or positions (b: begins at the
    # first frame's own coordinate along the patient axis)
    if abs(offsets[0]) > POSITION_TOLERANCE:
        if abs(offsets[0] - first) > POSITION_TOLERANCE:
            raise InputError(
                path,
                f"GridFrameOffsetVector begins at {offsets[0]:g} mm: neither 0 nor its position {first:g}",
            )
        offsets = (offsets - offsets[0]) * normal
    step = (offsets[-1] - offsets[0]) / (frames - 1)
    stray = np.abs(offsets - offsets[0] - step * np.arange(frames)).max()
    if not (abs(step) > POSITION_TOLERANCE and stray <= POSITION_TOLERANCE):
        raise InputError(
            path, f"its frames are unevenly spaced, by up to {stray:.3g} mm", "export a uniform grid"
        )
    return float(step)


def _referenced_plan(data: Dataset, path: Path) -> tuple[str, int | None, int | None]:
    """UID of the plan, fraction group and beam number that the dose refers to."""
    plans = items(data, "ReferencedRTPlanSequence", path)
    if len(plans) > 1:
        raise InputError(path, f"sums {len(plans)} plans", "export the dose of one plan")
    if not plans:
        return "", None, None
    groups = items(plans[0], "ReferencedFractionGroupSequence", path) or [Dataset()]
    beams = items(groups[0], "ReferencedBeamSequence", path)
    group = optional(groups[0], "ReferencedFractionGroupNumber", path)
    beam = require_int(beams[0], "ReferencedBeamNumber", path) if len(beams) == 1 else None
    uid = optional_text(plans[0], "ReferencedSOPInstanceUID", path)
    return uid, None if group is None else int(group), beam


def refuse_implausible(path: Path, dose: np.ndarray) -> None:
    """Refuse a dose [Gy] that no treatment has: zero everywhere, or beyond `phantoms.plausible.DOSE`."""
    highest = float(dose.max())
    if highest == 0.0:
        raise InputError(path, "is zero everywhere", "export the dose of the plan")
    DOSE.check(highest, path, "its maximum", "export it in Gy; is Dose Grid Scaling (3004,000E) right?")


def course_dose(dose: PlannedDose, fractions: int) -> PlannedDose:
    """`dose` of the whole course of `fractions`: a FRACTION dose is multiplied, others are course doses."""
    if dose.summation == "FRACTION":
        return replace(dose, dose=dose.dose * fractions, summation="PLAN", scaling=dose.scaling * fractions)
    if dose.summation not in ("PLAN", "BEAM"):
        raise InputError(dose.path, f"a {dose.summation} dose is not the dose of one plan")
    return dose


def sum_beam_doses(doses: list[PlannedDose], beams: list[int]) -> PlannedDose:
    """Sum BEAM doses to the plan's; each of the plan's `beams` exactly once, all on one grid."""
    for dose in doses:
        if dose.summation != "BEAM" or dose.beam is None:
            raise InputError(dose.path, f"is a {dose.summation} dose that names no single beam")
    found = [dose.beam for dose in doses]
    for beam in sorted(set(beams) | set(found)):
        if found.count(beam) != beams.count(beam):
            raise InputError(
                doses[0].path.parent if doses else "beam doses",
                f"has {found.count(beam)} doses of beam {beam}, where the plan has {beams.count(beam)}",
                "export one dose for each beam, or the plan dose",
            )
    if not doses:
        raise InputError("beam doses", "there are none")
    first = doses[0]
    for dose in doses[1:]:
        for name in ("plan_uid", "frame_of_reference_uid", "fraction_group"):
            if getattr(dose, name) != getattr(first, name):
                raise InputError(dose.path, f"its {name} differs from that of {first.path.name}")
        if not dose.grid.matches(first.grid):
            raise InputError(dose.path, f"its grid differs from that of {first.path.name}")
    total = np.sum([dose.dose for dose in doses], axis=0)
    return replace(first, dose=total, summation="PLAN", beam=None, scaling=max(d.scaling for d in doses))

"""RTSTRUCT -> structures: what it says of each, and which frame of reference and images it refers to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from phantoms.dicom import (
    MM_PER_CM,
    Dataset,
    check_count,
    items,
    optional,
    optional_float,
    optional_text,
    read_dataset,
    require_floats,
    require_int,
    require_items,
    require_text,
)
from phantoms.errors import InputError
from phantoms.planes import MAX_ROUNDING_CM, heights, usual_spacing
from phantoms.references import ct_images, roi_frames
from phantoms.roi import ROI, make_roi
from phantoms.schema import meant

__all__ = ["ROI", "StructureSet", "make_roi", "read_structures"]

PLANAR, EXCLUSIVE = "CLOSED_PLANAR", "CLOSEDPLANAR_XOR"  # contours that enclose something
BODY_NAMES = ("BODY", "EXTERNAL", "SKIN", "PATIENT", "OUTLINE", "OUTER CONTOUR")


@dataclass(frozen=True, eq=False)
class StructureSet:
    """The structures of an RTSTRUCT.

    Parameters
    ----------
    rois : tuple of ROI
    label, sop_uid, frame_of_reference_uid, patient_id : str
    images : mapping of str to frozenset of str
        SOP Instance UIDs of the CT images it lists, by series.
    source : str
        The file, for messages.
    warnings : tuple of str
    """

    rois: tuple[ROI, ...]
    label: str
    sop_uid: str
    frame_of_reference_uid: str
    patient_id: str
    source: str
    images: Mapping[str, frozenset[str]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def names(self) -> list[str]:
        """Return the names of all structures."""
        return [roi.name for roi in self.rois]

    def __getitem__(self, name: str) -> ROI:
        """Return the structure of this exact name."""
        found = [roi for roi in self.rois if roi.name == name]
        if not found:
            hint = meant(name, self.names())
            raise InputError(
                self.source, f"has no structure {name}", f"{hint}it has {', '.join(self.names())}"
            )
        if len(found) > 1:
            raise InputError(self.source, f"has {len(found)} structures named {name}", "rename them")
        return found[0]

    def by_number(self, number: int) -> ROI:
        """Return the structure of this ROI number."""
        for roi in self.rois:
            if roi.number == number:
                return roi
        raise InputError(
            self.source, f"has no structure of number {number}", "export the structure set of the plan"
        )

    def of_type(self, kind: str) -> list[ROI]:
        """Return the structures of an interpreted type that have contours."""
        return [roi for roi in self.rois if roi.type == kind and not roi.is_empty]

    def external(self, name: str | None = None) -> ROI:
        """Return the patient's outline: `name`, or the one EXTERNAL, or the one so named."""
        if name is not None:
            return self[name]
        found = [roi for roi in self.rois if roi.type == "EXTERNAL"]
        if not found:
            found = [roi for roi in self.rois if roi.name.strip().upper() in BODY_NAMES]
        if not found:
            raise InputError(
                self.source,
                "has no structure of type EXTERNAL and none named BODY",
                'contour the body, or name it in the case file: external = "..."',
            )
        if len(found) > 1:
            names = ", ".join(roi.name for roi in found)
            remedy = 'choose one in the case file: external = "..."'
            raise InputError(self.source, f"has several body outlines: {names}", remedy)
        return found[0]


def read_structures(path: str | Path, frame_of_reference_uid: str = "") -> StructureSet:
    """Read an RTSTRUCT.

    Parameters
    ----------
    path : path
    frame_of_reference_uid : str, optional
        That of the CT: structures in another one are left out. By default it is the one in which the body
        outline lies, or else most contours do.

    Returns
    -------
    StructureSet
        ``read_structures(path)["PTV"]`` is one of its structures.

    Raises
    ------
    InputError
        If it is no RTSTRUCT, damaged, or contradicts itself.
    """
    path = Path(path)
    dataset = read_dataset(path)
    modality = optional_text(dataset, "Modality", path)
    if modality != "RTSTRUCT":
        raise InputError(
            path, f"is not an RTSTRUCT (modality {modality or 'missing'})", "name the structure set"
        )
    warnings = _status(dataset, path)
    rois = _described(dataset, path, warnings)
    frame = _frame_of_reference(rois, frame_of_reference_uid, path)
    away = [roi.name for roi in rois if roi.frame not in ("", frame) and roi.drawn]
    if away:
        warnings.append(f"left out, as drawn in another frame of reference than the CT's: {', '.join(away)}")
    made = _made([roi for roi in rois if roi.frame in ("", frame)])
    return StructureSet(
        rois=made,
        label=optional_text(dataset, "StructureSetLabel", path),
        sop_uid=require_text(dataset, "SOPInstanceUID", path),
        frame_of_reference_uid=frame,
        patient_id=optional_text(dataset, "PatientID", path),
        source=str(path),
        images=ct_images(dataset, path),
        warnings=tuple(dict.fromkeys([*warnings, *(text for roi in made for text in roi.warnings)])),
    )


def _status(dataset: Dataset, path: Path) -> list[str]:
    """Say that a structure set was rejected (DICOM PS3.3 C.8.8.16)."""
    rejected = optional_text(dataset, "ApprovalStatus", path) == "REJECTED"
    return [f"{path.name}: the structure set is REJECTED (300E,0002)"] if rejected else []


@dataclass
class _Described:
    """What the file says of a structure."""

    number: int
    name: str
    frame: str
    drawn: list[np.ndarray]  # contours, LPS [cm]
    exclusive: bool
    colour: tuple[int, int, int]
    kind: str
    physical: dict[str, float]


def _described(dataset: Dataset, path: Path, warnings: list[str]) -> list[_Described]:
    """What three sequences of the file say of its structures, in its order."""
    named = require_items(dataset, "StructureSetROISequence", path)
    numbers = [require_int(item, "ROINumber", path) for item in named]
    if len(set(numbers)) < len(numbers):
        raise InputError(path, "two structures have the same ROI Number (3006,0022)", "export it again")
    if "ROIContourSequence" not in dataset or "RTROIObservationsSequence" not in dataset:
        raise InputError(path, "holds no contours or no ROI observations", "export it again")
    drawn: dict[int, Dataset] = {}
    for item in items(dataset, "ROIContourSequence", path):
        number = require_int(item, "ReferencedROINumber", path)
        if number in drawn:
            raise InputError(path, f"has the contours of structure number {number} twice", "export it again")
        if number not in numbers:
            raise InputError(
                path, f"has contours of a structure number {number} that it does not list", "export it again"
            )
        drawn[number] = item
    observed: dict[int, list[Dataset]] = {}
    for item in items(dataset, "RTROIObservationsSequence", path):
        observed.setdefault(require_int(item, "ReferencedROINumber", path), []).append(item)
    described = []
    for item, number, frame in zip(named, numbers, roi_frames(dataset, path), strict=True):
        name = optional_text(item, "ROIName", path) or f"ROI {number}"
        contours, exclusive, colour = [], False, (255, 255, 0)
        if number in drawn:
            contours, exclusive = _read_contours(drawn[number], name, path, warnings)
            if optional(drawn[number], "ROIDisplayColor", path) is not None:
                colour = tuple(int(c) for c in require_floats(drawn[number], "ROIDisplayColor", 3, path))
        kind, physical = _observations(observed.get(number, []), name, path, warnings)
        described.append(_Described(number, name, frame, contours, exclusive, colour, kind, physical))
    return described


def _made(described: Sequence[_Described]) -> tuple[ROI, ...]:
    """Structures of one frame of reference, each seen beside the others' planes."""
    z = {roi.number: heights(c for c in roi.drawn if np.ptp(c[:, 2]) <= MAX_ROUNDING_CM) for roi in described}
    usual = usual_spacing([*z.values()])
    return tuple(
        make_roi(
            roi.name,
            roi.drawn,
            number=roi.number,
            kind=roi.kind,
            colour=roi.colour,
            usual=usual,
            others=[heights for number, heights in z.items() if number != roi.number],
            physical=roi.physical,
            exclusive=roi.exclusive,
        )
        for roi in described
    )


def _read_contours(
    item: Dataset, name: str, path: Path, warnings: list[str]
) -> tuple[list[np.ndarray], bool]:
    """Return the closed contours of a structure [cm], and whether they combine by exclusive or."""
    where = f"{path}, structure {name}"
    contours: list[np.ndarray] = []
    kinds: Counter[str] = Counter()
    for contour in items(item, "ContourSequence", path):
        kind = require_text(contour, "ContourGeometricType", where)
        data = require_floats(contour, "ContourData", None, where)
        if len(data) % 3:
            raise InputError(
                where, f"a contour has {len(data)} coordinates, not a multiple of 3", "export it again"
            )
        points = data.reshape(-1, 3) / MM_PER_CM
        check_count(contour, "NumberOfContourPoints", len(points), where)
        kinds[kind if len(points) > 2 else "of less than 3 points"] += 1
        if kind in (PLANAR, EXCLUSIVE) and len(points) > 2:
            contours.append(points)
    dropped = [f"{count} {kind}" for kind, count in kinds.items() if kind not in (PLANAR, EXCLUSIVE)]
    if contours and dropped:  # beside points and lines alone, which enclose nothing and are no volume
        warnings.append(f"structure {name}: contours left out, as they enclose nothing: {', '.join(dropped)}")
    return contours, kinds[EXCLUSIVE] > 0


def _observations(
    observed: Sequence[Dataset], name: str, path: Path, warnings: list[str]
) -> tuple[str, dict[str, float]]:
    """Interpreted type and physical properties of a structure, of which several may have been stated."""
    stated = sorted(observed, key=lambda item: optional_float(item, "ObservationNumber", path) or 0.0)
    kinds = [optional_text(item, "RTROIInterpretedType", path).upper() for item in stated]
    kinds = list(dict.fromkeys(filter(None, kinds)))
    if len(kinds) > 1:
        warnings.append(f"structure {name} is stated as {' and as '.join(kinds)}: taken as {kinds[0]}")
    physical: dict[str, float] = {}
    for item in stated:
        for kind, value in _physical_properties(item, path).items():
            if physical.setdefault(kind, value) != value:
                raise InputError(
                    f"{path}, structure {name}",
                    f"states {kind} as {physical[kind]:g} and {value:g}",
                    "leave one",
                )
    return kinds[0] if kinds else "", physical


def _physical_properties(observed: Dataset, path: Path) -> dict[str, float]:
    return {
        optional_text(item, "ROIPhysicalProperty", path): value
        for item in items(observed, "ROIPhysicalPropertiesSequence", path)
        if (value := optional_float(item, "ROIPhysicalPropertyValue", path)) is not None
    }


def _frame_of_reference(rois: Sequence[_Described], wanted: str, path: Path) -> str:
    """The frame of reference in which structures are used."""
    frames = {roi.frame for roi in rois} - {""}
    if wanted and (wanted in frames or not frames):
        return wanted
    if not frames:
        raise InputError(path, "states no frame of reference of its structures", "export it again")
    bodies = {roi.frame for roi in rois if roi.kind == "EXTERNAL" and roi.frame}
    if len(bodies) == 1:
        return bodies.pop()
    contours: Counter[str] = Counter()
    for roi in rois:
        contours[roi.frame] += len(roi.drawn)
    most = [frame for frame in sorted(frames) if contours[frame] == max(contours[f] for f in frames)]
    if len(most) > 1:
        raise InputError(
            path,
            f"structures lie in {len(frames)} frames of reference: {', '.join(sorted(frames))}",
            "export those of the planning CT",
        )
    return most[0]

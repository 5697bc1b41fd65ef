"""RTSTRUCT -> structures: contours in patient coordinates, masks and sub-voxel volumes.

A contour stands for a slab: half the contour spacing on either side of its plane. Between planes of
unequal distance the border lies midway; beyond the first and the last plane the slab ends half the last
spacing outside, as in the volumes that planning systems state. `phantoms.solids` puts a smoother shape
between the same planes, for dose-volume histograms. Planes further apart than one and a half times the usual
spacing leave a gap, which stays empty and is reported, unless the slices themselves are that far apart
(`phantoms.planes`). On one plane all contours of a structure combine by the even-odd rule, which makes holes
of inner contours and of keyholes alike (DICOM PS3.3 C.8.8.6).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from phantoms.dicom import (
    MM_PER_CM,
    Dataset,
    items,
    optional,
    optional_float,
    optional_text,
    read_dataset,
    require,
    require_floats,
    require_int,
    require_text,
)
from phantoms.errors import InputError
from phantoms.planes import (
    SAME_PLANE_CM,
    by_plane,
    distances_outside,
    find_gaps,
    usual_spacing,
    without_copies,
)
from phantoms.plausible import LENGTH, WIDTH
from phantoms.polygons import Slab
from phantoms.schema import meant
from phantoms.solids import Run

AREA_TYPES = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
BODY_NAMES = ("BODY", "EXTERNAL", "SKIN", "PATIENT", "OUTLINE", "OUTER CONTOUR")


@dataclass(frozen=True, eq=False)
class ROI:
    """A region of interest.

    Parameters
    ----------
    number : int
    name : str
    type : str
        RT ROI Interpreted Type (EXTERNAL, PTV, ORGAN, SUPPORT, ...), empty if not stated.
    colour : (int, int, int)
        RGB, 0 to 255.
    contours : tuple of (n, 3) float64
        Closed planar contours, LPS (x, y, z) [cm].
    contour_spacing : float
        Usual distance of contour planes [cm].
    gaps : tuple of int
        Planes, ascending in z, after which the structure is interrupted.
    free : (float, float)
        Distance from its first and last plane to the next ones outside on which another structure has
        contours [cm]; None where there are none.
    problem : str
        Why the contours cannot be filled; empty if they can.
    physical : dict of str to float
        ROI Physical Properties the planning system assigned (REL_ELEC_DENSITY, ...).
    warnings : tuple of str
    """

    number: int
    name: str
    type: str
    colour: tuple[int, int, int]
    contours: tuple[np.ndarray, ...]
    contour_spacing: float
    gaps: tuple[int, ...] = ()
    free: tuple[float | None, float | None] = (None, None)
    problem: str = ""
    physical: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the structure has no closed contours."""
        return not self.contours

    def runs(self) -> list[Run]:
        """Return the contours as runs of planes without a gap, ascending in z.

        Raises
        ------
        InputError
            If the structure is empty or its contours do not lie on planes of constant z.
        """
        if self.is_empty:
            raise InputError(f"structure {self.name}", "has no contours", "contour it or leave it out")
        if self.problem:
            raise InputError(f"structure {self.name}", self.problem)
        planes = by_plane(self.contours)
        ends = [gap + 1 for gap in self.gaps] + [len(planes)]
        runs = []
        for start, end in zip([0, *ends[:-1]], ends, strict=True):
            z = np.array([z for z, _ in planes[start:end]])
            steps = np.diff(z) if end - start > 1 else np.array([self.contour_spacing])
            runs.append(
                Run(
                    z,
                    [[contour[:, :2] for contour in contours] for _, contours in planes[start:end]],
                    (0.5 * float(steps[0]), 0.5 * float(steps[-1])),
                    (self.free[0] if start == 0 else None, self.free[1] if end == len(planes) else None),
                )
            )
        return runs

    def slabs(self) -> list[Slab]:
        """Return the structure as slabs of polygons, ascending in z; raises as `runs` does."""
        slabs = []
        for run in self.runs():
            borders = 0.5 * (run.z[1:] + run.z[:-1])
            lower = [run.z[0] - run.reach[0], *borders]
            upper = [*borders, run.z[-1] + run.reach[1]]
            slabs += [Slab(*slab) for slab in zip(lower, upper, run.polygons, strict=True)]
        return slabs


@dataclass(frozen=True, eq=False)
class StructureSet:
    """The structures of an RTSTRUCT.

    Parameters
    ----------
    rois : tuple of ROI
    label, sop_uid, frame_of_reference_uid, patient_id : str
    series_uid : str
        The CT series the structures were drawn on; empty if not stated.
    image_uids : frozenset of str
        SOP Instance UIDs of the images the structures refer to.
    source : str
        The file, for messages.
    warnings : tuple of str
    """

    rois: tuple[ROI, ...]
    label: str
    sop_uid: str
    frame_of_reference_uid: str
    patient_id: str
    series_uid: str
    image_uids: frozenset[str]
    source: str
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
        raise InputError(self.source, f"has no structure of number {number}")

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


def read_structures(path: str | Path) -> StructureSet:
    """Read an RTSTRUCT.

    Parameters
    ----------
    path : path

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
        raise InputError(path, f"is not an RTSTRUCT (modality {modality or 'missing'})")
    require(dataset, "StructureSetROISequence", path)
    named = {require_int(item, "ROINumber", path): item for item in dataset.StructureSetROISequence}
    if len(named) < len(dataset.StructureSetROISequence):
        raise InputError(path, "two structures have the same ROI Number (3006,0022)")
    drawn = _by_number(dataset, "ROIContourSequence", path)
    observed = _by_number(dataset, "RTROIObservationsSequence", path)
    if "ROIContourSequence" not in dataset or "RTROIObservationsSequence" not in dataset:
        raise InputError(path, "holds no contours or no ROI observations", "export it again")
    contours = {number: _read_contours(item, path) for number, item in drawn.items()}
    usual = usual_spacing([area for area, _ in contours.values()])
    heights = {n: np.array([z for z, _ in by_plane(area)]) for n, (area, _) in contours.items()}
    rois = tuple(
        _read_roi(
            number,
            item,
            drawn.get(number),
            observed.get(number),
            contours.get(number, ([], "")),
            usual,
            [z for n, z in heights.items() if n != number],
            path,
        )
        for number, item in named.items()
    )
    series, images = _referenced_images(dataset, path)
    if len(series) > 1:
        raise InputError(path, f"refers to {len(series)} image series: {', '.join(sorted(series))}")
    return StructureSet(
        rois=rois,
        label=optional_text(dataset, "StructureSetLabel", path),
        sop_uid=require_text(dataset, "SOPInstanceUID", path),
        frame_of_reference_uid=_frame_of_reference(dataset, path),
        patient_id=optional_text(dataset, "PatientID", path),
        series_uid=next(iter(series), ""),
        image_uids=frozenset(images),
        source=str(path),
        warnings=(*_status(dataset, path), *(warning for roi in rois for warning in roi.warnings)),
    )


def _status(dataset: Dataset, path: Path) -> list[str]:
    """Say that a structure set was rejected (DICOM PS3.3 C.8.8.16)."""
    rejected = optional_text(dataset, "ApprovalStatus", path) == "REJECTED"
    return [f"{path.name}: the structure set is REJECTED (300E,0002)"] if rejected else []


def make_roi(
    name: str,
    contours: list[np.ndarray],
    *,
    number: int = 0,
    kind: str = "",
    colour: tuple[int, int, int] = (255, 255, 0),
    usual: float = 0.0,
    others: Sequence[np.ndarray] = (),
    problem: str = "",
    physical: dict[str, float] | None = None,
) -> ROI:
    """Make a structure of its contours: drawn copies dropped, planes counted, gaps found.

    Parameters
    ----------
    name : str
    contours : list of (n, 3) float64
        Closed contours, each on a plane of constant z, LPS (x, y, z) [cm].
    number, kind, colour, physical
        See `ROI`.
    usual : float
        Usual distance of contour planes over all structures [cm], for one of a single plane.
    others : sequence of (n,) arrays
        Planes of the other structures [cm], by which a gap is distinguished from a thick slice.
    problem : str
        Why the contours cannot be filled, if that is known.
    """
    contours, warnings = without_copies(contours, name)
    z = np.array([position for position, _ in by_plane(contours)])
    steps = np.diff(z)
    spacing = float(np.median(steps)) if len(steps) else usual
    if contours and not problem and not spacing > 0:
        problem = "has a single contour, so its thickness is unknown"
    if contours and not problem:
        problem = _implausible(np.concatenate(contours))
        warnings += [f"structure {name} {problem}: left out"] if problem else []
    wide = find_gaps(z, spacing, list(others))
    if wide:
        places = "; ".join(f"{10 * z[k]:.1f} to {10 * z[k + 1]:.1f} mm" for k in wide[:3])
        warnings.append(f"structure {name} has no contours in {len(wide)} gap(s), z = {places}: left empty")
    return ROI(
        number=number,
        name=name,
        type=kind,
        colour=colour,
        contours=tuple(contours),
        contour_spacing=spacing,
        gaps=wide,
        free=distances_outside(z, np.concatenate([*others, []])),
        problem=problem,
        physical=physical or {},
        warnings=tuple(warnings),
    )


def _implausible(points: np.ndarray) -> str:
    """Why points (n, 3) [cm] cannot be of a structure in a treatment room; empty if they can."""
    allowed = (WIDTH, WIDTH, LENGTH)
    for axis, size, name in zip(allowed, np.ptp(points, axis=0), "xyz", strict=True):
        if axis.fault(float(size)) is not None:
            return f"reaches over {size:.4g} cm along {name}, more than {axis.high:g} {axis.unit}"
    return ""


def _by_number(dataset: Dataset, keyword: str, path: Path) -> dict[int, Dataset]:
    """Return the items of a sequence by the ROI number they refer to."""
    found: dict[int, Dataset] = {}
    for item in items(dataset, keyword, path):
        number = require_int(item, "ReferencedROINumber", path)
        if number in found:
            raise InputError(path, f"describes the contours or type of structure number {number} twice")
        found[number] = item
    return found


def _read_contours(item: Dataset, path: Path) -> tuple[list[np.ndarray], str]:
    """Return the closed contours of a structure [cm] and why they cannot be filled, if so."""
    contours, problem = [], ""
    for contour in items(item, "ContourSequence", path):
        kind = require_text(contour, "ContourGeometricType", path)
        if kind not in AREA_TYPES:
            continue  # points and lines enclose no volume
        data = require_floats(contour, "ContourData", None, path) / MM_PER_CM
        if len(data) % 3:
            raise InputError(path, f"a contour has {len(data)} coordinates, not a multiple of 3")
        points = data.reshape(-1, 3)
        if np.ptp(points[:, 2]) > SAME_PLANE_CM:
            problem = "has contours that do not lie on a plane of constant z"
        if len(points) >= 3:  # fewer enclose nothing
            contours.append(points)
    return contours, problem


def _read_roi(
    number: int,
    item: Dataset,
    drawn: Dataset | None,
    observed: Dataset | None,
    contours: tuple[list[np.ndarray], str],
    usual: float,
    others: list[np.ndarray],
    path: Path,
) -> ROI:
    name = optional_text(item, "ROIName", path) or f"ROI {number}"
    area, problem = contours
    colour = (255, 255, 0)
    if drawn is not None and optional(drawn, "ROIDisplayColor", path) is not None:
        colour = tuple(int(c) for c in require_floats(drawn, "ROIDisplayColor", 3, path))
    return make_roi(
        name,
        area,
        number=number,
        kind="" if observed is None else optional_text(observed, "RTROIInterpretedType", path).upper(),
        colour=colour,
        usual=usual,
        others=others,
        problem=problem,
        physical={} if observed is None else _physical_properties(observed, path),
    )


def _physical_properties(observed: Dataset, path: Path) -> dict[str, float]:
    return {
        optional_text(item, "ROIPhysicalProperty", path): optional_float(
            item, "ROIPhysicalPropertyValue", path
        )
        for item in items(observed, "ROIPhysicalPropertiesSequence", path)
        if optional_float(item, "ROIPhysicalPropertyValue", path) is not None
    }


def _frame_of_reference(dataset: Dataset, path: Path) -> str:
    """Return the one frame of reference of all structures."""
    rois = items(dataset, "StructureSetROISequence", path)
    frames = {optional_text(item, "ReferencedFrameOfReferenceUID", path) for item in rois} - {""}
    if not frames:
        listed = items(dataset, "ReferencedFrameOfReferenceSequence", path)
        frames = {optional_text(item, "FrameOfReferenceUID", path) for item in listed} - {""}
    if not frames:
        return require_text(dataset, "FrameOfReferenceUID", path)
    if len(frames) > 1:
        raise InputError(
            path, f"structures lie in {len(frames)} frames of reference: {', '.join(sorted(frames))}"
        )
    return frames.pop()


def _referenced_images(dataset: Dataset, path: Path) -> tuple[set[str], set[str]]:
    series_uids, image_uids = set(), set()
    for frame in items(dataset, "ReferencedFrameOfReferenceSequence", path):
        for study in items(frame, "RTReferencedStudySequence", path):
            for series in items(study, "RTReferencedSeriesSequence", path):
                series_uids.add(require_text(series, "SeriesInstanceUID", path))
                for image in items(series, "ContourImageSequence", path):
                    image_uids.add(require_text(image, "ReferencedSOPInstanceUID", path))
    return series_uids, image_uids

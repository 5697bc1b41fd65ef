"""CT series -> grid and HU. Every axis-aligned orientation; refuses what is not a whole, even stack.

DICOM coordinates are the patient's (LPS), whatever the patient's position on the couch, so the axes
follow from Image Orientation (Patient) alone (DICOM PS3.3 C.7.6.2.1.1) and Patient Position is only
carried along.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from phantoms.dicom import (
    MM_PER_CM,
    Dataset,
    list_dicom_files,
    optional,
    optional_float,
    optional_text,
    read_dataset,
    require_floats,
    require_int,
    require_text,
)
from phantoms.errors import InputError
from phantoms.files import distinct_names
from phantoms.grid import Grid
from phantoms.pixels import pixel_warnings, read_hu
from phantoms.plausible import PIXELS, PLACE, VOXEL

PATIENT_POSITIONS = ("HFS", "HFP", "FFS", "FFP", "HFDL", "HFDR", "FFDL", "FFDR")
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2.1"
LPS = "xyz"

MAX_ROTATION = 5e-4  # of an image axis from the patient axis [rad]: 0.1 mm at 20 cm
SAME_POSITION_MM = 0.01  # slices closer than this are duplicates
EVEN_MM = 0.05  # slices this close to their place on an even stack are even: rounding by the exporter
MAX_DRIFT_MM = 0.05  # of slice corners across the stacking direction


@dataclass(frozen=True, eq=False)
class CT:
    """A CT series on its grid.

    Parameters
    ----------
    grid : Grid
    hu : (nz, ny, nx) float32
        Hounsfield units.
    frame_of_reference_uid, series_uid, study_uid : str
    patient_position : str
        One of PATIENT_POSITIONS; empty if the series does not say.
    patient_id : str
    sop_uids : frozenset of str
        SOP Instance UIDs of the slices, and of localizers in the series.
    warnings : tuple of str
    padding : (nz, ny, nx) bool or None
        Where the scanner stored no measurement; None where it did everywhere.
    """

    grid: Grid
    hu: np.ndarray
    frame_of_reference_uid: str
    series_uid: str
    study_uid: str
    patient_position: str
    patient_id: str
    sop_uids: frozenset[str]
    warnings: tuple[str, ...] = ()
    padding: np.ndarray | None = None


class _Slice(NamedTuple):
    path: Path
    dataset: Dataset
    corner: np.ndarray  # (3,) centre of the first pixel, LPS [mm]
    orientation: np.ndarray  # (6,) direction cosines of a row and of a column
    spacing: np.ndarray  # (2,) between rows, between columns [mm]
    shape: tuple[int, int]  # rows, columns


def read_ct(source: str | Path | Iterable[str | Path], series_uid: str | None = None) -> CT:
    """Read a CT series.

    Parameters
    ----------
    source : path, or paths
        A folder (files that are not CT images are ignored, subfolders are searched) or the files
        themselves (each must be a CT image).
    series_uid : str, optional
        Which series to read where there are several, usually the one the RTSTRUCT refers to.
    """
    slices, localizers, where = _collect(source, series_uid)
    _check_uniform(slices, where)
    axes, signs = _patient_axes(slices[0])
    slices, gap = _sort_stack(slices, axes[0], where)

    # Array axes (slice, row, column) lie along patient axes `axes`, ascending where `signs` is +1.
    spacing_mm = np.array([gap, *slices[0].spacing])
    pixels = [read_hu(item.dataset, item.path, item.shape) for item in slices]
    hu = np.stack([one.hu for one in pixels])
    order = [axes.index(axis) for axis in (2, 1, 0)]
    first = np.array([slices[0].corner[axis] for axis in axes])
    last = first + signs * spacing_mm * (np.array(hu.shape) - 1)
    first[0], last[0] = slices[0].corner[axes[0]], slices[-1].corner[axes[0]]
    origin = np.minimum(first, last)[order] / MM_PER_CM
    flips = tuple(slice(None, None, int(signs[k])) if k else slice(None) for k in range(3))
    hu = np.ascontiguousarray(hu[flips].transpose(order))
    hu.flags.writeable = False
    padding = None
    if any(one.padding.any() for one in pixels):
        padding = np.stack([one.padding for one in pixels])[flips].transpose(order)

    head = slices[0].dataset
    position, warnings = _patient_position(head, where)
    warnings += pixel_warnings(
        [(item.path, item.dataset) for item in slices], [one.rescale for one in pixels]
    )
    tilt = optional_float(head, "GantryDetectorTilt", where)
    if tilt:
        warnings.append(
            f"{where}: the scanner states a gantry tilt of {tilt:g} degrees, the images show none"
        )
    return CT(
        grid=Grid(hu.shape, tuple(spacing_mm[order] / MM_PER_CM), tuple(origin)),
        hu=hu,
        frame_of_reference_uid=require_text(head, "FrameOfReferenceUID", where),
        series_uid=require_text(head, "SeriesInstanceUID", where),
        study_uid=optional_text(head, "StudyInstanceUID", where),
        patient_position=position,
        patient_id=optional_text(head, "PatientID", where),
        sop_uids=frozenset(str(item.dataset.SOPInstanceUID) for item in slices) | localizers,
        warnings=tuple(warnings),
        padding=padding,
    )


def frame_of_reference(path: Path) -> str:
    """Frame of Reference UID that an image states; empty without one."""
    return optional_text(read_dataset(path, header_only=True), "FrameOfReferenceUID", path)


def _collect(
    source: str | Path | Iterable[str | Path], series_uid: str | None
) -> tuple[list[_Slice], frozenset[str], str]:
    """Read the CT images of one series; of localizers the SOP Instance UIDs alone."""
    if isinstance(source, str | Path):
        where = str(source)
        headers = {path: read_dataset(path, header_only=True) for path in list_dicom_files(source)}
        headers = {path: header for path, header in headers.items() if _is_ct(header, path)}
    else:
        paths = [Path(path) for path in source]
        where = str(paths[0].parent) if paths else "CT series"
        headers = {path: read_dataset(path, header_only=True) for path in paths}
    if not headers:
        raise InputError(where, "holds no CT images")
    by_series: dict[str, list[_Slice]] = {}
    localizers = set()
    for path, header in headers.items():
        if not _is_ct(header, path):
            raise InputError(path, f"is not a CT image (modality {optional_text(header, 'Modality', path)})")
        uid = require_text(header, "SeriesInstanceUID", path)
        if series_uid not in (None, uid):
            continue
        if is_localizer(header, path):
            localizers.add(optional_text(header, "SOPInstanceUID", path))
            continue
        by_series.setdefault(uid, []).append(_read_slice(path))
    if not by_series:
        raise InputError(where, f"holds no CT images of series {series_uid}", "export the CT of the plan")
    if len(by_series) > 1:
        uids = ", ".join(f"{uid} ({len(images)} images)" for uid, images in sorted(by_series.items()))
        raise InputError(where, f"holds several CT series: {uids}", "leave the planning CT only")
    return next(iter(by_series.values())), frozenset(localizers), where


def _is_ct(dataset: Dataset, path: Path) -> bool:
    sop_class = require_text(dataset, "SOPClassUID", path)
    return sop_class in (CT_IMAGE, ENHANCED_CT_IMAGE) or optional_text(dataset, "Modality", path) == "CT"


def is_localizer(dataset: Dataset, path: Path) -> bool:
    """Whether a CT image is a survey view."""
    return "LOCALIZER" in (optional(dataset, "ImageType", path) or ())


def _read_slice(path: Path) -> _Slice:
    dataset = read_dataset(path)
    if dataset.SOPClassUID == ENHANCED_CT_IMAGE or (optional_float(dataset, "NumberOfFrames", path) or 1) > 1:
        raise InputError(path, "is a multi-frame CT image", "export the series as single slices")
    require_text(dataset, "SOPInstanceUID", path)
    require_text(dataset, "FrameOfReferenceUID", path)
    spacing = require_floats(dataset, "PixelSpacing", 2, path)
    if spacing.min() <= 0:
        raise InputError(path, "Pixel Spacing (0028,0030) is not above 0")
    corner = require_floats(dataset, "ImagePositionPatient", 3, path)
    for value in spacing:
        VOXEL.check(value / MM_PER_CM, path, "Pixel Spacing (0028,0030)")
    for value in corner:
        PLACE.check(value / MM_PER_CM, path, "Image Position (Patient) (0020,0032)")
    for keyword in ("Rows", "Columns"):
        PIXELS.check(require_int(dataset, keyword, path), path, keyword)
    return _Slice(
        path=path,
        dataset=dataset,
        corner=corner,
        orientation=require_floats(dataset, "ImageOrientationPatient", 6, path),
        spacing=spacing,
        shape=(require_int(dataset, "Rows", path), require_int(dataset, "Columns", path)),
    )


def _check_uniform(slices: list[_Slice], where: str) -> None:
    """Refuse slices that do not belong to one scan."""
    first = slices[0]
    seen: dict[str, Path] = {}
    for item in slices:
        uid = str(item.dataset.SOPInstanceUID)
        if uid in seen:
            raise InputError(item.path, f"is the same image as {seen[uid]}", "remove the copy")
        seen[uid] = item.path
        for keyword, what in (
            ("FrameOfReferenceUID", "frame of reference"),
            ("PatientID", "patient"),
            ("PatientPosition", "patient position"),
        ):
            values = [optional_text(one.dataset, keyword, one.path) for one in (item, first)]
            if values[0] != values[1]:
                raise InputError(item.path, f"has another {what} than {first.path.name}")
        if item.shape != first.shape:
            raise InputError(item.path, f"is {item.shape} pixels, {first.path.name} is {first.shape}")
        if not np.allclose(item.spacing, first.spacing, rtol=1e-4):
            raise InputError(item.path, f"has another pixel spacing than {first.path.name}")
        if not np.allclose(item.orientation, first.orientation, atol=1e-4):
            raise InputError(item.path, f"has another image orientation than {first.path.name}")
    if len(slices) < 2:
        raise InputError(where, "the CT series has only one slice", "at least two are needed")


def _patient_axes(item: _Slice) -> tuple[list[int], np.ndarray]:
    """Return the patient axes (0 x, 1 y, 2 z) of the slice normal, rows and columns, with their signs.

    The row index grows along the column direction cosines, the column index along those of the row.
    """
    row, column = item.orientation[:3], item.orientation[3:]
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if not np.allclose(lengths, 1, atol=1e-3) or abs(row @ column) > 1e-3:
        raise InputError(
            item.path, "Image Orientation (Patient) (0020,0037) is not two perpendicular unit vectors"
        )
    directions = np.array([np.cross(row, column), column, row])
    axes = [int(axis) for axis in np.abs(directions).argmax(axis=1)]
    cosines = directions[np.arange(3), axes]
    off_axis = np.sqrt((directions**2).sum(axis=1) - cosines**2).max()
    if off_axis > MAX_ROTATION or sorted(axes) != [0, 1, 2]:
        angle = np.degrees(np.arcsin(min(1.0, off_axis)))
        raise InputError(
            item.path,
            f"the CT slices are tilted or rotated by {angle:.2f} degrees against the patient axes",
            "resample to an untilted CT before planning",
        )
    return axes, np.sign(cosines)


def _sort_stack(slices: list[_Slice], axis: int, where: str) -> tuple[list[_Slice], float]:
    """Sort slices ascending along the patient axis; return them with their spacing [mm]."""
    slices = sorted(slices, key=lambda item: item.corner[axis])
    corners = np.array([item.corner for item in slices])
    position, name = corners[:, axis], LPS[axis]
    gaps = np.diff(position)
    for k in np.flatnonzero(gaps < SAME_POSITION_MM):
        files = " and ".join(distinct_names([slices[k].path, slices[k + 1].path]))
        raise InputError(
            where, f"two CT slices at {name} = {position[k]:.2f} mm: {files}", "leave the planning CT only"
        )
    drift = np.ptp(np.delete(corners, axis, axis=1), axis=0).max()
    if drift > MAX_DRIFT_MM:
        raise InputError(
            where,
            f"the CT stack is sheared (gantry tilt): slice corners drift by {drift:.2f} mm across it",
            "resample to an untilted CT before planning",
        )
    gap = float(np.median(gaps))
    VOXEL.check(gap / MM_PER_CM, where, "the distance of the CT slices")
    even = position[0] + np.arange(len(slices)) * (position[-1] - position[0]) / (len(slices) - 1)
    wide = np.flatnonzero(gaps > 1.5 * gap)
    if lost := [k for k in wide if _is_missing(k, gaps, _numbers(slices))]:
        places = "; ".join(f"{position[k]:.2f} and {position[k + 1]:.2f}" for k in lost[:5])
        raise InputError(
            where,
            f"CT slices are missing between {name} = {places} mm (spacing elsewhere {gap:.2f} mm)",
            "export the whole series",
        )
    uneven = np.flatnonzero((np.abs(gaps - gap) > EVEN_MM) | (np.abs(position - even)[1:] > EVEN_MM))
    if len(uneven):
        k = wide[0] if len(wide) else uneven[0]
        raise InputError(
            where,
            f"CT slices are unevenly spaced: {gaps[k]:.3f} mm between {name} = {position[k]:.2f} and "
            f"{position[k + 1]:.2f} mm, {gap:.3f} mm elsewhere",
            "resample to even slices before planning",
        )
    return slices, float((position[-1] - position[0]) / (len(slices) - 1))


def _numbers(slices: list[_Slice]) -> np.ndarray:
    """Instance Numbers; nan where there is none."""
    numbers = (optional_float(item.dataset, "InstanceNumber", item.path) for item in slices)
    return np.array([np.nan if number is None else number for number in numbers])


def _is_missing(k: int, gaps: np.ndarray, numbers: np.ndarray) -> bool:
    """Whether slices are missing in a gap wider than usual, rather than thicker there.

    The Instance Numbers say so, if they count slices; else a gap as wide beside it is one of thicker slices.
    """
    steps = np.abs(np.diff(numbers))
    usual = np.median(steps)
    if usual > 0:  # false if one has no number
        return bool(steps[k] > 1.5 * usual)
    beside = [gaps[n] for n in (k - 1, k + 1) if 0 <= n < len(gaps)]
    return not np.isclose(beside, gaps[k], rtol=0.0, atol=EVEN_MM).any()


def _patient_position(dataset: Dataset, where: str) -> tuple[str, list[str]]:
    position = optional_text(dataset, "PatientPosition", where)
    if not position:
        return "", [f"{where}: the CT does not state the patient position"]
    if position not in PATIENT_POSITIONS:
        raise InputError(where, f"patient position {position} is not one of {', '.join(PATIENT_POSITIONS)}")
    return position, []

"""What an RTSTRUCT refers to: frames of reference, CT series and their images.

It may list several of each, in any order (DICOM PS3.3 C.8.8.5): those of an MR it was registered with, say.
"""

from __future__ import annotations

from pathlib import Path

from phantoms.dicom import Dataset, items, optional_text, require_text

CT_CLASSES = ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1")  # CT, Enhanced CT Image Storage


def roi_frames(dataset: Dataset, path: Path) -> list[str]:
    """The frame of reference of each structure in the file's order; that of the file where it states none."""
    rois = items(dataset, "StructureSetROISequence", path)
    stated = [optional_text(item, "ReferencedFrameOfReferenceUID", path) for item in rois]
    alone = listed_frames(dataset, path) if "" in stated else set()
    other = alone.pop() if len(alone) == 1 else optional_text(dataset, "FrameOfReferenceUID", path)
    return [uid or other for uid in stated]


def listed_frames(dataset: Dataset, path: Path) -> set[str]:
    """The frames of reference that are listed."""
    listed = items(dataset, "ReferencedFrameOfReferenceSequence", path)
    return {optional_text(item, "FrameOfReferenceUID", path) for item in listed} - {""}


def frames(dataset: Dataset, path: Path) -> set[str]:
    """All frames of reference that are listed, or that structures lie in."""
    return (listed_frames(dataset, path) | set(roi_frames(dataset, path))) - {""}


def ct_images(dataset: Dataset, path: Path) -> dict[str, frozenset[str]]:
    """SOP Instance UIDs of the listed images by series, without series of other images than CT."""
    found: dict[str, frozenset[str]] = {}
    for frame in items(dataset, "ReferencedFrameOfReferenceSequence", path):
        for study in items(frame, "RTReferencedStudySequence", path):
            for series in items(study, "RTReferencedSeriesSequence", path):
                images = items(series, "ContourImageSequence", path)
                kinds = {optional_text(image, "ReferencedSOPClassUID", path) for image in images}
                if kinds and not kinds & {*CT_CLASSES, ""}:
                    continue
                uid = require_text(series, "SeriesInstanceUID", path)
                uids = {require_text(image, "ReferencedSOPInstanceUID", path) for image in images}
                found[uid] = found.get(uid, frozenset()) | uids
    return found


def contoured_images(dataset: Dataset, path: Path) -> set[str]:
    """SOP Instance UIDs of the images that contours name as theirs."""
    return {
        require_text(image, "ReferencedSOPInstanceUID", path)
        for drawn in items(dataset, "ROIContourSequence", path)
        for contour in items(drawn, "ContourSequence", path)
        for image in items(contour, "ContourImageSequence", path)
    }

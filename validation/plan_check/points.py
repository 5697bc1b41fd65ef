"""Points that plan and dose name: where a planning system states or normalises the dose."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from phantoms.dicom import (
    MM_PER_CM,
    Dataset,
    items,
    optional,
    optional_text,
    read_dataset,
    require_floats,
    require_int,
)

SAME = 0.01  # points closer than this are one [cm]


@dataclass(frozen=True)
class ReferencePoint:
    """A point and what it is called; more than one name where several points coincide.

    Parameters
    ----------
    name : str
    position : (float, float, float)
        LPS (x, y, z) [cm].
    """

    name: str
    position: tuple[float, float, float]


def read_points(plan_file: Path, dose_files: Iterable[Path]) -> tuple[ReferencePoint, ...]:
    """Dose references with coordinates, dose specification points of beams, normalisation points of doses.

    DICOM PS3.3 C.8.8.10 (300A,0018), C.8.8.13 (300A,0082) and C.8.8.3 (3004,0008).
    """
    plan, found = read_dataset(plan_file, header_only=True), []
    for item in items(plan, "DoseReferenceSequence", plan_file):
        name = optional_text(item, "DoseReferenceDescription", plan_file)
        number = optional_text(item, "DoseReferenceNumber", plan_file)
        found += _point(name or f"dose reference {number}", item, "DoseReferencePointCoordinates", plan_file)
    for group in items(plan, "FractionGroupSequence", plan_file):
        for item in items(group, "ReferencedBeamSequence", plan_file):
            name = f"dose specification of beam {require_int(item, 'ReferencedBeamNumber', plan_file)}"
            found += _point(name, item, "BeamDoseSpecificationPoint", plan_file)
    for path in dose_files:
        found += _point("normalisation", read_dataset(path, header_only=True), "NormalizationPoint", path)
    return joined(found)


def joined(points: Iterable[ReferencePoint]) -> tuple[ReferencePoint, ...]:
    """Points that coincide as one, with the names of all, each once."""
    places: list[tuple[tuple[float, float, float], list[str]]] = []
    for point in points:
        for place, names in places:
            if max(abs(a - b) for a, b in zip(place, point.position, strict=True)) < SAME:
                names.append(point.name)
                break
        else:
            places.append((point.position, [point.name]))
    return tuple(ReferencePoint(", ".join(dict.fromkeys(names)), place) for place, names in places)


def _point(name: str, data: Dataset, keyword: str, path: Path) -> list[ReferencePoint]:
    """The point of an attribute, if it is there."""
    if optional(data, keyword, path) is None:
        return []
    x, y, z = (float(c) for c in require_floats(data, keyword, 3, path) / MM_PER_CM)
    return [ReferencePoint(name, (x, y, z))]

"""Doses exported as one RTDOSE a plane, put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from phantoms.errors import InputError
from phantoms.grid import Grid
from validation.rtdose.read import POSITION_TOLERANCE, PlannedDose

LPS = "zyx"
ALIKE = ("summation", "beam", "fraction_group", "plan_uid", "frame_of_reference_uid", "patient_id")


def join_planes(doses: Sequence[PlannedDose]) -> list[PlannedDose]:
    """Put the planes of each dose together; other doses stay as they are.

    Planes belong together if they are of one plan, and of one beam where they are of beams.

    Raises
    ------
    InputError
        If a plane is alone, twice there, missing between others, or unlike them.
    """
    joined: list[PlannedDose] = []
    groups: dict[tuple[str, int | None], list[PlannedDose]] = {}
    for dose in doses:
        if dose.is_plane:
            groups.setdefault((dose.summation, dose.beam), []).append(dose)
        else:
            joined.append(dose)
    return joined + [_joined(planes) for planes in groups.values()]


def _joined(planes: Sequence[PlannedDose]) -> PlannedDose:
    first = planes[0]
    if len(planes) == 1:
        raise InputError(
            first.path, "is a single plane of a dose", "export all its planes, or the dose as a volume"
        )
    axis = first.grid.shape.index(1)
    planes = sorted(planes, key=lambda plane: plane.grid.origin[axis])
    for plane in planes:
        _refuse_unlike(plane, first, axis)
    place = 10 * np.array([plane.grid.origin[axis] for plane in planes])  # [mm]
    steps = np.diff(place)
    step = float(np.median(steps))
    tolerance = POSITION_TOLERANCE * len(planes)
    for k in np.flatnonzero(np.abs(steps - step) > tolerance):
        files, name = f"{planes[k].path.name} and {planes[k + 1].path.name}", LPS[axis]
        if steps[k] <= tolerance:
            raise InputError(first.path.parent, f"two planes of a dose at one place: {files}", "leave one")
        raise InputError(
            first.path.parent,
            f"planes of the dose are {steps[k]:g} mm apart from {name} = {place[k]:g} mm on ({files}), "
            f"{step:g} mm elsewhere",
            "is a plane missing? export all of them",
        )
    if not step > tolerance:
        raise InputError(
            first.path.parent, "all planes of the dose lie at one place", "export the dose again"
        )
    shape, spacing, origin = (
        list(value) for value in (first.grid.shape, first.grid.spacing, first.grid.origin)
    )
    shape[axis], spacing[axis], origin[axis] = len(planes), 0.1 * step, 0.1 * place[0]
    return replace(
        first,
        grid=Grid(tuple(shape), tuple(spacing), tuple(origin)),
        dose=np.concatenate([plane.dose for plane in planes], axis=axis),
        scaling=max(plane.scaling for plane in planes),
        status=tuple(dict.fromkeys(text for plane in planes for text in plane.status)),
    )


def _refuse_unlike(plane: PlannedDose, first: PlannedDose, axis: int) -> None:
    for name in ALIKE:
        if getattr(plane, name) != getattr(first, name):
            raise InputError(
                plane.path,
                f"its {name} differs from that of {first.path.name}",
                "leave the planes of one dose",
            )
    place, at = ([g.origin[a] for a in range(3) if a != axis] for g in (plane.grid, first.grid))
    size, of = ([g.spacing[a] for a in range(3) if a != axis] for g in (plane.grid, first.grid))
    if plane.grid.shape != first.grid.shape or not np.allclose([*place, *size], [*at, *of], atol=1e-3):
        raise InputError(
            plane.path, f"is a plane on another grid than {first.path.name}", "leave the planes of one dose"
        )

"""Control points of an RTPLAN beam: inheritance, unwrapped angles, jaws and leaves.

An attribute that a control point leaves out keeps its value (DICOM PS3.3 C.8.8.14). Angles run on through 0
and 360 degrees in the direction in which the machine turns (C.8.8.14.8).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mc.plan.plan import SAME, ControlPoint
from phantoms.dicom import (
    MM_PER_CM,
    Dataset,
    check_count,
    describe,
    items,
    optional,
    optional_float,
    optional_text,
    require_float,
    require_floats,
    require_int,
    require_items,
    require_text,
)
from phantoms.errors import InputError
from phantoms.plausible import ANGLE, PLACE, POSITION

JAWS = {"X": "x", "ASYMX": "x", "Y": "y", "ASYMY": "y"}
LEAVES = {"MLCX": "x", "MLCY": "y"}  # the direction in which they move
# Angles: what turns, the attribute of its rotation direction, and in which direction the angle of IEC 61217
# grows: the gantry seen from the isocentre, the collimator from the source, the couch from above.
ANGLES = {
    "GantryAngle": ("gantry", "GantryRotationDirection", "CW"),
    "BeamLimitingDeviceAngle": ("collimator", "BeamLimitingDeviceRotationDirection", "CC"),
    "PatientSupportAngle": ("couch", "PatientSupportRotationDirection", "CC"),
}
# Rotations beyond those of IEC 61217's main axes; only 0 is understood.
UNSUPPORTED_ANGLES = {
    "GantryPitchAngle": "gantry pitch",
    "TableTopEccentricAngle": "table top eccentric rotation",
    "TableTopPitchAngle": "couch pitch",
    "TableTopRollAngle": "couch roll",
}
AGAIN, OTHERWISE = "export the plan again", "check this plan by other means"  # remedies
NO_ANGLE = 1e-3  # angles smaller than this are none [degrees]
ROUNDING = 0.15  # a turn by less may come of angles rounded to 0.1 degrees


def read_control_points(
    item: Dataset, where: str, warn: list[str], cone: bool = False
) -> tuple[ControlPoint, ...]:
    """Read the control points of a beam.

    Parameters
    ----------
    item : Dataset
        Of the Beam Sequence.
    where : str
        File and beam, for messages.
    warn : list of str
        Warnings are added to.
    cone : bool
        Whether a cone shapes the beam, which then needs neither jaws nor leaves.

    Raises
    ------
    InputError
        If something is missing or contradictory, or a rotation direction is unknown.
    """
    kind = require_text(item, "BeamType", where)
    if kind not in ("STATIC", "DYNAMIC"):
        raise InputError(where, f"Beam Type (300A,00C4) is {kind}, neither STATIC nor DYNAMIC", AGAIN)
    raw = require_items(item, "ControlPointSequence", where)
    places = [f"{where}, control point {k}" for k in range(len(raw))]
    _check_numbers(item, raw, where, places)
    weights = _weights(item, raw, where, places)
    for point, place in zip(raw, places, strict=True):
        _refuse_unsupported(point, place)
    angles = [_angles(raw, keyword, weights, kind == "STATIC", places, warn) for keyword in ANGLES]
    isocentres = _isocentres(raw, places)
    devices = _devices(raw, places, cone)
    _check_devices(item, devices, places, cone)
    points = tuple(
        ControlPoint(
            weight=float(weights[k]),
            gantry=float(angles[0][k]),
            collimator=float(angles[1][k]),
            couch=float(angles[2][k]),
            isocentre=isocentres[k],
            jaws=_jaws(devices[k], places[k]),
            leaves={name: tuple(devices[k][name].tolist()) for name in LEAVES if name in devices[k]},
        )
        for k in range(len(raw))
    )
    if kind == "STATIC":
        _refuse_motion(points, places)
    _check_leaves(points, _leaf_boundaries(item, where), places)
    return points


def read_leaf_boundaries(item: Dataset, where: str) -> dict[str, tuple[float, ...]]:
    """Borders of the leaf pairs of a beam's multileaf collimators [cm]."""
    return {name: tuple(borders.tolist()) for name, borders in _leaf_boundaries(item, where).items()}


def _check_numbers(item: Dataset, raw: Sequence[Dataset], where: str, places: list[str]) -> None:
    """Refuse control points that are lost or out of order."""
    check_count(item, "NumberOfControlPoints", len(raw), where)
    for k, (point, place) in enumerate(zip(raw, places, strict=True)):
        stated = optional(point, "ControlPointIndex", place)
        if stated is not None and require_int(point, "ControlPointIndex", place) != k:
            raise InputError(
                place, f"{describe('ControlPointIndex')} is {stated}: points are lost or out of order", AGAIN
            )


def _weights(item: Dataset, raw: Sequence[Dataset], where: str, places: list[str]) -> np.ndarray:
    """Cumulative share of the monitor units at the control points, from 0 to 1."""
    total = require_float(item, "FinalCumulativeMetersetWeight", where)
    if not total > 0:
        raise InputError(where, f"Final Cumulative Meterset Weight (300A,010E) is {total:g}", AGAIN)
    weights = np.array(
        [
            require_float(point, "CumulativeMetersetWeight", place) / total
            for point, place in zip(raw, places, strict=True)
        ]
    )
    if (
        len(weights) < 2
        or abs(weights[0]) > 1e-6
        or abs(weights[-1] - 1) > 1e-4
        or (np.diff(weights) < 0).any()
    ):
        raise InputError(
            where, f"cumulative meterset weights do not run from 0 to 1: {weights.round(4).tolist()}", AGAIN
        )
    return weights


def _refuse_unsupported(point: Dataset, place: str) -> None:
    for keyword, what in UNSUPPORTED_ANGLES.items():
        angle = optional_float(point, keyword, place)
        if angle is not None and min(angle % 360, -angle % 360) > NO_ANGLE:
            raise InputError(
                place, f"has a {what} of {angle:g} degrees, which this version does not compute", OTHERWISE
            )
    for wedge in items(point, "WedgePositionSequence", place):
        if optional_text(wedge, "WedgePosition", place) == "IN":
            raise InputError(place, "has a wedge in the beam, which this version does not compute", OTHERWISE)


def _angles(
    raw: Sequence[Dataset],
    keyword: str,
    weights: np.ndarray,
    static: bool,
    places: list[str],
    warn: list[str],
) -> np.ndarray:
    """One of the machine's angles at the control points, unwrapped, (n,) [degrees]."""
    name, direction_keyword, growing = ANGLES[keyword]
    stated = require_float(raw[0], keyword, places[0])
    ANGLE.check(stated, places[0], describe(keyword))
    angles, direction = [stated], "NONE"
    irradiates = np.diff(weights) > 0
    for k, (point, place) in enumerate(zip(raw, places, strict=True)):
        if k > 0:
            found = optional_float(point, keyword, place)
            before, stated = stated, stated if found is None else found
            ANGLE.check(stated, place, describe(keyword))
            sign = 0 if direction == "NONE" else 1 if direction == growing else -1
            irradiating = not static and irradiates[k - 1]
            single = irradiates.sum() == 1
            reached = angles[-1] + _rotation_step(
                stated - before, sign, irradiating, single, name, place, warn
            )
            angles.append(stated + 360.0 * round((reached - stated) / 360.0))
        direction = optional_text(point, direction_keyword, place) or direction
        if direction not in ("CW", "CC", "NONE"):
            raise InputError(
                place, f"{describe(direction_keyword)} is {direction}, which is not CW, CC or NONE", AGAIN
            )
    return np.array(angles)


def _rotation_step(
    turn: float, sign: int, irradiating: bool, single: bool, name: str, place: str, warn: list[str]
) -> float:
    """Rotation from one control point to the next [degrees].

    Parameters
    ----------
    turn : float
        Difference of the angles, modulo 360.
    sign : int
        1 where the angle is said to grow, -1 to fall, 0 to stay.
    irradiating : bool
        Whether the machine irradiates during the rotation, so that its direction matters.
    single : bool
        Whether the beam irradiates during no other one; only then equal angles mean a full turn (C.8.8.14.8).
    """
    forward = turn % 360.0
    nearest = forward if forward <= 180.0 else forward - 360.0
    if not irradiating:
        return nearest
    if sign == 0:
        if abs(nearest) > ROUNDING:
            raise InputError(
                place,
                f"the {name} turned by {nearest:g} degrees to here, but its rotation direction is NONE",
                AGAIN,
            )
        return nearest
    if not single and sign * nearest <= 0.0 and abs(nearest) < ROUNDING:
        if f"{name} rotation" not in "".join(warn):
            warn.append(
                f"{place}: the {name} rotation states a direction, but the angle changes by {nearest:.2g} "
                "degrees: taken as no rotation, not as a full turn"
            )
        return nearest
    return (forward or 360.0) if sign > 0 else forward - 360.0


def _isocentres(raw: Sequence[Dataset], places: list[str]) -> list[tuple[float, float, float]]:
    isocentres: list[tuple[float, float, float]] = []
    for point, place in zip(raw, places, strict=True):
        if not isocentres or optional(point, "IsocenterPosition", place) is not None:
            position = require_floats(point, "IsocenterPosition", 3, place) / MM_PER_CM
            for value in position:
                PLACE.check(value, place, "Isocenter Position (300A,012C)")
            isocentres.append(tuple(position.tolist()))
        else:
            isocentres.append(isocentres[-1])
    return isocentres


def _devices(raw: Sequence[Dataset], places: list[str], cone: bool) -> list[dict[str, np.ndarray]]:
    """Positions of jaws and leaves by device at the control points [cm]."""
    devices: list[dict[str, np.ndarray]] = []
    for point, place in zip(raw, places, strict=True):
        here = dict(devices[-1]) if devices else {}
        stated = set()
        for device in items(point, "BeamLimitingDevicePositionSequence", place):
            name = require_text(device, "RTBeamLimitingDeviceType", place)
            if name in stated:
                raise InputError(place, f"positions the {name} twice", AGAIN)
            stated.add(name)
            if name not in JAWS and name not in LEAVES:
                raise InputError(
                    place, f"has a beam limiting device {name}, which this version does not know", OTHERWISE
                )
            if devices and name not in devices[0]:
                raise InputError(place, f"positions the {name}, which control point 0 does not", AGAIN)
            here[name] = require_floats(device, "LeafJawPositions", None, place) / MM_PER_CM
            for value in (here[name].min(), here[name].max()):
                POSITION.check(float(value), place, f"the position of {name} (300A,011C)")
        devices.append(here)
    if not devices[0] and not cone:
        raise InputError(places[0], "has neither jaws nor leaves", AGAIN)
    if len(LEAVES.keys() & devices[0].keys()) > 1:
        raise InputError(
            places[0], "has two multileaf collimators, which this version does not compute", OTHERWISE
        )
    return devices


def _check_devices(
    item: Dataset, devices: list[dict[str, np.ndarray]], places: list[str], cone: bool
) -> None:
    """Refuse devices that are declared and not positioned, or that have another number of leaves."""
    declared = set()
    for device in items(item, "BeamLimitingDeviceSequence", places[0]):
        name = require_text(device, "RTBeamLimitingDeviceType", places[0])
        if name in declared:
            raise InputError(places[0], f"is of a beam that declares the {name} twice", AGAIN)
        declared.add(name)
        if name not in devices[0]:
            if cone:
                continue
            raise InputError(places[0], f"does not position the {name}, which the beam declares", AGAIN)
        for here, place in zip(devices, places, strict=True):
            where = f"{place}, {name}"
            check_count(device, "NumberOfLeafJawPairs", len(here[name]) // 2, where)


def _jaws(devices: Mapping[str, np.ndarray], place: str) -> tuple[float, float, float, float]:
    limits = {"x": (-np.inf, np.inf), "y": (-np.inf, np.inf)}
    for name, axis in JAWS.items():
        if name not in devices:
            continue
        positions = devices[name]
        if len(positions) != 2 or not positions[0] < positions[1]:
            opening = (positions * MM_PER_CM).tolist()
            raise InputError(place, f"jaws {name} stand at {opening} mm, not two ascending positions", AGAIN)
        opening = (float(positions[0]), float(positions[1]))
        if np.isfinite(limits[axis]).all() and not np.allclose(limits[axis], opening, rtol=0.0, atol=SAME):
            raise InputError(
                place,
                f"has two pairs of jaws in {axis}, {np.array(limits[axis]) * MM_PER_CM} and "
                f"{np.array(opening) * MM_PER_CM} mm",
                "export the plan with the jaws that the machine has",
            )
        limits[axis] = opening
    return (*limits["x"], *limits["y"])


def _leaf_boundaries(item: Dataset, where: str) -> dict[str, np.ndarray]:
    return {
        name: require_floats(device, "LeafPositionBoundaries", None, where) / MM_PER_CM
        for device in items(item, "BeamLimitingDeviceSequence", where)
        if (name := require_text(device, "RTBeamLimitingDeviceType", where)) in LEAVES
    }


def _check_leaves(
    points: Sequence[ControlPoint], boundaries: Mapping[str, np.ndarray], places: list[str]
) -> None:
    """Refuse leaves that do not fit their number, stand crossed, or have borders out of order."""
    for point, place in zip(points, places, strict=True):
        for name, positions in point.leaves.items():
            borders = boundaries.get(name, np.array([]))
            pairs = len(borders) - 1
            if pairs < 1 or len(positions) != 2 * pairs:
                raise InputError(
                    place, f"{name} has {len(positions)} leaf positions for {max(0, pairs)} leaf pairs", AGAIN
                )
            if not (np.diff(borders) > 0).all():
                raise InputError(place, f"the leaf boundaries of the {name} do not ascend", AGAIN)
            crossed = np.array(positions[:pairs]) > np.array(positions[pairs:]) + SAME
            if crossed.any():
                raise InputError(
                    place, f"the leaves of {name} pair {int(crossed.argmax()) + 1} are crossed", AGAIN
                )


def _refuse_motion(points: Sequence[ControlPoint], places: list[str]) -> None:
    """Refuse a STATIC beam that irradiates while something moves (C.8.8.14: it must not)."""
    for before, after, place in zip(points, points[1:], places[1:], strict=False):
        states = [(*point.aim, *point.shape) for point in (before, after)]
        if after.weight > before.weight and not np.allclose(*states, rtol=0.0, atol=SAME):
            raise InputError(
                place, "is of a beam of type STATIC, but the machine moved to here while it irradiated", AGAIN
            )

"""Quantities on the command line: a number with its unit, so that mm is never taken for cm."""

from __future__ import annotations

import math
import re
from argparse import ArgumentTypeError

from phantoms.schema import meant

CENTIMETRES = {"mm": 0.1, "cm": 1.0}
GRAY = {"Gy": 1.0, "cGy": 0.01}
MEV = {"MeV": 1.0, "keV": 1e-3}
SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}
DEGREES = {"deg": 1.0}
_LENGTH, _ANGLE = ({"mm": 1.0, "cm": 10.0}, "a length such as 5mm"), (DEGREES, "an angle such as -1deg")
SETUP_AXES = dict.fromkeys(("lateral", "longitudinal", "vertical"), _LENGTH) | dict.fromkeys(
    ("pitch", "roll", "yaw"), _ANGLE
)
VOXELS = (0.05, 2.0)  # least and greatest voxel side [cm]


def percentage(text: str) -> float:
    """Fraction of a percentage above 0 % and below 100 %: "1%" is 0.01."""
    value = _quantity(text, {"%": 0.01}, "a percentage such as 1%")
    if not 0.0 < value < 1.0:
        raise ArgumentTypeError(f"{text!r} is not above 0% and below 100%")
    return value


def share(text: str) -> float:
    """Percentage from 0 % to 100 %, as the number before the sign: "10%" is 10."""
    value = _quantity(text, {"%": 1.0}, "a percentage such as 10%")
    if not 0.0 <= value <= 100.0:
        raise ArgumentTypeError(f"{text!r} is not from 0% to 100%")
    return value


def voxel_side(text: str) -> float:
    """Voxel side [cm]: "2.5mm" is 0.25."""
    value = _quantity(text, CENTIMETRES, "a length such as 2.5mm or 0.25cm")
    if not VOXELS[0] <= value <= VOXELS[1]:
        raise ArgumentTypeError(f"{text!r} is not from {10 * VOXELS[0]:g}mm to {10 * VOXELS[1]:g}mm")
    return value


def length(text: str) -> float:
    """Length above 0 [cm]: "5cm"."""
    return _above_zero(text, CENTIMETRES, "a length such as 5cm or 50mm")


def millimetres(text: str) -> float:
    """A coordinate, of either sign [mm]: "-12.5mm"."""
    return 10.0 * _quantity(text, CENTIMETRES, "a length such as -12.5mm or 3cm")


def degrees(text: str) -> float:
    """An angle, of either sign [deg]: "1.3deg"."""
    return _quantity(text, DEGREES, "an angle such as 1.3deg")


def dose_or_zero(text: str) -> float:
    """Dose, not negative [Gy]: "0Gy"."""
    return _not_negative(text, GRAY, "a dose such as 5Gy or 500cGy")


def number(text: str) -> float:
    """A finite number above 0, also as a fraction: "0.2", "1/5"."""
    top, _, bottom = text.partition("/")
    try:
        value = float(top) / (float(bottom) if bottom else 1.0)
    except (ValueError, ZeroDivisionError):
        value = math.nan
    if not (math.isfinite(value) and value > 0.0):
        raise ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def energy(text: str) -> float:
    """Energy [MeV], not negative: "0.5MeV"."""
    return _not_negative(text, MEV, "an energy such as 0.5MeV or 500keV")


def dose(text: str) -> float:
    """Dose above 0 [Gy]: "20Gy"."""
    return _above_zero(text, GRAY, "a dose such as 20Gy or 2000cGy")


def angle(text: str) -> float:
    """Angle above 0 [degrees]: "3deg"."""
    return _above_zero(text, DEGREES, "an angle such as 3deg")


def setup_error(text: str) -> dict[str, float]:
    """Error of a setup by axis [mm, degrees]: "lateral=5mm,yaw=-1deg"."""
    example = "axes and amounts such as lateral=5mm,yaw=-1deg"
    found = {}
    for part in text.split(","):
        axis, _, amount = part.strip().partition("=")
        if axis not in SETUP_AXES or axis in found:
            hint = meant(axis, SETUP_AXES) if axis not in found else ""
            known = ", ".join(SETUP_AXES)
            raise ArgumentTypeError(
                f"{text!r} is not understood; {hint}write {example}, once each of {known}"
            )
        found[axis] = _quantity(amount, *SETUP_AXES[axis])
    return found


def duration(text: str) -> float:
    """Time [s]: "10min" is 600."""
    return _above_zero(text, SECONDS, "a time such as 90s, 10min or 2h")


def count(text: str) -> int:
    """Whole number above 0; 1e9 and 1_000_000 are understood too."""
    value = _whole(text)
    if value < 1:
        raise ArgumentTypeError(f"{text!r} is not above 0")
    return value


def seed(text: str) -> int:
    """Whole number from 0 to 2^63 - 1."""
    value = _whole(text)
    if not 0 <= value < 2**63:
        raise ArgumentTypeError(f"{text!r} is not from 0 to 2^63 - 1")
    return value


def _above_zero(text: str, units: dict[str, float], example: str) -> float:
    value = _quantity(text, units, example)
    if value <= 0.0:
        raise ArgumentTypeError(f"{text!r} is not above 0")
    return value


def _not_negative(text: str, units: dict[str, float], example: str) -> float:
    value = _quantity(text, units, example)
    if value < 0.0:
        raise ArgumentTypeError(f"{text!r} is negative")
    return value


def _quantity(text: str, units: dict[str, float], example: str) -> float:
    parts = re.fullmatch(r"\s*([-+0-9.,eE]*?)\s*([a-zA-Z%]*)\s*", text)
    if parts is None or not parts[1]:
        raise ArgumentTypeError(f"{text!r} is not understood; write {example}")
    if "," in parts[1]:
        raise ArgumentTypeError(f"{text!r} has a decimal comma; write {example}")
    if not parts[2]:
        raise ArgumentTypeError(f"{text!r} has no unit; write {example}")
    if parts[2] not in units:
        hint = meant(parts[2], units)
        raise ArgumentTypeError(f"{text!r}: {parts[2]!r} is no unit here; {hint}write {example}")
    try:
        value = float(parts[1]) * units[parts[2]]
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ArgumentTypeError(f"{text!r} is not understood; write {example}")
    return value


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value == int(value)):
        raise ArgumentTypeError(f"{text!r} is not a whole number")
    return int(value)

"""Places on a film and in a plane, as the command line states them."""

from __future__ import annotations

import math
from argparse import ArgumentTypeError

from validation.cli import units

VIEWS = ("axial", "coronal", "sagittal")


def box(text: str) -> tuple[float, float, float, float]:
    """Left, top, right, bottom in pixels of a scan: "100,50,700,430"."""
    numbers = [_pixel(part, text) for part in text.split(",")]
    if len(numbers) != 4 or not (numbers[0] < numbers[2] and numbers[1] < numbers[3]):
        raise ArgumentTypeError(f"{text!r} is not a box; write left,top,right,bottom in pixels")
    return tuple(numbers)


def cut(text: str) -> tuple[str, float]:
    """A plane and where it cuts the third axis [mm]: "coronal=-12.5mm"."""
    view, _, place = text.partition("=")
    if view not in VIEWS or not place:
        raise ArgumentTypeError(
            f"{text!r} is not a plane; write such as coronal=-12.5mm ({', '.join(VIEWS)})"
        )
    return view, units.millimetres(place)


def point(text: str) -> tuple[float, float]:
    """Two coordinates of a plane [mm]: "3mm,-5mm"."""
    parts = text.split(",")
    if len(parts) != 2:
        raise ArgumentTypeError(f"{text!r} is not a point of a plane; write such as 3mm,-5mm")
    return units.millimetres(parts[0]), units.millimetres(parts[1])


def placing(text: str) -> tuple[float, float, float]:
    """Two coordinates [mm] and an angle [deg], which may be left out: "2.7mm,0mm,1.3deg"."""
    parts = text.split(",")
    if len(parts) not in (2, 3):
        raise ArgumentTypeError(f"{text!r} is not a place; write such as 2.7mm,0mm,1.3deg")
    angle = units.degrees(parts[2]) if len(parts) == 3 else 0.0
    return units.millimetres(parts[0]), units.millimetres(parts[1]), angle


def mark(text: str) -> tuple[tuple[float, float], float, float]:
    """A pixel of the scan and its place in the plane, "-" for what is not known: "740,225=0mm,-"."""
    pixel, _, place = text.partition("=")
    pixels, places = pixel.split(","), place.split(",")
    if len(pixels) != 2 or len(places) != 2:
        raise ArgumentTypeError(f"{text!r} is not a mark; write such as 740,225=0mm,-12.5mm")
    u, v = (math.nan if part.strip() == "-" else units.millimetres(part) for part in places)
    if math.isnan(u) and math.isnan(v):
        raise ArgumentTypeError(f"{text!r} states no coordinate of the plane")
    return (_pixel(pixels[0], text), _pixel(pixels[1], text)), u, v


def strip(text: str) -> tuple[float, tuple[float, float, float, float]]:
    """A dose [Gy] and where on the scan a film of this dose lies: "5Gy@100,50,700,80"."""
    dose, _, place = text.partition("@")
    if not place:
        raise ArgumentTypeError(f"{text!r} is not a strip; write such as 5Gy@100,50,700,80")
    return units.dose_or_zero(dose), box(place)


def _pixel(part: str, whole: str) -> float:
    try:
        value = float(part)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ArgumentTypeError(f"{whole!r}: {part.strip()!r} is not a pixel's number")
    return value

"""Scans as plain CSV: a line per point, its columns named in the first line (docs/formats.md).

Columns, in any order: scan, x_cm, y_cm, z_cm, value, field_x_cm, field_y_cm, ssd_cm, nominal_mv, fluence_mode
and, if known, detector and detector_radius_cm. Lines with the same `scan` make a scan. The coordinates are
those of `validation.scans.scan`.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from phantoms.errors import InputError
from validation.scans.lines import Lines
from validation.scans.scan import FLUENCE_MODES, Scan, centred_field, make_scan

POINT = ("x_cm", "y_cm", "z_cm", "value")
NUMBERS = ("field_x_cm", "field_y_cm", "ssd_cm", "nominal_mv")
REQUIRED = ("scan", *POINT, *NUMBERS, "fluence_mode")
OPTIONAL = ("detector", "detector_radius_cm")


def read_csv(path: Path) -> list[Scan]:
    """All scans of a CSV file.

    Raises
    ------
    InputError
        If the file is broken, or the lines of a scan contradict each other.
    """
    lines, table = read_table(path, REQUIRED, OPTIONAL)
    begun: dict[str, tuple[int, dict[str, str], list[list[float]]]] = {}
    for number, row in table:
        name = row["scan"]
        line, first, points = begun.setdefault(name, (number, row, []))
        for key in (*NUMBERS, "fluence_mode", *OPTIONAL):
            if row.get(key) != first.get(key):
                raise lines.error(number, f"{key} of scan {name!r} differs from line {line}")
        points.append([lines.number(number, row[key], key) for key in POINT])
    return [_scan(lines, line, row, points) for line, row, points in begun.values()]


def _scan(lines: Lines, line: int, row: dict[str, str], points: list[list[float]]) -> Scan:
    width_x, width_y, ssd, energy = (lines.number(line, row[key], key) for key in NUMBERS)
    if row["fluence_mode"] not in FLUENCE_MODES:
        raise lines.error(
            line, f"fluence_mode {row['fluence_mode']!r} is unknown", " or ".join(FLUENCE_MODES)
        )
    radius = row.get("detector_radius_cm") or ""
    return make_scan(
        points=np.array(points),
        kind=None,
        unit="a.u.",
        field_cm=centred_field(width_x, width_y),
        ssd_cm=ssd,
        nominal_mv=energy,
        fluence_mode=row["fluence_mode"],
        detector=row.get("detector") or "unknown",
        detector_radius_cm=lines.number(line, radius, "detector_radius_cm") if radius else None,
        file=lines.path,
        line=line,
        notes=(f"scan={row['scan']}",),
    )


def header(path: Path) -> list[str]:
    """Names of the columns of a CSV file."""
    first = next((text for _, text in Lines(path) if not text.startswith("#")), "")
    return _names(first)


def read_table(
    path: Path, required: tuple[str, ...], optional: tuple[str, ...]
) -> tuple[Lines, list[tuple[int, dict[str, str]]]]:
    """A CSV file with named columns, and the number and cells of each of its lines.

    Raises
    ------
    InputError
        If a column is missing, unknown or there twice, or a line has not all cells.
    """
    lines = Lines(path)
    (top, first), *rest = [(n, text) for n, text in lines if not text.startswith("#")] or [(1, "")]
    separator, names = _separator(first), _names(first)
    for name in required:
        if name not in names:
            raise lines.error(top, f"there is no column {name}", f"needed: {', '.join(required)}")
    for name in names:
        if name not in required + optional or names.count(name) > 1:
            raise lines.error(
                top, f"column {name!r} is unknown or there twice", f"known: {', '.join(required + optional)}"
            )
    table = []
    for number, text in rest:
        cells = _cells(text, separator)
        if not any(cells):
            continue
        if len(cells) < len(names) or any(cells[len(names) :]):
            raise lines.error(number, f"has {len(cells)} cells for {len(names)} columns")
        table.append((number, dict(zip(names, cells, strict=False))))
    if not table:
        raise InputError(path, "holds no line of data")
    return lines, table


def _separator(text: str) -> str:
    """What parts the columns: the comma, or, where the comma is decimal, semicolon or tab."""
    return next((mark for mark in (";", "\t") if mark in text), ",")


def _cells(text: str, separator: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([text], delimiter=separator), [])]


def _names(text: str) -> list[str]:
    """Names of columns; empty ones behind the last, which spreadsheets leave, count for nothing."""
    names = _cells(text, _separator(text))
    while names and not names[-1]:
        names.pop()
    return names

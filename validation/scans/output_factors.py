"""Measured output factors, as plain CSV (docs/formats.md).

Columns: field_x_cm, field_y_cm, ssd_cm, depth_cm, nominal_mv, fluence_mode, output_factor. An output factor
is the dose of a field, per monitor unit, over that of the reference field at the same SSD and depth: one
line has the factor 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from validation.scans.plain_csv import read_table
from validation.scans.scan import FLUENCE_MODES, centred_field, field_text

COLUMN = "output_factor"
NUMBERS = ("field_x_cm", "field_y_cm", "ssd_cm", "depth_cm", "nominal_mv", COLUMN)
REQUIRED = (*NUMBERS, "fluence_mode")


@dataclass(frozen=True)
class OutputFactor:
    """A measured output factor; lengths in cm, the field as x1, x2, y1, y2 in the isocentre plane."""

    field_cm: tuple[float, float, float, float]
    ssd_cm: float
    depth_cm: float
    nominal_mv: float
    fluence_mode: str
    value: float
    file: Path
    line: int

    @property
    def label(self) -> str:
        """As a physicist calls it."""
        return f"output factor {field_text(self.field_cm)}"


def read_output_factors(path: Path) -> list[OutputFactor]:
    """All output factors of a CSV file.

    Raises
    ------
    InputError
        If the file is broken, or a condition has no field of factor 1.
    """
    lines, table = read_table(path, REQUIRED, ())
    factors = []
    for number, row in table:
        x, y, ssd, depth, energy, value = (lines.number(number, row[key], key) for key in NUMBERS)
        if min(x, y, ssd, depth, energy, value) <= 0.0:
            raise lines.error(number, "all numbers must be above 0")
        if row["fluence_mode"] not in FLUENCE_MODES:
            raise lines.error(
                number, f"fluence_mode {row['fluence_mode']!r} is unknown", " or ".join(FLUENCE_MODES)
            )
        factors.append(
            OutputFactor(centred_field(x, y), ssd, depth, energy, row["fluence_mode"], value, path, number)
        )
    for factor in factors:
        alike = [f for f in factors if condition(f) == condition(factor)]
        if not any(abs(f.value - 1.0) < 1e-9 for f in alike):
            raise lines.error(
                factor.line,
                f"no field at SSD {factor.ssd_cm:g} cm, depth {factor.depth_cm:g} cm has the factor 1",
                "which field is the reference?",
            )
    return factors


def condition(factor: OutputFactor) -> tuple[float, float, float, str]:
    """What output factors must share to be compared: SSD, depth, energy, fluence mode."""
    return factor.ssd_cm, factor.depth_cm, factor.nominal_mv, factor.fluence_mode

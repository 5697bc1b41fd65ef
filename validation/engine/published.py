"""Published tables of the data cases: one CSV file of a few columns for all media."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from phantoms.errors import InputError
from phantoms.materials import Material, load_materials
from validation.engine.case import CASES


def nist_materials() -> dict[str, Material]:
    """Media of the NIST tables."""
    return load_materials(CASES / "nist_materials.toml")


def read_columns(path: Path) -> dict[str, dict[str, np.ndarray]]:
    """Columns (n,) of each medium of a CSV file: `{material: {column: values}}`."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
        media = dict.fromkeys(row["material"] for row in rows)
        return {
            medium: {
                name: np.array([float(row[name]) for row in rows if row["material"] == medium])
                for name in rows[0]
                if name != "material"
            }
            for medium in media
        }
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise InputError(path, f"is no table of media: {error}", "restore it from the repository") from None

"""Reference doses in little space: 16 bits for the dose, 8 for its relative sigma."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from phantoms.arrays import byte_planes, from_byte_planes, load_arrays, save_arrays
from phantoms.errors import InputError
from phantoms.grid import Grid

DOSE_STEPS = 65535
SIGMA_STEPS = 255
SIGMA_FLOOR = 1e-4  # relative; the steps are even in the logarithm from here to 1, 1.8 % at most off


def save_dose(path: Path, dose: np.ndarray, sigma: np.ndarray, grid: Grid) -> None:
    """Write a dose and its one sigma, (nz, ny, nx).

    The dose is rounded by at most 1/131070 of its maximum, the relative sigma by at most 1.8 %; it is kept
    between 0.01 % and 100 %. A voxel whose dose is rounded to 0 keeps no sigma.
    """
    step = float(dose.max()) / DOSE_STEPS
    relative = np.divide(sigma, dose, out=np.ones_like(dose, dtype=float), where=dose > 0)
    share = 1.0 - np.log(np.clip(relative, SIGMA_FLOOR, 1.0)) / np.log(SIGMA_FLOOR)
    save_arrays(
        path,
        dose=byte_planes(np.round(dose / step).astype(np.uint16)),
        sigma=np.round(SIGMA_STEPS * share).astype(np.uint8),
        step=step,
        spacing=grid.spacing,
        origin=grid.origin,
    )


def load_dose(path: Path) -> tuple[np.ndarray, np.ndarray, Grid]:
    """Dose and its one sigma, (nz, ny, nx), as `save_dose` wrote them, and their grid."""
    try:
        stored = load_arrays(path)
        counts, share = from_byte_planes(stored["dose"], "u2"), stored["sigma"] / SIGMA_STEPS
        dose = float(stored["step"]) * counts.astype(float)
        grid = Grid(dose.shape, tuple(stored["spacing"]), tuple(stored["origin"]))
    except (OSError, ValueError, KeyError) as error:
        raise InputError(path, f"is no stored dose: {error}", "restore it from the repository") from None
    return dose, dose * SIGMA_FLOOR ** (1.0 - share), grid

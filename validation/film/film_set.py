"""Films of known dose, as the user lists them (docs/formats.md)."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from phantoms.errors import InputError
from phantoms.kinds import FILMS
from phantoms.schema import Table, read_table
from validation.film.calibration import AXES

MARGIN_MM = 3.0  # of a film left out along its cut edges, which are damaged


@dataclass(frozen=True, eq=False)
class FilmSet:
    """Films of known dose, as the user lists them (docs/formats.md).

    Parameters
    ----------
    path : Path
    title : str
    lateral_axis : str
    lateral_response : bool
        Whether the films lie across the scanner, so that they show its lateral response.
    profile : (n, 2) array or None
        Position from the film's middle [mm] and dose relative to it.
    middle_mm : float or None
        Of the scanner, from the left (or upper) edge of the scans.
    margin_mm : float
    groups : tuple of (scans, entries)
        Films that were scanned together: paths, and for each film its dose [Gy] and box or None.
    dpi : float or None
    """

    path: Path
    title: str
    lateral_axis: str
    lateral_response: bool
    profile: np.ndarray | None
    middle_mm: float | None
    margin_mm: float
    groups: tuple[tuple[tuple[Path, ...], tuple[tuple[float, tuple[float, ...] | None], ...]], ...]
    dpi: float | None

    def doses(self) -> np.ndarray:
        """The films' doses, ascending, each once [Gy]."""
        return np.unique([dose for _, entries in self.groups for dose, _ in entries])


def read_film_set(path: str | PathLike) -> FilmSet:
    """Read the list of films of known dose.

    Raises
    ------
    InputError
        If an entry is missing or not understood.
    """
    path = Path(path)
    table = read_table(path)
    optional = "title scans dose_profile middle_mm dpi lateral_axis lateral_response margin_mm"
    table.expect("films", optional, kind=FILMS)
    title = table.text("title", path.stem)
    common = _paths(table, "scans") if "scans" in table else ()
    profile = _read_profile(path.parent / table.text("dose_profile")) if "dose_profile" in table else None
    middle = table.number("middle_mm", above=0.0) if "middle_mm" in table else None
    dpi = table.number("dpi", above=0.0) if "dpi" in table else None
    lateral_axis = table.choice("lateral_axis", AXES, "x")
    lateral_response = table.flag("lateral_response", False)
    margin = table.number("margin_mm", above=-1e-300, default=MARGIN_MM)
    groups: dict[tuple[Path, ...], list] = {}
    for entry in table.tables("films"):
        entry.expect("dose_gy", "box_px scans")
        dose = entry.number("dose_gy", above=-1e-300)
        box = entry.numbers("box_px", 4) if "box_px" in entry else None
        scans = _paths(entry, "scans") if "scans" in entry else common
        if not scans:
            raise entry.error("scans", "is missing, and the file names no scans of all films")
        entry.finish()
        groups.setdefault(scans, []).append((dose, box))
    table.finish()
    return FilmSet(
        path, title, lateral_axis, lateral_response, profile, middle, margin,
        tuple((scans, tuple(films)) for scans, films in groups.items()), dpi,
    )  # fmt: skip


def _paths(table: Table, key: str) -> tuple[Path, ...]:
    return tuple(table.path.parent / name for name in table.texts(key))


def _read_profile(path: Path) -> np.ndarray:
    """Rows of position [mm] and relative dose, divided by the dose in the middle."""
    try:
        rows = np.genfromtxt(path, delimiter=",", comments="#", ndmin=2, encoding="utf-8")
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror or error}") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(path, f"is no table of position [mm] and dose: {error}") from None
    if rows.ndim != 2 or rows.shape[1] != 2 or len(rows) < 2 or not np.isfinite(rows).all():
        raise InputError(path, "is no table of two columns, position [mm] and dose", "parted by commas")
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    if rows[0, 0] >= 0.0 or rows[-1, 0] <= 0.0:
        raise InputError(path, "its positions do not lie on both sides of 0, the film's middle")
    middle = np.interp(0.0, rows[:, 0], rows[:, 1])
    if not middle > 0.0:
        raise InputError(path, "has no dose at position 0")
    return np.column_stack([rows[:, 0], rows[:, 1] / middle])

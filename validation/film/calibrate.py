"""Make a film calibration from films of known dose."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path

import numpy as np

from mc.provenance import provenance
from mc.schema import Table
from phantoms.errors import InputError
from phantoms.materials import read_toml
from validation.film.calibration import AXES, Calibration, CalibrationFilm
from validation.film.channels import triple_channel
from validation.film.curve import Curve, fit_curve
from validation.film.lateral import STEP_MM, Lateral, fit_lateral
from validation.film.regions import Region, find_films, inner, pixel_noise
from validation.film.scan import CHANNELS, Scan, read_scans

MARGIN_MM = 3.0  # of a film left out along its cut edges, which are damaged
MIDDLE_MM = 15.0  # from the scanner's middle within which films give the curves
BLOCK_MM = 3.0  # side of the blocks whose means show how even a film is
CLIP = 3.0  # sigmas beyond which a pixel is dust
LEAST_SPREAD, MOST_SPREAD = 0.003, 0.05  # of the disturbance
COARSE_MISFIT = 0.01  # a curve that misses the films by more is warned of


@dataclass(frozen=True, eq=False)
class FilmSet:
    """Films of known dose, as the user lists them (docs/formats.md).

    Parameters
    ----------
    path : Path
    title : str
    lateral_axis : str
    lateral_response : bool
        Whether the films lie across the scanner, so that they tell its lateral response.
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


@dataclass(frozen=True, eq=False)
class Measured:
    """Means of the response over cells of the films.

    Parameters
    ----------
    dose : (n,) float64
        Of each cell [Gy].
    response, sigma : (n, 3) float64
        Mean and its one sigma, by how uneven the film is.
    position_mm : (n,) float64
        Lateral.
    film : (n,) int64
        Index of the film's dose in the ascending row of doses given: films of one dose count as one.
    """

    dose: np.ndarray
    response: np.ndarray = field(repr=False)
    sigma: np.ndarray = field(repr=False)
    position_mm: np.ndarray = field(repr=False)
    film: np.ndarray = field(repr=False)


def read_film_set(path: str | PathLike) -> FilmSet:
    """Read the list of films of known dose.

    Raises
    ------
    InputError
        If an entry is missing or not understood.
    """
    path = Path(path)
    table = Table(path, read_toml(path))
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


def make_calibration(films: FilmSet) -> tuple[Calibration, list[str]]:
    """Fit curves and lateral response to films of known dose; also returns warnings.

    Raises
    ------
    InputError
        If a scan cannot be used, a film is not found, or no falling curve fits.
    """
    scans = [read_scans(paths, films.dpi) for paths, _ in films.groups]
    across = 1 if films.lateral_axis == "x" else 0
    widths = [scan.size_mm[across] for scan in scans]
    if np.ptp(widths) > 1.0 and films.middle_mm is None and films.lateral_response:
        raise InputError(
            films.path,
            f"its scans are {min(widths):.1f} to {max(widths):.1f} mm wide: where is the scanner's middle?",
            "scan all with one width, or state middle_mm",
        )
    measured, regions = _measure(films, scans)
    doses = _given_doses(films)
    _refuse_disorder(films, measured, doses)
    warnings: list[str] = []
    used = _middle_cells(measured) if films.lateral_response else np.ones(measured.dose.size, bool)
    curves = _fit_curves(measured, used, films.path)
    lateral = None
    if films.lateral_response:
        middle = np.array([curve.response(measured.dose) for curve in curves]).T
        lateral = fit_lateral(measured.position_mm, measured.response, middle, measured.film)
        used = lateral.covers(measured.position_mm)
        measured = _as_in_the_middle(measured, lateral, curves, doses)
        # all of a film now tells its response, which evens out its layer
        curves = _fit_curves(measured, used, films.path)
    listed = _film_means(measured, used)
    for name, curve in zip(CHANNELS, curves, strict=True):
        if curve.misfit > COARSE_MISFIT:
            warnings.append(
                f"the {name} curve misses the films' responses by {100 * curve.misfit:.1f} % (rms)"
            )
    if len({film.dose_gy for film in listed}) < 6:
        warnings.append("with fewer than six doses a wrong form of curve may pass unnoticed")
    calibration = Calibration(
        films.title,
        curves,
        1.0,
        films.lateral_axis,
        float(np.mean(widths)) if films.middle_mm is None else 2.0 * films.middle_mm,
        lateral,
        listed,
        _made(scans),
    )
    spread = _disturbance(films, scans, regions, calibration)
    return replace(calibration, spread=spread), warnings


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


def _measure(films: FilmSet, scans: Sequence[Scan]) -> tuple[Measured, list[tuple[int, np.ndarray]]]:
    """Means over cells of all films, and the pixels of each film as (index of its scan, mask)."""
    rows, regions = [], []
    doses = _given_doses(films).tolist()
    across = 1 if films.lateral_axis == "x" else 0
    for index, (scan, (_, entries)) in enumerate(zip(scans, films.groups, strict=True)):
        middle = 0.5 * scan.size_mm[across] if films.middle_mm is None else films.middle_mm
        position = np.broadcast_to(np.expand_dims(scan.centres_mm(across) - middle, 1 - across), scan.shape)
        for (dose, _), region in zip(entries, _regions(films, scan, entries), strict=True):
            mask = inner(region, scan, films.margin_mm)
            if np.count_nonzero(mask) < 25:
                raise InputError(films.path, f"the film of {dose:g} Gy has {np.count_nonzero(mask)} pixels")
            regions.append((index, mask))
            ends = position[mask].min(), position[mask].max()
            centre = 0.5 * (ends[0] + ends[1])
            cell = (
                np.rint(position / STEP_MM).astype(int)
                if films.lateral_response
                else np.zeros(scan.shape, int)
            )
            for one in np.unique(cell[mask]):
                chosen = mask & (cell == one)
                if films.lateral_response and np.ptp(position[chosen]) < 0.6 * STEP_MM:
                    continue  # the rest of a cell at the film's end
                at = position[chosen]
                given = dose
                if films.profile is not None:
                    away = at - centre
                    if away.min() < films.profile[0, 0] or away.max() > films.profile[-1, 0]:
                        raise InputError(
                            films.path, "its dose_profile does not reach to the ends of the films"
                        )
                    given = dose * float(np.interp(away, *films.profile.T).mean())
                mean, sigma = _mean(scan, chosen)
                rows.append((given, mean, sigma, float(at.mean()), doses.index(dose)))
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return Measured(*columns), regions


def _regions(films: FilmSet, scan: Scan, entries: Sequence) -> list[Region]:
    """Where the films lie: in their boxes, or found on the bed and taken from top to bottom."""
    boxes = [box for _, box in entries]
    if all(box is not None for box in boxes):
        found = []
        for box in boxes:
            rows, columns = scan.box(box, str(films.path))
            mask = np.zeros(scan.shape, bool)
            mask[rows, columns] = True
            found.append(Region(rows, columns, mask))
        return found
    if any(box is not None for box in boxes):
        raise InputError(
            films.path, f"gives box_px for some films of {scan.name} only", "for all or for none"
        )
    found = find_films(scan)
    if len(found) != len(entries):
        raise InputError(
            films.path,
            f"lists {len(entries)} films on {scan.name}, where {len(found)} are seen",
            "state box_px = [left, top, right, bottom] of each",
        )
    return found


def _mean(scan: Scan, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean response without dust, and its sigma by the spread of blocks."""
    values = scan.response[chosen]
    centre = np.median(values, axis=0)
    width = 1.4826 * np.median(np.abs(values - centre), axis=0) + 1e-6
    kept = (np.abs(values - centre) <= CLIP * width).all(axis=1)
    if np.count_nonzero(kept) < 0.5 * kept.size:
        kept = np.ones(kept.size, bool)
    values = values[kept]
    rows, columns = np.nonzero(chosen)
    down, across = (max(1, round(BLOCK_MM / pitch)) for pitch in scan.pitch_mm)
    block = ((rows // down) * 100_000 + columns // across)[kept]
    _, block = np.unique(block, return_inverse=True)
    count = np.bincount(block)
    means = np.array([np.bincount(block, values[:, k]) / count for k in range(3)])
    full = count > 0.5 * down * across
    spread = means[:, full].std(axis=1, ddof=1) if np.count_nonzero(full) > 3 else values.std(axis=0)
    return values.mean(axis=0), spread / np.sqrt(max(np.count_nonzero(full), 1))


def _given_doses(films: FilmSet) -> np.ndarray:
    """The films' doses, ascending, each once."""
    return np.unique([dose for _, entries in films.groups for dose, _ in entries])


def _refuse_disorder(films: FilmSet, measured: Measured, doses: np.ndarray) -> None:
    """Refuse films whose response does not fall with their dose: they are not in the order listed."""
    red = np.array([measured.response[measured.film == k, 0].mean() for k in range(doses.size)])
    rise = np.flatnonzero(np.diff(red) > 0.002)
    if rise.size:
        lower, higher = doses[rise[0]], doses[rise[0] + 1]
        raise InputError(
            films.path,
            f"the film listed with {higher:g} Gy is brighter in red than that with {lower:g} Gy",
            "list the films from top to bottom (side by side: from left to right), or state box_px",
        )


def _middle_cells(measured: Measured) -> np.ndarray:
    """Cells near the scanner's middle: of each dose those within reach, or the nearest one."""
    used = np.abs(measured.position_mm) <= MIDDLE_MM
    for film in np.unique(measured.film):
        own = np.flatnonzero(measured.film == film)
        if not used[own].any():
            used[own[np.abs(measured.position_mm[own]).argmin()]] = True
    return used


def _as_in_the_middle(
    measured: Measured, lateral: Lateral, curves: Sequence[Curve], doses: np.ndarray
) -> Measured:
    """The cells as if they lay in the scanner's middle and had got the dose of their film's middle."""
    corrected = lateral.correct(measured.response, measured.position_mm)
    own = doses[measured.film]
    moved = np.array([curve.response(own) - curve.response(measured.dose) for curve in curves]).T
    return replace(measured, dose=own, response=corrected + moved)


def _fit_curves(measured: Measured, used: np.ndarray, path: Path) -> tuple[Curve, Curve, Curve]:
    try:
        return tuple(
            fit_curve(film_dose, response, sigma)
            for film_dose, response, sigma in (_by_film(measured, used, channel) for channel in range(3))
        )
    except InputError as error:
        raise InputError(path, error.problem, error.remedy) from None


def _by_film(measured: Measured, used: np.ndarray, channel: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Dose, response and sigma of one channel, a row for each film."""
    rows = []
    for film in np.unique(measured.film[used]):
        own = used & (measured.film == film)
        rows.append(
            (
                measured.dose[own].mean(),
                measured.response[own, channel].mean(),
                np.sqrt(np.square(measured.sigma[own, channel]).sum()) / np.count_nonzero(own),
            )
        )
    return tuple(np.array(column) for column in zip(*rows, strict=True))


def _film_means(measured: Measured, used: np.ndarray) -> tuple[CalibrationFilm, ...]:
    channels = [_by_film(measured, used, channel) for channel in range(3)]
    dose = channels[0][0]
    order = np.argsort(dose, kind="stable")
    response, sigma = (np.array([channel[k] for channel in channels]).T for k in (1, 2))
    return tuple(CalibrationFilm(float(dose[k]), response[k], sigma[k]) for k in order)


def _disturbance(
    films: FilmSet, scans: Sequence[Scan], regions: Sequence[tuple[int, np.ndarray]], calibration: Calibration
) -> float:
    """One sigma of the disturbance: how much blocks of the calibration films stray alike in all channels."""
    found = []
    for index, mask in regions:
        scan = scans[index]
        position = np.broadcast_to(calibration.position_mm(scan, films.middle_mm), scan.shape)
        response = scan.response
        if calibration.lateral is not None:
            mask = mask & calibration.lateral.covers(position)
            response = calibration.lateral.correct(response, position)
        if not mask.any():
            continue
        noise = pixel_noise(scan, mask)
        rows, columns = np.nonzero(mask)
        down, across = (max(1, round(BLOCK_MM / pitch)) for pitch in scan.pitch_mm)
        block = (rows // down) * 100_000 + columns // across
        _, block = np.unique(block, return_inverse=True)
        count = np.bincount(block)
        means = np.array([np.bincount(block, response[mask][:, k]) / count for k in range(3)]).T
        sigma = np.array([np.bincount(block, noise[mask][:, k]) / count for k in range(3)]).T
        full = count > 0.5 * down * across
        result = triple_channel(means[full], sigma[full] / np.sqrt(count[full])[:, None], calibration.curves)
        good = ~(result.above | result.below)
        found.append(result.disturbance[good])
    values = np.concatenate(found) if found else np.ones(1)
    if values.size < 10:
        return 0.01
    return float(np.clip(1.4826 * np.median(np.abs(values - 1.0)), LEAST_SPREAD, MOST_SPREAD))


def _made(scans: Sequence[Scan]) -> dict[str, str]:
    digest = hashlib.sha256()
    for scan in scans:
        for path in scan.paths:
            digest.update(path.read_bytes())
    return {
        "mcverify": str(provenance()["mcverify"]),
        "scans": "; ".join(scan.name for scan in scans),
        "scans_sha256": digest.hexdigest(),
    }

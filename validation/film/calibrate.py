"""Make a film calibration from films of known dose."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mc.provenance import provenance
from phantoms.errors import InputError
from validation.film.calibration import Calibration, CalibrationFilm
from validation.film.channels import triple_channel
from validation.film.curve import Curve, fit_curve
from validation.film.film_set import FilmSet
from validation.film.lateral import Lateral, fit_lateral
from validation.film.measure import Measured, blocks, measure
from validation.film.regions import pixel_noise
from validation.film.scan import CHANNELS, Scan, read_scans

MIDDLE_MM = 15.0  # from the scanner's middle within which films give the curves
MIN_SPREAD, MAX_SPREAD = 0.003, 0.05  # of the disturbance
ASIDE_MM = 50.0  # from the scanner's middle, where the lateral response begins to matter
COARSE_MISFIT = 0.01  # a curve that misses the films by more is warned of


def make_calibration(films: FilmSet) -> Calibration:
    """Fit curves and lateral response to films of known dose.

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
    measured, regions = measure(films, scans)
    doses = films.doses()
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
        # all of a film now shows its response, which evens out its layer
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
    if lateral is None:
        warnings += _unused_reach(films, scans, regions, calibration)
    spread = _disturbance(films, scans, regions, calibration)
    return replace(calibration, spread=spread, warnings=tuple(warnings))


def _unused_reach(
    films: FilmSet, scans: Sequence[Scan], regions: Sequence[tuple[int, np.ndarray]], calibration: Calibration
) -> list[str]:
    """A warning where films lie far to the side while the lateral response is not corrected."""
    reach = 0.0
    for index, mask in regions:
        scan = scans[index]
        position = np.broadcast_to(calibration.position_mm(scan, films.middle_mm), scan.shape)[mask]
        reach = max(reach, float(np.abs(position).max()))
    if reach < ASIDE_MM:
        return []
    return [
        f"films reach {reach:.0f} mm from the scanner's middle and its lateral response is not corrected; if "
        "films of all doses lie across the scanner, lateral_response = true corrects it"
    ]


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
        block, count, full = blocks(scan, mask)
        means = np.array([np.bincount(block, response[mask][:, k]) / count for k in range(3)]).T
        sigma = np.array([np.bincount(block, noise[mask][:, k]) / count for k in range(3)]).T
        result = triple_channel(means[full], sigma[full] / np.sqrt(count[full])[:, None], calibration.curves)
        good = ~(result.above | result.below)
        found.append(result.disturbance[good])
    values = np.concatenate(found) if found else np.ones(1)
    if values.size < 10:
        return 0.01
    return float(np.clip(1.4826 * np.median(np.abs(values - 1.0)), MIN_SPREAD, MAX_SPREAD))


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

"""The dose on a scanned film, pixel by pixel, with its uncertainty; what cannot be trusted is left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from phantoms.errors import InputError
from validation.film.calibration import Calibration
from validation.film.channels import ChannelDose, single_channel, triple_channel
from validation.film.regions import Region, find_films, inner, pixel_noise
from validation.film.scan import CHANNELS, Scan

TRIPLE = "triple"
METHODS = (TRIPLE, *CHANNELS)
STRAY_CHI2 = 18.0  # noise exceeds it in one pixel of ten million: a pen mark, dust
MAX_STRAY = 0.02  # if more pixels are, it is the calibration that does not fit
RIVAL = 0.5  # of the largest film's area: a film that may be meant just as well
AROUND = 5  # pixels a side over which the channels' disagreement is averaged
WIDTH_MM = 2.0  # widths of scans may differ by this much and still count as one setting


@dataclass(frozen=True)
class Strip:
    """A strip of film of known dose that was scanned together with the film.

    Parameters
    ----------
    dose_gy : float
    box_px : (float, float, float, float)
        Left, top, right and bottom in pixels of the scan.
    """

    dose_gy: float
    box_px: tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Rescaling:
    """Response as it would have been in the calibration's scans: offset + slope * response.

    Parameters
    ----------
    strips : tuple of Strip
    offset, slope : (3,) float64
        Of each channel.
    """

    strips: tuple[Strip, ...]
    offset: np.ndarray
    slope: np.ndarray


@dataclass(frozen=True, eq=False)
class FilmDose:
    """Dose of a film on its own pixels.

    Parameters
    ----------
    dose : (rows, columns) float64
        [Gy]; NaN where it is not known.
    sigma : (rows, columns) float64
        One sigma: pixel noise, fit of the curves and disagreement of the channels [Gy].
    noise, fit, disagreement : (rows, columns) float64
        Its parts [Gy].
    disturbance : (rows, columns) float64
    x_mm, y_mm : (columns,), (rows,) float64
        Pixel centres from the film's middle, to the right and down.
    corner_mm : (float, float)
        The film's middle from the scan's upper left corner, right and down.
    film, saturated, uncovered, stray : (rows, columns) bool
        Pixels of film, and of them those darker than the calibration reaches, those outside the calibrated
        lateral positions, and those that look like no film. The last three have no dose.
    method : str
        One of `METHODS`.
    rescaling : Rescaling or None
    largest_gy : float
        Largest calibrated dose.
    warnings : tuple of str
    """

    dose: np.ndarray = field(repr=False)
    sigma: np.ndarray = field(repr=False)
    noise: np.ndarray = field(repr=False)
    fit: np.ndarray = field(repr=False)
    disagreement: np.ndarray = field(repr=False)
    disturbance: np.ndarray = field(repr=False)
    x_mm: np.ndarray = field(repr=False)
    y_mm: np.ndarray = field(repr=False)
    corner_mm: tuple[float, float]
    film: np.ndarray = field(repr=False)
    saturated: np.ndarray = field(repr=False)
    uncovered: np.ndarray = field(repr=False)
    stray: np.ndarray = field(repr=False)
    method: str
    rescaling: Rescaling | None
    largest_gy: float
    warnings: tuple[str, ...]

    @property
    def known(self) -> np.ndarray:
        """Where the dose is known."""
        return np.isfinite(self.dose)

    @property
    def pitch_mm(self) -> tuple[float, float]:
        """Distance of rows and of columns [mm]."""
        return float(np.diff(self.y_mm).mean()), float(np.diff(self.x_mm).mean())


def film_dose(
    scan: Scan,
    calibration: Calibration,
    *,
    method: str = TRIPLE,
    box_px: Sequence[float] | None = None,
    margin_mm: float = 2.0,
    strips: Sequence[Strip] = (),
    middle_mm: float | None = None,
) -> FilmDose:
    """Dose of the film on a scan.

    Parameters
    ----------
    scan : Scan
    calibration : Calibration
    method : str
        `triple`, or the channel to use alone.
    box_px : four numbers, optional
        Left, top, right, bottom of the film in pixels of the scan; otherwise the largest film on it is taken,
        less `margin_mm` along its cut edges, unless another one is half as large.
    strips : sequence of Strip
        Of known dose, by which the response is rescaled: linearly by two or more, one of them unexposed
        (Lewis et al., Med Phys 39 (2012) 6339), by a factor with one alone.
    middle_mm : float, optional
        Where the scanner's middle lies from the scan's left (or upper) edge; by default in the scan's middle.

    Raises
    ------
    InputError
        If there is no film, or several to choose from, or nothing on it has a dose in the calibrated range.
    """
    warnings: list[str] = []
    position = np.broadcast_to(calibration.position_mm(scan, middle_mm), scan.shape)
    width = scan.size_mm[1 if calibration.lateral_axis == "x" else 0]
    if calibration.lateral is not None and middle_mm is None and abs(width - calibration.width_mm) > WIDTH_MM:
        warnings.append(
            f"the scan is {width:.0f} mm wide and those of the calibration {calibration.width_mm:.0f}; the "
            "scanner's middle is taken to be the middle of the scan (--middle states it)"
        )
    rescaling = _rescaling(scan, calibration, strips, position, warnings) if strips else None
    region, mask = _film(scan, calibration, box_px, margin_mm, strips)
    rows, columns = region.rows, region.columns
    response = _corrected(scan.response[rows, columns], calibration, position[rows, columns])
    noise = pixel_noise(scan, mask)[rows, columns]
    if rescaling is not None:
        response = rescaling.offset + rescaling.slope * response
        noise = noise * rescaling.slope
    film = mask[rows, columns]
    uncovered = np.zeros_like(film)
    if calibration.lateral is not None:
        uncovered = film & ~calibration.lateral.covers(position[rows, columns])
    if method == TRIPLE:
        found = triple_channel(response, noise, calibration.curves, calibration.spread)
    else:
        channel = CHANNELS.index(method)
        found = single_channel(
            response[..., channel], noise[..., channel], calibration.curves[channel], calibration.spread
        )
    stray = film & ~uncovered & ((found.chi2 > STRAY_CHI2) | found.below) & ~found.above
    saturated = film & ~uncovered & found.above
    share = np.count_nonzero(stray) / max(np.count_nonzero(film), 1)
    if share > MAX_STRAY:
        warnings.append(
            f"the channels disagree in {100 * share:.0f} % of the film far beyond their noise: film of "
            "another lot, another scanner or setting, or a wrong calibration"
        )
        stray &= found.below
    known = film & ~uncovered & ~stray & ~saturated
    if not known.any():
        raise InputError(
            scan.name,
            "no pixel of the film has a dose in the calibrated range",
            "is it the film of this calibration?",
        )
    _report_excluded(warnings, calibration, film, saturated, uncovered, stray)
    dose = np.where(known, found.dose, np.nan)
    disagreement = _disagreement(found, known)
    y, x = scan.centres_mm(0)[rows], scan.centres_mm(1)[columns]
    middle = 0.5 * (x[0] + x[-1]), 0.5 * (y[0] + y[-1])
    return FilmDose(
        dose,
        np.where(known, np.sqrt(found.noise**2 + found.fit**2 + disagreement**2), np.nan),
        found.noise,
        found.fit,
        disagreement,
        found.disturbance,
        x - middle[0],
        y - middle[1],
        middle,
        film,
        saturated,
        uncovered,
        stray,
        method,
        rescaling,
        calibration.largest_gy,
        tuple(warnings),
    )


def _corrected(response: np.ndarray, calibration: Calibration, position: np.ndarray) -> np.ndarray:
    return response if calibration.lateral is None else calibration.lateral.correct(response, position)


def _film(
    scan: Scan,
    calibration: Calibration,
    box_px: Sequence[float] | None,
    margin_mm: float,
    strips: Sequence[Strip],
) -> tuple[Region, np.ndarray]:
    """The film's region, and the pixels of it that count."""
    if box_px is not None:
        rows, columns = scan.box(box_px, "--box")
        mask = np.zeros(scan.shape, bool)
        mask[rows, columns] = True
        return Region(rows, columns, mask), mask
    unexposed = float(calibration.curves[0].response(np.zeros(1))[0])
    # an opaque mask or frame is darker in blue than film of any dose
    darkest = 0.5 * float(calibration.curves[2].response(np.array([calibration.largest_gy]))[0])
    found = [
        region
        for region in find_films(scan, unexposed)
        if np.median(scan.response[region.mask][:, 2]) > darkest
    ]
    if not found:
        raise InputError(scan.name, "no film is seen on it", "state its place by --box")
    known = [scan.box(strip.box_px, "--strip") for strip in strips]
    unknown = [region for region in found if not any(region.mask[box].any() for box in known)] or found
    largest = max(unknown, key=lambda region: np.count_nonzero(region.mask))
    least = RIVAL * np.count_nonzero(largest.mask)
    alike = [region for region in unknown if np.count_nonzero(region.mask) >= least]
    if len(alike) > 1:
        places = (f"{r.columns.start},{r.rows.start},{r.columns.stop},{r.rows.stop}" for r in alike)
        count = "two" if len(alike) == 2 else str(len(alike))
        raise InputError(scan.name, f"{count} films seen, at {' and '.join(places)}", "choose one by --box")
    mask = inner(largest, scan, margin_mm)
    if not mask.any():
        raise InputError(scan.name, f"nothing of the film is left within its margin of {margin_mm:g} mm")
    return largest, mask


def _rescaling(
    scan: Scan, calibration: Calibration, strips: Sequence[Strip], position: np.ndarray, warnings: list[str]
) -> Rescaling:
    doses = np.array([strip.dose_gy for strip in strips])
    if len(strips) > 1 and np.unique(doses).size < 2:
        raise InputError("--strip", "the strips have one dose; they must differ, one of them unexposed")
    if doses.max() > calibration.largest_gy:
        raise InputError(
            "--strip", f"{doses.max():g} Gy is more than the calibration's {calibration.largest_gy:g} Gy"
        )
    measured = []
    for strip in strips:
        rows, columns = scan.box(strip.box_px, "--strip")
        inside = _corrected(scan.response[rows, columns], calibration, position[rows, columns])
        measured.append(np.median(inside.reshape(-1, 3), axis=0))
    measured = np.array(measured)
    expected = np.array([curve.response(doses) for curve in calibration.curves]).T
    if len(strips) == 1:
        slope, offset = expected[0] / measured[0], np.zeros(3)
    else:
        slope, offset = np.array([np.polyfit(measured[:, k], expected[:, k], 1) for k in range(3)]).T
    if slope.min() <= 0.5 or slope.max() >= 2.0:
        raise InputError(
            "--strip",
            f"the strips would rescale the response by {slope.min():.2f} to {slope.max():.2f}",
            "do the doses belong to the boxes?",
        )
    change = np.abs(offset + slope * measured - measured) / measured
    if change.max() > 0.1:
        warnings.append(f"the strips change the response by up to {100 * change.max():.0f} %")
    return Rescaling(tuple(strips), offset, slope)


def _report_excluded(
    warnings: list[str],
    calibration: Calibration,
    film: np.ndarray,
    saturated: np.ndarray,
    uncovered: np.ndarray,
    stray: np.ndarray,
) -> None:
    count = np.count_nonzero(film)
    for chosen, text in (
        (
            saturated,
            f"is darker than {calibration.largest_gy:.3g} Gy, the largest calibrated dose, and has no dose",
        ),
        (uncovered, "lies at lateral positions that the calibration films do not reach, and has no dose"),
        (stray, "looks like no film of any dose (marks, dust, edges) and is left out"),
    ):
        if chosen.any():
            warnings.append(f"{100 * np.count_nonzero(chosen) / count:.2g} % of the film {text}")


def _disagreement(found: ChannelDose, known: np.ndarray) -> np.ndarray:
    """One sigma by which the channels disagree beyond their noise, averaged over neighbours [Gy]."""
    chi2 = np.where(known & np.isfinite(found.chi2), found.chi2, 0.0)
    weight = ndimage.uniform_filter((known & np.isfinite(found.chi2)).astype(float), AROUND)
    mean = ndimage.uniform_filter(chi2, AROUND) / np.maximum(weight, 1e-9)
    return found.noise * np.sqrt(np.maximum(mean - 1.0, 0.0))

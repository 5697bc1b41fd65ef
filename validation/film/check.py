"""The evaluation of a film: scan, dose, registration, comparison; and what is kept of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from mc.provenance import provenance
from phantoms.errors import InputError
from phantoms.files import replacing
from phantoms.grid import Grid
from phantoms.listing import Listing
from phantoms.views import Artists, Axes
from validation.film.calibration import Calibration
from validation.film.compare import PLANE, FilmComparison, compare_film
from validation.film.dose import TRIPLE, FilmDose, Strip, film_dose
from validation.film.marks import Mark, find_mark, place_by_marks
from validation.film.placement import Placement, Registration
from validation.film.plane import Plane, cut_plane
from validation.film.register import assess, refine, register
from validation.film.scan import Scan
from validation.metrics.gamma import COLOURS, Criterion

DOUBT_MM = 1.0  # between a placement by marks and the automatic one
DOUBT_DEG = 1.0


@dataclass(frozen=True)
class Options:
    """How a film is read, placed and judged; see `film_dose`, `cut_plane`, `compare_film`.

    Parameters
    ----------
    method : str
        'triple' for all three channels, or the channel to use alone.
    box_px : (float, float, float, float), optional
        Left, top, right, bottom of the film in pixels; by default the largest film on the scan.
    margin_mm : float
        Left out along the film's cut edges.
    strips : tuple of Strip
        Of known dose, by which the response is rescaled.
    middle_mm : float, optional
        Distance of the scanner's middle from the scan's left (or upper) edge; by default half the scan.
    marks : tuple of Mark
        On the film, of known position in the plane.
    find_marks_mm : float, optional
        Radius within which each mark is moved to the centroid of what is distinct there.
    place : (float, float, float), optional
        u and v of the film's middle [mm] and angle [deg], by hand.
    turn : {0, 90, 180, 270}
        Angle by which the film lies turned on the scanner [deg].
    mirror : bool
        Whether the film was scanned from its other side.
    view : str, optional
        Which plane of a dose; not needed where the dose is a plane itself.
    at_mm : float, optional
        Where that plane cuts the third axis, in patient coordinates.
    scale : float
        By which the plane's dose is multiplied, such as one over the number of fractions.
    criteria : tuple of Criterion
        Of gamma; the first is judged.
    tolerance : float
        Passing rate needed [%].
    reference : {'plane', 'film'}
        The reference dose of gamma.
    crossing_mm : (float, float), optional
        Where the profiles cross; by default where the plane's dose is highest.
    """

    method: str = TRIPLE
    box_px: tuple[float, float, float, float] | None = None
    margin_mm: float = 2.0
    strips: tuple[Strip, ...] = ()
    middle_mm: float | None = None
    marks: tuple[Mark, ...] = ()
    find_marks_mm: float | None = None
    place: tuple[float, float, float] | None = None
    turn: int = 0
    mirror: bool = False
    view: str | None = None
    at_mm: float | None = None
    scale: float = 1.0
    criteria: tuple[Criterion, ...] = (Criterion(3.0, 2.0),)
    tolerance: float = 95.0
    reference: str = PLANE
    crossing_mm: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class FilmCheck:
    """A film's comparison and what it was made from.

    Parameters
    ----------
    comparison : FilmComparison
    calibration : Calibration
    scan : Scan
    plane_name, plane_of : str
        File of the plane's dose, and what it is the dose of.
    options : Options
    marks : tuple of Mark
        As they were used.
    made : mapping
        Software and digests.
    """

    comparison: FilmComparison
    calibration: Calibration
    scan: Scan
    plane_name: str
    plane_of: str
    options: Options
    marks: tuple[Mark, ...]
    made: Mapping[str, str] = field(repr=False)

    @property
    def warnings(self) -> tuple[str, ...]:
        """All warnings."""
        return (*self.scan.warnings, *self.comparison.warnings)

    def plot(self, axes: Axes, what: str = "gamma") -> Artists:
        """Draw a map on the film's pixels.

        Parameters
        ----------
        axes : matplotlib.axes.Axes
        what : {'gamma', 'film', 'plane', 'difference'}
            Gamma of the first criterion, the film's dose [Gy], the plane's [Gy], film less plane [%].

        Returns
        -------
        tuple of artists
            The image, for a colour bar.

        Raises
        ------
        InputError
            If there is no such map.
        """
        found, film = self.comparison, self.comparison.film
        maps = {
            "gamma": (
                found.gamma,
                {"cmap": COLOURS, "vmin": 0.0, "vmax": found.gammas[0].max_gamma, "label": "gamma"},
            ),
            "film": (lambda: np.where(film.known, film.dose, np.nan), {"label": "film dose [Gy]"}),
            "plane": (lambda: found.there, {"label": "dose of the plane [Gy]"}),
            "difference": (
                lambda: found.difference,
                {"cmap": "RdBu_r", "label": "film - plane [% of normalisation]"},
            ),
        }
        if what not in maps:
            raise InputError(f"map {what!r}", "is not known", f"one of {', '.join(maps)}")
        values, look = maps[what]
        half_y, half_x = (0.5 * pitch for pitch in film.pitch_mm)
        left, right = film.x_mm[0] - half_x, film.x_mm[-1] + half_x
        first, last = film.y_mm[0] - half_y, film.y_mm[-1] + half_y
        image = axes.imshow(values(), extent=(left, right, last, first), **look)
        axes.set(xlabel="x of the film [mm]", ylabel="y of the film [mm]")
        return (image,)

    def _repr_html_(self) -> str:
        found, placement = self.comparison, self.comparison.registration.placement
        u, v = placement.centre_mm
        place = f"{u:.1f}, {v:.1f} mm, {placement.angle_deg:.2f} degrees"
        facts = [
            ("verdict", found.status),
            *((str(g.criterion), f"{g.passing_rate():.2f} % of {g.count()} pixels") for g in found.gammas),
            ("plane", f"{self.plane_name} ({self.plane_of})"),
            ("registration", f"{found.registration.method}: {place}"),
            *(("warning", text) for text in self.warnings),
        ]
        return Listing.facts("Film", facts)._repr_html_()

    def to_dict(self) -> dict[str, Any]:
        """As strict JSON holds it."""
        return {
            **self.comparison.to_dict(),
            "scans": [path.name for path in self.scan.paths],
            "calibration": self.calibration.title,
            "plane_dose": {
                "file": Path(self.plane_name).name,
                "of": self.plane_of,
                "scale": self.options.scale,
            },
            "made": dict(self.made),
        }

    def write_maps(self, path: str | PathLike) -> None:
        """Write the maps as NumPy arrays (docs/formats.md)."""
        film = self.comparison.film
        u, v = self.comparison.registration.placement.to_plane(film.x_mm[None, :], film.y_mm[:, None])
        maps = {
            "dose": film.dose,
            "sigma": film.sigma,
            "disturbance": np.where(film.known, film.disturbance, np.nan),
            "plane": self.comparison.there,
            "gamma": self.comparison.gamma(),
            "u_mm": u,
            "v_mm": v,
        }
        with replacing(path) as partial:
            np.savez_compressed(partial, **{name: array.astype(np.float32) for name, array in maps.items()})


def check_film(
    scan: Scan,
    calibration: Calibration,
    dose: np.ndarray,
    grid: Grid,
    name: str,
    of: str,
    options: Options,
) -> FilmCheck:
    """Dose of a scanned film, its place in a plane of `dose`, and the comparison.

    Parameters
    ----------
    scan : Scan
    calibration : Calibration
    dose : (nz, ny, nx) array
        [Gy]
    grid : Grid
    name, of : str
        Of the dose's file, and what it is the dose of.
    options : Options

    Raises
    ------
    InputError
        If the film, the plane or the registration cannot be used.
    """
    if options.marks and options.place is not None:
        raise InputError("film", "--mark and --place exclude each other")
    plane = cut_plane(dose, grid, name, options.view, options.at_mm, options.scale)
    film = film_dose(
        scan,
        calibration,
        method=options.method,
        box_px=options.box_px,
        margin_mm=options.margin_mm,
        strips=options.strips,
        middle_mm=options.middle_mm,
    )
    start = Placement((0.0, 0.0), 0.0, options.turn, options.mirror, plane.upwards)
    marks = options.marks
    if marks and options.find_marks_mm is not None:
        marks = tuple(find_mark(mark, scan, options.find_marks_mm) for mark in marks)
    registration = _register(film, plane, scan, start, marks, options)
    comparison = compare_film(
        film, plane, registration, options.criteria, options.tolerance, options.reference, options.crossing_mm
    )
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in scan.paths}
    made = {**provenance(), **{f"sha256 of {file}": digest for file, digest in digests.items()}}
    return FilmCheck(comparison, calibration, scan, name, of, options, marks, made)


def _register(
    film: FilmDose, plane: Plane, scan: Scan, start: Placement, marks: tuple[Mark, ...], options: Options
) -> Registration:
    """By marks, by hand or automatically; the first two are checked by the third, which changes nothing."""
    if marks:
        fitted = place_by_marks(marks, scan, film.corner_mm, start)
        placement, method = fitted.placement, "marks"
        sigma = np.array([*fitted.sigma_mm, fitted.sigma_deg])
        residual = float(np.sqrt(np.nanmean(np.square(fitted.residual_mm))))
    elif options.place is not None:
        u, v, angle = options.place
        placement, method = Placement((u, v), angle, options.turn, options.mirror, plane.upwards), "given"
        sigma, residual = np.full(3, np.nan), np.nan
    else:
        return register(film, plane, start)
    try:
        check, factor, known = refine(film, plane, placement)
    except InputError:
        check, factor, known = None, np.nan, None
    found = assess(film, plane, placement, method, factor, sigma, residual, check)
    if check is None:
        return found
    away = np.hypot(check.centre_mm[0] - placement.centre_mm[0], check.centre_mm[1] - placement.centre_mm[1])
    turned = abs(check.angle_deg - placement.angle_deg)
    if away > DOUBT_MM + 2.0 * known[:2].max() or turned > DOUBT_DEG + 2.0 * known[2]:
        text = f"automatic registration would move the film by {away:.1f} mm and turn it by {turned:.1f} deg"
        return replace(found, warnings=(*found.warnings, text))
    return found

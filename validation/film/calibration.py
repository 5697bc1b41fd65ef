"""A film calibration: curves of the three channels, lateral response, and the films it was made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from phantoms.errors import InputError
from phantoms.files import replacing
from phantoms.kinds import FILM_CALIBRATION, kind_of
from phantoms.listing import Listing
from phantoms.schema import Table, read_table
from phantoms.views import Artists, Axes
from validation.film.curve import FAMILIES, Curve
from validation.film.lateral import TERMS, Lateral
from validation.film.scan import CHANNELS, Scan

FORMAT, VERSION = "mcverify film calibration", 1
AXES = ("x", "y")
CURVE_POINTS = 201  # of a drawn curve


@dataclass(frozen=True, eq=False)
class CalibrationFilm:
    """A film of known dose.

    Parameters
    ----------
    dose_gy : float
        In the middle of the scanner, or nearest to it.
    response, sigma : (3,) float64
        Of the channels, corrected for the lateral response, and its one sigma.
    """

    dose_gy: float
    response: np.ndarray = field(repr=False)
    sigma: np.ndarray = field(repr=False)


@dataclass(frozen=True, eq=False)
class Calibration:
    """What turns the response of a scanner and a lot of film into dose.

    Parameters
    ----------
    title : str
    curves : (Curve, Curve, Curve)
        Red, green, blue.
    spread : float
        One sigma of the disturbance that the channels share (`validation.film.channels`).
    lateral_axis : str
        Along which axis of the scans, x or y, the scanner's lateral direction lies.
    width_mm : float
        Of the calibration scans along that axis; the scanner's middle is the middle of a scan.
    lateral : Lateral or None
        Correction of the lateral response.
    films : tuple of CalibrationFilm
    made : dict
        From what and by which software.
    warnings : tuple of str
        Of the fit; a calibration that was read has none.
    """

    title: str
    curves: tuple[Curve, Curve, Curve]
    spread: float
    lateral_axis: str
    width_mm: float
    lateral: Lateral | None
    films: tuple[CalibrationFilm, ...]
    made: dict[str, str]
    warnings: tuple[str, ...] = ()

    @property
    def largest_gy(self) -> float:
        """Largest dose of the films [Gy]."""
        return self.curves[0].largest

    def residuals(self, channel: int) -> np.ndarray:
        """Dose that the curve gives each film, less its dose, (n,) [Gy]; NaN beyond the curve's range."""
        curve = self.curves[channel]
        found = np.array([curve.dose(film.response[channel]) for film in self.films])
        return np.where(np.isfinite(found), found, np.nan) - np.array([film.dose_gy for film in self.films])

    def position_mm(self, scan: Scan, middle_mm: float | None = None) -> np.ndarray:
        """Lateral position of a scan's pixels, (1, columns) or (rows, 1) [mm].

        `middle_mm` is where the scanner's middle lies from the scan's left (or upper) edge; by default in the
        middle of the scan.
        """
        axis = 1 if self.lateral_axis == "x" else 0
        middle = 0.5 * scan.size_mm[axis] if middle_mm is None else middle_mm
        return np.expand_dims(scan.centres_mm(axis) - middle, 1 - axis)

    def plot(self, axes: Axes) -> Artists:
        """Draw response against dose, curves and films; returns a line and points for each channel."""
        dose = np.linspace(0.0, self.largest_gy, CURVE_POINTS)
        drawn: list[Any] = []
        known = [film.dose_gy for film in self.films]
        for k, (name, curve) in enumerate(zip(CHANNELS, self.curves, strict=True)):
            drawn += axes.plot(dose, curve.response(dose), color=name, label=name)
            drawn += axes.plot(known, [film.response[k] for film in self.films], "o", ms=3, color=name)
        axes.set(xlabel="dose [Gy]", ylabel="response")
        axes.legend(frameon=False)
        return tuple(drawn)

    def _repr_html_(self) -> str:
        columns = ("channel", "curve", "misfit [%]")
        rows = [
            (name, curve.family, f"{100 * curve.misfit:.2f}")
            for name, curve in zip(CHANNELS, self.curves, strict=True)
        ]
        rows += [("warning", text, "") for text in self.warnings]
        return Listing.of(self.title, columns, rows, (2,))._repr_html_()

    def to_toml(self) -> str:
        """The calibration as a TOML file."""
        lines = [
            f'format = "{FORMAT}"',
            f"format_version = {VERSION}",
            f"title = {_text(self.title)}",
            f'lateral_axis = "{self.lateral_axis}"',
            f"width_mm = {_number(self.width_mm)}",
            f"spread = {_number(self.spread)}",
        ]
        for name, curve in zip(CHANNELS, self.curves, strict=True):
            lines += [
                f"\n[{name}]  # X = a + b / (1 + (D / c)^m)^n",
                f'family = "{curve.family}"',
                f"parameters = {_numbers(curve.parameters)}  # a, b, c [Gy], n, m",
                "covariance = [",
                *(f"  {_numbers(row)}," for row in curve.covariance),
                "]",
                f"largest_dose_gy = {_number(curve.largest)}",
                f"misfit = {_number(curve.misfit)}",
            ]
            if len(curve.knots):
                lines += ["knots = [  # dose [Gy], added response"]
                lines += [*(f"  {_numbers(row)}," for row in curve.knots), "]"]
        if self.lateral is not None:
            lines += ["\n[lateral]  # X_middle = X + offset + slope X + curvature X^2"]
            lines += [f"position_mm = {_numbers(self.lateral.position_mm)}"]
            for name, rows in zip(CHANNELS, self.lateral.coefficients, strict=True):
                lines += [f"\n[lateral.{name}]"]
                lines += [f"{term} = {_numbers(rows[:, k])}" for k, term in enumerate(TERMS)]
        for film in self.films:
            lines += [
                "\n[[films]]",
                f"dose_gy = {_number(film.dose_gy)}",
                f"response = {_numbers(film.response)}",
                f"sigma = {_numbers(film.sigma)}",
            ]
        lines += ["\n[made]", *(f"{key} = {_text(value)}" for key, value in self.made.items())]
        return "\n".join(lines) + "\n"


def write_calibration(calibration: Calibration, path: str | PathLike) -> None:
    """Write a calibration as TOML, whole or not at all."""
    with replacing(path, private=False) as partial:
        partial.write_text(calibration.to_toml(), encoding="utf-8")


def read_calibration(path: str | PathLike) -> Calibration:
    """Read a calibration (docs/formats.md).

    Parameters
    ----------
    path : path

    Returns
    -------
    Calibration

    Raises
    ------
    InputError
        If the file is none, or its curves do not fall with dose.
    """
    path = Path(path)
    table = read_table(path)
    if table.text("format", "") != FORMAT:
        kind = kind_of(table)
        other = f"is a {kind}, not" if kind not in (None, FILM_CALIBRATION) else "is not"
        raise InputError(path, f"{other} a film calibration", "`mcverify film-calibrate` makes one")
    table.expect(
        "format format_version red green blue films spread lateral_axis width_mm", "lateral made title"
    )
    version = table.number("format_version")
    if version != VERSION:
        raise InputError(path, f"has format version {version:g}, not {VERSION}")
    curves = tuple(_read_curve(table.table(name), name) for name in CHANNELS)
    lateral = _read_lateral(table.table("lateral")) if "lateral" in table else None
    films = tuple(_read_film(entry) for entry in table.tables("films"))
    made = table.table("made") if "made" in table else Table(path, {}, "made.")
    found = Calibration(
        title=table.text("title", ""),
        curves=curves,
        spread=table.number("spread", above=0.0),
        lateral_axis=table.choice("lateral_axis", AXES),
        width_mm=table.number("width_mm", above=0.0),
        lateral=lateral,
        films=films,
        made={key: made.text(key) for key in ("mcverify", "scans", "scans_sha256") if key in made},
    )
    made.finish()
    table.finish()
    return found


def _read_curve(table: Table, name: str) -> Curve:
    table.expect("family parameters covariance largest_dose_gy misfit", "knots")
    family = table.choice("family", tuple(FAMILIES))
    parameters = np.array(table.numbers("parameters", 5))
    covariance = np.array(table.rows("covariance", 5))
    if parameters[1:].min() <= 0.0:
        raise table.error("parameters", "b, c, n and m must be greater than 0")
    if covariance.shape != (5, 5):
        raise table.error("covariance", f"must be 5 lists of 5 numbers, found {covariance.shape[0]}")
    curve = Curve(
        family,
        parameters,
        covariance,
        table.number("largest_dose_gy", above=0.0),
        table.number("misfit", above=-1e-300),
        np.array(table.rows("knots", 2)) if "knots" in table else np.empty((0, 2)),
    )
    table.finish()
    if len(curve.knots) and not (np.diff(curve.knots[:, 0]) > 0.0).all():
        raise table.error("knots", "must be of ascending dose")
    ends = curve.response(curve.doses()[[0, -1]])
    if not curve.falls() or ends[0] > 1.2 or ends[1] < 0.0:
        raise table.error("parameters", f"the {name} curve does not fall from below 1 to above 0")
    return curve


def _read_lateral(table: Table) -> Lateral:
    position = np.array(table.numbers("position_mm"))
    if position.size < 2 or not (np.diff(position) > 0.0).all():
        raise table.error("position_mm", "must be two or more ascending numbers")
    coefficients = np.empty((3, position.size, 3))
    for channel, name in enumerate(CHANNELS):
        entries = table.table(name)
        for term, key in enumerate(TERMS):
            coefficients[channel, :, term] = entries.numbers(key, position.size)
        entries.finish()
    table.finish()
    return Lateral(position, coefficients)


def _read_film(table: Table) -> CalibrationFilm:
    table.expect("dose_gy response sigma")
    film = CalibrationFilm(
        table.number("dose_gy", above=-1e-300),
        np.array(table.numbers("response", 3, above=0.0)),
        np.array(table.numbers("sigma", 3, above=-1e-300)),
    )
    table.finish()
    return film


def _number(value: float) -> str:
    return repr(float(value))


def _numbers(values: np.ndarray) -> str:
    return "[" + ", ".join(f"{value:.10g}" for value in values) + "]"


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    return f'"{escaped}"'

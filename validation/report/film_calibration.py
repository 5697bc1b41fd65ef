"""The report of a film calibration: curves with their residuals, lateral response."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from validation.film.calibration import Calibration
from validation.film.scan import CHANNELS
from validation.report.content import Block, Facts, Heading, Pair, Points, Report, Section, Text, table
from validation.report.text import signed

FIT_COLUMNS = ("Channel", "Curve", "Misfit [%]", "Largest residual [Gy]", "Residuals [Gy]")
FILM_COLUMNS = ("Dose [Gy]", "Red", "Green", "Blue", "Residual red [Gy]", "Green [Gy]", "Blue [Gy]")


def calibration_report(calibration: Calibration, warnings: Sequence[str]) -> Report:
    """Everything about a film calibration."""
    curves = (
        Text(
            "Of the forms rational, power (n free), hill (m free) and general (both free), the simplest that "
            "foretells each film from the others as well as any.",
            small=True,
        ),
        *calibration_blocks(calibration),
        Heading("Films"),
        table(FILM_COLUMNS, film_lines(calibration), 0),
    )
    opening: list[Block] = [Facts(tuple(header(calibration)))]
    if warnings:
        opening.append(Points(tuple(warnings), numbered=True))
    return Report(
        title=f"Film calibration: {calibration.title}",
        subject=f"film calibration {calibration.title}",
        status="warn" if warnings else "shown",
        word="CALIBRATION",
        headline=f"Curves of three channels from films of {len(calibration.films)} doses up to "
        f"{calibration.largest_gy:.2f} Gy.",
        note="Look at the residuals before use.",
        opening=tuple(opening),
        sections=(Section("Curves", curves),),
    )


def header(calibration: Calibration) -> list[Pair]:
    """From what it was made, and what it corrects."""
    return [
        Pair("Doses", ", ".join(f"{film.dose_gy:.3g}" for film in calibration.films) + " Gy"),
        Pair("Scans", calibration.made.get("scans", "")),
        Pair("Scans, SHA-256", calibration.made.get("scans_sha256", "")),
        Pair("Lateral response", lateral_text(calibration)),
        Pair("Disturbance, one sigma", f"{100 * calibration.spread:.2f} % of the optical density"),
        Pair("mcverify", calibration.made.get("mcverify", "")),
    ]


def calibration_blocks(calibration: Calibration) -> Iterator[Block]:
    """Fits and figures."""
    from validation.report.film_figures import draw_curves, draw_lateral  # matplotlib is slow to import

    yield table(FIT_COLUMNS, fit_lines(calibration), 2)
    yield draw_curves(calibration)
    if calibration.lateral is not None:
        yield draw_lateral(calibration)


def lateral_text(calibration: Calibration) -> str:
    """Whether and where it is corrected."""
    if calibration.lateral is None:
        return "not corrected"
    first, last = calibration.lateral.position_mm[[0, -1]]
    return f"corrected from {first:.0f} to {last:.0f} mm from the scanner's middle"


def fit_lines(calibration: Calibration) -> list[tuple[str, ...]]:
    """A line for each channel: curve, misfit, residuals."""
    lines = []
    for k, (name, curve) in enumerate(zip(CHANNELS, calibration.curves, strict=True)):
        residuals = calibration.residuals(k)
        a, b, c, n, m = curve.parameters
        form = curve.family + " and spline" * bool(len(curve.knots))
        lines.append(
            (
                name,
                f"{form}: a {a:.4f}, b {b:.4f}, c {c:.4g} Gy, n {n:.3g}, m {m:.3g}",
                f"{100 * curve.misfit:.2f}",
                signed(float(residuals[np.nanargmax(np.abs(residuals))]), 3),
                ", ".join("-" if np.isnan(r) else signed(float(r), 3) for r in residuals),
            )
        )
    return lines


def film_lines(calibration: Calibration) -> list[tuple[str, ...]]:
    """A line for each film: dose, responses, residuals."""
    residuals = [calibration.residuals(k) for k in range(3)]
    return [
        (
            f"{film.dose_gy:.3f}",
            *(f"{value:.4f}" for value in film.response),
            *("-" if np.isnan(row[i]) else signed(float(row[i]), 3) for row in residuals),
        )
        for i, film in enumerate(calibration.films)
    ]

"""The report of a film: what is said, in which order."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from validation.film.check import FilmCheck
from validation.film.compare import FAIL, HIGH, NO_VERDICT, NOT_JUDGED, PASS, PLANE, FilmComparison
from validation.film.dose import TRIPLE
from validation.film.scan import CHANNELS
from validation.report.content import (
    Block,
    Facts,
    Heading,
    Pair,
    Points,
    Report,
    Section,
    Text,
    table,
)
from validation.report.film_calibration import calibration_blocks
from validation.report.text import PLUS_MINUS, number, signed

WORDS = {PASS: "PASS", FAIL: "FAIL", NOT_JUDGED: "NOT JUDGED", NO_VERDICT: "NO VERDICT"}
CLASSES = {PASS: "pass", FAIL: "fail", NOT_JUDGED: "warn", NO_VERDICT: "warn"}
HEADLINES = {
    PASS: "The film agrees with the plane within the criterion.",
    FAIL: "The film differs from the plane by more than the criterion allows.",
    NOT_JUDGED: "Nothing disagrees, but too much of the film has no dose: the film cannot pass.",
    NO_VERDICT: "The film's place in the plane was not found: state it by --mark, --place or --turn.",
}
GAMMA_COLUMNS = ("Gamma", "Passing [%]", "Pixels", "Mean gamma", "Largest gamma")
STATISTICS_COLUMNS = (
    "Where the plane's dose is",
    "Pixels",
    "Mean [% of the maximum]",
    "Standard deviation [%]",
    "Median of film / plane",
)
SOFTWARE = (("git", "Source commit"), ("numpy", "numpy"), ("created", "Compared (UTC)"))
METHODS = {"automatic": "automatic", "marks": "by marks", "given": "by hand"}


def film_report(check: FilmCheck) -> Report:
    """Everything a physicist reads about a film before signing."""
    from validation.report.film_figures import draw_film  # matplotlib is slow to import

    comparison = check.comparison
    criterion = comparison.gammas[0].criterion
    maps, profiles, uncertainty, scan = draw_film(check)
    sections = (
        Section("Comparison", (*_figures(comparison), maps, profiles)),
        Section("Registration", (Facts(tuple(placement_facts(comparison))), *_marks(check), scan)),
        Section("Dose of the film", (uncertainty, *_rescaling(comparison), *_calibration(check))),
        Section("Software", (Facts(tuple(_software(check))),)),
        Section("Warnings", (warning_list(check.warnings),), "warnings"),
    )
    opening: list[Block] = [Facts(tuple(header(check)))]
    if count := len(check.warnings):
        text = f"{count} warning{'s' * (count > 1)}: {check.warnings[0]}" + " ..." * (count > 1)
        opening.insert(0, Text(text, link="warnings"))
    return Report(
        title=f"Film against a plane of dose: {check.scan.name}",
        subject=f"film {check.scan.name}",
        status=CLASSES[comparison.status],
        word=WORDS[comparison.status],
        headline=HEADLINES[comparison.status],
        note=f"Gamma {criterion}; at least {comparison.tolerance:g} % must pass. The default, 3 %/2 mm, 10 % "
        "threshold and 95 %, is the tolerance limit of AAPM TG-218 for a measurement before treatment.",
        opening=tuple(opening),
        sections=sections,
    )


def warning_list(warnings: Sequence[str]) -> Block:
    """Warnings, or that there are none."""
    return Points(tuple(warnings), numbered=True) if warnings else Text("None.")


def _figures(comparison: FilmComparison) -> Iterator[Block]:
    reference = "the plane" if comparison.reference == PLANE else "the film"
    yield Text(
        f"Absolute dose. Gamma in the plane, its reference {reference}; 100 % is "
        f"{comparison.normalisation:.3f} Gy. {100.0 * comparison.missing:.1f} % of the region above the "
        "threshold has no dose on the film and is not judged.",
        small=True,
    )
    yield table(GAMMA_COLUMNS, gamma_lines(comparison))
    yield Heading("Film less plane")
    yield table(STATISTICS_COLUMNS, statistics_lines(comparison))


def _marks(check: FilmCheck) -> Iterator[Block]:
    if check.marks:
        u, v = check.comparison.plane.names
        columns = ("Mark", "Pixel", f"{u} [mm]", f"{v} [mm]", f"Residual {u} [mm]", f"Residual {v} [mm]")
        yield Heading("Marks")
        yield table(columns, mark_lines(check))


def _rescaling(comparison: FilmComparison) -> Iterator[Block]:
    found = comparison.film.rescaling
    if found is not None:
        yield Heading("Rescaling by strips of known dose")
        lines = zip(CHANNELS, found.offset, found.slope, strict=True)
        yield table(("Channel", "Offset", "Slope"), [(name, f"{a:.4f}", f"{b:.4f}") for name, a, b in lines])


def _calibration(check: FilmCheck) -> Iterator[Block]:
    yield Heading(f"Calibration: {check.calibration.title}")
    yield from calibration_blocks(check.calibration)


def _software(check: FilmCheck) -> Iterator[Pair]:
    yield Pair("mcverify", check.made["mcverify"])
    yield from (Pair(label, str(check.made[key])) for key, label in SOFTWARE if check.made.get(key))
    yield from (Pair(key, value) for key, value in check.made.items() if key.startswith("sha256 of "))


def header(check: FilmCheck) -> list[Pair]:
    """Which film, which plane."""
    comparison, film, scan = check.comparison, check.comparison.film, check.scan
    height, width = scan.size_mm
    how = "triple channel" if film.method == TRIPLE else f"single channel, {film.method}"
    pixel = f"{film.pitch_mm[1]:.3f} mm"
    if scan.pitch_mm != scan.file_pitch_mm:
        pixel += f" (scanned at {scan.file_pitch_mm[1]:.3f} mm and averaged)"
    scaled = "" if check.options.scale == 1.0 else f", multiplied by {check.options.scale:.4g}"
    return [
        Pair("Scans", f"{scan.name}; {width:.0f} x {height:.0f} mm"),
        Pair("Pixels", pixel),
        Pair("Calibration", f"{check.calibration.title}; up to {film.largest_gy:.2f} Gy"),
        Pair("Dose of the film", how + (", rescaled by strips" if film.rescaling else "")),
        Pair("Dose of the plane", f"{check.plane_of}, {Path(check.plane_name).name}{scaled}"),
        Pair("Plane", comparison.plane.place),
        Pair("Largest dose of the plane on the film", f"{comparison.normalisation:.3f} Gy"),
    ]


def gamma_lines(comparison: FilmComparison) -> list[tuple[str, ...]]:
    """A line for each criterion: passing rate, pixels, mean and largest gamma."""
    lines = []
    for found in comparison.gammas:
        values = found.values()
        largest = float(values.max()) if values.size else math.nan
        capped = "at least " if largest >= found.max_gamma else ""
        lines.append(
            (
                str(found.criterion),
                f"{found.passing_rate():.2f}",
                number(found.count()),
                f"{float(values.mean()):.3f}" if values.size else "-",
                f"{capped}{largest:.2f}",
            )
        )
    return lines


def statistics_lines(comparison: FilmComparison) -> list[tuple[str, ...]]:
    """Film less plane above the threshold and at high dose: pixels, mean, spread, median ratio."""
    found = comparison.statistics()
    threshold = comparison.gammas[0].criterion.threshold_percent
    lines = []
    for key, label in (
        ("above_threshold", f"above {threshold:g} % of the maximum"),
        ("high_dose", f"above {100 * HIGH:g} % of the maximum"),
    ):
        if f"{key}_pixels" in found:
            lines.append(
                (
                    label,
                    number(found[f"{key}_pixels"]),
                    signed(found[f"{key}_mean_percent"], 2),
                    f"{found[f'{key}_sd_percent']:.2f}",
                    f"{found[f'{key}_median_ratio']:.4f}",
                )
            )
    return lines


def placement_facts(comparison: FilmComparison) -> list[Pair]:
    """How the film was placed, and how well that is known."""
    registration, names = comparison.registration, comparison.plane.names
    placement = registration.placement
    centre = ", ".join(
        f"{name} = {value:.2f}{_sigma(sigma, 2)} mm"
        for name, value, sigma in zip(names, placement.centre_mm, registration.sigma_mm, strict=True)
    )
    turned = f"{placement.angle_deg:.2f}{_sigma(registration.sigma_deg, 2)} deg counter-clockwise"
    if placement.turn:
        turned += f", after {placement.turn} deg"
    facts = [
        Pair("Method", METHODS[registration.method]),
        Pair("Middle of the film at", centre),
        Pair("Film turned by", turned + (", mirrored" if placement.mirror else "")),
        Pair("Correlation of film and plane", f"{registration.correlation:.4f}"),
    ]
    if math.isfinite(registration.residual_mm):
        facts.append(Pair("Residual of the marks (rms)", f"{registration.residual_mm:.2f} mm"))
    if math.isfinite(registration.factor):
        facts.append(Pair("Film over plane, least squares", f"{registration.factor:.4f}"))
    if registration.check is not None:
        move = [a - b for a, b in zip(registration.check.centre_mm, placement.centre_mm, strict=True)]
        facts.append(
            Pair(
                "Automatic registration would move it by",
                f"{names[0]} {signed(move[0], 2)} mm, {names[1]} {signed(move[1], 2)} mm, "
                f"{signed(registration.check.angle_deg - placement.angle_deg, 2)} deg",
            )
        )
    return facts


def mark_lines(check: FilmCheck) -> list[tuple[str, ...]]:
    """A line for each mark: pixel, place, residual."""
    film, placement = check.comparison.film, check.comparison.registration.placement
    lines = []
    for count, mark in enumerate(check.marks, start=1):
        x, y = check.scan.point_mm(mark.pixel)
        u, v = placement.to_plane(x - film.corner_mm[0], y - film.corner_mm[1])
        cells = [_residual(known, found) for known, found in ((mark.u_mm, u), (mark.v_mm, v))]
        lines.append(
            (
                str(count),
                f"{mark.pixel[0]:.1f}, {mark.pixel[1]:.1f}",
                _known(mark.u_mm),
                _known(mark.v_mm),
                *cells,
            )
        )
    return lines


def _sigma(value: float, digits: int) -> str:
    return f" {PLUS_MINUS} {max(value, 0.5 * 10.0**-digits):.{digits}f}" if math.isfinite(value) else ""


def _known(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"


def _residual(known: float, found: float) -> str:
    return "-" if math.isnan(known) else signed(known - float(found), 2)

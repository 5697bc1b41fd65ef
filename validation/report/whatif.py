"""The page of what errors of the setup do: curves, a table at a few of them, random errors and checks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from validation.report.content import Block, Facts, Pair, Points, Report, Section, Text, table
from validation.report.text import PLUS_MINUS, with_sigma
from validation.report.whatif_figures import draw_curves
from validation.whatif import AXES, Curve, WhatIf
from validation.whatif.motion import ROTATIONS, SetupError

SHOWN_MM, SHOWN_DEG = (-3.0, -2.0, -1.0, 1.0, 2.0, 3.0), (-2.0, -1.0, 1.0, 2.0)
MODEL = (
    "The dose stays where it is in the room, and the patient moves through it (shift invariance); doses of "
    "moved tissue are read by cubic splines. On top of that the dose follows the change of the radiological "
    "depth of every beam, as steeply as this dose itself falls with depth in its fields. Not in it: changes "
    "of scatter, and of the dose near surfaces and in tissue of another density."
)
RANDOM = (
    "Random errors along all six axes at once, normal and independent, the same in all fractions: the worst "
    "case of a systematic error. An error that differs from fraction to fraction does less."
)


def whatif_report(found: WhatIf) -> Report:
    """Everything there is to say of errors of the setup."""
    broken = [s for s in found.summaries if s.kept_percent is not None and s.kept_percent < 95.0]
    headline = "What errors of the patient's setup do to target coverage and organ doses, by Monte Carlo."
    sections = [
        Section("Curves", (draw_curves(found), *_table(found))),
        Section("Random errors", tuple(_random(found))),
        Section("How good this picture is", tuple(_model(found))),
    ]
    if found.notes:
        sections.append(Section("Notes", (Points(found.notes),)))
    return Report(
        title=f"Setup errors: {found.label or 'a plan without label'}",
        subject=f"setup errors of {found.label}",
        status="shown",
        word="REPORTED ONLY",
        headline=headline + (" Limits are broken by more than 5 % of the random errors." if broken else ""),
        note="Nothing is judged here: limits are drawn where the profile has them.",
        opening=(Facts(tuple(_header(found))),),
        sections=tuple(sections),
    )


def _header(found: WhatIf) -> Iterator[Pair]:
    yield Pair("Patient (pseudonym)", found.patient or "not stated")
    yield Pair("Plan label", found.label or "not stated")
    yield Pair("Patient position", found.patient_position)
    yield Pair("Dose", found.quantity)
    place = ", ".join(f"{c:.1f}" for c in found.isocentre_mm)
    yield Pair("Rotations about", f"{place} mm (LPS), right-handed, table axes of IEC 61217 at couch 0")
    for axis, unit in AXES.items():
        yield Pair(f"{axis} [{unit}]", f"+: {found.axes[axis]}")


def _table(found: WhatIf) -> Iterator[Block]:
    for rotations, wanted in ((False, SHOWN_MM), (True, SHOWN_DEG)):
        curves = [c for c in found.curves if (c.axis in ROTATIONS) == rotations]
        largest = max(max(c.errors) for c in curves)
        wanted = tuple(w for w in wanted if abs(w) <= largest)
        unit = "deg" if rotations else "mm"
        columns = ("Structure", "Metric", "Axis", *(f"{w:+g} {unit}" for w in wanted), "Limits kept from")
        yield table(columns, [_line(curve, wanted) for curve in curves], 3)


def _line(curve: Curve, wanted: Sequence[float]) -> tuple[str, ...]:
    values = (_value(_at(curve, error)) for error in wanted)
    kept = "-" if curve.kept is None else f"{curve.kept[0]:+.1f} to {curve.kept[1]:+.1f}"
    return (curve.structure, f"{curve.metric} [{curve.unit}]", curve.axis, *values, kept)


def _at(curve: Curve, error: float) -> float | None:
    if any(value is None for value in curve.values):
        return None
    near = [k for k in range(len(curve.errors) - 1) if curve.errors[k] <= error <= curve.errors[k + 1]]
    k = near[0]
    part = (error - curve.errors[k]) / (curve.errors[k + 1] - curve.errors[k])
    return curve.values[k] + part * (curve.values[k + 1] - curve.values[k])


def _random(found: WhatIf) -> Iterator[Block]:
    sigmas = f"{found.translation_sigma_mm:g} mm and {found.rotation_sigma_deg:g} degrees along every axis"
    yield Text(f"{RANDOM} Standard deviation: {sigmas}.", small=True)
    columns, lines = random_lines(found)
    yield table(columns, lines, 2)


def random_lines(found: WhatIf) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns and lines of the table of random errors."""
    lines = [
        (
            s.structure,
            f"{s.metric} [{s.unit}]",
            "-" if s.value is None else with_sigma(s.value, s.sigma),
            *map(_value, s.percentiles),
            "; ".join(f"{limit.relation} {limit.value:g}" for limit in s.limits) or "-",
            "-" if s.kept_percent is None else f"{s.kept_percent:.1f}",
        )
        for s in found.summaries
    ]
    less, more = "2.5 % have less", "2.5 % have more"
    return ("Structure", "Metric", "No error", less, "Median", more, "Limits", "Kept by [%]"), lines


def _model(found: WhatIf) -> Iterator[Block]:
    yield Text(MODEL)
    yield Text(
        "A dose fixed in the room alone (dotted lines) differs from these curves by up to "
        f"{found.invariance_percent:.1f} % of a dose: so much the beams' paths through the patient change."
    )
    if not found.checks:
        yield Text("No setup was computed again by Monte Carlo (--check does).")
        return
    yield Text(
        f"By Monte Carlo with the patient so moved ({PLUS_MINUS} one sigma, transport and latent together):",
        small=True,
    )
    columns, lines = check_lines(found)
    yield table(columns, lines, 3)


def check_lines(found: WhatIf) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns and lines of the table of setups that were computed again."""
    lines = [
        (
            describe(check.error),
            check.structure,
            f"{check.metric} [{check.unit}]",
            "-" if check.computed is None else with_sigma(check.computed, check.sigma),
            _value(check.value),
            _value(check.fixed),
        )
        for check in found.checks
    ]
    return ("Setup", "Structure", "Metric", "Monte Carlo", "Curve", "Fixed in the room"), lines


def describe(error: SetupError) -> str:
    """A setup error in words."""
    parts = [
        f"{axis} {value:+g} {AXES[axis]}" for axis, value in zip(AXES, error.values, strict=True) if value
    ]
    return ", ".join(parts) or "none"


def _value(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"

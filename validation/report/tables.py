"""Verdict, doses and gamma of the report as tables of text."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mc.dose import TO_WATER
from mc.plan.aperture import angle_range, jaw_ranges, mean_opening, technique
from validation.limits.constraints import (
    BROKEN,
    FLIP,
    FLIP_IN_NOISE,
    KEPT,
    KEPT_BY_MC,
    NOT_EVALUATED,
)
from validation.plan_check.comparison import Comparison
from validation.plan_check.judgement import STATUSES, Test
from validation.plan_check.key_numbers import KeyNumber
from validation.plan_check.leading import scale
from validation.plan_check.summary import DIAGNOSIS, limit_tests, technical_tests
from validation.plan_check.verdict import Row
from validation.report.choices import by_difference, by_gamma, by_importance, gamma_text
from validation.report.content import Cell, Group, Table, cells, table
from validation.report.text import PLUS_MINUS, dose, signed, with_sigma

STATUS = {
    "pass": "PASS",
    "warn": "WARNING",
    "fail": "FAIL",
    "noisy": "TOO NOISY",
    "shown": "reported only",
}
OUTCOMES = {  # of dose limits, as they are printed
    FLIP: "FLIP",
    FLIP_IN_NOISE: "FLIP within noise",
    BROKEN: "broken by both",
    KEPT_BY_MC: "broken by plan only",
    KEPT: "kept",
    NOT_EVALUATED: "not evaluated",
}


@dataclass(frozen=True)
class TestLine:
    """A test as it is printed."""

    name: str
    value: str
    warns: str
    fails: str
    status: str
    word: str
    note: str
    source: str


def test_lines(comparison: Comparison) -> list[TestLine]:
    """All tests: flips first, then failures, warnings, passes, and what is only reported."""
    flipped = {row.label for row in comparison.verdict.constraints if row.flip}
    tests = sorted(
        comparison.verdict.tests, key=lambda test: (test.name not in flipped, -STATUSES.index(test.status))
    )
    return [_test_line(test) for test in tests]


def _test_line(test: Test) -> TestLine:
    lower_is_worse = test.name.startswith("gamma ")

    def limit(value: float | None) -> str:
        return "" if value is None else f"{'below' if lower_is_worse else 'above'} {value:g}"

    value = "none" if test.value is None else f"{with_sigma(test.value, test.sigma)} {test.unit}"
    return TestLine(
        test.name,
        value,
        limit(test.tolerance),
        limit(test.action),
        test.status,
        STATUS[test.status],
        test.note,
        test.source,
    )


def test_table(comparison: Comparison) -> Table:
    """The tests that need a look, and those of agreement: with limits, notes and sources.

    Left out are the dose limits, which have a table of their own, and what the summary states in one line:
    technical tests in order, planning errors of which there is no sign.
    """
    verdict = comparison.verdict
    left_out = {test.name for test in limit_tests(verdict) if test.name != "dose limits"}
    left_out |= {test.name for test in technical_tests(verdict) if test.status == "pass"}
    left_out |= {
        test.name for test in verdict.tests if test.name.startswith(DIAGNOSIS) and test.status == "pass"
    }
    lines = [
        (
            Cell(line.word, status=line.status),
            line.name,
            line.value,
            line.warns,
            line.fails,
            Cell(line.note, line.source),
        )
        for line in test_lines(comparison)
        if line.name not in left_out
    ]
    columns = ("Status", "Test", "Found", "Warns", "Fails", "Note and source of the limit")
    return table(columns, lines, 2, texts_from=5)


def key_table(comparison: Comparison) -> Table:
    """The numbers of the first page."""
    columns = (
        "",
        "Plan",
        f"MC {PLUS_MINUS} 1 sigma",
        f"MC - plan (% of {scale(comparison)[1]})",
        "Judged by",
        "Remark",
    )
    lines = [_key_line(comparison, number) for number in comparison.summary.numbers]
    return table(columns, lines, 1, texts_from=4)


def _key_line(comparison: Comparison, number: KeyNumber) -> tuple[Cell, ...]:
    label = Cell(f"{number.structure} {number.metric.removesuffix(' global')}", status=number.status)
    remarks = []
    if number.outcome:
        remarks.append(OUTCOMES[number.outcome])
    if number.ceiling is not None:
        remarks.append(f"noise leaves {number.ceiling:.1f} %")
    if number.under_resolved:
        count = "less than one voxel" if number.voxels < 0.75 else _voxels(number.voxels)
        remarks.append(f"UNDER-RESOLVED: {count}")
    if number.note:
        remarks.append(number.note)
    unit = f" {number.unit}"
    difference = ""
    if number.difference is not None:
        difference = signed(number.difference, 2) + unit
        if number.unit == "Gy":
            share = 100 * number.difference / scale(comparison)[0]
            difference += f" ({signed(share, 1)} %)"
    return cells(
        (
            label,
            "" if number.plan is None else dose(number.plan) + unit,
            "none" if number.mc is None else with_sigma(number.mc, number.sigma) + unit,
            difference,
            number.limit or "no limit",
            "; ".join(remarks),
        )
    )


def _voxels(count: float) -> str:
    return f"about {count:.0f} voxel{'s' * (round(count) != 1)}"


def constraint_table(comparison: Comparison) -> Table:
    """The clinical dose limits of structures that the plan has, flips first."""
    lines = []
    for row in comparison.verdict.constraints:
        if row.structure is None:
            continue
        volume = "" if row.volume_cc is None else f", {row.volume_cc:.2f} cm3"
        lines.append(
            (
                Cell(OUTCOMES[row.outcome], row.note, row.status),
                Cell(row.place, f"{row.organ}, by the name {row.matched_by}{volume}"),
                row.metric,
                f"{row.relation} {row.limit:g} {row.unit}",
                "-" if row.plan is None else dose(row.plan),
                "-" if row.mc is None else with_sigma(row.mc, row.sigma),
                "-" if row.margin is None else signed(row.margin, 2),
                Cell("", row.source),
            )
        )
    columns = ("Dose limit", "Structure", "Metric", "Limit", "Plan", "MC", "Margin", "Source")
    return table(columns, lines, 2, texts_from=7)


def missing_organs(comparison: Comparison) -> list[str]:
    """Organs that the profile has limits for and the plan has no structure of."""
    rows = comparison.verdict.constraints
    return list(dict.fromkeys(row.organ for row in rows if row.structure is None))


def metric_table(comparison: Comparison, targets: bool) -> Table:
    """DVH metrics of the targets, or of all other structures: plan, Monte Carlo, differences."""
    rows = [row for row in comparison.verdict.rows if row.target is targets]
    metrics = list(dict.fromkeys(row.metric for row in rows))
    metrics.sort(key=_metric_order)
    units = {row.metric: row.unit for row in rows}
    by_place = {(row.structure, row.metric): row for row in rows}
    sizes = {curves.structure: curves for curves in comparison.curves}
    groups = []
    for structure in by_difference(comparison):
        found = [by_place.get((structure.name, metric)) for metric in metrics]
        if not any(found):
            continue
        share = sizes[structure.name].in_grid_percent
        volume = f"{sizes[structure.name].volume_cm3:.2f} cm3"
        if share < 99:
            volume += f", {share:.0f} % of it on the grid"
        groups.append(Group(_metric_lines(found, comparison), Cell(structure.name, volume)))
    columns = ("Structure", "", *(f"{metric} [{units[metric]}]" for metric in metrics))
    return Table(columns, tuple(groups), 2, shorten=not targets)


def _metric_order(metric: str) -> tuple[int, float]:
    """Dmean, then doses of falling volume in percent, then in cc, then the rest."""
    if metric == "Dmean":
        return 0, 0.0
    for rank, unit in ((1, "%"), (2, "cc")):
        if metric.startswith("D") and metric.endswith(unit):
            return rank, -float(metric[1 : -len(unit)])
    return 3, 0.0


def _metric_lines(rows: Sequence[Row | None], comparison: Comparison) -> tuple[tuple[Cell, ...], ...]:
    reference, _ = scale(comparison)

    def cell(row: Row | None, text: Callable[[Row], str]) -> str:
        if row is None:
            return ""
        return text(row) if row.difference is not None else "-"

    def difference(row: Row) -> str:
        text = signed(row.difference, 2)
        return f"{text} ({signed(100 * row.difference / reference, 1)})" if row.unit == "Gy" else text

    lines = (
        ("plan", lambda row: dose(row.plan)),
        (f"MC {PLUS_MINUS} sigma", lambda row: with_sigma(row.mc, row.sigma)),
        ("MC - plan (%)", difference),
    )
    return tuple(cells((label, *(cell(row, text) for row in rows))) for label, text in lines)


def gamma_table(comparison: Comparison) -> Table:
    """Passing rates by structure and criterion, the worst first, each with its noise ceiling and voxels."""
    results = comparison.verdict.gamma
    lines = [
        (
            comparison.body_name,
            *(Cell(f"{r.rate:.2f}", _rests_on(r.map.count(), r.ceiling)) for r in results),
        )
    ]
    for structure in by_gamma(comparison):
        volume, name = structure.volume, structure.name
        counts = [np.count_nonzero(volume.of_values(r.map.evaluated) & volume.half) for r in results]
        rates = (
            Cell(f"{r.by_structure[name]:.2f}", _rests_on(count, r.ceiling_by_structure.get(name)))
            if count
            else Cell("-")
            for r, count in zip(results, counts, strict=True)
        )
        lines.append((name, *rates))
    return table(("Structure", *map(gamma_text, results)), lines, shorten=True)


def _rests_on(count: int, ceiling: float | None) -> str:
    """Noise ceiling of a passing rate, and its voxels."""
    noise = "" if ceiling is None or math.isnan(ceiling) else f"noise {ceiling:.1f}; "
    return f"{noise}{count:,} vox."


def other_dose_table(comparison: Comparison) -> Table:
    """Metrics in the Monte Carlo dose that is not compared, beside the one that is."""
    metrics = list(dict.fromkeys(found.metric for found in comparison.other_doses))
    by_place = {(found.structure, found.metric): found for found in comparison.other_doses}
    this, other = ("to medium", "to water") if is_to_medium(comparison) else ("to water", "to medium")
    kinds = (
        (f"MC {this}", lambda found: dose(found.compared)),
        (f"MC {other}", lambda found: dose(found.other)),
        ("change [%]", lambda found: signed(100 * (found.other / found.compared - 1), 1)),
    )
    groups = []
    for structure in by_importance(comparison):
        found = [by_place.get((structure.name, metric)) for metric in metrics]
        if not any(found):
            continue
        lines = tuple(
            cells(
                (
                    label,
                    *("-" if one is None or not (one.compared and one.other) else text(one) for one in found),
                )
            )
            for label, text in kinds
        )
        groups.append(Group(lines, Cell(structure.name)))
    return Table(("Structure", "", *(f"{metric} [Gy]" for metric in metrics)), tuple(groups), 2, shorten=True)


def is_to_medium(comparison: Comparison) -> bool:
    """Whether the Monte Carlo dose that is compared is to medium."""
    return TO_WATER not in comparison.quantity


def regions(comparison: Comparison) -> Table:
    """Mean differences by dose region."""
    lines = (
        (
            region.region,
            f"{region.voxels:,}",
            f"{signed(region.mean_percent, 3)} {PLUS_MINUS} {region.sigma_percent:.3f}",
            f"{region.unexplained_percent:.2f}",
        )
        for region in comparison.regions
    )
    columns = (
        "Region of the plan's dose",
        "Voxels",
        "Mean MC - plan [% of plan's maximum]",
        "Beyond noise, rms [%]",
    )
    return table(columns, lines)


def points(comparison: Comparison) -> Table:
    """Point doses and the monitor unit check."""
    lines = []
    for point in (*comparison.isocentres, *comparison.points):
        place = Cell(point.name, ", ".join(f"{c:.1f}" for c in point.position_mm))
        if point.plan_gy is None:
            lines.append((place, "-", "-", "-", "-", point.note))
            continue
        difference = point.mc_gy - point.plan_gy
        relative = f" ({signed(100 * difference / point.plan_gy, 2)} %)" if point.plan_gy else ""
        factor = point.note
        if point.mu_factor is not None:
            factor = f"{point.mu_factor:.4f} {PLUS_MINUS} {point.mu_factor_sigma:.4f}"
        values = (dose(point.plan_gy), with_sigma(point.mc_gy, point.mc_sigma_gy))
        lines.append((place, *values, signed(difference, 2) + relative, str(point.voxels), factor))
    return table(
        ("Point (x, y, z in mm)", "Plan [Gy]", "MC [Gy]", "MC - plan [Gy]", "Voxels", "MU'/MU"), lines
    )


def beams(comparison: Comparison) -> Table:
    """The beams, with the monitor units that would give the plan's dose at their isocentre."""
    lines = []
    for beam in comparison.plan.beams:
        away = [math.dist(p.position_mm, [10 * c for c in beam.isocentre]) for p in comparison.isocentres]
        factor = comparison.isocentres[int(np.argmin(away))].mu_factor
        lines.append(
            (
                f"{beam.number} {beam.name}",
                technique(beam),
                *(angle_range(beam, name) for name in ("gantry", "collimator", "couch")),
                jaw_ranges(beam),
                f"{mean_opening(beam):.1f}",
                f"{beam.mu:.2f}",
                "-" if factor is None else f"{beam.mu * factor:.2f}",
            )
        )
    columns = (
        "Beam",
        "Technique",
        "Gantry [deg]",
        "Collimator [deg]",
        "Couch [deg]",
        "Jaws X, Y [cm]",
        "Mean open area [cm2]",
        "MU per fraction",
        "MU'",
    )
    return table(columns, lines, 2, shorten=True)

"""`mcverify dvh`: dose-volume histograms of a dose, its metrics by structure and its dose limits."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

from mc.plan.plan import Plan
from mc.run.parallel import World
from phantoms.files import replacing
from phantoms.structures import read_structures
from validation.cli.screen import Screen
from validation.limits.constraints import NOT_EVALUATED, ConstraintRow, fractions_note
from validation.limits.profiles import load_profile
from validation.metrics.dvh import volume_note
from validation.workflow import output
from validation.workflow.configuration import read_configuration
from validation.workflow.doses import read_dose
from validation.workflow.dvhs import DvhTable, dvh_table

METRICS_PER_TABLE = 8  # metrics in a table
KEPT_CODE, BROKEN_CODE = 0, 1


def run(arguments: Namespace, screen: Screen, ranks: World) -> int:
    """Print metrics and limits; write them and the curves."""
    plan = None if arguments.plan is None else _take_from_plan(arguments)
    for metric in arguments.metrics:
        if note := volume_note(metric):
            screen.note(note)
    profile = load_profile(arguments.profile or read_configuration().profile)
    paths = [path for path in (arguments.dose, arguments.compare) if path is not None]
    doses = [read_dose(path) for path in paths]
    structures = read_structures(arguments.structures, doses[0].frame_of_reference_uid)
    if arguments.out is not None:
        output.check_writable(arguments.out.parent)
    found = dvh_table(
        structures,
        *doses,
        profile=profile,
        fractions=arguments.fractions,
        prescription_gy=arguments.prescription,
        metrics=arguments.metrics,
        plan=plan,
        unrelated=arguments.unrelated,
    )
    for warning in found.warnings:
        screen.warn(warning)
    for name, why in found.left_out.items():
        screen.warn(f"structure {name} left out: {why}")
    record = found.to_dict()
    show(screen, found, record)
    if arguments.out is not None:
        _write(arguments.out, record, screen)
    return BROKEN_CODE if found.broken else KEPT_CODE


def _take_from_plan(arguments: Namespace) -> Plan:
    """The plan; number of fractions and prescription as the RTPLAN states them, where they are not given."""
    from mc.plan.rtplan import read_plan

    plan = read_plan(arguments.plan, arguments.fraction_group)
    if arguments.fractions is None:
        arguments.fractions = plan.fractions
    if arguments.prescription is None:
        arguments.prescription = max((p.dose for p in plan.prescriptions if p.dose > 0), default=None)
    return plan


def show(screen: Screen, found: DvhTable, record: dict[str, Any]) -> None:
    """Print metrics and dose limits."""
    doses, profile, fractions = record["doses"], found.question.profile, found.question.fractions
    names = [f"{value['name']} [{value['unit']}]" for value in record["structures"][0]["metrics"][0]]
    title = "Dose-volume histograms: " + " and ".join(f"{d['file']} ({d['is']})" for d in doses)
    for start in range(0, len(names), METRICS_PER_TABLE):
        part = slice(start, start + METRICS_PER_TABLE)
        lines = []
        for structure in record["structures"]:
            for number, values in enumerate(structure["metrics"]):
                name = structure["name"] if number == 0 else "  compared"
                volume = f"{structure['whole_volume_cc']:.2f}" if number == 0 else ""
                cells = (_number(value["value"], value["sigma"]) for value in values[part])
                lines.append([name, volume, *cells])
        columns = ["structure", "volume [cc]", *names[part]]
        screen.table(title, columns, lines, right=range(1, len(columns)), whole=(0,))
        title = "More metrics"
    if fractions is None:
        screen.note("name the number of fractions (--fractions N) to see all dose limits")
    elif note := fractions_note(profile, fractions):
        screen.warn(f"dose limits: {note}")
    two = len(doses) == 2
    if shown := [row for row in found.limits if row.structure is not None]:
        screen.table(
            f"Dose limits of {profile.name} in {fractions or 'any number of'} fractions ({profile.status})",
            ["limit", "taken as", "dose", *(["compared"] if two else []), "margin", "outcome", "source"],
            [_limit_line(row, two) for row in shown],
            right=range(2, 5 if two else 4),
        )
    absent = sorted({row.organ for row in found.limits if row.structure is None})
    if absent:
        screen.note(f"no structure is named as {', '.join(absent)}: their limits were not evaluated")


def _limit_line(row: ConstraintRow, two: bool) -> list[str]:
    margin = row.margin if two else row.plan_margin
    outcome = row.outcome
    if not two and outcome != NOT_EVALUATED:
        outcome = "kept" if row.plan_margin >= 0 else "BROKEN"
    values = [_number(row.plan, None if two else row.sigma)] + ([_number(row.mc, row.sigma)] if two else [])
    known = f"{outcome}{': ' + row.note if row.note else ''}"
    taken = f"{row.organ} ({row.matched_by})"
    label = row.label.removesuffix(f" in {row.fractions} fractions")
    return [label, taken, *values, "-" if margin is None else f"{margin:+.2f}", known, row.source]


def _number(value: float | None, sigma: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if sigma is None else f"{value:.2f} \N{PLUS-MINUS SIGN} {sigma:.2f}"


def _write(stem: Path, record: dict[str, Any], screen: Screen) -> None:
    from validation.report.dvh_figure import dvh_figure

    stem = stem.with_suffix("") if stem.suffix in (".json", ".png") else stem
    with replacing(stem.with_name(f"{stem.name}.json")) as path:
        path.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    with replacing(stem.with_name(f"{stem.name}.png")) as path:
        path.write_bytes(dvh_figure(record).png)
    screen.line(f"written: {stem}.json, {stem}.png")

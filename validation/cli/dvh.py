"""`mcverify dvh`: dose-volume histograms of a dose, its metrics by structure and its dose limits."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mc.run.parallel import World
from phantoms.errors import InputError
from phantoms.files import replacing
from phantoms.solids import cut
from phantoms.structures import StructureSet, read_structures
from validation.cli import output
from validation.cli.gamma import Compared, read_dose
from validation.cli.kernels import load_dvh
from validation.cli.screen import Screen
from validation.limits.constraints import (
    BROKEN,
    FLIP,
    FLIP_IN_NOISE,
    NOT_EVALUATED,
    ConstraintRow,
    fractions_note,
    judge_constraints,
)
from validation.limits.profiles import Profile, load_profile, synonyms
from validation.metrics.dvh import Dvh, MetricValue, parse_metric
from validation.metrics.numbers import plain
from validation.plan_check.verdict import Structure

METRICS = ("Dmean", "Dmin", "Dmax", "D98%", "D95%", "D50%", "D2%", "D0.03cc")
CURVE_POINTS = 501
METRICS_PER_TABLE = 8  # metrics in a table
WHOLE = 0.99  # a structure with less of its volume on the dose grid is said to be cut
KEPT_CODE, BROKEN_CODE = 0, 1


@dataclass(frozen=True, eq=False)
class Evaluated:
    """A structure and its DVHs, one of each dose."""

    structure: Structure
    dvhs: tuple[Dvh, ...]

    @property
    def name(self) -> str:
        return self.structure.name

    @property
    def is_target(self) -> bool:
        return self.structure.is_target


def run(arguments: Namespace, screen: Screen, ranks: World) -> int:
    """Print metrics and limits; write them and the curves."""
    if arguments.plan is not None:
        _take_from_plan(arguments)
    metrics = list(dict.fromkeys([*METRICS, *arguments.metrics]))
    for metric in metrics:
        parse_metric(metric)
    profile = load_profile(*[arguments.profile] if arguments.profile else [])
    structures = read_structures(arguments.structures)
    paths = [path for path in (arguments.dose, arguments.compare) if path is not None]
    doses = [_course(read_dose(path), arguments.fractions) for path in paths]
    warnings = [*structures.warnings, *_caveats(doses, structures, arguments.fractions)]
    if arguments.out is not None:
        output.check_writable(arguments.out.parent)
    for warning in warnings:
        screen.warn(warning)
    load_dvh()
    evaluated, left_out = _evaluate(structures, doses)
    for name, why in left_out.items():
        screen.warn(f"structure {name} left out: {why}")
    for item in evaluated:
        cells = item.structure.cells
        if cells.volume < WHOLE * cells.whole_cc:
            share = 100 * cells.volume / cells.whole_cc
            warnings.append(f"structure {item.name}: only {share:.0f} % of its volume lies on the dose grid")
            screen.warn(warnings[-1])
    if not evaluated:
        raise InputError(arguments.structures, f"no structure can be evaluated on {arguments.dose.name}")
    rows = _limits(evaluated, doses, profile, arguments, left_out)
    record = _record(arguments, doses, evaluated, metrics, profile, rows, left_out, warnings)
    _show(screen, record, rows, profile, arguments)
    if arguments.out is not None:
        _write(arguments.out, record, screen)
    broken = any(row.outcome in (BROKEN, FLIP, FLIP_IN_NOISE) for row in rows)
    return BROKEN_CODE if broken else KEPT_CODE


def _take_from_plan(arguments: Namespace) -> None:
    """Number of fractions and prescription as the RTPLAN states them, where they are not given."""
    from mc.plan.rtplan import read_plan

    plan = read_plan(arguments.plan)
    if arguments.fractions is None:
        arguments.fractions = plan.fractions
    if arguments.prescription is None:
        arguments.prescription = max((p.dose for p in plan.prescriptions if p.dose > 0), default=None)


def _course(dose: Compared, fractions: int | None) -> Compared:
    """Dose of the course, where that of a fraction is given and the number of fractions is known."""
    if dose.of != "FRACTION dose" or fractions is None:
        return dose
    of = f"FRACTION dose times {fractions}"
    return Compared(dose.path, dose.grid, dose.dose * fractions, of, dose.frame_of_reference_uid, dose.sigma)


def _caveats(doses: Sequence[Compared], structures: StructureSet, fractions: int | None) -> list[str]:
    """What makes the result doubtful; another frame of reference is refused."""
    warnings = []
    for dose in doses:
        frame, other = dose.frame_of_reference_uid, structures.frame_of_reference_uid
        if frame and other and frame != other:
            raise InputError(structures.source, f"has another frame of reference than {dose.path.name}")
        if dose.of == "FRACTION dose":
            warnings.append(
                f"{dose.path.name} is the dose of one fraction; --fractions makes it the course's"
            )
        if dose.of == "BEAM dose":
            warnings.append(f"{dose.path.name} is the dose of one beam")
    return warnings


def _evaluate(structures: StructureSet, doses: Sequence[Compared]) -> tuple[list[Evaluated], dict[str, str]]:
    """DVHs of every structure with volume on the doses' grids, and why the others have none."""
    evaluated, left_out = [], {}
    for roi in structures.rois:
        name = roi.name if structures.names().count(roi.name) == 1 else f"{roi.name} (ROI {roi.number})"
        if roi.is_empty or roi.problem:
            left_out[name] = roi.problem or "has no contours"
            continue
        cells = [cut(roi, doses[0].grid)]
        cells += [cells[0] if d.grid.matches(doses[0].grid) else cut(roi, d.grid) for d in doses[1:]]
        if not all(part.volume > 0 for part in cells):
            left_out[name] = "lies outside the dose grid"
            continue
        dvhs = tuple(Dvh(part, dose.dose, dose.sigma) for part, dose in zip(cells, doses, strict=True))
        evaluated.append(Evaluated(Structure(name, roi.type, *cells), dvhs))
    return evaluated, left_out


def _limits(
    evaluated: Sequence[Evaluated],
    doses: Sequence[Compared],
    profile: Profile,
    arguments: Namespace,
    left_out: dict[str, str],
) -> tuple[ConstraintRow, ...]:
    """The profile's limits for these fractions; of a single dose, both sides of a row are that dose."""
    if arguments.fractions is None:
        return ()

    def read(item: Evaluated, metric: str, margins) -> tuple[MetricValue, MetricValue, float]:
        dvhs = item.dvhs
        if margins is not None:
            grown = item.structure.expanded(margins)
            parts = (grown.cells, grown.mc_cells)[: len(doses)]
            dvhs = [Dvh(part, d.dose, d.sigma) for part, d in zip(parts, doses, strict=True)]
        values = [dvh.metric(metric, arguments.prescription) for dvh in dvhs]
        return values[0], values[-1], dvhs[0].volume

    return judge_constraints(evaluated, read, profile, arguments.fractions, left_out)


def _record(
    arguments: Namespace,
    doses: Sequence[Compared],
    evaluated: Sequence[Evaluated],
    metrics: Sequence[str],
    profile: Profile,
    rows: Sequence[ConstraintRow],
    left_out: dict[str, str],
    warnings: Sequence[str],
) -> dict[str, Any]:
    """Everything, ready for strict JSON."""
    organs = synonyms()
    top = max(dvh.highest for item in evaluated for dvh in item.dvhs)
    axis = np.linspace(0.0, 1.02 * top or 1.0, CURVE_POINTS)
    return plain(
        {
            "schema": "mcverify dvh",
            "schema_version": 1,
            "doses": [{"file": str(dose.path), "is": dose.of} for dose in doses],
            "structures_file": str(arguments.structures),
            "fractions": arguments.fractions,
            "prescription_gy": arguments.prescription,
            "profile": {"name": profile.name, "title": profile.title, "status": profile.status},
            "structures": [
                {
                    "name": item.name,
                    "type": item.structure.kind,
                    "organs": [
                        {"organ": organ.name, "matched_by": organ.match(item.name)}
                        for organ in organs
                        if organ.matches(item.name)
                    ],
                    "volume_cc": item.dvhs[0].volume,
                    "whole_volume_cc": item.structure.cells.whole_cc,
                    "metrics": [
                        [value for value in dvh.metrics(metrics, arguments.prescription).values()]
                        for dvh in item.dvhs
                    ],
                    "curve_percent": [dvh.curve(axis) for dvh in item.dvhs],
                }
                for item in evaluated
            ],
            "curve_dose_gy": axis,
            "limits": [_limit(row, len(doses) == 2) for row in rows],
            "not_evaluated": left_out,
            "warnings": list(warnings),
        }
    )


def _limit(row: ConstraintRow, two: bool) -> dict[str, Any]:
    """A row; of a single dose, its value and whether the limit is kept."""
    if two:
        return row.to_dict()
    names = ("organ", "structure", "matched_by", "metric", "relation", "limit", "unit", "fractions")
    plain_row = row.to_dict()
    kept = None if row.outcome == NOT_EVALUATED else row.plan_margin >= 0
    found = {name: plain_row[name] for name in names}
    found |= {"value": row.plan, "sigma": row.sigma, "margin": row.plan_margin, "kept": kept}
    return found | {name: plain_row[name] for name in ("prv_mm", "volume_cc", "note", "source")}


def _show(
    screen: Screen,
    record: dict[str, Any],
    rows: Sequence[ConstraintRow],
    profile: Profile,
    arguments: Namespace,
) -> None:
    doses = record["doses"]
    names = [f"{value['name']} [{value['unit']}]" for value in record["structures"][0]["metrics"][0]]
    title = "Dose-volume histograms: " + " and ".join(f"{d['file']} ({d['is']})" for d in doses)
    for start in range(0, len(names), METRICS_PER_TABLE):
        part = slice(start, start + METRICS_PER_TABLE)
        lines = []
        for structure in record["structures"]:
            for number, values in enumerate(structure["metrics"]):
                name = structure["name"] if number == 0 else "  compared"
                volume = f"{structure['volume_cc']:.3f}" if number == 0 else ""
                cells = (_number(value["value"], value["sigma"]) for value in values[part])
                lines.append([name, volume, *cells])
        columns = ["structure", "volume [cc]", *names[part]]
        screen.table(title, columns, lines, right=range(1, len(columns)), whole=(0,))
        title = "More metrics"
    if arguments.fractions is None:
        screen.note("name the number of fractions (--fractions N) to see dose limits")
        return
    if note := fractions_note(profile, arguments.fractions):
        screen.warn(f"dose limits: {note}")
        return
    shown = [row for row in rows if row.structure is not None]
    two = len(doses) == 2
    screen.table(
        f"Dose limits of profile {profile.name} in {arguments.fractions} fractions ({profile.status})",
        ["limit", "taken as", "dose", *(["compared"] if two else []), "margin", "outcome", "source"],
        [_limit_line(row, two) for row in shown],
        right=range(2, 5 if two else 4),
    )
    absent = sorted({row.organ for row in rows if row.structure is None})
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

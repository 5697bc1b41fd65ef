"""`mcverify film`: a scanned film against a plane of a dose."""

from __future__ import annotations

import json
import time
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from mc.run.parallel import World
from phantoms.errors import InputError
from validation.cli.screen import Screen, clock
from validation.workflow import output

if TYPE_CHECKING:
    from validation.film.check import FilmCheck

PASSED, FAILED, NO_VERDICT = 0, 1, 2
SCHEMA = "mcverify film"


def run(arguments: Namespace, screen: Screen, ranks: World) -> int:
    """Dose of the film, registration, comparison, report; 1 if it fails, 2 if it cannot be judged."""
    from validation.film.calibration import read_calibration
    from validation.film.check import Options
    from validation.film.dose import Strip
    from validation.film.marks import Mark
    from validation.film.scan import read_scans
    from validation.metrics.gamma import parse_criterion
    from validation.workflow.doses import read_dose
    from validation.workflow.films import check_against
    from validation.workflow.reports import write_files

    started = time.monotonic()
    make_ready(arguments.out, [*arguments.scan, arguments.calibration])
    criteria = tuple(
        parse_criterion(text, arguments.local, arguments.threshold)
        for text in arguments.criterion or ("3%/2mm",)
    )
    options = Options(
        method=arguments.method,
        box_px=arguments.box,
        margin_mm=10.0 * arguments.margin,
        strips=tuple(Strip(*strip) for strip in arguments.strip or ()),
        middle_mm=None if arguments.middle is None else 10.0 * arguments.middle,
        marks=tuple(Mark(*mark) for mark in arguments.mark or ()),
        find_marks_mm=None if arguments.find_marks is None else 10.0 * arguments.find_marks,
        place=arguments.place,
        turn=arguments.turn,
        mirror=arguments.mirror,
        view=arguments.cut[0] if arguments.cut else None,
        at_mm=arguments.cut[1] if arguments.cut else None,
        scale=arguments.scale,
        criteria=criteria,
        tolerance=arguments.tolerance,
        reference=arguments.reference,
        crossing_mm=arguments.profiles,
    )
    calibration = read_calibration(arguments.calibration)
    dose = read_dose(arguments.plane, arguments.dose_to, planar=True)
    with screen.progress() as bar:
        bar.stage("reading the scans")
        scan = read_scans(arguments.scan, arguments.dpi)
        found = check_against(scan, calibration, dose, options, bar.stage)
        bar.stage("writing the report")
        report = write_files(found, arguments.out)
    show(found, screen)
    screen.line(f"{clock(time.monotonic() - started)}; report: {report}")
    return {"pass": PASSED, "fail": FAILED}.get(found.comparison.status, NO_VERDICT)


def make_ready(out: Path, inputs: list[Path]) -> None:
    """Make the folder for the result, or refuse one that belongs to something else."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        held = {entry.name for entry in out.iterdir() if not entry.name.startswith(".")}
    except OSError as error:
        raise InputError(out, f"cannot be made: {error.strerror}", output.OTHER_FOLDER) from None
    if any(path.resolve().parent == out.resolve() for path in inputs):
        raise InputError(out, "holds the scans or the calibration", output.OTHER_FOLDER)
    if held & {output.REPORT, output.PRINTED, output.RESULT} and not _is_mcverify(out):
        raise InputError(out, "holds the result of another command", output.OTHER_FOLDER)
    output.check_writable(out)


def _is_mcverify(out: Path) -> bool:
    try:
        stated = json.loads((out / output.RESULT).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(stated, dict) and stated.get("schema") == SCHEMA


def show(found: FilmCheck, screen: Screen) -> None:
    """Print warnings and the figures, in the words of the report."""
    from validation.report.film import HEADLINES, WORDS, gamma_lines, placement_facts, statistics_lines

    comparison = found.comparison
    for warning in found.warnings:
        screen.warn(warning)
    screen.facts("registration", [(pair.label, pair.value) for pair in placement_facts(comparison)])
    screen.table(
        "dose",
        ("", "pixels", "mean [%]", "sd [%]", "median ratio"),
        statistics_lines(comparison),
        right=(1, 2, 3, 4),
    )
    columns = ("criterion", "passing [%]", "pixels", "mean gamma", "largest gamma")
    screen.table("gamma", columns, gamma_lines(comparison), right=(1, 2, 3, 4))
    failed = f" ({comparison.registration.failed})" if comparison.registration.failed else ""
    screen.line(f"verdict: {WORDS[comparison.status]}. {HEADLINES[comparison.status]}{failed}")

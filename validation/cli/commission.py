"""`mcverify commission`: measured scans of a machine against Monte Carlo."""

from __future__ import annotations

import time
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from mc.machine.machine import read_machine
from mc.run.parallel import World
from phantoms.errors import InputError
from validation.cli import output
from validation.cli.kernels import load_kernels
from validation.cli.screen import Screen, clock

if TYPE_CHECKING:
    from validation.commission.run import Commissioning

PASSED, FAILED, NO_VERDICT = 0, 1, 2
REPORT, PRINTED, RESULT = "commissioning.html", "commissioning.pdf", "commissioning.json"
TUNED = "tuned.toml"


def run(arguments: Namespace, screen: Screen, ranks: World) -> int:
    """Compute what was measured, compare, report; 1 if a scan fails, 2 if some are too noisy to judge."""
    from mc.run.progress import Listener
    from validation.commission.criteria import DEFAULT, load_criteria
    from validation.commission.machine_file import write_tuned_file
    from validation.commission.run import Effort, commission
    from validation.report.commission import commission_report
    from validation.report.html import write_html
    from validation.report.pdf import write_pdf
    from validation.report.write import write_result
    from validation.scans import read_folder

    started = time.monotonic()
    machine = read_machine(arguments.machine)
    criteria = load_criteria(arguments.criteria or DEFAULT)
    measured = read_folder(arguments.scans)
    out = arguments.out
    if out.resolve().is_relative_to(arguments.scans.resolve()):
        raise InputError(out, "lies in the folder of the scans", output.OTHER_FOLDER)
    if ranks.rank == 0:
        _make_ready(out)
    effort = Effort(
        arguments.uncertainty,
        arguments.max_time,
        arguments.voxel,
        arguments.seed,
        arguments.threads,
        arguments.tune_electrons,
        arguments.tune_uncertainty,
    )
    with screen.progress() as bar:
        head = any(quality.head is not None for quality in machine.energies)
        above = machine.collimators is not None and (machine.has_above or head)
        loaded: list[bool] = []

        def stage(name: str) -> None:
            if not loaded:  # all that can be refused without computing has been by now
                bar.stage("kernels (compiled once, some twenty seconds)")
                load_kernels(ranks, machine=machine if above else None)
                loaded.append(True)
            bar.stage(name)

        tuned, listener = arguments.tune or (), Listener(stage, bar.update)
        found = commission(machine, measured, criteria, effort, tuned=tuned, listener=listener)
        if ranks.rank > 0:
            return PASSED  # rank 0 has the last word
        bar.stage("writing the report")
        report = commission_report(found)
        write_html(report, out / REPORT)
        write_pdf(report, out / PRINTED)
        write_result(found, out / RESULT)
        if found.tuning is not None:
            write_tuned_file(machine, found, out / TUNED)
    show(found, screen)
    screen.line(f"{clock(time.monotonic() - started)}; report: {out / REPORT}")
    return {"pass": PASSED, "fail": FAILED}.get(found.status, NO_VERDICT)


def _make_ready(out: Path) -> None:
    """Make the result folder, or refuse it before the work begins."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(out, f"cannot be made: {error.strerror}", output.OTHER_FOLDER) from None
    output.check_writable(out)


def show(found: Commissioning, screen: Screen) -> None:
    """Print warnings, the table of scans and the verdict, in the words of the report."""
    from validation.report.commission import (
        HEADLINES,
        WORDS,
        cost_text,
        entry_lines,
        factor_lines,
        scan_lines,
        value_lines,
    )

    for warning in found.warnings:
        screen.warn(warning)
    columns = (
        "",
        "field",
        "scan",
        "passing [%]",
        "largest gamma",
        "mean diff. [%]",
        "sigma [%]",
        "latent [%]",
    )
    keys = ("word", "field", "scan", "passing", "largest", "difference", "sigma", "latent")
    rows = [tuple(line[key] for key in keys) for line in scan_lines(found)]
    screen.table(
        f"{found.machine.name}: {found.criteria.title}", columns, rows, right=(3, 4, 5, 6, 7), whole=(0,)
    )
    if found.output_factors:
        columns = ("", "output factor", "condition", "measured", "computed", "diff. [%]")
        keys = ("word", "label", "condition", "measured", "computed", "difference")
        rows = [tuple(line[key] for key in keys) for line in factor_lines(found)]
        screen.table("output factors", columns, rows, right=(3, 4, 5), whole=(0,))
    if found.tuning is not None:
        columns = ("parameter", "start", "least cost at", "")
        screen.table("tuning of the source", columns, value_lines(found.tuning))
        screen.line(f"cost: {cost_text(found)}")
        screen.line("\n".join(("in the machine file:", *entry_lines(found))))
    screen.line(f"criteria: {found.criteria.criterion}; {found.criteria.status}")
    screen.line(f"verdict: {WORDS[found.status]}. {HEADLINES[found.status]}")

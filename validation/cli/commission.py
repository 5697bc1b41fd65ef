"""`mcverify commission`: measured scans of a machine against Monte Carlo."""

from __future__ import annotations

import time
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

from mc.machine.beam_model import is_shipped
from mc.machine.folder import named_machine
from mc.machine.machine import Machine
from mc.run.parallel import World
from phantoms.errors import InputError
from validation.cli.screen import Screen, clock
from validation.commission.criteria import DEFAULT, load_criteria
from validation.commission.finished import FOLDER, FinishedFields
from validation.commission.prepare import Prepared, prepare
from validation.commission.recording import commissioned_beams, record, to_toml
from validation.commission.run import Commissioning, Effort
from validation.scans import read_folder
from validation.scans.scan import field_text
from validation.workflow import output
from validation.workflow.machines import commission_machine
from validation.workflow.reports import TUNED, write_files

PASSED, FAILED, NO_VERDICT = 0, 1, 2


def run(arguments: Namespace, screen: Screen, ranks: World) -> int:
    """Compute what was measured, compare, report; 1 if a scan fails, 2 if some are too noisy to judge."""
    started = time.monotonic()
    machine = named_machine(arguments.machine)
    criteria = load_criteria(arguments.criteria or DEFAULT)
    measured = read_folder(arguments.scans)
    out = arguments.out
    if out.resolve().is_relative_to(arguments.scans.resolve()):
        raise InputError(out, "lies in the folder of the scans", output.OTHER_FOLDER)
    if ranks.rank == 0:
        output.make_folder(out)
    effort = Effort(
        arguments.uncertainty,
        arguments.max_time,
        arguments.voxel,
        arguments.seed,
        arguments.threads,
        arguments.tune_electrons,
        arguments.tune_uncertainty,
    )
    prepared = prepare(machine, measured, criteria)
    _show_prepared(prepared, machine, screen)
    agreed = arguments.yes or not prepared.assumptions or screen.confirm("compute on these assumptions?")
    if not ranks.broadcast(agreed):
        return NO_VERDICT
    finished, tuned = FinishedFields(out / FOLDER), arguments.tune or ()
    with screen.progress() as bar:
        listener = replace(bar.listener, message=screen.note)
        try:
            found = commission_machine(machine, measured, criteria, effort, tuned, ranks, listener, finished)
        except KeyboardInterrupt:
            screen.note(
                f"interrupted: {finished.count()} of {len(prepared.fields)} fields are finished and kept in "
                f"{finished.folder}; the same command goes on from there"
            )
            return NO_VERDICT
        if ranks.rank > 0:
            return PASSED  # rank 0 has the last word
        bar.stage("writing the report")
        report = write_files(found, out)
    finished.remove()
    show(found, screen)
    _enter(found, out, arguments.no_record, screen)
    screen.line(f"{clock(time.monotonic() - started)}; report: {report}")
    return {"pass": PASSED, "fail": FAILED}.get(found.status, NO_VERDICT)


def _show_prepared(prepared: Prepared, machine: Machine, screen: Screen) -> None:
    """Print what will be computed, and what has to be assumed for it."""
    rows = [
        (f.quality.label, field_text(f.jaws), f"{f.ssd_cm:g}", len(f.scans), len(f.output_factors))
        for f in prepared.fields
    ]
    columns = ("beam", "field", "SSD [cm]", "scans", "output factors")
    screen.table(f"{machine.name}: fields to be computed", columns, rows, right=(2, 3, 4))
    for text in prepared.assumptions:
        screen.warn(f"assumed: {text}")


def _enter(found: Commissioning, out: Path, print_only: bool, screen: Screen) -> None:
    """Enter a passed commissioning in the tuned or the user's machine file, or else print the block."""
    stated = commissioned_beams(found)
    if not stated:
        return
    path = found.machine.path if found.tuning is None else out / TUNED
    if not print_only and not is_shipped(path):
        try:
            record(stated, path)
        except InputError as error:
            screen.warn(str(error))
        else:
            screen.line(f"entered in {path}: {', '.join(stated)} commissioned")
            return
    screen.line("for the machine file, below the beam's [energies.reference]:")
    for label, block in stated.items():
        screen.line(to_toml(label, block))


def show(found: Commissioning, screen: Screen) -> None:
    """Print the table of scans and the verdict, in the words of the report."""
    from validation.report.commission import (
        HEADLINES,
        WORDS,
        cost_text,
        entry_lines,
        factor_lines,
        scan_lines,
        value_lines,
    )

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

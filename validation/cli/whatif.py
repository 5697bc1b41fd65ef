"""`mcverify whatif`: what errors of the patient's setup do to a plan that was computed."""

from __future__ import annotations

import time
from argparse import Namespace

from mc.run.parallel import World
from validation.cli.arguments import run_options
from validation.cli.screen import Screen, clock
from validation.whatif import SetupError, WhatIf
from validation.workflow import output
from validation.workflow.reports import write_files
from validation.workflow.results import Result, profile_of
from validation.workflow.setup_errors import what_if

DONE = 0


def run(arguments: Namespace, screen: Screen, ranks: World) -> int:
    """Draw the curves, and compute again the setups asked for."""
    started, folder = time.monotonic(), arguments.result
    profile = profile_of(arguments.profile, folder)
    out = arguments.out or folder
    with screen.progress() as bar, output.beside_or_in(out, folder):
        bar.stage("reading the result")
        found = what_if(
            Result.load(folder),
            shift_mm=10.0 * arguments.shift,
            turn_deg=arguments.turn,
            sigma_mm=10.0 * arguments.sigma,
            sigma_deg=arguments.sigma_turn,
            structures=arguments.structure or (),
            checks=[SetupError(**amounts) for amounts in arguments.check or ()],
            profile=profile,
            machine=arguments.machine,
            options=run_options(arguments, ranks),
            listener=bar.listener,
        )
        bar.stage("writing the report")
        report = write_files(found, out)
    show(found, screen)
    screen.line(f"{clock(time.monotonic() - started)}; report: {report}")
    return DONE


def show(found: WhatIf, screen: Screen) -> None:
    """Print notes, random errors and checks."""
    from validation.report.whatif import check_lines, random_lines

    for note in found.notes:
        screen.warn(note)
    columns, rows = random_lines(found)
    sigmas = f"{found.translation_sigma_mm:g} mm, {found.rotation_sigma_deg:g} degrees"
    screen.table(f"random setup errors ({sigmas})", columns, rows, right=tuple(range(2, 6)))
    if found.checks:
        columns, rows = check_lines(found)
        screen.table("computed again by Monte Carlo", columns, rows, right=(3, 4, 5))

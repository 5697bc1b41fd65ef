"""`mcverify report`: the report of a result made again, by the same limits or others."""

from __future__ import annotations

import time
from argparse import Namespace

from mc.run.parallel import World
from validation.cli.screen import Screen, clock
from validation.cli.verdict import exit_code, show_verdict
from validation.workflow import output
from validation.workflow.reports import write_files
from validation.workflow.results import Result, patient_of, profile_of


def run(arguments: Namespace, screen: Screen, ranks: World) -> int:
    """Compare again and write report and result; the exit code is that of the verdict."""
    started, folder = time.monotonic(), arguments.result
    profile = profile_of(arguments.profile, folder)
    name = patient_of(folder) if arguments.name else ""
    out = arguments.out or folder
    with screen.progress() as bar, output.beside_or_in(out, folder):
        bar.stage("reading the result")
        result = Result.load(folder)
        bar.stage("comparing")
        comparison = result.compare(profile, name=name, on_stage=bar.stage)
        bar.stage("writing the report")
        report = write_files(comparison, out)
    show_verdict(comparison, screen)
    screen.line(f"{clock(time.monotonic() - started)}; report: {report}")
    return exit_code(comparison)

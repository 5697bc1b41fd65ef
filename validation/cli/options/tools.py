"""Options of `inspect`, `validate` and `warmup`."""

from __future__ import annotations

import argparse
from pathlib import Path

from validation.cli import units

INSPECT = """\
Say what a file or folder is, in a table: a DICOM export or CT series, an RTSTRUCT with volumes, an RTPLAN
with beams, an RTDOSE, an IAEA phase space, a dose.h5, a machine by its name or file, a result folder of
mcverify, scans of a water tank or of film, or a TOML file: machine, case, profile, CT calibration, phantom,
criteria, films, film calibration, configuration."""

VALIDATE = """\
Hold the engine against published data and independent codes: cross sections, stopping powers, electron
ranges, Fano's theorem, doses in water and slabs. docs/validation.md explains the rules and shows the last
verdicts. Cases that need phase spaces too large to be shipped are skipped where these are not found."""

VALIDATE_EPILOG = """\
A full run takes hours. It saves its sums every minute; broken off, by Ctrl-C or otherwise, the same command
resumes where it stopped. A figure fails when it exceeds its limit by more than its own uncertainty.

examples:
  mcverify validate --list
  mcverify validate --quick                        all cases, some 15 minutes of one processor
  mcverify validate 'r50_*' fano_water
  nohup mcverify validate > validate.log 2>&1 &    everything, detached

exit code: 0 all passed, 1 one failed, 2 none judged (interrupted, data not here)"""

WARMUP = """\
Compile the kernels and keep them in the user's cache, so that the next command starts within seconds.
Anything that needs kernels does this by itself; on a cluster, run it once before the first job."""


def add(commands: argparse._SubParsersAction) -> None:
    """Add these commands."""
    inspect = commands.add_parser(
        "inspect", help="what is this file, folder or machine?", description=INSPECT
    )
    inspect.add_argument("path", metavar="FILE|DIR|MACHINE", type=Path)
    _validate(
        commands.add_parser(
            "validate",
            help="hold the engine against references",
            description=VALIDATE,
            epilog=VALIDATE_EPILOG,
        )
    )
    commands.add_parser("warmup", help="compile the kernels", description=WARMUP)


def _validate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("case", metavar="CASE", nargs="*", help="names or patterns such as r50_* (all)")
    parser.add_argument("--quick", action="store_true", help="fewer histories, systematic limits of 1%%")
    parser.add_argument("--list", action="store_true", help="show the cases, run none")
    parser.add_argument(
        "--record",
        action="store_true",
        help="write figure and verdict into validation/cases of the checkout, and renew docs/validation.md",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        default=Path("validation-results"),
        help="results, and the sums from which a run goes on (%(default)s)",
    )
    parser.add_argument("--threads", metavar="N", type=units.count, help="default: all processors")

"""Options of `plan`, `report`, `whatif` and `demo`."""

from __future__ import annotations

import argparse
from pathlib import Path

from validation.cli import units
from validation.cli.options import common

PLAN = """\
Compute the dose of a plan by Monte Carlo and compare it with the planning system's.

CASE_DIR holds the export of one plan: CT series, RTSTRUCT, RTPLAN and RTDOSE (of the plan, or one of each
beam), in any arrangement; they are matched by their UIDs. A file case.toml in it may name a CT calibration
curve, the body outline, and structures of known material (implants).

The result folder receives
  dose.h5       dose and its uncertainties (written first)
  RTDOSE.dcm    the Monte Carlo dose, on the grid of the plan's RTDOSE
  report.html   verdict, tables and figures in one file
  report.pdf    the same on a few pages, to sign
  result.json   the same for programs
  inputs.h5     what `mcverify report` makes the report of again; names no patient"""

PLAN_EPILOG = """\
Without an RTDOSE in the export the Monte Carlo dose alone is computed: DVH and dose limits, no verdict.

The run stops at whichever of --uncertainty, --histories and --max-time comes first. Ctrl-C stops it too and
keeps what is done. Uncertainties are one sigma, the rms over all voxels above half the maximum dose.

examples:
  mcverify plan export/
  mcverify plan export/ --machine TB1 --profile stereotactic --out result/
  mcverify plan export/ --uncertainty 2% --max-time 10min
  mcverify plan export/ --voxel 2mm --calibration schneider-24
  mcverify plan RTPLAN.dcm --phantom water --machine linac.toml

While it computes, the result folder holds checkpoint.h5 as well. Broken off by whatever means, the same
command resumes from there, on any number of ranks and threads, to the same dose bit for bit. SIGTERM and
SIGUSR1 write it and end the run with exit code 75. docs/cluster.md describes how to use that.

exit code: 0 passed, 1 failed, 2 no verdict (bad input, interrupted), 75 suspended"""

REPORT = """\
Make the report of a result again, by the same limits or others, in seconds: nothing is transported.

RESULT_DIR is what `mcverify plan` left. Its dose.h5 and inputs.h5 are all that is needed, the export is not;
report.html, report.pdf and result.json are replaced, or written to --out."""

REPORT_EPILOG = """\
examples:
  mcverify report result/ --profile stereotactic
  mcverify report result/ --profile our-limits.toml --out second-opinion/
  mcverify report result/ --name                   with the patient's name, for the paper record

exit code: 0 passed, 1 failed, 2 no verdict (bad input, interrupted)"""

WHATIF = """\
Coverage of the targets and dose of the cord against translations and rotations of the patient, from the
result folder of a plan: one axis at a time, and with random errors along all of them. The dose stays in the
room while the patient moves through it, and follows the radiological depths of the beams. Writes whatif.html,
whatif.pdf, whatif.png and whatif.json."""

WHATIF_EPILOG = """\
Axes are those of the table top of IEC 61217 with the couch at 0: lateral X, longitudinal Y (to the gantry),
vertical Z (up); pitch, roll and yaw are right-handed rotations about them through the isocentre. The report
says what a positive error means for this patient.

examples:
  mcverify whatif result/
  mcverify whatif result/ --shift 8mm --turn 2deg --structure Kidney_L
  mcverify whatif result/ --check vertical=-3mm --check lateral=2mm,yaw=1deg --uncertainty 2%

exit code: 0 done, 2 no curves (bad input)"""

DEMO = """\
Check the built-in plan: a real lumbar spine with a hip implant, five 6 MV FFF fields on L1, from the
electrons on the linac's target to the report. The first run compiles the kernels, simulates the linac's head
and keeps its phase space (14.5 MB) in the cache, about two minutes; the plan is then computed for at most
--max-time and ends at the uncertainty reached by then. `mcverify plan` on the same case starts from given
phase spaces instead."""


def add(commands: argparse._SubParsersAction) -> None:
    """Add these commands."""
    _plan(commands.add_parser("plan", help="check a plan", description=PLAN, epilog=PLAN_EPILOG))
    _report(
        commands.add_parser(
            "report",
            help="make a report again, by other limits",
            description=REPORT,
            epilog=REPORT_EPILOG,
        )
    )
    _whatif(
        commands.add_parser(
            "whatif",
            help="coverage and cord dose against errors of the setup",
            description=WHATIF,
            epilog=WHATIF_EPILOG,
        )
    )
    _demo(commands.add_parser("demo", help="check the built-in plan", description=DEMO))


def _plan(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "case",
        metavar="CASE_DIR",
        type=Path,
        help="folder with the export of one plan, or an RTPLAN with --phantom",
    )
    parser.add_argument(
        "--phantom",
        metavar="NAME|FILE",
        help="compute an RTPLAN in a phantom in place of a patient: water, slabs, film, or a TOML file",
    )
    parser.add_argument(
        "--dose",
        metavar="RTDOSE",
        type=Path,
        help="with --phantom: a dose to compare with, by gamma (%(metavar)s or dose.h5)",
    )
    parser.add_argument(
        "--criterion",
        metavar="DOSE/DISTANCE",
        help="of that gamma, such as 2%%/1mm (default: 3%%/2mm)",
    )
    parser.add_argument(
        "--machine",
        metavar=common.MACHINE,
        help="a machine's name or machine file (default: the machine that the plan names)",
    )
    parser.add_argument(
        "--out", metavar="DIR", type=Path, help="result folder (default: mcverify-result/LABEL-PSEUDONYM)"
    )
    common.stopping(parser, max_time=None)
    parser.add_argument(
        "--voxel",
        metavar="SIDE",
        type=units.voxel_side,
        help="side of the voxels, such as 2.5mm, and of those of RTDOSE.dcm (default: as the plan's RTDOSE)",
    )
    parser.add_argument(
        "--profile",
        metavar="NAME|FILE",
        help="limits to judge by: spine, tg101, hytec-cord, stereotactic, tg218, mppg5b, or a TOML file "
        "(default: spine, or that of config.toml)",
    )
    parser.add_argument(
        "--calibration",
        metavar="CURVE",
        help="CT calibration: opentps-4, schneider-24, water-only, or a TOML file "
        "(default: that of case.toml, or opentps-4 with a warning)",
    )
    common.fraction_group(parser)
    parser.add_argument(
        "--dose-to",
        choices=("medium", "water", "both"),
        default="medium",
        help="which Monte Carlo dose is compared: to medium (default), or to water, where the planning "
        "system reports that. With water or both, dose.h5 holds both; both compares medium",
    )
    _named(parser)
    common.computing(parser)
    common.checkpoints(parser)
    _overwriting(parser)


def _report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("result", metavar="RESULT_DIR", type=Path, help="result folder of `mcverify plan`")
    parser.add_argument(
        "--profile",
        metavar="NAME|FILE",
        help="limits to judge by (default: those the result was judged by)",
    )
    parser.add_argument("--out", metavar="DIR", type=Path, help="folder to write to (default: RESULT_DIR)")
    _named(parser)


def _whatif(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("result", metavar="RESULT_DIR", type=Path, help="result folder of `mcverify plan`")
    parser.add_argument(
        "--shift",
        metavar="DISTANCE",
        type=units.length,
        default=0.5,
        help="largest translation of the curves (default: 5mm)",
    )
    parser.add_argument(
        "--turn", metavar="ANGLE", type=units.angle, default=3.0, help="largest rotation (default: 3deg)"
    )
    parser.add_argument(
        "--sigma",
        metavar="DISTANCE",
        type=units.length,
        default=0.1,
        help="standard deviation of random translations along each axis (default: 1mm)",
    )
    parser.add_argument(
        "--sigma-turn",
        metavar="ANGLE",
        type=units.angle,
        default=0.5,
        help="standard deviation of random rotations about each axis (default: 0.5deg)",
    )
    parser.add_argument(
        "--structure",
        metavar="NAME",
        action="append",
        help="another structure to look at; may be repeated (targets and cord are looked at anyway)",
    )
    parser.add_argument(
        "--check",
        metavar="SETUP",
        action="append",
        type=units.setup_error,
        help="a setup to compute again by Monte Carlo, such as lateral=5mm,yaw=-1deg; may be repeated",
    )
    parser.add_argument(
        "--profile",
        metavar="NAME|FILE",
        help="limits to draw (default: those the result was judged by)",
    )
    parser.add_argument(
        "--machine", metavar=common.MACHINE, help="a machine's name or machine file, for --check"
    )
    parser.add_argument("--out", metavar="DIR", type=Path, help="folder to write to (default: RESULT_DIR)")
    common.stopping(parser, max_time=None)
    common.computing(parser)


def _demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", metavar="DIR", type=Path, default=Path("mcverify-demo"), help="result folder (%(default)s)"
    )
    common.stopping(parser, max_time=120.0)
    common.computing(parser)
    common.checkpoints(parser)
    _overwriting(parser)


def _overwriting(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace the result of another plan or patient (default: refuse such a folder)",
    )


def _named(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--name",
        action=argparse.BooleanOptionalAction,
        help="print the patient's name and ID in report.html and report.pdf (default: a pseudonym, unless "
        "config.toml chooses otherwise)",
    )

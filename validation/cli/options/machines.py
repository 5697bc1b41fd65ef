"""Options of `machines`, `machine`, `calibrate`, `commission`, `head` and `heads`."""

from __future__ import annotations

import argparse
from pathlib import Path

from validation.cli import units
from validation.cli.options import common

MACHINES = """\
List the machines that plans can name: your own and those shipped, with their beams and what the model of each
is worth: generic, calibrated, commissioned, or changed since."""

MACHINE = """\
Make a machine file of your own from another, in your folder of machine files, under the name by which your
plans call the machine (TreatmentMachineName). It works at once; docs/your-linac.md says what to measure and
which entry it sets."""

MACHINE_EPILOG = """\
examples:
  mcverify machine new TB1 --from GEN-M120
  mcverify machine new TB1 --from GEN-M120 --energies 6,6FFF"""

HEADS = """\
List the heads in the cache: phase spaces that were simulated at first use of a machine. A head that is
removed is simulated again when it is next needed."""

HEADS_EPILOG = """\
examples:
  mcverify heads
  mcverify heads --remove 1f0c2a77
  mcverify heads --remove all"""

CALIBRATE = """\
Compute the dose per source history in the reference condition of a machine's beam qualities.

It depends only on the phase space, the cross sections and the reference condition. Without it in the machine
file `mcverify plan` computes it when it first needs it and keeps it in the user's cache."""

CALIBRATE_EPILOG = """\
The block [energies.calibration] belongs below the [[energies]] it is of. --out writes the blocks to a file.

examples:
  mcverify calibrate linac.toml
  mcverify calibrate linac.toml --uncertainty 0.2% --out calibration.toml"""

COMMISSION = """\
Compute by Monte Carlo what was measured of a machine in the water tank, and compare.

SCANS_DIR holds the scans: PTW MEPHYSTO (.mcc), IBA RFA300 ASCII, Varian W2CAD, or CSV with named columns, and
output factors as CSV. What the files do not state stands in scans.toml beside them (docs/commissioning.md).
Each field is one run; the result folder receives commissioning.html, the same as
commissioning.pdf, and commissioning.json. A passed commissioning is entered in the machine file; every report
on this machine then names it, until an entry that was judged is edited."""

COMMISSION_EPILOG = """\
examples:
  mcverify commission linac.toml scans/
  mcverify commission linac.toml scans/ --uncertainty 0.3% --out commissioning/
  mcverify commission linac.toml scans/ --criteria own.toml --max-time 10min

After Ctrl-C the finished fields are kept in the result folder, and the same command goes on from there.

exit code: 0 passed, 1 failed, 2 no verdict (bad input, interrupted, too noisy)"""

HEAD = """\
Simulate the head of a linac: electrons on the target, and all their secondaries down to the plane above the
jaws, as an IAEA phase space (NAME.IAEAheader and NAME.IAEAphsp). The machine file describes target,
collimator, filter and chamber under [energies.head]; see docs/formats.md."""

HEAD_EPILOG = """\
Ctrl-C ends the file early and keeps what is done. The file depends on the seed, not on the threads.

examples:
  mcverify head linac.toml --electrons 1e6
  mcverify head linac.toml --beam "6 MV FFF" --electrons 2e5 --out beams/6fff"""


def add(commands: argparse._SubParsersAction) -> None:
    """Add these commands."""
    commands.add_parser("machines", help="which machines are there?", description=MACHINES)
    _machine(
        commands.add_parser(
            "machine", help="a machine file of your own", description=MACHINE, epilog=MACHINE_EPILOG
        )
    )
    _calibrate(
        commands.add_parser(
            "calibrate",
            help="dose per source history of a machine's beams",
            description=CALIBRATE,
            epilog=CALIBRATE_EPILOG,
        )
    )
    _commission(
        commands.add_parser(
            "commission",
            help="compare a machine's beams with measured scans",
            description=COMMISSION,
            epilog=COMMISSION_EPILOG,
        )
    )
    _head(
        commands.add_parser(
            "head", help="phase space of a machine's head", description=HEAD, epilog=HEAD_EPILOG
        )
    )
    heads = commands.add_parser(
        "heads", help="simulated heads in the cache", description=HEADS, epilog=HEADS_EPILOG
    )
    heads.add_argument(
        "--remove", metavar="HEAD", nargs="+", help='remove these, by their names in the list; or "all"'
    )


def _machine(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, title="actions")
    new = actions.add_parser("new", help="copy another machine")
    new.add_argument("name", metavar="NAME", help="TreatmentMachineName of your plans")
    new.add_argument(
        "--from",
        dest="source",
        metavar=common.MACHINE,
        required=True,
        help="machine to copy, by its name or its file; `mcverify machines` lists them",
    )
    new.add_argument(
        "--energies",
        metavar="BEAMS",
        type=lambda text: tuple(part.strip() for part in text.split(",")),
        help="beams to keep, such as 6,6FFF (default: all)",
    )


def _calibrate(parser: argparse.ArgumentParser) -> None:
    common.machine(parser)
    parser.add_argument(
        "--uncertainty",
        metavar="PERCENT",
        type=units.percentage,
        default=0.003,
        help="transport sigma of the reference dose at which to stop (default: 0.3%%)",
    )
    parser.add_argument("--max-time", metavar="TIME", type=units.duration, help="such as 90s, 10min")
    parser.add_argument("--out", metavar="FILE", type=Path, help="write the TOML blocks to this file")
    common.computing(parser)


def _commission(parser: argparse.ArgumentParser) -> None:
    common.machine(parser)
    parser.add_argument("scans", metavar="SCANS_DIR", type=Path, help="folder with the measured scans")
    parser.add_argument(
        "--out", metavar="DIR", type=Path, default=Path("mcverify-commissioning"), help="(%(default)s)"
    )
    parser.add_argument(
        "--tune",
        metavar="NAMES",
        type=lambda text: tuple(name.strip() for name in text.split(",")),
        help="tune the machine first: energy, spot (size), filter (thickness), leaves, jaws (offsets of "
        "their ends), parted by commas; the result folder receives tuned.toml",
    )
    parser.add_argument(
        "--tune-electrons",
        metavar="N",
        type=units.count,
        default=100_000,
        help="on the target, for each head of the search; three times as many in its last round "
        "(default: 100000)",
    )
    parser.add_argument(
        "--tune-uncertainty",
        metavar="PERCENT",
        type=units.percentage,
        default=0.012,
        help="transport sigma of the curves of the search, higher than of its last round (default: 1.2%%)",
    )
    parser.add_argument(
        "--yes", action="store_true", help="do not ask before computing on what has to be assumed"
    )
    parser.add_argument(
        "--no-record",
        action="store_true",
        help="do not enter a passed commissioning in the machine file, only print the block",
    )
    parser.add_argument(
        "--criteria",
        metavar="NAME|FILE",
        help="limits to judge by: default (1 %%/1 mm beyond the build-up), or a TOML file",
    )
    parser.add_argument(
        "--uncertainty",
        metavar="PERCENT",
        type=units.percentage,
        default=0.004,
        help="transport sigma of the curves at which to stop (default: 0.4%%)",
    )
    parser.add_argument(
        "--max-time",
        metavar="TIME",
        type=units.duration,
        help="for each field, such as 90s, 10min; two passes over its particles are completed anyway",
    )
    parser.add_argument(
        "--voxel",
        metavar="SIDE",
        type=units.voxel_side,
        help="side of the tank's voxels (default: 2, 1 or 0.5 mm, by the width of the field)",
    )
    common.computing(parser)


def _head(parser: argparse.ArgumentParser) -> None:
    common.machine(parser)
    parser.add_argument(
        "--electrons",
        metavar="N",
        type=units.count,
        help="on the target, such as 1e6 (default: as the machine file says)",
    )
    parser.add_argument(
        "--beam", metavar="LABEL", help='such as "6 MV FFF" (default: all whose head is described)'
    )
    parser.add_argument(
        "--out",
        metavar="STEM",
        type=Path,
        help="path of the files without extension (default: MACHINE_BEAM in the working folder)",
    )
    parser.add_argument(
        "--keep-wide",
        action="store_true",
        help="record photons past the splitting field too; they carry the full weight, and much noise",
    )
    common.computing(parser)

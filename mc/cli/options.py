"""The options of `mcverify`, and what its help says."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from mc import __version__
from mc.cli import places, units
from phantoms.errors import InputError

DESCRIPTION = """\
Independent Monte Carlo check of radiotherapy plans.

Give it what the planning system exported (CT, RTSTRUCT, RTPLAN, RTDOSE of one plan); it computes the dose
anew by Monte Carlo and says how far the plan can be trusted. Not a medical device."""

EPILOG = """\
examples:
  mcverify demo                                    a real spine case, from the DICOM to the report
  mcverify plan export/ --out result/              check a plan; the machine is found by its name
  mcverify gamma plan.dcm other.dcm --criterion 2%/1mm
  mpiexec -n 4 mcverify plan export/ --threads 8   the same dose, on more processors

exit code: 0 passed or done, 1 failed, 2 no verdict (bad input, interrupted), 75 suspended
`mcverify COMMAND --help` explains a command."""

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
The run stops at whichever of --uncertainty, --histories and --max-time comes first. Ctrl-C stops it too and
keeps what is done. Uncertainties are one sigma, the rms over all voxels above half the maximum dose.

examples:
  mcverify plan export/
  mcverify plan export/ --machine linac.toml --profile stereotactic --out result/
  mcverify plan export/ --uncertainty 2% --max-time 10min
  mcverify plan export/ --voxel 2mm --calibration schneider-24
  mcverify plan RTPLAN.dcm --phantom water --machine linac.toml

While it computes, the result folder holds checkpoint.h5 as well. Broken off by whatever means, the same
command goes on from there, on any number of ranks and threads, to the same dose bit for bit. SIGTERM and
SIGUSR1 write it and end the run with exit code 75. docs/cluster.md tells how to use that.

exit code: 0 passed, 1 failed, 2 no verdict (bad input, interrupted), 75 suspended"""

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

DEMO = """\
Check the built-in plan: a real lumbar spine with a hip implant, five 6 MV FFF fields on L1. The first run
compiles the kernels (some twenty seconds), then computes for at most --max-time and ends at the uncertainty
reached by then."""

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
output factors as CSV. What the files do not tell stands in scans.toml beside them (docs/commissioning.md).
Each field is one run; the result folder receives commissioning.html, the same as
commissioning.pdf, and commissioning.json."""

COMMISSION_EPILOG = """\
examples:
  mcverify commission linac.toml scans/
  mcverify commission linac.toml scans/ --uncertainty 0.3% --out commissioning/
  mcverify commission linac.toml scans/ --criteria own.toml --max-time 10min

exit code: 0 passed, 1 failed, 2 no verdict (bad input, interrupted, too noisy)"""

HEAD = """\
Simulate the head of a linac: electrons on the target, and all they set free down to the plane above the jaws,
as an IAEA phase space (NAME.IAEAheader and NAME.IAEAphsp). The machine file describes target, collimator,
filter and chamber under [energies.head]; docs/formats.md tells how."""

HEAD_EPILOG = """\
Ctrl-C ends the file early and keeps what is done. The file depends on the seed, not on the threads.

examples:
  mcverify head linac.toml --electrons 1e6
  mcverify head linac.toml --beam "6 MV FFF" --electrons 2e5 --out beams/6fff"""

PHSP = """\
Look at IAEA phase spaces, and make others of them. What is written counts the original histories of what it
was made from, so doses per history stay what they were."""

PHSP_EPILOG = """\
examples:
  mcverify phsp info head.IAEAheader               what it holds, and the sigma its histories leave
  mcverify phsp merge a b c --out all              independent parts of one beam
  mcverify phsp filter head --kind photon --radius 5cm --out narrow
  mcverify phsp rotate head --copies 3 --out more  above the jaws, where the head is symmetric
  mcverify phsp plot head --out head.png"""

GAMMA = """\
Compare two doses by gamma (Low et al. 1998), with the exact minimum over the interpolated dose.

Gamma is not symmetric: each voxel of REFERENCE above the threshold is looked for in EVALUATED. Take the
smooth dose, usually the plan's, as the reference. Both may be an RTDOSE or a dose.h5 of mcverify."""

GAMMA_EPILOG = """\
examples:
  mcverify gamma plan.dcm mc.dcm --criterion 2%/1mm
  mcverify gamma plan.dcm result/dose.h5 --criterion 3%/2mm --tolerance 95%
  mcverify gamma plan.dcm mc.dcm --structure-file RTSTRUCT.dcm --structure PTV --out gamma.json

exit code: 0 (or passed, with --tolerance), 1 rate below the tolerance, 2 no rate"""

DVH = """\
Dose-volume histograms: metrics of every structure of an RTSTRUCT, and the dose limits of a profile for a
number of fractions. DOSE is an RTDOSE or a dose.h5 of mcverify; a second one may be compared with it."""

DVH_EPILOG = """\
Structures are cut finer than voxels, and doses interpolated; docs/dvh.md explains how.
Metrics: Dmean Dmin Dmax D95% D0.35cc V20Gy V20Gy[cc] V100% CV12Gy (spared volume) DC700cc.

examples:
  mcverify dvh RTDOSE.dcm RTSTRUCT.dcm --plan RTPLAN.dcm
  mcverify dvh RTDOSE.dcm RTSTRUCT.dcm --fractions 3 --profile tg101 --prescription 24Gy --out dvh
  mcverify dvh RTDOSE.dcm RTSTRUCT.dcm --compare result/dose.h5 --metrics D5cc,V20Gy[cc]

exit code: 0, 1 where a dose limit is broken, 2 bad input"""

INSPECT = """\
Say what a file or folder is, in a table: a DICOM export or CT series, an RTSTRUCT with volumes, an RTPLAN
with beams, an RTDOSE, an IAEA phase space, a dose.h5, a machine file or a result folder of mcverify."""

FILM = """\
A scan of radiochromic film (16-bit RGB TIFF) against a plane of a dose: dose by a film calibration,
registration by marks, by hand or automatically, difference, profiles and gamma in the plane, as a report.
Several scans of the same film are averaged. docs/film.md explains it all."""

FILM_EPILOG = """\
Coordinates are those of the patient (DICOM): u and v are x and y of an axial plane, x and z of a coronal one,
y and z of a sagittal one. Pixels count from 0 at the upper left of the scan; whole numbers are their middles.

examples:
  mcverify film film.tif --calibration CAL.toml --plane mcverify-result/PLAN --cut coronal=-12.5mm --out film
  mcverify film a.tif b.tif --calibration CAL.toml --plane RTDOSE.dcm --strip 0Gy@20,30,120,60
      --strip 6Gy@20,80,120,110                      two films of known dose scanned along with it
  mcverify film film.tif --calibration CAL.toml --plane RTDOSE.dcm --mark 740,225=-,0mm --mark 145,221=-,0mm
      --mark 440,31=0mm,-                            three laser ticks: two on the line v = 0, one on u = 0

exit code: 0 passed, 1 failed, 2 no verdict (dose missing on the film, bad input)"""

FILM_CALIBRATE = """\
Make a film calibration from films of known dose, listed in FILMS.toml: curves of the three channels and the
correction of the scanner's lateral response. Writes CAL.toml and, beside it, a report with all residuals."""

VALIDATE = """\
Hold the engine against published data and independent codes: cross sections, stopping powers, electron
ranges, Fano's theorem, doses in water and slabs. The cases lie in validation/cases of a source checkout;
docs/validation.md explains the rules and shows the last verdicts."""

VALIDATE_EPILOG = """\
A full run takes hours. It saves its sums every minute; broken off, by Ctrl-C or otherwise, the same command
goes on where it was. A figure fails when it exceeds its limit by more than its own uncertainty.

examples:
  mcverify validate --list
  mcverify validate --quick                        all cases, some 15 minutes of one processor
  mcverify validate 'r50_*' fano_water
  nohup mcverify validate > validate.log 2>&1 &    everything, detached

exit code: 0 all passed, 1 one failed, 2 none judged (interrupted, data not here)"""

WARMUP = """\
Compile the kernels and keep them in the user's cache, so that the next command starts within seconds.
Anything that needs kernels does this by itself; on a cluster, run it once before the first job."""


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line, like every other bad input."""

    def __init__(self, *args, **options) -> None:
        super().__init__(
            *args, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **options
        )

    def error(self, message: str) -> NoReturn:
        command = self.prog.removeprefix("mcverify").strip()
        raise InputError(command or "command line", message, f"`{self.prog} --help` explains")


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; `command` names the module of `mc.cli` that runs it."""
    return _parser().parse_args(argv)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="mcverify", description=DESCRIPTION, epilog=EPILOG)
    parser.add_argument("--version", action="version", version=f"mcverify {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, title="commands")
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
    _phsp(commands.add_parser("phsp", help="tools for phase spaces", description=PHSP, epilog=PHSP_EPILOG))
    _film(commands.add_parser("film", help="compare a scanned film", description=FILM, epilog=FILM_EPILOG))
    _film_calibrate(
        commands.add_parser(
            "film-calibrate", help="calibration from films of known dose", description=FILM_CALIBRATE
        )
    )
    _gamma(commands.add_parser("gamma", help="compare two doses", description=GAMMA, epilog=GAMMA_EPILOG))
    _dvh(commands.add_parser("dvh", help="DVH and dose limits", description=DVH, epilog=DVH_EPILOG))
    inspect = commands.add_parser("inspect", help="what is this file or folder?", description=INSPECT)
    inspect.add_argument("path", metavar="FILE_OR_DIR", type=Path)
    _validate(
        commands.add_parser(
            "validate",
            help="hold the engine against references",
            description=VALIDATE,
            epilog=VALIDATE_EPILOG,
        )
    )
    commands.add_parser("warmup", help="compile the kernels", description=WARMUP)
    return parser


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
        metavar="MACHINE.toml",
        type=Path,
        help="machine file; otherwise the one of the plan's TreatmentMachineName is looked for",
    )
    parser.add_argument(
        "--out", metavar="DIR", type=Path, help="result folder (default: mcverify-result/PLAN LABEL)"
    )
    _stopping(parser, max_time=None)
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
        "(default: spine)",
    )
    parser.add_argument(
        "--calibration",
        metavar="CURVE",
        help="CT calibration: opentps-4, schneider-24, water-only, or a TOML file "
        "(default: that of case.toml, or opentps-4 with a warning)",
    )
    parser.add_argument(
        "--dose-to",
        choices=("medium", "water", "both"),
        default="medium",
        help="which Monte Carlo dose is compared: to medium (default), or to water, where the planning "
        "system reports that. With water or both, dose.h5 holds both; both compares medium",
    )
    _named(parser)
    _computing(parser)
    _checkpoints(parser)


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
    parser.add_argument("--machine", metavar="MACHINE.toml", type=Path, help="machine file, for --check")
    parser.add_argument("--out", metavar="DIR", type=Path, help="folder to write to (default: RESULT_DIR)")
    _stopping(parser, max_time=None)
    _computing(parser)


def _named(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--name",
        action="store_true",
        help="print the patient's name and ID in report.html and report.pdf (default: a pseudonym)",
    )


def _demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", metavar="DIR", type=Path, default=Path("mcverify-demo"), help="result folder (%(default)s)"
    )
    _stopping(parser, max_time=200.0)
    _computing(parser)
    _checkpoints(parser)


def _calibrate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("machine", metavar="MACHINE.toml", type=Path)
    parser.add_argument(
        "--uncertainty",
        metavar="PERCENT",
        type=units.percentage,
        default=0.003,
        help="transport sigma of the reference dose at which to stop (default: 0.3%%)",
    )
    parser.add_argument("--max-time", metavar="TIME", type=units.duration, help="such as 90s, 10min")
    parser.add_argument("--out", metavar="FILE", type=Path, help="write the TOML blocks to this file")
    _computing(parser)


def _commission(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("machine", metavar="MACHINE.toml", type=Path)
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
        default=250_000,
        help="on the target, for each head of the search (default: 250000)",
    )
    parser.add_argument(
        "--tune-uncertainty",
        metavar="PERCENT",
        type=units.percentage,
        default=0.006,
        help="transport sigma of the curves of the search (default: 0.6%%)",
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
    _computing(parser)


def _head(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("machine", metavar="MACHINE.toml", type=Path)
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
    _computing(parser)


def _phsp(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, title="actions")
    one = {"metavar": "PHASE_SPACE", "type": Path, "help": "header, data file or their common stem"}

    def plane(action: argparse.ArgumentParser) -> None:
        action.add_argument(
            "--plane",
            metavar="Z",
            type=units.length,
            default=100.0,
            help="height of the plane that is looked at (default: 100cm)",
        )

    info = actions.add_parser("info", help="contents and latent sigma")
    info.add_argument("path", **one)
    plane(info)
    info.add_argument(
        "--square",
        metavar="SIDE",
        type=units.length,
        default=1.5,
        help="of the latent sigma (default: 1.5cm)",
    )
    together = actions.add_parser("merge", help="put independent parts of one beam together")
    together.add_argument("paths", nargs="+", **one)
    thin = actions.add_parser("filter", help="keep some of the particles")
    thin.add_argument("path", **one)
    thin.add_argument(
        "--kind", action="append", choices=("photon", "electron", "positron"), help="may be repeated"
    )
    thin.add_argument("--above", metavar="ENERGY", type=units.energy, default=0.0, help="such as 0.5MeV")
    thin.add_argument("--below", metavar="ENERGY", type=units.energy, default=math.inf, help="such as 2MeV")
    thin.add_argument(
        "--radius", metavar="R", type=units.length, help="that cross --plane within it, flying straight"
    )
    plane(thin)
    thin.add_argument(
        "--all-values",
        action="store_true",
        help="keep plane and weight in every record, as some readers want it (topas2numpy, for one)",
    )
    turned = actions.add_parser("rotate", help="turn every particle about the axis by a random angle")
    turned.add_argument("path", **one)
    turned.add_argument(
        "--copies", metavar="K", type=units.count, default=1, help="of each, sharing its weight"
    )
    turned.add_argument("--seed", type=units.seed, default=1, help="names the random angles (default: 1)")
    picture = actions.add_parser("plot", help="spectrum, directions and fluence in a picture")
    picture.add_argument("path", **one)
    plane(picture)
    for action in (together, thin, turned):
        action.add_argument("--out", metavar="STEM", type=Path, required=True, help="path without extension")
    picture.add_argument("--out", metavar="FILE", type=Path, required=True, help="such as head.png, head.pdf")


def _gamma(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="REFERENCE", type=Path)
    parser.add_argument("evaluated", metavar="EVALUATED", type=Path)
    parser.add_argument(
        "--criterion",
        metavar="DOSE/DISTANCE",
        default="3%/2mm",
        help="such as 2%%/1mm (default: 3%%/2mm, as in AAPM TG-218)",
    )
    parser.add_argument(
        "--local",
        action="store_true",
        help="dose criterion in percent of each voxel's own reference dose, not of the maximum",
    )
    parser.add_argument(
        "--threshold",
        metavar="PERCENT",
        type=units.share,
        default=10.0,
        help="leave out voxels below this percentage of the reference's maximum (default: 10%%)",
    )
    parser.add_argument(
        "--dose-to",
        choices=("medium", "water"),
        default="medium",
        help="which dose of a dose.h5 that holds both (default: %(default)s)",
    )
    parser.add_argument("--structure-file", metavar="RTSTRUCT", type=Path, help="where --structure is drawn")
    parser.add_argument("--structure", metavar="NAME", help="only voxels whose centre lies in this structure")
    parser.add_argument(
        "--tolerance", metavar="PERCENT", type=units.share, help="exit with 1 below this passing rate"
    )
    parser.add_argument("--out", metavar="FILE", type=Path, help="write the figures to this JSON file")


def _dvh(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dose", metavar="DOSE", type=Path)
    parser.add_argument("structures", metavar="RTSTRUCT", type=Path)
    parser.add_argument("--compare", metavar="DOSE", type=Path, help="a second dose, such as Monte Carlo's")
    parser.add_argument(
        "--metrics",
        metavar="NAMES",
        type=lambda text: tuple(name.strip() for name in text.split(",") if name.strip()),
        default=(),
        help="more metrics, parted by commas",
    )
    parser.add_argument("--profile", metavar="NAME|FILE", help="whose limits (default: spine)")
    parser.add_argument(
        "--plan", metavar="RTPLAN", type=Path, help="number of fractions and prescription from this file"
    )
    parser.add_argument(
        "--fractions",
        metavar="N",
        type=units.count,
        help="picks the limits; a dose of one fraction is multiplied by it",
    )
    parser.add_argument(
        "--prescription", metavar="DOSE", type=units.dose, help="what V100%% speaks of, such as 24Gy"
    )
    parser.add_argument("--out", metavar="STEM", type=Path, help="write STEM.json and STEM.png")


def _film(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("scan", metavar="SCAN.tif", nargs="+", type=Path, help="scans of one film")
    parser.add_argument(
        "--calibration", metavar="CAL.toml", type=Path, required=True, help="made by film-calibrate"
    )
    parser.add_argument(
        "--plane",
        metavar="RESULT_DIR|FILE",
        type=Path,
        required=True,
        help="dose to compare with: a result folder, an RTDOSE (also of one plane) or a dose.h5",
    )
    parser.add_argument(
        "--cut",
        metavar="VIEW=PLACE",
        type=places.cut,
        help="which plane of a volume, such as coronal=-12.5mm",
    )
    parser.add_argument(
        "--scale",
        metavar="FACTOR",
        type=units.number,
        default=1.0,
        help="of the plane's dose, such as 1/5 for one fraction of five (default: 1)",
    )
    parser.add_argument(
        "--dose-to",
        choices=("medium", "water"),
        default="medium",
        help="which dose of a dose.h5 that holds both (default: %(default)s)",
    )
    parser.add_argument(
        "--out", metavar="DIR", type=Path, default=Path("mcverify-film"), help="result folder (%(default)s)"
    )
    film = parser.add_argument_group("the film")
    film.add_argument(
        "--method",
        choices=("triple", "red", "green", "blue"),
        default="triple",
        help="three channels, or one alone (default: %(default)s)",
    )
    film.add_argument(
        "--box",
        metavar="L,T,R,B",
        type=places.box,
        help="the film, in pixels (default: the largest film seen)",
    )
    film.add_argument(
        "--margin",
        metavar="WIDTH",
        type=units.length,
        default=0.2,
        help="left out along the cut edges of a film that is found (default: 2mm)",
    )
    film.add_argument("--dpi", metavar="DPI", type=units.number, help="where the scans do not state it")
    film.add_argument(
        "--middle",
        metavar="PLACE",
        type=units.length,
        help="of the scanner, from the scan's left (or upper) edge (default: the scan's middle)",
    )
    film.add_argument(
        "--strip",
        metavar="DOSE@L,T,R,B",
        type=places.strip,
        action="append",
        help="film of known dose on the scan, by which the response is rescaled; may be repeated",
    )
    where = parser.add_argument_group("registration (default: automatic)")
    where.add_argument(
        "--mark",
        metavar="X,Y=U,V",
        type=places.mark,
        action="append",
        help="pixel of the scan and its place in the plane, - for an unknown coordinate; repeat it",
    )
    where.add_argument(
        "--find-marks",
        metavar="RADIUS",
        type=units.length,
        help="move each mark to the middle of what is distinct within this radius",
    )
    where.add_argument(
        "--place",
        metavar="U,V[,ANGLE]",
        type=places.placing,
        help="where the film's middle lies in the plane, and how it is turned: 2.7mm,0mm,1.3deg "
        "(write --place=-2.7mm,...)",
    )
    where.add_argument(
        "--turn",
        type=int,
        choices=(0, 90, 180, 270),
        default=0,
        help="degrees by which the scan is to be turned counter-clockwise first",
    )
    where.add_argument("--mirror", action="store_true", help="the film was scanned from its other side")
    judged = parser.add_argument_group("comparison")
    judged.add_argument(
        "--criterion",
        metavar="DOSE/DISTANCE",
        action="append",
        help="of gamma, such as 2%%/1mm (default: 3%%/2mm); may be repeated, the first is judged",
    )
    judged.add_argument("--local", action="store_true", help="dose criterion in percent of the local dose")
    judged.add_argument(
        "--threshold",
        metavar="PERCENT",
        type=units.share,
        default=10.0,
        help="of the plane's largest dose on the film, below which nothing is judged (default: 10%%)",
    )
    judged.add_argument(
        "--tolerance",
        metavar="PERCENT",
        type=units.share,
        default=95.0,
        help="passing rate needed (default: 95%%, the tolerance limit of AAPM TG-218)",
    )
    judged.add_argument(
        "--reference",
        choices=("plane", "film"),
        default="plane",
        help="of gamma; noise of a reference lowers the rate (default: %(default)s)",
    )
    judged.add_argument(
        "--profiles", metavar="U,V", type=places.point, help="where they cross (default: at the highest dose)"
    )


def _film_calibrate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "films", metavar="FILMS.toml", type=Path, help="films of known dose (docs/formats.md)"
    )
    parser.add_argument("--out", metavar="CAL.toml", type=Path, required=True)


def _validate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("case", metavar="CASE", nargs="*", help="names or patterns such as r50_* (all)")
    parser.add_argument("--quick", action="store_true", help="fewer histories, systematic limits of 1%%")
    parser.add_argument("--list", action="store_true", help="show the cases, run none")
    parser.add_argument(
        "--record",
        action="store_true",
        help="write figure and verdict into the case's folder too, and renew the table in docs/validation.md",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        default=Path("validation-results"),
        help="results, and the sums from which a run goes on (%(default)s)",
    )
    parser.add_argument("--threads", metavar="N", type=units.count, help="default: all processors")


def _stopping(parser: argparse.ArgumentParser, max_time: float | None) -> None:
    stop = parser.add_argument_group("when to stop, whichever comes first")
    stop.add_argument(
        "--uncertainty",
        metavar="PERCENT",
        type=units.percentage,
        default=0.01,
        help="transport sigma to reach (default: 1%%)",
    )
    stop.add_argument(
        "--histories",
        metavar="N",
        type=units.count,
        help="original histories, all beams and mirror images counted, such as 1e9",
    )
    stop.add_argument(
        "--max-time",
        metavar="TIME",
        type=units.duration,
        default=max_time,
        help="time of the transport, such as 90s, 10min, 2h"
        + (f" (default: {max_time:g}s)" if max_time else ""),
    )


def _computing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--seed",
        type=units.seed,
        default=1,
        help="names the random numbers (default: 1); same seed, same dose",
    )
    parser.add_argument(
        "--threads", metavar="N", type=units.count, help="of each rank (default: all processors)"
    )


def _checkpoints(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--checkpoint-every",
        metavar="TIME",
        type=units.duration,
        default=180.0,
        help="between checkpoints, from which the same command goes on after a break (default: 3min)",
    )
    parser.add_argument("--restart", action="store_true", help="begin anew, whatever checkpoint there is")

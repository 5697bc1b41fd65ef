"""Options of `gamma` and `dvh`."""

from __future__ import annotations

import argparse
from pathlib import Path

from validation.cli import units
from validation.cli.options import common

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


def add(commands: argparse._SubParsersAction) -> None:
    """Add these commands."""
    _gamma(commands.add_parser("gamma", help="compare two doses", description=GAMMA, epilog=GAMMA_EPILOG))
    _dvh(commands.add_parser("dvh", help="DVH and dose limits", description=DVH, epilog=DVH_EPILOG))


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
    _unrelated(parser)
    parser.add_argument("--out", metavar="FILE", type=Path, help="write the figures to this JSON file")


def _unrelated(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--unrelated",
        action="store_true",
        help="use files although they state different patients or frames of reference",
    )


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
    parser.add_argument(
        "--profile", metavar="NAME|FILE", help="whose limits (default: spine, or config.toml's)"
    )
    parser.add_argument(
        "--plan", metavar="RTPLAN", type=Path, help="number of fractions and prescription from this file"
    )
    common.fraction_group(parser)
    parser.add_argument(
        "--fractions",
        metavar="N",
        type=units.count,
        help="picks the limits; a dose of one fraction is multiplied by it",
    )
    parser.add_argument(
        "--prescription", metavar="DOSE", type=units.dose, help="what V100%% speaks of, such as 24Gy"
    )
    _unrelated(parser)
    parser.add_argument("--out", metavar="STEM", type=Path, help="write STEM.json and STEM.png")

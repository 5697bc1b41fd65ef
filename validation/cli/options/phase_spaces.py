"""Options of `phsp`."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from validation.cli import units

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


def add(commands: argparse._SubParsersAction) -> None:
    """Add these commands."""
    _phsp(commands.add_parser("phsp", help="tools for phase spaces", description=PHSP, epilog=PHSP_EPILOG))


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
        "--radius", metavar="R", type=units.length, help="that cross --plane within it on a straight line"
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

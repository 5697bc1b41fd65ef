"""Options of `film` and `film-calibrate`."""

from __future__ import annotations

import argparse
from pathlib import Path

from validation.cli import places, units

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

exit code: 0 passed, 1 failed, 2 no verdict (dose missing on the film, registration failed, bad input)"""

FILM_CALIBRATE = """\
Make a film calibration from films of known dose, listed in FILMS.toml: curves of the three channels and the
correction of the scanner's lateral response. Writes CAL.toml and, beside it, a report with all residuals."""


def add(commands: argparse._SubParsersAction) -> None:
    """Add these commands."""
    _film(commands.add_parser("film", help="compare a scanned film", description=FILM, epilog=FILM_EPILOG))
    _film_calibrate(
        commands.add_parser(
            "film-calibrate", help="calibration from films of known dose", description=FILM_CALIBRATE
        )
    )


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
        help="the film, in pixels (default: the film seen; with several of like size it must be chosen)",
    )
    film.add_argument(
        "--margin",
        metavar="WIDTH",
        type=units.length,
        default=0.2,
        help="left out along the cut edges of a film that is found (default: 2mm)",
    )
    film.add_argument(
        "--dpi",
        metavar="DPI",
        type=units.number,
        help="resolution, where the scans state none or a wrong one",
    )
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

"""Reports of every kind of result: the same files, whoever asks for them."""

from __future__ import annotations

from functools import singledispatch
from pathlib import Path
from typing import Any

from phantoms.errors import InputError
from phantoms.files import replacing
from validation.commission.machine_file import write_tuned_file
from validation.commission.run import Commissioning
from validation.film.calibration import Calibration as FilmCalibration
from validation.film.calibration import write_calibration
from validation.film.check import FilmCheck
from validation.plan_check.comparison import Comparison
from validation.report.commission import commission_report
from validation.report.content import Report
from validation.report.film import film_report
from validation.report.film_calibration import calibration_report
from validation.report.html import write_html
from validation.report.pdf import write_pdf
from validation.report.plan import plan_report
from validation.report.whatif import whatif_report
from validation.report.whatif_figures import draw_curves
from validation.report.write import Result, write_result
from validation.whatif import WhatIf
from validation.workflow import output

COMMISSIONING = "commissioning.html", "commissioning.pdf", "commissioning.json"
TUNED = "tuned.toml"
FILM_MAPS = "film.npz"


@singledispatch
def write_files(found: Any, out: Path) -> Path:
    """Write what is to be read of a result; returns the HTML file.

    Parameters
    ----------
    found : Comparison, FilmCheck, Commissioning, WhatIf or film calibration
    out : Path
        The folder, which exists; of a film calibration its TOML file.

    Raises
    ------
    InputError
        If a file cannot be written, or there is no report of such a result.
    """
    raise InputError("report", f"there is none of a {type(found).__name__}")


@write_files.register
def _(found: Comparison, out: Path) -> Path:
    names = [output.PRINTED, output.PROVISIONAL_PRINTED]
    if found.statistics.provisional:
        names.reverse()
    page = _three(plan_report(found), found, out, (output.REPORT, names[0], output.RESULT))
    (out / names[1]).unlink(missing_ok=True)  # of an older report
    return page


@write_files.register
def _(found: FilmCheck, out: Path) -> Path:
    page = _three(film_report(found), None, out, (output.REPORT, output.PRINTED, output.RESULT))
    found.write_maps(out / FILM_MAPS)
    write_result(found, out / output.RESULT)
    return page


@write_files.register
def _(found: Commissioning, out: Path) -> Path:
    page = _three(commission_report(found), found, out, COMMISSIONING)
    if found.tuning is not None:
        write_tuned_file(found.original, found, out / TUNED)
    return page


@write_files.register
def _(found: WhatIf, out: Path) -> Path:
    page = _three(whatif_report(found), found, out, output.WHATIFS[:3])
    with replacing(out / output.WHATIF_PICTURE) as partial:
        partial.write_bytes(draw_curves(found).png)
    return page


@write_files.register
def _(found: FilmCalibration, out: Path) -> Path:
    if out.suffix != ".toml":
        raise InputError(out, "does not end in .toml")
    write_calibration(found, out)
    write_html(calibration_report(found, found.warnings), out.with_suffix(".html"))
    return out.with_suffix(".html")


def _three(report: Report, found: Result | None, out: Path, names: tuple[str, str, str]) -> Path:
    """The report as HTML and PDF, and the result for programs."""
    page, printed, result = (out / name for name in names)
    write_html(report, page)
    write_pdf(report, printed)
    if found is not None:
        write_result(found, result)
    return page

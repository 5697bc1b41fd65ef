"""`mcverify film-calibrate`: a film calibration from films of known dose."""

from __future__ import annotations

from argparse import Namespace

from mc.run.parallel import World
from phantoms.errors import InputError
from validation.cli.screen import Screen
from validation.workflow import output


def run(arguments: Namespace, screen: Screen, ranks: World) -> int:
    """Fit, write the calibration and its report beside it."""
    from validation.film.calibrate import make_calibration
    from validation.film.film_set import read_film_set
    from validation.report.film_calibration import fit_lines
    from validation.workflow.reports import write_files

    out = arguments.out
    if out.suffix != ".toml":
        raise InputError(out, "does not end in .toml")
    if out.resolve() == arguments.films.resolve():
        raise InputError(out, "is the list of films itself", "name another file with --out")
    output.check_writable(out.parent)
    films = read_film_set(arguments.films)
    with screen.progress() as bar:
        bar.stage("reading and fitting the films")
        calibration = make_calibration(films)
        report = write_files(calibration, out)
    for warning in calibration.warnings:
        screen.warn(warning)
    columns = ("channel", "curve", "misfit [%]", "largest residual [Gy]", "residuals [Gy]")
    screen.table(calibration.title, columns, fit_lines(calibration), right=(2, 3))
    screen.line(f"calibration: {out}; report: {report}")
    return 0

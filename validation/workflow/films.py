"""A film checked against a plane of a dose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike

from mc.run.progress import Listener
from validation.film import check
from validation.film.calibrate import make_calibration
from validation.film.calibration import Calibration
from validation.film.check import FilmCheck, Options
from validation.film.film_set import read_film_set
from validation.film.scan import Scan, read_scans
from validation.workflow.doses import GivenDose
from validation.workflow.kernels import load_gamma


def check_against(
    scan: Scan,
    calibration: Calibration,
    dose: GivenDose,
    options: Options,
    on_stage: Callable[[str], None] = lambda _: None,
) -> FilmCheck:
    """Dose of a film, its place in a plane of a dose, and the comparison.

    Parameters
    ----------
    scan : Scan
    calibration : Calibration
    dose : GivenDose
    options : Options
    on_stage : callable
        Called with a short description of each stage as it begins.

    Raises
    ------
    InputError
        If the film, the plane or the registration cannot be used.
    """
    on_stage("kernels of the comparison")
    load_gamma()
    on_stage("dose, registration, gamma")
    return check.check_film(scan, calibration, dose.dose, dose.grid, str(dose.path), dose.of, options)


def calibrate_film(films: str | PathLike) -> Calibration:
    """Fit a film calibration to films of known dose (docs/film.md).

    Parameters
    ----------
    films : path
        TOML file that lists them.

    Returns
    -------
    FilmCalibration
        `write_report` writes it to a TOML file, with its report.

    Raises
    ------
    InputError
        If a scan cannot be used, a film is not found, or no falling curve fits.
    """
    return make_calibration(read_film_set(films))


def check_film(
    scans: Sequence[str | PathLike],
    calibration: Calibration,
    plane: GivenDose,
    options: Options = Options(),
    *,
    dpi: float | None = None,
    listener: Listener = Listener(),
) -> FilmCheck:
    """Compare a scanned film with a plane of a dose (docs/film.md).

    Parameters
    ----------
    scans : sequence of paths
        Of one film, averaged.
    calibration : FilmCalibration
    plane : GivenDose
    options : FilmOptions
        How the film is read, placed and judged.
    dpi : float, optional
        Resolution, where the files do not state it.
    listener : Listener

    Returns
    -------
    FilmCheck
        `write_report` writes its report.

    Raises
    ------
    InputError
        If the film, the plane or the registration cannot be used.
    """
    return check_against(read_scans(scans, dpi), calibration, plane, options, listener.stage)

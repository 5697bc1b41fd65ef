"""A film checked against a plane of a dose."""

from __future__ import annotations

from collections.abc import Callable

from validation.film.calibration import Calibration
from validation.film.check import FilmCheck, Options, check_film
from validation.film.scan import Scan
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
    return check_film(scan, calibration, dose.dose, dose.grid, str(dose.path), dose.of, options)

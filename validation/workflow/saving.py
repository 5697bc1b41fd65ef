"""Results written into folders that are made ready for them."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from pathlib import Path

from mc.compute.plan_dose import ComputedDose
from validation.commission.run import Commissioning
from validation.film.calibration import Calibration as FilmCalibration
from validation.film.check import FilmCheck
from validation.plan_check.case import PlanCase
from validation.plan_check.comparison import Comparison
from validation.whatif import WhatIf
from validation.workflow import output
from validation.workflow.dose_alone import write_dose_alone
from validation.workflow.lock import locked
from validation.workflow.phantom_plan import PhantomPlan
from validation.workflow.reports import write_files
from validation.workflow.results import write_plan_result


def write_result(
    case: PlanCase | PhantomPlan,
    run: ComputedDose,
    folder: str | PathLike,
    *,
    check: Comparison | None = None,
    dose_to: str = "medium",
    overwrite: bool = False,
) -> tuple[str, ...]:
    """Write the result folder of `mcverify plan`: doses, what is compared with them, and reports.

    Parameters
    ----------
    case : PlanCase or PhantomPlan
    run : ComputedDose
    folder : path
        Made if necessary; an older result of the same plan in it is replaced, other files are refused.
    check : Comparison, optional
        Whose reports are written.
    dose_to : {'medium', 'water'}
        Which dose RTDOSE.dcm holds; dose.h5 holds all.
    overwrite : bool
        Whether the result of another plan is replaced.

    Returns
    -------
    tuple of str
        Warnings.

    Raises
    ------
    InputError
        If a file cannot be written, or the folder holds something else.
    """
    out = Path(folder)
    if isinstance(case, PhantomPlan):
        export, owner = case.path, case.owner
    else:
        export, owner = case.files.plan_file.parent, output.Owner.of(case.plan, case.identity)
    with output.result_folder(out, export, owner, overwrite):
        if isinstance(case, PhantomPlan):
            case.write(out, run, dose_to)
            return ()
        if case.planned_dose is None:
            warnings, _ = write_dose_alone(out, case, run, dose_to=dose_to)
            return tuple(warnings)
        result, warnings = write_plan_result(out, case, run, dose_to)
        if check is not None:
            write_files(replace(check, dose_sha256=result.record.dose_sha256), out)
    return tuple(warnings)


def write_report(
    found: Comparison | FilmCheck | Commissioning | WhatIf | FilmCalibration, out: str | PathLike
) -> Path:
    """Write the report of a result as HTML and PDF, and the result for programs as JSON.

    Parameters
    ----------
    found : Comparison, FilmCheck, Commissioning, WhatIf or FilmCalibration
    out : path
        Folder, made if necessary; of a film calibration its TOML file.

    Returns
    -------
    Path
        The HTML file.

    Raises
    ------
    InputError
        If a file cannot be written, or the folder holds the result of another plan or dose.
    """
    out = Path(out)
    output.make_folder(out.parent if isinstance(found, FilmCalibration) else out)
    if not isinstance(found, Comparison):
        return write_files(found, out)
    with locked(out):
        output.Owner(found.plan.uid, found.patient, label=found.plan.label).refuse_other(out)
        output.refuse_other_dose(out, found.dose_sha256)
        return write_files(found, out)

"""The result of a plan check: written to its folder, read again, compared by the same limits or others."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from mc import __version__
from mc.compute.plan_dose import ComputedDose
from mc.dose import TO_MEDIUM, TO_WATER, Dose
from phantoms.errors import InputError
from phantoms.files import replacing
from phantoms.identity import read_identity
from phantoms.listing import Listing
from validation.limits.profiles import DEFAULT, Profile, load_profile, shipped_profiles
from validation.plan_check import comparison
from validation.plan_check.case import PlanCase
from validation.plan_check.comparison import Comparison
from validation.plan_check.history import history
from validation.plan_check.points import read_points
from validation.plan_check.record import Record
from validation.plan_check.stated import read_stated
from validation.rtdose import PlannedDose, write_rtdose
from validation.rtdose.write import OfPlan
from validation.workflow import output
from validation.workflow.kernels import load_gamma

NEW_EXPORT = "export the dose of the plan and run `mcverify plan` again"
NOTHING_PLANNED = "holds no RTDOSE, so there is nothing to compare with", NEW_EXPORT
NO_RESULT = "cannot be read as a result", "remove it to have it made again by the limits of --profile"


@dataclass(frozen=True, eq=False)
class Result:
    """What a comparison is made of: a Monte Carlo dose and what it takes beside it; names no patient.

    Parameters
    ----------
    record : Record
        Plan, structures, planned dose, CT and phantom.
    dose : Dose
        Of the whole course.
    folder : Path or None
        That it was read from.
    replaced : dict or None
        The content of result.json there, whose verdict a new comparison replaces.
    """

    record: Record
    dose: Dose
    folder: Path | None = None
    replaced: dict[str, Any] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, case: PlanCase, computed: ComputedDose, dose_to: str = "medium") -> Result:
        """The result of a run.

        Parameters
        ----------
        case : PlanCase
        computed : ComputedDose
        dose_to : {'medium', 'water'}
            Which dose is compared.

        Raises
        ------
        InputError
            If that dose was not computed, or there is no planned dose to compare it with.
        """
        chosen_dose(computed.dose, dose_to)
        if case.planned_dose is None:
            raise InputError(case.files.plan_file.parent, *NOTHING_PLANNED)
        dose_files = [dose.path for dose in case.files.doses]
        record = Record.of(
            plan=case.plan,
            structures=case.structures,
            planned_dose=case.planned_dose,
            ct=case.ct,
            phantom=computed.phantom,
            quantity=TO_WATER if dose_to == "water" else TO_MEDIUM,
            warnings=[*case.warnings, *computed.warnings],
            points=read_points(case.files.plan_file, dose_files),
            stated=read_stated(case.files.plan_file, dose_files),
            identity=case.identity,
        )
        return cls(record, computed.dose)

    @classmethod
    def load(cls, folder: str | PathLike) -> Result:
        """Read the result that `mcverify plan` or `Result.save` left in a folder.

        Raises
        ------
        InputError
            If it is not there or damaged.
        """
        folder = Path(folder)
        _refuse_no_folder(folder)
        if (folder / output.CHECKPOINT).exists() and not (folder / output.INPUTS).exists():
            raise InputError(folder, "is of a run that has not ended", "the same `mcverify plan` resumes it")
        record, stated = (
            Record.load(folder / output.INPUTS, folder / output.DOSE),
            _stated(folder / output.RESULT),
        )
        if stated and stated.get("dose_sha256") not in (None, record.dose_sha256):  # older files have none
            problem = f"is not of the {output.DOSE} beside it: two runs wrote into this folder"
            raise InputError(folder / output.RESULT, problem, NO_RESULT[1])
        return cls(record, Dose.load(folder / output.DOSE), folder, stated)

    @property
    def compared(self) -> Dose:
        """The dose that is compared, to medium or to water."""
        return chosen_dose(self.dose, "water" if self.record.quantity == TO_WATER else "medium")

    def limits(self, profile: Profile | str | PathLike | None = None) -> Profile:
        """The limits that are asked for, or else those the folder's result was judged by.

        Raises
        ------
        InputError
            If they cannot be read.
        """
        return profile if isinstance(profile, Profile) else profile_of(profile, self.folder)

    def compare(
        self,
        profile: Profile | str | PathLike | None = None,
        *,
        name: str = "",
        on_stage: Callable[[str], None] = lambda _: None,
    ) -> Comparison:
        """Compare with the planned dose.

        Parameters
        ----------
        profile : Profile, name or path, optional
            Limits; by default those the folder's result was judged by, or the profile for the spine.
        name : str
            Name of the patient for a report that is to state it.
        on_stage : callable
            Called with a short description of each stage as it begins.

        Raises
        ------
        InputError
            If the profile cannot be read, or the doses cannot be compared.
        """
        limits = self.limits(profile)
        load_gamma()
        found = comparison.compare(self.record, self.dose, limits, name=name, on_stage=on_stage)
        if self.replaced is None:
            return found
        try:
            return replace(found, history=history(self.replaced, found.verdict))
        except (KeyError, TypeError):
            raise InputError(self.folder / output.RESULT, *NO_RESULT) from None

    def _repr_html_(self) -> str:
        plan, dose = self.record.plan, self.compared
        facts = [
            ("patient", self.record.patient),
            ("machine", plan.machine),
            ("compared", self.record.quantity),
            ("maximum", f"{dose.mean.max():.4g} Gy"),
            ("transport sigma", f"{100 * dose.relative_uncertainty():.2f} %, rms above half the maximum"),
        ]
        return Listing.facts(plan.label, facts)._repr_html_()


def compare(
    case: PlanCase,
    run: ComputedDose,
    *,
    profile: str | PathLike | Profile = "spine",
    dose_to: str = "medium",
    named: bool = False,
) -> Comparison:
    """Compare a Monte Carlo dose with the planned one: gamma, DVH, dose limits, diagnosis (docs/usage.md).

    Parameters
    ----------
    case : PlanCase
    run : ComputedDose
    profile : name, path or Profile
        Limits: spine, tg101, hytec-cord, stereotactic, tg218, mppg5b, or a TOML file.
    dose_to : {'medium', 'water'}
        Which Monte Carlo dose is compared.
    named : bool
        Whether reports state the patient's name; a pseudonym by default.

    Returns
    -------
    Comparison
        With its `verdict`, `gamma` and `dvh`.

    Raises
    ------
    InputError
        If the doses cannot be compared, or the profile cannot be read.
    """
    return Result.of(case, run, dose_to).compare(profile, name=case.identity.label if named else "")


def load_result(folder: str | PathLike) -> Result:
    """Read a result folder, without the export; `Result.compare` compares again, by any limits.

    Parameters
    ----------
    folder : path
        That `mcverify plan` or `write_result` wrote.

    Returns
    -------
    Result
        Dose, and what it is compared with; names no patient.

    Raises
    ------
    InputError
        If it holds no result of a plan, or a damaged one.
    """
    return Result.load(folder)


def chosen_dose(dose: Dose, dose_to: str) -> Dose:
    """The dose to medium or to water of a run.

    Raises
    ------
    InputError
        If it was not computed, or is called otherwise.
    """
    if dose_to == "medium":
        return dose
    if dose_to != "water":
        raise InputError(f"dose to {dose_to!r}", "is not known", "medium or water")
    if dose.to_water is None:
        raise InputError("Monte Carlo dose", f"holds no {TO_WATER}", "compute it with dose to water")
    return dose.to_water


def write_plan_result(
    out: Path, case: PlanCase, computed: ComputedDose, dose_to: str = "medium"
) -> tuple[Result, list[str]]:
    """Write doses and what they are compared with into a result folder.

    Parameters
    ----------
    out : Path
        The result folder (`validation.workflow.output.result_folder`).
    case : PlanCase
    computed : ComputedDose
    dose_to : {'medium', 'water'}
        Which dose is compared.

    Returns
    -------
    result : Result
    warnings : list of str

    Raises
    ------
    InputError
        If a file cannot be written, or that dose was not computed.
    """
    label = case.identity.hidden(case.plan.label)
    warnings = write_doses(out, computed.dose, dose_to, case.planned_dose, label)
    result = Result.of(case, computed, dose_to)
    record = result.record.save(out / output.INPUTS, out / output.DOSE)
    return replace(result, record=record), warnings


def write_doses(
    out: Path, dose: Dose, dose_to: str, like: PlannedDose | OfPlan, description: str
) -> list[str]:
    """Write all doses, and as RTDOSE the chosen one; first, so that nothing later can lose them.

    Parameters
    ----------
    out : Path
        The result folder; what belonged to an older dose is removed.
    dose : Dose
    dose_to : {'medium', 'water'}
    like : PlannedDose or OfPlan
        What the RTDOSE belongs to.
    description : str
        What the dose is of; names no patient.

    Returns
    -------
    list of str
        Warnings.
    """
    chosen = chosen_dose(dose, dose_to)
    dose.save(out / output.DOSE)
    output.drop_older(out)
    kind = TO_WATER if dose_to == "water" else TO_MEDIUM
    with replacing(out / output.RTDOSE) as path:
        text = f"mcverify, {kind}, of {description}"
        write_rtdose(path, np.maximum(chosen.mean, 0.0), chosen.grid, like, text, __version__)
    below = int(np.count_nonzero(chosen.mean < 0.0))
    if not below:
        return []
    lowest = f"{chosen.mean.min():.2g}"
    return [f"{below} voxels have a dose below 0 (to {lowest} Gy), 0 in {output.RTDOSE}"]


def profile_of(asked: str | PathLike | None, folder: Path | None) -> Profile:
    """The limits that are asked for, or else those that the result in a folder was judged by.

    Raises
    ------
    InputError
        If they cannot be read.
    """
    if folder is not None:
        _refuse_no_folder(folder)
    if asked:
        return load_profile(asked)
    if folder is None or not (folder / output.RESULT).exists():
        return load_profile(DEFAULT)
    path = folder / output.RESULT
    try:
        name = _stated(path)["verdict"]["profile"]["name"]
    except (KeyError, TypeError):
        raise InputError(path, *NO_RESULT) from None
    if name not in shipped_profiles():
        raise InputError(path, f"was judged by profile {name}, which is your own", "name its file: --profile")
    return load_profile(name)


def patient_of(folder: Path) -> str:
    """Who the patient is, from the RTDOSE of a result.

    Raises
    ------
    InputError
        If it does not state one.
    """
    identity = read_identity([folder / output.RTDOSE])
    if not (identity.name or identity.number):
        raise InputError(folder / output.RTDOSE, "does not state a patient", "--no-name")
    return identity.label


def _stated(path: Path) -> dict[str, Any] | None:
    """The content of result.json; None where there is none."""
    try:
        stated = json.loads(path.read_bytes()) if path.exists() else None
    except (OSError, ValueError):
        raise InputError(path, *NO_RESULT) from None
    if not isinstance(stated, dict | None):
        raise InputError(path, *NO_RESULT)
    if stated and stated.get("schema") == output.DOSE_SCHEMA:
        raise InputError(path, "is of an export without RTDOSE: no planned dose to compare with", NEW_EXPORT)
    return stated


def _refuse_no_folder(folder: Path) -> None:
    remedy = "name the result folder of `mcverify plan`"
    if not folder.is_dir():
        raise InputError(folder, "is not a folder", remedy)
    if not any((folder / name).exists() for name in (output.DOSE, output.INPUTS, output.RESULT)):
        raise InputError(folder, "holds no result of `mcverify plan`", remedy)

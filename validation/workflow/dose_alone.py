"""The Monte Carlo dose of a plan whose planned dose was not exported: DVH and dose limits, no verdict."""

from __future__ import annotations

import json
from pathlib import Path

from mc.compute.plan_dose import ComputedDose
from phantoms.files import replacing
from phantoms.identity import pseudonym
from validation.limits.profiles import DEFAULT, Profile
from validation.metrics.numbers import plain
from validation.plan_check.case import PlanCase
from validation.plan_check.record import digest
from validation.rtdose import OfPlan
from validation.workflow import output
from validation.workflow.doses import GivenDose
from validation.workflow.dvhs import DvhTable, dvh_table
from validation.workflow.results import chosen_dose, write_doses

NOTE = "the export holds no RTDOSE: the Monte Carlo dose alone is computed, and there will be no verdict"
HEADLINE = "The export holds no RTDOSE, so there is no planned dose to compare the Monte Carlo dose with."


def write_dose_alone(
    out: Path,
    case: PlanCase,
    computed: ComputedDose,
    profile: Profile | str = DEFAULT,
    dose_to: str = "medium",
) -> tuple[list[str], DvhTable]:
    """Write dose.h5, RTDOSE.dcm and result.json, which names no patient, into a result folder.

    Parameters
    ----------
    out : Path
        The result folder (`validation.workflow.output.result_folder`).
    case : PlanCase
        Without a planned dose.
    computed : ComputedDose
    profile : Profile or str
        Whose dose limits are evaluated.
    dose_to : {'medium', 'water'}
        Which dose.

    Returns
    -------
    warnings : list of str
    found : DvhTable
        Metrics of all structures and dose limits.

    Raises
    ------
    InputError
        If a file cannot be written, that dose was not computed, or no structure has volume on its grid.
    """
    plan, hidden_in = case.plan, case.identity.hidden_in
    like = OfPlan(case.files.plan_file, plan.uid, plan.structure_set_uid)
    warnings = [*case.warnings, *plan.warnings, *computed.warnings]
    warnings += write_doses(out, computed.dose, dose_to, like, case.identity.hidden(plan.label))
    dose = chosen_dose(computed.dose, dose_to)
    found = dvh_table(
        case.structures,
        GivenDose.of_run(dose, Path(output.DOSE)),
        profile=profile,
        fractions=plan.fractions,
        prescription_gy=max((p.dose for p in plan.prescriptions if p.dose > 0), default=None),
    )
    stated = {
        "schema": output.DOSE_SCHEMA,
        "schema_version": 1,
        "patient_pseudonym": pseudonym(plan.patient_id),
        "plan": {"label": plan.label, "uid": plan.uid, "machine": plan.machine, "fractions": plan.fractions},
        "verdict": {"status": "no verdict", "reason": HEADLINE},
        "dvh": found.to_dict() | {"structures_file": case.files.structures_file.name},
        "quality": computed.report.to_dict(),
        "dose_sha256": digest(out / output.DOSE),
        "provenance": dose.provenance,
        "warnings": warnings,
    }
    with replacing(out / output.RESULT) as path:
        text = json.dumps(hidden_in(plain(stated)), indent=1, allow_nan=False)
        path.write_text(f"{text}\n", encoding="utf-8")
    return warnings, found

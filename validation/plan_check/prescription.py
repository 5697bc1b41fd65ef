"""The dose that percentages are of: the plan's prescription, where it can be that of the planned dose."""

from __future__ import annotations

from mc.plan.plan import Plan
from phantoms.plausible import MAXIMUM


def prescription_of(plan: Plan, highest: float) -> tuple[float | None, list[str]]:
    """The highest prescription of a plan [Gy], and what is doubtful about it.

    Parameters
    ----------
    plan : Plan
    highest : float
        Maximum of the planned dose of the course [Gy].

    Returns
    -------
    prescription : float or None
        None where the plan states none, or one that its dose cannot be meant for.
    warnings : list of str
    """
    doses = [prescription.dose for prescription in plan.prescriptions if prescription.dose > 0]
    if not doses:
        return None, ["the plan states no prescription dose: percentages are of the plan's maximum dose"]
    warnings = []
    if len(set(doses)) > 1:
        listed = ", ".join(f"{dose:g}" for dose in doses)
        warnings.append(f"the plan prescribes {listed} Gy: percentages are of the highest")
    if doubt := doubtful_prescription(max(doses), highest):
        return None, [f"{doubt}: percentages are of that maximum"]
    return max(doses), warnings


def doubtful_prescription(prescription: float, highest: float) -> str:
    """Why a prescription can hardly be that of a dose with this maximum [Gy]; empty where it can."""
    if MAXIMUM.fault(highest / prescription) is None:
        return ""
    return f"the prescription of {prescription:g} Gy does not fit a planned maximum of {highest:.3g} Gy"

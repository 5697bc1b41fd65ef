"""The end of `mcverify plan` where the export holds no RTDOSE: the Monte Carlo dose, and no verdict."""

from __future__ import annotations

from pathlib import Path

from mc.compute.plan_dose import ComputedDose
from validation.cli import dvh
from validation.cli.screen import Screen
from validation.cli.verdict import NO_VERDICT
from validation.limits.profiles import Profile
from validation.plan_check.case import PlanCase
from validation.workflow import output
from validation.workflow.dose_alone import HEADLINE, write_dose_alone


def finish(
    out: Path, case: PlanCase, computed: ComputedDose, profile: Profile, dose_to: str, screen: Screen
) -> int:
    """Write the dose, print DVH and dose limits; the exit code is that of no verdict."""
    warnings, found = write_dose_alone(out, case, computed, profile, dose_to)
    for warning in (*warnings, *found.warnings):
        screen.warn(warning)
    dvh.show(screen, found, found.to_dict())
    report = computed.report
    screen.line(
        f"{report.histories:.3g} histories, stopped by {report.stopped_by}; transport sigma "
        f"{100 * report.transport_uncertainty:.2f} %"
    )
    screen.line(f"dose: {out / output.RTDOSE} and {out / output.DOSE}")
    screen.line(f"verdict: NO VERDICT. {HEADLINE}")
    return NO_VERDICT

"""What of a comparison comes first: which target, organ at risk and gamma criterion, and what is 100 %."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from validation.metrics.dvh import parse_metric
from validation.plan_check.verdict import GammaResult, Structure

if TYPE_CHECKING:
    from validation.limits.constraints import ConstraintRow
    from validation.plan_check.comparison import Comparison

CORD = "cord"  # the organ that a report looks at first, where the plan has one


def leading_target(comparison: Comparison) -> Structure | None:
    """The target that profiles start from: one prescribed to, else the first of type PTV, else the first."""
    targets = [s for s in comparison.structures if s.is_target]
    prescribed = {p.description for p in comparison.plan.prescriptions}
    preference = (lambda s: s.name in prescribed, lambda s: s.kind == "PTV", lambda s: True)
    return next((s for wanted in preference for s in targets if wanted(s)), None)


def leading_organ(comparison: Comparison) -> Structure | None:
    """The cord, else the first organ of the profile with a structure, else the hottest that is no target."""
    others = [s for s in comparison.structures if not s.is_target]
    for organ in sorted(comparison.organs, key=lambda organ: organ.name != CORD):
        matched = [s for s in others if organ.matches(s.name)]
        if matched:
            return matched[0]
    return max(others, key=lambda s: highest(comparison, s), default=None)


def highest(comparison: Comparison, structure: Structure) -> float:
    """The plan's highest dose in a structure [Gy]."""
    volume = structure.volume
    return float(volume.of_values(comparison.planned_dose.dose)[volume.inner > 0].max())


def leading_gamma(comparison: Comparison) -> GammaResult:
    """Gamma of the first criterion that has a limit, else of the first."""
    limited = [
        result
        for limit, result in zip(comparison.profile.gamma, comparison.verdict.gamma, strict=False)
        if limit.tolerance is not None
    ]
    return (limited or comparison.verdict.gamma)[0]


def scale(comparison: Comparison) -> tuple[float, str]:
    """Dose that is 100 % [Gy] and what it is."""
    if comparison.prescription:
        return comparison.prescription, "prescription"
    return float(comparison.planned_dose.dose.max()), "plan's maximum"


def limits_of(comparison: Comparison, structure: Structure) -> Iterator[ConstraintRow]:
    """The dose limits on a structure itself, without margins, that were judged."""
    for row in comparison.verdict.constraints:
        if row.structure == structure.name and row.prv_mm is None and row.mc is not None:
            yield row


def dose_limits_of(comparison: Comparison, structure: Structure) -> list[ConstraintRow]:
    """The upper limits on a structure that are doses [Gy], the strictest of each metric, in rising order."""
    strictest: dict[str, ConstraintRow] = {}
    for row in limits_of(comparison, structure):
        if row.unit != "Gy" or row.relation != "<=" or parse_metric(row.metric).kind == "mean":
            continue
        if row.metric not in strictest or row.limit < strictest[row.metric].limit:
            strictest[row.metric] = row
    return sorted(strictest.values(), key=lambda row: row.limit)

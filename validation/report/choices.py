"""What the report leads with: which target, organ, criterion, planes and scales."""

from __future__ import annotations

import numpy as np

from validation.plan_check.comparison import Comparison
from validation.plan_check.verdict import GammaResult, Structure

MAX_SHOWN = 12  # structures in a figure


def leading_target(comparison: Comparison) -> Structure | None:
    """The target that profiles start from: one prescribed to, else the first of type PTV, else the first."""
    targets = [s for s in comparison.structures if s.is_target]
    prescribed = {p.description for p in comparison.plan.prescriptions}
    preference = (lambda s: s.name in prescribed, lambda s: s.kind == "PTV", lambda s: True)
    return next((s for wanted in preference for s in targets if wanted(s)), None)


def leading_organ(comparison: Comparison) -> Structure | None:
    """The first organ of the profile that has a structure, else the hottest structure that is no target."""
    others = [s for s in comparison.structures if not s.is_target]
    for organ in comparison.organs:
        matched = [s for s in others if organ.matches(s.name)]
        if matched:
            return matched[0]
    return max(others, key=lambda s: _highest(comparison, s), default=None)


def _highest(comparison: Comparison, structure: Structure) -> float:
    """The plan's highest dose in a structure [Gy]."""
    volume = structure.volume
    return float(volume.of_values(comparison.planned_dose.dose)[volume.inner > 0].max())


def shown_structures(comparison: Comparison) -> list[Structure]:
    """The structures that figures show: the most important, `MAX_SHOWN` at most, in the order of the plan."""
    chosen = by_importance(comparison)[:MAX_SHOWN]
    return [structure for structure in comparison.structures if structure in chosen]


def by_importance(comparison: Comparison) -> list[Structure]:
    """All structures: targets, then organs of the profile, then the others, each from hot to cold."""

    def rank(structure: Structure) -> tuple[bool, bool, float]:
        known = any(organ.matches(structure.name) for organ in comparison.organs)
        return not structure.is_target, not known, -_highest(comparison, structure)

    return sorted(comparison.structures, key=rank)


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


def centre(comparison: Comparison) -> tuple[np.ndarray, str]:
    """Point the planes go through (z, y, x) [cm], and its name: the isocentre where it lies on the grid."""
    grid = comparison.planned_dose.grid
    point = np.array(comparison.plan.beams[0].isocentre[::-1])
    if (point >= grid.lower).all() and (point <= grid.upper).all():
        return point, "the isocentre"
    hottest = np.unravel_index(comparison.planned_dose.dose.argmax(), grid.shape)
    return np.array([grid.centres(a)[i] for a, i in enumerate(hottest)]), "the plan's maximum"


def difference_limit(comparison: Comparison) -> float:
    """End of the colour scale of differences [% of the scale]: 3, 5, 10, 20, 50 or 100."""
    body = comparison.body
    if not body.any():
        return 3.0
    difference = np.abs(comparison.dose.mean[body] - comparison.planned_dose.dose[body])
    most = 100 * float(np.quantile(difference, 0.999)) / scale(comparison)[0]
    return next((limit for limit in (3.0, 5.0, 10.0, 20.0, 50.0) if most <= limit), 100.0)


def box_above(comparison: Comparison, share: float, margin_mm: float) -> np.ndarray:
    """Corners (z, y, x) of the box about all doses above `share` of the plan's maximum, (2, 3) [mm].

    `margin_mm` wider, but not beyond CT and dose grid.
    """
    grid, dose = comparison.planned_dose.grid, comparison.planned_dose.dose
    above = dose >= share * dose.max()
    box = np.empty((2, 3))
    for axis in range(3):
        hit = np.flatnonzero(above.any(axis=tuple(a for a in range(3) if a != axis)))
        edges = 10 * grid.edges(axis)
        box[:, axis] = edges[hit[0]] - margin_mm, edges[hit[-1] + 1] + margin_mm
        ct = 10 * comparison.ct.grid.edges(axis)
        box[:, axis] = np.clip(box[:, axis], min(ct[0], edges[0]), max(ct[-1], edges[-1]))
    return box


def gamma_text(result: GammaResult) -> str:
    """A criterion without its threshold."""
    return str(result.map.criterion).split(",")[0]

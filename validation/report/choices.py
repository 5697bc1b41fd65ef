"""What the figures and tables of a report show, and in which order."""

from __future__ import annotations

import numpy as np

from validation.plan_check.comparison import Comparison
from validation.plan_check.leading import highest, leading_gamma, leading_organ, leading_target
from validation.plan_check.verdict import GammaResult, Structure

MAX_SHOWN = 12  # structures in a figure


def shown_structures(comparison: Comparison) -> list[Structure]:
    """The structures that figures show: the most important, `MAX_SHOWN` at most, in the order of the plan."""
    chosen = by_importance(comparison)[:MAX_SHOWN]
    return [structure for structure in comparison.structures if structure in chosen]


def by_importance(comparison: Comparison) -> list[Structure]:
    """All structures: targets, then organs of the profile, then the others, each from hot to cold."""

    def rank(structure: Structure) -> tuple[bool, bool, float]:
        known = any(organ.matches(structure.name) for organ in comparison.organs)
        return not structure.is_target, not known, -highest(comparison, structure)

    return sorted(comparison.structures, key=rank)


def by_difference(comparison: Comparison) -> list[Structure]:
    """All structures, those first whose doses differ most between plan and Monte Carlo."""
    largest: dict[str, float] = {}
    for row in comparison.verdict.rows:
        if row.unit == "Gy" and row.difference is not None:
            largest[row.structure] = max(largest.get(row.structure, 0.0), abs(row.difference))
    return sorted(comparison.structures, key=lambda structure: -largest.get(structure.name, -1.0))


def by_gamma(comparison: Comparison) -> list[Structure]:
    """All structures, the worst passing rate of the leading criterion first; those without voxels last."""
    rates = leading_gamma(comparison).by_structure

    def rank(structure: Structure) -> float:
        rate = rates[structure.name]
        return 1000.0 if np.isnan(rate) else rate

    return sorted(by_importance(comparison), key=rank)


def centre(comparison: Comparison) -> tuple[np.ndarray, str]:
    """Point the planes go through (z, y, x) [cm], and its name: the isocentre where it lies on the grid."""
    grid = comparison.planned_dose.grid
    point = np.array(comparison.plan.beams[0].isocentre[::-1])
    if (point >= grid.lower).all() and (point <= grid.upper).all():
        return point, "the isocentre"
    hottest = np.unravel_index(comparison.planned_dose.dose.argmax(), grid.shape)
    return np.array([grid.centres(a)[i] for a, i in enumerate(hottest)]), "the plan's maximum"


def box_above(comparison: Comparison, share: float, margin_mm: float) -> np.ndarray:
    """Corners (z, y, x) of the box about all doses above `share` of the plan's maximum, (2, 3) [mm].

    `margin_mm` wider, but not beyond CT and dose grid.
    """
    dose = comparison.planned_dose.dose
    return _box(comparison, dose >= share * dose.max(), margin_mm)


def box_of_leading(comparison: Comparison, margin_mm: float) -> np.ndarray:
    """Corners (z, y, x) of the box about the leading target and the organ beside it, (2, 3) [mm].

    Of the organ, as a cord is long, only what lies within the target's slices counts; without either, the
    box about the doses above half of the plan's maximum.
    """
    target, organ = leading_target(comparison), leading_organ(comparison)
    if target is None and organ is None:
        return box_above(comparison, 0.5, margin_mm)
    chosen = np.zeros(comparison.planned_dose.grid.shape, dtype=bool)
    if target is not None:
        chosen |= target.fraction >= 0.5
    slices = chosen.any(axis=(1, 2)) if chosen.any() else np.ones(chosen.shape[0], dtype=bool)
    if organ is not None:
        chosen |= (organ.fraction >= 0.5) & slices[:, None, None]
    return _box(comparison, chosen, margin_mm) if chosen.any() else box_above(comparison, 0.5, margin_mm)


def _box(comparison: Comparison, chosen: np.ndarray, margin_mm: float) -> np.ndarray:
    grid = comparison.planned_dose.grid
    box = np.empty((2, 3))
    for axis in range(3):
        hit = np.flatnonzero(chosen.any(axis=tuple(a for a in range(3) if a != axis)))
        edges = 10 * grid.edges(axis)
        box[:, axis] = edges[hit[0]] - margin_mm, edges[hit[-1] + 1] + margin_mm
        ct = 10 * comparison.ct.grid.edges(axis)
        box[:, axis] = np.clip(box[:, axis], min(ct[0], edges[0]), max(ct[-1], edges[-1]))
    return box


def gamma_text(result: GammaResult) -> str:
    """A criterion without its threshold."""
    return str(result.map.criterion).split(",")[0]

"""The seven numbers of a comparison that whoever signs looks at first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from validation.limits.constraints import ConstraintRow
from validation.limits.profiles import DifferenceLimit
from validation.metrics.dvh import parse_metric
from validation.plan_check.judgement import worst
from validation.plan_check.leading import leading_gamma, leading_organ, leading_target, limits_of
from validation.plan_check.verdict import Row, Structure

if TYPE_CHECKING:
    from validation.plan_check.comparison import Comparison

TARGET_METRICS, ORGAN_METRIC, OTHER_METRIC = ("D95%", "Dmean"), "D0.03cc", "D0.35cc"
FEW = 8.0  # voxels: a volume of fewer is under-resolved


@dataclass(frozen=True)
class KeyNumber:
    """One number in both doses.

    Parameters
    ----------
    structure, metric, unit : str
    plan, mc, difference : float or None
        `difference` is Monte Carlo less plan; of gamma `mc` alone is known.
    sigma : float or None
        One sigma of `mc`, transport and latent together.
    ceiling : float or None
        Of gamma: the passing rate that noise alone leaves [%].
    limit : str
        What it is judged by; empty without a limit.
    status : {'pass', 'warn', 'fail', 'noisy', 'shown'}
    outcome : str
        Of the dose limit, in words; empty without one.
    voxels : float or None
        That the volume behind it holds.
    under_resolved : bool
        Whether that are fewer than `FEW`.
    note : str
        Why there is no value, or what to see in it.
    """

    structure: str
    metric: str
    unit: str
    plan: float | None
    mc: float | None
    difference: float | None
    sigma: float | None
    ceiling: float | None
    limit: str
    status: str
    outcome: str
    voxels: float | None
    under_resolved: bool
    note: str = ""


def key_numbers(comparison: Comparison) -> tuple[KeyNumber, ...]:
    """D95% and Dmean of the target, D0.03cc of the cord and its own metric of the profile, gamma in three."""
    target, organ = leading_target(comparison), leading_organ(comparison)
    numbers: list[KeyNumber] = []
    if target is not None:
        numbers += [_of_metric(comparison, target, metric) for metric in TARGET_METRICS]
    if organ is not None:
        numbers += [
            _of_metric(comparison, organ, metric)
            for metric in (ORGAN_METRIC, own_metric(comparison, organ))
            if _row(comparison, organ, metric) is not None
        ]
    numbers.append(_of_gamma(comparison, None))
    numbers += [_of_gamma(comparison, structure) for structure in (target, organ) if structure is not None]
    return tuple(numbers)


def own_metric(comparison: Comparison, organ: Structure) -> str:
    """The metric of the profile's dose limit on an organ that is the least kept, but `ORGAN_METRIC`."""
    limits = [row for row in limits_of(comparison, organ) if row.metric != ORGAN_METRIC]
    if not limits:
        return OTHER_METRIC
    return min(limits, key=lambda row: min(row.plan_margin, row.margin) / row.limit).metric


def voxel_count(metric: str, volume_cc: float, voxel_cc: float) -> float | None:
    """Voxels in the volume that a metric of a structure speaks of; None where it speaks of no volume."""
    asked = parse_metric(metric)
    if asked.kind == "mean":
        return volume_cc / voxel_cc
    if asked.kind not in ("dose", "cold dose"):
        return None
    amount = asked.amount if asked.amount_unit == "cc" else 0.01 * asked.amount * volume_cc
    return max(0.0, min(amount, volume_cc - amount)) / voxel_cc


def _row(comparison: Comparison, structure: Structure, metric: str) -> Row | None:
    rows = comparison.verdict.rows
    return next((row for row in rows if (row.structure, row.metric) == (structure.name, metric)), None)


def _of_metric(comparison: Comparison, structure: Structure, metric: str) -> KeyNumber:
    row = _row(comparison, structure, metric)
    limits = [limit for limit in limits_of(comparison, structure) if limit.metric == metric]
    limits.sort(key=lambda limit: min(limit.plan_margin, limit.margin) / limit.limit)
    name = f"{structure.name} {metric}, MC - plan"
    tests = [test for test in comparison.verdict.tests if test.name == name]
    volumes = {curves.structure: curves.volume_cm3 for curves in comparison.curves}
    count = voxel_count(metric, volumes[structure.name], _voxel_cc(comparison))
    return KeyNumber(
        structure=structure.name,
        metric=metric,
        unit=row.unit,
        plan=row.plan,
        mc=row.mc,
        difference=row.difference,
        sigma=row.sigma,
        ceiling=None,
        limit="; ".join(
            [*map(_limit, limits[:1]), *map(_difference, _differences(comparison, structure, metric))]
        ),
        status=worst([*(_status(limit) for limit in limits[:1]), *(test.status for test in tests)]),
        outcome=limits[0].outcome if limits else "",
        voxels=count,
        under_resolved=count is not None and count < FEW,
        note=row.note,
    )


def _voxel_cc(comparison: Comparison) -> float:
    """Volume of a voxel of the coarser dose [cm3]."""
    planned = float(np.prod(comparison.planned_dose.grid.spacing))
    return max(planned, 1e-3 * float(np.prod(comparison.mc_voxel_mm)))


def _limit(limit: ConstraintRow) -> str:
    return f"{limit.relation} {limit.limit:g} {limit.unit}"


def _status(limit: ConstraintRow) -> str:
    """A limit that both doses break is broken, whatever it means to the verdict."""
    return "fail" if limit.status == "shown" and max(limit.plan_margin, limit.margin) < 0 else limit.status


def _differences(comparison: Comparison, structure: Structure, metric: str) -> Iterator[DifferenceLimit]:
    for limit in comparison.profile.differences:
        if limit.metric != metric:
            continue
        if (
            structure.is_target
            if limit.structures == "target"
            else _is(comparison, limit.structures, structure)
        ):
            yield limit


def _is(comparison: Comparison, organ: str, structure: Structure) -> bool:
    return comparison.profile.organ(organ).matches(structure.name)


def _difference(limit: DifferenceLimit) -> str:
    return f"difference {limit.tolerance:g} (fails {limit.action:g}) % of {limit.relative_to}"


def _of_gamma(comparison: Comparison, structure: Structure | None) -> KeyNumber:
    result = leading_gamma(comparison)
    criterion = str(result.map.criterion).split(",")[0]
    if structure is None:
        rate, count, ceiling = result.rate, result.map.count(), result.ceiling
    else:
        volume = structure.volume
        count = int(np.count_nonzero(volume.of_values(result.map.evaluated) & volume.half))
        rate, ceiling = result.by_structure[structure.name], result.ceiling_by_structure.get(structure.name)
    name = comparison.body_name if structure is None else structure.name
    place = "BODY" if structure is None else structure.name
    tests = [t for t in comparison.verdict.tests if t.name == f"gamma {result.map.criterion}, {place}"]
    limit = ""
    if tests and tests[0].tolerance is not None:
        limit = f">= {tests[0].tolerance:g} (fails below {tests[0].action:g}) %"
    whole = next(
        (limit for limit in comparison.profile.gamma if limit.criterion == result.map.criterion), None
    )
    note = "" if count else "no voxel above the threshold"
    if count and not limit and whole is not None and whole.tolerance is not None and rate < whole.tolerance:
        note = f"below the {whole.tolerance:g} % asked for in BODY"
    return KeyNumber(
        structure=name,
        metric=f"gamma {criterion}",
        unit="%",
        plan=None,
        mc=rate if count else None,
        difference=None,
        sigma=None,
        ceiling=ceiling,
        limit=limit,
        status=worst(test.status for test in tests),
        outcome="",
        voxels=float(count),
        under_resolved=count < FEW,
        note=note,
    )

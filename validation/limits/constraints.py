"""Clinical dose limits on both doses: what is kept, what is broken, and what Monte Carlo turns over.

A *flip* is a limit that the plan keeps and Monte Carlo breaks. Rows come flips first; a limit whose
structure is missing is a row as well, which says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

from validation.limits.profiles import TARGET, Constraint, Profile
from validation.metrics.dvh import MetricValue, volume_note

FLIP, FLIP_IN_NOISE, BROKEN, KEPT_BY_MC, KEPT, NOT_EVALUATED = OUTCOMES = (
    "flip",  # kept by the plan, broken by Monte Carlo beyond its noise
    "flip within noise",
    "broken by both",
    "broken by the plan, kept by Monte Carlo",
    "kept by both",
    "not evaluated",
)
NO_TARGET = "no structure is a target"


@dataclass(frozen=True)
class ConstraintRow:
    """One limit on one structure, in both doses.

    Parameters
    ----------
    organ : str
        As the profile calls it, or 'target'.
    structure : str or None
        As the structure set calls it; None where no structure is this organ.
    matched_by : str
        The synonym by which the structure was taken for the organ.
    metric : str
    relation : {'<=', '>='}
    limit : float
        In `unit`.
    unit : {'Gy', '%', 'cc'}
    fractions : int or None
        None for any number of fractions.
    plan, mc : float or None
        None where they cannot be determined; `note` says why.
    sigma : float or None
        One sigma of `mc`, transport and latent together.
    plan_margin, margin : float or None
        How far plan and Monte Carlo are on the good side of the limit; below 0 it is broken.
    outcome : str
        One of `OUTCOMES`.
    status : {'pass', 'warn', 'fail', 'shown'}
    prv_mm : tuple of float or None
        Margins (x, y, z) by which the structure was expanded [mm].
    volume_cc : float or None
        Of the structure, expanded if it was, within the dose grid.
    note, source : str
    """

    organ: str
    structure: str | None
    matched_by: str
    metric: str
    relation: str
    limit: float
    unit: str
    fractions: int | None
    plan: float | None
    mc: float | None
    sigma: float | None
    plan_margin: float | None
    margin: float | None
    outcome: str
    status: str
    prv_mm: tuple[float, float, float] | None
    volume_cc: float | None
    note: str
    source: str

    @property
    def flip(self) -> bool:
        """Whether the plan keeps the limit and Monte Carlo breaks it, within its noise or beyond."""
        return self.outcome in (FLIP, FLIP_IN_NOISE)

    @property
    def place(self) -> str:
        """Structure or organ, and the margin it is expanded by."""
        name = self.structure or self.organ
        return f"{name} + {margin_text(self.prv_mm)}" if self.prv_mm else name

    @property
    def label(self) -> str:
        """Structure, metric and limit in one line."""
        limit = f"{self.metric} {self.relation} {self.limit:g} {self.unit}"
        return f"{self.place} {limit}" + (f" in {self.fractions} fractions" if self.fractions else "")

    def to_dict(self) -> dict[str, Any]:
        """All fields and `flip`, ready for JSON: None for what could not be determined."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, value in values.items():
            if isinstance(value, float) and not math.isfinite(value):
                values[name] = None
        return values | {"flip": self.flip, "prv_mm": list(self.prv_mm) if self.prv_mm else None}


class Judged(Protocol):
    """A structure as the constraints see it."""

    name: str
    is_target: bool


# metric of a structure, expanded by margins (x, y, z) [mm] or as it is: values of plan and Monte Carlo, and
# the volume [cc]
Read = Callable[[Any, str, tuple[float, float, float] | None], tuple[MetricValue, MetricValue, float | None]]


def judge_constraints(
    structures: Sequence[Judged],
    read: Read,
    profile: Profile,
    fractions: int | None,
    left_out: Mapping[str, str] | None = None,
) -> tuple[ConstraintRow, ...]:
    """Every limit for this number of fractions, on every structure of its organ; flips first.

    Parameters
    ----------
    structures : sequence
        Those evaluated.
    read : callable
        ``read(structure, metric, margins_mm)`` gives plan's value, Monte Carlo's value and the volume.
    profile : Profile
    fractions : int or None
        Of the course.
    left_out : dict of str to str, optional
        Structures that cannot be evaluated, and why.
    """
    rows = []
    for limit in profile.constraints:
        if not limit.applies(fractions):
            continue
        if limit.organ == TARGET:
            matched, absent = [(s, "target") for s in structures if s.is_target], []
        else:
            organ = profile.organ(limit.organ)
            matched = [(s, by) for s in structures if (by := organ.match(s.name)) is not None]
            out = [(name, organ.match(name), why) for name, why in (left_out or {}).items()]
            absent = [(name, by, why) for name, by, why in out if by is not None]
        rows += [_row(limit, s.name, by, *read(s, limit.metric, limit.prv_mm), profile) for s, by in matched]
        rows += [_missing(limit, name, by, why) for name, by, why in absent]
        if not matched and not absent:
            rows.append(
                _missing(
                    limit,
                    None,
                    "",
                    NO_TARGET if limit.organ == TARGET else f"no structure is named as {limit.organ}",
                )
            )
    return tuple(sorted(rows, key=lambda row: OUTCOMES.index(row.outcome)))


def fractions_note(profile: Profile, fractions: int | None) -> str:
    """Why a profile with limits has none for this number of fractions; empty if it has, or has no limits."""
    known = sorted({limit.fractions for limit in profile.constraints if limit.fractions is not None})
    if not known or any(limit.applies(fractions) for limit in profile.constraints):
        return ""
    listed = ", ".join(map(str, known))
    stated = "is not stated" if fractions is None else f"is {fractions}"
    return (
        f"no dose limit was judged: the number of fractions {stated}, the profile's limits are for {listed}"
    )


def margin_text(prv_mm: tuple[float, float, float]) -> str:
    """Margins as they are printed: 2 mm, or 2/2/3 mm (x/y/z)."""
    if len(set(prv_mm)) == 1:
        return f"{prv_mm[0]:g} mm"
    return "/".join(f"{margin:g}" for margin in prv_mm) + " mm (x/y/z)"


def _row(
    limit: Constraint,
    structure: str,
    by: str,
    plan: MetricValue,
    mc: MetricValue,
    volume: float | None,
    profile: Profile,
) -> ConstraintRow:
    if plan.value is None or mc.value is None:
        note = plan.note or mc.note
        return _missing(limit, structure, by, note, volume)
    sign = 1.0 if limit.relation == "<=" else -1.0
    plan_margin, margin = (sign * (limit.limit - value.value) for value in (plan, mc))
    plan_keeps, mc_keeps = plan_margin >= 0, margin >= 0
    if plan_keeps and mc_keeps:
        outcome, status = KEPT, "pass"
    elif plan_keeps and -margin > profile.flip_sigmas * (mc.sigma or 0.0):
        outcome, status = FLIP, profile.flip
    elif plan_keeps:
        outcome, status = FLIP_IN_NOISE, "warn"
    elif mc_keeps:
        outcome, status = KEPT_BY_MC, "shown"
    else:
        outcome, status = BROKEN, profile.broken_by_both
    notes = [f"broken within {profile.flip_sigmas:g} sigma"] if outcome == FLIP_IN_NOISE else []
    note = "; ".join([*notes, *filter(None, [volume_note(limit.metric)])])
    return replace(
        _missing(limit, structure, by, note, volume),
        unit=plan.unit,
        plan=plan.value,
        mc=mc.value,
        sigma=mc.sigma,
        plan_margin=plan_margin,
        margin=margin,
        outcome=outcome,
        status=status,
    )


def _missing(
    limit: Constraint, structure: str | None, by: str, note: str, volume: float | None = None
) -> ConstraintRow:
    """A limit that could not be read."""
    return ConstraintRow(
        limit.organ,
        structure,
        by,
        limit.metric,
        limit.relation,
        limit.limit,
        limit.unit,
        limit.fractions,
        *[None] * 5,
        NOT_EVALUATED,
        "shown",
        limit.prv_mm,
        volume,
        note,
        limit.source,
    )

"""Dose-volume histograms of a dose, or of two, by structure: metrics and dose limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from typing import Any

import numpy as np

from mc.plan.plan import Plan
from phantoms.errors import InputError
from phantoms.listing import Listing
from phantoms.solids import cut, solid_volume
from phantoms.structures import StructureSet
from phantoms.views import Artists, Axes
from validation.limits.constraints import (
    BROKEN,
    FLIP,
    FLIP_IN_NOISE,
    NOT_EVALUATED,
    ConstraintRow,
    judge_constraints,
)
from validation.limits.profiles import Profile, load_profile, synonyms
from validation.metrics.dvh import Dvh, MetricValue, parse_metric
from validation.metrics.numbers import plain
from validation.plan_check.prescription import doubtful_prescription
from validation.plan_check.verdict import Structure
from validation.workflow.doses import GivenDose, caveats
from validation.workflow.kernels import load_dvh

METRICS = ("Dmean", "Dmin", "Dmax", "D98%", "D95%", "D50%", "D2%", "D0.03cc")
CURVE_POINTS = 501
WHOLE = 0.99  # a structure with less of its volume on the dose grid is said to be cut
DASHED = (0, (4, 2))  # the second dose


@dataclass(frozen=True, eq=False)
class Evaluated:
    """A structure, its DVHs, one of each dose, and its volume, on the doses' grids or not [cm3]."""

    structure: Structure
    dvhs: tuple[Dvh, ...]
    whole_cc: float

    @property
    def name(self) -> str:
        return self.structure.name

    @property
    def is_target(self) -> bool:
        return self.structure.is_target


@dataclass(frozen=True)
class DvhQuestion:
    """What is asked of doses and structures.

    Parameters
    ----------
    profile : Profile
        Whose limits are evaluated.
    fractions : int or None
        Picks the limits; the dose of one fraction is multiplied by it.
    prescription_gy : float or None
        What V100% refers to [Gy].
    metrics : tuple of str
        Beside `METRICS`.
    """

    profile: Profile
    fractions: int | None = None
    prescription_gy: float | None = None
    metrics: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class DvhTable:
    """DVHs of all structures with volume on the dose grids.

    Parameters
    ----------
    doses : tuple of GivenDose
        One or two, of the course where the number of fractions is known.
    structures : tuple of Evaluated
    question : DvhQuestion
    limits : tuple of ConstraintRow
        For the number of fractions; of a single dose, both sides of a row are that dose.
    left_out : dict of str to str
        Structures that were not evaluated, and why.
    warnings : tuple of str
    source : str
        File of the structures.
    """

    doses: tuple[GivenDose, ...]
    structures: tuple[Evaluated, ...] = field(repr=False)
    question: DvhQuestion
    limits: tuple[ConstraintRow, ...]
    left_out: dict[str, str]
    warnings: tuple[str, ...]
    source: str

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics."""
        return tuple(dict.fromkeys([*METRICS, *self.question.metrics]))

    @property
    def broken(self) -> bool:
        """Whether a dose limit is broken."""
        return any(row.outcome in (BROKEN, FLIP, FLIP_IN_NOISE) for row in self.limits)

    def dvh(self, structure: str, dose: int = 0) -> Dvh:
        """The DVH of a structure, of the first dose or the second.

        Raises
        ------
        InputError
            If there is none.
        """
        for item in self.structures:
            if item.name == structure and 0 <= dose < len(item.dvhs):
                return item.dvhs[dose]
        known = ", ".join(item.name for item in self.structures)
        raise InputError(
            f"DVH of {structure}", f"there is none of dose {dose}", f"there are those of {known}"
        )

    def plot(self, axes: Axes) -> Artists:
        """Draw all curves, the first dose solid and the second dashed; returns lines and bands."""
        drawn: list[Any] = []
        for item in self.structures:
            first = item.dvhs[0].plot(axes, label=item.name)
            drawn += first
            for dvh in item.dvhs[1:]:
                drawn += dvh.plot(axes, linestyle=DASHED, color=first[0].get_color())
        axes.legend(frameon=False)
        return tuple(drawn)

    def values(self, item: Evaluated) -> list[list[MetricValue]]:
        """The metrics of a structure, of each dose."""
        return [list(dvh.metrics(self.metrics, self.question.prescription_gy).values()) for dvh in item.dvhs]

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for strict JSON."""
        organs, profile = synonyms(), self.question.profile
        top = max(dvh.highest for item in self.structures for dvh in item.dvhs)
        axis = np.linspace(0.0, 1.02 * top or 1.0, CURVE_POINTS)
        return plain(
            {
                "schema": "mcverify dvh",
                "schema_version": 1,
                "doses": [{"file": str(dose.path), "is": dose.of} for dose in self.doses],
                "structures_file": self.source,
                "fractions": self.question.fractions,
                "prescription_gy": self.question.prescription_gy,
                "profile": {"name": profile.name, "title": profile.title, "status": profile.status},
                "structures": [
                    {
                        "name": item.name,
                        "type": item.structure.kind,
                        "organs": [
                            {"organ": organ.name, "matched_by": organ.match(item.name)}
                            for organ in organs
                            if organ.matches(item.name)
                        ],
                        "volume_cc": item.dvhs[0].volume,
                        "whole_volume_cc": item.whole_cc,
                        "metrics": self.values(item),
                        "curve_percent": [dvh.curve(axis) for dvh in item.dvhs],
                    }
                    for item in self.structures
                ],
                "curve_dose_gy": axis,
                "limits": [_limit(row, len(self.doses) == 2) for row in self.limits],
                "not_evaluated": self.left_out,
                "warnings": list(self.warnings),
            }
        )

    def _repr_html_(self) -> str:
        columns = ("structure", "volume [cc]", *self.metrics)
        rows = [
            (item.name if k == 0 else "compared", f"{item.whole_cc:.2f}", *map(_text, values))
            for item in self.structures
            for k, values in enumerate(self.values(item))
        ]
        title = " and ".join(f"{dose.path.name} ({dose.of})" for dose in self.doses)
        return Listing.of(title, columns, rows, range(1, len(columns)))._repr_html_()


def dvh_table(
    structures: StructureSet,
    *doses: GivenDose,
    profile: str | PathLike | Profile = "spine",
    fractions: int | None = None,
    prescription_gy: float | None = None,
    metrics: Sequence[str] = (),
    plan: Plan | None = None,
    unrelated: bool = False,
) -> DvhTable:
    """DVHs, metrics and dose limits of all structures in one dose, or in two to be compared (docs/dvh.md).

    Parameters
    ----------
    structures : StructureSet
    *doses : GivenDose
    profile : name, path or Profile
        Whose dose limits are evaluated.
    fractions : int, optional
        Picks the limits; the dose of one fraction is multiplied by it.
    prescription_gy : float, optional
        What ``V100%`` refers to.
    metrics : sequence of str
        More metrics, such as ``D5cc`` or ``V20Gy[cc]``.
    plan : Plan, optional
        The plan that the doses are of; what it warns of is a warning here.
    unrelated : bool
        Whether to use files that state different patients or frames of reference.

    Returns
    -------
    DvhTable
        Its `dvh` and `values` give curves and metrics of a structure, `limits` the dose limits.

    Raises
    ------
    InputError
        If no structure can be evaluated, or doses and structures do not belong together.
    """
    limits = profile if isinstance(profile, Profile) else load_profile(profile)
    question = DvhQuestion(limits, fractions, prescription_gy, tuple(metrics))
    if not 1 <= len(doses) <= 2:
        raise InputError("DVH", f"of {len(doses)} doses", "give one, or two to be compared")
    for metric in question.metrics:
        parse_metric(metric)
    given = tuple(_course(dose, question.fractions) for dose in doses)
    warnings = [*caveats(given, structures, unrelated, plan), *structures.warnings]
    warnings += [*(plan.warnings if plan is not None else ()), *_parts(given)]
    highest = float(given[0].dose.max())
    if prescription_gy and (doubt := doubtful_prescription(prescription_gy, highest)):
        warnings.append(doubt)
    load_dvh()
    evaluated, left_out = _evaluate(structures, given)
    for item in evaluated:
        cells = item.structure.cells
        if cells.volume < WHOLE * cells.whole_cc:
            share = 100 * cells.volume / cells.whole_cc
            warnings.append(f"structure {item.name}: only {share:.0f} % of its volume lies on the dose grid")
    if not evaluated:
        raise InputError(structures.source, f"no structure can be evaluated on {given[0].path.name}")
    rows = _limits(evaluated, given, question, left_out)
    return DvhTable(given, tuple(evaluated), question, rows, left_out, tuple(warnings), structures.source)


def _course(dose: GivenDose, fractions: int | None) -> GivenDose:
    """Dose of the course, where that of a fraction is given and the number of fractions is known."""
    if dose.of != "FRACTION dose" or fractions is None:
        return dose
    return replace(dose, dose=dose.dose * fractions, of=f"FRACTION dose times {fractions}")


def _parts(doses: Sequence[GivenDose]) -> list[str]:
    """Which doses are not those of a whole course."""
    warnings = []
    for dose in doses:
        if dose.of == "FRACTION dose":
            warnings.append(
                f"{dose.path.name} is the dose of one fraction; --fractions makes it the course's"
            )
        if dose.of == "BEAM dose":
            warnings.append(f"{dose.path.name} is the dose of one beam")
    return warnings


def _evaluate(structures: StructureSet, doses: Sequence[GivenDose]) -> tuple[list[Evaluated], dict[str, str]]:
    """DVHs of every structure with volume on the doses' grids, and why the others have none."""
    evaluated, left_out = [], {}
    for roi in structures.rois:
        name = roi.name if structures.names().count(roi.name) == 1 else f"{roi.name} (ROI {roi.number})"
        if roi.is_empty or roi.problem:
            left_out[name] = roi.problem or "has no contours"
            continue
        cells = [cut(roi, doses[0].grid)]
        cells += [cells[0] if d.grid.matches(doses[0].grid) else cut(roi, d.grid) for d in doses[1:]]
        if not all(part.volume > 0 for part in cells):
            left_out[name] = "lies outside the dose grid"
            continue
        dvhs = tuple(Dvh(part, dose.dose, dose.noise) for part, dose in zip(cells, doses, strict=True))
        evaluated.append(Evaluated(Structure(name, roi.type, *cells), dvhs, solid_volume(roi)))
    return evaluated, left_out


def _limits(
    evaluated: Sequence[Evaluated],
    doses: Sequence[GivenDose],
    question: DvhQuestion,
    left_out: dict[str, str],
) -> tuple[ConstraintRow, ...]:
    """The profile's limits for these fractions; of a single dose, both sides of a row are that dose."""

    def read(item: Evaluated, metric: str, margins) -> tuple[MetricValue, MetricValue, float]:
        dvhs = item.dvhs
        if margins is not None:
            grown = item.structure.expanded(margins)
            parts = (grown.cells, grown.mc_cells)[: len(doses)]
            dvhs = [Dvh(part, d.dose, d.noise) for part, d in zip(parts, doses, strict=True)]
        values = [dvh.metric(metric, question.prescription_gy) for dvh in dvhs]
        return values[0], values[-1], dvhs[0].volume

    return judge_constraints(evaluated, read, question.profile, question.fractions, left_out)


def _limit(row: ConstraintRow, two: bool) -> dict[str, Any]:
    """A row; of a single dose, its value and whether the limit is kept."""
    if two:
        return row.to_dict()
    names = ("organ", "structure", "matched_by", "metric", "relation", "limit", "unit", "fractions")
    plain_row = row.to_dict()
    kept = None if row.outcome == NOT_EVALUATED else row.plan_margin >= 0
    found = {name: plain_row[name] for name in names}
    found |= {"value": row.plan, "sigma": row.sigma, "margin": row.plan_margin, "kept": kept}
    return found | {name: plain_row[name] for name in ("prv_mm", "volume_cc", "note", "source")}


def _text(value: MetricValue) -> str:
    if value.value is None:
        return "-"
    sigma = "" if value.sigma is None else f" \N{PLUS-MINUS SIGN} {value.sigma:.2f}"
    return f"{value.value:.2f}{sigma} {value.unit}"

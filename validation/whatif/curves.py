"""Coverage and organ doses against errors of the setup: one axis at a time, and at random."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mc.dose import Dose
from mc.plan.plan import Plan
from phantoms.errors import InputError
from phantoms.phantom import Phantom
from phantoms.structures import StructureSet
from validation.diagnosis.voxels import effective_attenuation
from validation.limits.profiles import Organ, Profile
from validation.metrics.dvh import MetricValue, parse_metric
from validation.metrics.noise import Noise
from validation.plan_check.verdict import is_target
from validation.whatif.motion import AXES, ROTATIONS, TRANSLATIONS, SetupError, direction
from validation.whatif.result import PERCENTILES, Check, Curve, Limit, Summary, WhatIf
from validation.whatif.shifted import DepthChange, DoseInRoom, Tissue, tissue

# organs that lie so close to a target of the spine that millimetres count
CLOSE_ORGANS = ("cord", "cauda equina", "thecal sac", "brainstem")
TARGET_METRICS, ORGAN_METRICS = ("D95%", "V100%"), ("D0.03cc", "D0.35cc")
STEPS = 5  # of a curve on either side
DRAWN, SEED = 400, 1  # random errors


@dataclass(frozen=True, eq=False)
class _Read:
    """A structure and the metrics that are read of it."""

    tissue: Tissue
    metrics: tuple[str, ...]
    limits: Mapping[str, tuple[Limit, ...]]


def what_if(
    plan: Plan,
    dose: Dose,
    structures: StructureSet,
    phantom: Phantom,
    profile: Profile,
    organs: Sequence[Organ],
    *,
    patient: str = "",
    shift_mm: float = 5.0,
    turn_deg: float = 3.0,
    sigma_mm: float = 1.0,
    sigma_deg: float = 0.5,
    drawn: int = DRAWN,
    also: Sequence[str] = (),
    checks: Sequence[SetupError] = (),
    compute: Callable[[SetupError], Dose] | None = None,
    on_stage: Callable[[str], None] = lambda text: None,
) -> WhatIf:
    """Targets and organs of a plan against errors of the setup.

    Parameters
    ----------
    plan : Plan
    dose : Dose
        Of the course, by Monte Carlo.
    structures : StructureSet
    phantom : Phantom
        That the dose was computed in.
    profile : Profile
        Its limits for the plan's number of fractions are drawn.
    organs : sequence of Organ
        Organs at risk, besides which targets are shown.
    patient : str
        Pseudonym.
    shift_mm, turn_deg : float
        Ends of the curves.
    sigma_mm, sigma_deg : float
        Of random errors, the same in all fractions, independent along all axes.
    drawn : int
        Number of random errors.
    also : sequence of str
        Names of further structures.
    checks : sequence of SetupError
        Setups that `compute` computes again.
    compute : callable, optional
        The dose of the patient who lies so, in the patient's coordinates.

    Raises
    ------
    InputError
        If there is nothing to show, or `also` names what is not there.
    """
    on_stage("structures")
    prescription = max((p.dose for p in plan.prescriptions if p.dose > 0), default=None)
    notes = [] if prescription else ["the plan states no prescription dose: there is no V100%"]
    isocentres = dict.fromkeys(beam.isocentre for beam in plan.beams)
    if len(isocentres) > 1:
        notes.append(f"the plan has {len(isocentres)} isocentres: the patient turns about the first")
    reads = _reads(structures, dose, profile, organs, plan.fractions, prescription, also, notes)
    tissues = [read.tissue for read in reads]
    ends = {axis: shift_mm if axis in TRANSLATIONS else turn_deg for axis in AXES}
    for error in checks:
        ends |= {a: max(ends[a], abs(v)) for a, v in zip(AXES, error.values, strict=True)}
    on_stage("depths along the beams")
    outline = structures.external(phantom.audit.get("body", {}).get("roi"))
    depth = DepthChange(plan, phantom, tissues, ends, effective_attenuation(dose, phantom, outline, plan))
    fixed_dose = DoseInRoom(dose, plan, tissues, _reach(tissues, plan, ends))

    def metrics(read: _Read, error: SetupError, changed: bool = True) -> list[float | None]:
        values = fixed_dose.at(read.tissue, error)
        if changed:
            values = values * depth.factor(read.tissue, error)
        return _metrics(read, values, prescription)

    on_stage("curves")
    curves = [curve for read in reads for axis in AXES for curve in _curves(read, axis, ends[axis], metrics)]
    on_stage("random errors")
    random = np.random.default_rng(SEED).standard_normal((drawn, 6)) * ([sigma_mm] * 3 + [sigma_deg] * 3)
    errors = [SetupError(*(float(v) for v in row)) for row in random]
    summaries = [s for read in reads for s in _summaries(read, errors, metrics, dose, prescription)]
    found = []
    for error in checks:
        on_stage("Monte Carlo of a moved patient")
        found += _checked(error, compute(error), reads, metrics, prescription)
    return WhatIf(
        plan.label,
        patient,
        plan.patient_position,
        tuple(10 * c for c in plan.beams[0].isocentre),
        {axis: direction(axis, plan.patient_position) for axis in AXES},
        ends,
        sigma_mm,
        sigma_deg,
        drawn,
        tuple(curves),
        tuple(summaries),
        _invariance(curves),
        tuple(found),
        str(dose.provenance.get("quantity", "not stated")),
        tuple(notes),
    )


def _reads(
    structures: StructureSet,
    dose: Dose,
    profile: Profile,
    organs: Sequence[Organ],
    fractions: int,
    prescription: float | None,
    also: Sequence[str],
    notes: list[str],
) -> list[_Read]:
    """Planning targets (or other ones), organs that lie close to them, and what was asked for."""
    for name in also:
        structures[name]  # refuses what is not there
    close = [organ for organ in organs if organ.name in CLOSE_ORGANS]
    targets = [roi for roi in structures.rois if is_target(roi.type, roi.name)]
    planned = [roi for roi in targets if "PTV" in (roi.type, roi.name[:3].upper())]
    found = []
    for roi in structures.rois:
        matched = [organ.name for organ in close if organ.matches(roi.name)]
        target = roi in (planned or targets)
        if not (target or matched or roi.name in also) or roi.is_empty or roi.problem:
            continue
        seen = tissue(roi, dose.grid, roi.name)
        if seen is None:
            notes.append(f"structure {roi.name} lies outside the dose grid")
            continue
        names = TARGET_METRICS if roi in targets else ORGAN_METRICS
        metrics = tuple(m for m in names if prescription or parse_metric(m).amount_unit != "%" or m[0] == "D")
        limits = {
            metric: tuple(
                Limit(c.limit, c.relation, c.source)
                for c in profile.constraints
                if c.organ in matched and c.metric == metric and c.fractions == fractions and not c.prv_mm
            )
            for metric in metrics
        }
        found.append(_Read(seen, metrics, limits))
    if not found:
        raise InputError(
            structures.source,
            "has no target and no cord on the dose grid",
            "name one with --structure",
        )
    return found


def _metrics(read: _Read, values: np.ndarray, prescription: float | None) -> list[float | None]:
    found = read.tissue.dvh(values).metrics(read.metrics, prescription)
    return [found[metric].value for metric in read.metrics]


def _reach(tissues: Sequence[Tissue], plan: Plan, ends: Mapping[str, float]) -> float:
    """How far any voxel moves, at most [cm]; random errors beyond are read at the border."""
    far = max(float(np.abs(t.points - plan.beams[0].isocentre).max()) for t in tissues)
    turn = np.radians(max(ends[axis] for axis in ROTATIONS))
    return 0.1 * sum(ends[axis] for axis in TRANSLATIONS) + 3.0 * far * turn


def _curves(read: _Read, axis: str, end: float, metrics: Callable) -> list[Curve]:
    errors = np.linspace(-end, end, 2 * STEPS + 1)
    both = [[metrics(read, SetupError.along(axis, e), changed) for e in errors] for changed in (True, False)]
    found = []
    for k, metric in enumerate(read.metrics):
        values, fixed = ([row[k] for row in rows] for rows in both)
        found.append(
            Curve(
                read.tissue.name,
                metric,
                parse_metric(metric).unit,
                axis,
                tuple(float(e) for e in errors),
                tuple(values),
                tuple(fixed),
                _kept(errors, values, read.limits[metric]),
            )
        )
    return found


def _kept(
    errors: np.ndarray, values: Sequence[float | None], limits: Sequence[Limit]
) -> tuple[float, float] | None:
    """Errors about 0 between which all limits are kept; linear between the points of the curve."""
    if not limits or any(value is None for value in values):
        return None
    spare = np.min([_spare(np.array(values), limit) for limit in limits], axis=0)
    if spare[STEPS] < 0.0:
        return None
    ends = []
    for step in (-1, 1):
        k = STEPS
        while 0 < k < 2 * STEPS and spare[k + step] >= 0.0:
            k += step
        edge = errors[k]
        if 0 < k < 2 * STEPS:
            part = spare[k] / (spare[k] - spare[k + step])
            edge += part * (errors[k + step] - errors[k])
        ends.append(float(edge))
    return ends[0], ends[1]


def _spare(values: np.ndarray, limit: Limit) -> np.ndarray:
    """How far values are on the good side of a limit."""
    return limit.value - values if limit.relation == "<=" else values - limit.value


def _summaries(
    read: _Read, errors: Sequence[SetupError], metrics: Callable, dose: Dose, prescription: float | None
) -> list[Summary]:
    drawn = [metrics(read, error) for error in errors]
    known = _known(read, dose, prescription)
    found = []
    for k, metric in enumerate(read.metrics):
        values, limits = [row[k] for row in drawn], read.limits[metric]
        known_value = known[metric].value is not None
        kept = (
            np.all([_spare(np.array(values), limit) >= 0.0 for limit in limits], axis=0) if limits else None
        )
        found.append(
            Summary(
                read.tissue.name,
                metric,
                known[metric].unit,
                known[metric].value,
                known[metric].sigma,
                limits,
                tuple(float(p) for p in np.percentile(values, PERCENTILES)) if known_value else (None,) * 3,
                None if kept is None or not known_value else 100.0 * float(np.mean(kept)),
            )
        )
    return found


def _known(read: _Read, dose: Dose, prescription: float | None) -> dict[str, MetricValue]:
    """The metrics of a structure that lies where it was planned, with their sigmas."""
    here = dose.crop_to(read.tissue.grid)
    return read.tissue.dvh(here.mean, Noise.of(here)).metrics(read.metrics, prescription)


def _checked(
    error: SetupError, computed: Dose, reads: Sequence[_Read], metrics: Callable, prescription: float | None
) -> list[Check]:
    found = []
    for read in reads:
        known = _known(read, computed, prescription)
        values, fixed = metrics(read, error), metrics(read, error, False)
        for k, metric in enumerate(read.metrics):
            known_value = known[metric]
            found.append(
                Check(
                    error,
                    read.tissue.name,
                    metric,
                    known_value.unit,
                    known_value.value,
                    known_value.sigma,
                    values[k],
                    fixed[k],
                )
            )
    return found


def _invariance(curves: Sequence[Curve]) -> float:
    """Largest difference between a dose fixed in the room and one that follows the depths [% of it]."""
    worst = 0.0
    for curve in curves:
        if curve.unit == "Gy":
            pairs = zip(curve.values, curve.fixed, strict=True)
            worst = max([worst, *(100.0 * abs(v / f - 1.0) for v, f in pairs if v and f)])
    return worst

"""The verdict: does the Monte Carlo dose agree with the plan's, by the limits of a profile?

It is about agreement. A clinical limit that both doses break is shown and fails nothing; one that
the plan keeps and Monte Carlo breaks beyond its noise is a flip, and the profile says what that is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from mc.dose import Dose
from mc.run.report import MAX_IMBALANCE, RunReport
from phantoms.errors import InputError
from phantoms.listing import Listing
from phantoms.subvoxels import SubVoxels
from validation.limits.constraints import (
    FLIP,
    FLIP_IN_NOISE,
    NOT_EVALUATED,
    ConstraintRow,
    fractions_note,
    judge_constraints,
)
from validation.limits.profiles import TARGET, DifferenceLimit, GammaLimit, GammaPart, Profile
from validation.metrics.dvh import Dvh, MetricValue
from validation.metrics.gamma import Criterion, GammaMap, Sweep, gamma, passing_rate
from validation.metrics.noise import Noise
from validation.metrics.statistics import noise_gamma
from validation.metrics.volumes import Volume
from validation.plan_check.judgement import (
    NOISY,
    Test,
    difference_status,
    rate_status,
    without_noise_alarms,
    worst,
)
from validation.rtdose import PlannedDose

MAX_IMBALANCE_PPM = 1e6 * MAX_IMBALANCE
UNRELIABLE = "the transport did not go as it must: report this"
TABLE_METRICS = ("Dmean", "D98%", "D95%", "D50%", "D2%", "D0.03cc")
TARGET_TYPES = ("PTV", "CTV", "GTV")
CEILING_COPIES = 3  # of the plan's dose with Monte Carlo's noise, whose gamma is the noise ceiling


def _shown(value: float | None, unit: str) -> str:
    """A value with its unit, empty where there is none."""
    return "" if value is None else f"{value:.4g} {unit}"


def is_target(kind: str, name: str) -> bool:
    """Whether a structure is a target, by its interpreted type, or by its name where that says nothing."""
    if kind in ("", "NONE", "CONTROL"):
        return re.match(r"(ptv|ctv|gtv)(?![a-z])", name.lower()) is not None
    return kind in TARGET_TYPES


class Structure:
    """A structure as the verdict sees it.

    Parameters
    ----------
    name : str
    kind : str
        RT ROI Interpreted Type, such as PTV, ORGAN, EXTERNAL; empty where there is none.
    cells : SubVoxels
        On the plan's dose grid.
    mc_cells : SubVoxels, optional
        On the Monte Carlo grid, where that is another one.

    Attributes
    ----------
    volume, mc_volume : Volume
        Fractions of voxels, by the boxes around the structure.
    """

    def __init__(self, name: str, kind: str, cells: SubVoxels, mc_cells: SubVoxels | None = None) -> None:
        self.name, self.kind = name, kind
        self.cells, self.mc_cells = cells, cells if mc_cells is None else mc_cells
        self.volume = Volume.of(cells)
        self.mc_volume = self.volume if mc_cells is None else Volume.of(mc_cells)

    def expanded(self, margins_mm: Sequence[float]) -> Structure:
        """The structure grown by margins along (x, y, z) [mm]."""
        margins = [0.1 * margin for margin in margins_mm[::-1]]
        same = self.mc_cells is self.cells
        grown = self.cells.expanded(margins)
        return Structure(self.name, self.kind, grown, None if same else self.mc_cells.expanded(margins))

    @property
    def fraction(self) -> np.ndarray:
        """Fractions on the whole of the plan's dose grid; made anew each time."""
        return self.volume.whole

    @property
    def is_target(self) -> bool:
        """Whether it is a target, by its type, or by its name where the type says nothing."""
        return is_target(self.kind, self.name)


@dataclass(frozen=True)
class Row:
    """A metric of a structure in both doses; `difference` is Monte Carlo less plan [unit]."""

    structure: str
    target: bool
    metric: str
    unit: str
    plan: float | None
    mc: float | None
    sigma: float | None
    difference: float | None
    note: str = ""


@dataclass(frozen=True, eq=False)
class GammaResult:
    """Passing rates of one criterion [%].

    Parameters
    ----------
    map : GammaMap
    sweep : Sweep
        By dose threshold.
    rate : float
        Over BODY.
    ceiling : float or None
        What the rate would be if the doses differed by Monte Carlo's noise alone; None on unlike grids.
    by_structure, ceiling_by_structure : dict of str to float
        Both for each structure; NaN where none of its voxels is above the threshold.
    """

    map: GammaMap
    sweep: Sweep
    rate: float
    ceiling: float | None
    by_structure: dict[str, float]
    ceiling_by_structure: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Verdict:
    """All tests, and the tables and maps they come from.

    Parameters
    ----------
    profile : Profile
    prescription : float or None
        [Gy]
    tests : tuple of Test
    rows : tuple of Row
    constraints : tuple of ConstraintRow
        Clinical limits for the plan's number of fractions, flips first.
    gamma : tuple of GammaResult
    """

    profile: Profile
    prescription: float | None
    tests: tuple[Test, ...]
    rows: tuple[Row, ...] = ()
    constraints: tuple[ConstraintRow, ...] = ()
    gamma: tuple[GammaResult, ...] = field(default=(), repr=False)

    @property
    def status(self) -> str:
        """The worst status of any test: 'pass', 'warn', 'noisy' (too noisy for a verdict) or 'fail'."""
        found = worst(test.status for test in self.tests)
        return "pass" if found == "shown" else found

    @property
    def passed(self) -> bool:
        """Whether no test failed and the noise permits to say so; warnings are for the reader."""
        return self.status in ("pass", "warn")

    def _repr_html_(self) -> str:
        columns = ("", "test", "found", "warns", "fails", "remark")
        rows = [
            (
                t.status,
                t.name,
                _shown(t.value, t.unit),
                _shown(t.tolerance, t.unit),
                _shown(t.action, t.unit),
                t.note,
            )
            for t in self.tests
        ]
        return Listing.of(f"Verdict: {self.status}", columns, rows, (2, 3, 4))._repr_html_()

    def to_dict(self) -> dict:
        """Everything but the maps, ready for JSON: None for what could not be determined."""
        profile = self.profile
        return {
            "status": self.status,
            "passed": self.passed,
            "profile": {"name": profile.name, "title": profile.title, "status": profile.status},
            "prescription_gy": self.prescription,
            "tests": [_plain(test) for test in self.tests],
            "constraints": [row.to_dict() for row in self.constraints],
            "dvh": [_plain(row) for row in self.rows],
            "gamma": [
                {
                    "criterion": str(result.map.criterion),
                    "direction": "reference: plan, evaluated: Monte Carlo",
                    "normalisation_gy": result.map.normalisation,
                    "voxels": result.map.count(),
                    "uncovered": result.map.uncovered,
                    "passing_percent": _finite(result.rate),
                    "noise_ceiling_percent": _finite(result.ceiling),
                    "sweep": {
                        "threshold_percent": result.sweep.threshold_percent.tolist(),
                        "passing_percent": [_finite(rate) for rate in result.sweep.passing_percent],
                        "voxels": result.sweep.voxels.tolist(),
                    },
                    "by_structure_percent": {k: _finite(v) for k, v in result.by_structure.items()},
                    "noise_ceiling_by_structure_percent": {
                        k: _finite(v) for k, v in result.ceiling_by_structure.items()
                    },
                }
                for result in self.gamma
            ],
        }


@dataclass(frozen=True, eq=False)
class DosePair:
    """Both doses of a plan, and where they are compared.

    Parameters
    ----------
    planned_dose : PlannedDose
        Of the whole course.
    dose : Dose
        The Monte Carlo dose, of the whole course, on the same or another grid.
    structures : sequence of Structure
        Those with volume, on both grids; BODY need not be among them.
    body : (nz, ny, nx) bool
        Voxels of the planned dose that gamma is evaluated in.
    """

    planned_dose: PlannedDose
    dose: Dose
    structures: Sequence[Structure]
    body: np.ndarray

    @cached_property
    def noise(self) -> Noise:
        """Of the Monte Carlo dose: transport, latent, and of its calibration."""
        return Noise.of(self.dose)

    @cached_property
    def dvhs(self) -> dict[str, tuple[Dvh, Dvh]]:
        """DVHs of planned and Monte Carlo dose by the names of the structures."""
        return {structure.name: self.dvh(structure) for structure in self.structures}

    def dvh(self, structure: Structure) -> tuple[Dvh, Dvh]:
        """DVHs of planned and Monte Carlo dose in any structure."""
        return (
            Dvh(structure.cells, self.planned_dose.dose),
            Dvh(structure.mc_cells, self.dose.mean, self.noise),
        )

    def transport_sigma(self, structure: Structure, metric: str, prescription: float | None) -> float | None:
        """The part of a metric's sigma that the transport makes, independent from voxel to voxel."""
        dvh = Dvh(structure.mc_cells, self.dose.mean, self.dose.sigma)
        return dvh.metric(metric, prescription).sigma


def judge(
    doses: DosePair,
    profile: Profile,
    *,
    prescription: float | None = None,
    fractions: int | None = None,
    left_out: Mapping[str, str] | None = None,
    too_few: bool = False,
) -> Verdict:
    """Compare the Monte Carlo dose with the planned one by the limits of a profile.

    Parameters
    ----------
    doses : DosePair
    profile : Profile
    prescription : float, optional
        Of the course [Gy].
    fractions : int, optional
        Selects the constraints.
    left_out : dict of str to str, optional
        Structures that could not be evaluated, and why.
    too_few : bool
        Whether the sigmas rest on too few pairs of batches for a verdict
        (`validation.plan_check.statistics.too_few`).

    Raises
    ------
    InputError
        If no voxel of the body lies above the dose threshold of a gamma criterion, or the Monte Carlo dose is
        zero everywhere.
    """
    structures, dvhs = doses.structures, doses.dvhs
    results = tuple(_gamma(limit, doses) for limit in profile.gamma)
    limits = [*profile.differences, *(c for c in profile.constraints if c.applies(fractions))]
    metrics = list(dict.fromkeys([*TABLE_METRICS, *(limit.metric for limit in limits)]))
    found = {name: [dvh.metrics(metrics, prescription) for dvh in pair] for name, pair in dvhs.items()}
    expanded: dict[tuple, tuple[Dvh, Dvh]] = {}

    def pair(structure: Structure, metric: str) -> tuple[MetricValue, MetricValue]:
        return tuple(values[metric] for values in found[structure.name])

    def read(s: Structure, metric: str, margins) -> tuple[MetricValue, MetricValue, float]:
        if margins is None:
            return *pair(s, metric), dvhs[s.name][1].volume
        if (s.name, margins) not in expanded:
            expanded[s.name, margins] = doses.dvh(s.expanded(margins))
        grown = expanded[s.name, margins]
        return *(dvh.metric(metric, prescription) for dvh in grown), grown[1].volume

    tests = []
    for limit, result in zip(profile.gamma, results, strict=True):
        tests += _judge_gamma(limit, result, structures, profile)
    for limit in profile.differences:
        tests += _judge_difference(limit, doses, pair, profile, prescription)
    constraints = judge_constraints(structures, read, profile, fractions, left_out)
    tests += _constraint_tests(constraints, fractions_note(profile, fractions))
    tests = without_noise_alarms(tests, too_few)
    tests += _judge_resolution(doses.dose, profile)
    shown = [s for s in structures if s.kind not in ("EXTERNAL", "SUPPORT")]
    rows = tuple(
        _row(s, *pair(s, metric))
        for s in sorted(shown, key=lambda s: not s.is_target)
        for metric in TABLE_METRICS
    )
    return Verdict(profile, prescription, tuple(tests), rows, constraints, results)


def _gamma(limit: GammaLimit, doses: DosePair) -> GammaResult:
    """Gamma of the Monte Carlo dose (evaluated) against the planned dose (reference) within BODY."""
    plan, plan_grid, dose, body = doses.planned_dose.dose, doses.planned_dose.grid, doses.dose, doses.body
    found = gamma(plan, plan_grid, dose.mean, dose.grid, limit.criterion, body)
    if found.count() == 0:
        raise InputError(f"gamma {limit.criterion}", "no voxel of BODY lies above the threshold")
    rates = _by_structure(found, doses.structures)
    ceiling, ceilings = None, {}
    if plan_grid.matches(dose.grid):
        of_noise = list(noise_gamma(plan, doses.noise, plan_grid, limit.criterion, body, CEILING_COPIES))
        ceiling = float(np.mean([copy.passing_rate() for copy in of_noise]))
        each = [_by_structure(copy, doses.structures) for copy in of_noise]
        ceilings = {name: float(np.mean([one[name] for one in each])) for name in rates}
    return GammaResult(found, found.sweep(plan), found.passing_rate(), ceiling, rates, ceilings)


def _by_structure(found: GammaMap, structures: Sequence[Structure]) -> dict[str, float]:
    """Passing rate in each structure [%]."""
    rates = {}
    for s in structures:
        inside = found.part(s.volume.box)[s.volume.half]
        rates[s.name] = passing_rate(inside[np.isfinite(inside)])
    return rates


def _judge_gamma(
    limit: GammaLimit, result: GammaResult, structures: Sequence[Structure], profile: Profile
) -> list[Test]:
    """The limit over BODY, and those on structures; a warning where no structure is the one it speaks of."""
    tests = [_gamma_test(limit, limit.criterion, "BODY", result.rate, result.ceiling, result.map.uncovered)]
    for part in limit.parts:
        chosen = [s for s in structures if _is_meant(part.structures, s, profile)]
        for s in chosen:
            rate, ceiling = result.by_structure[s.name], result.ceiling_by_structure.get(s.name)
            tests.append(_gamma_test(part, limit.criterion, s.name, rate, ceiling))
        if not chosen:
            bounds = {"tolerance": part.tolerance, "action": part.action, "source": part.source}
            note = f"no structure is a {part.structures}"
            name = f"gamma {limit.criterion}, {part.structures}"
            tests.append(Test(name, None, "%", "warn", note=note, **bounds))
    return tests


def _gamma_test(
    limit: GammaLimit | GammaPart,
    criterion: Criterion,
    place: str,
    rate: float,
    ceiling: float | None,
    uncovered: int = 0,
) -> Test:
    bounds = {"tolerance": limit.tolerance, "action": limit.action, "source": limit.source}
    name = f"gamma {criterion}, {place}"
    if math.isnan(rate):
        return Test(name, None, "%", "shown", note="no voxel lies above the threshold", **bounds)
    status = rate_status(rate, ceiling, limit.tolerance, limit.action)
    notes = [] if ceiling is None else [f"noise ceiling {ceiling:.1f} %"]
    if uncovered:
        notes.append(f"{uncovered} voxels lie outside the Monte Carlo grid")
    return Test(name, rate, "%", status, note="; ".join(notes), **bounds)


def _is_meant(structures: str, structure: Structure, profile: Profile) -> bool:
    """Whether a limit on 'target', or on an organ, speaks of a structure."""
    if structures == TARGET:
        return structure.is_target
    return profile.organ(structures).matches(structure.name)


def _judge_difference(
    limit: DifferenceLimit,
    doses: DosePair,
    pair,
    profile: Profile,
    prescription: float | None,
) -> list[Test]:
    """The limit on each structure it speaks of; a warning if there is none."""
    structures = doses.structures
    chosen = [s for s in structures if _is_meant(limit.structures, s, profile)]
    bounds = {"tolerance": limit.tolerance, "action": limit.action, "source": limit.source}
    of = f"% of {limit.relative_to}"
    if not chosen:
        name = f"{limit.structures} {limit.metric}, MC - plan"
        return [Test(name, None, of, "warn", note=f"no structure is a {limit.structures}", **bounds)]
    tests = []
    for structure in chosen:
        name = f"{structure.name} {limit.metric}, MC - plan"
        plan, mc = pair(structure, limit.metric)
        scale = plan.value if limit.relative_to == "plan" else prescription
        if plan.value is None or mc.value is None or not scale:
            note = plan.note or mc.note or f"there is no dose of the {limit.relative_to} to relate it to"
            tests.append(Test(name, None, of, "warn", note=note, **bounds))
            continue
        value, sigma = 100 * (mc.value - plan.value) / scale, 100 * mc.sigma / scale
        status, note = difference_status(value, sigma, limit.tolerance, limit.action)
        transport = None
        if status == NOISY:
            transport = 100 * doses.transport_sigma(structure, limit.metric, prescription) / scale
        tests.append(Test(name, value, of, status, sigma, note=note, transport_sigma=transport, **bounds))
    return tests


def _constraint_tests(rows: tuple[ConstraintRow, ...], note: str) -> list[Test]:
    """The limits that were evaluated, as tests; a warning where the profile has none for these fractions."""
    tests = [Test("dose limits", None, "", "warn", note=note)] if note else []
    for row in rows:
        if row.outcome == NOT_EVALUATED:
            if row.structure is not None:
                tests.append(Test(row.label, None, row.unit, "shown", note=row.note, source=row.source))
            continue
        limit_text = {
            FLIP: "flip: kept by the plan, broken by Monte Carlo",
            FLIP_IN_NOISE: f"kept by the plan, broken by Monte Carlo; {row.note}",
        }.get(row.outcome, row.outcome)
        limit_text += f" (plan {row.plan:.2f} {row.unit})"
        tests.append(
            Test(row.label, row.mc, row.unit, row.status, row.sigma, None, row.limit, limit_text, row.source)
        )
    return tests


def _judge_resolution(dose: Dose, profile: Profile) -> list[Test]:
    """Tests of the Monte Carlo dose itself: its noise and its voxels."""
    if not dose.mean.max() > 0:
        raise InputError("Monte Carlo dose", "is zero everywhere")
    sigma, voxel = 100 * dose.relative_uncertainty(), 10 * max(dose.grid.spacing)
    tests = []
    for name, value, unit, most in (
        ("transport sigma, rms above half the maximum", sigma, "%", profile.max_sigma_percent),
        ("longest voxel side", voxel, "mm", profile.max_voxel_mm),
    ):
        # to 1e-6, so that a side of 2 mm is not above 2 mm by rounding
        status = "pass" if value <= most * (1 + 1e-6) else "warn"
        tests.append(Test(name, value, unit, status, tolerance=most, source=profile.source))
    return tests


def judge_run(report: RunReport) -> tuple[Test, ...]:
    """Tests of the transport itself; a dose that fails one is not to be trusted.

    What the report does not state is not judged.
    """
    tests = []
    if report.energy_balance is not None:
        off = 1e6 * abs(report.energy_balance - 1.0)
        status, note = ("pass", "") if off <= MAX_IMBALANCE_PPM else ("fail", UNRELIABLE)  # NaN fails
        tests.append(
            Test("energy balance of the run, off by", off, "ppm", status, action=MAX_IMBALANCE_PPM, note=note)
        )
    for name, count, bad in (
        ("lost particles", report.lost_particles, "fail"),
        ("stack overflows", report.stack_overflows, "warn"),
    ):
        if count is not None:
            status, note = (bad, UNRELIABLE) if count else ("pass", "")
            bound = {"action" if bad == "fail" else "tolerance": 0.0}
            tests.append(Test(name, int(count), "", status, note=note, **bound))
    return tuple(tests)


def _row(structure: Structure, plan: MetricValue, mc: MetricValue) -> Row:
    known = plan.value is not None and mc.value is not None
    difference = mc.value - plan.value if known else None
    note = plan.note or mc.note
    return Row(
        structure.name,
        structure.is_target,
        plan.name,
        plan.unit,
        plan.value,
        mc.value,
        mc.sigma,
        difference,
        note,
    )


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _plain(item: Test | Row) -> dict:
    """Fields of a flat dataclass, not-finite numbers as None."""
    return {k: _finite(v) if isinstance(v, float) else v for k, v in vars(item).items()}

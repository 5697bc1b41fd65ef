"""Judging computed fields: every scan and output factor against its limit, and the figures of both curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from phantoms.errors import InputError
from validation.commission.compute import ComputedField, Curve
from validation.commission.criteria import Criteria
from validation.commission.fields import Field
from validation.scans import PDD, OutputFactor, Scan
from validation.scans.analysis import depth_dose_figures, depth_of_maximum, fitted_dose, profile_figures
from validation.scans.compare import ScanComparison, compare
from validation.scans.output_factors import condition

PASS, FAIL, NOISY, NOT_JUDGED = "pass", "fail", "too noisy", "not judged"


@dataclass(frozen=True)
class Figure:
    """A figure of both curves; `sigma` is of the computed one, transport and latent together."""

    name: str
    measured: float
    computed: float
    sigma: float


@dataclass(frozen=True, eq=False)
class JudgedScan:
    """A scan with its verdict: 'pass', 'fail', 'too noisy' or 'not judged' (all in the build-up)."""

    comparison: ScanComparison
    figures: tuple[Figure, ...]
    status: str


@dataclass(frozen=True)
class JudgedFactor:
    """An output factor with its verdict; `sigma` is the transport and latent sigma of the computed one."""

    factor: OutputFactor
    computed: float
    sigma: float
    status: str

    @property
    def difference_percent(self) -> float:
        """Computed less measured, of the measured [%]."""
        return 100.0 * (self.computed / self.factor.value - 1.0)


@dataclass(frozen=True, eq=False)
class JudgedField:
    """A field and the verdicts on its scans."""

    computed: ComputedField
    scans: tuple[JudgedScan, ...]

    @property
    def field(self) -> Field:
        """The field."""
        return self.computed.field


def judge_fields(
    computed: Sequence[ComputedField], criteria: Criteria
) -> tuple[tuple[JudgedField, ...], tuple[JudgedFactor, ...]]:
    """Verdicts on all scans and output factors.

    Raises
    ------
    InputError
        If it is not known where the build-up ends.
    """
    scans = [scan for field in computed for scan in field.field.scans]
    fields = []
    for each in computed:
        flattened = each.field.quality.fluence_mode != "FFF"
        build_up = build_up_of(each.field, scans, criteria)
        fields.append(
            JudgedField(each, tuple(_judged(curve, criteria, build_up, flattened) for curve in each.curves))
        )
    return tuple(fields), tuple(_judge_factors(computed, criteria))


def build_up_of(field: Field, scans: Sequence[Scan], criteria: Criteria) -> float:
    """Depth from which points of a field are judged [cm].

    That of the criteria, or the depth of maximum of the field's measured depth dose, or of another one of
    the same energy.
    """
    if criteria.build_up_cm is not None:
        return criteria.build_up_cm
    of_field = [scan for scan in field.scans if scan.kind == PDD]
    alike = [scan for scan in scans if scan.kind == PDD and scan.nominal_mv == field.quality.nominal_mv]
    for scan in of_field + alike:
        return depth_of_maximum(scan.positions, scan.values)[0]
    raise InputError(
        field.label,
        "no depth dose of this energy shows where the build-up ends",
        "add one, or state build_up_cm in criteria of your own",
    )


def _judged(curve: Curve, criteria: Criteria, build_up: float, flattened: bool) -> JudgedScan:
    found = compare(
        curve.scan, curve.positions, curve.dose, curve.sigma, curve.latent, criteria.criterion, build_up
    )
    if not found.judged.any():
        status = NOT_JUDGED
    elif np.hypot(found.sigma_percent, found.latent_percent) > criteria.max_sigma_percent:
        status = NOISY
    else:
        status = PASS if found.passing_percent >= criteria.passing_percent else FAIL
    return JudgedScan(found, figures_of(curve, flattened), status)


def figures_of(curve: Curve, flattened: bool) -> tuple[Figure, ...]:
    """Figures of a scan and of its computed curve, both from the measured positions."""
    scan = curve.scan

    def figures(dose: np.ndarray) -> dict[str, float]:
        if scan.kind == PDD:
            return depth_dose_figures(at, dose, scan.ssd_cm, scan.field_cm)
        return profile_figures(at, dose, flattened) if scan.centred else {}

    covered = scan.positions >= curve.positions[0] - 1e-6
    at = scan.positions[covered]
    measured = figures(scan.values[covered])
    computed = figures(np.interp(at, curve.positions, curve.dose))
    groups = len(curve.by_group)
    resampled = [
        figures(np.interp(at, curve.positions, curve.without_group(group))) for group in range(groups)
    ]
    return tuple(
        Figure(name, measured[name], computed[name], jackknife([each[name] for each in resampled]))
        for name in measured
    )


def jackknife(values: Sequence[float]) -> float:
    """One sigma of a number from its values without one group of histories after the other.

    Histories of different groups are independent, so both the transport and the latent variance are in it
    (Efron and Stein, Ann Stat 9 (1981) 586).
    """
    values = np.asarray(values, float)
    return float(np.sqrt((len(values) - 1) * np.var(values)))


def _judge_factors(computed: Sequence[ComputedField], criteria: Criteria) -> list[JudgedFactor]:
    """Output factors against the field of factor 1 of their condition.

    The two fields are taken as independent, which overstates the sigma where they share a phase space.
    """
    every = [(factor, field.axis) for field in computed for factor in field.field.output_factors]
    judged = []
    for factor, axis in every:
        reference = next(
            other_axis
            for other, other_axis in every
            if condition(other) == condition(factor) and abs(other.value - 1.0) < 1e-9
        )
        (dose, sigma), (at_reference, of_reference) = (_at(a, factor.depth_cm) for a in (axis, reference))
        value = dose / at_reference
        sigma = 0.0 if axis is reference else value * float(np.hypot(sigma, of_reference))
        difference = 100.0 * abs(value / factor.value - 1.0)
        status = PASS if difference <= criteria.output_factor_percent else FAIL
        if 100.0 * sigma > criteria.output_factor_percent:
            status = NOISY
        judged.append(JudgedFactor(factor, value, sigma, status))
    return judged


def _at(axis: Curve, depth: float) -> tuple[float, float]:
    """Dose on the axis at a depth, from a fit, and its relative sigma."""
    dose = fitted_dose(axis.positions, axis.dose, depth)
    resampled = [
        fitted_dose(axis.positions, axis.without_group(group), depth) for group in range(len(axis.by_group))
    ]
    return dose, jackknife(resampled) / dose

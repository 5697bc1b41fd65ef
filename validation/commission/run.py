"""Commissioning as a whole: measured scans in, computed ones beside them, a verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mc.compute.head_cache import remove_cached_head
from mc.config import Physics
from mc.machine.machine import Machine
from mc.provenance import provenance
from mc.run.options import RunOptions, StopRule
from mc.run.progress import Listener
from phantoms.errors import InputError
from phantoms.listing import Listing
from phantoms.views import Artists, Axes
from validation.commission.compute import ComputedField
from validation.commission.cost import products, residuals
from validation.commission.criteria import Criteria
from validation.commission.fields import Field
from validation.commission.finished import FinishedFields, compute_fields
from validation.commission.judge import (
    FAIL,
    NOISY,
    PASS,
    JudgedFactor,
    JudgedField,
    JudgedScan,
    jackknife,
    judge_fields,
)
from validation.commission.parameters import parameters_of, rounded
from validation.commission.prepare import prepare
from validation.commission.source import for_fields, with_tuned
from validation.commission.tune import Tuning, tune
from validation.metrics.numbers import plain
from validation.scans import ScanSet

SCHEMA = "mcverify commissioning"
SCHEMA_VERSION = 1
UNCERTAINTY = 0.004  # relative transport sigma asked of the curves
SEARCH_UNCERTAINTY = 0.012  # and of those of a search
SEARCH_ELECTRONS = 100_000  # on the target
SPLITTING, SEARCH_SPLITTING = 1500, 5000  # of the photons towards the fields
LAST_ROUND = 3  # times as long are the runs of a search's last round


@dataclass(frozen=True)
class Effort:
    """How well to compute, and with what.

    Parameters
    ----------
    uncertainty : float
        Relative transport sigma of the curves.
    max_time : float or None
        For each field [s].
    voxel_cm : float or None
        Side of the voxels; None: chosen by the width of the field.
    seed : int
    threads : int or None
    search_electrons : int
        On the target, for each head of a search.
    search_uncertainty : float
        As `uncertainty`, of the runs of a search. Its last round is `LAST_ROUND` times as long.
    """

    uncertainty: float = UNCERTAINTY
    max_time: float | None = None
    voxel_cm: float | None = None
    seed: int = 1
    threads: int | None = None
    search_electrons: int = SEARCH_ELECTRONS
    search_uncertainty: float = SEARCH_UNCERTAINTY

    def run_options(self, physics: Physics) -> RunOptions:
        """Options of the run of each field."""
        stop = StopRule(self.uncertainty, max_time=self.max_time)
        return RunOptions(physics, stop, self.seed, self.threads)


@dataclass(frozen=True, eq=False)
class Commissioning:
    """What came of it.

    Parameters
    ----------
    machine : Machine
    criteria : Criteria
    fields : tuple of JudgedField
    output_factors : tuple of JudgedFactor
    warnings : tuple of str
    made : dict
        How and when it was computed (`mc.provenance`).
    tuning : Tuning or None
        What was tuned before; machine and fields are the tuned ones.
    cost : (float, float)
        Cost of the computed fields (`validation.commission.cost`) and its sigma. After a tuning these have
        random numbers that took no part in it.
    original : Machine or None
        The machine before the tuning.
    """

    machine: Machine
    criteria: Criteria
    fields: tuple[JudgedField, ...]
    output_factors: tuple[JudgedFactor, ...]
    warnings: tuple[str, ...]
    made: dict
    tuning: Tuning | None = None
    cost: tuple[float, float] = (math.nan, math.nan)
    original: Machine | None = None

    @property
    def status(self) -> str:
        """'pass', 'fail', or 'too noisy' where nothing fails but something could not be judged for noise."""
        found = [scan.status for field in self.fields for scan in field.scans]
        found += [factor.status for factor in self.output_factors]
        return next((status for status in (FAIL, NOISY) if status in found), PASS)

    @property
    def scans(self) -> tuple[JudgedScan, ...]:
        """All judged scans, field by field."""
        return tuple(scan for field in self.fields for scan in field.scans)

    def plot(self, axes: Axes, number: int = 0) -> Artists:
        """Draw one of `scans`, measured and computed; returns curve, points and the band of the sigma.

        Raises
        ------
        InputError
            If there is no scan of this number.
        """
        if not 0 <= number < len(self.scans):
            raise InputError(f"scan {number}", f"is none of the {len(self.scans)} that were judged")
        return self.scans[number].comparison.plot(axes)

    def _repr_html_(self) -> str:
        columns = ("", "scan", "passing [%]", "largest gamma")
        rows = [
            (
                scan.status,
                scan.comparison.scan.label,
                f"{scan.comparison.passing_percent:.1f}",
                f"{scan.comparison.max_gamma:.2f}",
            )
            for scan in self.scans
        ]
        title = f"{self.machine.name}: {self.status}, {self.criteria.title}"
        return Listing.of(title, columns, rows, (2, 3))._repr_html_()

    def to_dict(self) -> dict[str, Any]:
        """The result for programs: see docs/formats.md."""
        return plain(
            {
                "schema": SCHEMA,
                "schema_version": SCHEMA_VERSION,
                "machine": {"name": self.machine.name, "sha256": self.machine.sha256},
                "criteria": self.criteria,
                "status": self.status,
                "fields": [_field(field) for field in self.fields],
                "output_factors": [
                    {
                        "field_cm": judged.factor.field_cm,
                        "ssd_cm": judged.factor.ssd_cm,
                        "depth_cm": judged.factor.depth_cm,
                        "measured": judged.factor.value,
                        "computed": judged.computed,
                        "sigma": judged.sigma,
                        "status": judged.status,
                    }
                    for judged in self.output_factors
                ],
                "tuning": self.tuning,
                "cost": self.cost,
                "warnings": self.warnings,
                "provenance": self.made,
            }
        )


def _field(judged: JudgedField) -> dict[str, Any]:
    field = judged.field
    return {
        "quality": field.quality.label,
        "jaws_cm": field.jaws,
        "ssd_cm": field.ssd_cm,
        "voxel_cm": judged.computed.voxel_cm,
        "run": judged.computed.report.to_dict(),
        "scans": [
            {
                "kind": scan.comparison.scan.kind,
                "depth_cm": scan.comparison.scan.depth_cm,
                "file": scan.comparison.scan.file,
                "line": scan.comparison.scan.line,
                "detector": scan.comparison.scan.detector,
                "notes": scan.comparison.scan.notes,
                "status": scan.status,
                "passing_percent": scan.comparison.passing_percent,
                "max_gamma": scan.comparison.max_gamma,
                "judged_points": int(scan.comparison.judged.sum()),
                "sigma_percent": scan.comparison.sigma_percent,
                "latent_percent": scan.comparison.latent_percent,
                "figures": scan.figures,
                "positions_cm": scan.comparison.positions,
                "measured_percent": scan.comparison.measured,
                "computed_percent": scan.comparison.computed,
                "sigma_percent_by_point": scan.comparison.sigma,
                "latent_percent_by_point": scan.comparison.latent,
                "gamma": scan.comparison.gamma,
                "judged": scan.comparison.judged,
            }
            for scan in judged.scans
        ],
    }


def tune_source(
    machine: Machine,
    fields: Sequence[Field],
    names: Sequence[str],
    criteria: Criteria,
    physics: Physics,
    effort: Effort,
    listener: Listener,
) -> tuple[Tuning, Machine, tuple[Field, ...]]:
    """Tune head and collimators; machine and fields with the values found.

    Raises
    ------
    InputError
        If the scans are of more than one beam, or the machine has no such parameters.
    """
    qualities = list(dict.fromkeys(field.quality.label for field in fields))
    if len(qualities) > 1:
        raise InputError(
            "--tune",
            f"the scans are of {' and '.join(qualities)}",
            "tune one beam at a time, by its own scans",
        )
    quality = fields[0].quality
    parameters = parameters_of(machine, quality.head, names)
    runs, made = [], set()

    def residuals_at(values: dict[str, float], times: int = 1) -> np.ndarray:
        runs.append(values)
        prefix = f"tuning, run {len(runs)} ({_stated(values)}): "
        tried, beam = with_tuned(machine, quality, values)
        beam = for_fields(beam, fields, SEARCH_SPLITTING, times * effort.search_electrons)
        shaped = [replace(field, quality=beam) for field in fields]
        search = replace(effort, uncertainty=effort.search_uncertainty / times**0.5)
        computed = compute_fields(tried, shaped, physics, search, listener, prefix)
        if beam.head != quality.head:
            made.update(space.file for each in computed for space in each.field.quality.phase_spaces)
        forget(made - {space.file for each in computed for space in each.field.quality.phase_spaces})
        return residuals(computed, criteria)

    def forget(headers: set[Path]) -> None:
        """Take phase spaces of the search out of the cache; runs that differ in offsets alone share one."""
        for header in headers:
            remove_cached_head(header)
        made.difference_update(headers)

    found = tune(parameters, residuals_at, closer_at=partial(residuals_at, times=LAST_ROUND))
    forget(set(made))
    best = rounded({p.name: value for p, value in zip(parameters, found.best, strict=True)})
    tuned, beam = with_tuned(machine, quality, best)
    listener.stage(f"tuned: {_stated(best)}")
    energies = tuple(beam if each is quality else each for each in machine.energies)
    return found, replace(tuned, energies=energies), tuple(replace(f, quality=beam) for f in fields)


def _stated(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in values.items())


def commission(
    machine: Machine,
    measured: ScanSet,
    criteria: Criteria,
    effort: Effort,
    *,
    tuned: Sequence[str] = (),
    physics: Physics | None = None,
    listener: Listener | None = None,
    finished: FinishedFields | None = None,
) -> Commissioning:
    """Compute what was measured, and judge it.

    Parameters
    ----------
    machine : Machine
    measured : ScanSet
    criteria : Criteria
    effort : Effort
    tuned : sequence of str
        Parameters of head and collimators (`validation.commission.parameters`) to tune before.
    physics : Physics, optional
    listener : Listener, optional
    finished : FinishedFields, optional
        Keeps fields that are computed until all are.

    Raises
    ------
    InputError
        If scans, machine and criteria do not go together.
    """
    physics, listener = physics or Physics(), listener or Listener()
    prepared = prepare(machine, measured, criteria)
    fields = prepared.fields
    tuning, original = None, machine
    if tuned:
        tuning, machine, fields = tune_source(machine, fields, tuned, criteria, physics, effort, listener)
        effort = replace(effort, seed=effort.seed + 1)  # what was found is judged by other random numbers
    computed = _compute_judged(machine, fields, physics, effort, listener, finished)
    judged, factors = judge_fields(computed, criteria)
    own, without = products([residuals(computed, criteria)])
    cost = float(own[0, 0]), jackknife(without[:, 0, 0])
    assumed = prepared.assumptions
    return Commissioning(machine, criteria, judged, factors, assumed, provenance(), tuning, cost, original)


def _compute_judged(
    machine: Machine,
    fields: Sequence[Field],
    physics: Physics,
    effort: Effort,
    listener: Listener,
    finished: FinishedFields | None,
) -> list[ComputedField]:
    """Compute every field, of heads by phase spaces that serve the fields alone and are not kept."""
    shaped = []
    for field in fields:
        of_beam = [each for each in fields if each.quality is field.quality]
        shaped.append(replace(field, quality=for_fields(field.quality, of_beam, SPLITTING)))
    computed = compute_fields(machine, shaped, physics, effort, listener, finished=finished)
    made = {
        space.file
        for field, found in zip(fields, computed, strict=True)
        for space in found.field.quality.phase_spaces
        if found.field.quality.head != field.quality.head
    }
    for header in made:
        remove_cached_head(header)
    return computed

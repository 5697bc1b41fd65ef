"""What is found of errors of the setup: curves along each axis, random errors, setups computed again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from validation.metrics.numbers import plain
from validation.whatif.motion import SetupError

SCHEMA, SCHEMA_VERSION = "mcverify what-if", 1
PERCENTILES = (2.5, 50.0, 97.5)


@dataclass(frozen=True)
class Limit:
    """A dose limit of the profile."""

    value: float
    relation: str
    source: str


@dataclass(frozen=True)
class Curve:
    """A metric of a structure against the error along one axis.

    Parameters
    ----------
    structure, metric, unit, axis : str
        `axis` is one of `AXES`.
    errors : tuple of float
        [mm or degrees]
    values : tuple of float or None
        With the change of the beams' paths through the patient.
    fixed : tuple of float or None
        Of a dose that is fixed in the room.
    kept : (float, float) or None
        The errors about 0 between which the limits are kept; None without limits, or if 0 breaks them.
    """

    structure: str
    metric: str
    unit: str
    axis: str
    errors: tuple[float, ...]
    values: tuple[float | None, ...]
    fixed: tuple[float | None, ...]
    kept: tuple[float, float] | None


@dataclass(frozen=True)
class Summary:
    """A metric of a structure without error, and over random ones.

    Parameters
    ----------
    structure, metric, unit : str
    value, sigma : float or None
        Without error; one transport sigma.
    limits : tuple of Limit
    percentiles : tuple of float or None
        At `PERCENTILES` of the random errors.
    kept_percent : float or None
        Of the random errors that keep all limits.
    """

    structure: str
    metric: str
    unit: str
    value: float | None
    sigma: float | None
    limits: tuple[Limit, ...]
    percentiles: tuple[float | None, ...]
    kept_percent: float | None


@dataclass(frozen=True)
class Check:
    """A setup computed again by Monte Carlo: a metric in it, and what the curves say of it."""

    error: SetupError
    structure: str
    metric: str
    unit: str
    computed: float | None
    sigma: float | None
    value: float | None
    fixed: float | None


@dataclass(frozen=True)
class WhatIf:
    """What errors of the setup do to a plan.

    Parameters
    ----------
    label, patient, patient_position : str
    isocentre_mm : (float, float, float)
        LPS; about which the patient turns.
    axes : dict of str to str
        What a positive error of each axis is.
    largest : dict of str to float
        Errors at the ends of the curves [mm or degrees].
    translation_sigma_mm, rotation_sigma_deg, random_errors : float, float, int
        Of the random errors, along every axis, and how many there are.
    curves : tuple of Curve
    summaries : tuple of Summary
    invariance_percent : float
        Largest change of a curve that reports a dose by the beams' paths through the patient, of its value.
    checks : tuple of Check
    quantity : str
    notes : tuple of str
    """

    label: str
    patient: str
    patient_position: str
    isocentre_mm: tuple[float, float, float]
    axes: Mapping[str, str]
    largest: Mapping[str, float]
    translation_sigma_mm: float
    rotation_sigma_deg: float
    random_errors: int
    curves: tuple[Curve, ...]
    summaries: tuple[Summary, ...]
    invariance_percent: float
    checks: tuple[Check, ...]
    quantity: str
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for strict JSON."""
        return plain(
            {
                "schema": SCHEMA,
                "schema_version": SCHEMA_VERSION,
                "not_a_medical_device": True,
                "percentiles": PERCENTILES,
                **vars(self),
            }
        )

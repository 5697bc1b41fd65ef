"""What is found of errors of the setup: curves along each axis, random errors, setups computed again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from phantoms.errors import InputError
from phantoms.listing import Listing
from phantoms.views import Artists, Axes
from validation.metrics.numbers import plain
from validation.whatif.motion import ROTATIONS, TRANSLATIONS, SetupError

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
        Without error; one sigma, transport and latent together.
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

    def plot(
        self, axes: Axes, structure: str | None = None, metric: str | None = None, turns: bool = False
    ) -> Artists:
        """Draw a metric of a structure against the error along each axis.

        Parameters
        ----------
        axes : matplotlib.axes.Axes
        structure, metric : str, optional
            By default those of the first curve.
        turns : bool
            Whether rotations are drawn, and not translations.

        Returns
        -------
        tuple of artists
            Of each axis the curve, and that of a dose fixed in the room.

        Raises
        ------
        InputError
            If there is no such curve.
        """
        chosen = ROTATIONS if turns else TRANSLATIONS
        structure = structure or self.curves[0].structure
        metric = metric or next((c.metric for c in self.curves if c.structure == structure), "")
        curves = [c for c in self.curves if (c.structure, c.metric) == (structure, metric)]
        curves = [c for c in curves if c.axis in chosen and None not in c.values]
        if not curves:
            known = dict.fromkeys(f"{c.structure} {c.metric}" for c in self.curves)
            raise InputError(
                f"{structure} {metric}", "has no curve", f"there are those of {', '.join(known)}"
            )
        drawn: list[Any] = []
        for curve in curves:
            (line,) = axes.plot(curve.errors, curve.values, label=curve.axis)
            drawn.append(line)
            drawn += axes.plot(curve.errors, curve.fixed, ls=":", lw=0.7, color=line.get_color())
        unit = "degrees" if turns else "mm"
        axes.set(xlabel=f"error [{unit}]", ylabel=f"{structure} {metric} [{curves[0].unit}]")
        axes.legend(frameon=False)
        return tuple(drawn)

    def _repr_html_(self) -> str:
        columns = ("structure", "metric", "planned setup", *(f"{p:g} %" for p in PERCENTILES), "kept [%]")
        rows = [
            (
                s.structure,
                f"{s.metric} [{s.unit}]",
                *("-" if v is None else f"{v:.2f}" for v in (s.value, *s.percentiles)),
                "-" if s.kept_percent is None else f"{s.kept_percent:.0f}",
            )
            for s in self.summaries
        ]
        sigmas = f"{self.translation_sigma_mm:g} mm, {self.rotation_sigma_deg:g} degrees"
        return Listing.of(f"Random setup errors ({sigmas})", columns, rows, range(2, 7))._repr_html_()

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

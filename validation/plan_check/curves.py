"""DVH curves of both doses with the noise of Monte Carlo, and the metrics of organs with limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from phantoms.listing import Listing
from phantoms.views import Artists, Axes
from validation.limits.profiles import Organ, Profile
from validation.plan_check.verdict import TABLE_METRICS, DosePair, Row

CORD_METRICS = ("D0.35cc",)  # beside TABLE_METRICS, whether the profile has a limit on it or not
CURVE_POINTS = 241
SHOWN = (98.0, 95.0, 50.0, 2.0)  # volumes whose dose a notebook shows [%]
DASHED = (0, (4, 2))  # Monte Carlo; the plan is solid


@dataclass(frozen=True, eq=False)
class DvhCurves:
    """Cumulative DVH of one structure in both doses; arrays are (n,).

    Parameters
    ----------
    structure : str
    target : bool
    volume_cm3 : float
        Within the dose grid.
    in_grid_percent : float
        Share of the contoured volume that lies within the dose grid.
    dose_gy, plan_percent, mc_percent, mc_sigma_percent : array
        Percent of the structure's volume that receives at least `dose_gy`; the sigma takes the transport
        noise of different voxels as independent.
    """

    structure: str
    target: bool
    volume_cm3: float
    in_grid_percent: float
    dose_gy: np.ndarray
    plan_percent: np.ndarray
    mc_percent: np.ndarray
    mc_sigma_percent: np.ndarray

    def plot(self, axes: Axes, **look: Any) -> Artists:
        """Draw both curves, planned solid and Monte Carlo dashed with a band of one sigma.

        Parameters
        ----------
        axes : matplotlib.axes.Axes
        **look
            Options of `Axes.plot` for both curves; `label` is what both are called in a legend.

        Returns
        -------
        tuple of artists
            Planned curve, Monte Carlo curve, band.
        """
        name = look.pop("label", self.structure)
        (planned,) = axes.plot(self.dose_gy, self.plan_percent, label=f"{name}, plan", **look)
        look |= {"color": planned.get_color(), "linestyle": DASHED, "label": f"{name}, Monte Carlo"}
        (found,) = axes.plot(self.dose_gy, self.mc_percent, **look)
        low, high = (np.clip(self.mc_percent + k * self.mc_sigma_percent, 0, 100) for k in (-1, 1))
        band = axes.fill_between(self.dose_gy, low, high, color=found.get_color(), alpha=0.25, linewidth=0)
        axes.set(xlabel="dose [Gy]", ylabel="volume [%]")
        return planned, found, band

    def _repr_html_(self) -> str:
        rows = [
            (
                f"{percent:g} %",
                *(f"{self._dose_of(curve, percent):.2f}" for curve in (self.plan_percent, self.mc_percent)),
            )
            for percent in SHOWN
        ]
        title = f"{self.structure}, {self.volume_cm3:.2f} cc"
        columns = ("volume", "planned [Gy]", "Monte Carlo [Gy]")
        return Listing.of(title, columns, rows, (0, 1, 2))._repr_html_()

    def _dose_of(self, percent: np.ndarray, volume: float) -> float:
        """Dose that this percentage of the volume receives, read from the curve [Gy]."""
        return float(np.interp(-volume, -percent, self.dose_gy))


def curves_and_rows(
    doses: DosePair,
    shares: Mapping[str, float],
    profile: Profile,
    organs: Sequence[Organ],
) -> tuple[tuple[DvhCurves, ...], tuple[Row, ...]]:
    """Curves of every structure, and the organs' metrics beyond `TABLE_METRICS`."""
    curves, rows, dvhs = [], [], doses.dvhs
    top = 1.03 * max((dvh.highest for pair in dvhs.values() for dvh in pair), default=0.0)
    axis = np.linspace(0.0, top or 1.0, CURVE_POINTS)
    for s in doses.structures:
        dvh, mc_dvh = dvhs[s.name]
        curves.append(
            DvhCurves(
                s.name,
                s.is_target,
                dvh.volume,
                100 * shares[s.name],
                axis,
                dvh.curve(axis),
                mc_dvh.curve(axis),
                mc_dvh.curve_sigma(axis),
            )
        )
        metrics = _organ_metrics(s.name, profile, organs)
        values, mc_values = dvh.metrics(metrics), mc_dvh.metrics(metrics)
        for metric in metrics:
            planned, found = values[metric], mc_values[metric]
            known = planned.value is not None and found.value is not None
            rows.append(
                Row(
                    s.name,
                    s.is_target,
                    metric,
                    planned.unit,
                    planned.value,
                    found.value,
                    found.sigma,
                    found.value - planned.value if known else None,
                    planned.note or found.note,
                )
            )
    return tuple(curves), tuple(rows)


def _organ_metrics(name: str, profile: Profile, organs: Sequence[Organ]) -> list[str]:
    """Metrics of an organ beyond `TABLE_METRICS`: those with a limit, and the cord's."""
    matched = {organ.name for organ in organs if organ.matches(name)}
    metrics = [limit.metric for limit in profile.constraints if limit.organ in matched]
    if "cord" in matched:
        metrics += CORD_METRICS
    return [metric for metric in dict.fromkeys(metrics) if metric not in TABLE_METRICS]

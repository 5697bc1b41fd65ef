"""DVH curves of both doses with the noise of Monte Carlo, and the metrics of organs with limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from validation.limits.profiles import Organ, Profile
from validation.plan_check.verdict import TABLE_METRICS, DosePair, Row

CORD_METRICS = ("D0.35cc",)  # beside TABLE_METRICS, whether the profile has a limit on it or not
CURVE_POINTS = 241


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

"""The DVHs of the first page: of the target in percent, of the cord in cc, with the limits on them."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from validation.limits.constraints import ConstraintRow
from validation.metrics.dvh import parse_metric
from validation.plan_check.comparison import Comparison
from validation.plan_check.curves import DvhCurves
from validation.plan_check.leading import leading_organ, leading_target, limits_of
from validation.plan_check.verdict import Structure
from validation.report.charts import plan_and_mc
from validation.report.choices import shown_structures
from validation.report.content import Drawing
from validation.report.drawing import FINE, colour, finish

SMALLEST_VOLUME = 0.01  # where the cord's axis begins [cm3]
BROKEN_COLOUR = "#b00020"


def key_dvh(comparison: Comparison, width: float, height: float) -> Drawing | None:
    """Both DVHs one above the other, on one dose axis; None where there is neither."""
    target, organ = leading_target(comparison), leading_organ(comparison)
    chosen = [structure for structure in (target, organ) if structure is not None]
    if not chosen:
        return None
    figure = Figure(figsize=(width, height))
    foot, gap, head = 0.55, 0.36, 0.2
    each = (height - foot - head - gap * (len(chosen) - 1)) / len(chosen)
    curves = {found.structure: found for found in comparison.curves}
    shown = [s.name for s in shown_structures(comparison)]
    top = max(_reach(curves[s.name]) for s in chosen)
    for row, structure in enumerate(chosen):
        bottom = height - head - each - row * (each + gap)
        axis = figure.add_axes((0.39 / width, bottom / height, (width - 0.45) / width, each / height))
        found = curves[structure.name]
        ink = colour(shown.index(structure.name)) if structure.name in shown else "0.2"
        if structure is target:
            _target(axis, comparison, found, ink)
        else:
            _organ(axis, _strictest(comparison, structure), found, ink)
        axis.set_xlim(0, top)
        axis.grid(color="0.9", linewidth=0.5)
        axis.tick_params(length=2, pad=1.5, labelsize=6.3)
        axis.yaxis.set_label_coords(-0.27 / (width - 0.45), 0.5)
    axis.set_xlabel("dose [Gy]", labelpad=1)
    figure.legend(
        handles=plan_and_mc(), loc="lower center", ncols=2, frameon=False, fontsize=6.5, borderaxespad=0.1
    )
    return finish(figure, "DVH of " + " and ".join(s.name for s in chosen), dpi=FINE)


def _reach(curves: DvhCurves) -> float:
    """Dose up to which anything is seen [Gy]."""
    held = (curves.plan_percent > 0) | (curves.mc_percent > 0)
    return 1.06 * float(curves.dose_gy[held][-1]) if held.any() else float(curves.dose_gy[-1])


def _draw(axis: Axes, curves: DvhCurves, factor: float, ink: str) -> None:
    """Plan, Monte Carlo and its band; volumes times `factor`."""
    axis.plot(curves.dose_gy, factor * curves.plan_percent, color=ink, linewidth=1.3)
    axis.plot(curves.dose_gy, factor * curves.mc_percent, color=ink, linewidth=1.3, linestyle=(0, (4, 2)))
    low, high = (factor * np.clip(curves.mc_percent + k * curves.mc_sigma_percent, 0, 100) for k in (-1, 1))
    axis.fill_between(curves.dose_gy, low, high, color=ink, alpha=0.25, linewidth=0)


def _target(axis: Axes, comparison: Comparison, curves: DvhCurves, ink: str) -> None:
    _draw(axis, curves, 1.0, ink)
    axis.set(ylabel="volume [%]", ylim=(0, 102))
    axis.set_title(f"{curves.structure}, {curves.volume_cm3:.1f} cc", loc="left", fontsize=7, pad=2)
    if comparison.prescription:
        axis.axvline(comparison.prescription, color="0.3", linewidth=0.8, linestyle=":")
        text = f"prescription {comparison.prescription:g} Gy "
        axis.annotate(text, (comparison.prescription, 6), ha="right", fontsize=6, color="0.3")
    axis.axhline(95, color="0.3", linewidth=0.6, linestyle=(0, (1, 2)))
    axis.annotate(" D95%", (0, 94), va="top", fontsize=6, color="0.3")


def _organ(axis: Axes, limits: list[ConstraintRow], curves: DvhCurves, ink: str) -> None:
    """In cc, on a logarithmic axis that shows small volumes as well; limits as marks."""
    points = [(row, *place) for row in limits if (place := _place(row)) is not None]
    _draw(axis, curves, 0.01 * curves.volume_cm3, ink)
    axis.set_yscale("log")
    smallest = min((volume for _, _, volume in points), default=SMALLEST_VOLUME)
    axis.set(ylabel="volume [cc]", ylim=(min(0.4 * smallest, SMALLEST_VOLUME), 1.5 * curves.volume_cm3))
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    title = f"{curves.structure}, {curves.volume_cm3:.1f} cc"
    axis.set_title(
        title + "; curves must stay left of the limits" * bool(points), loc="left", fontsize=7, pad=2
    )
    for row, dose, volume in points:
        broken = min(row.plan_margin, row.margin) < 0
        ink, shape = (BROKEN_COLOUR, "X") if broken else ("black", "|")
        edge = "white" if broken else "black"
        axis.plot([dose], [volume], shape, color=ink, ms=7, mew=0.8 if broken else 1.6, mec=edge, zorder=5)
        axis.annotate(
            f"{row.metric} {row.limit:g}{' broken' * broken}",
            (dose, volume),
            xytext=(-6, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=6.3,
            color=ink,
            bbox={"facecolor": "white", "alpha": 0.8, "pad": 0.5, "linewidth": 0},
        )


def _strictest(comparison: Comparison, structure: Structure) -> list[ConstraintRow]:
    """The strictest limit of every metric, the others lie behind it."""
    found: dict[str, ConstraintRow] = {}
    for row in sorted(limits_of(comparison, structure), key=lambda row: row.limit):
        found.setdefault(row.metric, row)
    return list(found.values())


def _place(row: ConstraintRow) -> tuple[float, float] | None:
    """Dose [Gy] and volume [cm3] of an upper limit on a DVH in cc; None where it is none of that kind."""
    metric = parse_metric(row.metric)
    if row.relation != "<=":
        return None
    if metric.kind == "dose":
        volume = (
            metric.amount if metric.amount_unit == "cc" else 0.01 * metric.amount * (row.volume_cc or 0.0)
        )
        return row.limit, volume
    if metric.kind == "volume" and metric.amount_unit == "Gy":
        volume = row.limit if row.unit == "cc" else 0.01 * row.limit * (row.volume_cc or 0.0)
        return metric.amount, volume
    return None

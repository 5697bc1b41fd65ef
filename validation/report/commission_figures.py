"""Figures of a commissioning: measured and computed curves over each other, and what parts them."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from validation.commission.judge import JudgedField, JudgedScan
from validation.commission.tune import Tuning
from validation.report.drawing import PLUS_MINUS, WIDTH, Drawing, figure_style, finish
from validation.scans import PDD
from validation.scans.compare import COMPUTED, MEASURED

FAILED = "#b00020"
LEFT, RIGHT, BELOW, ABOVE = 0.58, 0.12, 0.42, 0.24  # about a pair of panels [inch]
CURVE, DIFFERENCE, BETWEEN = 1.55, 0.62, 0.07  # heights of the panels, and of what is between [inch]
DIFFERENCES = (1.5, 3.0, 6.0, 12.0, 25.0, 50.0)  # ends of the scale of differences [%]


def draw_field(field: JudgedField) -> list[Drawing]:
    """Figures of a field: its depth doses, then its profiles by kind."""
    drawings = []
    with figure_style():
        for kind in dict.fromkeys(judged.comparison.scan.kind for judged in field.scans):
            scans = [judged for judged in field.scans if judged.comparison.scan.kind == kind]
            drawings.append(_draw_kind(field, kind, scans))
    drawings.sort(key=lambda drawing: not drawing.title.startswith(PDD))
    return drawings


def draw_cost(tuning: Tuning) -> Drawing:
    """Cost along each tuned parameter, with what is known of it."""
    count = len(tuning.parameters)
    with figure_style():
        figure = Figure(figsize=(WIDTH, 2.3))
        for k, (parameter, curve) in enumerate(zip(tuning.parameters, tuning.curves, strict=True)):
            width = WIDTH / count - LEFT - RIGHT
            axis = figure.add_axes(((k * WIDTH / count + LEFT) / WIDTH, 0.19, width / WIDTH, 0.72))
            low, high = curve.cost - curve.sigma, curve.cost + curve.sigma
            axis.fill_between(curve.values, low, high, color=COMPUTED, alpha=0.25, lw=0)
            axis.plot(curve.values, curve.cost, color=COMPUTED, lw=1.1)
            axis.axvline(tuning.best[k], color="0.3", lw=0.7)
            best, sigma = tuning.best[k], tuning.sigma[k]
            axis.axvspan(best - sigma, best + sigma, color="0.85", lw=0, zorder=0)
            first, last = curve.values[[0, -1]]
            for run in tuning.evaluations:
                if first <= run.values[k] <= last:
                    axis.errorbar(run.values[k], run.cost, run.sigma, fmt="o", ms=3, lw=0.7, color=MEASURED)
            axis.set(xlabel=f"{parameter.name} [{parameter.unit}]", ylabel="cost" if k == 0 else "")
            axis.xaxis.set_major_locator(MaxNLocator(3))
            axis.grid(color="0.92", lw=0.5)
    text = (
        "Cost along each parameter, the others at their best values; the band is one sigma of the difference "
        "from the minimum. Line and grey: the minimum and its sigma. Dots: runs with their own sigma, whose "
        "other parameters may stand elsewhere."
    )
    return finish(figure, "Cost", text)


def _draw_kind(field: JudgedField, kind: str, scans: list[JudgedScan]) -> Drawing:
    columns = 1 if kind == PDD and len(scans) == 1 else 2
    lines = -(-len(scans) // columns)
    height = lines * (ABOVE + CURVE + BETWEEN + DIFFERENCE + BELOW)
    figure = Figure(figsize=(WIDTH, height))
    for number, judged in enumerate(scans):
        line, column = divmod(number, columns)
        width = WIDTH / columns - LEFT - RIGHT
        left, bottom = column * WIDTH / columns + LEFT, height - line * height / lines - ABOVE - CURVE
        above = figure.add_axes((left / WIDTH, bottom / height, width / WIDTH, CURVE / height))
        below = figure.add_axes(
            (left / WIDTH, (bottom - BETWEEN - DIFFERENCE) / height, width / WIDTH, DIFFERENCE / height),
            sharex=above,
        )
        _draw_scan(above, below, judged)
    what = "depth dose" if kind == PDD else f"{kind} profiles"
    text = (
        f"{field.field.label}: measured (dots) and computed (line, its transport sigma as a band), below "
        "computed less measured, in percent of the "
        + ("measured maximum" if kind == PDD else "measured dose on the axis")
        + f". Red: gamma above 1. Grey: not judged. Dashed: {PLUS_MINUS}1 %."
    )
    return finish(figure, f"{kind if kind == PDD else what.capitalize()}: {field.field.label}", text)


def _draw_scan(above: Axes, below: Axes, judged: JudgedScan) -> None:
    found = judged.comparison
    scan = found.scan
    found.plot(above)
    failed = found.judged & (found.gamma > 1.0)
    for chosen, colour in (
        (found.judged & ~failed, MEASURED),
        (~found.judged, "0.65"),
        (failed, FAILED),
    ):
        if chosen.any():
            below.errorbar(
                found.positions[chosen], found.difference[chosen], found.sigma[chosen], fmt=".", ms=2.0,
                lw=0.4, color=colour,
            )  # fmt: skip
    for level in (-1.0, 1.0):
        below.axhline(level, color="0.4", lw=0.6, ls=(0, (4, 3)))
    below.axhline(0.0, color="0.4", lw=0.5)
    most = float(np.abs(found.difference[found.judged]).max(initial=1.0))
    limit = next((end for end in DIFFERENCES if most <= end), 100.0)
    place = "depth [cm]" if scan.kind == PDD else "distance from the axis [cm]"
    below.set(xlabel=place, ylabel="diff. [%]", ylim=(-limit, limit))
    above.set_xlabel("")
    above.tick_params(labelbottom=False)
    depth = "" if scan.depth_cm is None else f"depth {scan.depth_cm:.4g} cm: "
    title = f"{depth}{found.passing_percent:.1f} % pass, largest gamma {found.max_gamma:.2f}"
    above.set_title(title, fontsize=7.5, loc="left")
    for axis in (above, below):
        axis.grid(color="0.92", lw=0.5)
    above.legend(frameon=False, loc="upper right" if scan.kind == PDD else "lower center", fontsize=6.5)

"""Figure of setup errors: a row for each metric, translations on the left and rotations on the right."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from validation.report.content import Drawing
from validation.report.drawing import WIDTH, colour, figure_style, finish, marker
from validation.whatif import Curve, WhatIf
from validation.whatif.motion import ROTATIONS, TRANSLATIONS

ROW, FOOT, HEAD = 1.55, 0.42, 0.3  # heights [inch]
LINES = ("-", (0, (6, 2)), (0, (2, 1.2)))  # of the three axes of a panel, distinguished in black and white


def draw_curves(found: WhatIf) -> Drawing:
    """All curves."""
    rows = list(dict.fromkeys((curve.structure, curve.metric) for curve in found.curves))
    height = ROW * len(rows) + FOOT + HEAD
    with figure_style():
        figure = Figure(figsize=(WIDTH, height))
        panels = figure.subplots(len(rows), 2, squeeze=False, sharex="col", sharey="row")
        figure.subplots_adjust(
            left=0.09, right=0.99, bottom=FOOT / height, top=1 - HEAD / height, hspace=0.09, wspace=0.04
        )
        for line, (structure, metric) in zip(panels, rows, strict=True):
            for axes, names in zip(line, (TRANSLATIONS, ROTATIONS), strict=True):
                curves = [
                    c
                    for c in found.curves
                    if (c.structure, c.metric) == (structure, metric) and c.axis in names
                ]
                _panel(axes, curves, found)
            unit = next(c.unit for c in found.curves if c.metric == metric)
            line[0].set_ylabel(f"{structure}\n{metric} [{unit}]")
        panels[-1][0].set_xlabel("translation [mm]")
        panels[-1][1].set_xlabel("rotation [degrees]")
        for axes in panels[0]:
            axes.legend(
                loc="lower center", bbox_to_anchor=(0.5, 1.0), ncol=3, frameon=False, handlelength=3.2
            )
        text = (
            "Target coverage and organ doses against the error along one axis, the others at 0. The dose "
            "follows the beams' radiological depths; thin dotted lines: a dose fixed in the room. "
            "Horizontal lines: limits of the profile; grey: their side that breaks them."
        )
        return finish(figure, "Setup errors", text)


def _panel(axes: Axes, curves: list[Curve], found: WhatIf) -> None:
    for k, curve in enumerate(curves):
        if any(value is None for value in curve.values):
            continue
        style = {"color": colour(k), "marker": marker(k), "ms": 2.6, "markevery": 2}
        axes.plot(curve.errors, curve.values, ls=LINES[k], lw=1.1, label=curve.axis, **style)
        axes.plot(curve.errors, curve.fixed, ls=":", lw=0.7, color=colour(k))
    limits = [
        limit
        for summary in found.summaries
        for limit in summary.limits
        if curves and (summary.structure, summary.metric) == (curves[0].structure, curves[0].metric)
    ]
    low, high = axes.get_ylim()
    for limit in limits:
        low, high = min(low, limit.value), max(high, limit.value)
    margin = 0.06 * (high - low)
    axes.set_ylim(low - margin, high + margin)
    for limit in limits:
        axes.axhline(limit.value, color="0.25", lw=0.8, ls=(0, (1, 1)))
        ends = (limit.value, high + margin) if limit.relation == "<=" else (low - margin, limit.value)
        axes.axhspan(*ends, color="0.93", lw=0, zorder=0)
    axes.axvline(0.0, color="0.8", lw=0.6, zorder=0)
    axes.grid(color="0.92", lw=0.5)
    axes.margins(x=0.02)

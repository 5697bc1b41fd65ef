"""Charts: DVH, profile, gamma by value and by dose threshold."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from validation.plan_check.comparison import Comparison
from validation.plan_check.verdict import Structure
from validation.report.choices import gamma_text, leading_gamma, scale, shown_structures
from validation.report.drawing import DASHED, PLUS_MINUS, WIDTH, Drawing, colour, finish, legend_name, marker
from validation.report.lines import Line, line_between

PLAN_COLOUR, MC_COLOUR = "#12355b", "#c23b22"
LINE_STYLES = ("-", DASHED, (0, (1, 1)), (0, (5, 1, 1, 1)), (0, (8, 2)), (0, (3, 1, 1, 1, 1, 1)))
MARKS = 7  # on a curve
BIN = 0.05  # of gamma
LEGEND = {"frameon": True, "framealpha": 0.9, "edgecolor": "0.8"}


def dvh(comparison: Comparison) -> Drawing:
    """Cumulative DVHs: plan solid, Monte Carlo dashed with its band of sigma."""
    figure = Figure(figsize=(WIDTH, 2.9))
    axis = figure.add_axes((0.075, 0.145, 0.70, 0.785))
    by_name = {curves.structure: curves for curves in comparison.curves}
    handles = []
    for index, structure in enumerate(shown_structures(comparison)):
        curves = by_name[structure.name]
        look = {"color": colour(index), "linewidth": 1.5 if curves.target else 1.0}
        marks = {"marker": marker(index), "markersize": 3.5}
        planned, *_ = curves.plot(axis, **look)
        planned.set(markevery=_marks(curves.plan_percent, index), **marks)
        handles.append(Line2D([], [], label=legend_name(index, curves.structure), **look, **marks))
    if comparison.prescription:
        axis.axvline(comparison.prescription, color="0.35", linewidth=0.7, linestyle=":")
        place = (comparison.prescription, 101.5)
        axis.annotate("prescription", place, ha="center", va="bottom", color="0.35", annotation_clip=False)
    handles += [
        Line2D([], [], color="0.2", label="plan"),
        Line2D([], [], color="0.2", linestyle=DASHED, label="Monte Carlo"),
        Patch(facecolor="0.2", alpha=0.25, label=f"MC {PLUS_MINUS} 1 sigma"),
    ]
    top = max(curves.dose_gy[-1] for curves in comparison.curves)
    axis.set(xlabel="dose [Gy]", ylabel="volume [%]", xlim=(0, top), ylim=(0, 101))
    axis.grid(color="0.88", linewidth=0.5)
    figure.legend(handles=handles, loc="center left", bbox_to_anchor=(0.785, 0.53), frameon=False)
    left_out = len(comparison.structures) - len(shown_structures(comparison))
    text = (
        "Cumulative dose-volume histograms. The band is the transport sigma of the Monte Carlo curve, the "
        "noise of different voxels taken as independent; it is often thinner than the line."
    )
    text += f" The figures leave out {left_out} structures of lower dose; the tables have all." * bool(
        left_out
    )
    return finish(figure, "Dose-volume histograms", text)


def profile(comparison: Comparison, target: Structure, organ: Structure) -> Drawing:
    """Both doses from target to organ, and their difference."""
    grid, plan = comparison.planned_dose.grid, comparison.planned_dose.dose
    line = line_between(target, organ, plan, grid)
    planned, found, sigma = (
        line.sample(v, grid) for v in (plan, comparison.dose.mean, comparison.dose.sigma)
    )
    reference, of = scale(comparison)
    figure = Figure(figsize=(WIDTH, 2.7))
    above = figure.add_axes((0.09, 0.42, 0.89, 0.55))
    below = figure.add_axes((0.09, 0.165, 0.89, 0.21), sharex=above)
    x = line.distance_mm
    _shade(line, above, below)
    above.fill_between(x, found - sigma, found + sigma, color=MC_COLOUR, alpha=0.25, linewidth=0)
    above.plot(x, planned, color=PLAN_COLOUR, linewidth=1.3, label="plan")
    label = f"Monte Carlo {PLUS_MINUS} 1 sigma"
    above.plot(x, found, color=MC_COLOUR, linewidth=1.3, linestyle=DASHED, label=label)
    percent = 100 / reference
    difference, noise = (found - planned) * percent, sigma * percent
    below.fill_between(x, difference - noise, difference + noise, color="0.4", alpha=0.4, linewidth=0)
    below.plot(x, difference, color="0.1", linewidth=1.0)
    below.axhline(0, color="0.5", linewidth=0.6)
    above.tick_params(labelbottom=False)
    above.set(ylabel="dose [Gy]", xlim=(x[0], x[-1]))
    above.set_ylim(0, 1.12 * max(float(np.nanmax(planned)), float(np.nanmax(found))))
    most = 1.15 * max(1.0, float(np.nanmax(np.abs(difference) + noise)))
    below.set(ylabel="diff. [%]", ylim=(-most, most))
    below.set_xlabel(f"distance from the middle of {target.name} towards {organ.name} [mm]")
    for axis in (above, below):
        axis.grid(color="0.9", linewidth=0.5)
    for axis in (above, below):
        axis.yaxis.set_label_coords(-0.045, 0.5)
    above.legend(loc="best", **LEGEND)
    start, end = (", ".join(f"{10 * c:.1f}" for c in line.points[i][::-1]) for i in (0, -1))
    text = (
        f"Along the line from the middle of {target.name} through the plan's hottest voxel of {organ.name}, "
        f"from x, y, z = ({start}) to ({end}) mm, and the difference (Monte Carlo less plan) in percent of "
        f"the {of}. The band is one transport sigma of a voxel."
    )
    return finish(figure, f"Profile from {target.name} to {organ.name}", text)


def gamma(comparison: Comparison) -> Drawing:
    """For every criterion over BODY: the distribution of gamma, and passing rates by dose threshold."""
    figure = Figure(figsize=(WIDTH, 2.1))
    left = figure.add_axes((0.075, 0.20, 0.41, 0.75))
    right = figure.add_axes((0.575, 0.20, 0.415, 0.75))
    results, leading = comparison.verdict.gamma, leading_gamma(comparison)
    lowest = 100.0
    for index, result in enumerate(results):
        counts, edges = result.map.histogram(BIN)
        share = 100 * counts / counts.sum()
        if result is leading:
            left.stairs(share, edges, fill=True, color="#b8cbe6")
        look = {"color": colour(index), "lw": 1.2, "ls": LINE_STYLES[index % len(LINE_STYLES)]}
        left.stairs(share, edges, **look)
        sweep, name = result.sweep, f"{gamma_text(result)}: {result.rate:.2f} %"
        right.plot(sweep.threshold_percent, sweep.passing_percent, label=name, **look)
        lowest = min(lowest, float(np.nanmin(sweep.passing_percent)))
    left.axvline(1.0, color="black", linewidth=0.9)
    place = {"xycoords": ("data", "axes fraction"), "va": "top"}
    left.annotate("passes", (0.98, 0.96), ha="right", **place)
    left.annotate("fails", (1.02, 0.96), ha="left", **place)
    top = max(result.map.max_gamma for result in results)
    fewest = min(result.map.count() for result in results)
    left.set_yscale("log")
    left.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    left.set(xlabel=f"gamma (the last bin holds all above {top - BIN:g})", ylabel="voxels [%]")
    left.set(xlim=(0, top), ylim=(min(1.0, 50.0 / fewest), 100))
    right.set(xlabel="dose threshold [% of the plan's maximum]", ylabel="passing [%]")
    right.set_ylim(max(0.0, lowest - 0.05 * (100.0 - lowest) - 0.1), 100.0 + 0.05 * (100.0 - lowest) + 0.05)
    for axis in (left, right):
        axis.grid(color="0.9", linewidth=0.5)
    right.legend(loc="best", **LEGEND)
    text = (
        f"Left: gamma of the voxels of {comparison.body_name} above the dose threshold (reference: plan, "
        f"evaluated: Monte Carlo); filled: {leading.map.criterion}. Right: passing rate of the voxels above "
        "higher thresholds, lines as on the left."
    )
    return finish(figure, "Gamma", text)


def _marks(percent: np.ndarray, index: int) -> list[int]:
    """Where a falling DVH gets its markers, shifted from curve to curve so that they do not coincide."""
    falling = np.flatnonzero((percent > 0.5) & (percent < 99.5))
    if falling.size == 0:
        return []
    step = max(1, falling.size // MARKS)
    return falling[(index * step // 3) % step :: step].tolist()


def _shade(line: Line, above: Axes, below: Axes) -> None:
    """Mark where the line runs inside the target (grey) and the organ (hatched)."""
    for inside, name, look in (
        (line.inside_target, line.target, {"facecolor": "0.85", "edgecolor": "0.85"}),
        (line.inside_organ, line.organ, {"facecolor": "none", "edgecolor": "0.6", "hatch": "////"}),
    ):
        label = f"inside {name}"
        for first, last in _runs(inside):
            span = (line.distance_mm[first], line.distance_mm[last])
            above.axvspan(*span, linewidth=0, zorder=0, label=label, **look)
            below.axvspan(*span, linewidth=0, zorder=0, **look)
            label = ""


def _runs(inside: np.ndarray) -> list[tuple[int, int]]:
    """First and last index of every run of True."""
    steps = np.flatnonzero(np.diff(np.concatenate([[False], inside, [False]]).astype(int)))
    return [(int(a), int(b) - 1) for a, b in zip(steps[::2], steps[1::2], strict=True)]

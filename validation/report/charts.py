"""Charts, as panels side by side or one above another: DVH, profiles, gamma by value and by threshold."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from validation.plan_check.comparison import Comparison
from validation.plan_check.leading import leading_gamma, scale
from validation.plan_check.verdict import Structure
from validation.report.choices import gamma_text, shown_structures
from validation.report.content import Drawing, Pictures
from validation.report.drawing import DASHED, FINE, HALF, PLUS_MINUS, colour, finish, legend_name, marker
from validation.report.lines import Line, line_along, line_between

PLAN_COLOUR, MC_COLOUR = "#12355b", "#c23b22"
LINE_STYLES = ("-", DASHED, (0, (1, 1)), (0, (5, 1, 1, 1)), (0, (8, 2)), (0, (3, 1, 1, 1, 1, 1)))
MARKS = 7  # on a curve
BIN = 0.05  # of gamma
BENEATH = {"frameon": False, "fontsize": 6.5, "labelspacing": 0.25, "borderaxespad": 0.1, "borderpad": 0.1}


def dvh(comparison: Comparison) -> Pictures:
    """Cumulative DVHs of targets and of all others, on one dose axis: plan solid, Monte Carlo dashed."""
    panels = [
        _dvh_panel(comparison, targets, title)
        for targets, title in ((True, "targets"), (False, "organs at risk and others"))
        if any(curves.target is targets for curves in comparison.curves)
    ]
    left_out = len(comparison.structures) - len(shown_structures(comparison))
    text = (
        f"Plan solid, Monte Carlo dashed with a band of {PLUS_MINUS}1 sigma, transport and latent together; "
        "it is often thinner than the line. Markers distinguish structures."
    )
    text += f" Left out are {left_out} structures of lower dose; the tables have all." * bool(left_out)
    return Pictures(tuple(panels), "Dose-volume histograms", text, 2)


def _dvh_panel(comparison: Comparison, targets: bool, title: str) -> Drawing:
    shown = [(i, s) for i, s in enumerate(shown_structures(comparison)) if s.is_target is targets]
    lines = -(-(len(shown) + 2) // 2)
    below = 0.36 + 0.15 * lines
    figure = Figure(figsize=(HALF, 2.0 + below))
    tall = figure.get_figheight()
    axis = figure.add_axes((0.135, below / tall, 0.845, (tall - below - 0.2) / tall))
    by_name = {curves.structure: curves for curves in comparison.curves}
    handles = plan_and_mc()
    for index, structure in shown:
        curves = by_name[structure.name]
        look = {"color": colour(index), "linewidth": 1.2}
        marks = {"marker": marker(index), "markersize": 3.5}
        planned, *_ = curves.plot(axis, **look)
        planned.set(markevery=_marks(curves.plan_percent, index), **marks)
        handles.append(Line2D([], [], label=legend_name(index, curves.structure), **look, **marks))
    if comparison.prescription:
        axis.axvline(comparison.prescription, color="0.35", linewidth=0.8, linestyle=":")
        axis.annotate(
            "prescription ", (comparison.prescription, 3), ha="right", rotation=90, color="0.35", fontsize=6
        )
    top = max(curves.dose_gy[-1] for curves in comparison.curves)
    axis.set(xlabel="dose [Gy]", ylabel="volume [%]", xlim=(0, top), ylim=(0, 101))
    axis.set_title(title, loc="left", fontsize=7.5, pad=3)
    axis.grid(color="0.88", linewidth=0.5)
    figure.legend(handles=handles, loc="lower center", ncols=2, **BENEATH)
    return finish(figure, f"DVH, {title}", dpi=FINE)


def plan_and_mc() -> list[Line2D]:
    """Legend entries of the line styles that all figures use."""
    return [
        Line2D([], [], color="0.2", label="plan: solid"),
        Line2D([], [], color="0.2", linestyle=DASHED, label="Monte Carlo: dashed"),
    ]


def profiles(comparison: Comparison, target: Structure, organ: Structure) -> Pictures:
    """Both doses from target to organ and along the patient, with their difference, on the same scales."""
    grid, plan = comparison.planned_dose.grid, comparison.planned_dose.dose
    lines = [line_between(target, organ, plan, grid), line_along(organ, target, plan, grid)]
    sampled = [_sampled(comparison, line) for line in lines]
    top = 1.12 * max(float(np.nanmax(values)) for doses in sampled for values in doses[:2])
    most = max(float(np.nanmax(np.abs(found - planned) + sigma)) for planned, found, sigma in sampled)
    reference, of = scale(comparison)
    limits = top, 1.15 * max(1.0, 100 * most / reference)
    panels = [
        _profile_panel(line, doses, reference, limits) for line, doses in zip(lines, sampled, strict=True)
    ]
    place = ", ".join(f"{10 * c:.1f}" for c in lines[1].points[0, :0:-1])
    text = (
        f"Left: from the middle of {target.name} through the plan's hottest voxel of {organ.name}. Right: "
        f"along the patient through that voxel (x, y = {place} mm). Beneath: Monte Carlo less plan in "
        f"percent of the {of}. Bands: 1 sigma of a voxel, transport and latent together. Not smoothed."
    )
    return Pictures(tuple(panels), f"Profiles through {target.name} and {organ.name}", text, 2)


def _sampled(comparison: Comparison, line: Line) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both doses and the full sigma along a line [Gy]."""
    dose = comparison.dose
    sigma = np.hypot(dose.sigma, np.nan_to_num(dose.latent))
    return tuple(line.sample(v, dose.grid) for v in (comparison.planned_dose.dose, dose.mean, sigma))


def _profile_panel(
    line: Line,
    doses: tuple[np.ndarray, np.ndarray, np.ndarray],
    reference: float,
    limits: tuple[float, float],
) -> Drawing:
    planned, found, sigma = doses
    figure = Figure(figsize=(HALF, 2.6))
    above = figure.add_axes((0.125, 0.46, 0.855, 0.49))
    below = figure.add_axes((0.125, 0.235, 0.855, 0.19), sharex=above)
    x = line.distance_mm
    _shade(line, above, below)
    above.fill_between(x, found - sigma, found + sigma, color=MC_COLOUR, alpha=0.25, linewidth=0)
    above.plot(x, planned, color=PLAN_COLOUR, linewidth=1.3, label="plan: solid")
    above.plot(x, found, color=MC_COLOUR, linewidth=1.3, linestyle=DASHED, label="Monte Carlo: dashed")
    percent = 100 / reference
    difference, noise = (found - planned) * percent, sigma * percent
    below.fill_between(x, difference - noise, difference + noise, color="0.4", alpha=0.4, linewidth=0)
    below.plot(x, difference, color="0.1", linewidth=1.0)
    below.axhline(0, color="0.5", linewidth=0.6)
    above.tick_params(labelbottom=False)
    known = x[np.isfinite(planned)]
    above.set(ylabel="dose [Gy]", xlim=(known[0], known[-1]), ylim=(0, limits[0]))
    below.set(ylabel="diff. [%]", ylim=(-limits[1], limits[1]))
    below.set_xlabel(line.axis, labelpad=1)
    for axis in (above, below):
        axis.grid(color="0.9", linewidth=0.5)
        axis.yaxis.set_label_coords(-0.085, 0.5)
    handles, labels = above.get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=2, **BENEATH)
    return finish(figure, f"Profile, {line.axis}", dpi=FINE)


def gamma(comparison: Comparison) -> Pictures:
    """For every criterion over BODY: the distribution of gamma, and passing rates by dose threshold."""
    results, leading = comparison.verdict.gamma, leading_gamma(comparison)
    figures = [Figure(figsize=(HALF, 2.45)) for _ in range(2)]
    left, right = (figure.add_axes((0.145, 0.30, 0.835, 0.67)) for figure in figures)
    lowest = 100.0
    for index, result in enumerate(results):
        counts, edges = result.map.histogram(BIN)
        share = 100 * counts / counts.sum()
        name = f"{gamma_text(result)}: {result.rate:.2f} %"
        look = {"color": colour(index), "lw": 1.2, "ls": LINE_STYLES[index % len(LINE_STYLES)], "label": name}
        if result is leading:
            left.stairs(share, edges, fill=True, color="#cfd8e6")
        left.stairs(share, edges, **look)
        sweep = result.sweep
        right.plot(sweep.threshold_percent, sweep.passing_percent, **look)
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
    panels = []
    for figure, axis, title in zip(figures, (left, right), ("distribution", "by threshold"), strict=True):
        axis.grid(color="0.9", linewidth=0.5)
        handles, labels = axis.get_legend_handles_labels()
        figure.legend(handles, labels, loc="lower center", ncols=2, **BENEATH)
        panels.append(finish(figure, f"Gamma, {title}", dpi=FINE))
    text = (
        f"Left: gamma of the voxels of {comparison.body_name} above the dose threshold (reference: plan, "
        f"evaluated: Monte Carlo); filled: {leading.map.criterion}. Right: passing rate of the voxels above "
        "higher thresholds."
    )
    return Pictures(tuple(panels), "Gamma in BODY", text, 2)


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

"""Figures of the cases; the only module here that draws."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from validation.engine.curves import Curve
from validation.engine.verdict import Check

if TYPE_CHECKING:
    from validation.engine.judge import Judgement

REFERENCE, OURS, LIMIT = "#222222", "#c1440e", "#8a8a8a"
COLOURS = "#c1440e", "#2b6ca3", "#222222", "#2a7a2a"
DPI = 80
HISTOGRAM = np.linspace(0.6, 1.4, 41)  # of stated over true sigmas


def draw_pair(path: Path, title: str, found: Judgement) -> None:
    """Depth dose and profiles with their differences, histograms of t, and the checks."""
    dmax = found.pair.dmax
    shown = [pair for pair in found.curves if pair[0].name[0] != "y"][:4]
    figure = Figure(figsize=(15, 10), layout="constrained")
    grid = figure.add_gridspec(4, 3, height_ratios=(3, 1.3, 3, 1.3))
    limit = next(c.limit for c in found.checks if c.name.startswith("curves"))
    for k, (mine, other) in enumerate(shown):
        row, column = (0, k) if k < 3 else (2, 0)
        upper = figure.add_subplot(grid[row, column])
        lower = figure.add_subplot(grid[row + 1, column], sharex=upper)
        _curve(upper, lower, mine, other, dmax, limit)
        upper.set_title("depth dose on the axis" if mine.name == "depth" else f"profile along {mine.name}")
        lower.set_xlabel("depth [cm]" if mine.name == "depth" else "off axis [cm]")
    figure.axes[0].legend(fontsize=9)
    _histograms(figure.add_subplot(grid[2:, 1]), found)
    _checks(figure.add_subplot(grid[2:, 2]), found.checks)
    figure.suptitle(title)
    _save(figure, path)


def draw_curves(
    path: Path,
    title: str,
    curves: list[tuple[Curve, Curve]],
    dmax: float,
    limit: float,
    checks: tuple[Check, ...],
) -> None:
    """Depth dose and profiles along x with their differences, and the checks."""
    shown = [pair for pair in curves if pair[0].name[0] != "y"][:5]
    figure = Figure(figsize=(15, 10), layout="constrained")
    grid = figure.add_gridspec(4, 3, height_ratios=(3, 1.3, 3, 1.3))
    for k, (mine, other) in enumerate(shown):
        upper = figure.add_subplot(grid[2 * (k // 3), k % 3])
        lower = figure.add_subplot(grid[2 * (k // 3) + 1, k % 3], sharex=upper)
        _curve(upper, lower, mine, other, dmax, limit)
        upper.set_title("depth dose on the axis" if mine.name == "depth" else f"profile along {mine.name}")
        lower.set_xlabel("depth [cm]" if mine.name == "depth" else "off axis [cm]")
    figure.axes[0].legend(fontsize=9)
    _checks(figure.add_subplot(grid[2:, 2]), checks)
    figure.suptitle(title)
    _save(figure, path)


def draw_coverage(
    path: Path,
    title: str,
    judged: Mapping[str, tuple[np.ndarray, tuple[float, float]]],
    shown: Mapping[str, tuple[float, float]],
    limit: float,
) -> None:
    """Stated over true sigma.

    Parameters
    ----------
    judged : dict
        By study: the ratio of each voxel, and that of all with its uncertainty.
    shown : dict
        Further ratios with their uncertainty, which are not judged.
    limit : float
        Of the departure from 1.
    """
    figure = Figure(figsize=(13, 6), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.hist([ratios for ratios, _ in judged.values()], HISTOGRAM, stacked=True, label=list(judged))
    left.set(xlabel="stated / true sigma of a voxel", ylabel="voxels above half the maximum")
    left.legend(fontsize=8)
    rows = [(name, ratio, OURS) for name, (_, ratio) in judged.items()]
    rows += [(name, ratio, LIMIT) for name, ratio in shown.items()]
    for place, (_, (ratio, error), colour) in enumerate(rows):
        right.errorbar(ratio, -place, xerr=error, fmt="o", ms=4, capsize=2, color=colour)
    right.axvspan(1.0 - limit, 1.0 + limit, color=LIMIT, alpha=0.2, lw=0)
    right.axvline(1.0, color=REFERENCE, lw=0.5)
    right.set_yticks(-np.arange(len(rows)), [name for name, *_ in rows], fontsize=8)
    right.set(xlabel="stated / true sigma (grey points are not judged)")
    figure.suptitle(title)
    _save(figure, path)


def _curve(upper: Axes, lower: Axes, mine: Curve, other: Curve, dmax: float, limit: float) -> None:
    """A curve of both doses above, their difference below [% of Dmax]."""
    upper.plot(other.position, 100 * other.dose / dmax, "-", color=REFERENCE, lw=1, label="reference")
    upper.plot(mine.position, 100 * mine.dose / dmax, ".", color=OURS, ms=4, label="mcverify")
    upper.set_ylabel("% of Dmax")
    upper.tick_params(labelbottom=False)
    off = 100 * (mine.dose - other.dose) / dmax
    sigma = 100 * np.hypot(mine.sigma, other.sigma) / dmax
    lower.axhspan(-limit, limit, color=LIMIT, alpha=0.2, lw=0)
    lower.errorbar(mine.position, off, sigma, fmt=".", color=OURS, ms=3, elinewidth=0.6)
    lower.axhline(0, color=REFERENCE, lw=0.5)
    reach = max(3 * limit, 1.1 * float(np.abs(off).max()))
    lower.set(ylim=(-reach, reach), ylabel="difference\n[% of Dmax]")
    if mine.name != "depth":
        half = 1.6 * np.abs(other.position[other.dose > 0.2 * other.dose.max()]).max() + 1.0
        lower.set_xlim(-min(half, mine.position[-1]), min(half, mine.position[-1]))


def _histograms(axes: Axes, found: Judgement) -> None:
    """t = difference over its sigma, in both regions, and the unit normal of pure noise."""
    pair, edges = found.pair, np.arange(-6, 6.01, 0.25)
    for (name, region), style in zip(pair.regions.items(), ("-", "--"), strict=True):
        t = (pair.ours - pair.reference)[region] / pair.sigma[region]
        axes.stairs(
            np.histogram(t, edges)[0] / (t.size * 0.25),
            edges,
            color=OURS,
            ls=style,
            label=f"{name}: {t.size} voxels",
        )
    x = np.linspace(-6, 6, 241)
    axes.plot(x, np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi), color=REFERENCE, lw=1, label="noise alone")
    axes.set(yscale="log", ylim=(1e-5, 1), xlabel="t = (mcverify - reference) / sigma", ylabel="density")
    axes.set_title("distribution of the differences")
    axes.legend(fontsize=9, loc="lower center")


def _checks(axes: Axes, checks: tuple[Check, ...]) -> None:
    """The checks as text."""
    axes.axis("off")
    for k, check in enumerate(checks):
        y = 0.97 - k * 0.92 / max(len(checks), 8)
        word, colour = ("pass", "#2a7a2a") if check.passed else ("FAIL", "#b00020")
        axes.text(0.0, y, word, color=colour, weight="bold", va="top", fontsize=10)
        axes.text(0.12, y, f"{check.name}\n{check_text(check)}", va="top", fontsize=9)


def draw_r50(
    path: Path,
    title: str,
    depth: np.ndarray,
    dose: np.ndarray,
    sigma: np.ndarray,
    reference: np.ndarray,
    check: Check,
    facts: dict[str, float],
) -> None:
    """Depth doses with their R50, and their difference; doses (n,) on the scale of the reference."""
    figure = Figure(figsize=(9, 7), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1.2))
    top = 0.01 * float(reference.max())
    upper.plot(depth, reference / top, "-", color=REFERENCE, lw=1, label="reference")
    upper.plot(depth, dose / top, ".", color=OURS, ms=4, label="mcverify")
    for key, colour in (("reference_r50_cm", REFERENCE), ("r50_cm", OURS)):
        upper.axvline(facts[key], color=colour, lw=0.8, ls="--", label=f"R50 {facts[key]:.4g} cm")
    upper.set(ylabel="% of maximum", title=f"{title}\nR50 {check_text(check)}")
    upper.legend()
    lower.errorbar(depth, (dose - reference) / top, sigma / top, fmt=".", ms=3, color=OURS, elinewidth=0.6)
    lower.axhline(0, color=REFERENCE, lw=0.5)
    lower.set(xlabel="depth [cm]", ylabel="difference\n[% of maximum]")
    _save(figure, path)


def draw_fano(
    path: Path,
    title: str,
    edges: np.ndarray,
    density: np.ndarray,
    judged: np.ndarray,
    curves: dict[str, tuple[np.ndarray, np.ndarray]],
    limits: dict[str, float],
) -> None:
    """Dose of every layer off Fano's theorem and its sigma [%], one panel a mode, above the density."""
    figure = Figure(figsize=(11, 8), layout="constrained")
    panels = figure.subplots(len(curves) + 1, 1, sharex=True, height_ratios=(*[3] * len(curves), 1))
    centre, number = 0.5 * (edges[1:] + edges[:-1]), np.arange(len(density))
    for panel, (mode, (off, sigma)) in zip(panels[:-1], curves.items(), strict=True):
        panel.axhspan(-limits[mode], limits[mode], color=LIMIT, alpha=0.25, lw=0, label="limit")
        for part, colour, label in ((~judged, LIMIT, "near the outer faces"), (judged, OURS, "judged")):
            panel.errorbar(
                number[part], off[part], sigma[part], fmt=".", color=colour, elinewidth=0.8, label=label
            )
        panel.axhline(0, color=REFERENCE, lw=0.5)
        reach = max(4 * limits[mode], float(np.abs(off[judged] + np.sign(off[judged]) * sigma[judged]).max()))
        panel.set(ylim=(-1.1 * reach, 1.1 * reach), ylabel="dose off theorem [%]", title=mode)
    panels[0].legend(fontsize=9)
    panels[-1].stairs(density, np.arange(len(density) + 1) - 0.5, color=REFERENCE)
    panels[-1].set(yscale="log", ylabel="density\n[g/cm3]")
    panels[-1].set_xlabel(f"layer, each {10 * (centre[1] - centre[0]):.3g} mm")
    figure.suptitle(title)
    _save(figure, path)


def draw_deviations(
    path: Path,
    title: str,
    curves: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]],
    limits: dict[str, float],
    energy: str,
) -> None:
    """Deviations [%] over energy, a panel a medium, a line a quantity; grey: the strictest limit."""
    rows = -(-len(curves) // 2)
    figure = Figure(figsize=(11, 2.3 * rows + 0.8), layout="constrained")
    panels = figure.subplots(rows, 2, sharex=True, sharey=True, squeeze=False).ravel()
    strict = min(limits.values())
    for panel, (medium, lines) in zip(panels, curves.items(), strict=False):
        panel.axhspan(-strict, strict, color=LIMIT, alpha=0.25, lw=0)
        panel.axhline(0, color=REFERENCE, lw=0.5)
        for (quantity, (at, off)), colour in zip(lines.items(), COLOURS, strict=False):
            panel.plot(at, off, ".-", color=colour, ms=4, lw=0.8, label=quantity)
        panel.set(xscale="log", title=medium, ylim=(-2.2 * max(limits.values()), 2.2 * max(limits.values())))
        panel.set_ylabel("deviation [%]")
    panels[0].legend(fontsize=9, ncols=2)
    for panel in panels[len(curves) :]:
        panel.axis("off")
    for panel in panels[len(curves) - 2 : len(curves)]:
        panel.set_xlabel(energy)
        panel.tick_params(labelbottom=True)
    figure.suptitle(title)
    _save(figure, path)


def check_text(check: Check) -> str:
    """A check's figure, uncertainty and limit in words."""
    unit = f" {check.unit}" if check.unit else ""
    value = f"{check.value:+.2g}" if check.unit == "" else f"{check.value:+.2f}"
    noise = f" +- {check.sigma:.2f}" if check.sigma else ""
    return f"{value}{noise}{unit}, limit {check.limit:g}{unit}"


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=DPI)


def draw_leaves(path: Path, title: str, edges: np.ndarray, drawn: dict, level: float) -> None:
    """Profiles of leaf patterns in both ways [% of open]: a row a pattern, along and across the leaves.

    Parameters
    ----------
    edges : (n + 1,) float64
        Of the bins [cm].
    drawn : dict
        By pattern the profiles (`leaves.Profile`) by name.
    """
    figure = Figure(figsize=(12, 2.4 * len(drawn) + 0.6), layout="constrained")
    panels = figure.subplots(len(drawn), 2, sharex=True, squeeze=False)
    centres = 0.5 * (edges[1:] + edges[:-1])
    for row, (pattern, profiles) in zip(panels, drawn.items(), strict=True):
        for panel, (name, profile) in zip(row, profiles.items(), strict=True):
            panel.stairs(100 * profile.ours / level, edges, color=OURS, label="ray tracing")
            panel.errorbar(
                centres, 100 * profile.explicit / level, 100 * profile.sigma / level,
                fmt=".", ms=3, color=REFERENCE, elinewidth=0.7, label="explicit",
            )  # fmt: skip
            panel.set_title(f"{pattern}, {name}", fontsize=9)
        row[0].set_ylabel("energy fluence\n[% of open]")
    panels[0, 0].legend(fontsize=8)
    for panel in panels[-1]:
        panel.set_xlabel("isocentre plane [cm]")
    figure.suptitle(title)
    _save(figure, path)

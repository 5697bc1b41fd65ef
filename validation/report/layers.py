"""Layers of a plane: CT, structures, isodoses, difference, gamma; and its frame."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, LinearSegmentedColormap
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

from phantoms.grid import Grid
from phantoms.views import AXIS_NAMES, View, centres_mm, cut, extent_mm, nearest_cut, nearest_plane
from validation.plan_check.comparison import Comparison
from validation.plan_check.verdict import GammaResult
from validation.report.choices import scale, shown_structures
from validation.report.drawing import colour, legend_name, letter

CT_WINDOW = (-200.0, 450.0)  # black and white [HU]
LEVELS = (20, 50, 80, 100, 120)  # isodoses [% of the prescription]
LEVEL_COLOURS = ("#56b4ff", "#35e0c8", "#f4f43c", "#ff9d2e", "#ff4d4d")  # light on a dark CT
ISODOSE_DASHES = (0, (2.2, 1.6))
DIFFERENCE_STEPS = 12
SIGN_DISTANCE = 0.6  # between the signs of a difference [cm]
SIGNED = 0.5  # of the scale's end, from which a difference has a sign
OUTLINED = {"path_effects": [withStroke(linewidth=1.3, foreground="black")]}  # seen on white and on black
LETTER_MARGIN = 0.03  # of the longest side, between a structure's letter and the edge
TURN = 2.4  # between the directions of two letters: the golden angle [rad]
# pale passes, dark fails, in black and white too
GAMMA_COLOURS = LinearSegmentedColormap.from_list(
    "gamma", [(0.0, "#ffffff"), (0.4999, "#a9c3e6"), (0.5, "#e08214"), (1.0, "#5c0000")]
)


def draw_ct(axis: Axes, comparison: Comparison, view: View, point: np.ndarray) -> None:
    """CT in grey, black outside it."""
    grid = comparison.ct.grid
    axis.set_facecolor("black")
    axis.imshow(
        cut(comparison.ct.hu, grid, view.axis, point[view.axis]),
        cmap="gray",
        vmin=CT_WINDOW[0],
        vmax=CT_WINDOW[1],
        origin="lower",
        interpolation="bilinear",
        extent=extent_mm(grid, view),
        aspect="auto",
    )


def draw_structures(
    axis: Axes,
    comparison: Comparison,
    view: View,
    point: np.ndarray,
    corners: np.ndarray,
    shaded: bool = False,
) -> None:
    """Structures outlined where they hold half of a voxel, with their letters, or shaded as well.

    `corners` (2, 3), z, y, x [mm], are those of what is seen.
    """
    grid = comparison.planned_dose.grid
    margin = LETTER_MARGIN * (corners[1] - corners[0]).max()
    box = tuple(corners[end, [view.across, view.up]] + sign * margin for end, sign in ((0, 1), (1, -1)))
    x, y = centres_mm(grid, view)
    for index, structure in enumerate(shown_structures(comparison)):
        plane = cut(structure.volume, grid, view.axis, point[view.axis])
        if not (np.nanmax(plane) > 0.5 and min(plane.shape) > 1):
            continue
        if shaded:
            axis.contourf(x, y, plane, levels=[0.5, 2.0], colors=[colour(index)], alpha=0.35)
        drawn = axis.contour(x, y, plane, levels=[0.5], colors=[colour(index)], linewidths=0.8)
        _name(axis, np.concatenate(drawn.allsegs[0]), index, box)


def _name(axis: Axes, points: np.ndarray, index: int, box: tuple[np.ndarray, np.ndarray]) -> None:
    """The letter of a structure at a point of its outline that is seen, each in another direction."""
    low, high = box
    seen = points[((points > low) & (points < high)).all(axis=1)]
    if len(seen) == 0:
        return
    direction = TURN * index
    place = seen[np.argmax(seen @ (np.cos(direction), np.sin(direction)))]
    axis.text(*place, letter(index), color="white", fontsize=6, ha="center", va="center", **OUTLINED)


def draw_isodoses(axis: Axes, comparison: Comparison, view: View, point: np.ndarray) -> None:
    """Isodoses of the plan, solid, and of Monte Carlo, dashed."""
    grid = comparison.planned_dose.grid
    x, y = centres_mm(grid, view)
    for values, style, width in (
        (comparison.planned_dose.dose, "solid", 1.1),
        (comparison.dose.mean, ISODOSE_DASHES, 1.3),
    ):
        plane = cut(values, grid, view.axis, point[view.axis])
        for level, shade in zip(LEVELS, LEVEL_COLOURS, strict=True):
            dose = 0.01 * level * scale(comparison)[0]
            if plane.min() < dose < plane.max() and min(plane.shape) > 1:
                look = {"colors": [shade], "linewidths": width, "linestyles": [style]}
                drawn = axis.contour(x, y, plane, [dose], **look)
                if style == "solid":  # its percentage, for those who see no colours
                    for text in axis.clabel(drawn, fmt=str(level), fontsize=5, colors="white"):
                        text.set(**OUTLINED)


def draw_difference(
    axis: Axes, comparison: Comparison, view: View, point: np.ndarray, limit: float
) -> ScalarMappable:
    """Monte Carlo less plan within BODY [% of the scale], up to `limit` either way."""
    grid = comparison.planned_dose.grid
    planned, found, body = (
        nearest_cut(values, grid, view.axis, point[view.axis])
        for values in (comparison.planned_dose.dose, comparison.dose.mean, comparison.body)
    )
    shown = np.where(body > 0, 100 * (found - planned) / scale(comparison)[0], np.nan)
    steps = np.linspace(-limit, limit, DIFFERENCE_STEPS + 1)
    _draw_signs(axis, shown, grid, view, limit)
    return axis.imshow(
        shown,
        cmap="RdBu_r",
        norm=BoundaryNorm(steps, 256, extend="both"),
        origin="lower",
        interpolation="nearest",
        extent=extent_mm(grid, view),
        aspect="auto",
        alpha=0.75,
    )


def _draw_signs(axis: Axes, shown: np.ndarray, grid: Grid, view: View, limit: float) -> None:
    """Plus and minus signs where a difference (n, m), NaN where there is none, is large over some voxels."""
    steps = [max(1, round(SIGN_DISTANCE / grid.spacing[a])) for a in (view.up, view.across)]
    rows, columns = (n // k for n, k in zip(shown.shape, steps, strict=True))
    blocks = shown[: rows * steps[0], : columns * steps[1]].reshape(rows, steps[0], columns, steps[1])
    mean = blocks.mean(axis=(1, 3))  # NaN where a part of it has none
    x, y = (
        values[: n * k].reshape(n, k).mean(axis=1)
        for values, n, k in zip(centres_mm(grid, view), (columns, rows), steps[::-1], strict=True)
    )
    for sign, there in (("+", mean > SIGNED * limit), ("_", mean < -SIGNED * limit)):
        row, column = np.nonzero(there)
        axis.plot(x[column], y[row], sign, color="black", ms=2.6, mew=0.55)


def draw_gamma(
    axis: Axes, comparison: Comparison, result: GammaResult, view: View, point: np.ndarray
) -> ScalarMappable:
    """Gamma where it was evaluated, what fails outlined in black."""
    grid = comparison.planned_dose.grid
    index = nearest_plane(grid, view.axis, point[view.axis])
    box = [slice(0, n) for n in grid.shape]
    box[view.axis] = slice(index, index + 1)
    plane = result.map.part(tuple(box)).squeeze(view.axis)
    image = axis.imshow(
        plane,
        cmap=GAMMA_COLOURS,
        vmin=0,
        vmax=2,
        origin="lower",
        interpolation="nearest",
        extent=extent_mm(grid, view),
        aspect="auto",
        alpha=0.8,
    )
    failing = np.nan_to_num(plane) > 1
    if failing.any() and min(plane.shape) > 1:
        x, y = centres_mm(grid, view)
        axis.contour(x, y, failing.astype(float), levels=[0.5], colors="black", linewidths=0.8)
    return image


def frame(axis: Axes, view: View, point: np.ndarray, box: np.ndarray, what: str = "") -> None:
    """Limits, labels, patient sides, and the point the planes go through; `what` heads the title."""
    axis.set_xlim(box[:, view.across])
    axis.set_ylim(box[:, view.up] if view.upwards else box[::-1, view.up])
    axis.set_xlabel(f"{AXIS_NAMES[view.across]} [mm]", labelpad=1)
    axis.set_ylabel(f"{AXIS_NAMES[view.up]} [mm]", labelpad=0)
    axis.tick_params(length=2, pad=1.5, labelsize=6.5)
    where = f"{AXIS_NAMES[view.axis]} = {10 * point[view.axis]:.1f} mm"
    axis.set_title(f"{f'{what}: ' * bool(what)}{view.name}, {where}", fontsize=7, pad=3)
    axis.plot(10 * point[view.across], 10 * point[view.up], "+", color="white", ms=5, mew=0.8)
    places = ((0.02, 0.5), (0.98, 0.5), (0.5, 0.03), (0.5, 0.97))
    aligned = (("left", "center"), ("right", "center"), ("center", "bottom"), ("center", "top"))
    for side, place, (horizontal, vertical) in zip(view.sides, places, aligned, strict=True):
        axis.text(
            *place,
            side,
            transform=axis.transAxes,
            color="white",
            ha=horizontal,
            va=vertical,
            fontsize=7,
            bbox={"facecolor": "black", "alpha": 0.45, "pad": 0.8, "linewidth": 0},
        )


def isodose_handles(comparison: Comparison) -> list[Line2D]:
    """Legend entries of the isodoses that occur, and of both line styles."""
    top = max(float(comparison.planned_dose.dose.max()), float(comparison.dose.mean.max()))
    doses = [0.01 * level * scale(comparison)[0] for level in LEVELS]
    handles = [
        Line2D([], [], color=shade, linewidth=1.8, label=f"{dose:.1f} Gy ({level} %)")
        for dose, level, shade in zip(doses, LEVELS, LEVEL_COLOURS, strict=True)
        if dose < top
    ]
    return [
        *handles,
        Line2D([], [], color="0.2", linewidth=1.2, label="plan"),
        Line2D([], [], color="0.2", linewidth=1.2, linestyle=ISODOSE_DASHES, label="Monte Carlo"),
    ]


def structure_handles(comparison: Comparison) -> list[Patch]:
    """Legend entries of the structures."""
    shown = shown_structures(comparison)
    return [Patch(facecolor=colour(i), alpha=0.7, label=legend_name(i, s.name)) for i, s in enumerate(shown)]

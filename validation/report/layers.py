"""Layers of a plane: CT, structures as lines, isodoses, difference, gamma; and its frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from phantoms.grid import Grid
from phantoms.views import AXIS_NAMES, View, centres_mm, cut, extent_mm, nearest_cut, nearest_plane
from validation.plan_check.comparison import Comparison
from validation.plan_check.leading import dose_limits_of, leading_organ, scale
from validation.plan_check.verdict import GammaResult, Structure
from validation.report.choices import shown_structures
from validation.report.display import Display
from validation.report.drawing import GAMMA_COLOURS, colour, legend_name, letter

CT_WINDOW = (-200.0, 450.0)  # black and white [HU]
LEVELS = (20, 50, 80, 100)  # isodoses [% of the prescription]
LEVEL_COLOURS = ("#9ad0f5", "#56b4e9", "#f0e442", "#e69f00")  # light on a dark CT
# of isodoses at limits, from the lowest on
LIMIT_COLOURS, LIMIT_WIDTH = ("#fbd3e9", "#f08cc8", "#d63fa0"), 1.4
CLOSE = 0.05  # of a limit: a percentage of the prescription nearer to it is not drawn
CONTOUR = 1.3  # width of a structure's line
ISODOSE_DASHES = (0, (2.2, 1.6))
DIFFERENCE_STEPS = 12
SIGN_DISTANCE = 0.6  # between the signs of a difference [cm]
SIGNED = 0.5  # of the scale's end, from which a difference has a sign
HALO = {"path_effects": [withStroke(linewidth=2.1, foreground="black")]}
OUTLINED = {"path_effects": [withStroke(linewidth=1.3, foreground="black")]}  # seen on white and on black
LETTER_MARGIN = 0.03  # of the longest side, between a structure's letter and the edge
TURN = 2.4  # between the directions of two letters: the golden angle [rad]


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
    chosen: Sequence[Structure] | None = None,
) -> None:
    """Structures as lines where they hold half of a voxel, with their letters.

    `corners` (2, 3), z, y, x [mm], are those of what is seen; `chosen` are the structures that are drawn, by
    default all that figures show.
    """
    grid = comparison.planned_dose.grid
    margin = LETTER_MARGIN * (corners[1] - corners[0]).max()
    box = tuple(corners[end, [view.across, view.up]] + sign * margin for end, sign in ((0, 1), (1, -1)))
    x, y = centres_mm(grid, view)
    for index, structure in enumerate(shown_structures(comparison)):
        if chosen is not None and structure not in chosen:
            continue
        plane = cut(structure.volume, grid, view.axis, point[view.axis])
        if not (np.nanmax(plane) > 0.5 and min(plane.shape) > 1):
            continue
        drawn = axis.contour(x, y, plane, levels=[0.5], colors=[colour(index)], linewidths=CONTOUR)
        drawn.set(**HALO)
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


@dataclass(frozen=True)
class Isodose:
    """A dose that is drawn [Gy], what it is, and in which colour; a limit of the profile is drawn thicker."""

    dose: float
    name: str
    colour: str
    limit: bool = False


def isodoses(comparison: Comparison, levels: Sequence[int] = LEVELS) -> list[Isodose]:
    """Percentages of the prescription, and the limits on the organ that matters most, in rising order."""
    reference, organ = scale(comparison)[0], leading_organ(comparison)
    limits = [] if organ is None else dose_limits_of(comparison, organ)
    shades = [LIMIT_COLOURS[min(number, len(LIMIT_COLOURS) - 1)] for number in range(len(limits))]
    found = [
        Isodose(limit.limit, limit.metric, shade, True) for limit, shade in zip(limits, shades, strict=True)
    ]
    for level, shade in zip(LEVELS, LEVEL_COLOURS, strict=True):
        dose = 0.01 * level * reference
        near = any(abs(dose - limit.limit) < CLOSE * dose for limit in limits)
        if level in levels and not near:
            found.append(Isodose(dose, f"{level} %", shade))
    return sorted(found, key=lambda isodose: isodose.dose)


def draw_isodoses(
    axis: Axes, display: Display, view: View, point: np.ndarray, shown: Sequence[Isodose]
) -> None:
    """Isodoses of the plan, solid, and of Monte Carlo, dashed, with their doses in Gy."""
    comparison = display.comparison
    grid = comparison.planned_dose.grid
    x, y = centres_mm(grid, view)
    for values, style, width in (
        (comparison.planned_dose.dose, "solid", 0.9),
        (display.found, ISODOSE_DASHES, 1.2),
    ):
        plane = cut(values, grid, view.axis, point[view.axis])
        for isodose in shown:
            if plane.min() < isodose.dose < plane.max() and min(plane.shape) > 1:
                look = {"colors": [isodose.colour], "linestyles": [style]}
                width_here = width * (LIMIT_WIDTH if isodose.limit else 1.0)
                drawn = axis.contour(x, y, plane, [isodose.dose], linewidths=width_here, **look)
                if style == "solid":  # its dose, for those who see no colours
                    texts = axis.clabel(drawn, fmt=f"{isodose.dose:.1f}", fontsize=5.5, colors="white")
                    for text in texts:
                        text.set(**OUTLINED)


def draw_difference(axis: Axes, display: Display, view: View, point: np.ndarray) -> ScalarMappable:
    """Monte Carlo less plan within BODY [% of the scale], averaged."""
    grid, limit = display.comparison.planned_dose.grid, display.limit
    shown = nearest_cut(display.difference, grid, view.axis, point[view.axis])
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


def frame(
    axis: Axes, view: View, point: np.ndarray, box: np.ndarray, what: str = "", cross: bool = True
) -> None:
    """Limits, labels, patient sides, and with `cross` the point; `what` heads the title."""
    axis.set_xlim(box[:, view.across])
    axis.set_ylim(box[:, view.up] if view.upwards else box[::-1, view.up])
    axis.tick_params(length=2, pad=1.5, labelsize=6)
    where = f"{view.name}, {AXIS_NAMES[view.axis]} = {10 * point[view.axis]:.1f} mm"
    axis.set_title(f"{what}\n{where}" if what else where, fontsize=6.8, pad=3, linespacing=1.1)
    if cross:
        axis.plot(10 * point[view.across], 10 * point[view.up], "+", color="white", ms=6, mew=1.0, **OUTLINED)
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
            fontsize=6.5,
            bbox={"facecolor": "black", "alpha": 0.45, "pad": 0.8, "linewidth": 0},
        )


def isodose_handles(comparison: Comparison, shown: Sequence[Isodose]) -> list[Line2D]:
    """Legend entries of the isodoses that occur, and of both line styles."""
    top = max(float(comparison.planned_dose.dose.max()), float(comparison.dose.mean.max()))
    handles = [
        Line2D(
            [],
            [],
            color=isodose.colour,
            linewidth=1.4 * (LIMIT_WIDTH if isodose.limit else 1.0),
            label=f"{isodose.dose:.1f} Gy: {'limit on ' * isodose.limit}{isodose.name}",
        )
        for isodose in shown
        if isodose.dose < top
    ]
    return [
        *handles,
        Line2D([], [], color="0.55", linewidth=1.2, label="plan: solid"),
        Line2D([], [], color="0.55", linewidth=1.2, linestyle=ISODOSE_DASHES, label="Monte Carlo: dashed"),
    ]


def structure_handles(comparison: Comparison, chosen: Sequence[Structure] | None = None) -> list[Line2D]:
    """Legend entries of the structures."""
    shown = shown_structures(comparison)
    return [
        Line2D([], [], color=colour(i), linewidth=1.8, label=legend_name(i, s.name))
        for i, s in enumerate(shown)
        if chosen is None or s in chosen
    ]

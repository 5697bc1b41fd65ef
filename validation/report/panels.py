"""Planes through the doses as panels of one scale, which stand side by side or one above another."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from phantoms.views import VIEWS, View
from validation.plan_check.leading import leading_gamma, leading_organ, leading_target, scale
from validation.report.choices import box_above, box_of_leading, gamma_text
from validation.report.content import Drawing, Pictures
from validation.report.display import HIGH, Display, Place
from validation.report.drawing import FINE, THIRD, finish
from validation.report.layers import (
    CT_WINDOW,
    SIGN_DISTANCE,
    SIGNED,
    draw_ct,
    draw_difference,
    draw_gamma,
    draw_isodoses,
    draw_structures,
    frame,
    isodose_handles,
    isodoses,
    structure_handles,
)

AXIAL, CORONAL, SAGITTAL = VIEWS
LEFT, RIGHT, ABOVE, BELOW = 0.24, 0.04, 0.32, 0.17  # about a plane, for its axes and title [inch]
BAR, BAR_BELOW = 0.09, 0.42  # height of a colour bar, and what it needs beneath a plane [inch]
TALLEST = 1.78  # of a plane [inch]
GAMMA_TICKS = [0.0, 0.5, 1.0, 1.5, 2.0]
ISODOSE_BOX, DIFFERENCE_MARGIN, GAMMA_MARGIN = (0.5, 25.0), 4.0, 10.0  # [mm]

Draw = Callable[[Axes, View, Place], ScalarMappable | None]


def isodose_panels(display: Display) -> Pictures:
    """Isodoses of both doses over CT: three axial levels, coronal and sagittal through the critical point."""
    comparison = display.comparison
    box, shown = box_above(comparison, *ISODOSE_BOX), isodoses(comparison)
    planes = [(AXIAL, place) for place in display.levels]
    planes += [(view, display.critical) for view in (CORONAL, SAGITTAL)]

    def draw(axis: Axes, view: View, place: Place) -> None:
        draw_ct(axis, comparison, view, place.point)
        draw_structures(axis, comparison, view, place.point, box)
        draw_isodoses(axis, display, view, place.point, shown)

    panels = _panels(planes, box, draw)
    handles = [*structure_handles(comparison), *isodose_handles(comparison, shown)]
    panels.append(_legend(handles))
    smoothed = (
        " For display alone the difference of both doses is smoothed by a Gaussian of "
        f"{display.smoothing_mm:.1f} mm (sigma), since noise makes isodoses ragged; no number of this "
        "report is."
        if display.smoothing_mm
        else ""
    )
    text = (
        "Plan solid, Monte Carlo dashed, labelled in Gy; thick: at dose limits of the profile. Structures "
        f"are lines with letters.{smoothed} CT window {CT_WINDOW[0]:g} to {CT_WINDOW[1]:g} HU. DICOM patient "
        "coordinates; R L A P H F are the patient's sides, the cross is the point named."
    )
    return Pictures(tuple(panels), "Isodoses", text, 3)


def difference_panels(display: Display) -> Pictures:
    """Monte Carlo less plan at three levels, within the 20 % isodose."""
    comparison = display.comparison
    box = box_above(comparison, HIGH, DIFFERENCE_MARGIN)
    reference, of = scale(comparison)

    def draw(axis: Axes, view: View, place: Place) -> ScalarMappable:
        draw_ct(axis, comparison, view, place.point)
        shown = draw_difference(axis, display, view, place.point)
        draw_structures(axis, comparison, view, place.point, box, _leading(display))
        return shown

    half = 0.5 * display.limit
    bar = f"MC - plan [% of {of}]", [-2 * half, -half, 0.0, half, 2 * half]
    panels = _panels([(AXIAL, place) for place in display.levels], box, draw, bar)
    text = (
        f"Monte Carlo less plan in percent of the {of} ({reference:.2f} Gy), {display.averaging}. Shown "
        f"within {comparison.body_name}, about the {100 * HIGH:g} % isodose; signs where it is more than "
        f"{SIGNED * display.limit:g} % over {10 * SIGN_DISTANCE:g} mm."
    )
    return Pictures(tuple(panels), "Dose difference", text, 3)


def gamma_panels(display: Display) -> Pictures:
    """Gamma at three levels, about target and critical organ."""
    comparison = display.comparison
    box, result = box_of_leading(comparison, GAMMA_MARGIN), leading_gamma(comparison)

    def draw(axis: Axes, view: View, place: Place) -> ScalarMappable:
        draw_ct(axis, comparison, view, place.point)
        shown = draw_gamma(axis, comparison, result, view, place.point)
        draw_structures(axis, comparison, view, place.point, box, _leading(display))
        return shown

    bar = f"gamma, {gamma_text(result)}", GAMMA_TICKS
    panels = _panels([(AXIAL, place) for place in display.levels], box, draw, bar)
    text = (
        f"Gamma at {result.map.criterion}, where evaluated, about the target and the most important organ; "
        "what fails is dark, outlined in black. Gamma uses the doses as they are, neither smoothed nor "
        "averaged."
    )
    return Pictures(tuple(panels), "Gamma", text, 3)


def critical_panel(display: Display, width: float, height: float) -> Drawing:
    """The axial plane of page one: isodoses at prescription and limits, target and organ as lines."""
    comparison, place = display.comparison, display.critical
    box = box_of_leading(comparison, 22.0)
    shown, chosen = isodoses(comparison, (50, 100)), _leading(display)
    below = 0.62
    free = width - LEFT - RIGHT, height - ABOVE - BELOW - below
    box = _filled(box, AXIAL, free)
    inch = min(free[0] / np.ptp(box[:, AXIAL.across]), free[1] / np.ptp(box[:, AXIAL.up]))
    figure = Figure(figsize=(width, height))
    axis = _axis(figure, AXIAL, box, inch, below)
    draw_ct(axis, comparison, AXIAL, place.point)
    draw_structures(axis, comparison, AXIAL, place.point, box, chosen)
    draw_isodoses(axis, display, AXIAL, place.point, shown)
    frame(axis, AXIAL, place.point, box, place.name)
    figure.legend(
        handles=[*structure_handles(comparison, chosen), *isodose_handles(comparison, shown)],
        loc="lower center",
        ncols=2,
        frameon=False,
        fontsize=6,
        handlelength=1.9,
        labelspacing=0.25,
        columnspacing=1.0,
        borderaxespad=0.0,
        borderpad=0.1,
    )
    return finish(figure, f"Axial plane through the {place.name}", dpi=FINE)


def _leading(display: Display) -> list:
    pair = leading_target(display.comparison), leading_organ(display.comparison)
    return [structure for structure in pair if structure is not None]


def _filled(box: np.ndarray, view: View, free: tuple[float, float]) -> np.ndarray:
    """The box made larger in one direction, so that it fills a space of this shape."""
    box = box.copy()
    across, up = np.ptp(box[:, view.across]), np.ptp(box[:, view.up])
    if across * free[1] > up * free[0]:
        axis, wanted = view.up, across * free[1] / free[0]
    else:
        axis, wanted = view.across, up * free[0] / free[1]
    middle = box[:, axis].mean()
    box[:, axis] = middle - 0.5 * wanted, middle + 0.5 * wanted
    return box


def _panels(
    planes: Sequence[tuple[View, Place]],
    box: np.ndarray,
    draw: Draw,
    bar: tuple[str, list[float]] | None = None,
) -> list[Drawing]:
    """A figure of its own for every plane, all of one width and one scale.

    Parameters
    ----------
    planes : sequence of (View, Place)
    box : (2, 3) array
        Corners of what is shown, z, y, x [mm].
    draw : callable
        Draws the layers; returns what a colour bar belongs to.
    bar : (str, list of float), optional
        Label and ticks of the colour bar.
    """
    size, below = box[1] - box[0], BAR_BELOW * (bar is not None)
    widest = max(size[view.across] for view, _ in planes)
    highest = max(size[view.up] for view, _ in planes)
    inch = min((THIRD - LEFT - RIGHT) / widest, TALLEST / highest)
    drawn = []
    for view, place in planes:
        figure = Figure(figsize=(THIRD, ABOVE + size[view.up] * inch + BELOW + below))
        axis = _axis(figure, view, box, inch, below)
        mapped = draw(axis, view, place)
        frame(axis, view, place.point, box, place.name, cross=bar is None)
        if bar is not None:
            _bar(figure, mapped, axis, *bar)
        drawn.append(finish(figure, f"{view.name} plane, {place.name}", dpi=FINE))
    return drawn


def _axis(figure: Figure, view: View, box: np.ndarray, inch: float, below: float) -> Axes:
    """Axes in the middle of what a panel has for its plane; `inch` per mm."""
    wide, tall = figure.get_figwidth(), figure.get_figheight()
    w, h = np.ptp(box[:, view.across]) * inch, np.ptp(box[:, view.up]) * inch
    x = LEFT + 0.5 * (wide - LEFT - RIGHT - w)
    y = BELOW + below + 0.5 * (tall - ABOVE - BELOW - below - h)
    return figure.add_axes((x / wide, y / tall, w / wide, h / tall))


def _bar(figure: Figure, mappable: ScalarMappable, under: Axes, label: str, ticks: list[float]) -> None:
    """A colour bar as wide as the plane `under` which it stands."""
    place, tall = under.get_position(), figure.get_figheight()
    bar = figure.add_axes((place.x0, 0.30 / tall, place.width, BAR / tall))
    figure.colorbar(mappable, cax=bar, orientation="horizontal", ticks=ticks, format="%g")
    bar.minorticks_off()
    bar.set_xlabel(label, labelpad=1, fontsize=6.5)
    bar.tick_params(length=2, pad=1, labelsize=6)


def _legend(handles: list) -> Drawing:
    """A panel that holds the legend of those beside it."""
    figure = Figure(figsize=(THIRD, 0.2 + 0.14 * -(-len(handles) // 2)))
    look = {"fontsize": 6.2, "handlelength": 2.2, "labelspacing": 0.3, "columnspacing": 0.8}
    figure.legend(handles=handles, loc="center left", ncols=2, frameon=False, **look)
    return finish(figure, "Legend", dpi=FINE)

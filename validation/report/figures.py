"""The figures of the report, in their order; this module draws those made of planes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from phantoms.views import VIEWS, View
from validation.plan_check.comparison import Comparison
from validation.plan_check.verdict import Structure
from validation.report import charts
from validation.report.choices import (
    box_above,
    centre,
    difference_limit,
    gamma_text,
    leading_gamma,
    leading_organ,
    leading_target,
    scale,
)
from validation.report.drawing import STYLE, WIDTH, Drawing, finish
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
    structure_handles,
)
from validation.report.lines import hottest_voxel

LEFT, GAP = 0.5, 0.55  # left of the first plane and between two, for their axes' labels [inch]
ABOVE, BETWEEN = 0.22, 0.55  # a plane for its title, and between rows for title and labels [inch]
TALLEST = 3.4  # of the planes of one figure together [inch]
LEGEND_LINE = 0.17  # height [inch]
BAR = 0.11  # height of a colour bar [inch]
GAMMA_TICKS = [0.0, 0.5, 1.0, 1.5, 2.0]


class Place(NamedTuple):
    """A point (z, y, x) [cm] that planes go through, and its name."""

    point: np.ndarray
    name: str


@dataclass(frozen=True)
class Figures:
    """All figures of a report, by where they belong."""

    dvh: tuple[Drawing, ...]
    gamma: tuple[Drawing, ...]
    planes: tuple[Drawing, ...]

    @classmethod
    def of(cls, comparison: Comparison) -> Figures:
        """Draw them."""
        organ, target = leading_organ(comparison), leading_target(comparison)
        with matplotlib.rc_context(STYLE), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph")  # of names in other scripts: the tables have them
            places = _places(comparison, organ)
            planes = [isodose_planes(comparison, places), map_planes(comparison, places)]
            if organ is not None and target is not None:
                planes.append(charts.profile(comparison, target, organ))
            dvh = (charts.dvh(comparison),) if comparison.curves else ()
            return cls(dvh, (charts.gamma(comparison),), tuple(planes))


def _places(comparison: Comparison, organ: Structure | None) -> list[Place]:
    """The isocentre, and the plan's hottest voxel in the most critical organ at risk."""
    places = [Place(*centre(comparison))]
    if organ is not None:
        grid = comparison.planned_dose.grid
        hottest = hottest_voxel(organ, comparison.planned_dose.dose)
        point = np.array([grid.centres(a)[i] for a, i in enumerate(hottest)])
        places.append(Place(point, f"the plan's maximum in {organ.name}"))
    return places


def isodose_planes(comparison: Comparison, places: Sequence[Place]) -> Drawing:
    """Isodoses of both doses over CT, three planes through each place."""
    box = box_above(comparison, 0.5, 25.0)
    legends = [isodose_handles(comparison), *_lines_of(structure_handles(comparison))]
    figure, axes = _layout([VIEWS] * len(places), box, below=0.1 + LEGEND_LINE * len(legends))
    for place, line in zip(places, axes, strict=True):
        for axis, view in zip(line, VIEWS, strict=True):
            draw_ct(axis, comparison, view, place.point)
            draw_structures(axis, comparison, view, place.point, box, shaded=True)
            draw_isodoses(axis, comparison, view, place.point)
            frame(axis, view, place.point, box)
    _legends(figure, legends)
    text = (
        f"Planes through {_through(places)} (white cross): isodoses of the plan solid, of Monte Carlo "
        f"dashed, in percent of the {scale(comparison)[1]}; structures shaded, with their letters. CT window "
        f"{CT_WINDOW[0]:g} to {CT_WINDOW[1]:g} HU. DICOM patient coordinates; R L A P H F are the "
        "patient's sides."
    )
    return finish(figure, "Isodoses", text)


def map_planes(comparison: Comparison, places: Sequence[Place]) -> Drawing:
    """Over CT in three planes: dose difference through each place, and gamma through the first."""
    box = box_above(comparison, 0.1, 15.0)
    result, limit = leading_gamma(comparison), difference_limit(comparison)
    legends = _lines_of(structure_handles(comparison))
    columns = [*(("difference", place) for place in places), ("gamma", places[0])]
    rows = [[view] * len(columns) for view in VIEWS]
    figure, axes = _layout(rows, box, below=BAR + 0.4 + LEGEND_LINE * len(legends))
    for view, line in zip(VIEWS, axes, strict=True):
        for axis, (what, place) in zip(line, columns, strict=True):
            draw_ct(axis, comparison, view, place.point)
            if what == "gamma":
                mapped = draw_gamma(axis, comparison, result, view, place.point)
            else:
                shown = draw_difference(axis, comparison, view, place.point, limit)
            draw_structures(axis, comparison, view, place.point, box)
            frame(axis, view, place.point, box, what if view is VIEWS[0] else "")
    bottom = LEGEND_LINE * len(legends)
    _bar(figure, shown, axes[0][0], bottom, _difference_label(comparison), _ticks(limit))
    _bar(figure, mapped, axes[0][-1], bottom, f"gamma, {gamma_text(result)}", GAMMA_TICKS)
    _legends(figure, legends)
    reference, of = scale(comparison)
    text = (
        f"Monte Carlo less plan within {comparison.body_name}, in percent of the {of} ({reference:.2f} Gy), "
        f"in planes through {_through(places)} (white cross); signs where it is more than "
        f"{SIGNED * limit:g} % over {10 * SIGN_DISTANCE:g} mm. Right: gamma at {result.map.criterion}, "
        f"where evaluated, in the planes through {places[0].name}; what fails is dark, outlined in black."
    )
    return finish(figure, "Dose difference and gamma", text)


def _through(places: Sequence[Place]) -> str:
    """Names of the places, in the order of their rows."""
    return " and ".join(place.name for place in places)


def _difference_label(comparison: Comparison) -> str:
    return f"MC - plan [% of {scale(comparison)[1]}]"


def _ticks(limit: float) -> list[float]:
    return [-limit, -0.5 * limit, 0.0, 0.5 * limit, limit]


def _layout(rows: Sequence[Sequence[View]], box: np.ndarray, below: float) -> tuple[Figure, list[list[Axes]]]:
    """A figure with a plane for each view, all on one scale, and `below` [inch] free for its legends.

    Parameters
    ----------
    rows : sequence of sequences of View
        Rows of equal length.
    box : (2, 3) array
        Corners of what is shown, z, y, x [mm].
    below : float
    """
    size = box[1] - box[0]
    widths = np.max([[size[view.across] for view in row] for row in rows], axis=0)
    heights = np.max([[size[view.up] for view in row] for row in rows], axis=1)
    free = WIDTH - LEFT - GAP * (len(widths) - 1) - 0.1
    inch_per_mm = min(free / widths.sum(), TALLEST / heights.sum())
    # what the limit on the height leaves over goes between the columns
    gap = GAP + (free - widths.sum() * inch_per_mm) / len(widths)
    tall = ABOVE + heights.sum() * inch_per_mm + BETWEEN * (len(rows) - 1) + 0.33 + below
    figure = Figure(figsize=(WIDTH, tall))
    top, axes = tall - ABOVE, []
    for row, height in zip(rows, heights, strict=True):
        left, line = LEFT + 0.5 * (gap - GAP), []
        for view, width in zip(row, widths, strict=True):
            w, h = size[view.across] * inch_per_mm, size[view.up] * inch_per_mm
            x, y = left + 0.5 * (width * inch_per_mm - w), top - 0.5 * (height * inch_per_mm + h)
            line.append(figure.add_axes((x / WIDTH, y / tall, w / WIDTH, h / tall)))
            left += width * inch_per_mm + gap
        top -= height * inch_per_mm + BETWEEN
        axes.append(line)
    return figure, axes


def _lines_of(handles: list, width: int = 135) -> list[list]:
    """Legend entries in lines of about `width` characters."""
    lines, used = [[]], 0
    for handle in handles:
        length = len(handle.get_label()) + 7
        if lines[-1] and used + length > width:
            lines.append([])
            used = 0
        lines[-1].append(handle)
        used += length
    return [line for line in lines if line]


def _legends(figure: Figure, lines: Sequence[list]) -> None:
    """Legend lines at the bottom, the first on top."""
    tall = figure.get_figheight()
    for number, handles in enumerate(reversed(lines)):
        figure.legend(
            handles=handles,
            loc="lower center",
            bbox_to_anchor=(0.5, (LEGEND_LINE * number) / tall),
            ncols=len(handles),
            frameon=False,
            fontsize=6.8,
            columnspacing=1.2,
            borderaxespad=0.1,
            borderpad=0.1,
        )


def _bar(
    figure: Figure, mappable: ScalarMappable, under: Axes, bottom: float, label: str, ticks: list[float]
) -> None:
    """A colour bar as wide as the plane `under` which it stands, its labels `bottom` [inch] up."""
    place, tall = under.get_position(), figure.get_figheight()
    bar = figure.add_axes((place.x0, (bottom + 0.36) / tall, place.width, BAR / tall))
    figure.colorbar(mappable, cax=bar, orientation="horizontal", ticks=ticks, format="%g")
    bar.minorticks_off()
    bar.set_xlabel(label, labelpad=1, fontsize=7)
    bar.tick_params(length=2, pad=1, labelsize=6.5)

"""A finished figure, and what all figures share. Only this package imports matplotlib, never pyplot."""

from __future__ import annotations

import gc
import io
import string
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from validation.report.content import Drawing

WIDTH = 7.4  # of a figure: the text width of A4 [inch]
DPI = 150
FINE = 200  # of a panel, which a phone shows larger than a page
HALF, THIRD = 0.495 * WIDTH, 0.325 * WIDTH  # of panels side by side
STYLE = {
    "font.size": 7.5,
    "axes.linewidth": 0.6,
    "font.family": "DejaVu Sans",
    "text.parse_math": False,  # a structure's name may hold dollar signs
    "hatch.linewidth": 0.5,
}
DASHED = (0, (4, 2))  # Monte Carlo; the plan is solid
PLUS_MINUS = "\N{PLUS-MINUS SIGN}"

# of structures: seen on white and on a dark CT, apart for the colour-blind as well (after Okabe and Ito);
# markers distinguish curves in black and white
COLOURS = ("#d55e00", "#2b8cd6", "#009e73", "#cc79a7", "#e69f00", "#6a4fb3", "#8c564b", "#56b4e9",
           "#8a8a2d", "#777777")  # fmt: skip
MARKERS = "osD^vPX<>*"
# pale passes, dark fails: in black and white and for the colour-blind, too
GAMMA_COLOURS = LinearSegmentedColormap.from_list(
    "gamma", [(0.0, "#ffffff"), (0.4999, "#a9c3e6"), (0.5, "#e08214"), (1.0, "#5c0000")]
)


@contextmanager
def figure_style(parse_math: bool = False) -> Iterator[None]:
    """The style of all figures, with `parse_math` for texts of ours that hold powers of ten.

    What was alive before is left out of the collections of garbage that follow each figure (`finish`).
    """
    frozen = gc.get_freeze_count() > 0  # by whoever calls: it stays so
    if not frozen:
        gc.freeze()
    try:
        with matplotlib.rc_context(STYLE | {"text.parse_math": parse_math}):
            yield
    finally:
        if not frozen:
            gc.unfreeze()


def finish(figure: Figure, title: str, caption: str = "", dpi: int = DPI) -> Drawing:
    """Render a figure."""
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    figure.clear()
    gc.collect()  # artists refer to each other: the planes of a large grid would stay, a dozen times over
    return Drawing(buffer.getvalue(), title, caption)


def letter(index: int) -> str:
    """Letter by which the structure of this index is known without colours; sides are capitals."""
    return string.ascii_lowercase[index % len(string.ascii_lowercase)]


def colour(index: int) -> str:
    """Colour of the structure of this index."""
    return COLOURS[index % len(COLOURS)]


def marker(index: int) -> str:
    """Marker of the structure of this index; another one when the colours begin again."""
    return MARKERS[(index + index // len(COLOURS)) % len(MARKERS)]


def legend_name(index: int, name: str) -> str:
    """What a legend says of the structure of this index."""
    return f"{letter(index)}  {name}"

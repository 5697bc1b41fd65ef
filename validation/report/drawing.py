"""A finished figure, and what all figures share. Only this package imports matplotlib, never pyplot."""

from __future__ import annotations

import gc
import io
import string

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from validation.report.content import Drawing

WIDTH = 7.4  # of a figure: the text width of A4 [inch]
DPI = 150
STYLE = {
    "font.size": 7.5,
    "axes.linewidth": 0.6,
    "font.family": "DejaVu Sans",
    "text.parse_math": False,  # a structure's name may hold dollar signs
    "hatch.linewidth": 0.5,
}
DASHED = (0, (4, 2))  # Monte Carlo; the plan is solid
PLUS_MINUS = "\N{PLUS-MINUS SIGN}"

# of structures: seen on white and on a dark CT; markers distinguish curves in black and white
COLOURS = ("#d62728", "#8c2d9e", "#1f6fc4", "#2a9d3a", "#d98200", "#0f9fb0", "#8c564b", "#d6559f",
           "#6b7a1e", "#555555")  # fmt: skip
MARKERS = "osD^vPX<>*"


def finish(figure: Figure, title: str, caption: str) -> Drawing:
    """Render a figure."""
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
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

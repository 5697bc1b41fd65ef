"""One picture of any result that draws itself."""

from __future__ import annotations

from os import PathLike
from typing import Any, Protocol

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from phantoms.errors import InputError
from phantoms.files import replacing
from phantoms.views import Artists, Axes
from validation.report.drawing import DPI, figure_style

SIZE = (5.2, 4.2)  # [inch]


class Drawable(Protocol):
    """What draws itself on axes."""

    def plot(self, axes: Axes, *args: Any, **options: Any) -> Artists:
        """Draw, and return the artists."""


def picture(found: Drawable, path: str | PathLike | None = None, **options: Any) -> Figure:
    """Draw a result in a figure of its own, with a colour bar or a legend where there is something to label.

    Parameters
    ----------
    found : result
        Anything with a `plot` method, such as ``check.gamma("2%/1mm")``.
    path : path, optional
        Where the figure is written to: .png, .pdf or .svg.
    **options
        Of its `plot`, such as ``view="coronal"``.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If it cannot be drawn so, or the file cannot be written.
    """
    with figure_style():
        figure = Figure(figsize=SIZE, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        drawn = found.plot(axes, **options)
        if isinstance(drawn[0], AxesImage):
            label = drawn[0].get_label()
            # matplotlib names an artist without a label _child0
            figure.colorbar(drawn[0], ax=axes, label="" if label.startswith("_") else label)
        elif axes.get_legend() is None and axes.get_legend_handles_labels()[1]:
            axes.legend(frameon=False)
        if path is not None:
            with replacing(path, "cannot write the picture") as partial:
                try:
                    figure.savefig(partial, dpi=DPI)
                except ValueError as error:  # matplotlib's, of a format that it does not know
                    raise InputError(path, str(error)) from None
    return figure

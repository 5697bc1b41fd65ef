"""Cumulative DVHs of one dose or two, as `mcverify dvh` writes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from validation.report.drawing import DASHED, WIDTH, Drawing, colour, figure_style, finish, marker

MARKS = 7  # on a curve
MAX_CURVES = 24  # curves that a legend can hold


def dvh_figure(record: Mapping[str, Any]) -> Drawing:
    """Draw the curves of a record of `validation.cli.dvh`: the first dose solid, the second dashed."""
    with figure_style():
        figure = Figure(figsize=(WIDTH, 4.2))
        axis = figure.add_axes((0.075, 0.10, 0.66, 0.86))
        dose = np.array(record["curve_dose_gy"])
        handles = []
        for index, structure in enumerate(record["structures"][:MAX_CURVES]):
            look = {"color": colour(index), "linewidth": 1.1}
            mark = {"marker": marker(index), "markersize": 3.5}
            for number, percent in enumerate(structure["curve_percent"]):
                style = (
                    {"linestyle": DASHED}
                    if number
                    else {"markevery": _marks(np.array(percent), index), **mark}
                )
                axis.plot(dose, percent, **look, **style)
            volume = structure["volume_cc"]
            # a legend leaves out what begins with an underscore
            label = f" {structure['name']} ({volume:,.{0 if volume >= 100 else 2}f} cc)"
            handles.append(Line2D([], [], label=label, **look, **mark))
        if len(record["doses"]) == 2:
            for given, style in zip(record["doses"], ("-", DASHED), strict=True):
                handles.append(Line2D([], [], color="0.2", linestyle=style, label=Path(given["file"]).name))
        if record["prescription_gy"]:
            axis.axvline(record["prescription_gy"], color="0.35", linewidth=0.7, linestyle=":")
        axis.set(xlabel="dose [Gy]", ylabel="volume [%]", xlim=(0, dose[-1]), ylim=(0, 101))
        axis.grid(color="0.88", linewidth=0.5)
        figure.legend(handles=handles, loc="center left", bbox_to_anchor=(0.745, 0.53), frameon=False)
        return finish(figure, "Dose-volume histograms", "Cumulative; volumes in cc within the dose grid.")


def _marks(percent: np.ndarray, index: int) -> list[int]:
    """Points of a falling curve to mark, shifted from curve to curve."""
    levels = np.linspace(96, 4, MARKS) - index % 5
    return sorted({int(np.clip(np.searchsorted(-percent, -level), 0, len(percent) - 1)) for level in levels})

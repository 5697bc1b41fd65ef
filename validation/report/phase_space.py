"""A picture of a phase space: spectrum, directions, profiles of the fluence and the fluence itself."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from mc.source.histograms import PICTURES, Histograms
from mc.source.phase_space import PhaseSpace
from phantoms.files import replacing
from validation.report.drawing import WIDTH, figure_style, finish


def draw_phase_space(space: PhaseSpace, plane_z: float, path: Path) -> None:
    """Draw a phase space into a PNG file; fluence on the plane z = `plane_z` [cm], along straight lines."""
    histories = space.header.orig_histories
    counted = Histograms.of(space.chunks, histories, plane_z)
    with figure_style(parse_math=True):  # powers of ten
        figure = Figure(figsize=(WIDTH, 6.0), layout="constrained")
        axes = figure.subplots(2, 2)
        for axis, what in zip(axes.flat, PICTURES, strict=True):
            drawn = counted.plot(axis, what)
        figure.colorbar(drawn[0], ax=axes[1, 1], label="MeV per cm2 and history")
        figure.suptitle(
            f"{space.data_path.name}: {len(space):,} particles of {histories:,} histories", parse_math=False
        )
        drawing = finish(figure, "phase space", "")
    with replacing(path, "cannot write the picture", private=False) as partial:
        partial.write_bytes(drawing.png)

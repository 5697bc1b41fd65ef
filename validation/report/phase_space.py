"""A picture of a phase space: spectrum, directions, profiles of the fluence and the fluence itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from mc.source.iaea_header import KINDS
from mc.source.phase_space import PhaseSpace
from mc.source.phase_space_tools import across
from phantoms.files import replacing
from validation.report.drawing import STYLE, WIDTH, finish

ENERGY_BINS, ANGLE_BINS, PLACES = 100, 90, 80
STRIP = 0.1  # half width of the strip of the profiles, in units of the reach
REACH_SHARE = 0.995  # of the photons' weight lies within the picture
COLOURS = ("#12355b", "#c23b22", "#2a9d3a")


def draw_phase_space(space: PhaseSpace, plane_z: float, path: Path) -> None:
    """Draw a phase space into a PNG file; fluence on the plane z = `plane_z` [cm], along straight lines."""
    top, reach = _extent(space, plane_z)
    energies, angles = np.linspace(0.0, top, ENERGY_BINS + 1), np.linspace(0.0, 90.0, ANGLE_BINS + 1)
    places = np.linspace(-reach, reach, PLACES + 1)
    spectra, directions = np.zeros((3, ENERGY_BINS)), np.zeros((3, ANGLE_BINS))
    fluence, energy_fluence = np.zeros((PLACES, PLACES)), np.zeros((PLACES, PLACES))
    for p in space.chunks():
        angle = np.degrees(np.arccos(np.clip(p.w, -1.0, 1.0)))
        for kind in range(3):
            of = p.kind == kind + 1
            spectra[kind] += np.histogram(p.energy[of], energies, weights=p.weight[of])[0]
            directions[kind] += np.histogram(angle[of], angles, weights=p.weight[of])[0]
        of = (p.kind == 1) & (p.w > 0.0)
        x, y = (column[of] for column in across(p, plane_z))
        fluence += np.histogram2d(y, x, (places, places), weights=p.weight[of])[0]
        energy_fluence += np.histogram2d(y, x, (places, places), weights=(p.weight * p.energy)[of])[0]
    histories = space.header.orig_histories
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 6.0), layout="constrained")
        axes = figure.subplots(2, 2)
        for kind, name in enumerate(KINDS):
            for axis, bins, counts in ((axes[0, 0], energies, spectra), (axes[0, 1], angles, directions)):
                if counts[kind].any():
                    axis.stairs(
                        counts[kind] / np.diff(bins) / histories, bins, color=COLOURS[kind], label=name
                    )
        axes[0, 0].set(xlabel="energy [MeV]", ylabel="particles per MeV and history", yscale="log")
        axes[0, 1].set(xlabel="angle to the axis [degrees]", ylabel="per degree and history", yscale="log")
        axes[0, 0].legend(frameon=False)
        _profiles(axes[1, 0], places, fluence, energy_fluence)
        area = np.diff(places)[0] ** 2
        image = axes[1, 1].imshow(
            energy_fluence / area / histories, extent=(-reach, reach, -reach, reach), origin="lower"
        )
        axes[1, 1].set(xlabel="x [cm]", ylabel="y [cm]", title=f"energy fluence at z = {plane_z:g} cm")
        figure.colorbar(image, ax=axes[1, 1], label="MeV per cm2 and history")
        figure.suptitle(f"{space.data_path.name}: {len(space):,} particles of {histories:,} histories")
        drawing = finish(figure, "phase space", "")
    with replacing(path, "cannot write the picture") as partial:
        partial.write_bytes(drawing.png)


def _extent(space: PhaseSpace, plane_z: float) -> tuple[float, float]:
    """Highest energy [MeV], and the distance from the axis that nearly all photons keep on the plane [cm]."""
    top, bins = 0.0, np.linspace(0.0, 200.0, 2001)
    counts = np.zeros(len(bins) - 1)
    for p in space.chunks():
        top = max(top, float(p.energy.max()))
        of = (p.kind == 1) & (p.w > 0.0)
        x, y = (column[of] for column in across(p, plane_z))
        counts += np.histogram(np.maximum(np.abs(x), np.abs(y)), bins, weights=p.weight[of])[0]
    share = np.cumsum(counts) / max(counts.sum(), 1e-300)
    return top, 1.1 * float(bins[min(int(np.searchsorted(share, REACH_SHARE)) + 1, len(bins) - 1)])


def _profiles(axis, places: np.ndarray, fluence: np.ndarray, energy_fluence: np.ndarray) -> None:
    """Profiles along x and y through the axis, relative to the middle."""
    centres = 0.5 * (places[1:] + places[:-1])
    strip = np.abs(centres) <= STRIP * places[-1]
    for values, name, colour in ((fluence, "fluence", COLOURS[0]), (energy_fluence, "energy", COLOURS[1])):
        middle = values[np.ix_(strip, strip)].mean() or 1.0
        along_x, along_y = values[strip].mean(axis=0) / middle, values[:, strip].mean(axis=1) / middle
        axis.stairs(along_x, places, color=colour, label=f"{name}, along x")
        axis.stairs(along_y, places, color=colour, linestyle=":", label=f"{name}, along y")
    axis.set(xlabel="distance from the axis [cm]", ylabel="relative to the middle", ylim=(0.0, None))
    axis.legend(frameon=False)

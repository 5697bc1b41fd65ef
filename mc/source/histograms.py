"""Spectrum, directions and fluence of a phase space, and how they are drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from mc.source.iaea_header import KINDS
from mc.source.particles import Particles, across
from phantoms.errors import InputError
from phantoms.views import Artists, Axes

ENERGY_BINS, ANGLE_BINS, PLACES = 100, 90, 80
STRIP = 0.1  # half width of the strip of the profiles, in units of the reach
REACH_SHARE = 0.995  # of the photons' weight lies within the picture
COLOURS = ("#12355b", "#c23b22", "#2a9d3a")  # photons, electrons, positrons
PICTURES = ("spectrum", "directions", "profiles", "fluence")


@dataclass(frozen=True, eq=False)
class Histograms:
    """Weighted particles per original history; fluences are of photons that travel straight to a plane.

    Parameters
    ----------
    plane_z_cm : float
    energies : (ENERGY_BINS + 1,) float64
        Edges [MeV].
    spectra : (3, ENERGY_BINS) float64
        Particles per MeV, by kind.
    angles : (ANGLE_BINS + 1,) float64
        Edges, to the axis [degrees].
    directions : (3, ANGLE_BINS) float64
        Particles per degree, by kind.
    places : (PLACES + 1,) float64
        Edges along x and along y [cm].
    fluence : (PLACES, PLACES) float64
        Photons per bin, by y and x.
    energy_fluence : (PLACES, PLACES) float64
        [MeV] per bin.
    """

    plane_z_cm: float
    energies: np.ndarray = field(repr=False)
    spectra: np.ndarray = field(repr=False)
    angles: np.ndarray = field(repr=False)
    directions: np.ndarray = field(repr=False)
    places: np.ndarray = field(repr=False)
    fluence: np.ndarray = field(repr=False)
    energy_fluence: np.ndarray = field(repr=False)

    @classmethod
    def of(
        cls, chunks: Callable[[], Iterable[Particles]], orig_histories: int, plane_z_cm: float
    ) -> Histograms:
        """Count particles, which are gone through twice."""
        top, reach = _extent(chunks(), plane_z_cm)
        energies, angles = np.linspace(0.0, top, ENERGY_BINS + 1), np.linspace(0.0, 90.0, ANGLE_BINS + 1)
        places = np.linspace(-reach, reach, PLACES + 1)
        spectra, directions = np.zeros((3, ENERGY_BINS)), np.zeros((3, ANGLE_BINS))
        fluence, energy_fluence = np.zeros((PLACES, PLACES)), np.zeros((PLACES, PLACES))
        for p in chunks():
            angle = np.degrees(np.arccos(np.clip(p.w, -1.0, 1.0)))
            for kind in range(3):
                of = p.kind == kind + 1
                spectra[kind] += np.histogram(p.energy[of], energies, weights=p.weight[of])[0]
                directions[kind] += np.histogram(angle[of], angles, weights=p.weight[of])[0]
            of = (p.kind == 1) & (p.w > 0.0)
            x, y = (column[of] for column in across(p, plane_z_cm))
            fluence += np.histogram2d(y, x, (places, places), weights=p.weight[of])[0]
            energy_fluence += np.histogram2d(y, x, (places, places), weights=(p.weight * p.energy)[of])[0]
        return cls(
            plane_z_cm,
            energies,
            spectra / np.diff(energies) / orig_histories,
            angles,
            directions / np.diff(angles) / orig_histories,
            places,
            fluence / orig_histories,
            energy_fluence / orig_histories,
        )

    def plot(self, axes: Axes, what: str) -> Artists:
        """Draw one of `PICTURES`; returns its lines or image.

        Raises
        ------
        InputError
            If there is no such picture.
        """
        if what not in PICTURES:
            raise InputError(f"picture {what!r}", "is not known", f"one of {', '.join(PICTURES)}")
        return getattr(self, f"_plot_{what}")(axes)

    def _plot_spectrum(self, axes: Axes) -> Artists:
        drawn = _by_kind(axes, self.spectra, self.energies)
        axes.set(xlabel="energy [MeV]", ylabel="particles per MeV and history", yscale="log")
        return drawn

    def _plot_directions(self, axes: Axes) -> Artists:
        drawn = _by_kind(axes, self.directions, self.angles)
        axes.set(xlabel="angle to the axis [degrees]", ylabel="per degree and history", yscale="log")
        return drawn

    def _plot_profiles(self, axes: Axes) -> Artists:
        """Along x and y through the axis, relative to the middle."""
        centres = 0.5 * (self.places[1:] + self.places[:-1])
        strip = np.abs(centres) <= STRIP * self.places[-1]
        drawn = []
        for values, name, colour in (
            (self.fluence, "fluence", COLOURS[0]),
            (self.energy_fluence, "energy", COLOURS[1]),
        ):
            middle = values[np.ix_(strip, strip)].mean() or 1.0
            for axis, letter, style in ((0, "x", "-"), (1, "y", ":")):
                along = values[strip].mean(axis=0) if axis == 0 else values[:, strip].mean(axis=1)
                label = f"{name}, along {letter}"
                drawn.append(
                    axes.stairs(along / middle, self.places, color=colour, linestyle=style, label=label)
                )
        axes.set(xlabel="distance from the axis [cm]", ylabel="relative to the middle", ylim=(0.0, None))
        axes.legend(frameon=False)
        return tuple(drawn)

    def _plot_fluence(self, axes: Axes) -> Artists:
        reach, area = self.places[-1], (self.places[1] - self.places[0]) ** 2
        look = {"extent": (-reach, reach, -reach, reach), "origin": "lower", "label": "[MeV/cm2] per history"}
        image = axes.imshow(self.energy_fluence / area, **look)
        axes.set(xlabel="x [cm]", ylabel="y [cm]", title=f"energy fluence at z = {self.plane_z_cm:g} cm")
        return (image,)


def _by_kind(axes: Axes, counts: np.ndarray, edges: np.ndarray) -> Artists:
    """A staircase for each kind of particle that occurs."""
    drawn = tuple(
        axes.stairs(counts[kind], edges, color=COLOURS[kind], label=name)
        for kind, name in enumerate(KINDS)
        if counts[kind].any()
    )
    axes.legend(frameon=False)
    return drawn


def _extent(chunks: Iterable[Particles], plane_z: float) -> tuple[float, float]:
    """Highest energy [MeV], and the distance from the axis that nearly all photons keep on the plane [cm]."""
    top, bins = 0.0, np.linspace(0.0, 200.0, 2001)
    counts = np.zeros(len(bins) - 1)
    for p in chunks:
        top = max(top, float(p.energy.max()))
        of = (p.kind == 1) & (p.w > 0.0)
        x, y = (column[of] for column in across(p, plane_z))
        counts += np.histogram(np.maximum(np.abs(x), np.abs(y)), bins, weights=p.weight[of])[0]
    share = np.cumsum(counts) / max(counts.sum(), 1e-300)
    return top, 1.1 * float(bins[min(int(np.searchsorted(share, REACH_SHARE)) + 1, len(bins) - 1)])

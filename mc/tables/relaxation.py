"""Inner shells: their share of photoabsorption, and how their vacancies relax.

A shell counts where its binding energy exceeds the photon cut-off, that is, where a fluorescence photon may
be transported. Of other shells the photoelectron keeps the binding energy, less than a photon's cut-off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mc.tables.elements import Element
from mc.tables.photons import photoelectric_cross_section


class Shell(NamedTuple):
    """A shell of an element: its place among K, L1, L2, L3 and its binding energy [MeV]."""

    z: int
    place: int
    binding: float


def deep_shells(elements: Mapping[int, Element], photon_cut: float) -> list[Shell]:
    """Shells bound by more than `photon_cut` [MeV]."""
    return [
        Shell(z, place, float(binding))
        for z, element in sorted(elements.items())
        for place, binding in enumerate(element.shell_binding)
        if binding > photon_cut
    ]


def shell_cross_sections(element: Element, energy: np.ndarray) -> np.ndarray:
    """Photoelectric cross sections of the element's shells in the data, (shells, n) [barn/atom]."""
    left = photoelectric_cross_section(element, energy)
    parts = np.zeros((len(element.shell_binding), len(energy)))
    for place, (binding, share) in enumerate(zip(element.shell_binding, element.shell_share, strict=True)):
        ratio = np.log(energy / binding)
        parts[place] = np.where(ratio < 0, 0.0, left * np.interp(ratio, np.log(element.shell_ratio), share))
        left = left - parts[place]
    return parts


def relaxation_table(
    shells: Sequence[Shell], elements: Mapping[int, Element], photon_cut: float
) -> np.ndarray:
    """Transitions of the shells' vacancies, (nv, nt, 3): cumulative probability, photon energy, next vacancy.

    The photon's energy [MeV] is 0 where none above the cut-off is emitted, the next vacancy an index into
    `shells`, -1 where the relaxation ends. The last row of each vacancy is that end, with probability 1. A
    radiationless transition leaves two vacancies; the deeper one is followed.
    """
    index = {(shell.z, shell.place): i for i, shell in enumerate(shells)}
    rows = []
    for shell in shells:
        kept, total = [], 0.0
        for place, left, energy, probability in elements[shell.z].transitions.T:
            energy, following = energy if energy > photon_cut else 0.0, index.get((shell.z, int(left)), -1)
            if int(place) == shell.place and (energy > 0.0 or following >= 0):
                total += probability
                kept.append((total, energy, following))
        rows.append([*kept, (1.0, 0.0, -1.0)])
    longest = max(map(len, rows), default=0)
    return np.array([row + [row[-1]] * (longest - len(row)) for row in rows]).reshape(len(rows), longest, 3)

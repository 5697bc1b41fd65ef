"""Photoeffect by shell and relaxation of inner shells, from EPDL and EADL of EPICS2017.

Kept are K and L shells whose binding energy lies above the engine's tables: no line of another shell can
exceed a photon cut-off.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from endl import Table, read_tables

SHELLS = (1, 3, 5, 6)  # K, L1, L2, L3 in ENDL's designators, by falling binding energy
MIN_BINDING = 2.0**-7  # lowest energy of the engine's tables [MeV]
RATIOS = np.append(np.geomspace(1.0, 4.0, 13), np.geomspace(5.0, 4000.0, 15))  # energy over binding energy
ABOVE_EDGE = 1.0 + 1e-6


class Relaxation(NamedTuple):
    """Photoeffect and relaxation of an atom's K and L shells, energies in units of the binding energy.

    Parameters
    ----------
    share : dict of shell -> (ratios,) float64
        Share of photoabsorptions by this shell among those by it and the shells outside it, at RATIOS.
    transitions : dict of (shell, vacancy left, whether a photon) -> (probability, photon energy)
    """

    share: dict[int, np.ndarray]
    transitions: dict[tuple[int, int, bool], tuple[float, float]]


def read_relaxation(epdl: Path, eadl: Path) -> Relaxation:
    """Read one element."""
    photoeffect = {
        table.shell: table.columns
        for table in read_tables(epdl)
        if (table.reaction, table.quantity, table.secondary) == (73, 0, 0) and table.shell
    }
    share = {}
    for shell in set(SHELLS) & set(photoeffect):
        energy = np.maximum(RATIOS, ABOVE_EDGE) * photoeffect[shell][0, 0]
        outward = {s: _log_log(energy, *photoeffect[s]) for s in photoeffect if s >= shell}
        share[shell] = outward[shell] / sum(outward.values())
    transitions: dict[tuple[int, int, bool], tuple[float, float]] = {}
    for table in read_tables(eadl):
        if table.shell in share:
            _add_transitions(transitions, table, photoeffect[table.shell][0, 0])
    return Relaxation(share, transitions)


def _log_log(at: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Interpolate in log-log, 0 below the first x."""
    values = np.exp(np.interp(np.log(at), np.log(x), np.log(y)))
    return np.where(at < x[0], 0.0, values)


def _add_transitions(transitions: dict, table: Table, binding: float) -> None:
    """Add EADL's transitions of one shell; radiationless ones by the deeper vacancy they leave."""
    if (table.reaction, table.quantity, table.secondary) == (92, 931, 7):
        for left, probability, energy in table.columns.T:
            transitions[table.shell, int(left), True] = probability, energy / binding
    elif (table.reaction, table.quantity, table.secondary) == (92, 932, 9):
        for left, other, probability, _ in table.columns.T:
            key = table.shell, int(min(left, other)), False
            transitions[key] = transitions.get(key, (0.0, 0.0))[0] + probability, 0.0


def between_elements(low: Relaxation, high: Relaxation, part: float) -> Relaxation:
    """An element between two others, everything linear in Z; `part` is how far from the lower, 0 to 1.

    A line that only one neighbour has comes with its energy, and with probability 0 of the other.
    """
    share = {s: (1.0 - part) * low.share[s] + part * high.share[s] for s in set(low.share) & set(high.share)}
    transitions = {}
    for key in low.transitions | high.transitions:
        a, energy_a = low.transitions.get(key, (0.0, 0.0))
        b, energy_b = high.transitions.get(key, (0.0, 0.0))
        a, b = (1.0 - part) * a, part * b
        transitions[key] = a + b, (a * energy_a + b * energy_b) / (a + b)
    return Relaxation(share, transitions)


def as_arrays(relaxation: Relaxation, edges: np.ndarray) -> dict[str, np.ndarray]:
    """What elements.h5 holds of an atom; `edges` (n,) are its absorption edges by XCOM, falling [MeV].

    Returns
    -------
    dict
        `shell_binding` (shells,) [MeV]; `shell_share` (shells, ratios); `transitions` (4, n): shell, vacancy
        left (places in SHELLS, -1 for any other), photon energy [MeV] (0 if radiationless), probability.
        Transitions that leave nothing to follow, no photon and no such vacancy, are left out.
    """
    binding = edges[: len(SHELLS)][edges[: len(SHELLS)] > MIN_BINDING]
    shells = SHELLS[: len(binding)]
    rows = []
    for (shell, left, radiative), (probability, energy) in sorted(relaxation.transitions.items()):
        if shell not in shells:
            continue
        inner = shells.index(left) if left in shells else -1
        energy *= binding[shells.index(shell)]
        if inner >= 0 or (radiative and energy > MIN_BINDING):
            rows.append((shells.index(shell), inner, energy, probability))
    return {
        "shell_binding": binding,
        "shell_share": np.array([relaxation.share[s] for s in shells]).reshape(-1, len(RATIOS)),
        "transitions": np.array(rows).reshape(-1, 4).T,
    }

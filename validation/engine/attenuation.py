"""Cases of kind `attenuation`: mass attenuation coefficients of the engine's tables against NIST's.

The tables are linear between energy nodes and smear an absorption edge over the interval that holds it.
Points in such an interval are left out, and so are those between the edges L2 and L1, where NIST lists but
the edges themselves.
"""

from __future__ import annotations

import time

import numpy as np

from mc.config import Physics
from mc.tables import Tables, build_tables
from mc.tables.build import energy_nodes
from mc.tables.elements import load_elements
from phantoms.materials import Material
from validation.engine import figures
from validation.engine.case import Case
from validation.engine.published import nist_materials, read_columns
from validation.engine.verdict import Check, Options, Verdict


def run(case: Case, options: Options) -> Verdict:
    """Compare every medium; the same in a quick run."""
    table = case.table()
    limit = table.number("limit", above=0)
    table.finish()
    started = time.process_time()
    reference = read_columns(case.folder / "reference.csv")
    media = nist_materials()
    checks, curves, left_out = [], {}, {}
    for name, columns in reference.items():
        energy, published = columns["energy_mev"], columns["cm2_per_g"]
        kept = away_from_edges(media[name], energy)
        off = 100.0 * (attenuation(build_tables([media[name]], Physics()), energy) / published - 1.0)
        worst = np.flatnonzero(kept)[np.argmax(np.abs(off[kept]))]
        checks.append(Check(f"{name}, worst at {energy[worst]:.4g} MeV", float(off[worst]), limit))
        curves[name] = {"mu/rho": (energy[kept], off[kept])}
        left_out[name] = energy[~kept]
    return Verdict(
        case.name,
        tuple(checks),
        Physics(),
        0.0,
        time.process_time() - started,
        {"left_out_mev": left_out},
        lambda path: figures.draw_deviations(
            path, case.title, curves, {"mu/rho": limit}, "photon energy [MeV]"
        ),
    )


def attenuation(tables: Tables, energy: np.ndarray) -> np.ndarray:
    """Mass attenuation of the first material at energies (n,) [cm2/g], as the kernels read it."""
    nodes = energy_nodes()
    interval = np.searchsorted(nodes, energy, side="right") - 1
    low, rise = tables.photon[0, interval, 0].T
    return low + rise * (energy - nodes[interval]) / np.diff(nodes)[interval]


def away_from_edges(material: Material, energy: np.ndarray) -> np.ndarray:
    """Which energies (n,) lie neither in an interval with an absorption edge nor between L2 and L1."""
    nodes = energy_nodes()
    interval = np.searchsorted(nodes, energy, side="right") - 1
    away = np.ones(len(energy), bool)
    for element in load_elements(z for z, _ in material.composition).values():
        edges = element.photoelectric[0][element.photoelectric_segments[1:]]
        away &= ~np.isin(interval, np.searchsorted(nodes, edges) - 1)
        if len(element.shell_binding) > 1:
            away &= (energy < element.shell_binding[2]) | (energy > element.shell_binding[1])
    return away

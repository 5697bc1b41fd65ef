"""Cases of kind `stopping`: stopping powers and CSDA ranges of the engine's tables against ESTAR's.

Judged is what an electron loses: the collision and the total stopping power, and the range. The radiative
part alone is drawn and listed (docs/validation.md: how far it departs, and why).
"""

from __future__ import annotations

import time

import numpy as np

from mc.config import Physics
from mc.tables import build_tables
from mc.tables.build import energy_nodes
from phantoms.materials import Material
from validation.engine import figures
from validation.engine.case import Case
from validation.engine.published import nist_materials, read_columns
from validation.engine.verdict import Check, Options, Verdict

CONTINUOUS = Physics(electron_cut=31.0, photon_cut=31.0)  # all losses continuous: nothing is restricted


def run(case: Case, options: Options) -> Verdict:
    """Compare every medium; the same in a quick run."""
    entry = (table := case.table()).table("limits")
    limits = {name: entry.number(name, above=0) for name in ("collision", "total", "range")}
    entry.finish()
    table.finish()
    started = time.process_time()
    media = nist_materials()
    checks, curves, radiative = [], {}, {}
    for medium, columns in read_columns(case.folder / "reference.csv").items():
        energy = columns["energy_mev"]
        ours = stopping(media[medium], energy)
        curves[medium] = {}
        for quantity in (*limits, "radiative"):
            off = 100.0 * (ours[quantity] / columns[quantity] - 1.0)
            curves[medium][quantity] = energy, off
            worst = np.argmax(np.abs(off))
            where = f"{medium}, {quantity}, worst at {energy[worst]:.4g} MeV"
            if quantity in limits:
                checks.append(Check(where, float(off[worst]), limits[quantity]))
            else:
                radiative[where] = float(off[worst])
    return Verdict(
        case.name,
        tuple(checks),
        CONTINUOUS,
        0.0,
        time.process_time() - started,
        {"not_judged": radiative},
        lambda path: figures.draw_deviations(path, case.title, curves, limits, "electron energy [MeV]"),
    )


def stopping(material: Material, energy: np.ndarray) -> dict[str, np.ndarray]:
    """Stopping powers [MeV cm2/g] and CSDA range [g/cm2] of electrons at energies (n,)."""
    nodes, tables = energy_nodes(), build_tables([material], CONTINUOUS)
    total, collision = (np.interp(energy, nodes, tables.stopping[0, 0, :, i]) for i in (0, 1))
    distance = np.exp(np.interp(np.log(energy), np.log(nodes), np.log(tables.range_k1[0, 0, :, 0])))
    return {"collision": collision, "radiative": total - collision, "total": total, "range": distance}

"""Cases of kind `reference`: a dose in a tank or slab against that of an independent code.

The source is a simple beam (dose in Gy cm2 per unit fluence at the surface), or a phase space of which the
reference used every particle, in its mirror images, equally often (Gy per original history): then the
file's latent noise is in both doses and cancels.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from mc.config import Physics
from phantoms.errors import InputError
from phantoms.grid import Grid
from validation.engine import figures
from validation.engine.case import Case, read_physics
from validation.engine.judge import judge, pair_doses
from validation.engine.phase_space import SharedFile, phase_space_dose
from validation.engine.stored import load_dose
from validation.engine.sums import Histories, Simulated, simulate_beam
from validation.engine.tank import read_beam, read_phantom
from validation.engine.verdict import Options, Verdict

REFERENCE = "reference.npz"


def run(case: Case, options: Options) -> Verdict:
    """Simulate the case and judge it."""
    table = case.table()
    physics = read_physics(table)
    phantom = read_phantom(table.table("phantom"))
    reference = load_reference(case.folder / REFERENCE, phantom.grid)
    shared = "phase_space" in table
    if shared:
        source = SharedFile.read(table.table("phase_space"), case.folder)
        table.finish()
        if not source.is_here:
            return Verdict(
                case.name, skipped=f"its phase space {source.path.name} is not beside the checkout"
            )
        simulated = phase_space_dose(options, case.name, phantom, source, physics)
    else:
        beam = read_beam(table.table("beam"))
        wanted = Histories.read(table.table("histories"))
        table.finish()
        simulated = simulate_beam(options, case.name, phantom, beam, physics, wanted)
    return compare(case, options, physics, phantom.grid, simulated, reference, shared)


def load_reference(path: Path, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """The stored dose of a case and its one sigma, (nz, ny, nx), on the grid of its phantom."""
    dose, sigma, own = load_dose(path)
    if not own.matches(grid):
        raise InputError(path, "has another grid than the phantom of case.toml")
    return dose, sigma


def compare(
    case: Case,
    options: Options,
    physics: Physics,
    grid: Grid,
    simulated: Simulated,
    reference: tuple[np.ndarray, np.ndarray],
    shared: bool = False,
) -> Verdict:
    """The verdict on our dose against a reference and its sigma; `shared`: see `pair_doses`' `rescale`."""
    pair = pair_doses(grid, simulated.dose, simulated.sigma, *reference, simulated.freedom, shared)
    found = judge(pair, options)
    return Verdict(
        case.name,
        (*found.checks, *simulated.checks),
        physics,
        simulated.histories,
        simulated.cpu_seconds,
        found.facts,
        partial(figures.draw_pair, title=case.title, found=found),
    )

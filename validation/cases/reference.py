"""Cases of kind `reference`: a dose in a tank or slab against that of an independent code.

The source is a simple beam (dose in Gy cm2 per unit fluence at the surface), or a phase space of which the
reference used every particle, in its mirror images, equally often (Gy per original history): then the
file's latent noise is in both doses and cancels.
"""

from __future__ import annotations

from functools import partial

from phantoms.errors import InputError
from validation.cases import figures
from validation.cases.case import Case, read_physics
from validation.cases.judge import judge, pair_doses
from validation.cases.phase_space import SharedFile, Simulated, phase_space_dose
from validation.cases.stored import load_dose
from validation.cases.sums import Histories, beam_sums
from validation.cases.tank import read_beam, read_phantom
from validation.cases.verdict import Options, Verdict

REFERENCE = "reference.npz"


def run(case: Case, options: Options) -> Verdict:
    """Simulate the case and judge it."""
    table = case.table()
    physics = read_physics(table)
    phantom = read_phantom(table.table("phantom"))
    reference, reference_sigma, grid = load_dose(case.folder / REFERENCE)
    if not grid.matches(phantom.grid):
        raise InputError(case.folder / REFERENCE, "has another grid than the phantom of case.toml")
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
        sums = beam_sums(options, case.name, phantom, beam, physics, wanted)
        area = (beam.x2 - beam.x1) * (beam.y2 - beam.y1)
        simulated = Simulated(
            area * sums.mean,
            area * sums.sigma,
            sums.freedom,
            sums.checks(),
            sums.histories * sums.batches,
            sums.cpu_seconds,
        )
    pair = pair_doses(
        phantom.grid, simulated.dose, simulated.sigma, reference, reference_sigma, simulated.freedom, shared
    )
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

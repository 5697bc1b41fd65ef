"""Cases of kind `fano`: electrons born evenly per gram give an even dose, whatever the density does.

Fano's theorem (U. Fano, Radiat. Res. 1 (1954) 237): in a medium of one composition and one density effect,
in which sources and cross sections go with the density, the fluence is the same everywhere, and each gram
gets what its sources emit. It holds exactly, so what is off is the transport's own artefact: of its steps,
its boundary crossings, its density jumps. Radiation losses are made continuous, for photons would carry
energy away.

The layers have no end in x and y, so that a source on the axis stands for one spread evenly. They are cut
into columns, of which the middle one holds the tracks: steps are kept short beside a density jump, and the
outer columns lie beside the air around the phantom. Judged are layers deeper below the outer faces than any
electron can go: its range without a hard collision.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from mc.backends import cpu
from mc.backends.tally import merge
from mc.compute.beam_dose import Account
from mc.config import Physics
from mc.geometry.voxels import build_voxels, without_margin
from mc.plan.delivery import fixed
from mc.tables import build_tables
from mc.tables.build import energy_nodes
from mc.transport.particle import ELECTRON
from mc.transport.scoring import QUANTUM
from phantoms.errors import InputError
from phantoms.phantom import Phantom
from phantoms.schema import Table
from validation.engine import figures
from validation.engine.case import Case, read_physics
from validation.engine.sums import Histories, Sums, accumulate, store_key
from validation.engine.tank import read_phantom
from validation.engine.verdict import Check, Options, Verdict

LIMITS = {"default steps": 0.2, "small steps": 0.1}  # [%]
WALL = 2  # layers beside a density jump that are judged on their own


def run(case: Case, options: Options) -> Verdict:
    """Compute the dose of every layer, in both modes, and compare with Fano's theorem."""
    table = case.table()
    energy = table.number("energy", above=0)
    physics = read_physics(table)
    phantom = read_phantom(table.table("phantom"))
    modes = {
        "default steps": (physics, Histories.read(table.table("histories"))),
        "small steps": _small_steps(table.table("small_steps"), physics),
    }
    table.finish()
    checks: list[Check] = []
    found: dict[str, Sums] = {}
    for mode, (steps, histories) in modes.items():
        source = FanoSource(phantom, energy, steps, options.threads)
        each = histories.batch
        key = store_key(phantom, steps, f"fano {energy} {each}")
        sums = accumulate(
            options, f"{case.name}-{mode.replace(' ', '-')}", key, histories.batches(options.quick), each,
            partial(source.run, each), source.account,
        )  # fmt: skip
        found[mode] = sums
        layers = phantom.grid.shape[0]
        for k, name in enumerate(source.groups, layers):
            checks.append(
                Check(
                    f"{mode}: {name}",
                    100.0 * (each * sums.mean[k] - 1.0),
                    options.limit(LIMITS[mode]),
                    100.0 * each * sums.sigma[k],
                )
            )
        checks += [replace(check, name=f"{mode}: {check.name}") for check in sums.checks()]
    return Verdict(
        case.name,
        tuple(checks),
        physics,
        sum(s.batches * s.histories for s in found.values()),
        sum(s.cpu_seconds for s in found.values()),
        {"small_steps": vars(modes["small steps"][0])},
        lambda path: _draw(path, case, phantom, source.judged, found, options),
    )


def _small_steps(entry: Table, physics: Physics) -> tuple[Physics, Histories]:
    histories = Histories.read(entry.table("histories"))
    return read_physics(entry, physics), histories


def _draw(
    path: Path, case: Case, phantom: Phantom, judged: np.ndarray, found: dict[str, Sums], options: Options
) -> None:
    layers = phantom.grid.shape[0]
    curves = {
        mode: (100.0 * (s.histories * s.mean[:layers] - 1.0), 100.0 * s.histories * s.sigma[:layers])
        for mode, s in found.items()
    }
    limits = {mode: options.limit(limit) for mode, limit in LIMITS.items()}
    figures.draw_fano(
        path, case.title, phantom.grid.edges(0), phantom.density[:, 0, 0], judged, curves, limits
    )


class FanoSource:
    """Electrons born evenly per gram in all layers, isotropic, and the dose they give.

    Attributes
    ----------
    judged : (layers,) bool
        Out of reach of the outer faces.
    groups : dict of str to (layers,) bool
        Layers whose mean is judged: the thin medium, the layers beside a jump, the others.
    account : Account
    """

    def __init__(self, phantom: Phantom, energy: float, physics: Physics, threads: int | None) -> None:
        cpu.set_threads(threads)
        self.account = Account()
        self._phantom, self._energy = phantom, energy
        self._tables = build_tables(phantom.materials, physics)
        self._geometry = build_voxels(phantom)
        self._cuts = cpu.cuts_of(replace(physics, photon_split=1))
        density = phantom.density[:, 0, 0].astype(float)
        self._mass = np.append(0.0, np.cumsum(density * phantom.grid.spacing[0]))  # [g/cm2]
        material = int(phantom.material[0, 0, 0])
        reach = np.interp(energy, energy_nodes(), self._tables.range_k1[material, 0, :, 0])
        self.judged = (self._mass[:-1] > reach) & (self._mass[-1] - self._mass[1:] > reach)
        if not self.judged.any():
            raise InputError("fano", f"all layers are within {reach:.3g} g/cm2 of an outer face")
        self.groups = dict(_groups(density, self.judged))

    def run(self, electrons: int, number: int) -> np.ndarray:
        """Batch `number`: dose over that expected, of each layer and of each group, (layers + groups,).

        Depths are stratified: one electron in each of as many equal parts of the mass.
        """
        random = np.random.default_rng([1, number])
        particles = np.zeros((electrons, 9), np.float32)
        particles[:, 0], particles[:, 1], particles[:, 8] = ELECTRON, self._energy, 1.0
        share = (random.permutation(electrons) + random.random(electrons)) / electrons
        particles[:, 4] = np.interp(share * self._mass[-1], self._mass, self._phantom.grid.edges(0))
        direction = random.normal(size=(electrons, 3))
        particles[:, 5:8] = direction / np.linalg.norm(direction, axis=1, keepdims=True)
        tally = cpu.empty_tally(self._geometry, self._tables, self._cuts)
        rows = cpu.empty_rows()
        use = cpu.PhaseSpaceUse(
            first_history=number * electrons,
            beam=0,
            replica=0,
            seed=1,
            target_z=0.0,
            mirror=np.ones(2),
            rotate=False,
            scale=1.0,
            min_weight=0.0,
        )
        cpu.run_phase_space(
            particles, np.arange(electrons + 1), use, fixed(np.eye(3), np.zeros(3)), *cpu.Collimation(),
            self._geometry, self._tables, self._cuts, tally, rows,
        )  # fmt: skip
        medium = merge(tally, self._geometry.density.size).medium
        self.account.add(medium, rows)
        deposit = without_margin(medium, self._phantom).sum(axis=(1, 2)) * QUANTUM  # [MeV]
        expected = electrons * self._energy * np.diff(self._mass) / self._mass[-1]
        groups = [deposit[layers].sum() / expected[layers].sum() for layers in self.groups.values()]
        return np.concatenate([deposit / expected, groups])


def _groups(density: np.ndarray, judged: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Names and layers (n,) bool of what is judged together."""
    thin = density < 0.5 * density.max()
    if not thin.any():
        yield "all layers", judged
        return
    jumps = np.flatnonzero(thin[1:] != thin[:-1])
    index = np.arange(len(density))
    # how many layers away the nearest jump is, 0 beside it
    near = np.min([np.where(index <= j, j - index, index - j - 1) for j in jumps], axis=0)
    yield "thin medium", judged & thin
    yield "thin medium, beside the jump", judged & thin & (near == 0)
    for k in range(WALL):
        yield f"wall, layer {k + 1}", judged & ~thin & (near == k)
    yield "wall, farther layers", judged & ~thin & (near >= WALL)

"""Cases of kind `head`: phase spaces of our own heads against those of another code with the same geometry.

Photons per electron on the target in the field, their energy and its mean; then the dose in water per
electron, and its curves. Both files are a finite number of electrons, and every sigma holds what these leave
to chance: of photons from history to history, of doses from group to group of them
(`mc.run.batch_statistics`), for the field and for every point of a curve by itself.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from mc.compute.calibration import water_tank_beam
from mc.compute.head import HeadOptions, simulate_head
from mc.config import Physics
from mc.machine.collimator_geometry import build_collimator, collimator_materials
from mc.machine.machine import ABOVE, BELOW, SHIPPED, Machine, PhaseSpaceFile, read_machine
from mc.run.batch import PlacedBeam, group_count
from mc.run.batch_statistics import REPEATS, BatchStatistics
from mc.run.options import RunOptions, StopRule
from mc.run.progress import Listener, Progress
from mc.run.simulate import simulate
from mc.tables import build_tables
from mc.transport.context import Cuts
from mc.transport.particle import PHOTON
from phantoms.phantom import Phantom
from validation.engine import figures
from validation.engine.case import Case, read_physics
from validation.engine.collimated import at_plane, collimated, read_rows
from validation.engine.curves import Curve, averaged_curves, deviation
from validation.engine.judge import STEEP, family_allowance
from validation.engine.tank import read_phantom
from validation.engine.verdict import Check, Options, Verdict

PER_ELECTRON_LIMIT, ENERGY_LIMIT, CURVE_LIMIT = 3.0, 1.0, 1.0  # [%, %, % of Dmax]
SPLITTING = 200  # with which the recorded figures were made
CUT = 0.05  # photons below are not counted: heads are simulated down to there [MeV]
EDGE = 0.5  # of the field, which is left out where photons and dose of the field are meant [cm]
MEAN_FROM = 1.5  # depth from which the dose of the field is averaged [cm]


def run(case: Case, options: Options) -> Verdict:
    """Simulate the head, and compare photons and doses."""
    table = case.table()
    machine = read_machine(SHIPPED / f"{table.text('machine')}.toml")
    given, plane = case.folder / table.text("given"), table.choice("plane", (ABOVE, BELOW))
    half, ssd = (table.number(key, above=0) for key in ("half_field", "ssd"))
    electrons, passes, given_passes = (
        int(table.numbers(key, 2, above=0)[options.quick]) for key in ("electrons", "passes", "given_passes")
    )
    phantom, physics = read_phantom(table.table("phantom")), read_physics(table)
    table.finish()
    if not given.with_name(f"{given.name}.IAEAheader").exists():
        return Verdict(case.name, skipped=f"its phase space {given.name} is not beside the checkout")
    started, field, stages = time.process_time(), (-half, half, -half, half), _Stages(options.on_progress)
    (quality,) = machine.energies
    with tempfile.TemporaryDirectory() as folder:
        made = simulate_head(
            replace(quality.head, core=None, splitting=SPLITTING), machine.sad_cm,
            Path(folder) / "head", electrons, HeadOptions(threads=options.threads), listener=stages.next(),
        )  # fmt: skip
        if made.report.interrupted:
            raise KeyboardInterrupt
        own, turned = made.phase_space.header_path, quality.head.symmetric
        files = (
            (PhaseSpaceFile(own, ABOVE, 0.0, field, rotate=turned), passes),
            (PhaseSpaceFile(given, plane, 0.0, field, mirror=(True, True)), given_passes),
        )
        photons = [_photons(file, machine, half, physics) for file, _ in files]
        doses = []
        for file, uses in files:
            beam = water_tank_beam(machine, replace(quality, phase_spaces=(file,)), field, ssd)
            # a round is two passes over the file
            histories = uses * REPEATS * beam.images * beam.phase_space.header.orig_histories
            run_options = RunOptions(physics, StopRule(None, histories), threads=options.threads)
            doses.append(_dose(phantom, beam, half, run_options, stages.next()))
    ours, reference = doses
    checks = (*photon_checks(*photons), *dose_checks(ours, reference))
    return Verdict(
        case.name,
        checks,
        physics,
        float(electrons),
        time.process_time() - started,
        {"head": made.report.to_dict(), "dmax_gy_per_electron": reference.dmax},
        partial(
            figures.draw_curves, title=case.title, curves=_pairs(ours, reference), dmax=reference.dmax,
            limit=CURVE_LIMIT, checks=checks,
        ),
    )  # fmt: skip


class _Stages:
    """Progress of the head and the two doses as that of one run."""

    def __init__(self, report: Callable[[Progress], None], stages: int = 3) -> None:
        self._report, self._stages, self._begun = report, stages, 0
        self._started = time.monotonic()

    def next(self) -> Listener:
        """Listener of the next stage."""
        self._begun += 1

        def show(inner: Progress) -> None:
            done = (self._begun - 1 + inner.share_done) / self._stages
            elapsed = time.monotonic() - self._started
            self._report(Progress(histories=inner.histories, share_done=done, elapsed=elapsed))

        return Listener(progress=show)


def _photons(
    file: PhaseSpaceFile, machine: Machine, half: float, physics: Physics
) -> tuple[np.ndarray, np.ndarray]:
    """Photons in the field and their energy [MeV], per electron on the target, and their covariance."""
    rows, starts, space = read_rows(file.file)
    history = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    if file.plane == ABOVE:
        materials = collimator_materials(machine.collimators)
        collimator, jaws = build_collimator(machine, materials), np.array([-half, half, -half, half])
        tables, cuts = build_tables(materials, physics), Cuts(physics.electron_cut, physics.photon_cut)
        rows, history = collimated(rows, starts, collimator, jaws, np.zeros(0), tables, cuts)
    x, y = at_plane(rows, machine.sad_cm)
    counted = (rows[:, 0] == PHOTON) & (rows[:, 1] > CUT) & (np.maximum(np.abs(x), np.abs(y)) < half - EDGE)
    weight = rows[:, 8] * counted
    sums = np.stack([np.bincount(history, values, len(starts)) for values in (weight, weight * rows[:, 1])])
    electrons = space.header.orig_histories
    mean = sums.sum(axis=1) / electrons
    return mean, (sums @ sums.T / electrons - np.outer(mean, mean)) / electrons


def photon_checks(ours: tuple[np.ndarray, np.ndarray], given: tuple[np.ndarray, np.ndarray]) -> list[Check]:
    """Number, energy and mean energy of the photons in the field."""
    checks = []
    for name, powers, limit in (
        ("photons per electron", (1.0, 0.0), PER_ELECTRON_LIMIT),
        ("energy of photons per electron", (0.0, 1.0), PER_ELECTRON_LIMIT),
        ("mean energy of photons", (-1.0, 1.0), ENERGY_LIMIT),
    ):
        power = np.array(powers)  # of number and energy in the figure: relative errors add up like these
        ratio = np.prod(ours[0] ** power) / np.prod(given[0] ** power)
        variance = sum(power @ (cov / np.outer(mean, mean)) @ power for mean, cov in (ours, given))
        checks.append(Check(name, 100.0 * (ratio - 1.0), limit, 100.0 * float(np.sqrt(variance))))
    return checks


@dataclass(frozen=True)
class TankDose:
    """Dose per electron on the target [Gy]: mean of the field with its sigma, and curves with theirs."""

    field: float
    field_sigma: float
    curves: list[Curve]

    @property
    def dmax(self) -> float:
        """Largest dose on the axis, averaged over three points [Gy]."""
        return float(np.convolve(self.curves[0].dose, np.full(3, 1.0 / 3.0), "valid").max())


def _dose(
    phantom: Phantom,
    beam: PlacedBeam,
    half: float,
    options: RunOptions,
    listener: Listener,
) -> TankDose:
    """Dose of a beam of half width `half` [cm] in a tank."""
    grid, none = phantom.grid, np.zeros(phantom.grid.shape)
    z, y, x = (grid.centres(axis) for axis in range(3))
    inner = [np.abs(c) < half - EDGE for c in (y, x)]
    field = np.ix_(z > MEAN_FROM, *inner)
    groups = group_count([beam])
    stats: list[BatchStatistics] = []

    def values(dose: np.ndarray) -> list[np.ndarray]:
        curves = averaged_curves(dose, none, grid)
        return [np.array([dose[field].mean()]), *(curve.dose for curve in curves)]

    def keep(batch: np.ndarray) -> bool:
        found = values(batch)
        if not stats:
            stats.extend(BatchStatistics(len(part), groups) for part in found)
        for spread, part in zip(stats, found, strict=True):
            spread.add(part)
        return False

    done = simulate(phantom, [replace(beam, weight=1.0)], options, on_batch=keep, listener=listener)
    if done.report.interrupted:
        raise KeyboardInterrupt
    sigmas = [np.sqrt(sum(np.maximum(part, 0.0) for part in spread.variances())) for spread in stats]
    lines = averaged_curves(none, none, grid)
    curves = [
        Curve(line.name, line.position, spread.mean(), sigma)
        for line, spread, sigma in zip(lines, stats[1:], sigmas[1:], strict=True)
    ]
    return TankDose(float(stats[0].mean()[0]), float(sigmas[0][0]), curves)


def _pairs(ours: TankDose, reference: TankDose) -> list[tuple[Curve, Curve]]:
    """Curves of both, ours scaled to the same dose of the field."""
    scale = reference.field / ours.field
    return [
        (Curve(mine.name, mine.position, scale * mine.dose, scale * mine.sigma), other)
        for mine, other in zip(ours.curves, reference.curves, strict=True)
    ]


def dose_checks(ours: TankDose, reference: TankDose) -> list[Check]:
    """Dose of the field per electron; then the curves, scaled to it: the worst point."""
    sigma = float(np.hypot(ours.field_sigma / ours.field, reference.field_sigma / reference.field))
    off = 100.0 * (ours.field / reference.field - 1.0)
    checks = [Check("dose per electron", off, PER_ELECTRON_LIMIT, 100.0 * sigma)]
    for name, pairs in (("depth dose", slice(0, 1)), ("profiles", slice(1, None))):
        offs, sigmas = [], []
        for mine, other in _pairs(ours, reference)[pairs]:
            offs.append(100.0 * deviation(mine, other, reference.dmax, STEEP))
            sigmas.append(100.0 * np.hypot(mine.sigma, other.sigma) / reference.dmax)
        value, error = np.concatenate(offs), np.concatenate(sigmas)
        worst = int(np.argmax((np.abs(value) - CURVE_LIMIT) / np.maximum(error, 1e-6)))
        checks.append(
            Check(
                f"{name}, worst point", float(value[worst]), CURVE_LIMIT, float(error[worst]), "%",
                family_allowance(len(value)),
            )
        )  # fmt: skip
    return checks

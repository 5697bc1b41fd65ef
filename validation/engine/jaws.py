"""Cases of kind `jaws`: a phase space sent through jaws against the one scored below them in the same run.

Particles of one simulation of another code, above and below its jaws. Ours are sent through our jaws and
sorted, like the given ones, by where they meet the isocentre plane. As both come of the same histories, most
photons are the same ones; the sigma of a difference is that of the differences history by history. Photons
that meet the plane beyond the splitting radius lack in the given file, and are left out of ours. The dose of
both in water is compared as the doses of two codes are.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from mc.machine.collimator_geometry import build_collimator, collimator_materials
from mc.machine.machine import SHIPPED, read_machine
from mc.tables import build_tables
from mc.transport.context import Cuts
from mc.transport.particle import PHOTON
from validation.engine import figures
from validation.engine.case import Case, read_physics
from validation.engine.collimated import at_plane, collimated, read_rows, tank_dose
from validation.engine.judge import family_allowance, judge, pair_doses
from validation.engine.tank import read_phantom
from validation.engine.verdict import Check, Options, Verdict

FIELD_LIMIT, LEAKAGE_LIMIT, EDGE_LIMIT = 1.0, 20.0, 0.05  # [%, %, cm]
EDGE = 0.5  # the field's edge of this width is penumbra, in and out [cm]
LEAKAGE_RADIUS = 8.0  # in the isocentre plane [cm]
BIN = 0.5  # of the profiles in the field [cm]


@dataclass(frozen=True)
class Crossings:
    """Photons in the isocentre plane: history, place [cm], weight and energy [MeV] of each, (n,)."""

    history: np.ndarray
    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    energy: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray, history: np.ndarray, sad: float) -> Crossings:
        """Photons among rows (n, 9) of particles."""
        photon = rows[:, 0] == PHOTON
        rows = rows[photon]
        return cls(history[photon], *at_plane(rows, sad), rows[:, 8], rows[:, 1])

    def sums(self, where: np.ndarray, power: int, histories: int) -> np.ndarray:
        """Fluence (power 0) or energy fluence (1) of each history in a region, (histories,)."""
        return np.bincount(
            self.history[where], self.weight[where] * self.energy[where] ** power, minlength=histories
        )


def run(case: Case, options: Options) -> Verdict:
    """Send the particles through, and compare fluences and doses."""
    table = case.table()
    machine = read_machine(SHIPPED / f"{table.text('machine')}.toml")
    above, below = (case.folder / table.text(key) for key in ("above", "below"))
    half, ssd = table.number("half_field", above=0), table.number("ssd", above=0)
    radius = table.number("splitting_radius", above=0)
    passes = [int(table.number(key, above=0)) for key in ("full_passes", "quick_passes")][options.quick]
    phantom, physics = read_phantom(table.table("phantom")), read_physics(table)
    table.finish()
    if not all(path.with_name(f"{path.name}.IAEAheader").exists() for path in (above, below)):
        return Verdict(case.name, skipped=f"its phase space {above.name} is not beside the checkout")
    started = time.process_time()
    materials = collimator_materials(machine.collimators)
    tables, collimator = build_tables(materials, physics), build_collimator(machine, materials)
    field = np.array([-half, half, -half, half])
    sent, starts, space = read_rows(above)
    ours, history = collimated(
        sent, starts, collimator, field, np.zeros(0), tables, Cuts(physics.electron_cut, physics.photon_cut)
    )
    given, given_starts, _ = read_rows(below)
    streams = [(ours, history), (given, same_histories(sent, starts, given, given_starts))]
    near = [np.hypot(*at_plane(rows, machine.sad_cm)) < radius for rows, _ in streams]
    streams = [(rows[kept], of[kept]) for (rows, of), kept in zip(streams, near, strict=True)]
    checks = fluence_checks(*(Crossings.of(*photons, machine.sad_cm) for photons in streams), half)
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        for rows, of in streams:
            runs.append(
                tank_dose(
                    phantom, rows, of, space.header.orig_histories, ssd, physics, Path(folder),
                    passes=passes, threads=options.threads,
                )
            )  # fmt: skip
    doses = [part for found in runs for part in (found.dose.mean, found.dose.sigma)]
    pair = pair_doses(phantom.grid, *doses)
    found = judge(pair, replace(options, quick=True))  # the limits asked for here are those of a quick run
    return Verdict(
        case.name,
        (*checks, *found.checks),
        physics,
        2.0 * passes * space.header.orig_histories,
        time.process_time() - started,
        found.facts,
        partial(figures.draw_pair, title=case.title, found=found),
    )


def same_histories(
    sent: np.ndarray, starts: np.ndarray, given: np.ndarray, given_starts: np.ndarray
) -> np.ndarray:
    """History above the jaws of every particle (n,) below them; a number of its own where none is found.

    Histories that left nothing below are not counted there. But a photon that passed an opening has kept its
    energy and direction, to the last bit, and with it the history it belongs to.
    """

    def key(rows: np.ndarray) -> np.ndarray:
        bits = np.ascontiguousarray(rows[:, [1, 5]], np.float32).view(np.uint32).astype(np.uint64)
        return bits[:, 0] << np.uint64(32) | bits[:, 1]

    keys = key(sent)
    order = np.argsort(keys)
    wanted = key(given)
    place = order[np.minimum(np.searchsorted(keys, wanted, sorter=order), len(order) - 1)]
    known = keys[place] == wanted
    above = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    of = np.repeat(np.arange(len(given_starts) - 1), np.diff(given_starts))
    found = len(starts) - 1 + np.arange(len(given_starts) - 1)
    found[of[known]] = above[place[known]]
    return found[of]


def fluence_checks(ours: Crossings, given: Crossings, half: float) -> list[Check]:
    """Ours against the given photons: field, its profiles, edges and leakage."""
    histories = int(max(ours.history.max(), given.history.max())) + 1

    def differ(region, power: int) -> tuple[float, float, float]:
        """Ours less given, its sigma, and the given, of the photons for which `region` holds."""
        first, second = (photons.sums(region(photons), power, histories) for photons in (ours, given))
        return (
            float((first - second).sum()),
            float(np.sqrt(((first - second) ** 2).sum())),
            float(second.sum()),
        )

    def off_axis(photons: Crossings) -> np.ndarray:
        return np.maximum(np.abs(photons.x), np.abs(photons.y))

    def inside(photons: Crossings) -> np.ndarray:
        return off_axis(photons) < half - EDGE

    def leaks(photons: Crossings) -> np.ndarray:
        return (off_axis(photons) > half + EDGE) & (np.hypot(photons.x, photons.y) < LEAKAGE_RADIUS)

    checks, means = [], []
    for region, name, limit in ((inside, "field", FIELD_LIMIT), (leaks, "leakage", LEAKAGE_LIMIT)):
        for power, quantity in ((0, "fluence"), (1, "energy fluence")):
            off, sigma, total = differ(region, power)
            checks.append(Check(f"{quantity}, {name}", 100 * off / total, limit, 100 * sigma / total))
            means.append(1.0 + off / total)
    off = 100.0 * (means[1] / means[0] - 1.0)
    checks.append(Check("mean energy, field", off, FIELD_LIMIT, checks[1].sigma))
    for axis in "xy":
        edges = np.arange(-half + EDGE, half - EDGE + 1e-9, BIN)
        found = []
        for low in edges[:-1]:

            def strip(photons: Crossings, low: float = low, axis: str = axis) -> np.ndarray:
                place = getattr(photons, axis)
                return inside(photons) & (place >= low) & (place < low + BIN)

            off, sigma, total = differ(strip, 1)
            found.append((100 * off / total, max(100 * sigma / total, 1e-3)))
        off, sigma = max(found, key=lambda pair: (abs(pair[0]) - FIELD_LIMIT) / pair[1])
        allowance = family_allowance(len(found))
        checks.append(Check(f"profile along {axis}, worst bin", off, FIELD_LIMIT, sigma, "%", allowance))
        for sign, side in ((-1.0, "lower"), (1.0, "upper")):

            def edge_strip(photons: Crossings, sign: float = sign, axis: str = axis) -> np.ndarray:
                along, across = (photons.x, photons.y) if axis == "x" else (photons.y, photons.x)
                return (np.abs(sign * along - half) < EDGE) & (np.abs(across) < half - EDGE)

            off, sigma, total = differ(edge_strip, 1)
            # half of the edge is open: a shift by d changes it by d / EDGE
            shift, error = EDGE * off / total, EDGE * sigma / total
            checks.append(Check(f"edge, {side} {axis}", 10 * shift, 10 * EDGE_LIMIT, 10 * error, "mm"))
    return checks

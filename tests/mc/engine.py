"""Runs of the compiled kernels for tests: sources as arrays, cut-offs at will, one tally back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mc.backends import cpu
from mc.backends.tally import Tallies, adder, merge
from mc.backends.workspace import new_stack, new_tracks
from mc.geometry import voxels
from mc.geometry.voxels import build_voxels, without_margin
from mc.numerics.jit import njit
from mc.plan.delivery import Delivery, fixed
from mc.source.beams import Beam
from mc.tables import Tables
from mc.transport.context import Context, Cuts
from mc.transport.scoring import (
    EMITTED,
    ESCAPED,
    LOST,
    N_COUNTERS,
    OVERFLOWS,
    QUANTUM,
    ROULETTE,
    Tally,
)
from mc.transport.shower import make_shower
from phantoms.phantom import Phantom

ANALOGUE = {"photon_split": 1, "track_repeat": 1, "range_rejection": 0.0}
IDENTITY, ZERO, NOTHING = np.eye(3), np.zeros(3), cpu.Collimation()


class Result(NamedTuple):
    """Energies in MeV: `voxels` (nz, ny, nx), `air_margin` of the air around them; raw counters and tally.

    `water` is `voxels` to water, None if it was not asked for.
    """

    voxels: np.ndarray
    air_margin: float
    counters: np.ndarray
    tally: np.ndarray
    water: np.ndarray | None = None

    def energy(self, counter: int) -> float:
        return float(self.counters[counter]) * QUANTUM

    @property
    def imbalance(self) -> float:
        """Emitted less what was deposited, escaped or lost to roulette, in parts of the emitted."""
        spent = int(self.tally.sum()) + int(self.counters[ESCAPED]) + int(self.counters[ROULETTE])
        return (int(self.counters[EMITTED]) - spent) / int(self.counters[EMITTED])


def use_of(
    *,
    first: int = 0,
    replica: int = 0,
    seed: int = 1,
    mirror: tuple[float, float] = (1.0, 1.0),
    rotate: bool = False,
    min_weight: float = 0.0,
) -> cpu.PhaseSpaceUse:
    """How a phase space with the target at its origin is used."""
    return cpu.PhaseSpaceUse(first, 0, replica, seed, 0.0, np.array(mirror), rotate, 1.0, min_weight)


_shower = make_shower(voxels)


@njit(_nrt=True)
def run_rows(rows, geo, tables, cuts, tallies, counters, rng):
    """Transport what lies in rows (n, STACK_COLUMNS) of a stack, the last row first."""
    tally = Tally(tallies.medium, tallies.water, tallies.cut_ratio, adder())
    stack = new_stack(1000)
    stack.rows[: rows.shape[0]] = rows
    stack.depth[0] = rows.shape[0]
    _shower(Context(geo, tables, cuts, tally, stack, new_tracks(), counters), rng)


def _result(phantom: Phantom, tally: Tallies, rows: np.ndarray) -> Result:
    tally = merge(tally, math.prod(n + 2 for n in phantom.grid.shape))
    counters = rows.sum(axis=0)
    assert counters[LOST] == 0 and counters[OVERFLOWS] == 0
    voxels = without_margin(tally.medium, phantom) * QUANTUM
    water = without_margin(tally.water, phantom) * QUANTUM if tally.water.size else None
    air_margin = float(tally.medium.sum()) * QUANTUM - voxels.sum()
    return Result(voxels, air_margin, counters, tally.medium, water)


def run_particles(
    phantom: Phantom,
    tables: Tables,
    cuts: Cuts,
    particles: np.ndarray,
    *,
    rotation: np.ndarray = IDENTITY,
    origin: np.ndarray = ZERO,
    delivery: Delivery | None = None,
    mirror: tuple[float, float] = (1.0, 1.0),
    rotate: bool = False,
    collimation: cpu.Collimation = NOTHING,
    least: float = 0.0,
    seed: int = 1,
    replica: int = 0,
    first: int = 0,
    starts: Sequence[int] | None = None,
    workers: int | None = None,
    air_margin: float = 0.0,
    water: bool = False,
) -> Result:
    """Transport particles (n, 9): kind, energy, x, y, z, u, v, w, weight.

    Each is a history, unless `starts` says where histories begin, and where the last one ends. Aimed by
    `rotation` and `origin`, or by a `delivery`; `collimation` are the collimators in their path.
    """
    geometry = build_voxels(phantom, air_margin)
    tally = cpu.empty_tally(geometry, tables, cuts, water)
    rows = np.zeros((workers, N_COUNTERS), np.int64) if workers else cpu.empty_rows()
    cpu.run_phase_space(
        particles.astype(np.float32),
        np.array(starts or range(len(particles) + 1)),
        use_of(first=first, replica=replica, seed=seed, mirror=mirror, rotate=rotate, min_weight=least),
        delivery or fixed(rotation, origin),
        *collimation,
        geometry,
        tables,
        cuts,
        tally,
        rows,
    )
    return _result(phantom, tally, rows)


def run_beam(
    phantom: Phantom,
    tables: Tables,
    cuts: Cuts,
    beam: Beam,
    histories: int,
    *,
    seed: int = 1,
    replica: int = 0,
    air_margin: float = 0.0,
) -> Result:
    """Transport particles of a simple beam."""
    geometry = build_voxels(phantom, air_margin)
    tally = cpu.empty_tally(geometry, tables, cuts)
    rows = cpu.empty_rows()
    cpu.run_beam(beam, histories, 0, replica, seed, geometry, tables, cuts, tally, rows)
    return _result(phantom, tally, rows)


def pencil(kind: int, energy: float, position: tuple, direction: tuple, n: int) -> np.ndarray:
    """`n` equal particles, (n, 9)."""
    direction = np.array(direction, float) / np.linalg.norm(direction)
    return np.tile(np.array([kind, energy, *position, *direction, 1.0]), (n, 1))

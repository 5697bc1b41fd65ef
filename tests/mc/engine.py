"""Runs of the compiled kernels for tests: sources as arrays, cut-offs at will, one tally back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mc.backends import cpu
from mc.geometry.voxels import build_voxels, without_rim
from mc.plan.delivery import Delivery, fixed
from mc.source.beams import Beam
from mc.tables import Tables
from mc.transport.history import Cuts
from mc.transport.scoring import (
    EMITTED,
    ESCAPED,
    LOST,
    N_COUNTERS,
    OVERFLOWS,
    QUANTUM,
    ROULETTE,
    Tally,
    merge,
)
from phantoms.phantom import Phantom

ANALOGUE = {"split": 1, "repeat": 1, "save": 0.0}
IDENTITY, ZERO, NOTHING = np.eye(3), np.zeros(3), cpu.Between()


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


def _result(phantom: Phantom, tally: Tally, rows: np.ndarray) -> Result:
    tally = merge(tally, math.prod(n + 2 for n in phantom.grid.shape))
    counters = rows.sum(axis=0)
    assert counters[LOST] == 0 and counters[OVERFLOWS] == 0
    voxels = without_rim(tally.medium, phantom) * QUANTUM
    water = without_rim(tally.water, phantom) * QUANTUM if tally.water.size else None
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
    between: cpu.Between = NOTHING,
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
    `rotation` and `origin`, or by a `delivery`; `between` are the collimators in their path.
    """
    geometry = build_voxels(phantom, air_margin)
    tally = cpu.empty_tally(geometry, tables, cuts, water)
    rows = np.zeros((workers, N_COUNTERS), np.int64) if workers else cpu.empty_rows()
    cpu.run_phase_space(
        particles.astype(np.float32), np.array(starts or range(len(particles) + 1)), first,
        delivery or fixed(rotation, origin), 0.0, np.array(mirror), rotate, *between, 1.0, least,
        0, replica, seed, geometry, tables, cuts, tally, rows,
    )  # fmt: skip
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
    water: bool = False,
) -> Result:
    """Transport particles of a simple beam."""
    geometry = build_voxels(phantom, air_margin)
    tally = cpu.empty_tally(geometry, tables, cuts, water)
    rows = cpu.empty_rows()
    cpu.run_beam(beam, histories, 0, replica, seed, geometry, tables, cuts, tally, rows)
    return _result(phantom, tally, rows)


def pencil(kind: int, energy: float, position: tuple, direction: tuple, n: int) -> np.ndarray:
    """`n` equal particles, (n, 9)."""
    direction = np.array(direction, float) / np.linalg.norm(direction)
    return np.tile(np.array([kind, energy, *position, *direction, 1.0]), (n, 1))

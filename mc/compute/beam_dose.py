"""Dose of a simple beam (`mc.source.beams`) in a phantom: for water tanks, benchmarks and validation."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mc.backends import cpu
from mc.backends.tally import merge
from mc.config import Physics
from mc.dose import Dose
from mc.geometry.voxels import build_voxels, without_margin
from mc.numerics.constants import MEV_PER_G_TO_GY
from mc.provenance import provenance
from mc.source.beams import Beam
from mc.tables import build_tables, tables_hash
from mc.transport.scoring import EMITTED, ESCAPED, LOST, OVERFLOWS, QUANTUM, ROULETTE
from phantoms.errors import InputError
from phantoms.phantom import Phantom

BATCHES = 64


@dataclass
class Account:
    """Energy of a run, and what went wrong in it.

    Parameters
    ----------
    emitted, missing : float
        Energy that entered the grid, and what deposits, escapes and roulette lack of it [MeV].
    lost, overflows : int
        Particles given up: not finite, or no room on the stack.
    """

    emitted: float = 0.0
    missing: float = 0.0
    lost: int = 0
    overflows: int = 0

    def add(self, tally: np.ndarray, rows: np.ndarray) -> None:
        """Enter a batch: its tally (cells,) [quanta] and its counters (threads, N_COUNTERS)."""
        counts = [int(count) for count in rows.sum(axis=0)]
        spent = int(tally.sum()) + counts[ESCAPED] + counts[ROULETTE]
        self.emitted += counts[EMITTED] * QUANTUM
        self.missing += (counts[EMITTED] - spent) * QUANTUM
        self.lost += counts[LOST]
        self.overflows += counts[OVERFLOWS]

    @property
    def balance(self) -> float:
        """Deposited, escaped and lost to roulette over emitted energy: 1 but for rounding."""
        return 1.0 - self.missing / max(self.emitted, QUANTUM)


class BeamTransport:
    """A beam and a phantom made ready for transport, and the `account` of its energy so far.

    Parameters
    ----------
    phantom : Phantom
    beam : Beam
    physics : Physics
    seed : int
        Names the random streams, with the number of each history.
    threads : int, optional
        All processors if not given.
    """

    def __init__(
        self, phantom: Phantom, beam: Beam, physics: Physics, *, seed: int = 1, threads: int | None = None
    ) -> None:
        cpu.set_threads(threads)
        self.phantom, self.beam, self.seed = phantom, beam, seed
        self.account = Account()
        self._tables = build_tables(phantom.materials, physics)
        # air around the grid as far as the source plane, which lies on the surface in most cases
        self._geometry = build_voxels(phantom, max(0.0, phantom.grid.lower[0] - beam.surface))
        self._cuts = cpu.cuts_of(physics)
        mass = phantom.density.astype(float) * phantom.grid.voxel_volume
        self._gray = QUANTUM * MEV_PER_G_TO_GY / mass

    def run(self, first: int, histories: int) -> np.ndarray:
        """Sum of the dose of histories number `first` to `first + histories` (nz, ny, nx) [Gy]."""
        tally = cpu.empty_tally(self._geometry, self._tables, self._cuts)
        rows = cpu.empty_rows()
        cpu.run_beam(
            self.beam, histories, first, 0, self.seed, self._geometry, self._tables, self._cuts, tally, rows
        )
        medium = merge(tally, self._geometry.density.size).medium
        self.account.add(medium, rows)
        return without_margin(medium, self.phantom) * self._gray


def beam_dose(
    phantom: Phantom,
    beam: Beam,
    physics: Physics,
    histories: int,
    *,
    batches: int = BATCHES,
    seed: int = 1,
    threads: int | None = None,
    on_batch: Callable[[int], None] = lambda _: None,
) -> Dose:
    """Dose per particle of a simple beam [Gy], with its sigma from the spread of batches.

    Parameters
    ----------
    phantom : Phantom
    beam : Beam
    physics : Physics
    histories : int
        Rounded up to a multiple of `batches`.
    batches : int
        At least 2; the relative uncertainty of a sigma is (2 (batches - 1))^(-1/2).
    seed : int
    threads : int, optional
        All processors if not given; the dose does not depend on it.
    on_batch : callable
        Called after every batch with the number of those done.

    Returns
    -------
    Dose
        Its latent sigma is 0: every particle is a history of its own.
    """
    if batches < 2 or histories < batches:
        raise InputError(
            "beam", f"{histories} histories in {batches} batches", "two batches or more, none empty"
        )
    each = math.ceil(histories / batches)
    started = time.process_time()
    transport = BeamTransport(phantom, beam, physics, seed=seed, threads=threads)
    total, square = np.zeros(phantom.grid.shape), np.zeros(phantom.grid.shape)
    for k in range(batches):
        dose = transport.run(k * each, each)
        total += dose
        square += dose * dose
        on_batch(k + 1)
    n = batches * each
    spread = np.maximum(0.0, square - total * total / batches) * batches / (batches - 1)
    made = {
        "histories": n,
        "batches": batches,
        "seed": seed,
        "energy_balance": transport.account.balance,
        "lost_particles": transport.account.lost,
        "stack_overflows": transport.account.overflows,
        "cpu_seconds": time.process_time() - started,
        "tables_sha256": tables_hash(phantom.materials, physics),
        **provenance(),
    }
    return Dose(phantom.grid, total / n, np.sqrt(spread) / n, 0.0, made)

"""Dose of a simple beam (`mc.source.beams`) in a phantom, for water tanks, benchmarks and validation."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from mc.backends import cpu
from mc.backends.tally import merge
from mc.dose import Dose
from mc.geometry.voxels import build_voxels, without_margin
from mc.numerics.constants import MEV_PER_G_TO_GY
from mc.provenance import provenance
from mc.run.options import RunOptions
from mc.run.progress import Listener, Progress
from mc.source.beams import Beam
from mc.tables import build_tables, tables_hash
from mc.transport.scoring import EMITTED, ESCAPED, LOST, OVERFLOWS, QUANTUM, ROULETTE
from phantoms.errors import InputError
from phantoms.phantom import Phantom

BATCHES = 64


@dataclass
class Account:
    """Energy balance of a run, and the particles that were terminated by a fault.

    Parameters
    ----------
    emitted, missing : float
        Energy that entered the grid, and its excess over deposited and escaped energy and the balance of
        Russian roulette [MeV].
    lost, overflows : int
        Particles terminated because they were not finite, or because the stack was full.
    """

    emitted: float = 0.0
    missing: float = 0.0
    lost: int = 0
    overflows: int = 0

    def add(self, tally: np.ndarray, rows: np.ndarray) -> None:
        """Add a batch: its tally (cells,) [quanta] and its counters (threads, N_COUNTERS)."""
        counts = [int(count) for count in rows.sum(axis=0)]
        spent = int(tally.sum()) + counts[ESCAPED] + counts[ROULETTE]
        self.emitted += counts[EMITTED] * QUANTUM
        self.missing += (counts[EMITTED] - spent) * QUANTUM
        self.lost += counts[LOST]
        self.overflows += counts[OVERFLOWS]

    @property
    def balance(self) -> float:
        """Deposited, escaped and lost to roulette over emitted energy: 1 except for rounding."""
        return 1.0 - self.missing / max(self.emitted, QUANTUM)


class BeamTransport:
    """A beam and a phantom prepared for transport, and the `account` of its energy so far.

    Parameters
    ----------
    phantom : Phantom
    beam : Beam
    options : RunOptions
        Its physics, seed and threads; how many histories are transported is up to the caller.
    """

    def __init__(self, phantom: Phantom, beam: Beam, options: RunOptions = RunOptions()) -> None:
        cpu.set_threads(options.threads)
        self.phantom, self.beam, self.seed = phantom, beam, options.seed
        self.account = Account()
        self._tables = build_tables(phantom.materials, options.physics)
        # an air margin up to the source plane, which lies on the surface in most cases
        self._geometry = build_voxels(phantom, max(0.0, phantom.grid.lower[0] - beam.surface))
        self._cuts = cpu.cuts_of(options.physics)
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
    histories: int,
    options: RunOptions = RunOptions(),
    *,
    batches: int = BATCHES,
    listener: Listener = Listener(),
) -> Dose:
    """Dose per particle of a simple beam [Gy], with its sigma from the variance between batches.

    Parameters
    ----------
    phantom : Phantom
    beam : Beam
    histories : int
        Rounded up to a multiple of `batches`.
    options : RunOptions
        Its physics, seed and threads; `histories` takes the place of its stop rule.
    batches : int
        At least 2; the relative uncertainty of a sigma is (2 (batches - 1))^(-1/2).
    listener : Listener

    Returns
    -------
    Dose
        Its latent sigma is 0, since every particle is an independent history.

    Raises
    ------
    InputError
        If there are fewer than two batches, or fewer histories than batches.
    """
    if batches < 2 or histories < batches:
        raise InputError(
            "beam", f"{histories} histories in {batches} batches", "two batches or more, none empty"
        )
    each = math.ceil(histories / batches)
    started, cpu_started = time.monotonic(), time.process_time()
    transport = BeamTransport(phantom, beam, options)
    total, square, progress = np.zeros(phantom.grid.shape), np.zeros(phantom.grid.shape), Progress()
    for k in range(batches):
        dose = transport.run(k * each, each)
        total += dose
        square += dose * dose
        progress.batches, progress.histories = k + 1, (k + 1) * each
        progress.share_done, progress.elapsed = (k + 1) / batches, time.monotonic() - started
        listener.progress(progress)
    n = batches * each
    variance = np.maximum(0.0, square - total * total / batches) * batches / (batches - 1)
    made = {
        "histories": n,
        "batches": batches,
        "seed": options.seed,
        "energy_balance": transport.account.balance,
        "lost_particles": transport.account.lost,
        "stack_overflows": transport.account.overflows,
        "cpu_seconds": time.process_time() - cpu_started,
        "tables_sha256": tables_hash(phantom.materials, options.physics),
        **provenance(),
    }
    return Dose(phantom.grid, total / n, np.sqrt(variance) / n, 0.0, made)

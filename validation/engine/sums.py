"""Runs in batches that can be interrupted: their sums are kept in a file, from which the next run resumes."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np

from mc.compute.beam_dose import Account, BeamTransport
from mc.config import Physics
from mc.run.interrupt import Interrupt
from mc.run.options import RunOptions
from mc.run.progress import Progress
from mc.source.beams import Beam
from mc.tables import tables_hash
from phantoms.files import replacing
from phantoms.kernel_cache import source_hash
from phantoms.phantom import Phantom
from phantoms.schema import Table
from validation.engine.verdict import Check, Options

SAVE_EVERY = 60.0  # [s]


@dataclass(frozen=True)
class Histories:
    """How many histories a case runs: `[histories]` of its file.

    Parameters
    ----------
    batch, quick, full : int
        In a batch, in a quick and in a full run.
    """

    batch: int
    quick: int
    full: int

    @classmethod
    def read(cls, entry: Table) -> Histories:
        """Read the entry [histories]."""
        found = cls(*(int(entry.number(key, above=0)) for key in ("batch", "quick", "full")))
        entry.finish()
        return found

    def batches(self, quick: bool) -> int:
        """Number of batches, at least two."""
        return max(2, math.ceil((self.quick if quick else self.full) / self.batch))


@dataclass
class Sums:
    """Sums over batches of one quantity in many places.

    Parameters
    ----------
    histories : int
        Of each batch.
    batches : int
    total, square : array
        Sum over batches, and sum of squares.
    account : Account
    cpu_seconds, wall_seconds : float
    """

    histories: int
    batches: int
    total: np.ndarray
    square: np.ndarray
    account: Account = field(default_factory=Account)
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0

    @property
    def mean(self) -> np.ndarray:
        """Mean per history."""
        return self.total / (self.batches * self.histories)

    @property
    def sigma(self) -> np.ndarray:
        """One sigma of the mean, from the spread of the batches."""
        spread = np.maximum(0.0, self.square - self.total**2 / self.batches) * self.batches
        return np.sqrt(spread / (self.batches - 1)) / (self.batches * self.histories)

    @property
    def freedom(self) -> int:
        """Degrees of freedom of sigma squared."""
        return self.batches - 1

    def checks(self) -> tuple[Check, Check]:
        """Energy balance and lost particles."""
        return account_checks(self.account.balance, self.account.lost + self.account.overflows)


def account_checks(balance: float, lost: int) -> tuple[Check, Check]:
    """Whether a run kept its energy to 1e-6 and lost no particle."""
    return Check("energy balance", balance - 1.0, 1e-6, unit=""), Check("lost particles", lost, 0.0, unit="")


class Simulated(NamedTuple):
    """A dose (nz, ny, nx), its transport sigma with its degrees of freedom, and what came of the run."""

    dose: np.ndarray
    sigma: np.ndarray
    freedom: float
    checks: tuple[Check, Check]
    histories: float
    cpu_seconds: float


class Store:
    """A file of arrays and numbers, replaced whole.

    Parameters
    ----------
    options : Options
    name : str
        Of the case and the run.
    key : str
        Names everything the sums depend on; sums of another key are not taken.
    """

    def __init__(self, options: Options, name: str, key: str) -> None:
        self._folder, self._name = options.out / "sums", name
        self.path = self._folder / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"
        self._saved = time.monotonic()

    def load(self) -> dict[str, Any] | None:
        """What was saved last; None if there is nothing, or it cannot be read."""
        try:
            with np.load(self.path) as held:
                return {key: held[key] if held[key].ndim else held[key].item() for key in held.files}
        except FileNotFoundError:
            return None
        except (OSError, ValueError, EOFError):
            return None  # a damaged file is as good as none: the sums are computed anew

    def due(self) -> bool:
        """Whether the last save is a minute ago."""
        return time.monotonic() - self._saved >= SAVE_EVERY

    def save(self, values: dict[str, Any]) -> None:
        """Replace the file, and remove what other keys left."""
        with replacing(self.path, private=False, parents=True) as partial:
            np.savez(partial, **values)
        for older in self._folder.glob(f"{self._name}-{'[0-9a-f]' * 16}.npz"):
            if older != self.path:
                older.unlink(missing_ok=True)
        self._saved = time.monotonic()


def accumulate(
    options: Options,
    name: str,
    key: str,
    batches: int,
    histories: int,
    run: Callable[[int], np.ndarray],
    account: Account,
) -> Sums:
    """Add up batches, on from where an earlier run was broken off.

    Parameters
    ----------
    options : Options
    name, key : str
        See `Store`. The number of batches is no part of the key, since batch k is always the same.
    batches, histories : int
        Number of batches, and histories in each.
    run : callable
        Gives batch number k.
    account : Account
        Of the transport behind `run`, which enters every batch.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C or SIGTERM, when the batch in hand is done and all is saved.
    """
    store = Store(options, name, key)
    sums = _resumed(store.load())
    progress = Progress()
    with Interrupt() as interrupt:
        while sums is None or sums.batches < batches:
            wall, cpu = time.monotonic(), time.process_time()
            before = asdict(account)
            batch = run(0 if sums is None else sums.batches)
            if sums is None:
                sums = Sums(histories, 0, np.zeros(batch.shape), np.zeros(batch.shape))
            sums.total += batch
            sums.square += batch * batch
            sums.batches += 1
            for entry, value in asdict(account).items():
                setattr(sums.account, entry, getattr(sums.account, entry) + value - before[entry])
            sums.cpu_seconds += time.process_time() - cpu
            sums.wall_seconds += time.monotonic() - wall
            if store.due() or interrupt.requested or sums.batches == batches:
                store.save(_flat(sums))
            if interrupt.requested:
                raise KeyboardInterrupt
            progress.batches, progress.histories = sums.batches, sums.batches * histories
            progress.elapsed, progress.share_done = sums.wall_seconds, sums.batches / batches
            options.on_progress(progress)
    return sums


def beam_sums(
    options: Options,
    name: str,
    phantom: Phantom,
    beam: Beam,
    physics: Physics,
    histories: Histories,
    seed: int = 1,
) -> Sums:
    """Dose per particle of a simple beam [Gy], (nz, ny, nx)."""
    transport = BeamTransport(phantom, beam, RunOptions(physics, seed=seed, threads=options.threads))
    each = histories.batch
    return accumulate(
        options,
        name,
        store_key(phantom, physics, f"{beam} {seed} {each}"),
        histories.batches(options.quick),
        each,
        lambda k: transport.run(k * each, each),
        transport.account,
    )


def simulate_beam(
    options: Options,
    name: str,
    phantom: Phantom,
    beam: Beam,
    physics: Physics,
    histories: Histories,
    seed: int = 1,
) -> Simulated:
    """Dose of a simple beam per fluence at the surface [Gy cm2]."""
    sums = beam_sums(options, name, phantom, beam, physics, histories, seed)
    area = (beam.x2 - beam.x1) * (beam.y2 - beam.y1)
    return Simulated(
        area * sums.mean,
        area * sums.sigma,
        sums.freedom,
        sums.checks(),
        sums.histories * sums.batches,
        sums.cpu_seconds,
    )


def store_key(phantom: Phantom, physics: Physics, source: str) -> str:
    """All that a dose depends on, for `Store`: voxels, cross sections, options, engine and source."""
    digest = hashlib.sha256(repr(phantom.grid).encode())
    for voxels in (phantom.density, phantom.material):
        digest.update(voxels.tobytes())
    return f"{digest.hexdigest()} {tables_hash(phantom.materials, physics)} {source_hash()} {source}"


def _flat(sums: Sums) -> dict[str, Any]:
    own = {key: value for key, value in vars(sums).items() if key != "account"}
    return own | asdict(sums.account)


def _resumed(held: dict[str, Any] | None) -> Sums | None:
    if held is None:
        return None
    account = Account(**{key: held.pop(key) for key in asdict(Account())})
    return Sums(**held, account=account)

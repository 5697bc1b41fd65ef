"""How far a computation has come, and the callbacks that report it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Progress:
    """How far a simulation has come; one object, updated in place after every batch.

    Parameters
    ----------
    batches : int
        Complete batches.
    passes : float
        Passes over the phase-space files.
    histories : int
        Original histories; electrons on the target where a head is simulated.
    uncertainty : float, optional
        Relative transport sigma, rms over the voxels above half the maximum dose; None before the first
        estimate.
    estimated_at : int
        Number of batches at which `uncertainty` was estimated.
    share_done : float
        Fraction of the work done, 0 to 1, by the stop criterion that is nearest to being met.
    elapsed : float
        Time since the start, over all parts of a resumed run [s].
    """

    batches: int = 0
    passes: float = 0.0
    histories: int = 0
    uncertainty: float | None = None
    estimated_at: int = 0
    share_done: float = 0.0
    elapsed: float = 0.0


def _ignore(_: object) -> None:
    """The callback of those who do not listen."""


@dataclass(frozen=True)
class Listener:
    """Callbacks of a computation; each is called with one argument, its return value is ignored.

    Parameters
    ----------
    stage : callable
        Called with a short description of each stage as it begins.
    progress : callable
        Called with a `Progress` after every batch.
    message : callable
        Called on rank 0 with remarks on the course of the run: that it was resumed from a checkpoint, that a
        checkpoint could not be written.
    """

    stage: Callable[[str], None] = _ignore
    progress: Callable[[Progress], None] = _ignore
    message: Callable[[str], None] = _ignore

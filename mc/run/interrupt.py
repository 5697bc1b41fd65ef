"""Signals during a run: Ctrl-C ends it early, SIGTERM and SIGUSR1 suspend it."""

from __future__ import annotations

import signal
import threading

INTERRUPTED, SUSPENDED = "interrupted", "suspended"
SUSPENDED_CODE = 75  # exit code: EX_TEMPFAIL of sysexits.h, "try again later"
SUSPENDED_LINE = "suspended: the same command, on any number of ranks and threads, resumes the run"
SUSPEND_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)  # what clusters send before they end a job


class Suspended(KeyboardInterrupt):
    """The run was suspended by SIGTERM or SIGUSR1; the same command resumes it.

    Parameters
    ----------
    on_all_ranks : bool
        Whether all ranks raise it together; otherwise this rank alone was signalled.
    """

    def __init__(self, on_all_ranks: bool = False) -> None:
        super().__init__()
        self.on_all_ranks = on_all_ranks


class Interrupt:
    """Handler of signals during a run: the work unit in progress is completed and all results are kept.

    `requested` is "" at first, `INTERRUPTED` after Ctrl-C and `SUSPENDED` after SIGTERM or SIGUSR1. A second
    Ctrl-C raises KeyboardInterrupt at once. SIGTERM and SIGUSR1 may arrive more than once, from a scheduler
    and from the MPI launcher, and have no further effect, since a checkpoint may be being written. Outside
    the main thread signals are not handled.
    """

    def __init__(self) -> None:
        self.requested = ""
        self._former: dict = {}

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, *SUSPEND_SIGNALS):
                self._former[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: object) -> None:
        if number in SUSPEND_SIGNALS:
            self.requested = SUSPENDED
        elif self.requested:
            raise KeyboardInterrupt
        else:
            self.requested = INTERRUPTED

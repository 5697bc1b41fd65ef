"""Signals during a run: Ctrl-C ends it with what is done, SIGTERM and SIGUSR1 suspend it."""

from __future__ import annotations

import signal
import threading

INTERRUPTED, SUSPENDED = "interrupted", "suspended"
SUSPENDED_CODE = 75  # exit code: EX_TEMPFAIL of sysexits.h, "try again later"
SUSPENDED_LINE = "suspended: the same command, on any number of ranks and threads, goes on where it was"
SUSPEND_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)  # what clusters send before they end a job


class Suspended(KeyboardInterrupt):
    """The run was suspended by SIGTERM or SIGUSR1; the same command continues it.

    Parameters
    ----------
    on_all_ranks : bool
        Whether all ranks raise it together; otherwise the others know nothing of it.
    """

    def __init__(self, on_all_ranks: bool = False) -> None:
        super().__init__()
        self.on_all_ranks = on_all_ranks


class Interrupt:
    """Signals during a run: the current work unit is finished and what is done is kept.

    `requested` is "" at first, `INTERRUPTED` after Ctrl-C and `SUSPENDED` after SIGTERM or SIGUSR1. A second
    Ctrl-C stops at once. The others may come more than once, from a scheduler and from the MPI launcher, and
    do no more then: what is under way to the disk must get there. Outside the main thread signals are left
    alone.
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

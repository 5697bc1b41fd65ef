"""Ctrl-C and SIGTERM during a run."""

from __future__ import annotations

import signal
import threading


class Interrupt:
    """Ctrl-C and SIGTERM during a run: the batch in hand is finished and what is done is kept.

    A second one stops at once. Outside the main thread signals are left alone.
    """

    def __init__(self) -> None:
        self.requested = False
        self._former: dict = {}

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._former[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: object) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True

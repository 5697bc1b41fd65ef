"""Work shared out over ranks in rounds that end by the clock, so that a slow rank holds nobody up.

A round hands every rank a part of the pieces that are left, as large as its speed so far suggests, and ends
for all ranks when the parts should be done, or after `LONGEST`. What a rank has not got to by then is
shared out anew. A rank that slows down so costs the others no more than the piece it is at. Ranks meet in
one small sum a round: there is no master to wait for, and nothing that needs one-sided communication to
make progress behind a kernel's back.

Who did which piece leaves no trace in a sum of integers, so clocks and speeds cannot touch the result.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from mc.run.parallel import World

LONGEST = 5.0  # round; signals and checkpoints wait for its end [s]
MEMORY = 0.5  # weight of all former rounds together in a rank's speed, next to the last one


class Sharing:
    """Speeds of the ranks, and rounds of work."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._work, self._time = np.zeros(world.size), np.zeros(world.size)

    def round(
        self, cost: np.ndarray, done: np.ndarray, run: Callable[[int], None], stop: Callable[[], bool]
    ) -> None:
        """Let every rank `run` its part of the pieces not yet done, until `stop` or the end of the round.

        Parameters
        ----------
        cost : (pieces,) int64
            Expected work, in any unit, at least 1.
        done : (pieces,) int64
            1 for the pieces that are done; brought up to date on all ranks.
        run : callable
            Does the piece of a number.
        stop : callable
            Asked after every piece.
        """
        units, size, rank = len(done), self._world.size, self._world.rank
        own, limit = self._part(cost, np.flatnonzero(done == 0))
        report = np.zeros(units + 2 * size, np.int64)
        started = time.monotonic()
        for unit in own:
            run(int(unit))
            report[unit] = 1
            if stop() or time.monotonic() - started > limit:
                break
        report[units + rank] = int(cost @ report[:units])
        report[units + size + rank] = round(1e6 * (time.monotonic() - started))
        self._world.sum_in_place(report)
        done += report[:units]
        work, microseconds = report[units:].reshape(2, size)
        worked = work > 0
        self._work[worked] = MEMORY * self._work[worked] + work[worked]
        self._time[worked] = MEMORY * self._time[worked] + 1e-6 * np.maximum(1, microseconds[worked])

    def _part(self, cost: np.ndarray, left: np.ndarray) -> tuple[np.ndarray, float]:
        """This rank's part of the pieces `left`, and how long it may take [s]."""
        size, rank = self._world.size, self._world.rank
        if size == 1:
            return left, LONGEST
        known = self._work > 0
        if not known.any():  # a piece each, to learn the speeds
            return left[rank : rank + 1], LONGEST
        speed = np.full(size, (self._work[known] / self._time[known]).mean())
        speed[known] = self._work[known] / self._time[known]
        share = np.concatenate(([0.0], np.cumsum(speed) / speed.sum()))
        share[-1] = 1.0
        end = np.cumsum(cost[left])
        # a piece belongs to the rank in whose share its middle lies
        owner = np.searchsorted(share, (end - 0.5 * cost[left]) / end[-1], side="right") - 1
        return left[owner == rank], min(LONGEST, float(end[-1] / speed.sum()))

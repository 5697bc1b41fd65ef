"""Work shared out over ranks in rounds that end by the clock, so that a slow rank delays no other.

A round gives every rank a part of the remaining work units, as large as its speed so far suggests, and ends
for all ranks when the parts should be done, or after `LONGEST`. What a rank has not reached by then is
shared out anew, so a rank that slows down costs the others no more than one work unit. Ranks synchronise in
one small sum a round: there is no master to wait for, and no one-sided communication that would have to make
progress while a kernel runs.

Sums of integers do not depend on who did which work unit, so clocks and speeds cannot affect the result.
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
        """Let every rank `run` its part of the work units not yet done, until `stop` or the end of the round.

        Parameters
        ----------
        cost : (units,) int64
            Expected work, in any unit, at least 1.
        done : (units,) int64
            1 for the work units that are done; brought up to date on all ranks.
        run : callable
            Does the work unit of a number.
        stop : callable
            Asked after every work unit.
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
        """This rank's part of the work units `left`, and how long it may take [s]."""
        size, rank = self._world.size, self._world.rank
        if size == 1:
            return left, LONGEST
        known = self._work > 0
        if not known.any():  # one work unit each, to measure the speeds
            return left[rank : rank + 1], LONGEST
        speed = np.full(size, (self._work[known] / self._time[known]).mean())
        speed[known] = self._work[known] / self._time[known]
        share = np.concatenate(([0.0], np.cumsum(speed) / speed.sum()))
        share[-1] = 1.0
        end = np.cumsum(cost[left])
        # a work unit belongs to the rank in whose share its middle lies
        owner = np.searchsorted(share, (end - 0.5 * cost[left]) / end[-1], side="right") - 1
        return left[owner == rank], min(LONGEST, float(end[-1] / speed.sum()))

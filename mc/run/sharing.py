"""Work units distributed over ranks in rounds of limited time, so that a slow rank delays the others little.

In each round every rank receives a part of the remaining work units, in proportion to its speed so far. The
round ends for all ranks when the parts should be done, or after `LONGEST`; what a rank has not completed by
then is distributed anew. A rank that slows down delays the others by one work unit at most. Ranks
communicate in one small sum per round: no rank is a master, and no one-sided communication has to make
progress while a kernel runs.

Sums of integers do not depend on which rank did which work unit, so clocks and speeds do not affect the
result.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from mc.run.parallel import World

LONGEST = 5.0  # time of a round; signals and checkpoints wait for its end [s]
MEMORY = 0.5  # weight of all earlier rounds together in a rank's speed, relative to the last one


class Sharing:
    """Speeds of the ranks, and the distribution of work units among them."""

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
            1 for the units that are done; updated on all ranks.
        run : callable
            Does the work unit of a given number.
        stop : callable
            Called after every work unit; the round ends if it returns True.
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
        """This rank's part of the units `left`, and the time it may take [s]."""
        size, rank = self._world.size, self._world.rank
        if size == 1:
            return left, LONGEST
        known = self._work > 0
        if not known.any():  # one unit each, to measure the speeds
            return left[rank : rank + 1], LONGEST
        speed = np.full(size, (self._work[known] / self._time[known]).mean())
        speed[known] = self._work[known] / self._time[known]
        share = np.concatenate(([0.0], np.cumsum(speed) / speed.sum()))
        share[-1] = 1.0
        end = np.cumsum(cost[left])
        # a unit belongs to the rank in whose share its midpoint lies
        owner = np.searchsorted(share, (end - 0.5 * cost[left]) / end[-1], side="right") - 1
        return left[owner == rank], min(LONGEST, float(end[-1] / speed.sum()))

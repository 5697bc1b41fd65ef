"""Sharing of work: every work unit once, and a slow rank delays no other."""

from __future__ import annotations

import numpy as np
import pytest

from mc.run import sharing
from mc.run.parallel import SerialWorld
from mc.run.sharing import Sharing
from tests.mc.run.test_parallel import mpiexec

WORK = """
from mc.run.sharing import Sharing
sharing, times = Sharing(w), []
ran = np.zeros(200, np.int64)
def run(unit):
    ran[unit] += 1
    time.sleep(SECONDS * (SLOW if w.rank == 1 else 1))
for batch in range(3):
    done, started = np.zeros(200, np.int64), time.monotonic()
    while not done.all():
        sharing.round(np.ones(200, np.int64), done, run, lambda: False)
    times.append(time.monotonic() - started)
total = w.sum_to_all(ran)
if w.rank == 0: print(total.min(), total.max(), times[-1])
"""


@pytest.mark.parametrize("slow", [1, 4])
def test_a_slow_rank_delays_no_other(slow):
    """Three ranks that sleep, one of them `slow` times as long: the time is that of their speeds together."""
    pause = 0.005
    done = mpiexec(3, WORK.replace("SECONDS", str(pause)).replace("SLOW", str(slow)))
    assert done.returncode == 0, done.stderr
    fewest, most, seconds = done.stdout.split()
    assert fewest == most == "3"  # three batches
    ideal = 200 * pause / (2 + 1 / slow)
    assert ideal <= float(seconds) < 1.35 * ideal + slow * pause  # in equal parts it would take slow / 3


def test_a_rank_that_stalls_in_a_batch_is_relieved():
    """What it has not got to is done by the others."""
    work = WORK.replace(
        "time.sleep(SECONDS * (SLOW if w.rank == 1 else 1))",
        "time.sleep(0.1 if w.rank == 1 and batch == 2 else 0.005)",
    )
    done = mpiexec(3, work)
    assert done.returncode == 0, done.stderr
    fewest, most, seconds = done.stdout.split()
    assert fewest == most == "3"
    assert float(seconds) < 1.5  # 6.7 s if it had to do its third


def test_serial_rounds_end_on_request():
    done, order = np.zeros(10, np.int64), []
    shared = Sharing(SerialWorld())
    shared.round(np.ones(10, np.int64), done, order.append, lambda: len(order) == 4)
    assert order == [0, 1, 2, 3] and done.tolist() == [1] * 4 + [0] * 6
    shared.round(np.ones(10, np.int64), done, order.append, lambda: False)
    assert order == list(range(10)) and done.all()


def test_a_long_round_ends_by_the_clock(monkeypatch):
    monkeypatch.setattr(sharing, "LONGEST", 0.0)
    done = np.zeros(3, np.int64)
    Sharing(SerialWorld()).round(np.ones(3, np.int64), done, lambda _: None, lambda: False)
    assert done.tolist() == [1, 0, 0]

"""The same dose, bit for bit, however the work is shared out; and in plain Python."""

import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from mc.backends import cpu
from mc.config import Physics
from mc.tables import build_tables
from mc.transport.particle import ELECTRON, PHOTON, POSITRON
from mc.transport.scoring import HISTORIES, QUANTUM, STEPS
from phantoms.recipes import water_tank
from tests.mc.engine import pencil, run_particles

PHANTOM = water_tank((3.0, 3.0, 3.0), (0.5, 0.5, 0.5))
PLAN = Physics()
CUTS = cpu.cuts_of(PLAN)


@pytest.fixture(scope="module")
def tables():
    return build_tables(PHANTOM.materials, PLAN)


@pytest.fixture(scope="module")
def particles():
    return np.concatenate(
        [
            pencil(PHOTON, 6.0, (0, 0, -1), (0.1, 0, 1), 400),
            pencil(ELECTRON, 4.0, (0, 0.2, -1), (0, 0, 1), 100),
            pencil(POSITRON, 2.0, (0.2, 0, 1), (1, 0, -1), 100),
        ]
    )


@pytest.fixture(scope="module")
def whole(tables, particles):
    return run_particles(PHANTOM, tables, CUTS, particles)


@pytest.mark.parametrize("limit", [0, cpu.COPY_LIMIT], ids=["one tally", "a tally each"])
def test_threads(tables, particles, whole, limit, monkeypatch):
    monkeypatch.setattr(cpu, "COPY_LIMIT", limit)
    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("one core")
    before = numba.get_num_threads()
    try:
        for threads in (1, 2):
            assert cpu.set_threads(threads) == threads
            for _ in range(3):
                result = run_particles(PHANTOM, tables, CUTS, particles)
                np.testing.assert_array_equal(result.tally, whole.tally)
                np.testing.assert_array_equal(result.counters, whole.counters)
    finally:
        numba.set_num_threads(before)


@pytest.mark.parametrize("workers", [1, 7, 50])
def test_workers(tables, particles, whole, workers):
    result = run_particles(PHANTOM, tables, CUTS, particles, workers=workers)
    np.testing.assert_array_equal(result.tally, whole.tally)


@pytest.mark.parametrize("ranks", [2, 3, 5])
def test_ranks(tables, particles, whole, ranks):
    """Parts of the file, each with the number of its first history, as ranks transport them."""
    tally, counters = np.zeros_like(whole.tally), np.zeros_like(whole.counters)
    for rank in reversed(range(ranks)):
        first, last = rank * len(particles) // ranks, (rank + 1) * len(particles) // ranks
        part = run_particles(PHANTOM, tables, CUTS, particles[first:last], first=first)
        tally += part.tally
        counters += part.counters
    np.testing.assert_array_equal(tally, whole.tally)
    np.testing.assert_array_equal(counters, whole.counters)
    assert counters[HISTORIES] == len(particles)


@pytest.mark.parametrize("name", [{"seed": 2}, {"replica": 1}], ids=str)
def test_other_streams_give_another_dose(tables, particles, whole, name):
    result = run_particles(PHANTOM, tables, CUTS, particles, **name)
    assert (result.tally != whole.tally).sum() > 0.5 * np.count_nonzero(whole.tally)
    assert result.voxels.sum() == pytest.approx(whole.voxels.sum(), rel=0.1)


PLAIN = """
import sys
import numpy as np
from tests.mc.engine import run_particles
from tests.mc.transport.test_reproducible import CUTS, PHANTOM, PLAN
from mc.tables import build_tables
result = run_particles(PHANTOM, build_tables(PHANTOM.materials, PLAN), CUTS, np.load(sys.argv[1]), workers=1)
np.savez(sys.argv[2], tally=result.tally, counters=result.counters)
"""


def test_plain_python_gives_the_same_tally(tables, particles, tmp_path):
    """NUMBA_DISABLE_JIT=1 runs the same sources as Python, to debug and to count coverage.

    Random numbers are the same, roundings are not: the compiler fuses products into sums, and NumPy keeps a
    single-precision table value times a Python float in single precision where the compiler widens it.
    Paths agree to about 1e-7, and so do deposits but for what a shifted face crossing moves between voxels.
    """
    few = particles[[*range(12), 400, 401, 402, 500, 501]]
    compiled = run_particles(PHANTOM, tables, CUTS, few)
    np.save(tmp_path / "few.npy", few)
    here = Path(__file__).parent
    environment = os.environ | {
        "NUMBA_DISABLE_JIT": "1",
        "PYTHONPATH": str(here.parents[2]),
        "PYTHONWARNINGS": "ignore::RuntimeWarning",  # uint64 is meant to overflow
    }
    command = [sys.executable, "-c", PLAIN, str(tmp_path / "few.npy"), str(tmp_path / "plain.npz")]
    subprocess.run(command, env=environment, check=True, cwd=here)
    with np.load(tmp_path / "plain.npz") as plain:
        assert plain["counters"][HISTORIES] == len(few)
        assert plain["counters"][STEPS] == compiled.counters[STEPS] > 100
        np.testing.assert_allclose(plain["tally"], compiled.tally, rtol=1e-6, atol=2e-5 / QUANTUM)
        assert plain["tally"].sum() == pytest.approx(compiled.tally.sum(), rel=1e-6)

"""MPI: serial without a launcher, exact sums and one common end with one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mc.run.parallel import SerialWorld, abort_on_error, launched_ranks, world
from phantoms.errors import InputError

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("environment", "ranks"),
    [
        ({}, 1),
        ({"OMPI_COMM_WORLD_SIZE": "4"}, 4),
        ({"PMI_SIZE": "2", "PMI_RANK": "1"}, 2),
        ({"SLURM_STEP_NUM_TASKS": "8", "PMIX_RANK": "3"}, 8),
        ({"SLURM_NTASKS": "8", "SLURM_PROCID": "0"}, 1),  # the batch script itself
        ({"PMIX_RANK": "3"}, None),
        ({"PMI_SIZE": ""}, 1),
    ],
)
def test_launchers(environment, ranks):
    assert launched_ranks(environment) == ranks


def test_serial():
    ranks = SerialWorld()
    total = np.array([1, 2], dtype=np.int64)
    ranks.sum_in_place(total)
    np.testing.assert_array_equal(total, [1, 2])
    summed = ranks.sum_to_all(total)
    summed[0] = 9
    assert total[0] == 1 and ranks.broadcast("x") == "x"
    with pytest.raises(TypeError, match="int64"):
        ranks.sum_in_place(np.zeros(2))
    with pytest.raises(InputError), abort_on_error(ranks):
        raise InputError("file", "is broken")


def test_no_mpi_import_without_a_launcher():
    code = (
        "import sys; from mc.run.parallel import world as w; w().barrier(); sys.exit('mpi4py' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=no_launcher()).returncode == 0


def test_launcher_without_mpi4py_is_refused(monkeypatch):
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "2")
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    world.cache_clear()
    with pytest.raises(InputError, match=r"mpi4py cannot be loaded.*pip install"):
        world()
    world.cache_clear()


def test_ranks_that_cannot_see_each_other_are_refused():
    """Launched as two ranks, but mpi4py sees one: each would do, and write, the whole run."""
    pytest.importorskip("mpi4py.MPI", exc_type=(ImportError, RuntimeError))
    code = "from mc.run.parallel import world; world()"
    environment = {**no_launcher(), "SLURM_STEP_NUM_TASKS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert "the launcher started 2 ranks but mpi4py sees 1" in done.stderr


def no_launcher():
    prefixes = ("OMPI_", "PMI_", "PMIX_", "SLURM_", "MPI_")
    return {key: value for key, value in os.environ.items() if not key.startswith(prefixes)}


def mpiexec(ranks, code):
    """Run `code` on ranks with `world` at hand as `w`."""
    beside = Path(sys.executable).with_name("mpiexec")
    launcher = str(beside) if beside.exists() else shutil.which("mpiexec")
    if launcher is None:
        pytest.skip("no mpiexec")
    pytest.importorskip("mpi4py")
    head = (
        "import os, sys, signal, time, numpy as np\n"
        "from mc.run.parallel import world, abort_on_error\n"
        "from phantoms.errors import InputError\n"
        "w = world()\n"
    )
    return subprocess.run(
        [launcher, "-n", str(ranks), sys.executable, "-c", head + code],
        cwd=ROOT,
        env=no_launcher(),
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_sums_and_broadcast_on_three_ranks():
    done = mpiexec(
        3,
        "a = np.full(5, 2**60, dtype=np.int64); a[0] = w.rank + 1\n"
        "a[1:] -= 3 * w.rank\n"
        "b = w.sum_to_all(a); w.sum_in_place(a)\n"
        "said = w.broadcast({'rank': w.rank, 'size': w.size}); w.barrier()\n"
        "sys.stdout.write(f'{a.tolist()} {(a == b).all()} {said}\\n')\n",
    )
    assert done.returncode == 0, done.stderr
    exact = 3 * 2**60 - 9
    line = f"[6, {exact}, {exact}, {exact}, {exact}] True {{'rank': 0, 'size': 3}}"
    assert done.stdout.splitlines() == [line] * 3


def test_a_fault_on_one_rank_ends_all_in_one_line():
    done = mpiexec(
        2,
        "with abort_on_error(w):\n"
        "    if w.rank == 1: raise InputError('plan.dcm', 'is broken')\n"
        "    w.barrier()\n",
    )
    assert done.returncode != 0
    assert [line for line in done.stderr.splitlines() if "mcverify" in line] == [
        "mcverify: plan.dcm: is broken"
    ]
    assert "Traceback" not in done.stderr


def test_a_fault_on_all_ranks_is_reported_once():
    done = mpiexec(2, "with abort_on_error(w):\n    raise InputError('plan.dcm', 'is broken')\n")
    assert done.returncode != 0
    assert done.stderr.count("plan.dcm: is broken") == 1


def test_a_bug_names_its_place():
    done = mpiexec(2, "with abort_on_error(w):\n    if w.rank: 1 / 0\n    w.barrier()\n")
    assert done.returncode != 0
    assert (
        "mcverify: rank 1: internal error: ZeroDivisionError: division by zero at <string>:6" in done.stderr
    )


def test_exit_code_survives():
    assert mpiexec(2, "with abort_on_error(w):\n    sys.exit(0)\n").returncode == 0
    assert mpiexec(2, "with abort_on_error(w):\n    sys.exit(3)\n").returncode == 3


def test_a_killed_rank_does_not_hang_the_others():
    done = mpiexec(2, "if w.rank == 1: os.kill(os.getpid(), signal.SIGKILL)\nw.barrier()\n")
    assert done.returncode != 0

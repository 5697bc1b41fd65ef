"""`mcverify` as processes of its own: start-up, ranks and threads, a killed rank."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mc.dose import Dose
from tests.mc.small_linac import VERDICTS, mpiexec, plan

ROOT = Path(__file__).parents[3]


def run(*argv, launcher=(), **environment):
    """`mcverify` as a process of its own."""
    prefixes = ("OMPI_", "PMI_", "PMIX_", "SLURM_", "MPI_")
    clean = {key: value for key, value in os.environ.items() if not key.startswith(prefixes)}
    return subprocess.run(
        [*launcher, sys.executable, "-m", "mcverify", *map(str, argv)],
        env={**clean, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_no_traceback_as_a_process(bench):
    done = run("plan", "nowhere")
    assert done.returncode == 2 and not done.stdout
    assert done.stderr == "mcverify: nowhere: is not a folder\n"
    done = run("inspect", "case", PYTHONIOENCODING="ascii")
    assert done.returncode == 0 and "RTPLAN TEST" in done.stdout
    shutil.move("case/CT.004.dcm", "slice")
    done = run(*plan())
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("mcverify: ")]) == 1


def test_help_is_quick():
    """No heavy package is loaded to read the command line."""
    code = (
        "import sys; from validation.cli import parse; parse(['plan', 'x']); "
        "heavy = {'numpy', 'numba', 'scipy', 'pydicom', 'h5py', 'matplotlib', 'rich', 'skimage'}; "
        "sys.exit(' '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_plan_loads_no_plotting_before_it_computes():
    code = (
        "import sys; import validation.cli.plan; "
        "late = {'matplotlib', 'skimage', 'jinja2', 'mpi4py'}; "
        "sys.exit(' '.join(late & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_second_start_is_quick(bench):
    """Bar of the project: second start to the first real work in under 3 CPU-s."""
    import resource

    assert run("warmup").returncode == 0
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert run("warmup").returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 3.0


@pytest.mark.slow
def test_two_ranks_report_as_one(bench):
    """That their dose is that of one rank is shown by `test_ranks`."""
    done = run(*plan("--histories", "6000"), launcher=mpiexec(2))
    assert done.returncode in VERDICTS, done.stderr
    assert done.stdout.count("verdict:") == 1
    assert Dose.load("out/dose.h5").provenance["quality"]["ranks"] == 2


@pytest.mark.slow
def test_killed_rank_ends_the_run(bench):
    """One rank dies in the transport: the launcher ends the others, no result, no traceback."""
    code = (
        "import os, signal, sys\n"
        "from mc.run.simulate import _Run\n"
        "from validation.cli import main\n"
        "from mc.run.parallel import world\n"
        "inner = _Run._update_progress\n"
        "def report(*a):\n"
        "    if world().rank == 1: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    inner(*a)\n"
        "_Run._update_progress = report\n"
        f"sys.exit(main({plan('--uncertainty', '0.01%')!r}))\n"
    )
    done = subprocess.run(
        [*mpiexec(2), sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert not Path("out/result.json").exists()


@pytest.mark.slow
def test_bad_input_on_two_ranks_is_reported_once(bench):
    Path("case/RTPLAN.dcm").unlink()
    done = run(*plan(), launcher=mpiexec(2))
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.count("holds no RTPLAN") == 1

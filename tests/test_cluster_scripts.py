"""The job scripts of scripts/cluster, with stand-ins for the scheduler and the program."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts" / "cluster"
STANDINS = {
    # drops its own options and becomes what it was to start
    "srun": 'while [ "$1" != mcverify ]; do shift; done\nexec "$@"\n',
    "mpiexec": 'exec "$@"\n',
    "mcverify": 'echo "$@" >> calls\n[ "$CODE" = 75 ] || exit "$CODE"\n'
    "trap 'sleep 0.3; exit 75' USR1\ntouch running\nwhile :; do sleep 0.05; done\n",
    "scontrol": 'echo "scontrol $*" >> calls\n',
    "qsub": 'echo "qsub $*" >> calls\n',
    "qstat": 'echo "    Resource_List.walltime = 00:02:01"\n',
}


@pytest.fixture
def start(tmp_path):
    for name, body in STANDINS.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}")
        (tmp_path / name).chmod(0o755)

    def start(script, *arguments, **environment):
        return subprocess.Popen(
            ["bash", SCRIPTS / script, *arguments],
            cwd=tmp_path,
            env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", **environment},
            stderr=subprocess.PIPE,
            text=True,
        )

    start.calls = lambda: (tmp_path / "calls").read_text().splitlines()
    start.folder = tmp_path
    return start


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 20.0
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} did not come"
        time.sleep(0.02)


SLURM = {"SLURM_CPUS_PER_TASK": "8", "SLURM_JOB_ID": "17"}


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_slurm_requeues_what_was_suspended(start, number):
    job = start("slurm.sh", "export", "result", "--seed", "3", CODE="75", **SLURM)
    wait_for(start.folder / "running")
    job.send_signal(number)
    job.communicate(timeout=20)
    assert job.returncode == 75
    assert start.calls() == ["plan export --out result --threads 8 --seed 3", "scontrol requeue 17"]


def test_slurm_gives_up_in_the_end(start):
    job = start("slurm.sh", "export", "result", CODE="75", SLURM_RESTART_COUNT="20", **SLURM)
    wait_for(start.folder / "running")
    job.send_signal(signal.SIGUSR1)
    _, said = job.communicate(timeout=20)
    assert job.returncode == 75 and "given up" in said and len(start.calls()) == 1


def test_slurm_on_one_node(start):
    """One rank of all cores; the signal of the time limit reaches the run itself, which ends with 75."""
    job = start("slurm_node.sh", "export", "result", "--seed", "3", CODE="75", **SLURM)
    wait_for(start.folder / "running")
    job.send_signal(signal.SIGUSR1)
    job.communicate(timeout=20)
    assert job.returncode == 75
    assert start.calls() == ["plan export --out result --threads 8 --seed 3"]


@pytest.mark.parametrize("code", ["0", "1", "2"])
def test_slurm_does_not_requeue_what_ended(start, code):
    job = start("slurm.sh", "export", "result", CODE=code, **SLURM)
    job.communicate(timeout=20)
    assert job.returncode == int(code) and len(start.calls()) == 1


def test_pbs_suspends_by_the_clock_and_submits_again(start):
    folder = str(start.folder)
    pbs = {"PBS_O_WORKDIR": folder, "PBS_JOBID": "5", "CASE": "export", "RESULT": "result"}
    job = start("pbs.sh", CODE="75", OMP_NUM_THREADS="4", OPTIONS="--seed 3", **pbs)
    job.communicate(timeout=20)
    assert job.returncode == 75
    resubmitted = (
        f"qsub -v CASE=export,RESULT=result,OPTIONS=--seed 3,ROUND=1 {folder}/scripts/cluster/pbs.sh"
    )
    assert start.calls() == ["plan export --out result --threads 4 --seed 3", resubmitted]

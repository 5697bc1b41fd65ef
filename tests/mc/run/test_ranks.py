"""`mcverify plan` on ranks and threads, suspended, killed and resumed: always the same bits.

By default few kills and two ranks: `MCVERIFY_KILLS=50` asks for 50 kills, `MCVERIFY_RANKS=4` for all splits
into up to four ranks.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from mc.dose import Dose
from tests.dicom_factory import write_plan
from tests.mc.small_linac import (
    RESULT,
    VERDICTS,
    moving_leaves,
    mpiexec,
    plan,
    small_case,
    write_above_machine,
    write_machine,
)

ROOT = Path(__file__).parents[3]
RANKS = int(os.environ.get("MCVERIFY_RANKS", "2"))
SPLITS = [(ranks, threads) for ranks in range(1, RANKS + 1) for threads in (1, 2)]
KILLS = int(os.environ.get("MCVERIFY_KILLS", "4"))
HISTORIES = "300000"  # a second or two of one processor: signals must find the transport under way
SUSPENDED = 75
OFTEN = "0.2s"  # between checkpoints
# with a run on a busy machine, where ranks that wait take the processor from those that work [s]
TIMEOUT = 600.0

pytestmark = pytest.mark.slow


class Run:
    """`mcverify plan` as processes of its own, in a folder."""

    def __init__(self, folder: Path, ranks: int = 1, threads: int = 1, histories: str = HISTORIES) -> None:
        self.folder, self.name = folder, uuid.uuid4().hex
        prefixes = ("OMPI_", "PMI_", "PMIX_", "SLURM_", "MPI_")
        clean = {key: value for key, value in os.environ.items() if not key.startswith(prefixes)}
        argv = plan("--histories", histories, "--threads", str(threads), "--checkpoint-every", OFTEN)
        self.process = subprocess.Popen(
            [*mpiexec(ranks), sys.executable, "-m", "mcverify", *argv],
            env={**clean, "PYTHONPATH": str(ROOT), "MCVERIFY_TEST_RUN": self.name},
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def end(self) -> str:
        """Wait for the end; what was said on stderr."""
        try:
            self.printed, said = self.process.communicate(timeout=TIMEOUT)
        finally:  # a run that hangs must not write into the next one's folder
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
        assert "Traceback" not in said, said
        return said

    @property
    def done(self) -> bool:
        """Whether it came to a verdict, whichever."""
        return self.code in VERDICTS and "verdict:" in self.printed

    @property
    def code(self) -> int:
        return self.process.returncode

    @property
    def ranks(self) -> list[int]:
        """Process numbers of the ranks: Python processes that carry the run's name in their environment."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                ours = entry.name.isdigit() and self.name.encode() in (entry / "environ").read_bytes()
                if ours and (entry / "cmdline").read_bytes().startswith(sys.executable.encode()):
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def wait_for_checkpoint(self) -> None:
        """Until the transport has written its first checkpoint, or the run is over."""
        while self.process.poll() is None and not (self.folder / "out" / "checkpoint.h5").exists():
            time.sleep(0.01)


def fingerprint(folder: Path) -> str:
    """SHA-256 over the dose of the result folder, which must hold no checkpoint any more; removes it."""
    out = folder / "out"
    assert {path.name for path in out.iterdir()} == RESULT
    dose = Dose.load(out / "dose.h5")
    digest = hashlib.sha256()
    for array in (dose.mean, dose.sigma, dose.latent):
        digest.update(array)
    shutil.rmtree(out)
    return digest.hexdigest()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("ranks")
    small_case(path / "case")
    write_machine(path / "machine")
    return path


@pytest.fixture(autouse=True)
def nothing_left(folder):
    """A test that fails leaves no checkpoint to the next."""
    yield
    shutil.rmtree(folder / "out", ignore_errors=True)


@pytest.fixture(scope="module")
def serial(folder) -> str:
    """Fingerprint of one process that nobody disturbed."""
    run = Run(folder)
    said = run.end()
    assert run.done, said
    return fingerprint(folder)


@pytest.mark.parametrize("ranks, threads", SPLITS if "MCVERIFY_RANKS" in os.environ else SPLITS[1:3])
def test_one_hash(folder, serial, ranks, threads):
    """Uninterrupted on ranks and threads, and suspended there and resumed on others: one hash."""
    whole = Run(folder, ranks, threads)
    said = whole.end()
    assert whole.done and "resumed from" not in said, said
    assert fingerprint(folder) == serial

    first = Run(folder, ranks, threads)
    first.wait_for_checkpoint()
    for rank in first.ranks:
        os.kill(rank, signal.SIGUSR1)
    said = first.end()
    assert first.code == SUSPENDED and said.count("mcverify: suspended") == 1, said
    second = Run(folder, RANKS + 1 - ranks, 3 - threads)
    said = second.end()
    assert second.done and "resumed from" in said, said
    assert fingerprint(folder) == serial


def test_one_hash_through_moving_leaves(tmp_path):
    """An arc above the jaws, its leaves moving: two ranks of two threads make the dose of one process."""
    small_case(tmp_path / "case")
    write_plan(tmp_path / "case", [moving_leaves()])
    write_above_machine(tmp_path / "machine")
    found = []
    for ranks, threads in ((1, 1), (2, 2)):
        run = Run(tmp_path, ranks, threads, histories="60000")
        said = run.end()
        assert run.done, said
        found.append(fingerprint(tmp_path))
    assert found[0] == found[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_to_one_rank_suspends_all(folder, number):
    run = Run(folder, 2, histories="1e9")
    run.wait_for_checkpoint()
    ranks = run.ranks
    assert len(ranks) == 2
    os.kill(ranks[1], number)
    said = run.end()
    assert run.code == SUSPENDED and said.count("mcverify: suspended") == 1, said
    assert {path.name for path in (folder / "out").iterdir()} == {"checkpoint.h5"}
    shutil.rmtree(folder / "out")


def test_ctrl_c_under_mpi(folder):
    """On a terminal it reaches the launcher, which signals the ranks: a provisional result, a checkpoint."""
    run = Run(folder, 2, histories="1e9")
    run.wait_for_checkpoint()
    time.sleep(1.0)
    os.kill(run.process.pid, signal.SIGINT)
    said = run.end()
    assert run.code == 2 and "verdict: PROVISIONAL (interrupted)" in run.printed, said
    provisional = (RESULT - {"report.pdf"}) | {"report-PROVISIONAL.pdf", "checkpoint.h5"}
    assert {path.name for path in (folder / "out").iterdir()} == provisional
    shutil.rmtree(folder / "out")


def test_kill_9_of_any_rank_at_any_moment(folder, serial):
    """No corrupt file, no rank left behind, and whatever is started next ends with the same dose."""
    rng = random.Random(20240607)
    resumed = too_late = 0
    for trial in range(KILLS):
        ranks = rng.choice((1, 2))
        killed = Run(folder, ranks, rng.choice((1, 2)))
        # most of a run is imports; two thirds of the kills are aimed at transport and writing
        if rng.random() < 0.67:
            killed.wait_for_checkpoint()
            time.sleep(rng.uniform(0.0, 1.5))
        else:
            time.sleep(rng.uniform(0.0, 4.0))
        alive = killed.ranks
        if alive:
            os.kill(rng.choice(alive), signal.SIGKILL)
        killed.end()
        deadline = time.monotonic() + 10.0
        while killed.ranks and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not killed.ranks, "a rank was left behind"
        too_late += killed.done
        after = Run(folder, rng.choice((1, 2)))
        said = after.end()
        assert after.done, f"trial {trial}: {said}"
        resumed += "resumed from" in said
        assert fingerprint(folder) == serial, f"trial {trial}"
    print(f"{KILLS} kills, {resumed} resumed from a checkpoint, {too_late} came after the end")
    assert resumed > 0.2 * KILLS

"""Checkpoints: a run broken off and resumed gives the same bits, and nothing else can be resumed."""

from __future__ import annotations

import hashlib
import os
import signal
from pathlib import Path

import h5py
import numpy as np
import pytest

from mc.backends import cpu
from mc.config import Physics
from mc.plan.delivery import fixed
from mc.run import batch
from mc.run.batch import PlacedBeam
from mc.run.checkpoint import Checkpoint, CheckpointRule
from mc.run.interrupt import Suspended
from mc.run.options import RunOptions, StopRule
from mc.run.parallel import SerialWorld
from mc.run.progress import Listener
from mc.run.simulate import simulate
from mc.source.phase_space import Particles
from mc.source.phase_space_writer import write_phase_space
from phantoms.errors import InputError
from phantoms.recipes import water_tank

PHANTOM = water_tank((4.0, 4.0, 4.0), (1.0, 1.0, 1.0))
ORIGINAL = 2000


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    """A parallel field of 0.3 MeV photons, one to three of a history."""
    rng = np.random.default_rng(3)
    x, y = rng.uniform(-1.5, 1.5, (2, ORIGINAL))
    zero, one = np.zeros(ORIGINAL), np.ones(ORIGINAL)
    new = rng.uniform(size=ORIGINAL) < 0.6
    new[0] = True
    particles = Particles(np.ones(ORIGINAL, np.int8), 0.3 * one, x, y, zero, zero, zero, one, one, new)
    return write_phase_space(tmp_path_factory.mktemp("space") / "file", particles, ORIGINAL)


@pytest.fixture
def rule(tmp_path):
    return CheckpointRule(tmp_path / "checkpoint.h5")


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    """Passes cut into fewer groups, to spare calls, and these into more work units."""
    monkeypatch.setattr(batch, "GROUPS", 4)
    monkeypatch.setattr(batch, "MIN_UNIT_PARTICLES", 16)
    monkeypatch.setattr(batch, "UNITS_PER_BATCH", 32)


def run(space, rule=None, listener=Listener(), *, weight=1.0, phantom=PHANTOM, passes=3, **options):
    """Three and a bit passes of two beams: a pair of batches is open, and the latent sigma known."""
    beams = [
        PlacedBeam(number, space, fixed(np.eye(3), np.array([0.0, 0.0, -1.0])), weight, (number == 1, False))
        for number in (1, 2)
    ]
    stop = StopRule(uncertainty=None, histories=int(passes * 4 * ORIGINAL) + 1)
    options = {"dose_to_water": True} | options
    return simulate(
        phantom, beams, RunOptions(stop=stop, threads=1, checkpoint=rule, **options), listener=listener
    )


def fingerprint(result):
    """SHA-256 over all that a run states about the dose."""
    digest = hashlib.sha256()
    for dose in (result.dose, result.dose.to_water):
        for array in (dose.mean, dose.sigma, dose.latent, dose.covariance.deviations):
            digest.update(array)
    same = {
        name: value
        for name, value in result.report.to_dict().items()
        if name not in ("resumed", "wall_seconds", "cpu_seconds", "threads", "ranks")
    }
    digest.update(repr(same).encode())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def uninterrupted(space):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "GROUPS", 4)
        patch.setattr(batch, "MIN_UNIT_PARTICLES", 16)
        patch.setattr(batch, "UNITS_PER_BATCH", 32)
        return fingerprint(run(space))


def signal_at(monkeypatch, call, number):
    """Let the run get a signal in the kernel's call of a number."""
    kernel, calls = cpu.run_phase_space, []

    def signalled(*arguments):
        calls.append(1)
        if len(calls) == call:
            os.kill(os.getpid(), number)
        kernel(*arguments)

    monkeypatch.setattr("mc.backends.cpu.run_phase_space", signalled)


@pytest.mark.parametrize("call", [1, 33, 100, 333])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_suspended_and_resumed_gives_the_same_bits(space, rule, uninterrupted, monkeypatch, call, number):
    with monkeypatch.context() as patch:
        signal_at(patch, call, number)
        with pytest.raises(Suspended):
            run(space, rule)
    with h5py.File(rule.path) as file:
        done = file["batch/done"][:]
        assert 0 < done.sum() < len(done)
    messages = []
    result = run(space, rule, Listener(message=messages.append))
    assert result.report.resumed == 1 and "resumed from" in messages[-1]
    assert fingerprint(result) == uninterrupted
    rule.remove()
    assert not list(rule.path.parent.iterdir())


def test_broken_off_again_and_again(space, rule, uninterrupted, monkeypatch):
    """A few work units at a time."""
    for _ in range(1000):
        with monkeypatch.context() as patch:
            signal_at(patch, 29, signal.SIGUSR1)
            try:
                result = run(space, rule)
            except Suspended:
                continue
            break
    assert result.report.resumed > 5
    assert fingerprint(result) == uninterrupted


def test_the_checkpoint_of_the_clock(space, rule, uninterrupted, monkeypatch):
    """A run that dies is resumed from its last checkpoint; `every` of 0 writes one after each batch."""
    often = CheckpointRule(rule.path, every=0.0)
    monkeypatch.setattr("mc.run.checkpoint.MAX_SHARE", 1e9)

    def fails(*_):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(
            "mc.run.simulate._reason_to_stop", lambda progress, *_: progress.batches > 5 and fails()
        )
        with pytest.raises(MemoryError):
            run(space, often)
    result = run(space, rule)
    assert result.report.resumed == 1
    assert fingerprint(result) == uninterrupted


def test_ctrl_c_leaves_a_dose_and_a_checkpoint(space, rule, uninterrupted, monkeypatch):
    with monkeypatch.context() as patch:
        signal_at(patch, 222, signal.SIGINT)
        first = run(space, rule)
    assert first.report.interrupted and first.report.stopped_by == "interrupted"
    result = run(space, rule)
    assert result.report.resumed == 1
    assert fingerprint(result) == uninterrupted


def test_what_follows_the_transport_may_be_broken_off(space, rule, uninterrupted, monkeypatch):
    """The next run finds the transport at its end: not one kernel is called, and the dose is the same."""
    signal_at(monkeypatch, 10**9, signal.SIGTERM)
    run(space, rule)
    assert rule.path.exists()
    monkeypatch.setattr("mc.backends.cpu.run_phase_space", None)
    assert fingerprint(run(space, rule)) == uninterrupted


def test_a_signal_while_the_last_checkpoint_is_written(space, rule, uninterrupted, monkeypatch):
    write = Checkpoint._write

    def signalled(self, numbers):
        write(self, numbers)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Checkpoint, "_write", signalled)
    assert fingerprint(run(space, rule)) == uninterrupted  # noted too late, and nothing is lost


def test_progress_reaches_its_end_with_the_run(space):
    """The rule of the uncertainty is judged at the end of a round of 2 x 4 batches, not before."""
    seen = []
    listener = Listener(progress=lambda progress: seen.append((progress.batches, progress.share_done)))
    stop = StopRule(uncertainty=0.9)
    beams = [PlacedBeam(1, space, fixed(np.eye(3), np.array([0.0, 0.0, -1.0])), 1.0)]
    simulate(PHANTOM, beams, RunOptions(stop=stop, threads=1), listener=listener)
    assert seen[-1] == (8, 1.0) and max(share for batches, share in seen if batches < 8) < 1.0


OTHER = {
    "seed": {"seed": 2},
    "beams, their control points, weight or calibration": {"weight": 2.0},
    "dose to water": {"dose_to_water": False},
    "patient or voxel size": {"phantom": water_tank((4.0, 4.0, 4.0), (1.0, 1.0, 0.5))},
    "physics options, cross sections": {"physics": Physics(photon_cut=0.1)},
}


@pytest.fixture
def broken_off(space, rule, monkeypatch):
    """A checkpoint of a run broken off."""
    with monkeypatch.context() as patch:
        signal_at(patch, 50, signal.SIGTERM)
        with pytest.raises(Suspended):
            run(space, rule)
    return rule


@pytest.mark.parametrize("differs", OTHER)
def test_another_run_is_refused(space, broken_off, differs):
    with pytest.raises(InputError, match=f"another run, which differs in {differs}") as refused:
        run(space, broken_off, **OTHER[differs])
    assert "--restart" in str(refused.value)


def test_another_phase_space_or_program_is_refused(space, broken_off, tmp_path, monkeypatch):
    turned = space.read(0, ORIGINAL)._replace(x=-space.read(0, ORIGINAL).x)
    other = write_phase_space(tmp_path / "other", turned, ORIGINAL)
    with pytest.raises(InputError, match="differs in phase spaces"):
        run(other, broken_off)
    monkeypatch.setattr("mc.run.simulate.source_hash", lambda: "another")
    with pytest.raises(InputError, match="differs in version of mcverify"):
        run(space, broken_off)


def test_restart(space, broken_off, uninterrupted):
    anew = CheckpointRule(broken_off.path, restart=True)
    result = run(space, anew)
    assert result.report.resumed == 0 and fingerprint(result) == uninterrupted


def test_other_stop_rules_may_go_on(space, broken_off):
    assert run(space, broken_off, passes=1).report.resumed == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: raw[: len(raw) // 2],
        lambda raw: raw.replace(b'"deposited": ', b'"deposited":1'),
        lambda raw: b"",
        lambda raw: b"no HDF5 file at all",
    ],
    ids=["cut short", "number changed", "empty", "text"],
)
def test_a_damaged_file_is_refused(space, broken_off, spoil):
    broken_off.path.write_bytes(spoil(broken_off.path.read_bytes()))
    with pytest.raises(InputError, match=r"checkpoint\.h5: is a damaged checkpoint.*--restart"):
        run(space, broken_off)


def test_changed_sums_are_found(space, broken_off):
    """Checksums: a bit that turned on a disk must not turn the dose."""
    with h5py.File(broken_off.path) as file:
        offset = file["medium/sum"].id.get_chunk_info(0).byte_offset
    raw = bytearray(broken_off.path.read_bytes())
    raw[offset + 9] ^= 1
    broken_off.path.write_bytes(raw)
    with pytest.raises(InputError, match="damaged checkpoint"):
        run(space, broken_off)


def checkpoint(path, values, on_message=lambda _: None):
    return Checkpoint(CheckpointRule(path), {"seed": "1"}, {"values": values}, SerialWorld(), on_message)


def test_a_full_disk_leaves_the_former_one(tmp_path, full_disk):
    path, messages = tmp_path / "checkpoint.h5", []
    values = np.arange(100_000.0)
    kept = checkpoint(path, values, on_message=messages.append)
    kept.save({"batches": 1}, must=True)
    before = path.read_bytes()
    values[:] = 0
    with full_disk(200_000):
        kept.save({"batches": 2}, must=False)
        with pytest.raises(InputError, match=r"cannot be written.*unchanged"):
            kept.save({"batches": 2}, must=True)
    assert "the run continues" in messages[-1] and path.read_bytes() == before
    assert [file.name for file in Path(tmp_path).iterdir()] == ["checkpoint.h5"]
    assert checkpoint(path, values).load() == {"batches": 1} and values[-1] == 99_999

"""A result folder is of one plan, and is written by one run at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from phantoms.errors import InputError
from validation.workflow import lock, output
from validation.workflow.output import Owner, default_folder, result_folder

OURS = Owner("1.2.3", "a1b2c3", label="BREAST")


def write_result(folder: Path, **changed: object) -> None:
    folder.mkdir(exist_ok=True)
    stated = {
        "schema": output.SCHEMA,
        "plan": {"uid": "1.2.3", "label": "BREAST"},
        "patient_pseudonym": "a1b2c3",
    }
    (folder / output.RESULT).write_text(json.dumps(stated | changed))


def test_patients_with_one_label_have_folders_of_their_own():
    assert default_folder("Breast L/1", "a1b2c3") == Path("mcverify-result/Breast_L_1-a1b2c3")
    assert default_folder("BREAST", "a1b2c3") != default_folder("BREAST", "ffffff")
    assert default_folder("BREAST", "a1b2c3", "water") != default_folder("BREAST", "a1b2c3")
    assert default_folder("..", output.NOT_STATED) == Path("mcverify-result/plan")
    assert len(default_folder("\N{HIRAGANA LETTER A}" * 5000, "a1b2c3").name.encode()) < 255


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"plan": {"uid": "9.9", "label": "LUNG"}}, r"another plan \(LUNG\)"),
        ({"patient_pseudonym": "ffffff"}, "another patient"),
        ({"phantom": {"title": "water tank"}}, r"another phantom \(BREAST, water tank\)"),
    ],
)
def test_the_result_of_another_plan_is_kept(tmp_path, changed, what):
    write_result(tmp_path, **changed)
    with pytest.raises(InputError, match=f"holds the result of {what}.*--overwrite"):
        with result_folder(tmp_path, owner=OURS):
            pass
    with result_folder(tmp_path, owner=OURS, overwrite=True):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [output.RESULT]


def test_the_result_of_this_plan_is_replaced(tmp_path):
    write_result(tmp_path)
    with result_folder(tmp_path, owner=OURS):
        pass
    write_result(tmp_path, patient_pseudonym=output.NOT_STATED)
    with result_folder(tmp_path, owner=OURS):
        pass


def test_one_run_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    with result_folder(tmp_path / "new"):
        stated = json.loads((tmp_path / "new" / lock.FILE).read_text())
        assert stated["process"] == os.getpid() and stated["job"] == "4711"
        with pytest.raises(InputError, match=rf"another run: host .+, process {os.getpid()}, job 4711"):
            with result_folder(tmp_path / "new"):
                pass
        with (
            pytest.raises(InputError, match="another run"),
            output.beside_or_in(tmp_path / "new", tmp_path / "new"),
        ):
            pass
    assert not (tmp_path / "new").exists()  # nothing came, nothing is left


def test_a_killed_run_leaves_no_lock(tmp_path):
    code = (
        "import os, signal; from pathlib import Path; from validation.workflow.lock import locked\n"
        f"with locked(Path({str(tmp_path)!r})): os.kill(os.getpid(), signal.SIGKILL)"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root)
    assert done.returncode < 0 and (tmp_path / lock.FILE).exists()
    with lock.locked(tmp_path):
        pass


def test_without_locks_the_file_decides(tmp_path, monkeypatch):
    """As on a parallel file system that is mounted without locks."""

    def unknown(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", unknown)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    ours = lock._owner()
    for gone in ({"process": ended.pid}, {"host": "elsewhere", "job": "7"}):
        monkeypatch.setenv("SLURM_JOB_ID", "7")
        (tmp_path / lock.FILE).write_text(json.dumps(ours | gone))
        (tmp_path / lock.FILE).chmod(0o600)
        with lock.locked(tmp_path):
            pass
    for alive in ({"job": "8"}, {"host": "elsewhere", "job": "8"}):
        (tmp_path / lock.FILE).write_text(json.dumps(ours | alive))
        with pytest.raises(InputError, match=r"or one that was killed: host .*, job 8.*remove .*lock"):
            with lock.locked(tmp_path):
                pass


def test_a_planted_link_is_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    for plant in (os.symlink, os.link):
        folder = tmp_path / plant.__name__
        folder.mkdir()
        plant(victim, folder / lock.FILE)
        with pytest.raises(InputError, match=lock.FILE):
            with lock.locked(folder):
                pass
    assert victim.read_text() == "precious"


def test_a_report_is_not_mixed_with_another_dose(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / output.DOSE).write_bytes(b"of another run")
    with pytest.raises(InputError, match="holds a dose of its own"):
        output.beside_or_in(tmp_path / "b", tmp_path / "a")
    with pytest.raises(InputError, match="holds another dose"):
        output.refuse_other_dose(tmp_path / "b", "0" * 64)
    output.refuse_other_dose(tmp_path / "a", "0" * 64)

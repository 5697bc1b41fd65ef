"""`mcverify whatif` on the small case: what it writes, what it computes again, what it refuses."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.mc.small_linac import RESULT, plan
from validation.cli import main

FILES = {"whatif.html", "whatif.pdf", "whatif.png", "whatif.json"}


def test_curves_and_a_check_of_a_result(bench, capsys):
    main(plan())
    shutil.rmtree("case")
    checks = ["--check", "lateral=2mm", "--histories", "3000", "--machine", "machine/linac.toml"]
    assert main(["whatif", "out", "--shift", "3mm", *checks]) == 0, capsys.readouterr().err
    assert {path.name for path in Path("out").iterdir()} == RESULT | FILES
    found = json.loads(Path("out/whatif.json").read_text())
    assert found["schema"] == "mcverify what-if" and found["largest"]["lateral"] == pytest.approx(3.0)
    assert {c["error"]["lateral"] for c in found["checks"]} == {2.0}
    assert {c["axis"] for c in found["curves"]} == set(found["axes"])
    page = Path("out/whatif.html").read_text()
    assert "machine file" not in capsys.readouterr().err
    assert "lateral +2 mm" in page and "PATIENT-1" not in page and not re.search(r"https?://", page)
    assert Path("out/whatif.png").read_bytes().startswith(b"\x89PNG")


def test_a_check_with_another_machine_file_is_warned_of(bench, capsys):
    main(plan())
    text = Path("machine/linac.toml").read_text()
    Path("machine/other.toml").write_text(text + "\n# of another year\n")
    check = ["--check", "lateral=2mm", "--histories", "3000", "--machine", "machine/other.toml"]
    assert main(["whatif", "out", *check]) == 0
    assert "other.toml is not the machine file that the result was computed with" in capsys.readouterr().err


def test_a_new_dose_leaves_no_curves_of_the_old_one(bench):
    main(plan())
    assert main(["whatif", "out"]) == 0
    main(plan("--histories", "3000", "--seed", "2"))
    assert {path.name for path in Path("out").iterdir()} == RESULT


def test_what_cannot_be_done_is_said_in_a_line(bench, capsys):
    assert main(["whatif", "nowhere"]) == 2
    assert "nowhere: is not a folder" in capsys.readouterr().err
    for setup in ("left=2mm", "lateral=2", "lateral=2mm,lateral=1mm", "yaw=1mm"):
        assert main(["whatif", "out", "--check", setup]) == 2
        assert "--check" in capsys.readouterr().err
    main(plan())
    capsys.readouterr()
    assert main(["whatif", "out", "--structure", "Spleen"]) == 2
    assert "no structure Spleen" in capsys.readouterr().err
    assert main(["whatif", "out", "--check", "pitch=1deg", "--machine", "machine/linac.toml"]) == 2
    assert "pitch: cannot be computed again" in capsys.readouterr().err

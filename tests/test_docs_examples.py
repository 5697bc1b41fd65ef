"""The examples of docs/python.md run, in their order, in one namespace, beside small files of these names."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.mc.compute.test_head_cache import MACHINE as HEAD_MACHINE
from tests.mc.small_linac import small_case, write_machine
from tests.validation.commission.linac import write_scans
from tests.validation.film.film_case import film_case

PAGE = Path(__file__).parents[1] / "docs" / "python.md"
FENCE = re.compile(r"^```python(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PICTURES = ("gamma.png", "check.png", "setup.png", "hard.png", "depth-dose.png", "film.png")
PAGES = ("result/report.html", "second-opinion/report.html", "setup/whatif.html", "film/report.html")


@pytest.fixture
def files(tmp_path, monkeypatch):
    """What the page speaks of; the machine is found by its name, too, and no head is kept."""
    write_machine(tmp_path)
    small_case(tmp_path / "export")
    write_scans(tmp_path / "scans")
    film_case(tmp_path)
    (tmp_path / "RD.dcm").rename(tmp_path / "plane.dcm")
    (tmp_path / "head.toml").write_text(HEAD_MACHINE)
    (tmp_path / "machines").mkdir()
    for name in ("linac.toml", "field5.IAEAheader", "field5.IAEAphsp"):
        shutil.copy(tmp_path / name, tmp_path / "machines")
    monkeypatch.setenv("MCVERIFY_MACHINES", str(tmp_path / "machines"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_the_page_runs(files, capfd):
    """Every block, none is left out; what it says that it writes is there, and nothing is printed."""
    blocks = FENCE.findall(PAGE.read_text())
    assert len(blocks) > 10 and [mark for mark, _ in blocks if mark] == []
    namespace: dict = {}
    for _, block in blocks:
        exec(compile(block, PAGE.name, "exec"), namespace)
    assert capfd.readouterr().out == ""
    for name in (*PICTURES, *PAGES, "CAL.html"):
        assert (files / name).stat().st_size > 1000
    assert namespace["check"].verdict.status in ("pass", "warn", "noisy", "fail")

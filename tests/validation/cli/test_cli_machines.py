"""`mcverify machines`, `machine new`, `heads`, and `inspect` of a machine."""

from __future__ import annotations

import os
import re
import tomllib

import pytest

from mc.compute.head_cache import cached_heads
from mc.machine.beam_model import beam_model
from mc.machine.machine import SHIPPED, read_machine
from mc.source.packed_phase_space import cache_folder
from mc.source.phase_space import open_phase_space
from tests.machines import table
from tests.mc.small_linac import write_above_machine
from validation.cli import main


@pytest.fixture
def machines(tmp_path, monkeypatch):
    """The user's folder of machine files."""
    (tmp_path / "machines").mkdir()
    monkeypatch.setenv("MCVERIFY_MACHINES", str(tmp_path / "machines"))
    return tmp_path / "machines"


def rows(text):
    """Cells of the tables of a screen."""
    lines = [line for line in text.splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]


def test_list(machines, capsys):
    assert main(["machine", "new", "TB1", "--from", "GEN-M120", "--energies", "6FFF"]) == 0
    (machines / "own.toml").write_text((SHIPPED / "gen6.toml").read_text().replace("0.06", "0.05"))
    (machines / "bad.toml").write_text('name = "TB2\n')
    capsys.readouterr()
    assert main(["machines"]) == 0
    screen = capsys.readouterr()
    found = rows(screen.out)
    assert ["TB1", "yours", "TB1.toml", "6 MV FFF", "generic"] in found
    assert ["GEN6", "yours", "own.toml", "6 MV", "calibrated"] in found
    assert ["GEN6", "shipped, yours is used", "gen6.toml", "6 MV", "generic"] in found
    assert ["?", "yours", "bad.toml", "", "cannot be read"] in found and "bad.toml" in screen.err
    assert ["GEN-M120", "shipped", "gen_m120.toml", "6 MV", "generic"] in found
    assert (
        found[found.index(["GEN-M120", "shipped", "gen_m120.toml", "6 MV", "generic"]) + 1][3] == "6 MV FFF"
    )


@pytest.mark.parametrize(
    ("energies", "labels"),
    [
        (None, ["6 MV", "6 MV FFF"]),
        ("6", ["6 MV"]),
        ("6X", ["6 MV"]),
        ("6xfff", ["6 MV FFF"]),
        ("6 MV FFF, 6 MV", ["6 MV", "6 MV FFF"]),
    ],
)
def test_new(machines, energies, labels, capsys):
    argv = ["machine", "new", "True Beam 1", "--from", "GEN-M120"]
    assert main(argv + (["--energies", energies] if energies else [])) == 0
    machine, source = read_machine(machines / "True_Beam_1.toml"), read_machine(SHIPPED / "gen_m120.toml")
    assert machine.name == "True Beam 1" and machine.collimators == source.collimators
    by_label = {quality.label: quality for quality in source.energies}
    assert list(machine.energies) == [by_label[label] for label in labels]
    assert machine.path.read_text().startswith("# True Beam 1: made from GEN-M120 by `mcverify machine new`")
    assert "MU definition first" in capsys.readouterr().out


def test_new_with_phase_spaces(machines, tmp_path):
    """Shipped ones are copied, so that the machine outlives an installation; others stay where they are."""
    assert main(["machine", "new", "B2", "--from", "GEN6FFF"]) == 0
    copied, source = read_machine(machines / "B2.toml"), read_machine(SHIPPED / "gen6fff.toml")
    assert copied.energies[0].calibration == source.energies[0].calibration
    assert beam_model(copied, copied.energies[0], {}).state == "generic"
    for one, other in zip(copied.energies[0].phase_spaces, source.energies[0].phase_spaces, strict=True):
        assert one.file.parent == machines / "phase-space"
        assert open_phase_space(one.file).sha256 == open_phase_space(other.file).sha256
    path = write_above_machine(tmp_path / "other", calibrated=False)
    block = dict.fromkeys(("date", "fields", "criterion", "criteria", "version", "sha256"), "2026-11-12")
    path.write_text(
        path.read_text() + table("[energies.commissioned]", scans=1, passing_percent=99.0, **block)
    )
    assert main(["machine", "new", "T2", "--from", str(path)]) == 0
    stated = tomllib.loads((machines / "T2.toml").read_text())["energies"][0]
    assert stated["phase_spaces"][0]["file"] == str(tmp_path / "other" / "above")
    assert "commissioned" not in stated


REFUSED = {
    "taken": (["TB1", "--from", "GEN6"], "TB1.toml: describes TB1 already"),
    "taken by another file": (["TB9", "--from", "GEN6"], "nine.toml: describes TB9 already"),
    "no such machine": (["X", "--from", "GEN-M12O"], "did you mean 'GEN-M120'"),
    "no such beam": (
        ["X", "--from", "GEN6", "--energies", "6FFF"],
        "energy '6FFF': GEN6 has no such beam (it has 6)",
    ),
    "no such energy": (["X", "--from", "GEN6", "--energies", "15"], "has no such beam (it has 6)"),
    "a path": (["a/b", "--from", "GEN6"], "is no machine name"),
    "a quote": (['a"b', "--from", "GEN6"], "is no machine name"),
    "empty": (["  ", "--from", "GEN6"], "is no machine name"),
    "no source": (["X"], "--from"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_new_refuses(machines, capsys, case):
    assert main(["machine", "new", "TB1", "--from", "GEN6"]) == 0
    (machines / "nine.toml").write_text((machines / "TB1.toml").read_text().replace("TB1", "TB9"))
    before = sorted(machines.iterdir())
    arguments, message = REFUSED[case]
    assert main(["machine", "new", *arguments]) == 2
    assert message in capsys.readouterr().err and sorted(machines.iterdir()) == before


def test_inspect_by_name_and_file(machines, capsys):
    for argument in ("GEN-M120", str(SHIPPED / "gen_m120.toml")):
        assert main(["inspect", argument]) == 0
        text = capsys.readouterr().out
        assert "Machine GEN-M120" in text and "GEN-M120 6 MV FFF" in text
        assert "1 MU = 1 cGy in water, SSD 100 cm, depth 1.5 cm, field 10 x 10 cm" in text
        found = dict(row for row in rows(text) if len(row) == 2)
        assert found["Y jaws"].startswith("27.94 to 35.71 cm, tungsten_alloy_95")
        assert found["MLC"].startswith("60 pairs along X, 5 and 10 mm wide, 47.65 to 54.35 cm")
        assert found["head"].startswith("6 MeV, spot radius 0.6 mm: target, target backing")
        assert (
            found["calibration"].startswith("none in the file") and found["state of the model"] == "generic"
        )
    assert main(["inspect", "GEN6FFF"]) == 0
    assert "5.4260e+13 electrons per MU" in capsys.readouterr().out
    assert main(["inspect", "GEN-CONES"]) == 0
    assert "depth 1.5 cm, field cone of" in capsys.readouterr().out
    assert main(["inspect", "GEN-M12O"]) == 2
    assert "no such file or folder, and no machine file of this name (did you mean" in capsys.readouterr().err
    assert main(["inspect", "none.dcm"]) == 2
    assert capsys.readouterr().err.strip() == "mcverify: none.dcm: no such file or folder"


@pytest.fixture
def heads(tmp_path, monkeypatch):
    """A cache with two heads, an unfinished one and what belongs to something else."""
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path / "cache"))
    write_above_machine(tmp_path / "linac", calibrated=False)
    for folder in ("a" * 32, "b" * 32, ".partial-1-" + "c" * 32, "d" * 32):
        (cache_folder() / folder).mkdir(parents=True)
    for folder in ("a" * 32, "b" * 32):
        for suffix in (".IAEAheader", ".IAEAphsp"):
            data = (tmp_path / "linac" / f"above{suffix}").read_bytes()
            (cache_folder() / folder / f"head_6MVFFF{suffix}").write_bytes(data)
    (cache_folder() / ("d" * 32) / "g6fff_5x5_below.IAEAphsp").write_bytes(b"x")
    return cache_folder()


def test_heads_are_listed_and_removed(heads, capsys):
    assert main(["heads"]) == 0
    text = capsys.readouterr().out
    found = {row[0]: row for row in rows(text)}
    assert set(found) == {"aaaaaaaa", "bbbbbbbb", "partial-1-" + "c" * 32}
    assert found["aaaaaaaa"][2] == "3,000" and found["partial-1-" + "c" * 32][2] == "unfinished"
    assert "3 in all" in text
    assert main(["heads", "--remove", "aaaaaaaa", "zz"]) == 2
    assert "head 'zz': is not in the cache" in capsys.readouterr().err and len(cached_heads()) == 3
    assert main(["heads", "--remove", "aaaaaaaa"]) == 0
    assert re.search("removed aaaaaaaa", capsys.readouterr().out)
    assert {path.name[0] for path in heads.iterdir()} == {"b", ".", "d"}
    assert main(["heads", "--remove", "all"]) == 0
    # what another process may be making is left, until nobody has worked on it for a day
    assert {path.name[0] for path in heads.iterdir()} == {".", "d"}
    os.utime(heads / (".partial-1-" + "c" * 32), (1e9, 1e9))
    assert main(["heads", "--remove", "all"]) == 0
    assert {path.name[0] for path in heads.iterdir()} == {"d"}

"""`mcverify inspect` knows every file that mcverify reads."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from phantoms.kinds import kind_of
from phantoms.schema import read_table
from tests.synthetic_film import Scanner, write_tiff
from tests.validation.commission.linac import write_scans
from validation.cli import main
from validation.limits.profiles import load_profile

ROOT = Path(__file__).parents[3]
FORMATS = ROOT / "docs" / "formats.md"


def shown(capsys, path) -> str:
    """What `inspect` prints of a file, in one line."""
    assert main(["inspect", str(path)]) == 0
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("validation/data/profiles/spine.toml", "profile, Spine stereotactic"),
        ("validation/data/commissioning/default.toml", "criteria of a commissioning, Beam model"),
        ("phantoms/data/phantoms/water.toml", "phantom, "),
        ("phantoms/data/ct/opentps-4.toml", "CT calibration opentps-4"),
        ("phantoms/data/materials.toml", "titanium"),
        ("mc/data/machines/gen6.toml", "GEN6"),
    ],
)
def test_what_is_shipped(capsys, path, says):
    assert says in shown(capsys, ROOT / path)


def test_every_kind_is_known_by_its_own_keys():
    kinds = {
        "profile": "validation/data/profiles",
        "machine file": "mc/data/machines",
        "CT calibration": "phantoms/data/ct",
        "phantom": "phantoms/data/phantoms",
        "commissioning criteria": "validation/data/commissioning",
    }
    for kind, folder in kinds.items():
        files = list((ROOT / folder).glob("*.toml"))
        assert files and {kind_of(read_table(path)) for path in files} == {kind}


def test_scans_of_a_water_tank(tmp_path, capsys):
    folder = write_scans(tmp_path / "scans")
    (folder / "scans.toml").write_text("detector_radius_cm = 0.3\n")
    (folder / "notes.pdf").write_text("x")
    for path in (folder, folder / "scans.csv", folder / "scans.toml"):
        text = shown(capsys, path)
        assert re.search(r"PDD 5 x 5 cm \S+ 6 FFF \S+ 0.00 to 15.00 \S+ 31 \S+ 90", text), text
    main(["inspect", str(folder)])
    assert "not read: notes.pdf" in capsys.readouterr().err


def test_films_and_their_list(tmp_path, capsys):
    scanner = Scanner(200, 150, 50.0)
    film = np.zeros((150, 200), bool)
    film[20:130, 10:80] = film[20:130, 110:190] = True
    write_tiff(tmp_path / "a.tif", scanner.scan(np.where(film, 2.0, 0.0), film, 1), scanner.dpi)
    text = shown(capsys, tmp_path / "a.tif")
    assert "200 x 150" in text and "50 dpi" in text and "Films seen: 2" in text
    assert "10,20,80,130" in text and "110,20,190,130" in text
    (tmp_path / "films.toml").write_text('scans = ["a.tif", "b.tif"]\n[[films]]\ndose_gy = 0.5\n')
    assert main(["inspect", str(tmp_path / "films.toml")]) == 0
    said = capsys.readouterr()
    assert "0.5" in said.out and "found on the bed" in said.out and "b.tif: no such scan" in said.err


def test_a_profile_in_full_with_the_unit_of_its_volumes(tmp_path, capsys):
    path = tmp_path / "own.toml"
    path.write_text('[[constraint]]\norgan = "lungs"\nmetric = "V20Gy"\nfractions = "any"\nlimit = 30\n')
    text = shown(capsys, path)
    assert "V20Gy <= 30 %" in text and "any" in text
    assert "V20Gy is in % of the structure; write V20Gy[cc] for cc" in text


def test_a_configuration_and_what_is_none(tmp_path, capsys):
    (tmp_path / "config.toml").write_text("name = true\nthreads = 2\n")
    assert "name in reports" in shown(capsys, tmp_path / "config.toml")
    (tmp_path / "x.toml").write_text("qqq = 1\n")
    (tmp_path / "x.doc").write_text("text")
    for name, says in (("x.toml", "is of no known kind: its entries are qqq"), ("x.doc", "of no known kind")):
        assert main(["inspect", str(tmp_path / name)]) == 2
        assert says in capsys.readouterr().err


def test_the_minimal_profile_of_the_documentation_runs(tmp_path, bench, capsys):
    """The first example of its section is a whole profile, by which doses are judged."""
    section = FORMATS.read_text().partition("\n## Profile\n")[2].partition("\n## ")[0]
    (tmp_path / "own.toml").write_text(re.search(r"```toml\n(.*?)```", section, re.DOTALL)[1])
    profile = load_profile(tmp_path / "own.toml")
    assert len(profile.constraints) == 1 and profile.constraints[0].applies(7)
    argv = ["dvh", "case/RTDOSE.dcm", "case/RTSTRUCT.dcm", "--fractions", "4", "--profile"]
    assert main([*argv, str(tmp_path / "own.toml")]) == 0
    assert "no structure is named as cord" in capsys.readouterr().err

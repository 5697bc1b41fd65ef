"""`mcverify dvh` on DICOM files whose DVH is known by hand."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from mc.plan.rtplan import read_plan
from phantoms.grid import Grid
from tests.dicom_factory import Contours, Uids, rectangle, write_dose, write_plan, write_structures
from validation.cli import main

GRID = Grid((20, 24, 40), (0.2, 0.25, 0.2), (-1.93, -2.88, -3.87))
PROFILE = """
title = "hand"
status = "made for a test"
source = "hand"
max_voxel_mm = 2.0
max_sigma_percent = 1.0
flip = "fail"
flip_sigmas = 2.0
"""
PLANES = np.arange(-7, 8, 2) * 0.1  # -0.8 to 0.8


def box(name, x, y):
    return Contours(name, [rectangle(x, y, z) for z in PLANES])


def write(folder: Path, slope=10.0, name="RTDOSE.dcm", **options) -> Path:
    """20 Gy at x = 0 and `slope` Gy/cm along x."""
    dose = np.broadcast_to(20 + slope * GRID.centres(2) * 0.4, GRID.shape)
    return write_dose(folder, GRID, dose, name=name, **options)


@pytest.fixture
def case(tmp_path, monkeypatch):
    """Cord: 1 x 1 x 1.6 cm about x = 0, so 4 Gy/cm from 18 to 22 Gy; a liver beside it."""
    monkeypatch.chdir(tmp_path)
    structures = [
        box("Spinal-Cord", (-0.5, 0.5), (-0.5, 0.5)),
        box("Liver", (1.0, 3.0), (-2.0, 2.0)),
        Contours("Cauda", []),
    ]
    write_structures(tmp_path, structures)
    write(tmp_path)
    return tmp_path


def limits(*rows):
    text = PROFILE
    for organ, metric, limit, more in rows:
        text += f'[[constraint]]\norgan = "{organ}"\nmetric = "{metric}"\nfractions = 3\n'
        text += f'limit = {limit}\nsource = "hand"\n{more}\n'
    Path("hand.toml").write_text(text)
    return ["--profile", "hand.toml", "--fractions", "3", "--out", "found"]


def test_points_of_the_dvh_known_by_hand(case, capsys):
    """D(v) = 22 - 4 v / 1.6 Gy in the cord, within 0.01 Gy; volumes within 0.5 %."""
    argv = ["dvh", "RTDOSE.dcm", "RTSTRUCT.dcm", "--prescription", "20Gy"]
    more = "D0.35cc,D1.2cc,D10%,V21Gy[cc],V100%,CV19Gy,DC0.4cc"
    assert main([*argv, "--metrics", more, "--out", "found.json"]) == 0
    said = capsys.readouterr()
    record = json.loads(Path("found.json").read_text())
    cord = record["structures"][0]
    assert cord["name"] == "Spinal-Cord" and cord["volume_cc"] == pytest.approx(1.6, rel=1e-3)
    found = {metric["name"]: metric["value"] for metric in cord["metrics"][0]}
    doses = {"Dmean": 20, "D50%": 20, "D0.03cc": 22 - 4 * 0.03 / 1.6, "D0.35cc": 22 - 4 * 0.35 / 1.6}
    doses |= {"D1.2cc": 19, "D10%": 21.6, "D98%": 18.08, "DC0.4cc": 19, "D95%": 18.2, "D2%": 21.92}
    for name, value in doses.items():
        assert found[name] == pytest.approx(value, abs=0.01), name
    volumes = {"V21Gy[cc]": 0.4, "V100%": 50, "CV19Gy": 0.4}
    for name, value in volumes.items():
        assert found[name] == pytest.approx(value, rel=5e-3), name
    assert cord["organs"] == [{"organ": "cord", "matched_by": "spinalcord*"}]
    assert record["not_evaluated"] == {"Cauda": "has no contours"} and "--fractions" in said.err
    assert Path("found.png").read_bytes()[:4] == b"\x89PNG" and "Spinal-Cord" in said.out
    curve = np.interp(21, record["curve_dose_gy"], cord["curve_percent"][0])
    assert curve == pytest.approx(25, abs=0.2)


def test_limits_of_one_dose(case, capsys):
    options = limits(
        ("cord", "D0.35cc", 21.2, ""),
        ("cord", "D0.35cc", 21.0, ""),
        ("cord", "D0.03cc", 22.5, "prv_mm = 2"),
        ("cord", "Dmin", 17.0, ""),
        ("liver", "CV28Gy", 5.0, ""),
        ("cauda equina", "D5cc", 10.0, ""),
        ("oesophagus", "D5cc", 10.0, ""),
    )
    assert main(["dvh", "RTDOSE.dcm", "RTSTRUCT.dcm", *options]) == 1
    said = capsys.readouterr()
    rows = json.loads(Path("found.json").read_text())["limits"]
    assert [row["kept"] for row in rows] == [False, False, True, True, True, None, None]
    by_metric = {(row["metric"], row["limit"]): row for row in rows}
    assert by_metric["D0.35cc", 21.2]["margin"] == pytest.approx(21.2 - 21.125, abs=0.01)
    # 2 mm wider, 22.8 Gy at its end, which is a face of 1 x 1.6 cm with a rounded edge
    expected = 22.8 - 4 * 0.03 / (1.0 * 1.6)
    assert by_metric["D0.03cc", 22.5]["value"] == pytest.approx(expected, abs=0.04)
    assert by_metric["CV28Gy", 5.0]["relation"] == ">="
    assert by_metric["CV28Gy", 5.0]["value"] == pytest.approx(4 * 1.6, rel=5e-3)
    assert "BROKEN" in said.out and "oesophagus" in said.err
    notes = {row["organ"]: row["note"] for row in rows if row["kept"] is None}
    assert "no contours" in notes["cauda equina"] and "no structure" in notes["oesophagus"]


def test_two_doses_and_a_flip(case, capsys):
    """The other dose rises twice as steeply: D0.35cc from 21.125 to 22.25 Gy."""
    write(case, slope=20.0, name="other.dcm")
    options = limits(("cord", "D0.35cc", 22.0, ""), ("cord", "D50%", 21.0, ""))
    argv = ["dvh", "RTDOSE.dcm", "RTSTRUCT.dcm", "--compare", "other.dcm", *options]
    assert main(argv) == 1
    first, second = json.loads(Path("found.json").read_text())["limits"]
    assert first["outcome"] == "flip" and first["flip"] and second["outcome"] == "kept by both"
    assert (first["plan"], first["mc"]) == pytest.approx((21.125, 22.25), abs=0.01)
    assert (first["plan_margin"], first["margin"]) == pytest.approx((0.875, -0.25), abs=0.01)
    assert re.search(r"flip", capsys.readouterr().out)


def test_a_fraction_dose_is_made_that_of_the_course(case, capsys):
    write(case, summation="FRACTION")
    assert main(["dvh", "RTDOSE.dcm", "RTSTRUCT.dcm", "--out", "one"]) == 0
    assert "dose of one fraction" in capsys.readouterr().err
    assert main(["dvh", "RTDOSE.dcm", "RTSTRUCT.dcm", "--fractions", "3", "--out", "three"]) in (0, 1)
    means = [
        json.loads(Path(f"{name}.json").read_text())["structures"][0]["metrics"][0][0]["value"]
        for name in ("one", "three")
    ]
    assert means[1] == pytest.approx(3 * means[0]) and means[0] == pytest.approx(20, abs=0.01)


def test_fractions_and_prescription_of_the_plan(case, capsys):
    write_plan(case, fractions=5)
    argv = ["dvh", "RTDOSE.dcm", "RTSTRUCT.dcm", "--plan", "RTPLAN.dcm", "--out", "found"]
    assert main(argv) in (0, 1)
    record = json.loads(Path("found.json").read_text())
    assert record["fractions"] == 5 and {row["fractions"] for row in record["limits"]} == {5}
    assert record["prescription_gy"] == pytest.approx(read_plan(Path("RTPLAN.dcm")).prescriptions[0].dose)
    assert main([*argv, "--fractions", "3"]) in (0, 1)
    assert json.loads(Path("found.json").read_text())["fractions"] == 3


@pytest.mark.parametrize(
    "options, message",
    [
        (["--metrics", "D5"], "is not understood"),
        (["--profile", "nowhere"], "profile nowhere: is no profile of mcverify"),
        (["--prescription", "20"], "such as 20Gy"),
        (["--fractions", "0"], "not above 0"),
        (["--out", "nowhere/found"], "cannot be written to"),
    ],
)
def test_what_is_refused(case, capsys, options, message):
    assert main(["dvh", "RTDOSE.dcm", "RTSTRUCT.dcm", *options]) == 2
    assert message in capsys.readouterr().err


def test_files_that_do_not_belong_together_are_refused(case, capsys):
    write_dose(case, GRID, uids=Uids(frame="1.2.3"), name="elsewhere.dcm")
    assert main(["dvh", "elsewhere.dcm", "RTSTRUCT.dcm"]) == 2
    assert "frame of reference" in capsys.readouterr().err
    far = Grid((3, 3, 3), (0.2, 0.2, 0.2), (50.0, 50.0, 50.0))
    write_dose(case, far, name="far.dcm")
    assert main(["dvh", "far.dcm", "RTSTRUCT.dcm"]) == 2
    assert "no structure can be evaluated" in capsys.readouterr().err
    assert main(["dvh", "RTSTRUCT.dcm", "RTSTRUCT.dcm"]) == 2

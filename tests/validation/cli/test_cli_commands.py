"""The other commands, the options and the help."""

from __future__ import annotations

import importlib
import json
import re
import tomllib
from argparse import ArgumentTypeError
from pathlib import Path

import numpy as np
import pydicom
import pytest

from mc import __version__
from mc.dose import Dose
from phantoms.grid import Grid
from phantoms.hu import calibration_names
from tests.dicom_factory import GRID, circle, rectangle, write_case
from tests.dicom_factory import Contours as Structure
from tests.mc.small_linac import judged, plan, write_machine
from validation.cli import main, units
from validation.limits.profiles import DEFAULT, shipped_profiles
from validation.rtdose import read_rtdose, write_rtdose
from validation.workflow import output


def test_calibrate(bench, capsys):
    path = write_machine(bench / "raw", calibrated=False)
    argv = ["calibrate", str(path), "--uncertainty", "0.001%", "--max-time", "1s", "--out", "block.toml"]
    assert main(argv) == 0
    said = capsys.readouterr()
    assert "short of 0.001 %" in said.err and "[energies.calibration]" in said.out
    block = tomllib.loads(Path("block.toml").read_text())["energies"]["calibration"]
    assert block["gy_per_history"] > 0 and block["version"] == __version__
    path.write_text(path.read_text() + "\n" + Path("block.toml").read_text())
    assert main(["inspect", str(path)]) == 0
    assert f"{block['gy_per_history']:.4e} Gy per history" in capsys.readouterr().out


def small_dose(path: Path, scale: float = 1.0) -> Path:
    grid = Grid((8, 8, 8), (0.2, 0.2, 0.2), (0.0, 0.0, 0.0))
    values = scale * np.linspace(1.0, 2.0, 8)[:, None, None] * np.ones(grid.shape)
    write_rtdose(path, values, grid)
    return path


def test_gamma(bench, capsys):
    reference, evaluated = small_dose(bench / "a.dcm"), small_dose(bench / "b.dcm", 1.03)
    argv = ["gamma", str(reference), str(evaluated), "--criterion", "2%/0.001mm", "--out", "gamma.json"]
    argv.append("--unrelated")  # doses without a template have frames of reference of their own
    assert main(argv) == 0
    said = capsys.readouterr().out
    record = json.loads(Path("gamma.json").read_text())
    # 3 % of the local dose within 2 % of the maximum, 2 Gy: local doses up to 1.333 Gy, 3 layers of 8
    assert record["voxels"] == 512 and record["voxels_passed"] == 192
    assert record["passing_percent"] == pytest.approx(37.5) and "37.500 %" in said
    assert re.search(r"reference\W+.*a\.dcm", said) and re.search(r"evaluated\W+.*b\.dcm", said)
    assert main([*argv, "--local"]) == 0
    assert json.loads(Path("gamma.json").read_text())["voxels_passed"] == 0
    assert main([*argv, "--tolerance", "37%"]) == 0
    assert main([*argv, "--tolerance", "38%"]) == 1
    assert main([*argv, "--threshold", "90%"]) == 0
    assert json.loads(Path("gamma.json").read_text())["voxels"] == 128


def test_gamma_of_a_dose_file_within_a_structure(bench, capsys):
    dose = read_rtdose("case/RTDOSE.dcm")
    Dose(dose.grid, dose.dose, 0 * dose.dose, 0.0).save("mc.h5")
    argv = ["gamma", "case/RTDOSE.dcm", "mc.h5", "--structure-file", "case/RTSTRUCT.dcm"]
    assert main([*argv, "--structure", "PTV", "--out", "gamma.json"]) == 0
    record = json.loads(Path("gamma.json").read_text())
    assert record["structure"] == "PTV" and record["passing_percent"] == 100.0
    # 1.2 cm square of 2 x 2.5 mm voxels on the slices within 0.6 cm of the isocentre
    assert record["voxels"] == 6 * 5 * np.count_nonzero(np.abs(GRID.centres(0)) < 0.6)


def test_inspect_shows_every_kind_of_file(bench, capsys):
    assert judged(plan())
    for path, says in {
        "case": "RTPLAN TEST",
        "case/RTPLAN.dcm": "TESTLINAC",
        "case/RTSTRUCT.dcm": "PTV",
        "case/RTDOSE.dcm": "20 x 16 x 12",
        "case/CT.003.dcm": "CT series",
        "machine/linac.toml": "Machine TESTLINAC",
        "machine/field5": "3,000 of them|1,500 of them",
        "machine/field5.IAEAphsp": "IAEA phase space",
        "out": "verdict",
        "out/dose.h5": "transport sigma",
        "out/RTDOSE.dcm": "RTDOSE",
    }.items():
        capsys.readouterr()
        assert main(["inspect", path]) == 0, path
        assert re.search(says, capsys.readouterr().out), path


@pytest.mark.parametrize(("stated", "said"), [(0.0123, "1.23 %"), (None, "unknown")])
def test_inspect_shows_the_latent_sigma_of_the_run(tmp_path, capsys, stated, said):
    """Not that of the map, which is cut at 0 voxel by voxel."""
    grid = Grid((2, 2, 2), (0.2, 0.2, 0.2), (0.0, 0.0, 0.0))
    one = np.ones(grid.shape)
    Dose(grid, one, 0.01 * one, 0.5, {"latent_uncertainty": stated}).save(tmp_path / "dose.h5")
    assert main(["inspect", str(tmp_path / "dose.h5")]) == 0
    shown = capsys.readouterr().out
    assert re.search(rf"latent sigma\W+{said}", shown) and "latent_uncertainty" not in shown


def test_inspect_shows_volumes(tmp_path, capsys):
    ball = [circle(1.0, z, (3.0, -1.0)) for z in GRID.centres(0)[3:9]]
    box = [rectangle((1.2, 4.8), (-2.9, 0.9), z) for z in GRID.centres(0)]
    write_case(tmp_path, structures=[Structure("BODY", box, "EXTERNAL"), Structure("Rod [left]", ball)])
    assert main(["inspect", str(tmp_path / "RTSTRUCT.dcm")]) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if "Rod [left]" in line)
    assert f"{np.pi * 6 * 0.3:.2f}" in row


def test_inspect_says_what_plan_would_refuse(bench, capsys):
    data = pydicom.dcmread("case/RTPLAN.dcm")
    data.BeamSequence[0].RadiationType = "ELECTRON"
    data.save_as("case/RTPLAN.dcm")
    assert main(["inspect", "case/RTPLAN.dcm"]) == 0
    said = capsys.readouterr()
    assert "RTPLAN" in said.out and "would refuse it" in said.err and "ELECTRON" in said.err


def test_warmup(capsys):
    assert main(["warmup"]) == 0
    assert "kernels ready" in capsys.readouterr().out


def test_help_teaches(capsys):
    for command in ([], ["plan"], ["demo"], ["calibrate"], ["gamma"], ["inspect"], ["warmup"]):
        with pytest.raises(SystemExit) as ended:
            main([*command, "--help"])
        assert ended.value.code == 0
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.endswith(f"mcverify {__version__}\n")


def test_help_names_what_is_shipped(capsys):
    with pytest.raises(SystemExit):
        main(["plan", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert all(name in text for name in (*shipped_profiles(), *calibration_names()))
    assert f"(default: {DEFAULT}, or that of config.toml)" in text
    assert importlib.import_module("mc.compute.plan_dose").DEFAULT_CURVE in text


@pytest.mark.parametrize(
    ("reader", "text", "value"),
    [
        (units.percentage, "1%", 0.01),
        (units.percentage, " 0.5 % ", 0.005),
        (units.share, "10%", 10.0),
        (units.voxel_side, "2.5mm", 0.25),
        (units.voxel_side, "0.25cm", 0.25),
        (units.duration, "90s", 90.0),
        (units.duration, "5min", 300.0),
        (units.duration, "2h", 7200.0),
        (units.count, "1e9", 10**9),
        (units.count, "1_000", 1000),
        (units.seed, "9007199254740993", 9007199254740993),
    ],
)
def test_units(reader, text, value):
    assert reader(text) == pytest.approx(value, rel=1e-15) and type(reader(text)) is type(value)


@pytest.mark.parametrize("text", ["1", "%", "1%%", "nan%", "1e400%", "mm", "1 m", "--1%", "1%1%"])
def test_units_refuse(text):
    for reader in (units.percentage, units.share, units.voxel_side, units.duration):
        with pytest.raises(ArgumentTypeError, match="write"):
            reader(text)


def test_default_folder_suits_a_file_system():
    assert output.default_folder("L1 / boost: 3x8", "0a1b") == Path("mcverify-result/L1_boost_3x8-0a1b")
    assert output.default_folder("../..", "not stated") == Path("mcverify-result/plan")

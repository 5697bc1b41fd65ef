"""`mcverify plan RTPLAN --phantom`: phantoms from files, the dose of a plan in them, what is refused."""

import json
import re

import numpy as np
import pytest
from pydicom import dcmread

from mc.dose import Dose
from phantoms.errors import InputError
from phantoms.phantom_file import find_phantom, read_phantom_file
from tests.dicom_factory import Field, write_plan
from tests.mc.small_linac import write_above_machine
from validation.cli import main

SMALL = """
title = "a small box"
size_cm = [10.0, 12.0, 8.0]
voxel_cm = [1.0, 1.0, 0.5]
isocentre_cm = [5.0, 6.0, 4.0]
material = "pmma"

[[slabs]]
from_cm = 2.0
to_cm = 3.0
material = "lung_icru44"

[[boxes]]
lower_cm = [0.0, 0.0, 7.5]
upper_cm = [1.0, 12.0, 8.0]
material = "titanium"
density = 4.5
"""


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "box.toml").write_text(SMALL)
    write_above_machine(tmp_path / "machine")
    field = Field(jaws=(-2, 2, -2, 2), leaves=[-5.0] * 10 + [5.0] * 10, boundaries=np.arange(-5, 6.0))
    write_plan(tmp_path, [field])
    (name,) = tmp_path.glob("*.dcm")
    return ["plan", name.name, "--phantom", "box.toml", "--machine", "machine/linac.toml", "--out", "out",
            "--histories", "6000", "--threads", "1"]  # fmt: skip


def test_places_of_a_phantom(tmp_path):
    (tmp_path / "box.toml").write_text(SMALL)
    phantom = read_phantom_file(tmp_path / "box.toml").about((1.0, 2.0, 3.0))
    assert phantom.grid.shape == (16, 12, 10)
    assert phantom.grid.lower == pytest.approx([-1.0, -4.0, -4.0])
    names = np.array([material.name for material in phantom.materials])[phantom.material]
    assert (names[:, 2, 1:] == "lung_icru44").all() and (names[:15, 3] == "pmma").all()
    assert (names[15, :, 0] == "titanium").all() and (names == "titanium").sum() == 12  # boxes win
    assert phantom.density[15, 0, 0] == np.float32(4.5)


@pytest.mark.parametrize("name", ["water", "slabs", "film"])
def test_shipped_phantoms(name):
    chosen = find_phantom(name)
    phantom = chosen.about((0.0, 0.0, 0.0))
    inside = np.rint(phantom.grid.index((0.0, 0.0, 0.0))).astype(int)
    assert all(0 <= i < n for i, n in zip(inside, phantom.grid.shape, strict=True))
    assert chosen.title in (chosen.path.read_text())
    if name == "film":  # the film plane runs through the middle of voxels
        assert np.abs(phantom.grid.centres(1)).min() < 1e-9


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("size_cm = [10.0", "size_cm = [10.3", "no whole number of voxels of 1 cm"),
        ("to_cm = 3.0", "to_cm = 3.5", "to_cm: 3.5 cm along y is no whole number"),
        ("to_cm = 3.0", "to_cm = 30.0", "2 to 30 cm is no part of 0 to 12 along y"),
        ("to_cm = 3.0", "to_cm = 1.0", "2 to 1 cm is no part"),
        ("pmma", "plexiglass", "'plexiglass' is unknown"),
        ("voxel_cm = [1.0, 1.0, 0.5]", "voxel_cm = [1.0, 1.0]", "one number, or three"),
        ("voxel_cm = [1.0, 1.0, 0.5]", "voxel_cm = [0.001]", "more than 500,000,000 voxels"),
        ("title", "titel", "titel"),
    ],
)
def test_phantoms_that_are_refused(tmp_path, old, new, words):
    (tmp_path / "box.toml").write_text(SMALL.replace(old, new, 1))
    with pytest.raises(InputError, match=words):
        read_phantom_file(tmp_path / "box.toml")


def test_a_plan_in_a_phantom(bench, capsys):
    """Dose, RTDOSE and result agree, lie about the plan's isocentre, and the RTDOSE names the plan."""
    assert main(bench) == 0
    said = capsys.readouterr().out
    assert "in a small box" in said and "dose about the isocentre" in said
    stated = json.loads(open("out/result.json").read())
    dose, rtdose, rtplan = Dose.load("out/dose.h5"), dcmread("out/RTDOSE.dcm"), dcmread(bench[1])
    assert rtdose.ReferencedRTPlanSequence[0].ReferencedSOPInstanceUID == rtplan.SOPInstanceUID
    assert rtdose.FrameOfReferenceUID == rtplan.FrameOfReferenceUID
    (place,) = stated["isocentres"]
    iso = np.array(rtplan.BeamSequence[0].ControlPointSequence[0].IsocenterPosition, float)
    assert place["at_mm"] == pytest.approx(list(iso)) and place["mean_gy"] > 0
    middle = 0.5 * (dose.grid.lower + dose.grid.upper)[::-1] * 10.0
    assert middle == pytest.approx(iso)
    assert stated["maximum_gy"] == pytest.approx(dose.mean.max(), rel=1e-6)
    scaled = rtdose.pixel_array * float(rtdose.DoseGridScaling)
    assert scaled.max() == pytest.approx(dose.mean.max(), rel=1e-6)
    assert main(["inspect", "out"]) == 0
    assert "a small box" in capsys.readouterr().out

    again = [*bench, "--dose", "out/RTDOSE.dcm", "--criterion", "1%/1mm"]
    again[again.index("out")] = "second"
    assert main(again) == 0
    assert re.search(r"passing rate\s*\S\s*100.000 %", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda argv: argv[:2] + argv[4:], "for a plan alone name a phantom"),
        (lambda argv: ["plan", ".", *argv[2:]], "with --phantom name the RTPLAN itself"),
        (lambda argv: [*argv, "--profile", "spine"], "--profile: is of a patient"),
        (lambda argv: [*argv, "--dose", "nowhere.dcm"], "nowhere.dcm"),
        (lambda argv: [*argv[:3], "steel", *argv[4:]], "shipped: film, slabs, water"),
        (lambda argv: ["plan", ".", "--dose", "a.dcm"], "--dose: goes with --phantom alone"),
    ],
)
def test_refusals(bench, capsys, change, words):
    assert main(change(bench)) == 2
    assert words in capsys.readouterr().err

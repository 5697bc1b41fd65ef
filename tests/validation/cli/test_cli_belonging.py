"""`gamma`, `dvh` and `inspect`: one rule for whom files are of, what they state, and which doses are none."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pydicom.dataset import Dataset

from phantoms.grid import Grid
from tests.dicom_factory import (
    GRID,
    Contours,
    Uids,
    body_box,
    rectangle,
    write_case,
    write_dose,
    write_plan,
    write_structures,
)
from validation.cli import main

DOSE = 20.0 + np.add.outer(np.add.outer(np.zeros(12), np.arange(16.0)), np.arange(20.0)) / 10
PTV = Contours("PTV", [rectangle((2.0, 4.0), (-2.0, 0.0), z) for z in GRID.centres(0)[3:9]], "PTV")
OTHER = {"patient": Uids(patient="SOMEBODY-ELSE"), "frame of reference": Uids(frame="1.2.3")}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_case(tmp_path, structures=[body_box(GRID), PTV])
    write_dose(tmp_path, dose=DOSE)
    return tmp_path


def run(capsys, *argv: str) -> tuple[int, str]:
    """Exit code, and all that was printed on one line."""
    code = main(list(argv))
    printed = capsys.readouterr()
    return code, " ".join((printed.out + printed.err).split())


@pytest.mark.parametrize("what", OTHER)
@pytest.mark.parametrize("command", [("gamma", "RTDOSE.dcm"), ("dvh",)])
def test_files_of_others_are_refused_unless_they_are_said_to_be(here, capsys, command, what):
    write_dose(here, dose=DOSE, uids=OTHER[what], name="other.dcm")
    name, *first = command
    argv = [name, *first, "other.dcm", *(["RTSTRUCT.dcm"] if name == "dvh" else [])]
    code, text = run(capsys, *argv)
    assert code == 2 and f"has {what}" in text and "--unrelated" in text
    code, text = run(capsys, *argv, "--unrelated")
    assert code == 0 and f"state another {what}" in text and "SOMEBODY" not in text


@pytest.mark.parametrize(
    "argv",
    [
        ("dvh", "RTDOSE.dcm", "RTSTRUCT.dcm"),
        ("gamma", "RTDOSE.dcm", "RTDOSE.dcm", "--structure", "PTV", "--structure-file", "RTSTRUCT.dcm"),
    ],
)
def test_structures_are_those_in_the_frame_of_the_dose(here, capsys, argv):
    """Though the structure set has a body in another frame: of several, the dose decides."""

    def edit(data: Dataset) -> None:
        data.StructureSetROISequence[0].ReferencedFrameOfReferenceUID = "1.2.3"

    write_structures(here, [body_box(GRID), PTV], edit=edit)
    code, text = run(capsys, *argv)
    assert code == 0 and "PTV" in text


@pytest.mark.parametrize("argv", [("gamma", "RTDOSE.dcm", "other.dcm"), ("dvh", "other.dcm", "RTSTRUCT.dcm")])
def test_what_a_dose_states_is_a_warning_everywhere(here, capsys, argv):
    def edit(data: Dataset) -> None:
        data.SpatialTransformOfDose, data.TissueHeterogeneityCorrection = "NON_RIGID", "WATER"
        data.PatientID = ""

    write_dose(here, dose=DOSE, edit=edit, name="other.dcm")
    for one in (argv, ("inspect", "other.dcm")):
        code, text = run(capsys, *one)
        assert code == 0 and "NON_RIGID transform" in text and "correction WATER" in text
    assert "no patient is stated" in run(capsys, *argv)[1]
    (here / "RTDOSE.dcm").unlink()
    assert "NON_RIGID transform" in run(capsys, "inspect", ".")[1]


@pytest.mark.parametrize("dose", [0.0 * DOSE, 1e-25 * DOSE, 1e9 * DOSE])
def test_doses_that_no_treatment_has_keep_no_limit(here, capsys, dose):
    def edit(data: Dataset) -> None:
        if dose.any():
            data.DoseGridScaling = f"{dose.max() / 1e8:.6e}"
            data.PixelData = np.round(1e8 * dose / dose.max()).astype("<u4").tobytes()

    write_dose(here, dose=dose, edit=edit, name="none.dcm")
    for argv in (
        ("gamma", "none.dcm", "RTDOSE.dcm"),
        ("gamma", "RTDOSE.dcm", "none.dcm"),
        ("dvh", "none.dcm", "RTSTRUCT.dcm", "--fractions", "3"),
    ):
        code, text = run(capsys, *argv)
        assert code == 2 and "none.dcm: " in text and "(" in text
    code, text = run(capsys, "inspect", "none.dcm")
    assert code == 0 and "would refuse it" in text


def test_a_dvh_says_what_is_doubtful_about_its_plan(here, capsys):
    def edit(data: Dataset) -> None:
        data.ApprovalStatus = "REJECTED"
        data.DoseReferenceSequence[0].TargetPrescriptionDose = 900

    write_plan(here, edit=edit)
    code, text = run(capsys, "dvh", "RTDOSE.dcm", "RTSTRUCT.dcm", "--plan", "RTPLAN.dcm")
    assert code == 0 and "plan is REJECTED" in text and "900 Gy does not fit" in text
    write_plan(here, uids=Uids(plan="1.2.3"), name="other.dcm")
    assert (
        "dose of another plan" in run(capsys, "dvh", "RTDOSE.dcm", "RTSTRUCT.dcm", "--plan", "other.dcm")[1]
    )
    write_structures(here, [body_box(GRID), PTV], uids=Uids(structures="1.2.3"), name="others.dcm")
    write_dose(here, dose=DOSE, edit=drawn_on, name="drawn.dcm")
    assert "another structure set" in run(capsys, "dvh", "drawn.dcm", "others.dcm")[1]


def drawn_on(data: Dataset) -> None:
    item = Dataset()
    item.ReferencedSOPInstanceUID = Uids().structures
    data.ReferencedStructureSetSequence = [item]


def plane(folder, k: int, dose=DOSE, apart: float = 0.0, name: str = "plane.dcm"):
    """One frame, as a volume would have it as frame `k`, and no thickness."""

    def edit(data: Dataset) -> None:
        del data.GridFrameOffsetVector, data.FrameIncrementPointer

    grid = Grid((1, *GRID.shape[1:]), GRID.spacing, (GRID.centres(0)[k] + apart, *GRID.origin[1:]))
    return write_dose(folder, grid, dose[k : k + 1], edit=edit, name=name)


def test_planes_are_compared_as_planes(here, capsys):
    plane(here, 4)
    plane(here, 4, 1.01 * DOSE, name="more.dcm")
    argv = ("gamma", "plane.dcm", "more.dcm", "--criterion", "2%/1mm", "--out", "found.json")
    assert run(capsys, *argv)[0] == 0
    found = json.loads((here / "found.json").read_text())
    assert found["voxels"] == 16 * 20 and 0.1 < found["max_gamma"] < 0.5 and found["passing_percent"] == 100.0
    assert run(capsys, "gamma", "plane.dcm", "RTDOSE.dcm")[0] == 0
    code, text = run(capsys, "gamma", "RTDOSE.dcm", "plane.dcm")
    assert code == 2 and "is a single plane" in text and "name the plane first" in text
    plane(here, 4, apart=0.2, name="beside.dcm")
    code, text = run(capsys, "gamma", "plane.dcm", "beside.dcm")
    assert code == 2 and "is a plane 2.0 mm from that of plane.dcm" in text


def test_a_dvh_of_planes_takes_their_folder(here, capsys):
    for k in range(12):
        plane(here / "planes", k, name=f"{k}.dcm")
    code, text = run(capsys, "dvh", "planes/3.dcm", "RTSTRUCT.dcm")
    assert code == 2 and "single plane" in text and "name the folder" in text
    for dose, out in (("planes", "joined"), ("RTDOSE.dcm", "whole")):
        assert run(capsys, "dvh", dose, "RTSTRUCT.dcm", "--out", out)[0] == 0
    joined, whole = (
        json.loads((here / f"{out}.json").read_text())["structures"] for out in ("joined", "whole")
    )
    for one, other in zip(joined, whole, strict=True):
        assert [m["value"] for m in one["metrics"][0]] == pytest.approx(
            [m["value"] for m in other["metrics"][0]]
        )


def test_no_limits_make_no_table(here, capsys):
    """No structure has a name that the profile has a limit for."""
    code, text = run(capsys, "dvh", "RTDOSE.dcm", "RTSTRUCT.dcm", "--fractions", "3")
    assert code == 0 and "no structure is named as" in text and "Dose limits of" not in text


def test_inspect_states_the_approval_of_a_plan(here, capsys):
    write_plan(here, edit=lambda data: setattr(data, "ApprovalStatus", "UNAPPROVED"))
    assert "approval │ UNAPPROVED" in run(capsys, "inspect", "RTPLAN.dcm")[1]

"""`mcverify plan` on a small case: what it leaves behind, exit codes, interrupts, full disks."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pydicom
import pypdfium2
import pytest

from mc.backends import cpu
from mc.dose import Dose
from phantoms.identity import pseudonym
from tests.dicom_factory import GRID, body_box, write_structures
from tests.mc.small_linac import RESULT, VERDICTS, judged, plan, write_machine
from validation.cli import main
from validation.metrics.noise import Noise
from validation.plan_check.record import digest
from validation.rtdose import read_rtdose, write_rtdose


def test_plan_leaves_a_whole_result(bench, capsys):
    cpu.warm_up()
    compiled = len(cpu.run_phase_space.signatures)
    code = main(plan())
    said = capsys.readouterr()
    assert code in VERDICTS, said.err
    assert {path.name for path in Path("out").iterdir()} == RESULT
    dose, rtdose = Dose.load("out/dose.h5"), read_rtdose("out/RTDOSE.dcm")
    assert dose.grid.matches(GRID) and rtdose.grid.matches(GRID)
    np.testing.assert_allclose(rtdose.dose, np.maximum(dose.mean, 0), atol=rtdose.scaling)
    assert rtdose.plan_uid == read_rtdose("case/RTDOSE.dcm").plan_uid
    result = json.loads(Path("out/result.json").read_text())
    assert result["verdict"]["passed"] == (code == 0)
    assert result["quality"]["histories"] == 3000
    assert "out/report.html" in said.out and "verdict:" in said.out
    assert len(cpu.run_phase_space.signatures) == compiled  # what `warm_up` compiled is what the run used


def test_report_is_made_again_without_the_export(bench, capsys):
    code = main(plan())
    first = json.loads(Path("out/result.json").read_text())
    shutil.rmtree("case")
    assert main(["report", "out", "--out", "again"]) == code
    assert {path.name for path in Path("again").iterdir()} == {"report.html", "report.pdf", "result.json"}
    again = json.loads(Path("again/result.json").read_text())
    assert again["plan"] == first["plan"] and again["warnings"] == first["warnings"]
    assert [test["status"] for test in again["verdict"]["tests"]] == [
        test["status"] for test in first["verdict"]["tests"]
    ]
    assert again["history"] == []  # the same verdict
    assert "PATIENT-1" not in Path("again/report.html").read_text()
    assert judged(["report", "out", "--profile", "stereotactic", "--name"])
    other = json.loads(Path("out/result.json").read_text())
    assert other["verdict"]["profile"]["name"] == "stereotactic"
    old = {"created": first["created"], "status": first["verdict"]["status"], "profile": "spine"}
    assert [past | old for past in other["history"]] == other["history"] and len(other["history"]) == 1
    assert "Verdicts of this dose before" in Path("out/report.html").read_text()
    main(["report", "out", "--profile", "tg218"])
    third = json.loads(Path("out/result.json").read_text())
    assert [past["profile"] for past in third["history"]] == ["spine", "stereotactic"]
    main(["report", "out", "--profile", "stereotactic", "--name"])
    assert "Test, Patient (ID PATIENT-1)" in Path("out/report.html").read_text()
    assert "PATIENT-1" not in Path("out/result.json").read_text()
    capsys.readouterr()
    result = Path("out/result.json")
    mixed = json.loads(result.read_text())
    assert mixed["dose_sha256"] == digest(Path("out/dose.h5"))
    result.write_text(json.dumps(mixed | {"dose_sha256": "0" * 64}))
    assert main(["report", "out"]) == 2
    assert "out/result.json: is not of the dose.h5 beside it" in capsys.readouterr().err
    assert main(["inspect", "out"]) == 0 and "two runs wrote" in capsys.readouterr().err
    result.unlink()
    Path("out/inputs.h5").unlink()
    assert main(["report", "out"]) == 2
    assert "mcverify: out/inputs.h5: no such file" in capsys.readouterr().err
    assert main(["report", "nowhere"]) == 2
    assert "mcverify: nowhere: is not a folder" in capsys.readouterr().err


def test_without_a_planned_dose_the_dose_alone_is_computed(bench, capsys):
    cord = replace(body_box(GRID, 0.8, name="SpinalCord"), type="ORGAN")
    write_structures(Path("case"), [body_box(GRID), cord])
    Path("case/RTDOSE.dcm").unlink()
    assert main(plan()) == 2
    said = capsys.readouterr()
    assert "the export holds no RTDOSE: the Monte Carlo dose alone is computed" in said.err.splitlines()[1]
    assert "verdict: NO VERDICT. The export holds no RTDOSE" in said.out and "SpinalCord" in said.out
    assert {path.name for path in Path("out").iterdir()} == {"dose.h5", "RTDOSE.dcm", "result.json"}
    dose, rtdose = Dose.load("out/dose.h5"), read_rtdose("out/RTDOSE.dcm")
    assert dose.grid.spacing == (0.25,) * 3 and rtdose.dose.max() == pytest.approx(dose.mean.max())
    assert (dose.grid.lower >= GRID.lower).all() and rtdose.plan_uid
    stated = json.loads(Path("out/result.json").read_text())
    assert stated["schema"] == "mcverify dose result" and stated["verdict"]["status"] == "no verdict"
    (cord,) = [s for s in stated["dvh"]["structures"] if s["name"] == "SpinalCord"]
    mean = next(m for (m,) in [cord["metrics"][0][:1]] if m["name"] == "Dmean")
    assert 0 < mean["value"] < dose.mean.max() and mean["sigma"] > 0
    assert any(limit["structure"] == "SpinalCord" for limit in stated["dvh"]["limits"])
    assert "PATIENT-1" not in Path("out/result.json").read_text()
    assert main(["report", "out"]) == 2
    assert "out/result.json: is of an export without RTDOSE" in capsys.readouterr().err
    assert main(["inspect", "case"]) == main(["inspect", "out"]) == 0
    assert "compute the dose alone" in capsys.readouterr().out


def identifying(data) -> None:
    """Who the patient is, wherever DICOM has a place for it, and in the plan's label and the beam's name."""
    data.PatientName, data.PatientID = "Zyzzogeton^Quillwort", "MRN-48151623"
    data.PatientBirthDate, data.AccessionNumber = "19471108", "ACC-77812"
    data.OtherPatientIDs, data.OtherPatientNames = ["OLD-90125"], "Widdershins^Q"
    if data.Modality == "RTPLAN":
        data.RTPlanLabel = "ZYZZOGETON_L1"
        data.BeamSequence[0].BeamName = "AP quillwort"
        del data.ReferencedStructureSetSequence  # gives a warning that names the file


WORDS = ("zyzzogeton", "quillwort", "mrn-48151623", "19471108", "acc-77812", "old-90125", "widdershins")


def test_nothing_that_is_written_reveals_the_patient(bench, capsys, monkeypatch):
    exported = Path("Zyzzogeton_Quillwort")
    shutil.move("case", exported)
    for path in exported.rglob("*.dcm"):
        data = pydicom.dcmread(path)
        identifying(data)
        data.save_as(path)
    (exported / "RTPLAN.dcm").rename(exported / "RP.Zyzzogeton.Quillwort.dcm")
    argv = ["plan", str(exported), "--machine", "machine/linac.toml", "--histories", "3000"]
    assert judged(argv)
    (out,) = Path("mcverify-result").iterdir()
    assert {path.name for path in out.iterdir()} == RESULT
    with h5py.File(out / "inputs.h5") as file:
        kept = file["text"][...].tobytes().decode()
    printed = pypdfium2.PdfDocument(out / "report.pdf")
    pages = [printed[number].get_textpage().get_text_bounded() for number in range(len(printed))]
    page = re.sub(r"base64,[^\"]+", "", (out / "report.html").read_text())
    provenance = json.dumps(Dose.load(out / "dose.h5").provenance)
    texts = [out.name, kept, *pages, str(printed.get_metadata_dict()), page, provenance]
    texts.append((out / "result.json").read_text())
    assert (
        "RP.[patient].[patient].dcm names no structure set" in page
    )  # the warning is there, the name is not
    for text in texts:
        assert not [word for word in WORDS if word in text.lower()]
    assert pseudonym("MRN-48151623") in page and pseudonym("MRN-48151623") in pages[0]
    assert judged(["report", str(out), "--name"])
    assert "Zyzzogeton, Quillwort (ID MRN-48151623)" in (out / "report.html").read_text()


def test_exit_code_is_the_verdict(bench, capsys, monkeypatch):
    """Without noise its own dose passes as the plan's and 20 % more fails; with it there is no verdict."""
    assert main(plan()) == 2
    assert "verdict: TOO NOISY" in capsys.readouterr().out
    monkeypatch.setattr(Noise, "of", classmethod(lambda cls, dose: cls(0.0 * dose.sigma)))
    monkeypatch.setattr("validation.plan_check.statistics.MIN_PAIRS", 0)
    assert judged(plan())
    mc = read_rtdose("out/RTDOSE.dcm")
    template = read_rtdose("case/RTDOSE.dcm")
    write_rtdose("case/RTDOSE.dcm", mc.dose, mc.grid, template)
    assert main(plan()) == 0
    write_rtdose("case/RTDOSE.dcm", 1.2 * mc.dose, mc.grid, read_rtdose("case/RTDOSE.dcm"))
    assert main(plan()) == 1
    assert "verdict: FAIL" in capsys.readouterr().out


def test_other_voxels_and_default_folder(bench, capsys):
    argv = ["plan", "case", "--machine", "machine/linac.toml", "--histories", "3000", "--voxel", "4mm"]
    assert judged(argv)
    out = Path("mcverify-result") / f"TEST-{pseudonym('PATIENT-1')}"
    np.testing.assert_allclose(Dose.load(out / "dose.h5").grid.spacing, 0.4)
    np.testing.assert_allclose(read_rtdose(out / "RTDOSE.dcm").grid.spacing, 0.4)


def test_case_file_curve_and_the_options(bench, capsys):
    Path("case/case.toml").write_text('calibration = "schneider-24"\n')
    assert judged(plan())
    assert "opentps-4 was taken" not in capsys.readouterr().err
    audit = json.loads(Path("out/result.json").read_text())["phantom_audit"]
    assert "schneider-24" in json.dumps(audit)
    assert judged(plan("--histories", "3000", "--calibration", "water-only"))
    assert "water-only" in json.dumps(json.loads(Path("out/result.json").read_text())["phantom_audit"])


def test_a_material_of_the_users_own_works_end_to_end(bench, capsys):
    """By composition, density and I in a file beside case.toml: in an override, a curve, and `inspect`."""
    Path("case/ours.toml").write_text(
        "[our_ceramic]\ndensity = 6.0\ncomposition = { O = 0.3, Y = 0.1, Zr = 0.6 }\nmean_excitation = 300\n"
    )
    Path("case/case.toml").write_text(
        'materials = "ours.toml"\n[overrides]\nPTV = { material = "our_ceramic", density = 6.05 }\n'
    )
    assert judged(plan())
    audit = json.loads(Path("out/result.json").read_text())["phantom_audit"]
    assert "our_ceramic" in json.dumps(audit["materials"])
    assert main(["inspect", "case/ours.toml"]) == 0 and "300" in capsys.readouterr().out
    assert main(["inspect", "case/case.toml"]) == 0 and "our_ceramic" in capsys.readouterr().out
    Path("case/scanner.toml").write_text(
        'hu_to_density = [[-1000, 0.001], [3000, 6]]\nmaterials = [{ name = "air", below = -500 },'
        ' { name = "water", below = 900 }, { name = "our_ceramic" }]\n'
    )
    assert judged(plan("--histories", "3000", "--calibration", "case/scanner.toml"))
    Path("case/ours.toml").write_text("[our_ceramic]\ndensity = 6.0\ncomposition = { O = 0.3, U = 0.7 }\n")
    capsys.readouterr()
    assert main(plan()) == 2
    assert "material our_ceramic" in (said := capsys.readouterr().err) and "holds U" in said


def test_seed_names_the_dose(bench):
    doses = []
    for seed in ("1", "1", "2"):
        main(plan("--histories", "3000", "--seed", seed))
        doses.append(Dose.load("out/dose.h5").mean)
    assert np.array_equal(doses[0], doses[1]) and not np.array_equal(doses[0], doses[2])


def test_an_interrupt_keeps_what_is_done(bench, capsys, monkeypatch):
    kernel, calls = cpu.run_phase_space, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 41:  # in the middle of a batch
            os.kill(os.getpid(), signal.SIGINT)
        kernel(*arguments)

    monkeypatch.setattr("mc.backends.cpu.run_phase_space", interrupted)
    assert main(plan("--uncertainty", "0.01%")) == 2
    said = capsys.readouterr()
    left = RESULT - {"report.pdf"} | {"report-PROVISIONAL.pdf", "checkpoint.h5"}
    assert {path.name for path in Path("out").iterdir()} == left
    assert json.loads(Path("out/result.json").read_text())["quality"]["stopped_by"] == "interrupted"
    assert "verdict: PROVISIONAL (interrupted), " in said.out
    assert "resumes the run" in said.err


def test_an_interrupted_calibration_is_not_kept(bench, capsys, monkeypatch):
    write_machine(bench / "machine", calibrated=False)
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_: str(bench / "cache"))
    kernel, calls = cpu.run_phase_space, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 5:
            os.kill(os.getpid(), signal.SIGINT)
        kernel(*arguments)

    monkeypatch.setattr("mc.backends.cpu.run_phase_space", interrupted)
    assert main(plan()) == 2
    assert capsys.readouterr().err.splitlines()[-1] == "mcverify: interrupted"
    assert not Path("cache").exists() and not Path("out").exists()


def test_time_limit(bench, capsys):
    assert judged(plan("--uncertainty", "0.01%", "--max-time", "0.5s"))
    assert json.loads(Path("out/result.json").read_text())["quality"]["stopped_by"] == "time"


def test_failing_report_keeps_the_dose_and_no_older_verdict(bench, capsys, monkeypatch):
    assert judged(plan())
    before = Dose.load("out/dose.h5").mean

    def broken(*_, **__):
        raise RuntimeError("cannot draw")

    monkeypatch.setattr("validation.workflow.reports.write_html", broken)
    assert main(plan("--histories", "3000", "--seed", "2")) == 2
    assert "cannot draw" in capsys.readouterr().err
    assert not np.array_equal(Dose.load("out/dose.h5").mean, before)
    kept = {"dose.h5", "RTDOSE.dcm", "inputs.h5", "checkpoint.h5", "mcverify-error.log"}
    assert {path.name for path in Path("out").iterdir()} == kept
    monkeypatch.undo()
    monkeypatch.chdir(bench)
    monkeypatch.setattr("mc.backends.cpu.warm_up", lambda *_: None)
    monkeypatch.setattr("mc.backends.cpu.run_phase_space", None)  # the transport need not be repeated
    assert judged(plan("--histories", "3000", "--seed", "2"))
    assert not Path("out/checkpoint.h5").exists()


@pytest.mark.parametrize(
    ("free_bytes", "left"), [(5_000, set()), (400_000, {"dose.h5", "RTDOSE.dcm", "inputs.h5"})]
)
def test_full_disk(bench, capsys, full_disk, free_bytes, left):
    main(plan())  # the kernels are kept before the disk fills up
    shutil.rmtree("out")
    capsys.readouterr()
    with full_disk(free_bytes):
        assert main(plan()) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    name = "report.html" if left else "dose.h5"
    assert line.startswith(f"mcverify: out/{name}: ") and "File too large" in line
    assert {path.name for path in Path("out").glob("*")} == left

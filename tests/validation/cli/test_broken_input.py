"""Broken input of every kind ends in one clear line, a non-zero exit code and no traceback."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from mc.dose import Dose
from mc.run.interrupt import SUSPENDED_LINE
from phantoms.grid import Grid
from tests.dicom_factory import GRID, Uids, add_mlc, body_box, write_ct, write_dose, write_structures
from tests.mc.broken import Bench
from tests.mc.small_linac import small_case, write_machine
from validation.cli import main
from validation.workflow.kernels import load_gamma

COMPUTE = "validation.workflow.computing.compute_plan_dose"


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """A sound case, machine and dose, to be copied and broken."""
    folder = tmp_path_factory.mktemp("sound")
    small_case(folder / "case")
    write_machine(folder / "machine")
    ones = np.ones((3, 3, 3))
    Dose(Grid((3, 3, 3), (0.2, 0.2, 0.2), (0.0, 0.0, 0.0)), ones, 0.01 * ones, 0.01).save(folder / "dose.h5")
    return folder


@pytest.fixture
def bench(originals, tmp_path, monkeypatch):
    """A copy to break; no kernel may run, and the user's own machines are out of reach."""

    def no_kernel(*_):
        raise AssertionError("a kernel was reached")

    shutil.copytree(originals, tmp_path, dirs_exist_ok=True)
    (tmp_path / "mine").mkdir()
    monkeypatch.setenv("MCVERIFY_MACHINES", str(tmp_path / "mine"))
    monkeypatch.delenv("MCVERIFY_DEBUG", raising=False)
    monkeypatch.setattr("validation.workflow.computing.load_kernels", no_kernel)
    monkeypatch.setattr("validation.workflow.machines.load_kernels", no_kernel)
    monkeypatch.chdir(tmp_path)
    return Bench(tmp_path)


def refused(capsys, argv) -> str:
    """Run `mcverify`; the one line of its refusal."""
    code = main([str(word) for word in argv])
    said = capsys.readouterr()
    assert code == 2, said.err
    assert "Traceback" not in said.err + said.out
    errors = [line for line in said.err.splitlines() if line.startswith("mcverify: ")]
    assert len(errors) == 1 and said.err.splitlines()[-1] == errors[0], said.err
    assert "internal error" not in errors[0], errors[0]
    return errors[0]


def plan(bench: Bench, *options) -> list:
    return ["plan", bench.case, "--machine", bench.machine, "--out", bench.out, *options]


def empty_contours(number: int):
    def change(data):
        data.ROIContourSequence[number].ContourSequence = []

    return change


def another_plan(data):
    data.ReferencedRTPlanSequence[0].ReferencedSOPInstanceUID = "1.2.3"


def wedge(b):
    b.edit_beam(NumberOfWedges=1)


def arc(data):
    data.BeamSequence[0].BeamType = "DYNAMIC"
    data.BeamSequence[0].ControlPointSequence[1].GantryAngle = 90


def jaws(data):
    device = data.BeamSequence[0].ControlPointSequence[0].BeamLimitingDevicePositionSequence[0]
    device.LeafJawPositions = [-30, 30]


def without_mu(data):
    del data.FractionGroupSequence[0].ReferencedBeamSequence[0].BeamMeterset


def tilt(b):
    for path in b.slices:
        b.edit(path, lambda data: setattr(data, "ImageOrientationPatient", [1, 0, 0, 0, 0.995, 0.0998]))


def other_structures(b):
    write_structures(b.case, [body_box(GRID)], uids=Uids(structures="1.2.3"))


def inner_body(b):
    """A second outline, so that none is the body."""
    write_structures(b.case, [body_box(GRID, name="A"), body_box(GRID, 0.6, name="B")])


def zero_dose(b):
    write_dose(b.case, dose=np.zeros(GRID.shape))


def far_dose(b):
    dose = np.zeros(GRID.shape)
    dose[0, 0, 0] = 1.0  # a corner that BODY leaves out
    write_dose(b.case, dose=dose)


# what is broken: how, and what the line must say
CASES = {
    "CT slice cut short": (lambda b: b.cut(b.slices[3]), "CT.003.dcm.*cut short"),
    "CT slice missing": (lambda b: b.slices[5].unlink(), "missing"),
    "CT slice is text": (
        lambda b: b.slices[5].write_text("hello"),
        "CT.005.dcm: is named as a DICOM file, but is none",
    ),
    "CT slice twice": (
        lambda b: shutil.copy(b.slices[5], b.case / "copy.dcm"),
        "copy.dcm: is the same image",
    ),
    "CT tilted": (tilt, "tilt|oblique|aligned"),
    "CT of another patient": (
        lambda b: b.edit(b.slices[2], lambda d: setattr(d, "PatientID", "X")),
        "CT.002.dcm.*patient X",
    ),
    "no CT": (lambda b: [path.unlink() for path in b.slices], "holds no CT"),
    "two CT series": (
        lambda b: (
            write_ct(b.case, uids=Uids(series="1.2.9"), prefix="OTHER"),
            b.edit(b.structures, lambda d: delattr(d, "ReferencedFrameOfReferenceSequence")),
        ),
        "several CT series",
    ),
    "RTSTRUCT cut short": (lambda b: b.cut(b.structures), "RTSTRUCT.dcm"),
    "no RTSTRUCT": (lambda b: b.structures.unlink(), "holds no RTSTRUCT"),
    "wrong structure set UID": (other_structures, "RTPLAN.dcm.*structure set"),
    "structures in another frame of reference": (
        lambda b: write_structures(b.case, [body_box(GRID)], uids=Uids(frame="1.2.4")),
        "frame of reference",
    ),
    "BODY empty": (lambda b: b.edit(b.structures, empty_contours(0)), "BODY.*no contours"),
    "no BODY": (
        lambda b: write_structures(b.case, [body_box(GRID, name="PTV")], edit=as_organ),
        "EXTERNAL|outline",
    ),
    "two bodies": (inner_body, "A.*B"),
    "RTPLAN cut short": (lambda b: b.cut(b.plan), "RTPLAN.dcm"),
    "no RTPLAN": (lambda b: b.plan.unlink(), "holds no RTPLAN"),
    "two plans": (lambda b: shutil.copy(b.plan, b.case / "second.dcm"), "several plans"),
    "unknown machine": (lambda b: b.edit_beam(TreatmentMachineName="NOWHERE"), "NOWHERE.*--machine"),
    "wrong energy": (lambda b: b.edit_beam(NominalBeamEnergy=10), "10 MV"),
    "electron beam": (lambda b: b.edit_beam(RadiationType="ELECTRON"), "beam 1.*ELECTRON"),
    "wedge": (wedge, "beam 1.*wedge"),
    "arc": (lambda b: b.edit(b.plan, arc), "beam 1.*gantry turned by 90 degrees.*direction is NONE"),
    "MLC shape": (lambda b: b.edit(b.plan, lambda d: add_mlc(d, 1.0, np.arange(-5, 6))), "beam 1.*MLC"),
    "field without a phase space": (lambda b: b.edit(b.plan, jaws), "field X -3 to 3.*no phase space"),
    "no monitor units": (lambda b: b.edit(b.plan, without_mu), "beam 1.*monitor units"),
    "another isocentre distance": (lambda b: b.edit_beam(SourceAxisDistance=800), "80"),
    "RTDOSE cut short": (lambda b: b.cut(b.dose), "RTDOSE.dcm"),
    "dose of another plan": (lambda b: b.edit(b.dose, another_plan), "RTDOSE.dcm.*plan 1.2.3"),
    "relative dose": (
        lambda b: b.edit(b.dose, lambda d: setattr(d, "DoseUnits", "RELATIVE")),
        "RTDOSE.dcm.*RELATIVE",
    ),
    "dose scaling 0": (
        lambda b: b.edit(b.dose, lambda d: setattr(d, "DoseGridScaling", 0)),
        "RTDOSE.dcm.*Scaling",
    ),
    "dose of a beam the plan has not": (
        lambda b: write_dose(b.case, summation="BEAM", beam=7),
        "beam 1|beam 7",
    ),
    "dose zero": (zero_dose, "RTDOSE.dcm.*zero"),
    "dose outside BODY": (far_dose, "zero everywhere in BODY"),
    "case.toml broken": (lambda b: b.write("case/case.toml", "overrides = ["), "case.toml"),
    "case.toml with a misspelt key": (lambda b: b.write("case/case.toml", "overides = 1"), "overides"),
    "override of an unknown material": (
        lambda b: b.write("case/case.toml", '[overrides]\nPTV = { material = "unobtainium" }'),
        "unobtainium",
    ),
    "override of an unknown structure": (
        lambda b: b.write("case/case.toml", '[overrides]\nRod = { material = "titanium" }'),
        "Rod",
    ),
    "override of an empty structure": (
        lambda b: (
            b.edit(b.structures, empty_contours(1)),
            b.write("case/case.toml", '[overrides]\nPTV = { material = "titanium" }'),
        ),
        "PTV.*no contours",
    ),
    "unknown CT curve in case.toml": (lambda b: b.write("case/case.toml", 'calibration = "x"'), "x: no CT"),
    "machine file missing": (lambda b: b.machine.unlink(), "linac.toml.*no such machine file"),
    "machine file is no TOML": (lambda b: b.machine.write_text("sad_cm ="), "linac.toml.*TOML"),
    "machine file without SAD": (
        lambda b: b.replace(b.machine, "sad_cm", "sid_cm"),
        "sid_cm: is unknown.*sad_cm",
    ),
    "phase space data missing": (lambda b: b.records.unlink(), "field5.IAEAphsp"),
    "phase space cut short": (lambda b: b.cut(b.records), "field5.IAEAphsp.*header says"),
    "phase space header lies": (
        lambda b: b.replace(b.header, "$PHOTONS:\n3000", "$PHOTONS:\n2999"),
        "field5.IAEAheader",
    ),
    "phase space header without a length": (
        lambda b: b.replace(b.header, "$RECORD_LENGTH", "$RECORD"),
        "RECORD_LENGTH",
    ),
    "NaN energy in the phase space": (lambda b: b.first_record(energy=np.nan), "field5.IAEAphsp.*record 0"),
    "NaN position in the phase space": (lambda b: b.first_record(x=np.nan), "field5.IAEAphsp.*record 0"),
    "neutron in the phase space": (lambda b: b.first_record(kind=4), "field5.IAEAphsp.*record 0"),
}


def as_organ(data):
    for item in data.RTROIObservationsSequence:
        item.RTROIInterpretedType = "ORGAN"


@pytest.mark.parametrize("what", CASES)
def test_broken_case(bench, capsys, what):
    damage, says = CASES[what]
    damage(bench)
    arguments = plan(bench)
    if what == "unknown machine":
        del arguments[2:4]
    line = refused(capsys, arguments)
    assert matches(says, line), line
    assert not bench.out.exists()  # a refusal leaves nothing behind


def matches(pattern: str, line: str) -> bool:
    return re.search(pattern, line) is not None


OPTIONS = {
    "percentage without sign": (["--uncertainty", "1"], "--uncertainty.*'1'.*1%"),
    "percentage of nothing": (["--uncertainty", "0%"], "--uncertainty.*above 0%"),
    "not a number": (["--uncertainty", "a%"], "--uncertainty.*not understood"),
    "length without unit": (["--voxel", "2.5"], "--voxel.*2.5mm"),
    "length in another unit": (["--voxel", "2in"], "--voxel.*2.5mm"),
    "voxels too fine": (["--voxel", "0.01mm"], "--voxel.*0.5mm"),
    "time without unit": (["--max-time", "10"], "--max-time.*10min"),
    "negative time": (["--max-time", "-3s"], "--max-time"),
    "no histories": (["--histories", "0"], "--histories.*above 0"),
    "half a history": (["--histories", "1.5"], "--histories.*whole"),
    "negative seed": (["--seed", "-1"], "--seed"),
    "no threads": (["--threads", "0"], "--threads.*above 0"),
    "unknown option": (["--uncertainity", "1%"], "--uncertainity"),
    "unknown profile": (["--profile", "nothere"], "nothere.*spine"),
    "unknown CT curve": (["--calibration", "nothere"], "nothere.*opentps-4"),
    "missing CT curve": (["--calibration", "nothere.toml"], "nothere.toml"),
}


@pytest.mark.parametrize("what", OPTIONS)
def test_bad_options(bench, capsys, what):
    options, says = OPTIONS[what]
    line = refused(capsys, plan(bench, *options))
    assert matches(says, line), line


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["plot"], "'plot' is no command.*commands: plan"),
        (["plan"], "CASE_DIR"),
        (["plan", "nowhere"], "nowhere.*not a folder"),
        (["plan", "dose.h5"], "dose.h5.*is a file, not the folder of an export"),
        (["plan", "mine"], "mine.*no DICOM"),
        (["calibrate", "nowhere.toml"], "nowhere.toml"),
        (["calibrate", "machine/linac.toml", "--out", "nowhere/x.toml"], "nowhere"),
        (["gamma", "dose.h5", "nowhere.dcm"], "nowhere.dcm"),
        (["gamma", "dose.h5", "case/RTPLAN.dcm"], "RTPLAN.dcm.*not RTDOSE"),
        (["gamma", "dose.h5", "dose.h5", "--criterion", "2/1"], "'2/1'.*2%/1mm"),
        (["gamma", "dose.h5", "dose.h5", "--criterion", "0%/1mm"], "above 0"),
        (["gamma", "dose.h5", "dose.h5", "--threshold", "10"], "--threshold.*10%"),
        (["gamma", "dose.h5", "dose.h5", "--structure", "PTV"], "--structure-file"),
        (
            ["gamma", "dose.h5", "dose.h5", "--structure", "X", "--structure-file", "case/RTSTRUCT.dcm"],
            "X",
        ),
        (["gamma", "dose.h5", "dose.h5", "--out", "nowhere/gamma.json"], "nowhere"),
        (["inspect", "nowhere"], "nowhere: no such"),
        (["inspect", "mine"], "mine.*no DICOM"),
        (["inspect", "machine/field5.IAEAphsp.bak"], "no such"),
    ],
)
def test_bad_commands(bench, capsys, argv, says):
    line = refused(capsys, argv)
    assert matches(says, line), line


@pytest.mark.parametrize("damage", ["cut", "text", "bit", "other"])
def test_corrupt_dose_file(bench, capsys, damage):
    raw = bytearray(bench.dose_h5.read_bytes())
    if damage == "cut":
        bench.cut(bench.dose_h5)
    elif damage == "text":
        bench.dose_h5.write_text("not a dose")
    elif damage == "bit":
        bench.dose_h5.write_bytes(raw[:8] + bytes(len(raw) - 8))
    else:
        import h5py

        with h5py.File(bench.dose_h5, "w") as file:
            file["x"] = 1
    for argv in (["gamma", bench.dose_h5, bench.dose], ["inspect", bench.dose_h5]):
        assert "dose.h5" in refused(capsys, argv)


def test_inspect_of_a_damaged_file(bench, capsys):
    bench.cut(bench.dose)
    assert "cut short" in refused(capsys, ["inspect", bench.dose])
    bench.cut(bench.records)
    assert "header says" in refused(capsys, ["inspect", bench.header])


def test_output_below_a_file(bench, capsys):
    path = bench.write("file", "x")
    assert "file/out" in refused(capsys, [*plan(bench)[:-1], path / "out"])
    assert "not a folder" in refused(capsys, [*plan(bench)[:-1], path])


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs /proc, where nobody can write")
def test_output_that_cannot_be_written(bench, capsys):
    assert "/proc/mcverify" in refused(capsys, [*plan(bench)[:-1], "/proc/mcverify"])


def test_folder_of_other_files_is_not_touched(bench, capsys):
    bench.out.mkdir()
    (bench.out / "RTDOSE.dcm").write_text("precious")
    assert "RTDOSE.dcm" in refused(capsys, plan(bench))
    assert (bench.out / "RTDOSE.dcm").read_text() == "precious"
    (bench.out / "result.json").write_text(json.dumps({"schema": "something else"}))
    assert "no result of mcverify" in refused(capsys, plan(bench))


@pytest.mark.parametrize("name", [".", "inside"])
def test_the_export_folder_is_never_written_to(bench, capsys, name):
    assert "export folder" in refused(capsys, [*plan(bench)[:-1], bench.case / name])
    assert bench.dose.is_file()


def test_disk_too_small(bench, capsys, monkeypatch):
    usage = shutil._ntuple_diskusage(10**9, 10**9 - 10**6, 10**6)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert "1 MB left" in refused(capsys, plan(bench))


def test_gamma_on_a_full_disk(bench, capsys, full_disk):
    load_gamma()  # a full disk could not take the compiled kernel either
    with full_disk(100):
        line = refused(capsys, ["gamma", bench.dose_h5, bench.dose_h5, "--out", "gamma.json"])
    assert "gamma.json: cannot be written" in line
    assert not list(bench.folder.glob("*gamma.json*"))


def raising(error):
    def simulate(*_, **__):
        raise error

    return simulate


def test_calibration_of_another_phase_space(bench, capsys, monkeypatch):
    monkeypatch.setattr("validation.workflow.computing.load_kernels", lambda _: None)
    bench.header.write_bytes(bench.header.read_bytes() + b"\n// changed\n")
    line = refused(capsys, plan(bench))
    assert "linac.toml" in line and "another phase space" in line


def test_kernels_that_cannot_be_kept(bench, capsys, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mc.backends.cpu.warm_up", full)
    line = refused(capsys, ["warmup"])
    assert "kernels cannot be kept there: No space left on device" in line and "NUMBA_CACHE_DIR" in line


def test_out_of_memory(bench, capsys, monkeypatch):
    monkeypatch.setattr(COMPUTE, raising(MemoryError()))
    assert "memory" in refused(capsys, plan(bench))


def test_system_error_names_the_file(bench, capsys, monkeypatch):
    monkeypatch.setattr(
        COMPUTE,
        raising(OSError(28, "No space left on device", "big.tmp")),
    )
    assert "big.tmp: no space left" in refused(capsys, plan(bench))


def test_interrupt_outside_the_transport(bench, capsys, monkeypatch):
    monkeypatch.setattr(COMPUTE, raising(KeyboardInterrupt()))
    assert refused(capsys, plan(bench)) == "mcverify: interrupted"
    assert not bench.out.exists()


def test_termination_outside_the_transport(bench, capsys, monkeypatch):
    monkeypatch.setattr(
        COMPUTE,
        lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM),
    )
    before = signal.getsignal(signal.SIGTERM)
    assert main([str(word) for word in plan(bench)]) == 75
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if "mcverify" in line] == [f"mcverify: {SUSPENDED_LINE}"]
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_bug_keeps_its_traceback_in_a_file(bench, capsys, monkeypatch):
    monkeypatch.setattr(COMPUTE, raising(ZeroDivisionError("by\nzero")))
    assert main([str(word) for word in plan(bench)]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("mcverify: internal error: ZeroDivisionError: by zero; please report it")
    log = Path(line.rpartition("details in ")[2].rstrip(")"))
    assert "Traceback" in log.read_text() and log.parent in (bench.out, bench.out.parent)

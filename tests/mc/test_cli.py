"""The command line: whole runs on a small case, exit codes, ranks and threads, interrupts, other commands."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from argparse import ArgumentTypeError
from pathlib import Path

import numpy as np
import pytest
from dicom_factory import GRID, circle, rectangle, write_case
from dicom_factory import Contours as Structure
from small_linac import small_case, write_machine

from mc import __version__
from mc.backends import cpu
from mc.cli import main, output, units
from mc.cli.options import parse
from mc.dose import Dose
from phantoms.grid import Grid
from phantoms.hu import calibration_names
from validation.profiles import DEFAULT, shipped_profiles
from validation.rtdose import read_rtdose, write_rtdose

ROOT = Path(__file__).parents[2]
RESULT = {"dose.h5", "RTDOSE.dcm", "report.html", "result.json"}


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """A small case and its machine, in the working folder."""
    small_case(tmp_path / "case")
    write_machine(tmp_path / "machine")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plan(*options) -> list[str]:
    """The least work that gives a dose: one pass of the phase space."""
    options = options or ("--histories", "3000")
    return ["plan", "case", "--machine", "machine/linac.toml", "--out", "out", *options]


def test_plan_leaves_a_whole_result(bench, capsys):
    code = main(plan())
    said = capsys.readouterr()
    assert code in (0, 1), said.err
    assert {path.name for path in Path("out").iterdir()} == RESULT
    dose, rtdose = Dose.load("out/dose.h5"), read_rtdose("out/RTDOSE.dcm")
    assert dose.grid.matches(GRID) and rtdose.grid.matches(GRID)
    np.testing.assert_allclose(rtdose.dose, np.maximum(dose.mean, 0), atol=rtdose.scaling)
    assert rtdose.plan_uid == read_rtdose("case/RTDOSE.dcm").plan_uid
    result = json.loads(Path("out/result.json").read_text())
    assert result["verdict"]["passed"] == (code == 0)
    assert result["quality"]["histories"] == 3000
    assert "out/report.html" in said.out and "verdict:" in said.out
    assert len(cpu.run_phase_space.signatures) == 1  # what `warm_up` compiled is what the run used


def test_exit_code_is_the_verdict(bench, capsys):
    """The Monte Carlo dose as the plan's own passes; the plan's dose 20 % too high fails."""
    assert main(plan()) in (0, 1)
    mc = read_rtdose("out/RTDOSE.dcm")
    template = read_rtdose("case/RTDOSE.dcm")
    write_rtdose("case/RTDOSE.dcm", mc.dose, mc.grid, template)
    assert main(plan()) == 0
    write_rtdose("case/RTDOSE.dcm", 1.2 * mc.dose, mc.grid, read_rtdose("case/RTDOSE.dcm"))
    assert main(plan()) == 1
    assert "verdict: FAIL" in capsys.readouterr().out


def test_other_voxels_and_default_folder(bench, capsys):
    argv = ["plan", "case", "--machine", "machine/linac.toml", "--histories", "3000", "--voxel", "4mm"]
    assert main(argv) in (0, 1)
    out = Path("mcverify-result/TEST")  # the plan's label
    np.testing.assert_allclose(Dose.load(out / "dose.h5").grid.spacing, 0.4)
    np.testing.assert_allclose(read_rtdose(out / "RTDOSE.dcm").grid.spacing, 0.4)


def test_case_file_curve_and_the_options(bench, capsys):
    Path("case/case.toml").write_text('calibration = "schneider-24"\n')
    assert main(plan()) in (0, 1)
    assert "opentps-4 was taken" not in capsys.readouterr().err
    audit = json.loads(Path("out/result.json").read_text())["phantom_audit"]
    assert "schneider-24" in json.dumps(audit)
    assert main(plan("--histories", "3000", "--calibration", "water-only")) in (0, 1)
    assert "water-only" in json.dumps(json.loads(Path("out/result.json").read_text())["phantom_audit"])


def test_seed_names_the_dose(bench):
    doses = []
    for seed in ("1", "1", "2"):
        main(plan("--histories", "3000", "--seed", seed))
        doses.append(Dose.load("out/dose.h5").mean)
    assert np.array_equal(doses[0], doses[1]) and not np.array_equal(doses[0], doses[2])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_keeps_what_is_done(bench, capsys, monkeypatch, number):
    kernel, calls = cpu.run_phase_space, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 40:
            os.kill(os.getpid(), number)
        kernel(*arguments)

    monkeypatch.setattr("mc.backends.cpu.run_phase_space", interrupted)
    assert main(plan("--uncertainty", "0.01%")) == 2
    said = capsys.readouterr()
    assert {path.name for path in Path("out").iterdir()} == RESULT
    assert json.loads(Path("out/result.json").read_text())["quality"]["stopped_by"] == "interrupted"
    assert "provisional" in said.err and "verdict:" in said.out


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
    assert main(plan("--uncertainty", "0.01%", "--max-time", "0.5s")) in (0, 1)
    assert json.loads(Path("out/result.json").read_text())["quality"]["stopped_by"] == "time"


def test_failing_report_keeps_the_dose_and_no_older_verdict(bench, capsys, monkeypatch):
    assert main(plan()) in (0, 1)
    before = Dose.load("out/dose.h5").mean

    def broken(*_, **__):
        raise RuntimeError("cannot draw")

    monkeypatch.setattr("validation.report.write_report", broken)
    assert main(plan("--histories", "3000", "--seed", "2")) == 2
    assert "cannot draw" in capsys.readouterr().err
    assert not np.array_equal(Dose.load("out/dose.h5").mean, before)
    assert {path.name for path in Path("out").iterdir()} == {"dose.h5", "RTDOSE.dcm", "mcverify-error.log"}
    monkeypatch.undo()
    monkeypatch.chdir(bench)
    assert main(plan()) in (0, 1)  # such a folder is a result folder still


@pytest.mark.parametrize(("room", "left"), [(5_000, set()), (400_000, {"dose.h5", "RTDOSE.dcm"})])
def test_full_disk(bench, capsys, full_disk, room, left):
    main(plan())  # the kernels are kept before the disk fills up
    shutil.rmtree("out")
    capsys.readouterr()
    with full_disk(room):
        assert main(plan()) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    name = "report.html" if left else "dose.h5"
    assert line.startswith(f"mcverify: out/{name}: ") and "File too large" in line
    assert {path.name for path in Path("out").glob("*")} == left


def test_demo_is_the_shipped_case(tmp_path, monkeypatch):
    """`demo` completes whatever the verdict; the run itself is timed elsewhere."""
    from mc.cli import demo

    codes = iter((0, 1, 2))
    monkeypatch.setattr(demo, "check_plan", lambda *_: next(codes))
    assert [main(["demo", "--out", str(tmp_path)]) for _ in range(3)] == [0, 0, 2]
    assert (demo.CASE / "RTPLAN.dcm").is_file()
    assert parse(["demo"]).max_time == 170.0


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


def test_inspect_knows_everything(bench, capsys):
    assert main(plan()) in (0, 1)
    for path, says in {
        "case": "RTPLAN TEST",
        "case/RTPLAN.dcm": "TESTLINAC",
        "case/RTSTRUCT.dcm": "PTV",
        "case/RTDOSE.dcm": "20 x 16 x 12",
        "case/CT.003.dcm": "CT series",
        "machine/linac.toml": "machine TESTLINAC",
        "machine/field5": "3,000 of them|1,500 of them",
        "machine/field5.IAEAphsp": "IAEA phase space",
        "out": "verdict",
        "out/dose.h5": "transport sigma",
        "out/RTDOSE.dcm": "RTDOSE",
    }.items():
        capsys.readouterr()
        assert main(["inspect", path]) == 0, path
        assert re.search(says, capsys.readouterr().out), path


def test_inspect_tells_volumes(tmp_path, capsys):
    ball = [circle(1.0, z, (3.0, -1.0)) for z in GRID.centres(0)[3:9]]
    box = [rectangle((1.2, 4.8), (-2.9, 0.9), z) for z in GRID.centres(0)]
    write_case(tmp_path, structures=[Structure("BODY", box, "EXTERNAL"), Structure("Rod [left]", ball)])
    assert main(["inspect", str(tmp_path / "RTSTRUCT.dcm")]) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if "Rod [left]" in line)
    assert f"{np.pi * 6 * 0.3:.2f}" in row


def test_inspect_says_what_plan_would_refuse(bench, capsys):
    import pydicom

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
    assert f"(default: {DEFAULT})" in text
    assert importlib.import_module("mc.plan_dose").DEFAULT_CURVE in text


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
    assert output.default_folder("L1 / boost: 3x8", Path("case")) == Path("mcverify-result/L1_boost_3x8")
    assert output.default_folder("../..", Path("case")) == Path("mcverify-result/case")


def run(*argv, launcher=(), **environment):
    """`mcverify` as a process of its own."""
    prefixes = ("OMPI_", "PMI_", "PMIX_", "SLURM_", "MPI_")
    clean = {key: value for key, value in os.environ.items() if not key.startswith(prefixes)}
    return subprocess.run(
        [*launcher, sys.executable, "-m", "mc", *map(str, argv)],
        env={**clean, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_no_traceback_as_a_process(bench):
    done = run("plan", "nowhere")
    assert done.returncode == 2 and not done.stdout
    assert done.stderr == "mcverify: nowhere: is not a folder\n"
    shutil.move("case/CT.004.dcm", "slice")
    done = run(*plan())
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("mcverify: ")]) == 1


def test_help_is_quick():
    """No heavy package is loaded to read the command line."""
    code = (
        "import sys; from mc.cli import parse; parse(['plan', 'x']); "
        "heavy = {'numpy', 'numba', 'scipy', 'pydicom', 'h5py', 'matplotlib', 'rich', 'skimage'}; "
        "sys.exit(' '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_plan_loads_no_plotting_before_it_computes():
    code = (
        "import sys; import mc.cli.plan; "
        "late = {'matplotlib', 'skimage', 'jinja2', 'mpi4py'}; "
        "sys.exit(' '.join(late & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_second_start_is_quick(bench):
    """Bar of the project: second start to the first real work in under 3 CPU-s."""
    import resource

    assert run("warmup").returncode == 0
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert run("warmup").returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 3.0


def mpiexec(ranks: int) -> list[str]:
    beside = Path(sys.executable).with_name("mpiexec")
    launcher = str(beside) if beside.exists() else shutil.which("mpiexec")
    if launcher is None:
        pytest.skip("no mpiexec")
    pytest.importorskip("mpi4py")
    return [launcher, "-n", str(ranks)]


@pytest.mark.slow
def test_ranks_and_threads_give_the_same_bits(bench):
    doses = {}
    for ranks, threads in ((1, 1), (1, 2), (2, 1), (2, 2)):
        argv = plan("--histories", "6000", "--threads", threads)
        done = run(*argv, launcher=mpiexec(ranks) if ranks > 1 else ())
        assert done.returncode in (0, 1), done.stderr
        assert done.stdout.count("verdict:") == 1  # told by one rank
        dose = Dose.load("out/dose.h5")
        assert dose.provenance["quality"]["ranks"] == ranks
        doses[ranks, threads] = dose
        shutil.rmtree("out")
    first = doses.pop((1, 1))
    for dose in doses.values():
        assert np.array_equal(dose.mean, first.mean) and np.array_equal(dose.sigma, first.sigma)


@pytest.mark.slow
def test_killed_rank_ends_the_run(bench):
    """One rank dies in the transport: the launcher ends the others, no result, no traceback."""
    code = (
        "import os, signal, sys, mc.run\n"
        "from mc.cli import main\n"
        "from mc.parallel import world\n"
        "inner = mc.run._report\n"
        "def report(*a):\n"
        "    if world().rank == 1: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    inner(*a)\n"
        "mc.run._report = report\n"
        f"sys.exit(main({plan('--uncertainty', '0.01%')!r}))\n"
    )
    done = subprocess.run(
        [*mpiexec(2), sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert not Path("out/result.json").exists()


@pytest.mark.slow
def test_bad_input_on_two_ranks_is_told_once(bench):
    Path("case/RTDOSE.dcm").unlink()
    done = run(*plan(), launcher=mpiexec(2))
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.count("holds no RTDOSE") == 1

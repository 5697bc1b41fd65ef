"""What users mistake: each mistake is answered in one line that names it, with a code above 0."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from tests.dicom_factory import GRID, write_dose
from tests.validation.cli.test_broken_input import (
    bench,  # noqa: F401
    matches,
    originals,  # noqa: F401
    refused,
)
from tests.validation.commission.linac import write_scans

PLAN = "plan case --machine machine/linac.toml --out out"
LIMIT = '[[constraint]]\norgan = "cord"\nmetric = "D0.03cc"\nfractions = "any"\nlimit = 14.0\n'
FILMS = 'scans = ["a.tif"]\n' + "".join(f"[[films]]\ndose_gy = {k}\n" for k in range(4))
CRITERIA = (
    'title = "t"\nstatus = "s"\nsource = "s"\ndose_percent = 1\ndistance_mm = 1\npassing_percent = 95\n'
    "output_factor_percent = 1\nmax_sigma_percent = 0.6\n"
)


def files(**texts):
    """Write text files; two underscores stand for the slash of a path, and .toml is added."""

    def write(b):
        for name, text in texts.items():
            b.write(f"{name.replace('__', '/')}.toml", text)

    return write


def machine(old, new):
    """Replace text in the machine file."""
    return lambda b: b.replace(b.machine, old, new)


def copy(name, other):
    """Another file of the same content."""
    return lambda b: shutil.copy(b.folder / name, b.folder / other)


def profile(old, new):
    """A profile of one limit with a mistake."""
    assert old in LIMIT
    return files(own=LIMIT.replace(old, new))


def scans(b):
    write_scans(b.folder / "scans")
    b.write("scans/scans.toml", "nominal_mw = 6.0\n")


def missing(b):
    text = b.machine.read_text()
    for key in ("ssd_cm", "depth_cm", "dose_per_mu_gy"):
        text = "\n".join(line for line in text.splitlines() if not line.startswith(key))
    b.machine.write_text(text)


# command line, what prepares it, and what the one line must say
COMMANDS = [
    ("pln case", None, "'pln' is no command.*did you mean 'plan'"),
    ("gama dose.h5 dose.h5", None, "'gama' is no command.*did you mean 'gamma'"),
    ("film-calibrat films.toml", None, "did you mean 'film-calibrate'"),
    ("phsp mrge a b", None, "'mrge' is no command of `mcverify phsp`.*did you mean 'merge'"),
    ("case", None, "case: is no command.*mcverify plan case"),
    ("plan", None, "required: CASE_DIR"),
    (f"{PLAN} --uncertainity 1%", None, "--uncertainity is no option.*did you mean '--uncertainty'"),
    ("plan case -out x", None, "-out is no option.*did you mean '--out'"),
    (f"{PLAN} --profil spine", None, "--profil is no option.*did you mean '--profile'"),
    ("gamma a b --critereon 2%/1mm", None, "--critereon is no option.*did you mean '--criterion'"),
    ("film a.tif --calibraton c", None, "--calibraton is no option.*did you mean '--calibration'"),
    ("demo --phantom water", None, "--phantom is no option of `mcverify demo`.*an option of plan"),
    (f"{PLAN} --dose-to watr", None, "--dose-to: 'watr' is unknown.*did you mean 'water'"),
    ("film a --calibration c --plane p --method rd", None, "--method: 'rd' is unknown.*did you mean 'red'"),
    ("whatif out --check laterl=5mm", None, "'laterl=5mm' is not understood; did you mean 'lateral'"),
]
UNITS = [
    (f"{PLAN} --uncertainty 1", None, "--uncertainty: '1' has no unit.*1%"),
    (f"{PLAN} --voxel 2", None, "--voxel: '2' has no unit.*2.5mm"),
    (f"{PLAN} --voxel 2in", None, "--voxel: '2in': 'in' is no unit here"),
    (f"{PLAN} --voxel 2,5mm", None, "'2,5mm' has a decimal comma"),
    (f"{PLAN} --voxel 25mm", None, "'25mm' is not from 0.5mm to 20mm"),
    (f"{PLAN} --max-time 10", None, "--max-time: '10' has no unit.*10min"),
    (f"{PLAN} --max-time 10mn", None, "'mn' is no unit here; did you mean 'min'"),
    (f"{PLAN} --histories 1.5", None, "--histories: '1.5' is not a whole number"),
    ("dvh d s --prescription 24", None, "--prescription: '24' has no unit.*20Gy"),
    ("dvh d s --prescription 24gy", None, "'gy' is no unit here; did you mean 'Gy'"),
    ("gamma dose.h5 dose.h5 --threshold 10", None, "--threshold: '10' has no unit.*10%"),
    ("gamma dose.h5 dose.h5 --criterion 2/1", None, "'2/1': is not understood.*2%/1mm"),
    ("gamma dose.h5 dose.h5 --criterion 1mm/2%", None, "'1mm/2%'.*2%/1mm"),
    ("whatif out --turn 3", None, "--turn: '3' has no unit.*deg"),
    (PLAN, machine("sad_cm = 100.0", "sad_cm = 1000.0"), "sad_cm: .*1000"),
    (PLAN, files(case__case='[overrides]\nPTV = { material = "titanium", density = 4540 }'), "4540.*g/cm3"),
]
NAMES = [
    (f"{PLAN} --profile spien", None, "profile spien.*did you mean 'spine'"),
    (f"{PLAN} --profile own", files(own=LIMIT), "profile own.*did you mean own.toml"),
    (f"{PLAN} --profile nothere.toml", None, "nothere.toml: no such file"),
    (
        f"{PLAN} --calibration schneider24",
        None,
        "schneider24: no CT calibration.*did you mean 'schneider-24'",
    ),
    ("plan case/RTPLAN.dcm --phantom watr", None, "'watr'.*did you mean 'water'"),
    ("plan case --machine GEN-M12", None, "GEN-M12.*GEN-M120"),
    ("inspect GEN-M12", None, "GEN-M12.*GEN-M120"),
    (
        PLAN,
        files(case__case='[overrides]\nPTV = { material = "titanum" }'),
        "'titanum'.*did you mean 'titanium'",
    ),
    (PLAN, files(case__case='[overrides]\nPTVV = { material = "titanium" }'), "PTVV.*did you mean 'PTV'"),
    (
        "gamma dose.h5 dose.h5 --structure-file case/RTSTRUCT.dcm --structure PVT",
        None,
        "PVT.*did you mean 'PTV'",
    ),
    ("dvh case/RTDOSE.dcm case/RTSTRUCT.dcm --metrics D95", None, "'D95': is not understood.*D95%"),
    (f"{PLAN} --profile own.toml", profile("cord", "cort"), "organ: 'cort' is unknown.*did you mean 'cord'"),
    (f"{PLAN} --profile own.toml", profile("D0.03cc", "D0.03"), "metric.*'D0.03'"),
    (f"{PLAN} --profile own.toml", files(own='constraints_from = "tg11"'), "'tg11'.*did you mean 'tg101'"),
]
KEYS = [
    (f"{PLAN} --profile own.toml", files(own='flp = "fail"\n' + LIMIT), "flp: is unknown.*'flip'"),
    (f"{PLAN} --profile own.toml", profile("metric", "metrc"), "metrc: is unknown.*did you mean 'metric'"),
    (
        f"{PLAN} --profile own.toml",
        profile("[[constraint]]", "[[constraints]]"),
        "constraints: is unknown",
    ),
    (
        f"{PLAN} --profile own.toml",
        files(own='[[constraint]]\norgan = "cord"\n'),
        r"constraint\[0\].metric, fractions, limit: are missing",
    ),
    (f"{PLAN} --profile own.toml", files(own="title = spine\n"), "own.toml: is not valid TOML.*line 1"),
    (
        f"{PLAN} --profile own.toml",
        files(own=LIMIT.replace("D0.03cc", "V10Gy").replace("14.0", "350")),
        r"limit: 350 is above 100 %.*V10Gy\[cc\] for cc",
    ),
    (PLAN, machine("sad_cm", "sad_mm"), "sad_mm: is unknown.*did you mean 'sad_cm'"),
    (PLAN, missing, "reference.ssd_cm, depth_cm, dose_per_mu_gy: are missing"),
    (PLAN, machine('"FFF"', '"FF"'), "fluence_mode: 'FF' is unknown.*did you mean 'FFF'"),
    (PLAN, files(case__case="overides = 1"), "overides: is unknown.*did you mean 'overrides'"),
    (
        PLAN,
        files(case__case='[overrides]\ncalibration = "opentps-4"'),
        "calibration: must be a table",
    ),
    (PLAN, files(config="nmae = true"), "config.toml: nmae: is unknown.*did you mean 'name'"),
    (
        "film-calibrate films.toml --out CAL.toml",
        files(films=FILMS.replace("dose_gy = 3", "dose = 3")),
        r"films\[3\].dose: is unknown.*did you mean 'dose_gy'",
    ),
    ("inspect scans", scans, "scans.toml: nominal_mw: is unknown.*did you mean 'nominal_mv'"),
    (
        "plan case/RTPLAN.dcm --phantom own.toml",
        files(own="size = [10, 10, 10]\nvoxel_cm = [0.5]"),
        "size: is unknown.*did you mean 'size_cm'",
    ),
    (
        "inspect own.toml",
        files(own=CRITERIA.replace("max_sigma", "max_sgima")),
        "max_sgima_percent: is unknown.*did you mean 'max_sigma_percent'",
    ),
]
FILES = [
    (f"{PLAN} --profile machine/linac.toml", None, "linac.toml: is a machine file, not a profile"),
    ("plan case --machine own.toml", files(own=LIMIT), "own.toml: is a profile, not a machine file"),
    (PLAN, files(case__case=LIMIT), "case.toml: is a profile, not a case file"),
    (f"{PLAN} --calibration own.toml", files(own=LIMIT), "own.toml: is a profile, not a CT calibration"),
    ("film-calibrate machine/linac.toml --out CAL.toml", None, "is a machine file, not a film list"),
    (
        "film a --calibration films.toml --plane p",
        files(films=FILMS),
        "a film list, not a film calibration",
    ),
    (PLAN, files(case__cases="[overrides]\n"), "cases.toml: is not read.*did you mean 'case.toml'"),
    ("plan case/RTPLAN.dcm", None, "RTPLAN.dcm: is a file, not the folder of an export"),
    ("plan mine", None, "mine: holds no DICOM files"),
    ("plan nowhere", None, "nowhere: is not a folder"),
    ("plan case --machine machine/linac.toml --out case/out", None, "case/out: lies in the export folder"),
    ("gamma dose.h5 case/RTPLAN.dcm", None, "RTPLAN.dcm: is.*not RTDOSE"),
    ("dvh case/RTSTRUCT.dcm case/RTDOSE.dcm", None, "RTSTRUCT.dcm: is RTSTRUCT, not RTDOSE"),
    ("report case", None, "case: holds no result of `mcverify plan`"),
    ("commission scans machine/linac.toml", scans, "scans: is a folder, not a machine file"),
]
TWO = [
    (PLAN, copy("case/RTPLAN.dcm", "case/b.dcm"), "holds several plans: RTPLAN.dcm .*b.dcm"),
    (PLAN, copy("case/RTSTRUCT.dcm", "case/b.dcm"), "holds the structure set twice: RTSTRUCT.dcm, b.dcm"),
    (PLAN, copy("case/RTDOSE.dcm", "case/b.dcm"), "holds several doses of the plan: RTDOSE.dcm.*b.dcm"),
    (PLAN, copy("case/CT.003.dcm", "case/b.dcm"), "is the same image as"),
    (
        PLAN,
        lambda b: ((b.case / "sub").mkdir(), files(case__case="", case__sub__case="")(b)),
        "several case files: case.toml and sub/case.toml",
    ),
    (PLAN, lambda b: b.machine.write_text(twice(b.machine.read_text())), "6 MV.* stands there twice"),
    (
        f"{PLAN} --profile own.toml",
        files(own='[[organs]]\nname = "x"\npatterns = "x"\n' * 2 + LIMIT),
        "organs: 'x' is described 2 times",
    ),
    (PLAN, lambda b: write_dose(b.case, dose=np.zeros(GRID.shape)), "RTDOSE.dcm: is zero everywhere"),
]
MISTAKES = [*COMMANDS, *UNITS, *NAMES, *KEYS, *FILES, *TWO]


def twice(text):
    """A machine file with its beam stated twice."""
    head, beam = text.split("[[energies]]", 1)
    return f"{head}[[energies]]{beam}\n[[energies]]{beam}"


def test_there_are_sixty_at_least():
    assert len(MISTAKES) >= 60 and len({(line, says) for line, _, says in MISTAKES}) == len(MISTAKES)


@pytest.mark.parametrize(("line", "prepare", "says"), MISTAKES, ids=[f"{a} | {c}" for a, _, c in MISTAKES])
def test_a_mistake_is_named_in_one_line(bench, capsys, monkeypatch, line, prepare, says):  # noqa: F811
    if prepare is not None:
        prepare(bench)
    if (bench.folder / "config.toml").exists():
        monkeypatch.setenv("MCVERIFY_CONFIG", "config.toml")
    answer = refused(capsys, line.split())
    assert matches(says, answer), answer
    assert not bench.out.exists()

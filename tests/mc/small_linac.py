"""A machine and a case small enough for whole runs of the command line within a second."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from mc.compute.calibration import made_with
from mc.config import Physics
from mc.machine.machine import read_machine
from mc.source.phase_space import PhaseSpace
from mc.source.phase_space_writer import write_phase_space
from mc.tables import tables_hash
from phantoms.recipes import water_tank
from tests.dicom_factory import GRID, Field, Stop, body_box, rectangle, write_case
from tests.dicom_factory import Contours as Structure
from tests.machines import focused_jaws, focused_leaves, machine_text, phase_space, table
from tests.point_source import point_source
from validation.cli import main

PARTICLES = 3000
VERDICTS = (0, 1, 2)  # exit codes of a run whose verdict does not matter; what it wrote shows that it ended
RESULT = {
    "dose.h5",
    "RTDOSE.dcm",
    "report.html",
    "report.pdf",
    "result.json",
    "inputs.h5",
}  # what `plan` leaves
MACHINE = machine_text(phase_space("field5", (-2.5, 2.5, -2.5, 2.5)), field_cm=5.0, averaging_cm=3.0)
ABOVE = phase_space("above", plane="above_jaws")
BACKSCATTER = table(
    "[[energies.monitor_backscatter]]", axis="Y", opening_cm=[1.0, 5.0, 10.0], signal=[1.25, 1.25, 1.0]
)
Y_JAWS = focused_jaws("Y", 28.0, 35.8)


def above_machine(x_bottom_cm: float = 44.5) -> str:
    """Text of a machine file with two pairs of jaws and an MLC below its phase space."""
    x_jaws = focused_jaws("X", 36.7, x_bottom_cm)
    return machine_text(ABOVE, BACKSCATTER, Y_JAWS, x_jaws, focused_leaves([[10, 1.0]]), averaging_cm=3.0)


def calibration(space: PhaseSpace, tables: str) -> str:
    """The table of a calibration with this phase space, and with cross sections of this hash."""
    facts = {"phase_space_sha256": space.sha256, "version": "0", "table_hash": tables}
    return table("[energies.calibration]", gy_per_history=1e-13, sigma=1e-20, **facts)


def write_machine(folder: Path, calibrated: bool = True) -> Path:
    """Write TESTLINAC: a point source of 0.5 to 4 MeV, two photons a history, 5 x 5 cm at 100 cm."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(5)
    at_isocentre = rng.uniform(-2.5, 2.5, (2, PARTICLES))
    x, y = 0.5 * at_isocentre
    space = write_phase_space(folder / "field5", point_source(x, y, rng), orig_histories=PARTICLES)
    text = MACHINE
    if calibrated:
        tables = tables_hash(water_tank((1.0, 1.0, 1.0), (0.5, 0.5, 0.5)).materials, Physics())
        text += calibration(space, tables)
    (folder / "linac.toml").write_text(text)
    return folder / "linac.toml"


def write_above_machine(
    folder: Path, text: str | None = None, calibrated: bool = True, particles: int = PARTICLES
) -> Path:
    """Write a machine with jaws and an MLC, by default TESTLINAC: the same source, above its jaws."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(6)
    slope = rng.uniform(-0.06, 0.06, (2, particles))
    x, y = 20.0 * slope
    space = write_phase_space(folder / "above", point_source(x, y, rng, z=20.0), orig_histories=particles)
    path = folder / "linac.toml"
    text = text or above_machine()
    path.write_text(text)
    if calibrated:
        machine = read_machine(path)
        tables = made_with(machine, machine.energies[0], Physics())
        path.write_text(text + calibration(space, tables))
    return path


def moving_leaves() -> Field:
    """An arc of `write_above_machine`'s linac, its leaves opening to 4 cm and closing to 2 cm again."""

    def ends(half: float) -> tuple[float, ...]:
        return (*[-half] * 10, *[half] * 10)

    return Field(
        300, turns="CW", jaws=(-2, 2, -2, 2), leaves=ends(1.0), boundaries=np.arange(-5, 6.0),
        stops=[Stop(0.7, 10, leaves=ends(2.0)), Stop(1.0, 60, leaves=ends(1.0))],
    )  # fmt: skip


def small_case(folder: Path) -> Path:
    """Write a water box with a PTV at the isocentre and one field from the front."""
    target = [rectangle((2.4, 3.6), (-1.6, -0.4), z) for z in GRID.centres(0) if abs(z) < 0.6]
    return write_case(folder, structures=[body_box(GRID), Structure("PTV", target, "PTV")])


def plan(*options: str) -> list[str]:
    """Arguments of `mcverify plan` for the `bench` of conftest; by default one pass, the least work."""
    options = options or ("--histories", "3000")
    return ["plan", "case", "--machine", "machine/linac.toml", "--out", "out", *options]


def judged(argv: Sequence[str]) -> bool:
    """Whether a command comes to a verdict, whichever: a refusal, too, has the exit code of TOO NOISY."""
    if "--out" in argv:
        out = Path(argv[argv.index("--out") + 1])
    else:
        out = Path(argv[1] if argv[0] == "report" else "mcverify-result")

    def written() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in out.rglob("result.json")}

    before = written()
    return main(argv) in VERDICTS and bool(set(written().items()) - set(before.items()))


def mpiexec(ranks: int) -> list[str]:
    """The command that runs another on so many ranks, nothing for one; skips the test without MPI."""
    if ranks == 1:
        return []
    beside = Path(sys.executable).with_name("mpiexec")
    launcher = str(beside) if beside.exists() else shutil.which("mpiexec")
    if launcher is None:
        pytest.skip("no mpiexec")
    pytest.importorskip("mpi4py")
    return [launcher, "-n", str(ranks)]

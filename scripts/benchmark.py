"""CPU seconds to 1 % on one core, ours beside the open engines that pip installs.

    python scripts/benchmark.py [--only water] [--engines mcverify pyradmc] [--seconds 20] [--json]

Cases, all in the Mohan 6 MV spectrum from a point 100 cm away (from the surface, or from the isocentre of
the spine), electrons down to 0.189 MeV (kinetic), photons to 0.05 MeV:

water   30.5 x 30.5 x 30 cm of water in 5 mm voxels, 10 x 10 cm on its surface
blocks  the same with lung (0.26 g/cm3) in x < 0, z 3-12 cm; cortical bone at x 1-6, z 4-9 cm; two titanium
        rods, 1 x 0.6 cm at x 2-3 and 4-5, z 6-6.6 cm; all along y from wall to wall. A voxel is of what its
        centre lies in: bone begins at x 0.75 cm, and rods are 0.5 cm thick.
spine   the built-in spine case in 2.5 mm voxels, 5 x 5 cm at the isocentre, from the back. Not its plan: the
        peers read no phase space of ours. Its media are air, lung, water (for soft tissue) and cortical bone,
        which all engines have, at the density of each voxel.

Runs of all engines take turns, so that what else the machine does falls on all alike. Sigma is the spread of
repeated independent runs, rms over the voxels above half the maximum, relative to the dose of the first
engine, and no engine's own word. Compiling, tables and the fixed cost of a run (measured with two histories)
are not counted. Efficiency is 1 / (sigma^2 T), T in CPU seconds of all threads; `cpu_s_to_1pct` is
T (sigma / 1 %)^2.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.ndimage import uniform_filter

sys.path.insert(0, str(Path(__file__).parents[1]))  # the checkout, installed or not

from benchmark_engines import Case, OmpMC, Ours
from benchmark_pyradmc import PyRadMC

import phantoms
from mc.compute.plan_dose import patient_phantom
from mc.source.beams import Beam, spectrum
from mc.transport.particle import PHOTON
from phantoms.grid import Grid
from phantoms.phantom import Phantom
from phantoms.recipes import Box, Layer, slabs
from validation.engine.tank import materials, read_bins
from validation.plan_check.case import load_case

SPINE = Path(phantoms.__file__).parent / "data" / "cases" / "spine_l1"
OF_LIBRARY = {
    "air": "air",
    "lung_icru44": "lung",
    "soft_tissue_icru4": "water",
    "cortical_bone_icrp": "bone",
}
ENGINES = {engine.name: engine for engine in (Ours, PyRadMC, OmpMC)}
REPEATS = 10
FIRST_TRIAL = 0.3  # CPU seconds a trial run must take for its speed to be believed


def mohan_beam(field_size: float, distance: float) -> Beam:
    """A square photon field on the surface z = 0 [cm]; Mohan, Chui and Lidofsky, Med Phys 12 (1985) 592."""
    energies = spectrum(*read_bins("mohan_6mv"))
    half = 0.5 * field_size
    return Beam(PHOTON, *energies, -half, half, -half, half, 0.0, distance)


def water() -> Case:
    """Return the water tank."""
    return Case("water", _tank(()), mohan_beam(10.0, 100.0))


def blocks() -> Case:
    """Return the tank with lung, bone and titanium."""
    lung, bone, titanium = (materials()[name] for name in ("lung", "bone", "titanium"))
    wide = 100.0
    inserts = (
        Box(lung, 0.26, (3.0, -wide, -wide), (12.0, wide, 0.0)),
        Box(bone, bone.density, (4.0, -wide, 1.0), (9.0, wide, 6.0)),
        Box(titanium, titanium.density, (6.0, -wide, 2.0), (6.6, wide, 3.0)),
        Box(titanium, titanium.density, (6.0, -wide, 4.0), (6.6, wide, 5.0)),
    )
    return Case("blocks", _tank(inserts), mohan_beam(10.0, 100.0))


def spine() -> Case:
    """Return the spine in the beam's axes: x as in the patient, y to the head, z from back to front."""
    case = load_case(SPINE)
    patient, _ = patient_phantom(case.ct, case.structures, case.planned_dose.grid, case.case_file, 0.25)
    x, y, z = case.plan.beams[0].isocentre
    grid = patient.grid
    depth = grid.upper[1] - y
    first = (0.5 * grid.spacing[1], grid.origin[0] - z, grid.origin[2] - x)
    turned = [np.swapaxes(values, 0, 1)[::-1] for values in (patient.density, patient.material)]
    media = tuple(materials()[OF_LIBRARY[material.name]] for material in patient.materials)
    phantom = Phantom(Grid(turned[0].shape, grid.spacing, first), *turned, media)
    return Case("spine", phantom, mohan_beam(5.0 * (100.0 - depth) / 100.0, 100.0 - depth))


CASES: dict[str, Callable[[], Case]] = {"water": water, "blocks": blocks, "spine": spine}


def _tank(inserts: Sequence[Box]) -> Phantom:
    layer = Layer(materials()["water"], 1.0, 0.0, 30.0)
    tank = slabs([layer], (30.5, 30.5), (0.5, 0.5, 0.5), inserts)
    return Phantom(tank.grid, tank.density, tank.material, (materials()["air"], *tank.materials[1:]))


@dataclass
class Runs:
    """What an engine did in a case: its repeated runs, and the CPU seconds of everything [s]."""

    engine: Any
    compile_s: float
    fixed_s: float  # of every run, whatever its histories
    histories: int  # of one run
    cpu_s: float = 0.0  # of all runs, without their fixed cost
    doses: list[np.ndarray] = field(default_factory=list)  # per particle (nz, ny, nx) [Gy]

    def repeat(self) -> None:
        """Run once more."""
        started = time.process_time()
        dose = self.engine.run(self.histories)
        self.cpu_s += max(0.0, time.process_time() - started - self.fixed_s)
        self.doses.append(dose)

    @property
    def mean(self) -> np.ndarray:
        """Dose per particle of all runs (nz, ny, nx) [Gy]."""
        return np.mean(self.doses, axis=0)


def prepare(engine_class: type, case: Case, seconds: float) -> Runs:
    """Compile, build tables and find how many histories take `seconds` of CPU time."""
    started = time.process_time()
    engine = engine_class(case)
    engine.run(2)
    compile_s = time.process_time() - started
    fixed = min(_cpu_of(engine, 2) for _ in range(2))
    histories = 1000
    while (taken := _cpu_of(engine, histories) - fixed) < min(FIRST_TRIAL, seconds):
        histories *= 2
    pairs = max(1, round(0.5 * histories * seconds / taken))  # peers split a run into two equal batches
    return Runs(engine, compile_s, fixed, 2 * pairs)


def _cpu_of(engine: Any, histories: int) -> float:
    started = time.process_time()
    engine.run(histories)
    return time.process_time() - started


def high_dose(dose: np.ndarray, phantom: Phantom) -> np.ndarray:
    """Voxels above half the maximum (nz, ny, nx), by means over 3 x 3 x 3 of them; not those of air.

    A single voxel's noise would raise the maximum, and choose voxels whose dose came out high.
    """
    smooth = uniform_filter(dose, 3, mode="nearest")
    return (smooth > 0.5 * smooth.max()) & (phantom.material > 0)


def relative_sigma(doses: Sequence[np.ndarray], truth: np.ndarray, where: np.ndarray) -> float:
    """Rms relative sigma of the mean of independent `doses` over the voxels `where`.

    Relative to `truth`, scaled to the level of `doses`: dividing by their own noisy mean would count large
    deviations less than small ones.
    """
    values = np.array([dose[where] for dose in doses])
    expected = truth[where] * (values.mean() / truth[where].mean())
    return float(np.sqrt(np.mean(values.var(axis=0, ddof=1) / expected**2) / len(doses)))


def evaluate(runs: dict[str, Runs], phantom: Phantom) -> dict[str, Any]:
    """The record of a case: figures by engine, and how many times more each peer needs than we do."""
    truth = next(iter(runs.values())).mean
    where = high_dose(truth, phantom)
    record: dict[str, Any] = {}
    for name, run in runs.items():
        percent = 100.0 * relative_sigma(run.doses, truth, where)
        histories = run.histories * len(run.doses)
        record[name] = {
            "cpu_s_to_1pct": run.cpu_s * percent**2,
            "histories_per_s": histories / run.cpu_s,
            "cpu_seconds": run.cpu_s,
            "sigma_percent": percent,
            "histories": histories,
            "compile_s": run.compile_s,
            "fixed_s": run.fixed_s,
            "dose_ratio": float(run.mean[where].mean() / truth[where].mean()),
            "version": run.engine.version(),
        }
    if "mcverify" in record:
        ours = record["mcverify"]["cpu_s_to_1pct"]
        for name in [engine for engine in runs if engine != "mcverify"]:
            record[f"ratio_{name}"] = record[name]["cpu_s_to_1pct"] / ours
    return record


def run_case(
    name: str, engines: Sequence[str], seconds: float, repeats: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """Run a case with all `engines`, in turns, for `seconds` of CPU time each; its record (`evaluate`)."""
    case = CASES[name]()
    runs: dict[str, Runs] = {}
    for engine in engines:
        say(f"{name}: preparing {engine}")
        runs[engine] = prepare(ENGINES[engine], case, seconds / repeats)
    for k in range(repeats):
        say(f"{name}: runs {k + 1} of {repeats}")
        for run in runs.values():
            run.repeat()
    return evaluate(runs, case.phantom)


def show(results: dict[str, dict[str, Any]], console: Console) -> None:
    """Print the table."""
    table = Table(title="One core; sigma from repeated runs, rms over voxels above half the maximum")
    table.add_column("case")
    table.add_column("engine")
    for title in (
        "CPU-s to 1 %",
        "times ours",
        "histories/s",
        "sigma %",
        "CPU-s",
        "compile s",
        "dose / ours",
    ):
        table.add_column(title, justify="right")
    for case, record in results.items():
        for name in (engine for engine in ENGINES if engine in record):
            row = record[name]
            table.add_row(
                case,
                f"{name} {row['version']}",
                f"{row['cpu_s_to_1pct']:.1f}",
                f"{record[f'ratio_{name}']:.1f}" if f"ratio_{name}" in record else "",
                f"{row['histories_per_s']:,.0f}",
                f"{row['sigma_percent']:.2f}",
                f"{row['cpu_seconds']:.1f}",
                f"{row['compile_s']:.1f}",
                f"{row['dose_ratio']:.4f}",
            )
    console.print(table)


def read_arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), help="cases (all)")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES), help="engines (all)")
    parser.add_argument(
        "--seconds", type=float, default=20.0, help="CPU seconds an engine and case (%(default)s)"
    )
    parser.add_argument("--repeats", type=int, default=REPEATS, help="independent runs (%(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout, the table on stderr")
    arguments = parser.parse_args(words)
    if not arguments.seconds > 0 or arguments.repeats < 2:
        parser.error("--seconds must be above 0, --repeats at least 2")
    return arguments


def main(words: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    arguments = read_arguments(words)
    os.environ["OMP_NUM_THREADS"] = "1"  # read by ompMC's OpenMP when it is loaded
    out = _own_stdout()
    screen = Console(file=sys.stderr if arguments.json else out, width=120)
    say = Console(stderr=True, style="dim").print
    engines = []
    for name in (engine for engine in ENGINES if engine in arguments.engines):
        if ENGINES[name].version() is None:
            say(f"{name} is not installed and left out; docs/benchmark.md says how to install it")
        else:
            engines.append(name)
    if not engines:
        return 1
    results = {
        name: run_case(name, engines, arguments.seconds, arguments.repeats, say)
        for name in CASES
        if name in arguments.only
    }
    show(results, screen)
    if arguments.json:
        print(json.dumps(results, indent=2), file=out, flush=True)
    return 0


def _own_stdout() -> TextIO:
    """Return stdout for the results alone: what libraries write there, in C too, goes nowhere from now on."""
    sys.stdout.flush()
    out = os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return out


if __name__ == "__main__":
    sys.exit(main())

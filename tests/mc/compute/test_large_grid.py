"""80 million voxels in 8 GB: the memory that a voxel takes, in `simulate` and in all of `mcverify plan`.

By default with few slices, whose memory is extrapolated; `MCVERIFY_SLICES=300` runs the grid of the bar.
"""

from __future__ import annotations

import os

import pytest

from mc.source.phase_space import open_phase_space
from tests.mc.large_case import LAYER, large_case, peak_of
from tests.mc.small_linac import VERDICTS, write_machine

SLICES = int(os.environ.get("MCVERIFY_SLICES", "30"))
PLAN_SLICES = int(os.environ.get("MCVERIFY_SLICES", "10"))
BAR, BAR_VOXELS = 8e9, 300 * LAYER

SIMULATE = """
import json, sys
import numpy as np
from tests.mc.large_case import large_grid
from mc.run.batch import PlacedBeam
from mc.run.options import RunOptions, StopRule
from mc.run.simulate import simulate
from mc.plan.delivery import fixed
from mc.source.phase_space import open_phase_space
from phantoms.phantom import Phantom
from phantoms.recipes import water_tank
grid = large_grid(int(sys.argv[2]))
density, material = np.full(grid.shape, 1.0, np.float32), np.ones(grid.shape, np.uint8)
density[:, :56], material[:, :56] = 0.00121, 0
phantom = Phantom(grid, density, material, water_tank((1.0, 1.0, 1.0), (0.5, 0.5, 0.5)).materials)
along_y = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
space = open_phase_space(sys.argv[1])
beam = PlacedBeam(1, space, fixed(along_y, np.array([0.0, -100.0, 0.0])), 1.0)
stop = StopRule(uncertainty=None, histories=600)
found = simulate(phantom, [beam], RunOptions(stop=stop, threads=int(sys.argv[3])), scored=material > 0)
print(json.dumps({"balance": found.report.energy_balance, "dose": float(found.dose.mean.sum())}))
"""


@pytest.mark.slow
def test_memory_of_the_transport(tmp_path):
    """Phantom and mask 6 bytes a voxel, geometry 5, tally 8, sums 32: the same for any number of threads."""
    space = open_phase_space(write_machine(tmp_path).parent / "field5.IAEAheader").header_path
    small = peak_of(["-c", SIMULATE, str(space), "2", "1"])
    small = peak_of(["-c", SIMULATE, str(space), "2", "1"])  # the first may have compiled
    one, two = (peak_of(["-c", SIMULATE, str(space), str(SLICES), str(n)]) for n in (1, 2))
    for run in (small, one, two):
        assert run["code"] == 0, run["printed"]
        assert run["found"]["balance"] == pytest.approx(1.0, abs=1e-6)
    assert one["found"]["dose"] == two["found"]["dose"] > 0
    each = [(run["peak"] - small["peak"]) / ((SLICES - 2) * LAYER) for run in (one, two)]
    print(f"{each[0]:.1f} and {each[1]:.1f} bytes a voxel, {one['peak'] / 1e9:.2f} GB in all")
    assert max(each) < 58
    assert small["peak"] + max(each) * BAR_VOXELS < BAR


@pytest.mark.slow
def test_memory_of_a_plan(tmp_path):
    """From the export to the report, with 21 structures and four gammas."""
    machine = write_machine(tmp_path / "machine")
    peak_of(["-m", "mcverify", "warmup"])  # compiling takes memory of its own
    small, run = (plan_of(tmp_path / f"{n}", machine, n) for n in (2, PLAN_SLICES))
    each = (run["peak"] - small["peak"]) / ((PLAN_SLICES - 2) * LAYER)
    print(f"{run['peak'] / 1e9:.2f} GB, {each:.1f} bytes a voxel, {run['cpu_s']:.0f} CPU-s")
    assert small["peak"] + each * BAR_VOXELS < BAR


def plan_of(folder, machine, slices):
    """Time and memory of the check of a plan on so many slices."""
    arguments = ["plan", large_case(folder / "case", slices), "--machine", machine, "--out", folder / "out"]
    run = peak_of(["-m", "mcverify", *map(str, arguments), "--histories", "600", "--threads", "2"])
    assert run["code"] in VERDICTS, run["printed"]  # few histories: the verdict may be either
    assert all((folder / "out" / name).exists() for name in ("dose.h5", "RTDOSE.dcm", "report.html"))
    return run

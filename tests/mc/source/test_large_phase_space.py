"""A phase space larger than the memory it may take: only the part in work is read.

`MCVERIFY_PHASE_SPACE_GB=4` makes the file of the project's bar; by default it is a tenth of that.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mc.source.phase_space import Particles
from mc.source.phase_space_writer import write_phase_space

ROOT = Path(__file__).parents[3]
GIGABYTES = float(os.environ.get("MCVERIFY_PHASE_SPACE_GB", "0.4"))
BLOCK = 1 << 18  # particles of the block that is repeated

RUN = """
import json, resource, sys
import numpy as np
from mc.run.batch import PlacedBeam, open_on_all_ranks
from mc.run.parallel import world
from mc.run.options import RunOptions, StopRule
from mc.run.simulate import simulate
from mc.plan.delivery import fixed
from phantoms.recipes import water_tank
space = open_on_all_ranks(sys.argv[1], world())
beam = PlacedBeam(1, space, fixed(np.eye(3), np.array([0.0, 0.0, -1.0])), 1.0)
phantom = water_tank((4.0, 4.0, 4.0), (1.0, 1.0, 1.0))
result = simulate(phantom, [beam], RunOptions(stop=StopRule(uncertainty=None, histories=1), threads=1))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"peak": peak, "balance": result.report.energy_balance}))
"""


def write_file(folder: Path, blocks: int) -> Path:
    """`blocks` times the same parallel photons of 0.05 MeV, each a history."""
    rng = np.random.default_rng(2)
    x, y = rng.uniform(-1.5, 1.5, (2, BLOCK))
    zero, one = np.zeros(BLOCK), np.ones(BLOCK)
    new = np.ones(BLOCK, bool)
    particles = Particles(np.ones(BLOCK, np.int8), 0.051 * one, x, y, zero, zero, zero, one, one, new)
    space = write_phase_space(folder / "file", particles, BLOCK)
    block, text = space.data_path.read_bytes(), space.header_path.read_text()
    with open(space.data_path, "wb") as file:
        for _ in range(blocks):
            file.write(block)
    text = text.replace(str(len(block)), str(len(block) * blocks)).replace(str(BLOCK), str(BLOCK * blocks))
    space.header_path.write_text(text)
    return space.header_path


def peak(folder: Path, blocks: int) -> dict:
    folder.mkdir()
    path = write_file(folder, blocks)
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    path.with_suffix(".IAEAphsp").unlink()
    return json.loads(done.stdout)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path):
    blocks = max(8, round(GIGABYTES * 1e9 / (29 * BLOCK)))
    peak(tmp_path / "first", 1)  # may compile, which takes memory of its own
    small, large = peak(tmp_path / "small", 1), peak(tmp_path / "large", blocks)
    sizes = [f"{found['peak'] / 1e6:.0f} MB" for found in (small, large)]
    print(f"{29 * BLOCK * blocks / 1e9:.2f} GB: {sizes[1]}, a small file {sizes[0]}")
    assert large["balance"] == pytest.approx(1.0, abs=1e-6)
    assert large["peak"] - small["peak"] < 60e6  # of which 8 bytes for each history would make 110

"""A case on a large grid: CT and RTDOSE of 512 x 512 voxels a slice, 1 mm; peak memory of a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from phantoms.grid import Grid
from tests.dicom_factory import Contours, Field, circle, write_ct, write_dose, write_plan, write_structures

HERE = Path(__file__).parent
PATHS = (HERE.parents[1], HERE.parent, HERE)  # of the project, and of what tests share
LAYER = 512 * 512  # voxels of a slice
SIDE = 0.1  # of a voxel [cm]
BODY = 20.0  # radius of the patient, a cylinder [cm]
ORGANS = 20


def large_grid(slices: int) -> Grid:
    """Centred about the origin."""
    half = 0.5 * SIDE
    return Grid((slices, 512, 512), (SIDE,) * 3, (half - slices * half, half - 512 * half, half - 512 * half))


def large_case(folder: Path, slices: int) -> Path:
    """Write a cylinder of water with a PTV of 6 cm at the isocentre, `ORGANS` around it, and one field.

    The RTDOSE, on the CT's voxels, is a slab of 5 x 5 cm through the isocentre that falls off with depth.
    """
    grid = large_grid(slices)
    z = grid.centres(0)
    hu = np.full(grid.shape, -1000, np.int16)
    hu[:, np.hypot(grid.centres(1)[:, None], grid.centres(2)) < BODY] = 0
    write_ct(folder, grid, hu)
    structures = [Contours("BODY", [circle(BODY, at) for at in z], "EXTERNAL")]
    structures += [Contours("PTV", [circle(3.0, at) for at in z if abs(at) < 3.0], "PTV")]
    for k in range(ORGANS):
        angle = 2 * np.pi * k / ORGANS
        centre = 11.0 * np.cos(angle), 11.0 * np.sin(angle)
        structures.append(Contours(f"ORGAN {k}", [circle(1.0 + 0.2 * k, at, centre, 90) for at in z]))
    write_structures(folder, structures, slices)
    write_plan(folder, [Field(isocentre=(0.0, 0.0, 0.0))])
    depth = np.maximum(grid.centres(1) + BODY, 0.0)
    field = [1 / (1 + np.exp((np.abs(grid.centres(axis)) - 2.5) / 0.2)) for axis in (0, 2)]
    dose = (30.0 * np.exp(-0.05 * depth))[:, None] * (field[0][:, None, None] * field[1])
    write_dose(folder, grid, dose)
    return folder


def peak_of(arguments: list[str]) -> dict:
    """Run python by itself: exit code, peak memory [bytes], processor time [s], and what it printed."""
    launched = subprocess.Popen(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, PATHS))},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    printed = launched.stdout.read()
    _, status, usage = os.wait4(launched.pid, 0)
    launched.returncode = os.waitstatus_to_exitcode(status)
    last = printed.strip().splitlines()[-1] if printed.strip() else ""
    return {
        "code": launched.returncode,
        "peak": usage.ru_maxrss * 1024,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "printed": printed,
        "found": json.loads(last) if last.startswith("{") else None,
    }

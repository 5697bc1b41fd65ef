"""A linac small enough for whole commissionings within seconds, and scans of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mc.source.phase_space_writer import write_phase_space
from tests.machines import machine_text, phase_space
from tests.point_source import point_source

PARTICLES = 4000


def write_linac(folder: Path, fields: dict[str, tuple[float, float, float, float]], mirror: str = "") -> Path:
    """Write a machine of point sources of 0.5 to 4 MeV, one phase space a field (x1, x2, y1, y2 [cm])."""
    spaces = []
    for number, (name, jaws) in enumerate(fields.items()):
        rng = np.random.default_rng(number)
        x = 0.5 * rng.uniform(*jaws[:2], PARTICLES)
        y = -0.5 * rng.uniform(*jaws[2:], PARTICLES)  # phase spaces have y opposite to the jaws'
        write_phase_space(folder / name, point_source(x, y, rng), orig_histories=PARTICLES)
        spaces.append(phase_space(name, jaws, mirror=mirror))
    (folder / "linac.toml").write_text(machine_text(*spaces, field_cm=5.0))
    return folder / "linac.toml"


HEADER = "scan,x_cm,y_cm,z_cm,value,field_x_cm,field_y_cm,ssd_cm,nominal_mv,fluence_mode\n"


def csv_lines(name, points, field=(5, 5), ssd=90, mode="FFF"):
    """Lines of a CSV file of scans for points (x, y, z, value)."""
    facts = f"{field[0]},{field[1]},{ssd},6,{mode}"
    return "".join(f"{name}," + ",".join(f"{c:.5g}" for c in point) + f",{facts}\n" for point in points)


def write_scans(folder: Path, field=(5, 5)) -> Path:
    """Write a depth dose and a crossline profile such as a linac of 6 MV might have."""
    z, x = np.arange(0, 15.1, 0.5), np.arange(-4, 4.01, 0.2)
    deep = [(0, 0, d, 100 * (np.exp(-0.06 * d) - 0.5 * np.exp(-d / 0.4))) for d in z]
    across = [(p, 0, 5, 100 / (1 + np.exp((abs(p) - 0.475 * field[0]) / 0.1))) for p in x]
    folder.mkdir(parents=True, exist_ok=True)
    text = HEADER + csv_lines("deep", deep, field) + csv_lines("across", across, field)
    (folder / "scans.csv").write_text(text)
    return folder

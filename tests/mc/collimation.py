"""Collimators for tests, an independent test of points, and a kernel that sends particles through them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np

from mc.collimators import Block, Collimators, Cones, Ends, Jaws, Leaves
from mc.jit import njit
from mc.rng import stream
from mc.source.collimator import OUT_COLUMNS, OUT_ROWS, Collimator, build_collimator, collimate
from phantoms.materials import load_materials

SAD = 100.0
TUNGSTEN = load_materials()["tungsten"]
MATERIALS = (load_materials()["air"], TUNGSTEN)
FIELD = np.array([-3.0, 4.0, -5.0, 2.0])
NO_LEAVES = np.zeros(0)


def jaws(axis: str, top: float, ends: Ends, density: float = TUNGSTEN.density) -> Jaws:
    """A pair of jaws 7.8 cm high."""
    return Jaws(top, top + 7.8, TUNGSTEN, density, axis, ends)


def leaves(
    ends: Ends, *, axis: str = "X", tongue: float = 0.04, tilt: float = 0.0, gap: float = 0.01
) -> Leaves:
    """Sixteen leaf pairs, 6 cm high from 48 cm, of 1, 0.5 and 1 cm width."""
    boundaries = tuple(np.r_[-6.0:-2.0, -2.0:2.0:0.5, 2.0:6.5:1.0])
    return Leaves(
        48.0, 54.0, TUNGSTEN, 18.0, axis, boundaries, ends, gap, tongue, 50.0, 52.5, tilt
    )  # fmt: skip


def built(*blocks: Block, cone: float | None = None) -> Collimator:
    """The kernel's view of some collimators, in `MATERIALS`."""
    parts = Collimators(
        tuple(block for block in blocks if isinstance(block, Jaws)),
        next((block for block in blocks if isinstance(block, Leaves)), None),
        next((block for block in blocks if isinstance(block, Cones)), None),
    )
    machine = SimpleNamespace(collimators=parts, sad_cm=SAD, path=Path("test.toml"))
    return build_collimator(machine, MATERIALS, cone_cm=cone)


def end(block: Jaws | Leaves, position: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Where an end of bank 1 stands in s at height z, found from the light field by search."""
    ends, middle = block.ends, 0.5 * (block.top_cm + block.bottom_cm)
    slope = (position - ends.offset_cm) / SAD
    if ends.kind == "focused":
        return slope * z
    radius = ends.radius_cm

    def shape(height):  # how far the end stands behind its tip
        return radius - np.sqrt(radius**2 - (height - middle) ** 2) if radius else 0.0 * height

    if ends.position == "tip":
        return slope * middle - shape(z)
    heights = np.linspace(block.top_cm, block.bottom_cm, 20001)
    # the tip stands so that no part of the end crosses the ray s = slope z, and one part touches it
    tip = np.min(np.multiply.outer(slope, heights) + shape(heights), axis=-1)
    return tip - shape(z)


def inside(block: Block, x, y, z, field, positions, cone: float = 0.0) -> np.ndarray:
    """Whether points (n,) within the heights of a block lie in its solid."""
    if isinstance(block, Cones):
        height = z if block.bore == "focused" else block.bottom_cm
        return np.hypot(x, y) > 0.5 * cone / SAD * height
    s, q = (x, y) if block.axis == "X" else (y, x)
    if isinstance(block, Jaws):
        one, two = field[:2] if block.axis == "X" else field[2:]
        return (s < end(block, np.array(one), z)) | (-s < end(block, np.array(-two), z))
    middle = 0.5 * (block.top_cm + block.bottom_cm)
    shifted = np.where((z > block.tongue_top_cm) & (z < block.tongue_bottom_cm), 0.5, -0.5) * block.tongue_cm
    sides = (
        np.multiply.outer(z, block.boundaries_cm) / SAD + (shifted + block.tilt_rad * (z - middle))[:, None]
    )
    j = np.clip((q[:, None] > sides).sum(axis=1) - 1, 0, block.pairs - 1)
    in_gap = (np.abs(q[:, None] - sides[:, 1:-1]) < 0.5 * block.gap_cm).any(axis=1)
    tips = [
        np.array([end(block, sign * p, z[:1])[0] for p in positions]) for sign in (1, -1)
    ]  # at one height
    curve = end(block, np.array(0.0), z) - end(block, np.array(0.0), z[:1])
    if block.ends.kind == "focused":
        first, second = (np.array(positions) / SAD)[j] * z, (np.array(positions) / SAD)[j + block.pairs] * z
    else:
        first = tips[0][: block.pairs][j] + curve
        second = -(tips[1][block.pairs :][j] + curve)
    return ((s < first) | (s > second)) & ~in_gap


@njit(_nrt=True)
def send(particles, starts, collimator, field, leaf_positions, tables, cuts, counters, seed, result, history):
    """Send histories of particles (n, 9) through; fills `result` (m, 9), `history` (m,); their number."""
    out = np.empty((OUT_ROWS, OUT_COLUMNS))
    n = 0
    for h in range(starts.size - 1):
        rng = stream(seed, 0, 0, h, 0)
        for p in range(starts[h], starts[h + 1]):
            r = particles[p]
            count, rng = collimate(
                int(r[0]), r[1], r[2], r[3], r[4], r[5], r[6], r[7], r[8],
                collimator, field, leaf_positions, tables, cuts, counters, out, rng,
            )  # fmt: skip
            for c in range(count):
                for column in range(OUT_COLUMNS):
                    result[n, column] = out[c, column]
                history[n] = h
                n += 1
    return n

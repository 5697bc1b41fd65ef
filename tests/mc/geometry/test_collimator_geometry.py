"""Rays through the solids of collimators, against points tested one by one, as the explicit check does."""

from __future__ import annotations

import numpy as np
import pytest

from mc.geometry.collimator import OPEN, SHUT, Placed, Ray, classify_ray, trace
from mc.machine.collimators import Cones, Ends
from mc.numerics.jit import njit
from tests.mc.collimation import FIELD, MATERIALS, NO_LEAVES, SAD, built, jaws, leaves, parts
from tests.mc.collimation import TUNGSTEN as W
from validation.engine.explicit_collimator import place_solids, region

FOCUSED, FLAT = Ends("focused"), Ends("flat")
ROUND, TIP = Ends("rounded", 8.0), Ends("rounded", 12.0, "tip", 0.03)
PHOTON = np.ones((2, 1, 4, 2)) * [1.0, 0.0]  # 1 cm2/g in all materials
STEPS = 20000

CASES = {
    "focused jaws": ((jaws("Y", 28.0, FOCUSED), jaws("X", 36.7, FOCUSED)), None),
    "flat jaws": ((jaws("Y", 28.0, FLAT), jaws("X", 36.7, Ends("flat", position="tip"))), None),
    "rounded jaws": ((jaws("Y", 28.0, ROUND), jaws("X", 36.7, TIP)), None),
    "rounded leaves": ((leaves(ROUND),), None),
    "focused leaves along y": ((leaves(FOCUSED, axis="Y", tongue=0.0),), None),
    "tilted leaves": ((leaves(Ends("rounded", 17.0), tongue=0.0, tilt=0.009), jaws("Y", 56.0, ROUND)), None),
    "cone": ((Cones(40.0, 50.0, W, 18.0, (6.0,), "focused"),), 6.0),
    "cylinder": ((Cones(40.0, 50.0, W, 18.0, (6.0,), "cylindrical"),), 6.0),
}


@njit
def solid_share(solids, x, y, z, u, v, w, a, b):
    """Share of the path from a to b along a ray that lies in a solid, by points."""
    count = 0
    for step in range(STEPS):
        t = a + (b - a) * (step + 0.5) / STEPS
        count += region(solids, x + u * t, y + v * t, z + w * t) >= 0
    return count / STEPS


def rays(n: int, seed: int, spread: float) -> np.ndarray:
    """Points at z = 27 and directions towards points of the isocentre plane, (n, 6)."""
    rng = np.random.default_rng(seed)
    start = np.column_stack([rng.uniform(-3.0, 3.0, (n, 2)), np.full(n, 27.0)])
    aim = start / 0.27 + np.column_stack([rng.normal(0.0, spread, (n, 2)), np.zeros(n)])
    distance = aim - start
    return np.hstack([start, distance / np.linalg.norm(distance, axis=1)[:, None]])


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("spread", (0.3, 30.0))  # nearly from the target, and across everything
def test_path_in_solids(name, spread):
    blocks, cone = CASES[name]
    collimator = built(*blocks, cone=cone)
    positions = np.concatenate([np.linspace(-4.0, 1.0, 16), np.linspace(-1.5, 4.0, 16) ** 2 / 4 + 1.0])
    moving = any(hasattr(block, "boundaries_cm") for block in blocks)
    given = positions if moving else NO_LEAVES
    placed = Placed(collimator, FIELD, given)
    solids = place_solids(parts(*blocks), MATERIALS, SAD, FIELD, given, cone or 0.0)
    opened = shut = closed = 0
    for ray in rays(60, 5, spread):
        expected, u = 0.0, ray[3:]
        for block in blocks:
            a, b = (block.top_cm - ray[2]) / u[2], (block.bottom_cm - ray[2]) / u[2]
            expected += solid_share(solids, *ray, a, b) * (b - a) * block.density
        end = (collimator.bottom - ray[2]) / u[2]
        k, distance, depth = trace(placed, Ray(*ray), PHOTON, 0, 0.0, end, np.inf)
        assert (k, distance) == (-1, end)
        # a face is missed by half a step at most, and a ray meets 16 at most
        assert depth == pytest.approx(expected, abs=8 * W.density * (b - a) / STEPS)
        seen, by = classify_ray(placed, Ray(*ray))
        if seen == OPEN:
            opened += 1
            assert depth == 0.0
        elif seen == SHUT:
            shut += 1
            upper, lower, density = collimator.measures[by, :3]
            assert depth > 0.999 * (lower - upper) / u[2] * density
            assert trace(placed, Ray(*ray), PHOTON, 0, 0.0, (upper - ray[2]) / u[2], np.inf)[2] == 0
        if expected > 0.0:
            closed += 1
            half, distance, spent = trace(placed, Ray(*ray), PHOTON, 0, 0.0, end, 0.5 * depth)
            assert half >= 0 and spent == 0.5 * depth
            before = trace(placed, Ray(*ray), PHOTON, 0, 0.0, distance, np.inf)[2]
            assert before == pytest.approx(0.5 * depth)
    assert opened > 0 or spread > 1.0
    assert shut > 0 or cone
    assert closed > 5


def test_open_rays_are_found_by_their_bounds():
    """What passes well within the field needs no closer look."""
    for name, (blocks, cone) in CASES.items():
        wide = np.repeat([-5.0, 5.0], 16)
        given = wide if any(hasattr(block, "boundaries_cm") for block in blocks) else NO_LEAVES
        placed = Placed(built(*blocks, cone=cone), FIELD, given)
        for x, y in ((0.0, 0.0), (1.5, -1.0), (-2.0, 1.2)):
            direction = np.array([x, y, 100.0]) / np.linalg.norm([x, y, 100.0])
            start = 0.27 * np.array([x, y, 100.0])
            assert classify_ray(placed, Ray(*start, *direction))[0] == OPEN, name


@pytest.mark.parametrize("ends", (FOCUSED, FLAT, ROUND, Ends("rounded", 40.0)))
@pytest.mark.parametrize("position", (-20.0, -4.0, 0.0, 3.0, 18.0))
def test_light_field(ends, position):
    """A ray from the target just inside the light field is free, one just outside is not."""
    collimator = built(jaws("X", 36.7, ends))
    for offset, touches in ((-0.002, True), (0.002, False)):
        direction = np.array([position + offset, 0.0, 100.0])
        direction /= np.linalg.norm(direction)
        field = np.array([position, 30.0, -20.0, 20.0])
        placed, ray = Placed(collimator, field, NO_LEAVES), Ray(0.0, 0.0, 0.0, *direction)
        depth = trace(placed, ray, PHOTON, 0, 0.0, 60.0, np.inf)[2]
        assert (depth > 0.0) == touches

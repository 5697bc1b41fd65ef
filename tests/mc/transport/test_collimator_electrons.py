"""Secondary electrons of collimators: their geometry, how many come out, and what they give."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mc.backends.cpu import Collimation
from mc.config import Physics
from mc.geometry.collimator import Placed, Ray, trace
from mc.geometry.collimator_solids import NOWHERE, PAST_FACE, boundary, clearance, distance_out, solid_at
from mc.machine.collimators import Cones, Ends
from mc.numerics.jit import njit
from mc.plan.delivery import fixed
from mc.run.batch import collimation_of
from mc.tables import build_tables
from mc.transport.context import Cuts
from mc.transport.particle import ELECTRON, PHOTON
from phantoms.recipes import water_tank
from tests.mc.collimation import FIELD, MATERIALS, NO_LEAVES, SAD, built, jaws, leaves, parts
from tests.mc.collimation import TUNGSTEN as W
from tests.mc.engine import pencil, run_particles
from validation.engine.collimated import collimated, fan
from validation.engine.explicit_collimator import explicit, place_solids, region

FOCUSED, FLAT = Ends("focused"), Ends("flat")
ROUND = Ends("rounded", 8.0)
PHOTON_TABLE = np.ones((2, 1, 4, 2)) * [1.0, 0.0]  # 1 cm2/g in all materials
POSITIONS = np.concatenate([np.linspace(-4.0, 1.0, 16), np.linspace(-1.5, 4.0, 16) ** 2 / 4 + 1.0])
CASES = {
    "focused and round jaws": ((jaws("Y", 28.0, FOCUSED), jaws("X", 36.7, ROUND)), None),
    "flat jaws": ((jaws("Y", 28.0, FLAT),), None),
    "round leaves": ((leaves(ROUND),), None),
    "tilted leaves along y": ((leaves(FOCUSED, axis="Y", tongue=0.0, tilt=0.009),), None),
    "cone": ((Cones(40.0, 50.0, W, 18.0, (6.0,), "focused"),), 6.0),
    "cylinder": ((Cones(40.0, 50.0, W, 18.0, (6.0,), "cylindrical"),), 6.0),
}
PHYSICS = Physics()
CUTS = Cuts(PHYSICS.electron_cut, PHYSICS.photon_cut)


@njit
def stays(solids, k, x, y, z, u, v, w, distance):
    """Whether all of a path but its ends lies in the solid `k`, by points."""
    for step in range(1, 2000):
        t = distance * step / 2000
        if region(solids, x + u * t, y + v * t, z + w * t) != k:
            return False
    return True


def placed_and_solids(name):
    blocks, cone = CASES[name]
    moving = any(hasattr(block, "boundaries_cm") for block in blocks)
    given = POSITIONS if moving else NO_LEAVES
    solids = place_solids(parts(*blocks), MATERIALS, SAD, FIELD, given, cone or 0.0)
    return Placed(built(*blocks, cone=cone), FIELD, given), solids


@pytest.mark.parametrize("name", CASES)
def test_distance_out_of_a_solid(name):
    """From points all over, in all directions: all of the path is in the solid, and what follows is found."""
    placed, solids = placed_and_solids(name)
    rng = np.random.default_rng(3)
    top, bottom = placed.collimator.measures[0, 0], placed.collimator.bottom
    points = np.column_stack([rng.uniform(-4.0, 4.0, (4000, 2)), rng.uniform(top, bottom, 4000)])
    edges = np.r_[placed.collimator.bands[1:-1], bottom]  # a good part just above where a tongue may end
    points[:2000, 2] = rng.choice(edges, 2000) - 0.02 * rng.random(2000)
    directions = rng.normal(size=(4000, 3))
    inside = changed = 0
    for point, direction in zip(
        points, directions / np.linalg.norm(directions, axis=1)[:, None], strict=True
    ):
        k = solid_at(placed, *point)
        assert k == max(NOWHERE, region(solids, *point))
        if k == NOWHERE:
            continue
        inside += 1
        out = distance_out(placed, k, Ray(*point, *direction))
        if out > 100.0:  # along a solid without end
            continue
        assert stays(solids, k, *point, *direction, out)
        there, face = boundary(placed, (k,), *point, *direction)
        assert clearance(placed, (k,), *point) <= there or face == k or direction[2] < 0.0
        assert there == out + PAST_FACE
        assert face == max(NOWHERE, region(solids, *(point + there * direction)))
        changed += face != k
    assert inside > 300 and changed > 0.3 * inside


@pytest.mark.parametrize("name", CASES)
def test_rays_upwards(name):
    """A ray traced backwards passes as much, in either direction."""
    placed, _ = placed_and_solids(name)
    rng = np.random.default_rng(4)
    met = 0
    for _ in range(300):
        direction = np.append(rng.normal(0.0, 0.3, 2), 1.0)
        direction /= np.linalg.norm(direction)
        start = np.append(rng.uniform(-3.0, 3.0, 2), 27.0)
        length = (placed.collimator.bottom + 1.0 - 27.0) / direction[2]
        down = trace(placed, Ray(*start, *direction), PHOTON_TABLE, 0, 0.0, length, math.inf)
        up = trace(
            placed, Ray(*(start + length * direction), *-direction), PHOTON_TABLE, 0, 0.0, length, math.inf
        )
        assert up[2] == pytest.approx(down[2], abs=1e-6)
        met += down[2] > 0.0
    assert met > 100


COMB = np.r_[np.tile([-3.0, 0.0], 8), np.tile([3.0, 6.0], 8)]
PATTERNS = {  # leaves, blocks, photons sent, sigma of the ratio
    "jaws": (None, (jaws("Y", 28.0, FOCUSED), jaws("X", 36.7, FLAT)), 900_000, 0.035),
    "comb of leaves": (COMB, (leaves(ROUND),), 900_000, 0.045),
    "shut leaves": (np.full(32, 5.0), (leaves(ROUND, gap=0.03),), 300_000, 0.14),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PATTERNS)
def test_what_emerges_as_by_explicit_transport(name):
    """Energy of charged particles above 0.5 MeV; below, the air's one hinge loses a fifth of their number."""
    given, blocks, n, precise = PATTERNS[name]
    given = NO_LEAVES if given is None else given
    tables = build_tables(MATERIALS, PHYSICS)
    sent = fan(n, 6.0, np.array([0.5, 6.0]), np.array([0.0, 1.0]), 5, sad=SAD, z=blocks[0].top_cm - 1.0)
    starts = np.arange(n + 1)
    ours, of = collimated(sent, starts, built(*blocks), FIELD, given, tables, CUTS, electrons=True)
    solids = place_solids(parts(*blocks), MATERIALS, SAD, FIELD, given)
    theirs, of_theirs = explicit(sent, starts, solids, tables, CUTS)
    stopped, of_stopped = collimated(sent, starts, built(*blocks), FIELD, given, tables, CUTS)
    sums, slow = [], []
    for rows, history in ((ours, of), (theirs, of_theirs), (stopped, of_stopped)):
        charged = (rows[:, 0] != PHOTON) & (rows[:, 1] > 0.5)
        energy = np.bincount(history[charged], rows[charged, 1] * rows[charged, 8], n)
        sums.append((energy.sum(), math.sqrt(np.sum(energy**2))))
        slow.append(rows[(rows[:, 0] != PHOTON) & (rows[:, 1] < 0.5), 8].sum())
    (found, sigma), (expected, other), (without, _) = sums
    sigma = math.hypot(sigma, other)
    assert abs(found - expected) < 3.5 * sigma  # false alarm 5e-4 each
    assert sigma < precise * expected
    assert found > 1.2 * without
    assert 0.6 < slow[0] / slow[1] < 1.3 or slow[1] < 100


@pytest.mark.parametrize("asked", (True, False))
def test_machine_file_asks(asked):
    machine = SimpleNamespace(
        collimators=replace(parts(leaves(ROUND)), electrons=asked), sad_cm=SAD, path=Path("test.toml")
    )
    assert collimation_of.__wrapped__(machine, PHYSICS).electrons is (asked or None)


@pytest.mark.slow  # its kernels take half a minute to compile, for this test alone
def test_electrons_reach_the_patient():
    """Through the whole kernel: the skin below shut leaves gets more, deeper places the same."""
    phantom = water_tank((4.0, 40.0, 40.0), (0.2, 40.0, 40.0), surface=0.0)
    physics = Physics()
    tables, solids = build_tables(phantom.materials, physics), build_tables(MATERIALS, physics)
    collimator = built(leaves(ROUND))
    n = 200_000
    sent = pencil(PHOTON, 4.0, (0.0, 0.0, 40.0), (0.0, 0.0, 1.0), n)
    sent[:, 2] = np.random.default_rng(1).uniform(-1.5, 1.5, n)
    still = fixed(np.eye(3), np.array([0.0, 0.0, -60.0]), FIELD, np.r_[np.full(16, 0.0), np.full(16, 5.0)])
    depth = {}
    for follow in (None, True):
        collimation = Collimation(collimator, solids, follow)
        run = run_particles(phantom, tables, CUTS, sent, delivery=still, collimation=collimation)
        depth[follow] = run.voxels.sum(axis=(1, 2))
    assert depth[True][0] > 1.02 * depth[None][0]
    assert depth[True][10:].sum() == pytest.approx(depth[None][10:].sum(), rel=0.02)


def test_an_electron_that_meets_a_solid_is_followed():
    """10 MeV onto the edge of a leaf: some come through its round end; without, all stop."""
    tables = build_tables(MATERIALS, PHYSICS)
    sent = pencil(ELECTRON, 10.0, (-0.3, 0.0, 47.0), (0.0, 0.0, 1.0), 2000).astype(float)
    given = np.r_[np.zeros(16), np.full(16, 6.0)]
    collimator = built(leaves(ROUND))
    found = {}
    for follow in (None, True):
        rows, _ = collimated(sent, np.arange(2001), collimator, FIELD, given, tables, CUTS, electrons=follow)
        found[follow] = np.count_nonzero(rows[:, 0] == ELECTRON), np.count_nonzero(rows[:, 0] == PHOTON)
    assert found[None] == (0, 0)
    assert found[True][0] > 100 and found[True][1] > 100

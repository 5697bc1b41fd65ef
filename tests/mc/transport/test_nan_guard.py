"""Float paths at their extremes: nothing is lost, nothing is endless, what is not finite is reported.

The rays are those that rounding treats worst: along axes and diagonals, through edges and corners of voxels,
from faces, with cosines of 0, -0 and next to nothing; the energies are the ends of the tables and every
threshold; densities span seven decades.
"""

import itertools
import math

import numpy as np
import pytest

from mc.backends import cpu
from mc.backends.tally import merge
from mc.config import Physics
from mc.geometry.voxels import build_voxels
from mc.numerics.constants import ELECTRON_MASS
from mc.numerics.rng import stream
from mc.numerics.sampling import ENERGY_MAX, ENERGY_MIN
from mc.plan.delivery import fixed
from mc.run.report import RunReport
from mc.source.phase_space import open_phase_space, record_dtype
from mc.tables import build_tables
from mc.transport.particle import ELECTRON, PHOTON, POSITRON, STACK_COLUMNS
from mc.transport.scoring import (
    EMITTED,
    ESCAPED,
    LOST,
    MISSED,
    N_COUNTERS,
    OVERFLOWS,
    PARTICLES,
    ROULETTE,
    STEPS,
    quanta,
)
from phantoms.errors import InputError
from phantoms.grid import Grid
from phantoms.materials import load_materials
from phantoms.phantom import Phantom
from tests.mc.engine import ANALOGUE, Result, pencil, run_rows, use_of
from validation.plan_check.verdict import judge_run

PLAN = Physics()
CUTS = cpu.cuts_of(PLAN)
LIBRARY = load_materials()
MATERIALS = tuple(LIBRARY[name] for name in ("air", "water", "cortical_bone_icru44", "gold"))
KINDS = (PHOTON, ELECTRON, POSITRON)
TINY = (1e-300, 1e-30, 1e-13, 1e-12, 1e-9)  # cosines; 1e-12 is where `voxels.inverse` changes


@pytest.fixture(scope="module")
def tables():
    return build_tables(MATERIALS, PLAN)


def extreme_phantom(n=4, side=0.5):
    """n^3 voxels of all materials at 1e-6 to 25 g/cm3, corner at the origin; faces are exact in binary."""
    rng = np.random.default_rng(3)
    density = rng.choice([1e-6, 1e-3, 0.1, 1.0, 3.0, 25.0], (n, n, n))
    material = rng.integers(len(MATERIALS), size=(n, n, n))
    return Phantom(Grid((n,) * 3, (side,) * 3, (0.5 * side,) * 3), density, material, MATERIALS)


def follow(phantom, tables, cuts, particles, air_margin=0.0, water=True):
    """Transport particles (n, 9) in double precision; tally, counters. Unlike `engine` it asserts nothing."""
    geometry = build_voxels(phantom, air_margin)
    tally = cpu.empty_tally(geometry, tables, cuts, water)
    rows = np.zeros((4, N_COUNTERS), np.int64)
    cpu.run_phase_space(
        particles.astype(np.float32), np.arange(len(particles) + 1), use_of(),
        fixed(np.eye(3), np.zeros(3)), *cpu.Collimation(), geometry, tables, cuts, tally, rows,
    )  # fmt: skip
    return merge(tally, geometry.density.size), rows.sum(axis=0)


def assert_valid(tally, counters, n):
    """All arrived, none was lost, the energy balances, no voxel holds what cannot be."""
    assert counters[LOST] == counters[OVERFLOWS] == 0
    assert counters[PARTICLES] == n
    result = Result(tally.medium, 0.0, counters, tally.medium)
    assert counters[EMITTED] > 0 and abs(result.imbalance) < 1e-6
    assert (tally.medium >= 0).all() and tally.medium.sum() <= (counters[EMITTED] - counters[ROULETTE]) * (
        1 + 1e-6
    )
    deposits = int(counters[STEPS]) + PLAN.photon_split * n  # each rounded to a quantum
    assert (tally.water >= 0).all() and tally.water.sum() < 3 * (tally.medium.sum() + deposits)


def directions():
    """All axes and diagonals, with 0, -0 and tiny cosines in place of their zeros."""
    found = []
    for signs in itertools.product((-1.0, 0.0, 1.0), repeat=3):
        if not any(signs):
            continue
        for zero in (0.0, -0.0, *TINY, *(-t for t in TINY)):
            found.append([s if s else zero for s in signs])
            if all(signs):
                break
    return np.array(found)


def places(side=0.5, n=4):
    """Corners, middles of edges and faces, and centres of voxels, those on the outer faces included."""
    ticks = np.array([0.0, 0.5 * side, side, 2.0 * side, n * side - 0.5 * side, n * side])
    return np.array(list(itertools.product(ticks, repeat=3)))


@pytest.mark.parametrize("cuts", [CUTS, CUTS._replace(**ANALOGUE)], ids=["plan", "analogue"])
@pytest.mark.parametrize("energy", [0.3, 6.0])
@pytest.mark.parametrize("kind", KINDS)
def test_rays_through_edges_and_corners(tables, kind, energy, cuts):
    """Every place with directions in turn, so that each meets most of the others."""
    at, along = places(), directions()
    rng = np.random.default_rng(4)
    particles = pencil(kind, energy, (0, 0, 0), (0, 0, 1), 12 * len(at))
    particles[:, 2:5] = np.repeat(at, 12, axis=0)
    particles[:, 5:8] = along[rng.permuted(np.resize(np.arange(len(along)), len(particles)))]
    tally, counters = follow(extreme_phantom(), tables, cuts, particles, air_margin=1.0)
    assert_valid(tally, counters, len(particles))


@pytest.mark.parametrize("kind", KINDS)
def test_rays_from_outside_that_graze(tables, kind):
    """Along faces and edges of grid and air margin, towards their corners, and just past them."""
    along, at = directions(), np.array(list(itertools.product((-0.5, 0.0, 2.0, 2.5, 2.50001), repeat=3)))
    particles = pencil(kind, 1.0, (0, 0, 0), (0, 0, 1), len(at) * len(along))
    particles[:, 5:8] = np.tile(along, (len(at), 1))
    particles[:, 2:5] = np.repeat(at, len(along), axis=0) - 3.0 * particles[:, 5:8]
    tally, counters = follow(extreme_phantom(), tables, CUTS, particles, air_margin=0.5)
    assert_valid(tally, counters, len(particles))
    assert 0 < counters[MISSED] < counters[EMITTED]


def next_to(energy):
    """An energy and its neighbours, in the single precision of phase spaces."""
    energy = np.float32(energy)
    return [np.nextafter(energy, np.float32(0)), energy, np.nextafter(energy, np.float32(100))]


THRESHOLDS = sorted(
    {
        float(e)
        for threshold in (
            PLAN.electron_cut, 2 * PLAN.electron_cut, PLAN.photon_cut, PLAN.range_rejection, ENERGY_MIN,
            ELECTRON_MASS, 2 * ELECTRON_MASS, 4 * ELECTRON_MASS, 1.0, 2.0, 16.0, 0.0807249,  # K edge of gold
        )
        for e in next_to(threshold)
    }
    | {float(next_to(ENERGY_MAX)[0]), 1e-6, 1e-30, float(np.finfo(np.float32).tiny)}
)  # fmt: skip


@pytest.mark.parametrize(
    "physics",
    [PLAN, Physics(ENERGY_MIN, ENERGY_MIN, photon_split=1, range_rejection=0.0)],
    ids=["plan", "lowest cut-offs"],
)
@pytest.mark.parametrize("kind", KINDS)
def test_energies_at_thresholds_and_ends(kind, physics):
    """Each 10 times; with the lowest cut-offs, the ends of all tables are reached."""
    tables = build_tables(MATERIALS, physics)
    cuts = cpu.cuts_of(physics)
    particles = pencil(kind, 1.0, (0.5, 0.75, 1.0), (1, 1, 1), 10 * len(THRESHOLDS))
    particles[:, 1] = np.repeat(THRESHOLDS, 10)
    particles[:, 5:8] = np.resize(directions(), (len(particles), 3))
    tally, counters = follow(extreme_phantom(), tables, cuts, particles, air_margin=0.5)
    assert_valid(tally, counters, len(particles))


@pytest.mark.parametrize("density", [1e-6, 25.0])
@pytest.mark.parametrize("side", [1e-3, 50.0])
def test_smallest_and_largest_voxels(tables, side, density):
    one = np.ones((3, 3, 3))
    phantom = Phantom(Grid((3, 3, 3), (side,) * 3, (0.5 * side,) * 3), density * one, 3 * one, MATERIALS)
    for kind in KINDS:
        particles = pencil(kind, 2.0, (1.5 * side,) * 3, (0, 0, 1), 90)
        particles[:, 5:8] = np.resize(directions(), (90, 3))
        tally, counters = follow(phantom, tables, CUTS, particles)
        assert_valid(tally, counters, len(particles))


# --- what is no number --------------------------------------------------------------------------------

BAD = (np.nan, np.inf, -np.inf)
STREAM = tuple(np.uint64(word) for word in stream(1, 0, 0, 0, 0))


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("column", range(9))
def test_source_particles_that_are_no_numbers_are_counted_and_never_scored(tables, column, value):
    phantom = extreme_phantom()
    good = pencil(ELECTRON, 1.0, (1, 1, 1), (0, 0, 1), 30)
    bad = good.copy()
    bad[::3, column] = value
    tally, counters = follow(phantom, tables, CUTS, bad)
    assert counters[LOST] == 10 and counters[PARTICLES] == 20
    others = follow(phantom, tables, CUTS, good)[0]
    assert (tally.medium >= 0).all() and 0 < tally.medium.sum() < others.medium.sum()
    counters[LOST] = 0
    assert_valid(tally, counters, 20)


def test_source_particles_that_cannot_be_are_counted(tables):
    """No direction, no energy, an energy above the tables, a kind there is not."""
    particles = pencil(PHOTON, 1.0, (1, 1, 1), (0, 0, 1), 6)
    particles[0, 5:8] = 0.0
    particles[1, 1], particles[2, 1], particles[3, 1] = 0.0, -1.0, ENERGY_MAX
    particles[4, 0], particles[5, 0] = 3, -1
    tally, counters = follow(extreme_phantom(), tables, CUTS, particles)
    assert counters[LOST] == 6 and counters[PARTICLES] == 0 and not tally.medium.any()


@pytest.mark.parametrize("column", range(1, 9))
@pytest.mark.parametrize("kind", KINDS)
def test_secondaries_that_are_no_numbers_are_counted_and_never_scored(tables, kind, column):
    """Whatever a sampler may push: each row of the stack is looked at before it is followed."""
    geometry = build_voxels(extreme_phantom())
    tally = cpu.empty_tally(geometry, tables, CUTS, water=True)
    counters, stack = np.zeros(N_COUNTERS, np.int64), np.zeros((3, STACK_COLUMNS))
    stack[:, :9] = pencil(kind, 1.0, (1, 1, 1), (0, 0, 1), 3)
    for row, value in enumerate(BAD):
        stack[row, column] = value
    run_rows(stack, geometry, tables, CUTS, tally, counters, STREAM)
    assert counters[LOST] == 3
    assert not (tally.medium.any() or tally.water.any() or counters[ESCAPED] or counters[ROULETTE])


# Tables, and kinds whose flight reads them; not `elastic`, of which an index is made.
BROKEN = {"photon": KINDS, "coherent": (PHOTON,), "incoherent": (PHOTON,)} | dict.fromkeys(
    ("hard", "gs_quantiles", "gs_widths", "slowing", "brems"), (ELECTRON, POSITRON)
)


@pytest.mark.parametrize("name", BROKEN)
def test_transport_with_broken_tables_ends(tables, name):
    """NaN in a table, which `build_tables` would refuse: transport ends, and scores only what can be."""
    broken = tables._replace(**{name: np.full_like(getattr(tables, name), np.nan)})
    for kind in BROKEN[name]:
        particles = pencil(kind, 4.0, (1, 1, 1), (0.1, 0.2, 1), 50)
        tally, counters = follow(extreme_phantom(), broken, CUTS, particles)
        emitted = int(counters[EMITTED])
        assert (tally.medium >= 0).all() and (tally.water >= 0).all()
        assert abs(int(counters[ROULETTE])) <= 20 * emitted and tally.medium.sum() <= 20 * emitted


def test_quanta_of_no_number():
    counters = np.zeros(N_COUNTERS, np.int64)
    for lost, value in enumerate((*BAD, 1e300), start=1):
        assert quanta(value, counters) == 0 and counters[LOST] == lost
    assert quanta(1.0, counters) == 2**32 and quanta(-0.0, counters) == 0 and counters[LOST] == lost


# --- and it is reported to the user --------------------------------------------------------------------


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("name", ["energy", "x", "u"])
def test_phase_space_with_a_value_that_is_no_number_is_refused(bench, name, value):
    """When it is opened; what gets by all the same is counted by the kernels."""
    space = open_phase_space(bench / "machine" / "field5")
    records = np.memmap(space.data_path, dtype=record_dtype(space.header), mode="r+")
    records[name][7] = value
    records.flush()
    with pytest.raises(InputError, match="record 7"):
        open_phase_space(bench / "machine" / "field5")


def report(**changes):
    sound = {"energy_balance": 1.0 + 1e-9, "lost_particles": 0, "stack_overflows": 0}
    return RunReport(**sound | changes)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, "pass"),
        ({"energy_balance": 1.0 + 2e-6}, "fail"),
        ({"energy_balance": 1.0 - 2e-6}, "fail"),
        ({"energy_balance": math.nan}, "fail"),
        ({"lost_particles": 1}, "fail"),
        ({"stack_overflows": 1}, "warn"),
    ],
    ids=str,
)
def test_a_run_that_went_wrong_gets_no_clean_verdict(changes, status):
    """Nor does it go without a warning."""
    found = [test.status for test in judge_run(report(**changes))]
    assert len(found) == 3 and sorted(found) == sorted([status, "pass", "pass"])
    assert bool(report(**changes).faults) == bool(changes)

"""Phase spaces above the jaws: fields, moving apertures and turned histories through the whole kernel."""

import os
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from mc.backends.cpu import Collimation, cuts_of
from mc.config import Physics
from mc.machine.collimators import Collimators, Ends, Leaves
from mc.plan.delivery import fixed
from mc.plan.field import check_field, rectangle
from mc.plan.plan import Beam, ControlPoint
from mc.tables import build_tables
from mc.transport.context import Cuts
from mc.transport.particle import PHOTON
from phantoms.errors import InputError
from phantoms.recipes import water_tank
from tests.mc.arcs import Arc, arc_and_statics
from tests.mc.collimation import MATERIALS, SAD, TUNGSTEN, built, jaws
from tests.mc.engine import pencil, run_particles

FOCUSED = Ends("focused")
Y_JAWS, X_JAWS = jaws("Y", 28.0, FOCUSED), jaws("X", 36.7, FOCUSED)
BORDERS = tuple(np.linspace(-5.0, 5.0, 11))
LEAVES = Leaves(46.0, 54.0, TUNGSTEN, 18.0, "X", BORDERS, FOCUSED, 0.0, 0.0, 46.0, 54.0, 0.0)
PHANTOM = water_tank((2.0, 14.0, 14.0), (2.0, 0.5, 0.5), surface=-1.0)
FIRST_COLLISIONS = Cuts(electron_cut=100.0, photon_cut=100.0, photon_split=8)
PHYSICS = Physics()
# Static beams, histories of a part, parts, and the largest sigma of a voxel
QUICK_ARC, FULL_ARC = (400, 30_000, 8, 0.04), (2000, 450_000, 20, 0.005)


@pytest.fixture(scope="module")
def collimation():
    """Y jaws, X jaws and leaves below each other, and the tables of air and tungsten."""
    return Collimation(built(Y_JAWS, X_JAWS, LEAVES), build_tables(MATERIALS, PHYSICS))


@pytest.fixture(scope="module")
def tables():
    return build_tables(PHANTOM.materials, PHYSICS)


def source(n, reach=6.0, seed=0):
    """Photons of 1 MeV from the target at z = 20 cm, uniform over a square to `reach` cm at the isocentre."""
    at_isocentre = np.random.default_rng(seed).uniform(-reach, reach, (n, 2))
    particles = pencil(PHOTON, 1.0, (0, 0, 20.0), (0, 0, 1), n)
    particles[:, 2:4], particles[:, 5:7] = 0.2 * at_isocentre, at_isocentre / SAD
    return particles


def image(run):
    """Energy by column of the phantom, (x, y) of the beam limiting device, and the columns' centres."""
    return run.voxels.sum(axis=0).T[:, ::-1], np.arange(-6.75, 7, 0.5)  # y of the patient is -Y_b


DOWN = np.eye(3), np.array([0.0, 0.0, -SAD])


def test_jaws_and_leaves_shape_the_field(collimation, tables):
    """Each side at its stated position, in IEC coordinates; little comes through elsewhere."""
    bank1, bank2 = np.full(10, -4.0), np.full(10, 4.0)
    bank1[7], bank2[7] = 1.0, 2.0  # of Y from 2 to 3 cm
    still = fixed(*DOWN, (-3.0, 3.5, -4.5, 3.0), np.concatenate([bank1, bank2]))
    run = run_particles(
        PHANTOM, tables, FIRST_COLLISIONS, source(40_000), delivery=still, collimation=collimation
    )
    found, centre = image(run)
    x, y = np.meshgrid(centre, centre, indexing="ij")
    inside = (x > -3) & (x < 3.5) & (y > -4.5) & (y < 3)
    inside &= ~((y > 2) & ((x < 1) | (x > 2)))
    level = np.median(found[inside])
    assert level > 0 and (found[inside] > 0.6 * level).all()
    assert found[~inside].mean() < 0.01 * level


def vmat(points):
    """A whole turn whose jaws and leaves never rest, with an uneven meterset."""
    share = np.linspace(0, 1, points)
    wave = np.sin(2 * np.pi * (3 * share[:, None] + 0.13 * np.arange(10)))
    jaws = np.column_stack([-3 + share, 3 - share, -2 - share, 2 + share])
    leaves = np.concatenate([-1.2 + 0.8 * wave, 1.2 + 0.8 * wave], axis=1)
    angles = np.column_stack([181 + 358 * share, 30 + 40 * share, 0 * share])
    weights = share + 0.08 * np.sin(4 * np.pi * share)
    isocentres = np.tile([0.2, -0.1, 0.3], (points, 1))
    return Arc(weights, angles, isocentres, jaws, leaves, BORDERS)


def assert_vmat_is_its_statics(points, statics, histories, parts, collimation, voxel, sigma=np.inf):
    """Voxels above half the maximum: their sum within 4 sigma, each within its own, at most `sigma`."""
    cube = water_tank((8.0, 8.0, 8.0), (voxel, voxel, voxel), surface=-4.0)
    tables, arc = build_tables(cube.materials, PHYSICS), vmat(points)
    turned, still = arc_and_statics(
        cube, tables, cuts_of(PHYSICS), arc, statics, partial(source, histories, 3.5), parts, collimation
    )
    a, b = turned.mean(axis=0), still.mean(axis=0)
    high = a > 0.5 * a.max()
    sums = turned[:, high].sum(axis=1), still[:, high].sum(axis=1)
    excess = sums[0].mean() / sums[1].mean() - 1
    of_sum = np.sqrt(sum(np.var(s, ddof=1) / np.mean(s) ** 2 for s in sums) / parts)
    variance = (turned.var(axis=0, ddof=1) + still.var(axis=0, ddof=1))[high] / parts
    relative = np.sqrt(np.mean(variance / a[high] ** 2))
    squares = np.mean((a - b)[high] ** 2 / variance)
    print(f"{high.sum()} voxels of {relative:.2%}: sum {excess:.3%} +- {of_sum:.3%}, squares {squares:.3f}")
    assert high.sum() > 40 and relative < sigma
    assert abs(excess) < 4 * of_sum
    # Student's t of 2 (parts - 1) degrees of freedom; voxels are nearly independent
    expected = (parts - 1) / (parts - 2)
    assert squares == pytest.approx(expected, abs=5 * expected * np.sqrt(2.5 / high.sum()))


def test_vmat_is_the_mean_of_static_beams(collimation):
    assert_vmat_is_its_statics(20, 160, 4000, 8, collimation, voxel=0.5)


@pytest.mark.slow
def test_178_control_points_against_static_beams(collimation):
    """To 4 % of each voxel of a centimetre; with MCVERIFY_ARC=1, in two minutes, to 0.5 %."""
    statics, histories, parts, sigma = FULL_ARC if "MCVERIFY_ARC" in os.environ else QUICK_ARC
    assert_vmat_is_its_statics(178, statics, histories, parts, collimation, voxel=1.0, sigma=sigma)


def test_histories_are_turned_about_the_axis(collimation, tables):
    """One history all at Y_b = 0, X_b = 4 cm lies on a ring when it is turned, at its two images when not."""
    particles = pencil(PHOTON, 1.0, (0.8, 0.0, 20.0), (4.0, 0, SAD), 6000)
    still = fixed(*DOWN, (-6, 6, -6, 6))
    run = run_particles(
        PHANTOM, tables, FIRST_COLLISIONS, particles, delivery=still, collimation=collimation, rotate=True
    )
    found, centre = image(run)
    x, y = np.meshgrid(centre, centre, indexing="ij")
    radius, weight = np.hypot(x, y), found / found.sum()
    assert np.sum(weight[(radius > 3) & (radius < 5)]) > 0.95
    sigma = 4 / np.sqrt(2 * 6000 * 0.06)  # a few hundred of them interact
    assert abs(np.sum(weight * x)) < 4 * sigma and abs(np.sum(weight * y)) < 4 * sigma
    assert np.sum(weight * x**2) == pytest.approx(np.sum(weight * y**2), rel=0.2)
    straight = run_particles(
        PHANTOM, tables, FIRST_COLLISIONS, particles, delivery=still, collimation=collimation
    )
    found, _ = image(straight)
    assert found[x > 3].sum() > 0.95 * found.sum()


def test_collimated_runs_do_not_depend_on_the_workers(collimation, tables):
    still = fixed(*DOWN, (-3, 3, -3, 3), (-2.0,) * 10 + (2.0,) * 10)
    runs = [
        run_particles(
            PHANTOM, tables, cuts_of(PHYSICS), source(500), delivery=still, collimation=collimation, workers=n
        )
        for n in (1, 3)
    ]
    np.testing.assert_array_equal(runs[0].tally, runs[1].tally)
    assert abs(runs[0].imbalance) < 1e-6  # of what enters the phantom's side


def machine(*pairs, leaves=None):
    return SimpleNamespace(name="M", path="m.toml", sad_cm=SAD, collimators=Collimators(pairs, leaves, None))


AGILITY = machine(Y_JAWS, leaves=LEAVES)
VARIAN = machine(Y_JAWS, X_JAWS, leaves=LEAVES)
INF = np.inf


def plan_beam(field, places=None, kind="MLCX", borders=BORDERS):
    leaves = (
        {}
        if places is None
        else {kind: (*[places[0]] * (len(borders) - 1), *[places[1]] * (len(borders) - 1))}
    )
    points = tuple(ControlPoint(w, 0, 0, 0, (0, 0, 0), field, leaves) for w in (0.0, 1.0))
    return Beam(1, "b", "M", 6.0, "FFF", 100.0, SAD, points, {kind: borders} if leaves else {})


@pytest.mark.parametrize(
    ("linac", "beam"),
    [
        (VARIAN, plan_beam((-2, 2, -2, 2))),
        (VARIAN, plan_beam((-2, 2, -2, 2), (-1.0, 1.0))),
        (AGILITY, plan_beam((-INF, INF, -2, 2), (-1.0, 1.0))),
        (AGILITY, plan_beam((-1, 1, -2, 2), (-1.0, 1.0))),  # jaws it lacks, but that shape nothing more
        (machine(leaves=LEAVES), plan_beam((-INF, INF, -INF, INF), (-1.0, 1.0))),
    ],
)
def test_beams_that_fit_a_machine(linac, beam):
    check_field(linac, beam)


@pytest.mark.parametrize(
    ("linac", "beam", "message"),
    [
        (
            machine(Y_JAWS, X_JAWS),
            plan_beam((-2, 2, -2, 2), (-1.0, 1.0)),
            "has leaves MLCX, which the machine has not",
        ),
        (VARIAN, plan_beam((-2, 2, -2, 2), (-1.0, 1.0), "MLCY"), "has leaves MLCY"),
        (
            VARIAN,
            plan_beam((-2, 2, -2, 2), (-1.0, 1.0), borders=(-2, 0, 2)),
            "has 2 leaf pairs, the machine 10",
        ),
        (VARIAN, plan_beam((-INF, INF, -2, 2), (-1.0, 1.0)), "does not position the X jaws"),
        (AGILITY, plan_beam((-1, 1, -2, 2), (-3.0, 3.0)), "shaped by X jaws, which machine M does not have"),
        (AGILITY, plan_beam((-INF, INF, -2, 2)), "shapes its field along X"),
        (machine(leaves=LEAVES), plan_beam((-INF, INF, -INF, INF)), "shapes its field along X"),
    ],
)
def test_beams_that_do_not_fit_are_refused(linac, beam, message):
    with pytest.raises(InputError, match=message):
        check_field(linac, beam)


def test_rectangles():
    """Jaws where the machine has both pairs; otherwise leaves, and leaf pairs closed beside the field."""
    field = (-2.0, 2.5, -3.0, 1.0)
    for linac in (VARIAN, machine(Y_JAWS, X_JAWS)):
        shape, leaves = rectangle(linac, field)
        assert tuple(shape) == field and leaves.size == 0
    shape, leaves = rectangle(AGILITY, field)
    assert tuple(shape[2:]) == field[2:] and set(leaves[:10]) == {-2.0} and set(leaves[10:]) == {2.5}
    _, leaves = rectangle(machine(X_JAWS, leaves=LEAVES), field)
    opened = leaves[10:] > leaves[:10]
    assert [b for b, is_open in zip(BORDERS, opened, strict=False) if is_open] == [-3, -2, -1, 0]
    with pytest.raises(InputError, match=r"no leaf boundaries at -3 and 1\.3 cm"):
        rectangle(machine(X_JAWS, leaves=LEAVES), (-2.0, 2.5, -3.0, 1.3))

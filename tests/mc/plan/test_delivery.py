"""The machine at a random instant of a delivery, and what the kernels make of it."""

import numpy as np
import pytest

from mc.backends.cpu import cuts_of
from mc.config import Physics
from mc.numerics.jit import njit
from mc.numerics.rng import stream
from mc.plan.delivery import deliver, first_state, positions, sample_state
from mc.plan.plan import TABLE_TO_PATIENT, Beam, ControlPoint, beam_to_patient
from mc.tables import build_tables
from mc.transport.context import Cuts
from mc.transport.particle import PHOTON
from phantoms.recipes import water_tank
from tests.mc.arcs import SAD, Arc, arc_and_statics, by_definition
from tests.mc.engine import pencil, run_particles

JAWS = (-5.0, 5.0, -4.0, 3.0)


def point(weight, gantry=0.0, collimator=0.0, couch=0.0, isocentre=(1.0, -2.0, 3.0), jaws=JAWS, leaves=()):
    return ControlPoint(
        weight, gantry, collimator, couch, isocentre, jaws, {"MLCX": tuple(leaves)} if leaves else {}
    )


def beam(*points, sad=SAD):
    return Beam(1, "b", "M", 6.0, "FFF", 100.0, sad, points)


def instants(delivery, n, seed=1):
    """States at n random instants: rotations, origins, jaws, leaves."""
    found = [np.empty((n, 3, 3)), np.empty((n, 3)), np.empty((n, 4)), np.empty((n, delivery.leaves.shape[1]))]
    _sample(delivery, seed, *found)
    return found


@njit(_nrt=True)
def _sample(delivery, seed, rotations, origins, jaws, leaves):
    state = first_state(delivery)
    for history in range(len(origins)):
        sample_state(delivery, state, stream(seed, 0, 0, history, 0))
        rotations[history], origins[history] = state.rotation, state.origin
        jaws[history], leaves[history] = state.jaws, state.leaves


def sixty():
    """Patient positions with right and odd angles, each gantry, collimator and couch in turn."""
    random = np.random.default_rng(61217)
    table = []
    for k in range(60):
        position = list(TABLE_TO_PATIENT)[k % 8]
        odd, right = random.uniform(0, 360, 3), 90.0 * random.integers(0, 4, 3)
        kept = (np.arange(3) == k % 3) if k < 24 else np.ones(3, bool)  # one axis alone, then all together
        table.append((position, *np.where(kept, odd if k % 4 else right, 0.0)))
    return table


@pytest.mark.parametrize(("position", "gantry", "collimator", "couch"), sixty())
def test_sixty_setups_against_independent_matrices(position, gantry, collimator, couch):
    """Points of the beam to 0.1 mm, standing still and as an instant of a turning machine alike."""
    isocentre = np.array([3.0, -12.0, 41.0])
    points = np.array([[0, 0, 0], [0, 0, 100], [20, 0, 100], [0, 20, 100], [-20, 15, 50], [0, 0, 150.0]])
    expected = isocentre + (points - [0, 0, SAD]) @ by_definition(position, gantry, collimator, couch).T
    still = beam(*(point(w, gantry, collimator, couch, tuple(isocentre)) for w in (0, 1)))
    rotation, origin = beam_to_patient(still, position)
    np.testing.assert_allclose(origin + points @ rotation.T, expected, rtol=0, atol=0.01)
    # angles that pass through these halfway; the instant is read off a jaw
    ends = [
        point(w, gantry + 40 * s, collimator - 30 * s, couch + 20 * s, tuple(isocentre), (s, 9, -9, 9))
        for w, s in ((0, -1), (1, 1))
    ]
    rotations, origins, jaws, _ = instants(deliver(beam(*ends), position), 3)
    for rotation, origin, (s, *_) in zip(rotations, origins, jaws, strict=True):
        there = by_definition(position, gantry + 40 * s, collimator - 30 * s, couch + 20 * s)
        expected = isocentre + (points - [0, 0, SAD]) @ there.T
        np.testing.assert_allclose(origin + points @ rotation.T, expected, rtol=0, atol=0.01)


def test_instants_are_uniform_in_the_meterset():
    """Kolmogorov-Smirnov, at a false-alarm rate of 1 in 1000; all that moves shows the same instant."""
    leaves = [(-s, -s, s, s) for s in (1.0, 3.0)]
    ends = [
        point(0, 10, 0, 0, (0, 0, 0), (-1, 1, -1, 1), leaves[0]),
        point(1, 370, 0, 0, (0, 0, 10), (-5, 1, -1, 1), leaves[1]),
    ]
    delivery = deliver(beam(*ends), "HFS")
    n = 4000
    rotations, origins, jaws, leaves = instants(delivery, n)
    instant = (-jaws[:, 0] - 1) / 4
    ordered = np.sort(instant)
    assert np.abs(ordered - (np.arange(n) + 0.5) / n).max() < 1.95 / np.sqrt(n)
    np.testing.assert_allclose(leaves[:, 2], 1 + 2 * instant, atol=1e-12)
    np.testing.assert_allclose(origins[:, 2], 10 * instant, atol=1e-9)  # the couch moves in
    angle = np.degrees(np.arctan2(-rotations[:, 0, 2], rotations[:, 1, 2])) % 360
    turn = (angle - 10 - 360 * instant + 180) % 360 - 180
    assert np.abs(turn).max() < 1e-9


def test_step_and_shoot_is_never_between_its_segments():
    """Motions without meterset are skipped; segments come as often as their monitor units, at 4 sigma."""
    openings = (1.0, 2.0, 3.0)
    edges = (0.0, 0.2, 0.3, 1.0)
    points = [point(0.0, jaws=(-9, 9, -9, 9)), point(0.0, jaws=(-7, 7, -7, 7))]  # before the first
    for k, opening in enumerate(openings):
        points += [point(w, jaws=(-opening, opening, -5, 5)) for w in edges[k : k + 2]]
    points.append(point(1.0, jaws=(-8, 8, -8, 8)))
    n = 3000
    _, _, jaws, _ = instants(deliver(beam(*points), "HFS"), n)
    assert set(jaws[:, 1]) == set(openings)
    for opening, share in zip(openings, np.diff(edges), strict=True):
        assert np.mean(jaws[:, 1] == opening) == pytest.approx(
            share, abs=4 * np.sqrt(share * (1 - share) / n)
        )


def test_what_stands_still_has_one_state():
    """Also where it moves before or after its monitor units only, or below the phase space only the jaws."""
    aim = point(0.0, 30, 5, 10)
    moving = point(0.0, 20, 5, 10)
    alike = [aim, point(0.5, 30, 5, 10), point(1.0, 30, 5, 10)]
    for points in (alike, [moving, *alike], [*alike, point(1.0, 90)]):
        delivery = deliver(beam(*points), "HFS")
        assert len(delivery.cumulative) == 1
        rotation, origin = beam_to_patient(beam(aim), "HFS")
        np.testing.assert_array_equal(delivery.rotation, rotation)
        np.testing.assert_array_equal(delivery.origin, origin)
    tracking = [point(0.0), point(1.0, jaws=(-1, 1, -1, 1))]
    assert len(deliver(beam(*tracking), "HFS").cumulative) == 2
    assert len(deliver(beam(*tracking), "HFS", shaped=False).cumulative) == 1


def test_positions_cover_the_whole_motion():
    delivery = deliver(beam(point(0, 0), point(0.5, 180), point(1, 350)), "HFS")
    found = positions(delivery, np.array([0.0, 0.0, 0.0])) - (1, -2, 3)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), SAD)
    angle = np.sort(np.degrees(np.arctan2(found[:, 0], -found[:, 1])) % 360)
    assert np.diff(angle).max() < 2.1 and angle[0] == 0 and angle[-1] == pytest.approx(350)


FIRST_COLLISIONS = Cuts(electron_cut=100.0, photon_cut=100.0, photon_split=8)
PHANTOM = water_tank((6.0, 6.0, 6.0), (0.5, 0.5, 0.5))


def test_particles_of_a_history_share_the_state():
    """Ten photons of one history on an arc about a cube interact along one ray, those of ten on many."""
    ends = (point(w, 90 * w, isocentre=(0, 0, 3)) for w in (0, 1))
    arc = deliver(beam(*ends), "HFS")
    tables = build_tables(PHANTOM.materials, Physics())
    particles = pencil(PHOTON, 2.0, (0, 0, 50), (0, 0, 1), 10)

    def off_line(starts):
        """Spread of the voxels with energy about the best line through the isocentre [cm]."""
        run = run_particles(PHANTOM, tables, FIRST_COLLISIONS, particles, delivery=arc, starts=starts)
        places = np.argwhere(run.voxels) * 0.5 - 2.75
        assert len(places) > 8
        return np.linalg.svd(places, full_matrices=False)[1][1] / np.sqrt(len(places))

    assert off_line([0, 10]) < 0.3  # half a voxel's diagonal
    assert off_line(range(11)) > 0.6


def test_an_arc_is_the_mean_of_its_instants():
    """Against 200 static beams: no difference beyond the noise, as the spread of 10 parts gives it.

    Gantry, collimator, couch and isocentre move, at another rate to each control point.
    """
    angles = np.array([[200, 30, 0], [380, 10, 20], [400, 10, 20], [500, 50, -10]])
    isocentres = np.array([[0.3, -0.2, z] for z in (3, 3.4, 3.4, 2.6)])
    arc = Arc(np.array([0, 0.3, 0.45, 1]), angles, isocentres, np.tile(JAWS, (4, 1)), np.zeros((4, 0)))

    def source(part):
        at_isocentre = np.random.default_rng(part).uniform((-1.5, -0.5), (1.0, 1.5), (6000, 2))
        particles = pencil(PHOTON, 2.0, (0, 0, 50.0), (0, 0, 1), 6000)
        particles[:, 2:4], particles[:, 5:7] = at_isocentre / 2, at_isocentre / SAD
        return particles

    tables = build_tables(PHANTOM.materials, Physics())
    turned, still = arc_and_statics(PHANTOM, tables, cuts_of(Physics()), arc, 200, source, 10)
    a, b = turned.mean(axis=0), still.mean(axis=0)
    sigma = np.sqrt((turned.var(axis=0, ddof=1) + still.var(axis=0, ddof=1)) / 10)
    high = a > 0.3 * a.max()
    deviation = (a - b)[high] / sigma[high]
    assert high.sum() > 100
    # Student's t of about 18 degrees of freedom: variance 18/16; voxels are nearly independent
    assert np.mean(deviation**2) == pytest.approx(18 / 16, abs=5 * np.sqrt(2.7 / high.sum()))
    assert a[high].sum() == pytest.approx(b[high].sum(), rel=0.01)

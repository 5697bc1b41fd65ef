"""Particles through jaws: attenuation, roulette, and the below-jaws phase space of the same linac."""

from __future__ import annotations

import math

import numpy as np
import pytest
from collimation import FIELD, MATERIALS, NO_LEAVES, built, jaws, send

from mc.collimators import Ends
from mc.config import Physics
from mc.machine import SHIPPED, read_machine
from mc.source.collimator import build_collimator, collimator_materials
from mc.source.phase_space import open_phase_space
from mc.tables import build_tables
from mc.transport.history import Cuts
from mc.transport.scoring import N_COUNTERS
from phantoms.errors import InputError
from phantoms.materials import load_materials

CUTS = Cuts(0.189, 0.01)
PHOTON, ELECTRON = 0, 1


@pytest.fixture(scope="module")
def tables():
    return build_tables(MATERIALS, Physics(photon_cut=0.01))


def through(particles, collimator, tables, *, starts=None, field=FIELD, leaves=NO_LEAVES, seed=1):
    """What comes out (m, 9), and of which history."""
    starts = np.arange(len(particles) + 1) if starts is None else starts
    result, history = np.empty((2 * len(particles) + 100, 9)), np.empty(2 * len(particles) + 100, np.int64)
    counters = np.zeros(N_COUNTERS, np.int64)
    n = send(particles, starts, collimator, field, leaves, tables, CUTS, counters, seed, result, history)
    assert not counters.any()
    return result[:n], history[:n]


def beam(kind: int, energy: float, aim: tuple[float, float], n: int) -> np.ndarray:
    """`n` particles from the target through z = 27 towards a point of the isocentre plane (X_b, Y_b)."""
    way = np.array([aim[0], -aim[1], 100.0])
    return np.tile(np.r_[kind, energy, 0.27 * way, way / np.linalg.norm(way), 1.0], (n, 1))


def test_open_field_is_free(tables):
    """But for the air: 17.5 cm of it at 2 MeV stop 0.094 % (NIST mu/rho 0.04447 cm2/g)."""
    collimator = built(jaws("Y", 28.0, Ends("focused")), jaws("X", 36.7, Ends("focused")))
    sent = beam(PHOTON, 2.0, (3.9, -4.9), 200_000)
    out, _ = through(sent, collimator, tables)
    same = out[(out[:, 0] == PHOTON) & (out[:, 1] == 2.0)]
    way = (44.5 - 27.0) / sent[0, 7]
    lost = len(sent) * (1.0 - math.exp(-0.04447 * 0.0012048 * way))
    assert len(sent) - len(same) == pytest.approx(lost, abs=4 * math.sqrt(lost))  # false alarm 6e-5
    assert np.ptp(same, axis=0).max() == 0.0
    assert same[0, 2:5] == pytest.approx(sent[0, 2:5] + way * sent[0, 5:8]) and same[0, 8] == 1.0
    assert 10 < np.count_nonzero(out[:, 0] == ELECTRON)  # set free in the air


@pytest.mark.parametrize("aim", [(-3.2, 0.0), (4.2, 0.0), (0.0, -5.2), (0.0, 2.2)])
def test_field_edges(tables, aim):
    """Jaws close where IEC 61217 says; x = X_b and y = -Y_b."""
    collimator = built(jaws("Y", 28.0, Ends("focused")), jaws("X", 36.7, Ends("focused")))
    inward = tuple(math.copysign(abs(a) - 0.4, a) if a else 0.0 for a in aim)
    for where, share in ((aim, 0.0), (inward, 1.0)):
        out, _ = through(beam(PHOTON, 2.0, where, 2000), collimator, tables)
        assert np.count_nonzero(out[:, 1] == 2.0) / 2000 == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize("energy, coefficient", [(0.2, 0.7844), (1.0, 0.06618), (4.0, 0.04037)])
def test_attenuation(tables, energy, coefficient):
    """NIST mu/rho of tungsten [cm2/g]; a jaw thin enough for 40 % to pass."""
    density = 0.9 / (coefficient * 7.8)
    collimator = built(jaws("X", 36.7, Ends("focused"), density))
    n = 100_000
    out, _ = through(beam(PHOTON, energy, (8.0, 0.0), n), collimator, tables)
    passed = np.count_nonzero((out[:, 1] == energy) & (np.ptp(out[:, 5:8] - out[0, 5:8], axis=1) == 0.0)) / n
    way = 1.0 / beam(PHOTON, energy, (8.0, 0.0), 1)[0, 7]
    expected = math.exp(-0.9 * way - 0.0012 * 0.08 * 17.5)
    assert passed == pytest.approx(expected, rel=0.004 + 4 / math.sqrt(0.4 * n))


def test_electrons_stop_in_jaws_and_slow_down_in_air(tables):
    collimator = built(jaws("Y", 28.0, Ends("focused")), jaws("X", 36.7, Ends("focused")))
    stopped, _ = through(beam(ELECTRON, 2.0, (8.0, 0.0), 1000), collimator, tables)
    assert len(stopped) < 10
    wide = np.array([-40.0, 40.0, -40.0, 40.0])
    passed, _ = through(beam(ELECTRON, 2.0, (0.0, 0.0), 1000), collimator, tables, field=wide)
    # ESTAR: collision stopping power of air 1.684 MeV cm2/g at 2 MeV; somewhat less without the knock-ons
    loss = 2.0 - passed[:, 1].mean()
    assert 900 < len(passed) and 0.75 < loss / (1.684 * 0.0012048 * 17.5) < 1.0
    angle = np.arccos(passed[:, 7])
    # Highland's formula, rms projected angle of 0.0211 g/cm2 of air (36.62 g/cm2), times sqrt(2) in space
    depth = 0.0211 / 36.62
    theta = 13.6 / 2.459 / 0.979 * math.sqrt(depth) * (1.0 + 0.038 * math.log(depth))
    assert np.median(angle) == pytest.approx(theta * math.sqrt(2.0 * math.log(2.0)), rel=0.15)


def test_not_a_machine_with_collimators():
    machine = read_machine(SHIPPED / "gen6fff.toml")
    with pytest.raises(InputError, match="air must be"):
        build_collimator(machine, MATERIALS[::-1])


def below(stem: str, shared):
    """Particles (n, 9), their histories and number of a file of the shared phase spaces."""
    space = open_phase_space(shared / "phase-space" / stem)
    p = space.read(0, len(space))
    rows = np.column_stack([p.kind - 1, p.energy, p.x, p.y, p.z, p.u, p.v, p.w, p.weight]).astype(float)
    starts = np.union1d([0], np.flatnonzero(p.new_history))
    return rows, np.append(starts, len(rows))


@pytest.mark.shared
def test_jaws_of_the_shared_linac(shared):
    """The given phase space below the jaws comes of the same histories as the one above them.

    Photons are sorted by where they meet the isocentre plane. In the field they agree within 1 % + 2 sigma,
    sigma being that of all histories, though both share most photons; the leakage within 20 % + 2 sigma.
    """
    machine = read_machine(SHIPPED / "gen6fff.toml")
    materials = collimator_materials(machine.collimators, (load_materials()["air"],))
    collimator = build_collimator(machine, materials)
    above, starts = below("g6fff_10x10_above", shared)
    given, given_starts = below("g6fff_10x10_below", shared)
    field = np.array([-5.0, 5.0, -5.0, 5.0])
    ours, history = through(
        above, collimator, build_tables(materials, Physics(photon_cut=0.01)), starts=starts, field=field
    )
    theirs_history = np.repeat(np.arange(len(given_starts) - 1), np.diff(given_starts))
    sums = []
    for rows, of in ((ours, history), (given, theirs_history)):
        photons = rows[:, 0] == PHOTON
        rows, of = rows[photons], of[photons]
        x, y = (rows[:, 2 + i] + rows[:, 5 + i] / rows[:, 7] * (100.0 - rows[:, 4]) for i in (0, 1))
        off = np.maximum(abs(x), abs(y))
        regions = [
            off < 2,
            off < 4.5,
            (off > 4.5) & (off < 5),
            (off > 5) & (off < 5.5),
            (off > 5.5) & (np.hypot(x, y) < 8),
        ]
        fluences = []
        for region in regions:
            weight, energy = rows[region, 8], rows[region, 1]
            for score in (weight, weight * energy):
                by_history = np.bincount(of[region], score)
                fluences.append((by_history.sum(), math.sqrt((by_history**2).sum())))
        sums.append(fluences)
    tolerance = [0.01] * 8 + [0.2] * 2
    for (a, sigma_a), (b, sigma_b), limit in zip(*sums, tolerance, strict=True):
        assert a == pytest.approx(b, abs=limit * b + 2 * math.hypot(sigma_a, sigma_b))
    (n, _), (e, _), (m, _), (f, _) = *sums[0][2:4], *sums[1][2:4]
    assert e / n == pytest.approx(f / m, rel=0.002)  # mean energy in the field

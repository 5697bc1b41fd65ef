"""Shared electron tracks: the dose is that of electrons of their own, in any mixture of media."""

import math

import numpy as np
import pytest

from mc.backends import cpu
from mc.backends.cpu import cuts_of
from mc.backends.tally import merge
from mc.config import Physics
from mc.geometry.voxels import INTERFACE, build_voxels, without_margin
from mc.numerics.rng import stream
from mc.source.beams import Beam, spectrum
from mc.tables import build_tables
from mc.tables.build import energy_nodes
from mc.transport.context import Cuts
from mc.transport.particle import ELECTRON, K1_STEP, PHOTON, STACK_COLUMNS
from mc.transport.scoring import EMITTED, LOST, N_COUNTERS, OVERFLOWS, QUANTUM, STEPS
from phantoms.materials import load_materials
from phantoms.recipes import Layer, slabs, water_tank
from tests.mc.engine import run_beam, run_rows

LIBRARY = load_materials()
BATCHES, HISTORIES = 16, 10_000


def layered(names, thickness, repeats=10, voxels=1):
    """Layers of the materials in turn, of 3 x 3 columns: the middle one has no air beside it."""
    layers, z = [], 0.0
    for name in names * repeats:
        layers.append(Layer(LIBRARY[name], LIBRARY[name].density, z, z + voxels * thickness))
        z += voxels * thickness
    return slabs(layers, (24.0, 24.0), (thickness, 8.0, 8.0))


@pytest.mark.parametrize(
    ("names", "thickness", "voxels"),
    [
        (
            ["water", "aluminium"],
            0.2,
            1,
        ),  # a track meets the other medium: it goes on by itself in every layer
        (["water"], 0.2, 1),  # never
        (["water", "cortical_bone_icru44", "lung_icru44"], 0.2, 4),  # and voxels that want short steps
    ],
    ids=["aluminium", "water", "tissues"],
)
def test_dose_is_that_of_electrons_of_their_own(names, thickness, voxels):
    phantom = layered(names, thickness, 10 // voxels, voxels)
    short = build_voxels(phantom).medium >= INTERFACE
    middle = without_margin(short, phantom)[1:-1, 1, 1]  # of the column that the beam meets
    assert not middle.all() and middle.any() == (voxels > 1)
    tables = build_tables(phantom.materials, Physics())
    beam = Beam(PHOTON, *spectrum([1.0, 4.0], [1]), -1.0, 1.0, -1.0, 1.0, 0.0, math.inf)
    cuts = cuts_of(Physics())

    def depth_dose(cuts, seed):
        found = []
        for replica in range(BATCHES):
            result = run_beam(phantom, tables, cuts, beam, HISTORIES, seed=seed, replica=replica)
            assert result.counters[LOST] == result.counters[OVERFLOWS] == 0
            found.append(result.voxels.sum(axis=(1, 2)))
        return np.array(found) / HISTORIES

    shared, own = depth_dose(cuts, 1), depth_dose(cuts._replace(track_repeat=1), 2)
    kinds = np.tile(np.repeat(np.arange(len(names)), voxels), 10 // voxels)
    for place in range(len(names)):  # all layers of one kind together
        a, b = (dose[:, kinds == place].sum(axis=1) for dose in (shared, own))
        error = math.hypot(a.std(ddof=1), b.std(ddof=1)) / math.sqrt(BATCHES)
        assert error < 0.005 * b.mean()
        assert abs(a.mean() - b.mean()) < 5 * error, (names[place], a.mean() / b.mean() - 1, error / b.mean())


def test_an_electron_resumes_in_mid_step():
    """A hinge of no strength, then one so far that none comes: the electron moves straight to its end."""
    phantom = water_tank((3.0, 24.0, 24.0), (0.05, 8.0, 8.0))
    physics = Physics(electron_cut=31.0, photon_cut=31.0)  # all losses are continuous
    tables, geometry = build_tables(phantom.materials, physics), build_voxels(phantom)
    cuts = Cuts(0.1, 31.0)

    def depth_dose(step):
        tally, counters = cpu.empty_tally(geometry, tables, cuts, water=True), np.zeros(N_COUNTERS, np.int64)
        rows = np.zeros((1, STACK_COLUMNS))
        for history in range(50):
            rows[0, :K1_STEP] = ELECTRON, 4.0, 0.0, 0.0, 0.5, 0.0, 0.0, 1.0, 1.0
            rows[0, K1_STEP:] = step
            state = tuple(np.uint64(word) for word in stream(1, 0, 0, history, 0))
            run_rows(rows, geometry, tables, cuts, tally, counters, state)
        assert counters[LOST] == 0
        return (
            without_margin(merge(tally, geometry.density.size).medium, phantom).sum(axis=(1, 2))
            * QUANTUM
            / 50
        )

    straight, scattered = depth_dose((1e-12, 1e-13, 1e9)), depth_dose((0.0, 0.0, 0.0))
    centres, ranges = phantom.grid.centres(0) - 0.5, tables.range_k1[1, 0, :, 0]
    energies = np.linspace(0.1, 4.0, 2000)
    path = np.interp(4.0, energy_nodes(), ranges) - np.interp(energies, energy_nodes(), ranges)
    expected = np.trapezoid(path, energies) + 0.1 * path[0]  # of the rest, where it stops
    assert np.sum(straight * centres) == pytest.approx(expected, rel=2e-3)
    assert np.sum(scattered * centres) < 0.9 * expected


def test_tracks_spare_steps():
    """In one medium most electrons are replayed, and cost no step."""
    phantom = layered(["water"], 0.4)
    tables = build_tables(phantom.materials, Physics())
    beam = Beam(PHOTON, *spectrum([2.0, 2.0], [1]), -1.0, 1.0, -1.0, 1.0, 0.0, math.inf)
    cuts = cuts_of(Physics())
    own = cuts._replace(track_repeat=1)
    steps = [run_beam(phantom, tables, c, beam, 500).counters[STEPS] for c in (cuts, own)]
    assert steps[0] < 0.8 * steps[1]


def test_a_flight_fills_no_stack():
    """All knock-ons of a flight's tracks wait at once, at the lowest cut-off."""
    phantom = water_tank((60.0, 600.0, 600.0), (20.0, 200.0, 200.0))
    physics = Physics(electron_cut=0.01)
    tables = build_tables(phantom.materials, physics)
    beam = Beam(PHOTON, *spectrum([20.0, 20.0], [1]), -1.0, 1.0, -1.0, 1.0, 0.0, math.inf)
    result = run_beam(phantom, tables, cuts_of(physics), beam, 200)  # asserts that nothing overflowed
    assert abs(result.imbalance) < 1e-6


@pytest.mark.parametrize("name", ["hard", "gs_quantiles", "gs_widths", "slowing", "brems"])
def test_broken_tables_are_reported(name):
    """NaN in a table that a recorded track reads: the run ends, and scores only what can be."""
    phantom = layered(["water"], 0.4)
    geometry, tables = build_voxels(phantom), build_tables(phantom.materials, Physics())
    broken = tables._replace(**{name: np.full_like(getattr(tables, name), np.nan)})
    beam = Beam(PHOTON, *spectrum([4.0, 4.0], [1]), -1.0, 1.0, -1.0, 1.0, 0.0, math.inf)
    cuts = cuts_of(Physics())
    tally, rows = cpu.empty_tally(geometry, broken, cuts), np.zeros((4, N_COUNTERS), np.int64)
    cpu.run_beam(beam, 50, 0, 0, 1, geometry, broken, cuts, tally, rows)
    assert (tally.medium >= 0).all() and tally.medium.sum() <= 20 * rows[:, EMITTED].sum()
    if name == "gs_quantiles":
        assert rows[:, LOST].sum() > 0

"""Transport against what can be known without it: attenuation, ranges, conservation, invariance.

Chi-square at 1e-4, comparisons of two runs at 5 sigma of 20 batches each (1 in 1e5 a bin), about 200
in all: less than 1 in 100 to fail by chance at new seeds.
"""

import math

import numpy as np
import pytest

from mc.backends.cpu import cuts_of
from mc.config import Physics
from mc.numerics.constants import ELECTRON_MASS
from mc.numerics.sampling import (
    ENERGY_MAX,
    ENERGY_MIN,
    RANGE_MAX_EXP,
    RANGE_MIN_EXP,
    RANGE_PER_OCTAVE,
    octave_nodes,
)
from mc.physics.energy_loss import energy_of, interval_of_range, range_of
from mc.source.beams import Beam, spectrum
from mc.tables import build_tables
from mc.tables.build import energy_nodes
from mc.transport.context import Cuts
from mc.transport.particle import ELECTRON, PHOTON, POSITRON
from mc.transport.scoring import EMITTED, ESCAPED, QUANTUM, ROULETTE
from phantoms.grid import Grid
from phantoms.materials import load_materials
from phantoms.phantom import Phantom
from phantoms.recipes import Layer, slabs, water_tank
from tests.mc.distributions import SIGNIFICANCE, chi_square_probability
from tests.mc.engine import ANALOGUE, Result, pencil, run_beam, run_particles

PLAN = Physics()
PLAN_CUTS = cuts_of(PLAN)
LIBRARY = load_materials()
NAMES = ("air", "water", "lung_icru44", "cortical_bone_icru44", "titanium")
MATERIALS = tuple(LIBRARY[name] for name in NAMES)
RANGES = octave_nodes(RANGE_MIN_EXP, RANGE_MAX_EXP, RANGE_PER_OCTAVE)
AIR_MARGIN = 0.01  # of air, the least that every grid has [cm]


@pytest.fixture(scope="module")
def tables():
    return build_tables(MATERIALS, PLAN)


def patchwork(seed=8, shape=(6, 5, 7), spacing=(1.1, 0.9, 0.7)):
    """Every material in random voxels, with random densities; its lowest corner at (0, 0, 0)."""
    rng = np.random.default_rng(seed)
    material = rng.integers(len(MATERIALS), size=shape)
    nominal = np.array([m.density for m in MATERIALS])[material]
    density = nominal * rng.uniform(0.8, 1.2, shape)
    return Phantom(Grid(shape, spacing, tuple(0.5 * d for d in spacing)), density, material, MATERIALS)


def attenuation(tables, energy):
    """mu/rho of every material [cm2/g]."""
    return np.array([np.interp(energy, energy_nodes()[:-1], table[:, 0, 0]) for table in tables.photon])


# --- photons: where they interact first ---------------------------------------------------------------


def first_collisions(energy, split):
    """Cut-offs that let nothing go further than the first interaction of a photon of `energy`."""
    above = energy * (1 + 1e-6)  # sources are single precision
    return Cuts(electron_cut=100.0, photon_cut=above, photon_split=split)


def interaction_probabilities(phantom, tables, energy, point, direction):
    """Per voxel, from planes cut by hand; the ray starts in the phantom."""
    mu = attenuation(tables, energy)[phantom.material] * phantom.density
    cuts = [
        (phantom.grid.edges(2 - a) - point[a]) / direction[a] for a in range(3) if abs(direction[a]) > 1e-12
    ]
    t = np.unique(np.append(np.concatenate(cuts), 0.0))
    t = t[t >= 0]
    middles = point + 0.5 * (t[1:] + t[:-1])[:, None] * direction
    places = np.round(phantom.grid.index(middles[:, ::-1])).astype(int)
    inside = ((places >= 0) & (places < phantom.grid.shape)).all(axis=1)
    probability = np.zeros(phantom.grid.shape)
    left = 1.0
    for place, length in zip(places[inside], np.diff(t)[inside], strict=True):
        survives = math.exp(-mu[tuple(place)] * length)
        probability[tuple(place)] += left * (1 - survives)
        left *= survives
    return probability, left


@pytest.mark.parametrize("split", [1, 8])
@pytest.mark.parametrize("energy", [0.06, 0.5, 2.0, 15.0])
def test_photons_are_attenuated_exponentially(tables, energy, split):
    """Voxel by voxel along random rays through a patchwork of all materials, and what comes out."""
    phantom, n = patchwork(), 20_000
    rng = np.random.default_rng(5)
    size = phantom.grid.upper[::-1]
    observed, expected = [], []
    for ray in range(12):
        point = rng.uniform(0.05, 0.95, 3) * size
        if ray < 3:  # along an axis
            direction = np.eye(3)[ray] * (-1) ** ray
        else:
            direction = rng.normal(size=3)
        particles = pencil(PHOTON, energy, point, direction, n)
        at, along = particles[0, 2:5].astype(np.float32), particles[0, 5:8].astype(np.float32)
        along = along.astype(float) / np.linalg.norm(along.astype(float))
        result = run_particles(phantom, tables, first_collisions(energy, split), particles, seed=ray + 1)
        probability, left = interaction_probabilities(phantom, tables, energy, at.astype(float), along)
        assert (result.voxels[probability == 0] == 0).all()
        hit = probability > 0
        observed += [*result.voxels[hit] / energy, result.energy(ESCAPED) / energy]
        expected += [*probability[hit], left]
    assert result.energy(EMITTED) == pytest.approx(n * energy, rel=1e-6)
    # with splitting the counts scatter less than chi-square allows for: still a bound
    assert chi_square_probability(np.array(observed), np.array(expected)) > SIGNIFICANCE


def test_splitting_lowers_the_variance():
    """Eight stratified interactions against one: what comes out uncollided scatters less."""
    phantom, n = water_tank((10.0, 10.0, 10.0), (10.0, 10.0, 10.0)), 500
    tables, particles = tables_of(phantom), pencil(PHOTON, 1.0, (0, 0, 0.001), (0, 0, 1), n)

    def uncollided(split, replica):
        cuts = first_collisions(1.0, split)
        return run_particles(phantom, tables, cuts, particles, replica=replica).energy(ESCAPED)

    one, eight = (np.std([uncollided(split, r) for r in range(60)], ddof=1) for split in (1, 8))
    share = math.exp(-9.999 * attenuation(tables, 1.0)[1])
    assert one == pytest.approx(math.sqrt(n * share * (1 - share)), rel=0.4)
    # what comes out of one photon is one of two neighbouring eighths
    low = math.floor(8 * share) / 8
    assert eight == pytest.approx(math.sqrt(n * (share - low) * (low + 1 / 8 - share)), rel=0.4)


def tables_of(phantom, physics=PLAN):
    return build_tables(phantom.materials, physics)


def test_photon_that_starts_outside_comes_through_the_air_margin(tables):
    """Air of 30 cm before the grid attenuates, too: 0.7 % of the photons."""
    phantom, energy, air_margin = patchwork(), 0.05, 30.0
    x, y = 0.45 * phantom.grid.upper[2], 0.45 * phantom.grid.upper[1]
    particles = pencil(PHOTON, energy, (x, y, -air_margin - 5), (0, 0, 1), 1_000_000)
    cuts = first_collisions(energy, 8)
    result = run_particles(phantom, tables, cuts, particles, air_margin=air_margin)
    expected = 1 - math.exp(-air_margin * MATERIALS[0].density * attenuation(tables, energy)[0])
    share = result.air_margin / result.energy(EMITTED)
    assert share == pytest.approx(expected, abs=4 * math.sqrt(expected / 1e6))


# --- energy is conserved ------------------------------------------------------------------------------


@pytest.mark.parametrize("cuts", [PLAN_CUTS, PLAN_CUTS._replace(**ANALOGUE)], ids=["plan", "analogue"])
@pytest.mark.parametrize(
    ("kind", "energy"),
    [(PHOTON, e) for e in (0.04, 0.1, 1.25, 6.0, 20.0)]
    + [(ELECTRON, e) for e in (0.1, 0.6, 6.0, 20.0)]
    + [(POSITRON, e) for e in (0.1, 0.6, 6.0, 20.0)],
)
def test_energy_balance(tables, kind, energy, cuts):
    phantom = patchwork()
    beam = Beam(kind, *spectrum([energy, energy], [1]), 0.0, 4.9, 0.0, 4.5, -3.0, 50.0)
    result = run_beam(phantom, tables, cuts, beam, 1000, air_margin=3.0)
    rest = 2 * ELECTRON_MASS if kind == POSITRON else 0.0
    assert result.energy(EMITTED) == pytest.approx(1000 * (energy + rest), rel=0.05)  # a few miss
    rounding = (
        (cuts.photon_split + 1) * QUANTUM / 2 / energy
    )  # of all parts of a particle that stop at once, and of the whole
    assert abs(result.imbalance) < 1e-9 + rounding
    assert result.voxels.sum() + result.air_margin > 0.01 * result.energy(EMITTED)


def test_slow_positron_leaves_its_two_photons():
    """In a cubic millimetre of water 0.1 MeV stay and 2 x 0.511 MeV leave, but for a few per cent."""
    phantom = water_tank((0.1, 0.1, 0.1), (0.1, 0.1, 0.1))
    n = 4000
    particles = pencil(POSITRON, 0.1, (0, 0, 0.05), (0, 0, 1), n)
    result = run_particles(phantom, tables_of(phantom), PLAN_CUTS._replace(**ANALOGUE), particles)
    assert result.voxels.sum() / n == pytest.approx(0.1, abs=0.01)
    assert result.energy(ESCAPED) / n == pytest.approx(2 * ELECTRON_MASS, abs=0.01)


def test_roulette_gives_what_it_takes():
    """On average over the photons that play, and the better share of the energy does."""
    phantom = water_tank((20.0, 20.0, 20.0), (20.0, 20.0, 20.0))
    tables, particles = tables_of(phantom), pencil(PHOTON, 1.0, (0, 0, 0.1), (0, 0, 1), 2000)
    balance = [
        run_particles(phantom, tables, PLAN_CUTS, particles, replica=r).energy(ROULETTE) / 2000
        for r in range(20)
    ]
    error = np.std(balance, ddof=1) / math.sqrt(20)
    assert error < 0.01
    assert abs(np.mean(balance)) < 5 * error


def test_weight_scales_the_dose():
    phantom = water_tank((4.0, 4.0, 4.0), (1.0, 1.0, 1.0))
    particles = pencil(PHOTON, 3.0, (0, 0, -1), (0, 0, 1), 2000)
    one = run_particles(phantom, tables_of(phantom), PLAN_CUTS, particles)
    particles[:, 8] = 0.25
    quarter = run_particles(phantom, tables_of(phantom), PLAN_CUTS, particles)
    np.testing.assert_allclose(quarter.voxels, 0.25 * one.voxels, rtol=1e-6)


# --- electrons: straight on, the range is the range ---------------------------------------------------


def straight(tables):
    """Tables of electrons that neither scatter nor make secondaries."""
    return tables._replace(
        gs_widths=np.zeros_like(tables.gs_widths),
        hard=np.zeros_like(tables.hard),
        hard_majorant=np.full_like(tables.hard_majorant, 1e-30),
    )


UNRESTRICTED = Physics(electron_cut=31.0, photon_cut=31.0)  # all losses are continuous: CSDA


@pytest.mark.parametrize("kind", [ELECTRON, POSITRON])
@pytest.mark.parametrize("energy", [0.7, 6.0, 18.0])
def test_straight_electrons_lose_what_the_range_says(kind, energy):
    """Voxel by voxel through layers of every material: E(R - rho s) - E(R - rho s')."""
    layers, z = [], 0.0
    for name, thickness in (
        ("water", 0.2), ("titanium", 0.1), ("lung_icru44", 0.6), ("air", 1.0), ("water", 20.0),
    ):  # fmt: skip
        layers.append(Layer(LIBRARY[name], LIBRARY[name].density, z, z + thickness))
        z += thickness
    phantom = slabs(layers, (1.0, 1.0), (0.05, 1.0, 1.0))
    tables = straight(tables_of(phantom, UNRESTRICTED))
    cut, n = 0.05, 3
    # start just inside, so that no air lies before
    particles = pencil(kind, energy, (0, 0, 1e-4), (0, 0, 1), n)
    result = run_particles(phantom, tables, Cuts(cut, 31.0), particles)

    now, at, expected = float(np.float32(energy)), float(np.float32(1e-4)), []
    for k, edge in enumerate(phantom.grid.edges(0)[1:]):
        material, density = phantom.material[k, 0, 0], float(phantom.density[k, 0, 0])
        rows = tables.slowing[material, kind - 1]
        energies = rows[:, 0] + rows[:, 1] * RANGES[:-1]
        left = np.interp(now, energies, RANGES[:-1]) - density * (edge - at)
        after = np.interp(left, RANGES[:-1], energies)
        after = after if after > cut else 0.0
        expected.append(now - after)
        now, at = after, edge
        if now == 0.0:
            break
    depth = result.voxels.sum(axis=(1, 2))[: len(expected)] / n
    np.testing.assert_allclose(depth[:-1], expected[:-1], rtol=2e-6, atol=1e-9)
    rest = 0.0 if kind == ELECTRON else depth[-1] - expected[-1]  # of annihilation photons caught there
    assert depth[-1] - rest == pytest.approx(expected[-1], rel=2e-6)
    assert result.voxels.sum(axis=(1, 2))[len(expected) :].sum() == pytest.approx(
        0.0, abs=0.0 if kind == ELECTRON else n
    )


def test_range_is_estars():
    """CSDA range of 10 MeV electrons in water: 4.975 g/cm2 (NIST ESTAR)."""
    phantom = water_tank((6.0, 1.0, 1.0), (0.005, 1.0, 1.0))
    tables = straight(tables_of(phantom, UNRESTRICTED))
    particles = pencil(ELECTRON, 10.0, (0, 0, 1e-4), (0, 0, 1), 1)
    depth = run_particles(phantom, tables, Cuts(0.01, 31.0), particles).voxels.sum(axis=(1, 2))
    end = phantom.grid.edges(0)[np.flatnonzero(depth)[-1] + 1]
    assert end == pytest.approx(4.975, rel=0.002)


@pytest.mark.parametrize("save", [0.0, 0.5, 40.0])
def test_electrons_in_one_big_voxel_stay(save):
    """Without bremsstrahlung all of their energy, whatever range rejection does."""
    phantom = water_tank((40.0, 40.0, 40.0), (40.0, 40.0, 40.0))
    tables = tables_of(phantom, Physics(photon_cut=31.0))
    particles = pencil(ELECTRON, 9.0, (0, 0, 20.0), (0, 1, 0), 500)
    result = run_particles(phantom, tables, Cuts(0.189, 31.0, 8, range_rejection=save), particles)
    assert result.voxels.sum() == pytest.approx(500 * 9.0, rel=1e-9)


def test_mean_cosine_decays_with_scattering_strength():
    """Lewis 1950: of electrons that lose no energy at random, <cos> = exp(-K1) and <x> = 0 anywhere.

    The mean depth reached is the integral of <cos> over the range. Its moment of the dose is known
    without transport: the sum of E deposited at depth s along the path, at mean z(s).
    """
    phantom = water_tank((12.0, 12.0, 12.0), (12.0, 12.0, 12.0))
    physics = Physics(electron_cut=31.0, photon_cut=31.0, k1_max=0.2)
    tables = tables_of(phantom, physics)._replace(
        hard_majorant=np.full((2, energy_nodes().size), 1e-30, np.float32)
    )
    fine = water_tank((6.0, 12.0, 12.0), (0.02, 12.0, 12.0), surface=-3.0)
    start, cut, n = 3.0, 0.1, 16_000
    particles = pencil(ELECTRON, start, (0, 0, 0), (0, 0, 1), n)
    batches = [
        run_particles(fine, tables, Cuts(cut, 31.0), particles, replica=r).voxels.sum(axis=(1, 2))
        for r in range(10)
    ]
    moments = np.array([np.sum(b * fine.grid.centres(0)) / b.sum() for b in batches])
    # along the path: dE at residual range r, where the mean depth is the integral of exp(-K)
    r, k = tables.range_k1[1, 0].T
    energies = np.linspace(start, cut, 20001)
    residual, strength = np.interp(energies, energy_nodes(), r), np.interp(energies, energy_nodes(), k)
    cosine = np.exp(strength - strength[0])
    path = residual[0] - residual
    depth = np.append(0, np.cumsum(0.5 * (cosine[1:] + cosine[:-1]) * np.diff(path)))
    expected = (np.trapezoid(depth, -energies) + depth[-1] * cut) / start
    error = moments.std(ddof=1) / math.sqrt(10)
    assert moments.mean() == pytest.approx(expected, abs=5 * error + 0.002 * expected)


# --- invariance ---------------------------------------------------------------------------------------


def depth_doses(run, batches=20):
    """Mean and its sigma of `run(replica)` (n,) over batches."""
    doses = np.array([run(replica) for replica in range(batches)])
    return doses.mean(axis=0), doses.std(axis=0, ddof=1) / math.sqrt(batches)


def assert_same(a, b, systematic=0.0):
    difference, sigma = np.abs(a[0] - b[0]), np.hypot(a[1], b[1])
    assert (difference < 5 * sigma + systematic * np.maximum(a[0], b[0])).all(), difference / sigma


def tissue(voxel):
    layers = [("water", 0, 3), ("lung_icru44", 3, 7), ("cortical_bone_icru44", 7, 8), ("water", 8, 12)]
    layers = [Layer(LIBRARY[name], LIBRARY[name].density, z0, z1) for name, z0, z1 in layers]
    return slabs(layers, (8.0, 8.0), voxel)


@pytest.mark.parametrize(("kind", "energy"), [(PHOTON, 6.0), (ELECTRON, 9.0)])
def test_dose_does_not_depend_on_voxel_size_nor_on_variance_reduction(kind, energy):
    """Deposit in whole centimetres of depth: fine voxels with everything on, coarse ones without."""
    tables = tables_of(tissue((1.0, 8.0, 8.0)))
    beam = Beam(kind, *spectrum([energy, energy], [1]), -1.0, 1.0, -1.0, 1.0, 0.0, math.inf)
    n = 2000 if kind == PHOTON else 400

    def run(voxel, cuts):
        phantom = tissue(voxel)
        return depth_doses(
            lambda replica: (
                run_beam(phantom, tables, cuts, beam, n, replica=replica)
                .voxels.sum(axis=(1, 2))
                .reshape(12, -1)
                .sum(axis=1)
            )
        )

    coarse = run((1.0, 8.0, 8.0), PLAN_CUTS._replace(**ANALOGUE))
    fine = run((0.25, 0.25, 0.25), PLAN_CUTS)
    assert_same(coarse, fine)


@pytest.mark.parametrize("kind", [PHOTON, ELECTRON, POSITRON])
def test_half_the_size_at_twice_the_density_is_the_same(kind):
    """The density-scaling theorem, to the last bit: a factor 2 rounds nothing."""
    phantom = patchwork()
    air = Phantom(
        Grid(
            phantom.grid.shape,
            [0.5 * d for d in phantom.grid.spacing],
            [0.5 * c for c in phantom.grid.origin],
        ),
        2.0 * phantom.density,
        phantom.material,
        (
            LIBRARY["air"].__class__("air", 2.0 * MATERIALS[0].density, MATERIALS[0].composition, 85.7),
            *MATERIALS[1:],
        ),
    )
    tables = tables_of(phantom)
    results = []
    for scale, at in ((1.0, phantom), (0.5, air)):
        field = [scale * side for side in (0.0, 4.9, 0.0, 4.5)]
        beam = Beam(kind, *spectrum([6.0, 6.0], [1]), *field, -2.0 * scale, 50.0 * scale)
        results.append(run_beam(at, tables, PLAN_CUTS, beam, 2000, air_margin=4.0 * scale))
    gas = phantom.density < 0.2  # voxels of gas at one scale but not at the other would step differently
    assert not ((phantom.density >= 0.05) & gas).any()
    np.testing.assert_array_equal(results[0].tally, results[1].tally)


# --- Fano's theorem -----------------------------------------------------------------------------------


@pytest.mark.parametrize("density", [pytest.param(0.3, marks=pytest.mark.slow), 0.05])
def test_fano(density):
    """Electrons born evenly per gram give an even dose, whatever the density does (Fano 1954).

    Layers of water of which one is thin: in x and y the voxels have no end, so that a source on the
    axis stands for one spread evenly.
    """
    voxel, n = 0.1, 150_000
    profile = np.ones((25, 1, 1))
    profile[12] = density
    grid = Grid(profile.shape, (voxel, 4e3, 4e3), (0.5 * voxel, 0.0, 0.0))
    phantom = Phantom(grid, profile, np.ones(profile.shape), MATERIALS[:2])
    tables = tables_of(phantom, Physics(photon_cut=31.0))
    mass = np.append(0, np.cumsum(profile.ravel() * voxel))

    def run(replica):
        rng = np.random.default_rng(replica)
        particles = pencil(ELECTRON, 0.8, (0, 0, 0), (0, 0, 1), n)
        particles[:, 4] = np.interp(rng.uniform(0, mass[-1], n), mass, grid.edges(0))
        particles[:, 5:8] = rng.normal(size=(n, 3))
        deposit = run_particles(phantom, tables, Cuts(0.189, 31.0), particles, replica=replica).voxels
        dose = (deposit / profile / voxel).ravel() * mass[-1] / (n * 0.8)
        # the thin layer, those beside it, those beside these, and away
        return np.array([dose[12], dose[[11, 13]].mean(), dose[[10, 14]].mean(), dose[[7, 8, 16, 17]].mean()])

    mean, sigma = depth_doses(run, 10)
    assert sigma[0] < 0.01 and sigma[1] < 0.003
    assert (np.abs(mean - 1) < 5 * sigma + 0.002).all(), (mean, sigma)


# --- mirror images ------------------------------------------------------------------------------------


def test_mirrored_source_is_the_source_mirrored(tables):
    rng = np.random.default_rng(7)
    particles = pencil(PHOTON, 2.0, (1.0, 1.0, -1.0), (0.1, 0.2, 1.0), 300)
    particles[:, 2:4] += rng.uniform(0, 2, (300, 2))
    phantom, origin = patchwork(), np.array([2.0, 2.0, 0.0])
    by_kernel = run_particles(phantom, tables, PLAN_CUTS, particles, mirror=(-1.0, 1.0), origin=origin)
    particles[:, [2, 5]] *= -1
    by_hand = run_particles(phantom, tables, PLAN_CUTS, particles, origin=origin)
    np.testing.assert_array_equal(by_kernel.tally, by_hand.tally)
    assert isinstance(by_hand, Result) and by_hand.voxels.sum() > 0


def test_range_of_is_the_table(tables):
    """And energy_of takes it back, from the lowest energies to the highest."""
    for energy in np.geomspace(ENERGY_MIN, 0.999 * ENERGY_MAX, 1000):
        i, residual = range_of(tables.slowing, tables.starts, 1, 0, energy)
        assert residual == pytest.approx(
            np.interp(energy, energy_nodes(), tables.range_k1[1, 0, :, 0]), rel=2e-4
        )
        assert i == interval_of_range(residual) or residual == pytest.approx(RANGES[i + 1], rel=1e-12)
        assert energy_of(tables.slowing, 1, 0, i, residual) == pytest.approx(energy, rel=1e-14)

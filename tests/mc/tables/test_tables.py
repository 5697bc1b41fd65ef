"""The tables against NIST, against the cross sections they are made of, and against themselves."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad

from mc.config import Physics
from mc.numerics.constants import AVOGADRO, ELECTRON_MASS, HC
from mc.numerics.sampling import (
    BREMS_PER_OCTAVE,
    ENERGY_MAX_EXP,
    ENERGY_MIN_EXP,
    ETA_MIN_EXP,
    ETA_PER_OCTAVE,
    RANGE_MAX_EXP,
    RANGE_MIN_EXP,
    RANGE_PER_OCTAVE,
    SPINS,
    X_MAX_EXP,
    X_MIN_EXP,
    X_PER_OCTAVE,
    octave_nodes,
)
from mc.tables import build_tables, tables_hash
from mc.tables.build import energy_nodes
from mc.tables.elements import load_elements
from mc.tables.inelastic import (
    annihilation_cross_section,
    beta_squared,
    collision_cross_section,
    collision_cross_section_differential,
    collision_stopping,
    largest_loss,
)
from mc.tables.medium import Atom, Medium
from mc.tables.photons import cross_section_intervals, photoelectric_cross_section, photon_cross_sections
from mc.tables.scattering import electronic_transport, nuclear_transport, rutherford_prefactor, screening
from phantoms.errors import InputError
from phantoms.materials import Material
from tests.mc.nist_reference import (
    AIR,
    ALUMINIUM,
    BONE,
    LUNG,
    PMMA,
    TITANIUM,
    TUNGSTEN,
    WATER,
    estar,
    mass_attenuation,
)

NODES = energy_nodes()
RANGES = octave_nodes(RANGE_MIN_EXP, RANGE_MAX_EXP, RANGE_PER_OCTAVE)
UNRESTRICTED = Physics(electron_cut=31.0, photon_cut=31.0)  # nothing up to 20 MeV is a hard event
MATERIALS = (AIR, WATER, BONE, TITANIUM, TUNGSTEN)


@pytest.fixture(
    scope="module", params=[Physics(), Physics(electron_cut=0.01, photon_cut=0.01)], ids=["plan", "fine"]
)
def physics(request):
    return request.param


@pytest.fixture(scope="module")
def tables(physics):
    return build_tables(MATERIALS, physics)


def at_energy(energy, values):
    """What a kernel reads between nodes: linear interpolation."""
    return np.interp(energy, NODES, values)


def worst(name, ours, reference, energy):
    """Largest relative deviation, printed (pytest -s)."""
    deviation = np.abs(ours / reference - 1.0)
    print(f"{name}: {100 * deviation.max():.3f} % at {energy[deviation.argmax()]:.4g} MeV")
    return deviation.max()


# --- NIST ---------------------------------------------------------------------------------------------


@pytest.mark.shared
@pytest.mark.parametrize(
    ("material", "file"),
    [
        (WATER, "water.csv"),
        (AIR, "air.csv"),
        (BONE, "bone.csv"),
        (LUNG, "lung.csv"),
        (ALUMINIUM, "elements/z13.csv"),
        (TITANIUM, "elements/z22.csv"),
        (TUNGSTEN, "elements/z74.csv"),
        (Material("iodine", 4.93, ((53, 1.0),), 491.0), "elements/z53.csv"),
        (Material("lead", 11.35, ((82, 1.0),), 823.0), "elements/z82.csv"),
    ],
    ids=lambda value: value.name if isinstance(value, Material) else "",
)
def test_mass_attenuation_is_nists(shared, material, file):
    """On both sides of every edge; not within the one interval of the grid that holds the edge."""
    energy, reference = mass_attenuation(shared, file)
    interval = np.searchsorted(NODES, energy, side="right") - 1
    away = np.ones(len(energy), bool)
    for element in load_elements(z for z, _ in material.composition).values():
        edges = element.photoelectric[0][element.photoelectric_segments[1:]]
        away &= ~np.isin(interval, np.searchsorted(NODES, edges) - 1)
        if len(element.shell_binding) > 1:  # XCOM has but the edges themselves between L2 and L1
            away &= (energy < element.shell_binding[2]) | (energy > element.shell_binding[1])
    energy, reference, interval = energy[away], reference[away], interval[away]
    assert len(energy) > 20
    low, rise = build_tables([material], Physics()).photon[0, interval, 0].T
    ours = low + rise * (energy - NODES[interval]) / np.diff(NODES)[interval]
    assert worst(f"mu/rho {material.name}", ours, reference, energy) < (
        0.003 if material.composition[0][0] > 50 else 0.001
    )


@pytest.mark.parametrize("z", [53, 74, 82])
def test_an_edge_is_smeared_over_one_interval_and_right_in_the_mean(z):
    element = load_elements([z])[z]
    ends = cross_section_intervals(element, NODES)
    for edge in element.shell_binding:
        i = np.searchsorted(NODES, edge) - 1
        below, above = (np.linspace(*pair, 4001) for pair in ((NODES[i], edge), (edge, NODES[i + 1])))
        exact = np.trapezoid(photoelectric_cross_section(element, below[:-1]), below[:-1])
        exact += np.trapezoid(photoelectric_cross_section(element, above[1:]), above[1:])
        assert ends[:, 2, i].mean() * np.diff(NODES)[i] == pytest.approx(exact, rel=5e-3)
        for side in (i - 1, i + 1):
            middle = 0.5 * (NODES[side] + NODES[side + 1])
            true = photoelectric_cross_section(element, np.array([middle]))[0]
            assert ends[:, 2, side].mean() == pytest.approx(true, rel=1e-3)


@pytest.mark.shared
def test_stopping_powers_and_ranges_are_estars(shared):
    # Radiative stopping alone is looser: the Seltzer-Berger table at hand is older than ESTAR's figures.
    limits = {"collision": 0.001, "radiative": 0.012, "total": 0.005, "range": 0.003}
    substances = estar(shared)
    known = {"water.liquid": WATER, "air.dry": AIR, "pmma": PMMA}
    elements = 0
    for name, row in substances.items():
        if row["Z"]:
            try:
                load_elements([row["Z"]])
            except InputError:  # a rare element
                continue
            known[name] = Material(name, row["rho"], ((row["Z"], 1.0),), row["I"])
            elements += 1
    assert elements == 78
    largest = dict.fromkeys(limits, (0.0, ""))
    for name, material in known.items():
        row = substances[name]
        tables = build_tables([material], UNRESTRICTED)
        total, collision = (at_energy(row["energy"], tables.stopping[0, 0, :, i]) for i in (0, 1))
        distance = np.exp(
            np.interp(np.log(row["energy"]), np.log(NODES), np.log(tables.range_k1[0, 0, :, 0]))
        )
        ours = {"collision": collision, "total": total, "radiative": total - collision, "range": distance}
        for quantity, limit in limits.items():
            if quantity == "radiative":
                limit = 0.022 if material.composition[0][0] == 1 and row["Z"] else limit
            deviation = np.abs(ours[quantity] / row[quantity] - 1.0).max()
            largest[quantity] = max(largest[quantity], (deviation, name))
            assert deviation < limit, (name, quantity)
    print({quantity: f"{100 * d:.3f} % ({name})" for quantity, (d, name) in largest.items()})


@pytest.mark.shared
@pytest.mark.parametrize("material", [LUNG, BONE], ids=lambda material: material.name)
def test_radiative_and_total_stopping_of_mixtures_are_estars_by_additivity(shared, material):
    """ESTAR itself adds the radiative stopping powers of the elements."""
    elements = {row["Z"]: row for row in estar(shared).values()}
    energy = elements[1]["energy"]
    reference = sum(weight * elements[z]["radiative"] for z, weight in material.composition)
    tables = build_tables([material], UNRESTRICTED)
    total, collision = (at_energy(energy, tables.stopping[0, 0, :, i]) for i in (0, 1))
    assert worst(f"radiative {material.name}", total - collision, reference, energy) < 0.008
    assert worst(f"total {material.name}", total, collision + reference, energy) < 0.002


# --- photons ------------------------------------------------------------------------------------------


def test_photon_probabilities(tables):
    low, rise = np.moveaxis(tables.photon.astype(float), -1, 0)
    for end, nodes in ((low, NODES[:-1]), (low + rise, NODES[1:])):
        total, *steps = np.moveaxis(end, -1, 0)
        assert (total > 0).all()
        assert (np.diff(np.stack([0 * total, *steps, 1 + 0 * total]), axis=0) >= -2e-7).all()
        pair = steps[2] - steps[1]
        assert (np.abs(pair[:, nodes < 2 * ELECTRON_MASS]) < 1e-7).all()
        assert (pair[:, nodes > 1.3] > 0).all()
    assert 7.0 < tables.z_pair[MATERIALS.index(WATER)] < 8.0
    assert tables.z_pair[MATERIALS.index(TUNGSTEN)] == 74.0


def test_hydrogen_form_factor_and_scattering_function_are_the_analytic_ones():
    hydrogen = build_tables([Material("H", 8.4e-5, ((1, 1.0),), 19.2)], Physics())
    x = octave_nodes(X_MIN_EXP, X_MAX_EXP, X_PER_OCTAVE)
    reduced = 2.0 * np.pi * 0.529177 * x  # F = 1 / (1 + (2 pi a0 x)^2)^2
    cumulative = (1.0 - (1.0 + reduced**2) ** -3) / 3.0 / (2.0 * np.pi * 0.529177) ** 2
    np.testing.assert_allclose(hydrogen.coherent[0], cumulative, rtol=3e-3)
    middle = (x > 0.02) & (x < 4)
    np.testing.assert_allclose(
        hydrogen.incoherent[0][middle], (1 - (1 + reduced**2) ** -4)[middle], rtol=6e-3
    )


def test_scattering_function_rises_to_one_and_form_factor_starts_at_z(tables):
    assert (np.diff(tables.incoherent) >= -1e-5).all()
    assert (tables.incoherent <= 1).all()
    np.testing.assert_allclose(tables.incoherent[:, -1], 1.0, atol=1e-3)
    water = MATERIALS.index(WATER)
    x = 2.0**X_MIN_EXP
    assert tables.coherent[water, 0] / x**2 == pytest.approx((2 * 1 + 64) / 3, rel=0.01)
    assert (np.diff(tables.coherent) > 0).all()


# --- electron collisions ------------------------------------------------------------------------------


@pytest.mark.parametrize("positron", [False, True])
@pytest.mark.parametrize("energy", [0.03, 0.5, 6.0, 25.0])
def test_collision_cross_section_and_stopping_are_integrals_of_the_differential_one(energy, positron):
    top = float(largest_loss(energy, positron))
    low, high = 0.1 * top, 0.6 * top
    kinetic = np.array([energy])

    def density(loss):
        return collision_cross_section_differential(energy, loss, positron)

    for threshold in (low, high):
        expected = quad(density, threshold, top, epsrel=1e-10)[0]
        assert collision_cross_section(kinetic, threshold, positron)[0] == pytest.approx(expected, rel=1e-9)
    assert collision_cross_section(kinetic, 1.01 * top, positron)[0] == 0.0
    restricted = [collision_stopping(kinetic, w, positron, 75.0, 0.0)[0] for w in (low, high, np.inf)]
    lost = quad(lambda loss: loss * density(loss), low, high, epsrel=1e-10)[0]
    assert restricted[1] - restricted[0] == pytest.approx(lost, rel=1e-8)
    lost = quad(lambda loss: loss * density(loss), high, top, epsrel=1e-10)[0]
    assert restricted[2] - restricted[1] == pytest.approx(lost, rel=1e-8)


def test_moller_and_bhabha_are_rutherford_at_small_losses():
    for positron in (False, True):
        shape = collision_cross_section_differential(2.0, 1e-7, positron)
        rutherford = 2 * np.pi * 2.8179403262e-13**2 * ELECTRON_MASS / (beta_squared(2.0) * 1e-14)
        assert shape == pytest.approx(rutherford, rel=1e-6)


def test_annihilation_in_flight_at_its_limits():
    # Slow: pi r_e^2 c / v. Fast: pi r_e^2 (ln 2 gamma - 1) / gamma.
    area = np.pi * 2.8179403262e-13**2
    slow, fast = annihilation_cross_section(np.array([1e-5, 1e4]))
    assert slow == pytest.approx(area / np.sqrt(beta_squared(1e-5)), rel=0.02)
    gamma = 1e4 / ELECTRON_MASS
    assert fast == pytest.approx(area * (np.log(2 * gamma) - 1) / gamma, rel=1e-3)


@pytest.mark.parametrize("positron", [False, True])
@pytest.mark.parametrize("energy", [0.02, 0.3, 1.0, 12.0])
def test_electronic_transport_is_the_integral_over_soft_losses(energy, positron):
    element = load_elements([8])[8]
    threshold = 0.189
    rest = ELECTRON_MASS

    def momentum(kinetic):
        return np.sqrt(kinetic * (kinetic + 2 * rest))

    def integrand(log_loss, order):
        loss = np.exp(log_loss)
        before, after, given = momentum(energy), momentum(energy - loss), momentum(loss)
        cosine = (before**2 + after**2 - given**2) / (2 * before * after)
        moment = 1 - cosine if order == 1 else 1.5 * (1 - cosine) * (1 + cosine)
        taking_part = np.interp(given / (2 * HC), *element.scattering)
        return loss * collision_cross_section_differential(energy, loss, positron) * moment * taking_part

    top = min(threshold, float(largest_loss(energy, positron))) * (1 - 1e-9)
    grid = np.linspace(np.log(1e-8), np.log(top), 20001)
    ours = electronic_transport(element, np.array([energy]), threshold, positron)[:, 0]
    for order in (1, 2):
        expected = np.trapezoid([integrand(w, order) for w in grid], grid)
        assert ours[order - 1] == pytest.approx(expected, rel=1e-3)


def test_hard_cross_sections_and_probabilities(tables, physics):
    total, brems, brems_or_collision = np.moveaxis(tables.hard.astype(float), -1, 0)
    assert (total >= 0).all()
    assert ((0 <= brems) & (brems <= brems_or_collision) & (brems_or_collision <= 1 + 1e-6)).all()
    np.testing.assert_allclose(brems_or_collision[:, 0], 1.0, rtol=1e-6)  # electrons do not annihilate
    closed = NODES <= min(2 * physics.electron_cut, physics.photon_cut)
    assert (total[:, 0, closed] == 0).all()
    assert (total[:, 0, NODES > 2.01 * physics.electron_cut] > 0).all()
    water = MATERIALS.index(WATER)
    electrons = AVOGADRO * (0.111894 / 1.0079 + 0.888106 * 8 / 15.9994)
    for charge, positron in enumerate((False, True)):
        hard = (brems_or_collision - brems)[water, charge] * total[water, charge]
        expected = electrons * collision_cross_section(NODES, physics.electron_cut, positron)
        np.testing.assert_allclose(hard, expected, rtol=1e-4, atol=1e-6)


def test_majorant_covers_all_materials_and_lower_energies(tables):
    energy = np.geomspace(NODES[0], NODES[-1], 5001)
    for charge in range(2):
        majorant = at_energy(energy, tables.hard_majorant[charge])
        for material in range(len(MATERIALS)):
            cross_section = at_energy(energy, tables.hard[material, charge, :, 0])
            assert (np.maximum.accumulate(cross_section) <= majorant).all()


# --- bremsstrahlung -----------------------------------------------------------------------------------


@pytest.mark.parametrize("energy", [0.5, 1.0, 2.0, 8.0])  # nodes of both the raw table and ours
def test_bremsstrahlung_quantiles_and_cross_section_are_seltzer_bergers(energy):
    element = load_elements([74])[74]
    physics = Physics(electron_cut=20.0)  # no Moller, so that all hard events are bremsstrahlung
    tables = build_tables([TUNGSTEN], physics)
    row = int(np.argmin(np.abs(element.bremsstrahlung_energy - energy)))
    log_k = np.linspace(np.log(physics.photon_cut), np.log(energy), 4001)
    density = np.interp(np.exp(log_k) / energy, element.bremsstrahlung_fraction, element.bremsstrahlung[row])
    cumulative = np.append(0.0, np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(log_k)))
    scale = AVOGADRO / element.atomic_weight * 74**2 * 1e-27 / beta_squared(energy)
    assert at_energy(energy, tables.hard[0, 0, :, 0]) == pytest.approx(scale * cumulative[-1], rel=2e-3)
    node = np.flatnonzero(octave_nodes(ENERGY_MIN_EXP, ENERGY_MAX_EXP, BREMS_PER_OCTAVE) == energy)[0]
    x = tables.brems[0, node]
    u = np.interp(np.log(physics.photon_cut) + x * np.log(energy / physics.photon_cut), log_k, cumulative)
    np.testing.assert_allclose(u / cumulative[-1], np.linspace(0, 1, 65), atol=5e-4)


def test_bremsstrahlung_quantiles_ascend(tables, physics):
    assert (np.diff(tables.brems, axis=-1) > 0).all()
    assert (tables.brems[..., 0] == 0).all()
    assert (tables.brems[..., -1] == 1).all()
    below = octave_nodes(ENERGY_MIN_EXP, ENERGY_MAX_EXP, BREMS_PER_OCTAVE) <= physics.photon_cut
    np.testing.assert_allclose(
        tables.brems[:, below],
        np.broadcast_to(np.linspace(0, 1, 65), (len(MATERIALS), below.sum(), 65)),
        atol=1e-6,
    )


# --- range and scattering strength --------------------------------------------------------------------


def test_range_and_strength_ascend_and_have_the_right_slope(tables):
    distance, strength = np.moveaxis(tables.range_k1, -1, 0)
    assert (np.diff(distance) > 0).all()
    assert (np.diff(strength) > 0).all()
    assert (strength[..., 0] == 0).all()
    # Simpson's rule over two intervals against the table, where 1/L is smooth.
    reciprocal = 1.0 / tables.stopping[..., 0].astype(float)
    first = np.arange(0, len(NODES) - 1, 2)  # pairs of equal intervals
    step = NODES[first + 1] - NODES[first]
    simpson = (
        step / 3 * (reciprocal[..., first] + 4 * reciprocal[..., first + 1] + reciprocal[..., first + 2])
    )
    gained = distance[..., first + 2] - distance[..., first]
    deviation = np.abs(simpson / gained - 1)
    assert np.median(deviation) < 1e-6
    assert deviation.max() < 1e-3  # at a threshold 1/L has a kink within the interval


def test_energy_and_strength_by_range_are_those_by_energy(tables):
    """The kernel's table: lines between nodes of the range, which lie on the curves by energy."""
    for m, charge in np.ndindex(tables.slowing.shape[:2]):
        rows, (distance, strength) = tables.slowing[m, charge], tables.range_k1[m, charge].T
        i = np.clip(np.searchsorted(RANGES, distance, side="right") - 1, 0, len(rows) - 1)
        np.testing.assert_array_equal(tables.starts[m, charge], i)
        np.testing.assert_allclose(rows[i, 0] + rows[i, 1] * distance, NODES, rtol=1e-4)
        ours = rows[i, 2] + rows[i, 3] * distance
        np.testing.assert_allclose(ours, strength, rtol=1e-4, atol=2e-3)  # of the 0.2 that a step spends
        inner = (RANGES[1:-1] > distance[0]) & (RANGES[1:-1] < distance[-1])
        for column in (0, 2):  # no jump at the nodes
            ends = rows[:-1, column] + rows[:-1, column + 1] * RANGES[1:-1]
            starts = rows[1:, column] + rows[1:, column + 1] * RANGES[1:-1]
            np.testing.assert_allclose(ends[inner], starts[inner], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(rows[:, 4] * rows[:, 3], 1.0)


def test_scattering_of_elements_without_elsepa_data_fits_their_neighbours():
    energy = np.geomspace(0.01, 20.0, 40)
    for z, low, high in ((14, 13, 15), (47, 42, 53), (50, 42, 53), (75, 74, 79)):
        library = load_elements([z, low, high])
        scaled = {}
        for k, element in library.items():
            scaled[k] = [np.interp(energy, element.elastic_energy, row) / k**2 for row in element.elastic]
        for order in range(2):
            part = np.log(z / low) / np.log(high / low)
            expected = scaled[low][order] ** (1 - part) * scaled[high][order] ** part
            np.testing.assert_allclose(scaled[z][order], expected, rtol=0.02)


@pytest.mark.parametrize(
    ("left_out", "low", "high", "elastic", "functions"),
    [
        (13, 12, 14, 0.01, 0.012),
        (25, 24, 26, 0.01, 0.012),
        (47, 40, 53, 0.02, 0.025),
        (74, 56, 79, 0.02, 0.02),
    ],
)
def test_interpolation_in_z_brings_back_a_left_out_element(
    left_out, low, high, elastic, functions, monkeypatch
):
    """Also across gaps as wide as those between the elements of EPICS2017 (up to 17)."""
    script = Path(__file__).parents[3] / "scripts/build_tables.py"
    monkeypatch.syspath_prepend(script.parent)
    spec = importlib.util.spec_from_file_location("build_tables", script)
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    monkeypatch.setattr(build, "LARGEST_GAP", high - low)
    names = ("form_factor", "scattering", "elastic")
    library = load_elements([low, left_out, high])
    known = {z: {name: getattr(e, name) for name in names} for z, e in library.items()}
    tabulated = library[low].elastic_energy >= NODES[0]
    truth = known.pop(left_out)
    found = build.interpolate_elements(known)[left_out]
    ours, theirs = found["elastic"][:, tabulated], truth["elastic"][:, tabulated]
    np.testing.assert_allclose(ours, theirs, rtol=elastic)
    x = np.geomspace(0.01, 20.0, 200)
    for name in names[:2]:
        ours, theirs = (np.interp(x, *data[name]) for data in (found, truth))
        np.testing.assert_allclose(ours, theirs, atol=functions * left_out)


@pytest.mark.parametrize("z", [10, 31, 35, 39, 48, 57, 64, 70, 78])
def test_interpolated_functions_give_xcoms_scattering_as_their_neighbours_do(z):
    """The integrals of F^2 and S over XCOM's cross sections, known for every element, are smooth in Z."""
    exact = [1, 6, 9, 11, 20, 22, 30, 40, 47, 50, 56, 73, 75, 79, 82]  # elements of EPICS2017
    low, high = max(k for k in exact if k < z), min(k for k in exact if k > z)
    ratios = {k: _scattering_ratios(element) for k, element in load_elements([low, z, high]).items()}
    expected = ratios[low] + (z - low) / (high - low) * (ratios[high] - ratios[low])
    np.testing.assert_allclose(ratios[z], expected, atol=0.03 if z == 10 else 0.015)


def _scattering_ratios(element):
    """Coherent and incoherent cross section from F and S over XCOM's, (2, 3): at 20, 100, 500 keV."""
    area = 2 * np.pi * 2.8179403262e-13**2 * 1e24
    cosine = np.concatenate([np.linspace(-1, 0.9, 2000), 1 - np.geomspace(0.0999, 1e-7, 3000)])
    energy = np.array([0.02, 0.1, 0.5])
    ratios = np.empty((2, 3))
    for i, e in enumerate(energy):
        x = e / HC * np.sqrt(0.5 * (1 - cosine))
        form, scattering = np.interp(x, *element.form_factor), np.interp(x, *element.scattering)
        left = 1 / (1 + e / ELECTRON_MASS * (1 - cosine))
        klein_nishina = 0.5 * left**2 * (left + 1 / left - 1 + cosine**2)
        ratios[0, i] = np.trapezoid(0.5 * form**2 * (1 + cosine**2), cosine)
        ratios[1, i] = np.trapezoid(scattering * klein_nishina, cosine)
    return area * ratios / photon_cross_sections(element, energy)[:2]


@pytest.mark.parametrize("z", [1, 8, 22, 82])
def test_screening_meets_both_transport_coefficients(z):
    """The law found has kappa_2/kappa_1 everywhere, and kappa_1 with Rutherford's strength unless cut."""
    element = load_elements([z])[z]
    energy = np.geomspace(0.01, 20.0, 12)
    kappa = nuclear_transport(element, energy)
    strength = element.z**2 * rutherford_prefactor(energy)
    rows, layers = screening(*kappa, strength)
    for row, layer, k1, k2, rutherford in zip(rows, layers, *kappa, strength, strict=True):
        octave, place = divmod(row, ETA_PER_OCTAVE)
        eta = 2.0 ** (ETA_MIN_EXP + octave) * (1 + place / ETA_PER_OCTAVE)
        spin = np.interp(layer, np.arange(len(SPINS)), SPINS)

        def mean(moment, eta=eta, spin=spin):  # over s = ln(1 - cos + 2 eta)
            def weighted(s):
                t = np.exp(s) - 2 * eta
                return moment(t) * (1 - 0.5 * spin * t) * np.exp(-s)

            return quad(weighted, np.log(2 * eta), np.log(2 + 2 * eta), epsrel=1e-10, limit=500)[0]

        found1, found2 = mean(lambda t: t), mean(lambda t: 1.5 * t * (2 - t))
        assert found2 / found1 == pytest.approx(k2 / k1, rel=2e-3)
        if spin < SPINS[-1]:
            assert found1 * rutherford == pytest.approx(k1, rel=2e-3)


def test_spin_of_light_atoms_is_beta_squared():
    """McKinley and Feshbach: Mott's factor is 1 - beta^2 sin^2(theta/2) + O(Z alpha)."""
    energy = np.array([0.1, 0.3, 1.0, 3.0])
    element = load_elements([6])[6]
    _, layers = screening(*nuclear_transport(element, energy), 36 * rutherford_prefactor(energy))
    spin = np.interp(layers, np.arange(len(SPINS)), SPINS)
    np.testing.assert_allclose(spin, beta_squared(energy), atol=0.06)


def test_soft_scattering_grows_with_the_threshold_and_fades_with_energy():
    kappa = {}
    for cut in (0.01, 0.189):
        elements = load_elements(z for z, _ in WATER.composition)
        atoms = {z: Atom(element, Physics(electron_cut=cut), NODES) for z, element in elements.items()}
        kappa[cut] = Medium(WATER, atoms).soft_transport(False)
    open_ = NODES > 0.4
    assert (kappa[0.189][:, open_] > kappa[0.01][:, open_]).all()
    np.testing.assert_allclose(kappa[0.189][:, NODES < 0.02], kappa[0.01][:, NODES < 0.02], rtol=1e-6)
    for values in kappa.values():
        assert (np.diff(values) < 0).all()
        assert ((values[1] > values[0]) & (values[1] < 3 * values[0])).all()


# --- whole tables ---------------------------------------------------------------------------------------


def test_tables_are_what_kernels_expect(tables):
    singles = dict.fromkeys(("coherent", "range_k1", "slowing", "binding", "relaxation"), np.float64)
    for name, array in tables._asdict().items():
        assert array.flags.c_contiguous
        assert array.dtype == (np.int32 if name == "starts" else singles.get(name, np.float32)), name
        assert np.isfinite(array).all(), name
    shapes = {name: array.shape for name, array in tables._asdict().items()}
    n = len(MATERIALS)
    assert shapes["photon"] == (n, len(NODES) - 1, 4, 2)
    assert shapes["range_k1"] == (n, 2, len(NODES), 2)
    assert shapes["hard"] == (n, 2, len(NODES), 3)
    assert shapes["hard_majorant"] == (2, len(NODES))


@pytest.mark.parametrize(
    "options", [{"photon_split": 0}, {"photon_split": 65}, {"photon_split": 1.5}, {"track_repeat": 0}]
)
def test_numbers_of_interactions_that_are_none(options):
    with pytest.raises(InputError, match=next(iter(options))):
        build_tables([WATER], Physics(**options))


def test_hash_follows_what_the_tables_depend_on():
    reference = tables_hash([WATER], Physics())
    assert reference == tables_hash([replace(WATER, source="elsewhere")], Physics())
    assert reference != tables_hash([WATER], Physics(electron_cut=0.2))
    assert reference != tables_hash([replace(WATER, mean_excitation=78.0)], Physics())
    assert reference != tables_hash([WATER, AIR], Physics())


@pytest.mark.parametrize(
    ("material", "physics", "words"),
    [
        (replace(WATER, composition=((1, 0.11), (92, 0.89))), Physics(), "holds U, .* H, C to Pb"),
        (replace(WATER, composition=((1, 0.11), (5, 0.89))), Physics(), "holds B, "),
        (replace(WATER, composition=((1, 0.11), (8, 0.8))), Physics(), "sum to 1"),
        (replace(WATER, composition=()), Physics(), "sum to 1"),
        (replace(WATER, composition=((1, float("nan")), (8, 0.8))), Physics(), "sum to 1"),
        (replace(WATER, density=0.0), Physics(), "above 0"),
        (replace(WATER, mean_excitation=0.5), Physics(), "does not fit"),
        (WATER, Physics(electron_cut=1e-3), "electron_cut"),
        (WATER, Physics(photon_cut=40.0), "photon_cut"),
    ],
)
def test_nonsense_is_refused_by_name(material, physics, words):
    with pytest.raises(InputError, match=words):
        build_tables([material], physics)

"""Photoeffect by shell and fluorescence: samplers against the element data, events as transport makes them.

Chi-square at 1e-4 a test and counts at 4.5 sigma, about 20 in all: less than 1 in 400 to fail by chance.
"""

import numpy as np
import pytest

from mc.config import Physics
from mc.numerics.jit import njit
from mc.numerics.sampling import energy_position
from mc.physics.relaxation import sample_shell, sample_transition
from mc.tables import build_tables
from mc.tables.elements import load_elements
from mc.tables.photons import photoelectric_cross_section
from mc.transport.context import Cuts
from mc.transport.particle import PHOTON
from phantoms.materials import load_materials
from tests.mc.distributions import SIGNIFICANCE, chi_square_probability, draw
from tests.mc.events import interact_alone

LIBRARY = load_materials()
FINE = Physics(photon_cut=0.01)
METALS = {"gold": 79, "tungsten": 74, "lead": 82}
# Fluorescence yields of the K shell: Krause, J. Phys. Chem. Ref. Data 8 (1979) 307, Table 1; 1 % there
KRAUSE = {79: 0.964, 74: 0.958, 82: 0.967, 53: 0.884}
# Energies of the K-L3 line [MeV]: Deslattes et al., Rev. Mod. Phys. 75 (2003) 35
K_ALPHA_1 = {79: 0.068806, 74: 0.059319, 82: 0.074970, 53: 0.028612}


@njit
def transition(shell, relaxation, rng):
    photon, following, rng = sample_transition(shell, relaxation, rng)
    return photon, float(following), rng


@njit
def shell_of(energy, i, f, shells, binding, rng):
    shell, rng = sample_shell(energy, i, f, shells, binding, 0, rng)
    return float(shell), rng


def interactions(names, energy, physics, n):
    """Photons (n, 6) of interactions in the first material, 0 where there is none; energy left; tables."""
    tables = build_tables([LIBRARY[name] for name in names], physics)
    particles, deposit = interact_alone(n, energy, tables, Cuts(physics.electron_cut, physics.photon_cut))
    photons = np.sort(np.where(particles[:, :, 0] == PHOTON, particles[:, :, 1], 0.0), axis=1)[:, ::-1]
    return photons, particles[:, :, 1].sum(axis=1) + deposit, tables


# --- data ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("z", KRAUSE)
def test_fluorescence_yields_are_those_of_experiment(z):
    shell, _, energy, probability = load_elements([z])[z].transitions
    lines = (shell == 0) & (energy > 0)
    assert probability[lines].sum() == pytest.approx(KRAUSE[z], rel=0.01)


@pytest.mark.parametrize("z", K_ALPHA_1)
def test_line_energies_are_those_of_experiment(z):
    shell, _, energy, probability = load_elements([z])[z].transitions
    lines = (shell == 0) & (energy > 0)
    strongest = energy[lines][probability[lines].argmax()]
    assert strongest == pytest.approx(K_ALPHA_1[z], rel=3e-3)


@pytest.mark.parametrize("z", [29, 53, 74, 76, 79, 81, 82])
def test_k_share_is_the_jump_of_the_cross_section(z):
    element = load_elements([z])[z]
    edge = element.shell_binding[0]
    below, above = photoelectric_cross_section(element, edge * np.array([1 - 1e-6, 1 + 1e-6]))
    assert element.shell_share[0, 0] == pytest.approx(1 - below / above, abs=0.004)


# --- samplers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", range(4), ids=["K", "L1", "L2", "L3"])
def test_lines_are_chosen_with_their_probabilities(shell):
    tables = build_tables([LIBRARY["lead"]], FINE)
    photon, following = draw(transition, shell, tables.relaxation, columns=2)
    first, left, energy, probability = load_elements([82])[82].transitions
    emitted = np.where(energy > FINE.photon_cut, energy, 0.0)
    of_note = (first == shell) & ((emitted > 0) | (left >= 0))
    expected = {(0.0, -1.0): 1 - probability[of_note].sum()}
    for outcome, p in zip(
        zip(emitted[of_note], left[of_note], strict=True), probability[of_note], strict=True
    ):
        expected[outcome] = expected.get(outcome, 0.0) + p
    seen, count = np.unique(np.stack([photon, following]), axis=1, return_counts=True)
    observed = dict(zip(zip(*seen, strict=True), count, strict=True))
    assert set(observed) <= set(expected)
    counts = np.array([observed.get(outcome, 0) for outcome in expected])
    assert chi_square_probability(counts, np.array([*expected.values()])) > SIGNIFICANCE


@pytest.mark.parametrize("energy", [0.0155, 0.05, 0.0879, 0.0881, 0.15, 2.0])
def test_shells_are_chosen_by_their_cross_sections(energy):
    tables = build_tables([LIBRARY["lead"]], FINE)
    (shell,) = draw(shell_of, energy, *energy_position(energy), tables.shells, tables.binding, n=300_000)
    element = load_elements([82])[82]
    left, expected = 1.0, []
    for binding, share in zip(element.shell_binding, element.shell_share, strict=True):
        ratio = np.interp(np.log(energy / binding), np.log(element.shell_ratio), share)
        expected.append(left * ratio if energy > binding else 0.0)
        left -= expected[-1]
    expected = np.array([left, *expected])
    observed = np.bincount(shell.astype(int) + 1, minlength=5)
    assert (observed[expected == 0] == 0).all()
    np.testing.assert_allclose(observed / observed.sum(), expected, atol=4.5 * 0.5 / np.sqrt(len(shell)))


# --- events -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("energy", [0.1, 0.15])
@pytest.mark.parametrize("name", METALS)
def test_fluorescence_photons_per_absorption(name, energy):
    n, z = 200_000, METALS[name]
    photons, balance, tables = interactions((name,), energy, Physics(), n)
    np.testing.assert_allclose(balance, energy, rtol=1e-6)
    element = load_elements([z])[z]
    shell, _, line, probability = element.transitions
    lines = np.unique(line[(shell == 0) & (line > Physics().photon_cut)])
    fluorescent = np.isclose(photons[:, :1], lines, rtol=1e-9).any(axis=1)
    i, f = energy_position(energy)
    low, rise = tables.photon[0, i, 3].astype(float)
    absorbed = 1 - (low + f * rise)
    yields = probability[(shell == 0) & (line > Physics().photon_cut)].sum()
    ratio = np.interp(
        np.log(energy / element.shell_binding[0]), np.log(element.shell_ratio), element.shell_share[0]
    )
    expected = absorbed * ratio * yields
    assert 0.5 < expected < 0.8
    assert fluorescent.mean() == pytest.approx(expected, abs=4.5 * np.sqrt(expected / n))


def test_cascade_follows_from_k_to_l_shells():
    """With a cut-off of 10 keV a vacancy of lead's K shell gives K and then L lines; energy is conserved."""
    photons, balance, _ = interactions(("lead",), 0.1, FINE, 100_000)
    np.testing.assert_allclose(balance, 0.1, rtol=1e-6)
    both = (photons[:, 0] > 0.07) & (photons[:, 1] > 0.01) & (photons[:, 1] < 0.016)
    assert 0.1 < both.mean() < 0.4


def test_tissue_fluoresces_not_and_keeps_its_random_numbers():
    """Light elements have no shell of account; next to a metal neither their events nor numbers change."""
    alone = interactions(("water",), 0.06, Physics(), 20_000)
    beside = interactions(("water", "lead"), 0.06, Physics(), 20_000)
    assert alone[2].binding.size == 0 and beside[2].binding.size > 0
    np.testing.assert_array_equal(alone[0], beside[0])
    np.testing.assert_allclose(alone[1], 0.06, rtol=1e-6)

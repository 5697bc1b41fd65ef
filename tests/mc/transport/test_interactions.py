"""Single interactions as transport makes them: momentum, energy lost to hard collisions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mc.backends.cpu import cuts_of
from mc.config import Physics
from mc.numerics.constants import ELECTRON_MASS
from mc.numerics.jit import njit
from mc.numerics.rng import stream
from mc.tables import build_tables
from mc.tables.build import energy_nodes
from mc.transport.context import Cuts
from mc.transport.particle import ELECTRON, PHOTON, Particle
from mc.transport.track import BREMSSTRAHLUNG, KNOCK_ON, sample_hard, sample_to_hard
from phantoms.materials import load_materials
from tests.mc.events import ENERGY, KIND, MAX_PARTICLES, interact_alone

LIBRARY = load_materials()
PLAN = Physics()


def interactions(name, energy, cuts, n=2000):
    """Kind, energy [MeV] and direction of what photons along z emit, (n, MAX_PARTICLES) and (..., 3)."""
    directions = np.zeros((n, MAX_PARTICLES, 3))
    particles, _ = interact_alone(n, energy, build_tables([LIBRARY[name]], PLAN), cuts, directions)
    return particles[:, :, KIND], particles[:, :, ENERGY], directions


def momentum(energy, mass):
    """Of a kinetic energy [MeV], in MeV/c."""
    return np.sqrt(energy * (energy + 2.0 * mass))


def test_compton_keeps_the_momentum():
    """Of a photon and an electron that was free and at rest: as a vector, in every event."""
    kind, energy, direction = interactions("water", 1.0, Cuts(0.0, 0.0))
    scattered = (kind == PHOTON) & (energy > 0.0)
    compton = (
        (scattered.sum(axis=1) == 1) & ((kind == ELECTRON).sum(axis=1) == 1) & (energy.max(axis=1) < 0.999)
    )
    assert compton.sum() > 1900
    size = np.where(kind == PHOTON, energy, momentum(energy, ELECTRON_MASS))
    total = np.sum(size[:, :, None] * direction, axis=1)[compton]
    np.testing.assert_allclose(total, np.broadcast_to([0.0, 0.0, 1.0], total.shape), atol=1e-6)


def test_photons_of_a_stopped_positron_leave_back_to_back():
    """All charged particles stop where they are born; directions are uniform, at 4 sigma."""
    kind, energy, direction = interactions("gold", 6.0, Cuts(31.0, 0.1))
    pair = np.isclose(energy, ELECTRON_MASS) & (kind == PHOTON)
    found = direction[pair.sum(axis=1) == 2][:, :2]
    assert len(found) > 800
    np.testing.assert_allclose(found[:, 0], -found[:, 1], atol=1e-12)
    assert np.abs(found[:, 0].mean(axis=0)).max() < 4.0 / math.sqrt(3.0 * len(found))


@njit
def hard_losses(electron, material, tables, cuts, losses, paths, imbalance):
    """Energy lost [MeV] and mass thickness up to `losses.size` hard collisions, and momentum missing."""
    rng = stream(5, 0, 0, 0, 0)
    for event in range(losses.size):
        paths[event], majorant, rng = sample_to_hard(electron.energy, 0, tables, rng)
        collision, after, emitted, rng = sample_hard(electron, material, majorant, tables, cuts, rng)
        losses[event] = electron.energy - after.energy
        if collision == KNOCK_ON:
            one = math.sqrt(after.energy * (after.energy + 2.0 * ELECTRON_MASS))
            other = math.sqrt(emitted.energy * (emitted.energy + 2.0 * ELECTRON_MASS))
            imbalance[event, 0] = one * after.u + other * emitted.u
            imbalance[event, 1] = one * after.v + other * emitted.v
        elif collision == BREMSSTRAHLUNG:
            losses[event] = emitted.energy


@pytest.mark.parametrize("name", ["water", "gold"])
def test_hard_collisions_lose_what_the_restricted_stopping_power_leaves_out(name):
    """Mean loss over mean thickness against unrestricted less restricted stopping power, at 4 sigma."""
    energy, n = 10.0, 400_000
    tables, every = (build_tables([LIBRARY[name]], p) for p in (PLAN, Physics(31.0, 31.0)))
    losses, paths, imbalance = np.zeros(n), np.zeros(n), np.zeros((n, 2))
    electron = Particle(ELECTRON, energy, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0)
    hard_losses(electron, 0, tables, cuts_of(PLAN), losses, paths, imbalance)
    np.testing.assert_allclose(imbalance, 0.0, atol=1e-9)
    at = [np.interp(energy, energy_nodes(), t.stopping[0, 0, :, 0]) for t in (every, tables)]
    found = losses.mean() / paths.mean()
    sigma = found * math.hypot(losses.std() / losses.mean(), paths.std() / paths.mean()) / math.sqrt(n)
    assert sigma < 0.01 * found
    assert found == pytest.approx(at[0] - at[1], abs=4.0 * sigma)

"""The head of the generic machine against the phase space of an independent code with the same geometry."""

from itertools import pairwise

import numpy as np
import pytest

from mc.compute.head import HeadTransport
from mc.machine.folder import find_machine
from mc.source.particles import across
from mc.source.phase_space import open_phase_space
from mc.transport.head import NEW

ELECTRONS = 80_000
CUT = 0.05  # photons below are cut off here, and not there [MeV]
ENERGIES = (0.05, 0.3, 0.6, 1.0, 1.5, 2.5, 4.0, 6.0)  # [MeV]
RADII = (0.0, 2.0, 4.0, 6.0, 8.0, 10.0)  # at the isocentre [cm]


def scores(particles, histories):
    """Sums over photons per history: all, their energy, by energy, by radius; and their covariance."""
    p = particles
    x, y = across(p, 100.0)
    radius = np.hypot(x, y)
    photons = (p.kind == 1) & (p.energy > CUT)
    values = [p.weight * photons, p.weight * p.energy * photons]
    for edges, of in ((ENERGIES, p.energy), (RADII, radius)):
        values += [p.weight * (photons & (of >= low) & (of < high)) for low, high in pairwise(edges)]
    history = np.cumsum(p.new_history)
    sums = np.array([np.bincount(history, value) for value in values])
    mean = sums.sum(axis=1) / histories
    return mean, (sums @ sums.T / histories - np.outer(mean, mean)) / histories


@pytest.mark.slow
@pytest.mark.shared
def test_head_of_the_generic_machine(shared):
    """Bars of 3 % and 1 %, then no systematic difference in shape: chi-square above by chance 1 in 1000."""
    space = open_phase_space(shared / "phase-space" / "g6fff_10x10_above")
    theirs, covariance_theirs = scores(space.read(0, len(space)), space.header.orig_histories)
    machine = find_machine("GEN6FFF")
    transport = HeadTransport(machine.energies[0].head, machine.sad_cm)
    records = np.concatenate(transport.run(0, ELECTRONS))
    assert records[0, NEW] == 1.0
    ours, covariance_ours = scores(transport.particles(records), ELECTRONS)
    sigma = np.sqrt(np.diag(covariance_ours) / ours**2 + np.diag(covariance_theirs) / theirs**2)
    ratio = ours / theirs
    assert abs(ratio[0] - 1.0) < 0.03 + 2.0 * sigma[0]  # photons per electron
    energy = (ours[1] / ours[0]) / (theirs[1] / theirs[0])
    turn = np.array([-1.0, 1.0])  # of the relative changes of number and energy to that of their ratio
    variance = sum(
        turn @ (covariance[:2, :2] / np.outer(mean[:2], mean[:2])) @ turn
        for mean, covariance in ((ours, covariance_ours), (theirs, covariance_theirs))
    )
    assert abs(energy - 1.0) < 0.01 + 2.0 * np.sqrt(variance)
    for part, limit in ((slice(2, 2 + len(ENERGIES) - 1), 24.3), (slice(2 + len(ENERGIES) - 1, None), 20.5)):
        difference = ratio[part] - 1.0
        covariance = sum(
            c[part, part] / np.outer(mean[part], mean[part])
            for mean, c in ((ours, covariance_ours), (theirs, covariance_theirs))
        )
        assert difference @ np.linalg.solve(covariance, difference) < limit

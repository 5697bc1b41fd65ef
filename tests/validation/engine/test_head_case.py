"""The comparison of two heads, on photons and doses whose difference is known."""

from __future__ import annotations

import numpy as np
import pytest

from validation.engine.curves import Curve
from validation.engine.head import TankDose, dose_checks, photon_checks

ELECTRONS = 100_000
NOISE = 0.005  # of the dose at a point
DEPTH, ACROSS = np.arange(0.125, 22.0, 0.25), np.arange(-11.0, 11.1, 0.5)


def photons(number=1.0, energy=1.4, seed=1):
    """Photons and their energy per electron, and their covariance: some electrons make many, most none."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(20.0 * number, ELECTRONS) * (rng.random(ELECTRONS) < 0.05)
    sums = np.stack([counts, counts * energy * rng.normal(1.0, 0.1, ELECTRONS)])
    mean = sums.mean(axis=1)
    return mean, np.cov(sums) / ELECTRONS


def dose(scale=1.0, tilt=0.0, deeper=0.0, seed=1):
    """A tank dose: `tilt` of the profiles across 1 cm, `deeper` by so much at 10 cm."""
    rng = np.random.default_rng(seed)
    fall = np.exp(-0.045 * DEPTH) * (1.0 + deeper * DEPTH / 10.0)
    field = 1.0 / (1.0 + np.exp((np.abs(ACROSS) - 5.0) / 0.2)) * (1.0 + tilt * ACROSS)
    lines = [("depth", DEPTH, fall)]
    lines += [
        (f"{axis} at {d:g} cm", ACROSS, field * np.exp(-0.045 * d)) for d in (1.5, 10.0) for axis in "xy"
    ]
    curves = []
    for name, position, line in lines:
        sigma = NOISE * line
        curves.append(Curve(name, position, scale * rng.normal(line, sigma), scale * sigma))
    return TankDose(scale * rng.normal(0.7, 0.001), scale * 0.001, curves)


def failed(checks):
    return {check.name for check in checks if not check.passed}


@pytest.mark.parametrize("seed", range(5))
def test_noise_alone_passes(seed):
    assert not failed(photon_checks(photons(seed=seed), photons(seed=100 + seed)))
    assert not failed(dose_checks(dose(seed=seed), dose(seed=100 + seed)))


def test_sigma_of_photons_is_their_scatter():
    """Of ratios of independent runs, over the sigma stated."""
    found = [photon_checks(photons(seed=2 * k), photons(seed=2 * k + 1)) for k in range(30)]
    for checks in zip(*found, strict=True):
        pulls = [check.value / check.sigma for check in checks]
        assert 0.7 < np.std(pulls) < 1.4  # 30 numbers: 3 sigma


def test_other_photons_fail():
    assert failed(photon_checks(photons(number=1.08), photons(seed=2))) == {
        "photons per electron",
        "energy of photons per electron",
    }
    assert "mean energy of photons" in failed(photon_checks(photons(energy=1.45), photons(seed=2)))


def test_other_doses_fail_for_what_they_are():
    given = dose(seed=2)
    assert not failed(dose_checks(dose(scale=1.02), given))
    assert failed(dose_checks(dose(scale=1.05), given)) == {"dose per electron"}
    assert failed(dose_checks(dose(tilt=0.01), given)) == {"profiles, worst point"}
    assert failed(dose_checks(dose(deeper=0.06), given)) == {"depth dose, worst point"}

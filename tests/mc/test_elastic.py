"""Multiple scattering against the Goudsmit-Saunderson series, summed here on its own.

Chi-square at 1e-4 and means at 4 sigma (1 in 16,000), about 20 tests: 1 in 500 to fail by chance.
"""

import numpy as np
import pytest
from distributions import assert_follows, draw
from scipy.special import eval_legendre

from mc.physics.elastic import sample_elastic
from mc.sampling import ETA_MIN_EXP, ETA_PER_OCTAVE
from mc.tables.scattering import eta_index, rutherford_moments
from mc.tables.slowing import goudsmit_saunderson

QUANTILES, WIDTHS = goudsmit_saunderson()


def legendre_moments(eta, terms):
    """f_l of the law 1/(1 - mu + 2 eta)^2, by Gauss-Legendre in panels of ln(1 - mu + 2 eta); (terms,)."""
    nodes, weights = np.polynomial.legendre.leggauss(20)
    edges = np.linspace(np.log(2 * eta), np.log(2 + 2 * eta), 401)
    t = np.exp(edges[:-1, None] + np.diff(edges)[:, None] * 0.5 * (1 + nodes)).ravel()
    mu = np.clip(1 + 2 * eta - t, -1, 1)
    density = np.tile(weights, 400) / t
    density /= density.sum()
    previous, here = np.ones_like(mu), mu
    moments = [1.0]
    for l in range(1, terms):
        moments.append(density @ here)
        previous, here = here, ((2 * l + 1) * mu * here - l * previous) / (l + 1)
    return np.array(moments)


def distribution(eta, k1, one_minus_mu):
    """P(mu > 1 - v) of the angle after a path of `k1` transport mean free paths, by the full series.

    Converges where every particle scatters many times: e^(-L) is left in and must be negligible.
    """
    g1, _ = rutherford_moments(eta)
    collisions = k1 / g1
    assert np.exp(-collisions) < 1e-12
    f = legendre_moments(eta, 800)
    weights = np.exp(-collisions * (1 - f))
    assert weights[-1] < 1e-9
    mu = 1 - one_minus_mu
    previous, here = np.ones_like(mu), mu
    total = 0.5 * (1 - mu)
    for l in range(1, len(f)):
        following = ((2 * l + 1) * mu * here - l * previous) / (l + 1)
        total = total + weights[l] * 0.5 * (previous - following)
        previous, here = here, following
    return total


def row_of(eta):
    return float(eta_index(np.array([np.divide(*rutherford_moments(eta)[::-1])]))[0])


def scatter(k1, row, n=1_000_000, seed=1):
    (cosine,) = draw(sample_elastic, k1, row, QUANTILES, WIDTHS, n=n, seed=seed)
    return cosine


def test_row_of_the_table():
    assert row_of(2.0**-10) == pytest.approx(ETA_PER_OCTAVE * (-10 - ETA_MIN_EXP), abs=0.01)


@pytest.mark.parametrize("k1", [1e-5, 3e-4, 0.003, 0.0417, 0.2, 0.9, 5.0])
@pytest.mark.parametrize("row", [0.0, 17.3, 44.5, 60.0])
def test_mean_is_exact(k1, row):
    """Between rows and columns, and below the weakest column, too."""
    loss = 1 - scatter(k1, row)
    error = loss.std() / np.sqrt(loss.size)
    assert abs(loss.mean() - -np.expm1(-k1)) < 4 * error + 1e-6 * k1
    assert loss.min() >= 0 and loss.max() <= 2


@pytest.mark.parametrize("k1", [0.01, 0.05, 0.2, 0.6])
@pytest.mark.parametrize("eta", [1e-6, 1e-4, 0.003])
def test_second_moment(eta, k1):
    """1 - <P2> = 1 - exp(-K1 g2/g1) to 1 %, the price of 65 quantiles and of mixing rows and columns."""
    cosine = scatter(k1, row_of(eta), n=4_000_000)
    values = 1.5 * (1 - cosine) * (1 + cosine)
    g1, g2 = rutherford_moments(eta)
    expected = -np.expm1(-k1 * g2 / g1)
    assert abs(values.mean() - expected) < 0.01 * expected + 4 * values.std() / np.sqrt(values.size)


@pytest.mark.parametrize(
    ("log2_eta", "log2_strength"), [(-10.0, -1.0), (-14.0, -4.0), (-18.0, -6.0)], ids=str
)
def test_angles_are_the_series(log2_eta, log2_strength):
    """At a node of the table, where no mixing blurs it: to 0.002 of the cumulative distribution.

    Between the 65 quantiles the table is linear; 200,000 samples do not see that, a million would.
    """
    eta, k1 = 2.0**log2_eta, -np.log1p(-(2.0**log2_strength))
    v = np.append(0, np.geomspace(1e-3 * k1, 2, 400))
    expected = distribution(eta, k1, v)
    loss = 1 - scatter(k1, ETA_PER_OCTAVE * (log2_eta - ETA_MIN_EXP))
    drawn = np.searchsorted(np.sort(loss), v) / loss.size
    assert np.abs(drawn - expected).max() < 2e-3
    assert_follows(loss[:200_000], v, expected)


def test_series_of_this_file():
    """The oracle's own check: it integrates to the mean exp(-K1), and f_5 is what a plain sum gives."""
    v = np.linspace(0, 2, 20001)
    above = distribution(2.0**-10, 0.5, v)
    assert np.trapezoid(1 - above, v) == pytest.approx(-np.expm1(-0.5), rel=1e-5)
    law = 2 * 0.01 * 1.01 / (v + 0.02) ** 2
    assert legendre_moments(0.01, 6)[5] == pytest.approx(
        np.trapezoid(eval_legendre(5, 1 - v) * law, v), rel=1e-4
    )

"""Samplers against distributions: drawing many samples, Pearson's chi-square, tabulated densities.

A test fails by chance with the probability `SIGNIFICANCE` for every call of `assert_follows`. Seeds are
fixed, so a test that passes keeps passing until the sampler changes.

Checked by 30 mutations of mc/physics, mc/numerics and mc/source/beams: coefficients altered by 5 to 10 %,
signs, indices, limits. Every one that moves the distribution by 1 % or more made its test fail; 1 % on one
of Compton's two sampling weights, for one, goes unseen.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from scipy.stats import chi2

from mc.numerics.jit import njit
from mc.numerics.rng import stream

SIGNIFICANCE = 1e-4
SAMPLES = 1_000_000  # with 100 bins a relative error of 1 % (rms over the bins) is found
FEWEST = 10  # expected samples of a bin; sparser ones are merged


@cache
def _loop(sample: Callable):
    @njit
    def loop(arguments, seed, out):
        rng = stream(seed, 0, 0, 0, 0)
        for i in range(out.shape[0]):
            drawn = sample(*(arguments + (rng,)))
            rng = drawn[-1]
            values = drawn[:-1]
            for j in range(len(values)):
                out[i, j] = values[j]

    return loop


def draw(sample: Callable, *arguments, n: int = SAMPLES, columns: int = 1, seed: int = 1) -> np.ndarray:
    """Draw from a compiled sampler ``sample(*arguments, rng) -> (*values, rng)``; (columns, n)."""
    out = np.empty((n, columns))
    _loop(sample)(arguments, seed, out)
    return out.T


def chi_square_probability(observed: np.ndarray, probability: np.ndarray) -> float:
    """Chance of a chi-square at least as large as that of `observed` counts (bins,)."""
    expected = probability / probability.sum() * observed.sum()
    # merge neighbours until every bin has enough, the last with the one before
    group = np.zeros(len(expected), int)
    filled = 0.0
    for i, count in enumerate(expected):
        group[i] = group[i - 1] if i else 0
        if filled >= FEWEST:
            group[i], filled = group[i] + 1, 0.0
        filled += count
    if filled < FEWEST and group[-1] > 0:
        group[group == group[-1]] -= 1
    counts, expected = np.bincount(group, observed), np.bincount(group, expected)
    assert len(counts) > 1, "too few samples for a test"
    return float(chi2.sf(np.sum((counts - expected) ** 2 / expected), len(counts) - 1))


def assert_follows(samples: np.ndarray, x: np.ndarray, cumulative: np.ndarray, bins: int = 100) -> None:
    """Fail if `samples` do not follow a cumulative distribution, known at ascending points `x`.

    Bins hold equal probability, with edges at points of `x`.
    """
    cumulative = (cumulative - cumulative[0]) / (cumulative[-1] - cumulative[0])
    tolerance = 1e-9 * (x[-1] - x[0])
    assert samples.min() >= x[0] - tolerance and samples.max() <= x[-1] + tolerance
    chosen = np.unique(np.searchsorted(cumulative, np.linspace(0.0, 1.0, bins + 1)[1:-1]))
    chosen = np.concatenate([[0], chosen[(chosen > 0) & (chosen < len(x) - 1)], [len(x) - 1]])
    observed = np.bincount(np.searchsorted(x[chosen[1:-1]], samples), minlength=len(chosen) - 1)
    probability = chi_square_probability(observed, np.diff(cumulative[chosen]))
    assert probability > SIGNIFICANCE, f"chi-square this large has a chance of {probability:.2g}"


def tabulate(density: Callable, x: np.ndarray) -> np.ndarray:
    """Cumulative integral of a density at ascending points `x`, by Gauss-Legendre between them."""
    nodes, weights = np.polynomial.legendre.leggauss(4)
    half = 0.5 * np.diff(x)[:, None]
    return np.append(
        0.0, np.cumsum(np.sum(density(x[:-1, None] + half * (1.0 + nodes)) * weights * half, axis=1))
    )

"""Random numbers: known answers in plain integers, equidistribution, independence of streams.

Chi-square at 1e-4 a test, about 15 in this file: 1 in 600 to fail by chance at a new seed.
"""

import itertools

import numpy as np
import pytest

from mc.numerics.jit import njit
from mc.numerics.rng import stream, three_uniforms, uniform
from tests.mc.distributions import SIGNIFICANCE, chi_square_probability

WORD = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15
NAMES = [(1, 0, 0, 0, 0), (1, 2, 3, 4, 5), (2**63 + 11, 7, 1, 2**40, 9), (0, 0, 0, 0, 0)]


def rotl(x, k):
    return ((x << k) | (x >> (64 - k))) & WORD


def splitmix_finaliser(z):
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & WORD
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & WORD
    return z ^ (z >> 31)


def expected_state(seed, *names):
    key = splitmix_finaliser((seed + GOLDEN) & WORD)
    for name in names:
        key = splitmix_finaliser(key ^ ((name + GOLDEN) & WORD))
    return tuple(splitmix_finaliser((key + i * GOLDEN) & WORD) for i in (1, 2))


def expected_next(s0, s1):
    """xoroshiro128++ 1.0 as its authors publish it: the word, and the next state."""
    word = (rotl((s0 + s1) & WORD, 17) + s0) & WORD
    s1 ^= s0
    return word, (rotl(s0, 49) ^ s1 ^ (s1 << 21) & WORD, rotl(s1, 28))


@njit
def _fill(seed, beam, control_point, history, replica, out):
    rng = stream(seed, beam, control_point, history, replica)
    for i in range(out.size):
        out[i], rng = uniform(rng)


def numbers(n, *names):
    out = np.empty(n)
    _fill(*(np.uint64(name) for name in names), out)
    return out


@njit
def _first_of_each(names, out):
    for i in range(names.shape[0]):
        rng = stream(names[i, 0], names[i, 1], names[i, 2], names[i, 3], names[i, 4])
        for j in range(out.shape[1]):
            out[i, j], rng = uniform(rng)


def first_of_each(names, n):
    out = np.empty((len(names), n))
    _first_of_each(np.array(names, np.uint64), out)
    return out


def assert_uniform(values, bins=256):
    counts = np.bincount((values * bins).astype(int), minlength=bins)
    assert chi_square_probability(counts, np.full(bins, 1 / bins)) > SIGNIFICANCE


def assert_uncorrelated(a, b, bins=16):
    """Uniform over the unit square, cell by cell."""
    cells = (a * bins).astype(int) * bins + (b * bins).astype(int)
    counts = np.bincount(cells, minlength=bins * bins)
    assert chi_square_probability(counts, np.full(bins * bins, bins**-2)) > SIGNIFICANCE


def test_reference_of_this_file_is_splitmix64():
    """The published first words of splitmix64 at seed 1234567: the finaliser of multiples of the golden."""
    state, words = 1234567, []
    for _ in range(2):
        state = (state + GOLDEN) & WORD
        words.append(splitmix_finaliser(state))
    assert words == [6457827717110365317, 3203168211198807973]


@pytest.mark.parametrize("names", NAMES)
def test_known_answers(names):
    drawn = numbers(1000, *names)
    state = expected_state(*names)
    for value in drawn:
        word, state = expected_next(*state)
        assert value == ((word >> 12) + 0.5) / 2**52


def test_extremes_are_inside_the_open_interval():
    """The word of all zeros and that of all ones."""
    low = uniform((np.uint64(0), np.uint64(0)))[0]
    # s0 + s1 = 0 turns to 0; the word is s0
    high = uniform((np.uint64(WORD), np.uint64(1)))[0]
    assert low == 2.0**-53 and high == 1.0 - 2.0**-53


def test_one_stream_is_uniform():
    values = numbers(2**20, 5, 0, 0, 0, 0)
    assert_uniform(values)
    assert_uniform(values * 2**12 % 1.0)
    assert_uniform(values * 2**24 % 1.0)
    for lag in (1, 2, 3, 7):
        assert_uncorrelated(values[:-lag], values[lag:])
    triples = values[: 3 * (values.size // 3)].reshape(-1, 3)
    cells = (triples * 8).astype(int) @ [64, 8, 1]
    assert chi_square_probability(np.bincount(cells, minlength=512), np.full(512, 1 / 512)) > SIGNIFICANCE


@pytest.mark.parametrize("place", range(5), ids=["seed", "beam", "control point", "history", "replica"])
def test_neighbouring_streams_are_independent(place):
    names = np.full((2**17, 5), 3)
    names[:, place] = np.arange(2**17)
    values = first_of_each(names, 4)
    for column in range(4):
        assert_uniform(values[:, column])
        assert_uncorrelated(values[:-1, column], values[1:, column])
    assert_uncorrelated(values[:, 0], values[:, 1])
    assert abs(np.corrcoef(values[:-1, 0], values[1:, 0])[0, 1]) < 4.5 / np.sqrt(2**17)


def test_every_name_counts_and_none_are_exchangeable():
    names = list(itertools.product(range(5), repeat=5))
    assert len(np.unique(first_of_each(names, 1))) == len(names)


@njit
def _fill_threes(rng, out):
    for i in range(out.shape[0]):
        out[i, 0], out[i, 1], out[i, 2], rng = three_uniforms(rng)


def test_three_numbers_of_one_word_are_uniform_and_independent():
    out = np.empty((800_000, 3))
    _fill_threes(tuple(np.uint64(word) for word in expected_state(1, 2, 3, 4, 5)), out)
    assert out.min() > 0.0 and out.max() < 1.0
    word, _ = expected_next(*expected_state(1, 2, 3, 4, 5))
    parts = [word >> 43, word >> 22 & 2**21 - 1, word >> 1 & 2**21 - 1]
    assert out[0].tolist() == [(part + 0.5) / 2**21 for part in parts]
    cubes = np.bincount((np.floor(8 * out) @ [64, 8, 1]).astype(int), minlength=512)
    assert chi_square_probability(cubes, np.full(512, len(out) / 512)) > SIGNIFICANCE

"""Random numbers: xoroshiro128++ streams, one for each history, seeded by splitmix64.

The state is a pair of uint64 that is passed in and handed back, so a sampler is a pure function and
the same on every processor. A stream depends only on (seed, beam, control point, history, replica),
never on the order of work. Blackman and Vigna, ACM TOMS 47 (2021) 36; Steele, Lea and Flood,
OOPSLA 2014.
"""

from __future__ import annotations

import numpy as np
from numba import uint64

from mc.numerics.jit import njit

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)
_UNIT = 2.0**-53
_CHOICE = np.uint64(2**21 - 1)


@njit
def mix(z):
    """Scramble a 64-bit word (finaliser of splitmix64)."""
    z = uint64(z)
    z = (z ^ (z >> uint64(30))) * _MIX1
    z = (z ^ (z >> uint64(27))) * _MIX2
    return z ^ (z >> uint64(31))


@njit
def stream(seed, beam, control_point, history, replica):
    """First state of the stream of one history."""
    key = mix(uint64(seed) + _GOLDEN)
    key = mix(key ^ (uint64(beam) + _GOLDEN))
    key = mix(key ^ (uint64(control_point) + _GOLDEN))
    key = mix(key ^ (uint64(history) + _GOLDEN))
    key = mix(key ^ (uint64(replica) + _GOLDEN))
    return mix(key + _GOLDEN), mix(key + _GOLDEN + _GOLDEN)


@njit
def _word(state):
    """64 random bits, and the next state."""
    s0, s1 = state
    total = s0 + s1
    word = ((total << uint64(17)) | (total >> uint64(47))) + s0
    s1 ^= s0
    s0 = ((s0 << uint64(49)) | (s0 >> uint64(15))) ^ s1 ^ (s1 << uint64(21))
    s1 = (s1 << uint64(28)) | (s1 >> uint64(36))
    return word, (s0, s1)


@njit
def uniform(state):
    """A number in (0, 1), never 0 nor 1, and the next state."""
    word, state = _word(state)
    return ((word >> uint64(12)) + 0.5) * (2.0 * _UNIT), state


@njit
def three_uniforms(state):
    """Three numbers in (0, 1) of 21 bits each, for choices, and the next state."""
    word, state = _word(state)
    a, b, c = word >> uint64(43), (word >> uint64(22)) & _CHOICE, (word >> uint64(1)) & _CHOICE
    return (a + 0.5) * 2.0**-21, (b + 0.5) * 2.0**-21, (c + 0.5) * 2.0**-21, state

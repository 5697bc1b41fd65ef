"""Tallies in integer fixed point: sums that do not depend on the order of work.

Integer addition commutes, so one tally shared by all threads, summed over all ranks, is the same to the
last bit however the histories are split.
"""

from __future__ import annotations

import math

import numpy as np
from numba import config, types
from numba.extending import intrinsic

from mc.jit import njit

QUANTUM = 2.0**-32  # energy of one count [MeV]; a tally voxel holds up to 2e9 MeV
_PER_QUANTUM = 2.0**32

# Places in a row of counters. Energies are in quanta.
EMITTED, ESCAPED, MISSED, ROULETTE, HISTORIES, PARTICLES, STEPS, FLIGHTS, OVERFLOWS, LOST = range(10)
N_COUNTERS = 10


if config.DISABLE_JIT:

    def atomic_add(array, index, value):
        """Add to one element of a shared array."""
        array[index] += value

else:

    @intrinsic
    def atomic_add(typingctx, array, index, value):
        """Add to one element of a shared int64 array, undisturbed by other threads."""

        def codegen(context, builder, signature, args):
            array_type = signature.args[0]
            data = context.make_array(array_type)(context, builder, args[0]).data
            pointer = builder.gep(data, [args[1]])
            builder.atomic_rmw("add", pointer, args[2], "monotonic")
            return context.get_dummy_value()

        return types.void(array, types.intp, types.int64), codegen


@njit
def quanta(energy):
    """An energy [MeV] as a whole number of quanta."""
    return np.int64(math.floor(energy * _PER_QUANTUM + 0.5))


@njit
def score(tally, voxel, energy):
    """Add an energy deposit [MeV] to a voxel."""
    atomic_add(tally, voxel, quanta(energy))

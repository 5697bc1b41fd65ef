"""Tallies in integer fixed point: sums that do not depend on the order of work.

Integer addition commutes, so one tally shared by all threads, summed over all ranks, is the same to the
last bit however the histories are split.

Dose to medium and dose to water come of the same deposits. To water, what an electron loses on a step is
multiplied by the ratio of the unrestricted collision stopping powers of water and medium at its mean energy
on the step (Bragg and Gray; Siebers, Keall, Nahum and Mohan, Phys. Med. Biol. 45 (2000) 983), and what is
deposited on the spot by the ratio at the absorption energy, as the track ends are in the theory of Spencer
and Attix. In water both are the same to the last bit.
"""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import numpy as np
from numba import config, types
from numba.extending import intrinsic

from mc.numerics.jit import njit
from mc.numerics.sampling import energy_position

QUANTUM = 2.0**-32  # energy of one count [MeV]; a tally voxel holds up to 2e9 MeV
_PER_QUANTUM = 2.0**32
_LARGEST = 2.0**30  # no deposit comes near [MeV]

# Places in a row of counters. Energies are in quanta.
EMITTED, ESCAPED, MISSED, ROULETTE, HISTORIES, PARTICLES, STEPS, FLIGHTS, OVERFLOWS, LOST = range(10)
N_COUNTERS = 10


class Tally(NamedTuple):
    """Energy deposited in each cell of a geometry [quanta].

    Threads that add to one tally wait for each other's cache lines, so there may be several copies of the
    cells, one behind the other: `part_of` gives a thread its own, `merge` sums them up.

    medium : (copies * cells,) int64
    water : (copies * cells,) int64
        The same as it would be in water; of shape (0, 0) if it was not asked for (`medium_tally`). The number
        of dimensions is part of the type, so kernels compiled without it hold no trace of it.
    cut_ratio : (cells,) float32
        Stopping power of water over the cell's medium at the absorption energy of electrons; for `water`.
    """

    medium: np.ndarray
    water: np.ndarray
    cut_ratio: np.ndarray


def medium_tally(cells: int) -> Tally:
    """An empty tally of dose to medium alone."""
    return Tally(np.zeros(cells, np.int64), np.zeros((0, 0), np.int64), np.zeros(0, np.float32))


def merge(tally: Tally, cells: int) -> Tally:
    """Sum all copies up in the first and empty the others; returns the first, a view."""
    first = [tally.medium, tally.water]
    for k, sums in enumerate((tally.medium, tally.water)):
        if sums.ndim == 1:
            copies = sums.reshape(-1, cells)
            for copy in copies[1:]:
                copies[0] += copy
                copy[:] = 0
            first[k] = copies[0]
    return Tally(*first, tally.cut_ratio)


if config.DISABLE_JIT:

    def atomic_add(array, index, value):
        """Add to one element of a shared array; returns what it held before."""
        before = array[index]
        array[index] += value
        return before

else:

    @intrinsic
    def atomic_add(typingctx, array, index, value):
        """Add to one element of a shared int64 array, undisturbed by other threads; see above."""

        def codegen(context, builder, signature, args):
            array_type = signature.args[0]
            data = context.make_array(array_type)(context, builder, args[0]).data
            pointer = builder.gep(data, [args[1]])
            return builder.atomic_rmw("add", pointer, args[2], "monotonic")

        return types.int64(array, types.intp, types.int64), codegen


@partial(njit, _nrt=True)
def part_of(tally, cells, worker):
    """The copy of a tally that a thread adds to, a view."""
    first = worker * cells % tally.medium.shape[0]
    medium = tally.medium[first : first + cells]
    if tally.water.ndim == 1:
        return Tally(medium, tally.water[first : first + cells], tally.cut_ratio)
    return Tally(medium, tally.water, tally.cut_ratio)


@njit
def quanta(energy, counters):
    """An energy [MeV] as a whole number of quanta.

    This is where floating point ends. What is not finite is worth 0 and counted as lost.
    """
    if not abs(energy) < _LARGEST:
        counters[LOST] += 1
        return np.int64(0)
    return np.int64(math.floor(energy * _PER_QUANTUM + 0.5))


@njit
def score(tally, voxel, energy, counters):
    """Add an energy deposited on the spot [MeV] to a voxel."""
    atomic_add(tally.medium, voxel, quanta(energy, counters))
    if tally.water.ndim == 1:
        atomic_add(tally.water, voxel, quanta(energy * tally.cut_ratio[voxel], counters))


@njit
def score_track(tally, voxel, energy, to_water, counters):
    """Add what an electron lost in a voxel, and what it would have lost in water [MeV]."""
    atomic_add(tally.medium, voxel, quanta(energy, counters))
    if tally.water.ndim == 1:
        atomic_add(tally.water, voxel, quanta(to_water, counters))


@njit
def water_ratio(ratios, material, energy):
    """Collision stopping power of water over that of a material, at a kinetic energy [MeV]."""
    i, f = energy_position(energy)
    low = ratios[material, i]
    return low + f * (ratios[material, i + 1] - low)


@njit
def loss_in_water(ratios, material, energy, after):
    """What an electron that slows down from `energy` to `after` in a material would lose in water [MeV]."""
    return (energy - after) * water_ratio(ratios, material, 0.5 * (energy + after))


@njit
def ratio_to_rest(ratios, material, cut_ratio, energy, cut):
    """Mean ratio of an electron that is stopped at once, as if it had slowed down to the cut-off first."""
    if energy <= cut:
        return float(cut_ratio)
    return cut_ratio + (1.0 - cut / energy) * (
        water_ratio(ratios, material, 0.5 * (energy + cut)) - cut_ratio
    )


@njit
def score_end(tally, voxel, material, energy, deposit, to_water, weight, tables, cuts, counters):
    """Add what is not yet scored of a track that ends here, and the energy it has left [MeV]."""
    if tally.water.ndim == 1:
        ratio = ratio_to_rest(tables.water_ratio, material, tally.cut_ratio[voxel], energy, cuts.electron)
        to_water += energy * ratio
    score_track(tally, voxel, (deposit + energy) * weight, to_water * weight, counters)

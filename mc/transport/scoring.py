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
from typing import Any, NamedTuple

import numpy as np

from mc.numerics.jit import njit, njit_device
from mc.numerics.sampling import energy_position

QUANTUM = 2.0**-32  # energy of one count [MeV]; a tally voxel holds up to 2e9 MeV
_PER_QUANTUM = 2.0**32
_LARGEST = 2.0**30  # no deposit comes near [MeV]

# Places in a row of counters. Energies are in quanta.
EMITTED, ESCAPED, MISSED, ROULETTE, HISTORIES, PARTICLES, STEPS, FLIGHTS, OVERFLOWS, LOST = range(10)
N_COUNTERS = 10


class Tally(NamedTuple):
    """Energy deposited in each cell of a geometry [quanta].

    Attributes
    ----------
    medium : (cells,) int64
    water : (cells,) int64
        The same as it would be in water; of shape (0, 0) if it was not asked for. The number of dimensions is
        part of the type, so kernels compiled without it hold no trace of it.
    cut_ratio : (cells,) float32
        Stopping power of water over the cell's medium at the absorption energy of electrons; for `water`.
    add : compiled function of (array, index, int64)
        Adds to one element, undisturbed by other threads: the processor's atomic addition.
    """

    medium: np.ndarray
    water: np.ndarray
    cut_ratio: np.ndarray
    add: Any


class Deposit(NamedTuple):
    """Energy lost on a track and not yet scored [MeV]: to the medium, and to water in its place."""

    medium: float
    water: float


@njit
def quanta(energy, counters):
    """An energy [MeV] as a whole number of quanta.

    This is where floating point ends. What is not finite is worth 0 and counted as lost.
    """
    if not abs(energy) < _LARGEST:
        counters[LOST] += 1
        return np.int64(0)
    return np.int64(math.floor(energy * _PER_QUANTUM + 0.5))


@njit_device
def score(ctx, voxel, energy):
    """Add an energy deposited on the spot [MeV] to a voxel."""
    tally = ctx.tally
    tally.add(tally.medium, voxel, quanta(energy, ctx.counters))
    if tally.water.ndim == 1:
        tally.add(tally.water, voxel, quanta(energy * tally.cut_ratio[voxel], ctx.counters))


@njit_device
def score_track(ctx, voxel, deposit, weight):
    """Add what a charged particle of a weight lost in a voxel on its track (AUSGAB of EGSnrc)."""
    tally = ctx.tally
    tally.add(tally.medium, voxel, quanta(deposit.medium * weight, ctx.counters))
    if tally.water.ndim == 1:
        tally.add(tally.water, voxel, quanta(deposit.water * weight, ctx.counters))


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


@njit_device
def lose(ctx, deposit, material, energy, after):
    """The deposit, increased by what is lost between two kinetic energies [MeV]."""
    medium, water = deposit.medium + (energy - after), deposit.water
    if ctx.tally.water.ndim == 1:
        water += loss_in_water(ctx.tables.water_ratio, material, energy, after)
    return Deposit(medium, water)


@njit
def ratio_to_rest(ratios, material, cut_ratio, energy, cut):
    """Mean ratio of an electron that is stopped at once, as if it had slowed down to the cut-off first."""
    if energy <= cut:
        return float(cut_ratio)
    return cut_ratio + (1.0 - cut / energy) * (
        water_ratio(ratios, material, 0.5 * (energy + cut)) - cut_ratio
    )


@njit_device
def score_end(ctx, region, deposit, energy, weight):
    """Add what is not yet scored of a track that ends here, and the energy it has left [MeV]."""
    medium, water = deposit
    if ctx.tally.water.ndim == 1:
        cut_ratio = ctx.tally.cut_ratio[region.voxel]
        water += energy * ratio_to_rest(
            ctx.tables.water_ratio, region.material, cut_ratio, energy, ctx.cuts.electron_cut
        )
    score_track(ctx, region.voxel, Deposit(medium + energy, water), weight)

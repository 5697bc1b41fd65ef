"""Tallies on the CPU: allocation, copies for threads, and the atomic addition they are written with."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import config, types
from numba.extending import intrinsic

from mc.numerics.jit import njit
from mc.transport.scoring import Tally


class Tallies(NamedTuple):
    """Energy deposited in each cell [quanta], as the host holds it; see `mc.transport.scoring.Tally`.

    Threads that add to one tally wait for each other's cache lines, so there may be several copies of the
    cells, one behind the other: `part_of` gives a thread its own, `merge` sums them up.

    Attributes
    ----------
    medium : (copies * cells,) int64
    water : (copies * cells,) int64
        Of shape (0, 0) if it was not asked for.
    cut_ratio : (cells,) float32
    """

    medium: np.ndarray
    water: np.ndarray
    cut_ratio: np.ndarray


def medium_tally(cells: int) -> Tallies:
    """An empty tally of dose to medium alone."""
    return Tallies(np.zeros(cells, np.int64), np.zeros((0, 0), np.int64), np.zeros(0, np.float32))


def merge(tallies: Tallies, cells: int) -> Tallies:
    """Sum all copies up in the first and empty the others; returns the first, a view."""
    first = [tallies.medium, tallies.water]
    for k, sums in enumerate((tallies.medium, tallies.water)):
        if sums.ndim == 1:
            copies = sums.reshape(-1, cells)
            for copy in copies[1:]:
                copies[0] += copy
                copy[:] = 0
            first[k] = copies[0]
    return Tallies(*first, tallies.cut_ratio)


if config.DISABLE_JIT:

    def atomic_add(array, index, value):
        """Add to one element of a shared array; returns what it held before."""
        before = array[index]
        array[index] += value
        return before

    def adder():
        """`atomic_add` as a value."""
        return atomic_add

else:

    @intrinsic
    def _atomic_add(typingctx, array, index, value):
        def codegen(context, builder, signature, args):
            array_type = signature.args[0]
            data = context.make_array(array_type)(context, builder, args[0]).data
            pointer = builder.gep(data, [args[1]])
            return builder.atomic_rmw("add", pointer, args[2], "monotonic")

        return types.int64(array, types.intp, types.int64), codegen

    @njit
    def atomic_add(array, index, value):
        """Add to one element of a shared int64 array, undisturbed by other threads; see above."""
        return _atomic_add(array, index, value)

    @intrinsic
    def adder(typingctx):
        """`atomic_add` as a value, for `mc.transport.scoring.Tally`.

        It carries no data, its type says all. Taken as a global it would be an address, and numba caches no
        kernel that holds one.
        """

        def codegen(context, builder, signature, args):
            return context.get_dummy_value()

        return types.Dispatcher(atomic_add)(), codegen


@njit(_nrt=True)
def part_of(tallies, cells, worker):
    """The copy of a tally that a thread adds to, views."""
    first = worker * cells % tallies.medium.shape[0]
    medium = tallies.medium[first : first + cells]
    if tallies.water.ndim == 1:
        return Tally(medium, tallies.water[first : first + cells], tallies.cut_ratio, adder())
    return Tally(medium, tallies.water, tallies.cut_ratio, adder())

"""The compiled kernels: made once, loaded from the user's cache ever after."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import numba
import numpy as np

from mc.config import Physics
from mc.machine.machine import BELOW, Machine
from mc.run.parallel import World, world
from phantoms.errors import InputError
from phantoms.grid import Grid


def load_kernels(
    ranks: World, simple_beams: bool = False, water: bool = False, machine: Machine | None = None
) -> None:
    """Have the transport kernels ready; rank 0 compiles them, the others load what it made.

    With `simple_beams` also those of water tanks and validation cases, with `water` those that score dose to
    water, too, with a `machine` those that go through its collimators.
    """
    from mc.backends.cpu import Collimation, warm_up
    from mc.run.batch import collimation_of

    collimations = []
    if machine is None or any(file.plane == BELOW for beam in machine.energies for file in beam.phase_spaces):
        collimations.append(Collimation())
    if machine is not None:
        cones = machine.collimators.cones
        collimations.append(collimation_of(machine, Physics(), cones.diameters_cm[0] if cones else None))
    with _kept():
        if ranks.rank == 0:
            warm_up(simple_beams, water, collimations)
        ranks.barrier()
        if ranks.rank > 0:
            warm_up(simple_beams, water, collimations)


def load_gamma() -> None:
    """Have the kernels of the comparison ready, by that of a dose of two voxels a side with itself."""
    from validation.metrics.gamma import gamma, parse_criterion

    grid, dose = Grid((2, 2, 2), (0.1, 0.1, 0.1), (0.0, 0.0, 0.0)), np.ones((2, 2, 2))
    with _kept():
        gamma(dose, grid, dose, grid, parse_criterion("2%/1mm"))
    load_dvh()


def load_dvh() -> None:
    """Have the kernels of DVHs ready, by that of a small column."""
    from phantoms.solids import Run, cut
    from validation.metrics.dvh import Dvh

    grid, dose = Grid((2, 2, 2), (0.1, 0.1, 0.1), (0.0, 0.0, 0.0)), np.ones((2, 2, 2))
    square = np.array([(0.0, 0.0), (0.1, 0.0), (0.1, 0.1), (0.0, 0.1)])
    runs = [Run(np.array([0.0, 0.1]), [[square], [square]], (0.05, 0.05))]
    with _kept():
        Dvh(cut(SimpleNamespace(runs=lambda: runs), grid), dose, dose).metric("D50%")


def warmup() -> None:
    """Compile the kernels and keep them in the user's cache; whatever needs them does so by itself.

    Raises
    ------
    InputError
        If they cannot be kept.
    """
    load_kernels(world())
    load_gamma()


@contextmanager
def _kept() -> Iterator[None]:
    """Name the cache where it cannot take a compiled kernel, and what numba's threads lack."""
    try:
        yield
    except ValueError as error:
        if "threading layer" not in str(error):
            raise
        raise InputError(
            f"NUMBA_THREADING_LAYER={numba.config.THREADING_LAYER}",
            "this threading layer of numba is not installed, or does not work here",
            "unset the variable, or set it to workqueue, which numba brings along",
        ) from None
    except OSError as error:
        raise InputError(
            numba.config.CACHE_DIR,
            f"compiled kernels cannot be kept there: {error.strerror or error}",
            "free some space, or name another folder by the environment variable NUMBA_CACHE_DIR",
        ) from None

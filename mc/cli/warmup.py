"""`mcverify warmup`: compile every kernel and keep it in the user's cache."""

from __future__ import annotations

import time
from argparse import Namespace

import numba
import numpy as np

from mc.cli.kernels import load_kernels
from mc.cli.screen import Screen, clock
from mc.parallel import World
from phantoms.grid import Grid


def run(arguments: Namespace, screen: Screen, ranks: World) -> int:
    """Compile transport and gamma."""
    with screen.progress() as bar:
        transport = load_kernels(ranks, bar)
        if ranks.rank > 0:
            return 0
        bar.stage("gamma")
        started = time.monotonic()
        _gamma()
    screen.line(f"transport kernels ready after {clock(transport)}")
    screen.line(f"gamma kernels ready after {clock(time.monotonic() - started)}")
    screen.line(f"they lie in {numba.config.CACHE_DIR}")
    return 0


def _gamma() -> None:
    """Gamma of a dose of two voxels a side with itself."""
    from validation.gamma import gamma, parse_criterion

    grid, dose = Grid((2, 2, 2), (0.1, 0.1, 0.1), (0.0, 0.0, 0.0)), np.ones((2, 2, 2))
    gamma(dose, grid, dose, grid, parse_criterion("2%/1mm"))

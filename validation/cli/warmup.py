"""`mcverify warmup`: compile every kernel and keep it in the user's cache."""

from __future__ import annotations

import time
from argparse import Namespace

import numba

from mc.run.parallel import World
from validation.cli.screen import Screen, clock
from validation.workflow.kernels import load_gamma, load_kernels


def run(arguments: Namespace, screen: Screen, ranks: World) -> int:
    """Compile transport and gamma."""
    started = time.monotonic()
    load_kernels(ranks)
    screen.line(f"transport kernels ready after {clock(time.monotonic() - started)}")
    if ranks.rank == 0:
        started = time.monotonic()
        load_gamma()
        screen.line(f"gamma kernel ready after {clock(time.monotonic() - started)}")
        screen.line(f"they lie in {numba.config.CACHE_DIR}")
    return 0

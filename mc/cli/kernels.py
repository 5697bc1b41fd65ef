"""The compiled kernels: made once, loaded from the user's cache ever after."""

from __future__ import annotations

import time

from mc.backends.cpu import warm_up
from mc.parallel import World


def load_kernels(ranks: World, bar) -> float:
    """Have the transport kernels ready; rank 0 compiles them, the others load what it made [s]."""
    bar.stage("kernels (compiled once, some twenty seconds)")
    started = time.monotonic()
    if ranks.rank == 0:
        warm_up()
    ranks.barrier()
    if ranks.rank > 0:
        warm_up()
    return time.monotonic() - started

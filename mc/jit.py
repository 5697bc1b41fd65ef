"""The compiler settings of every kernel function, stated once.

Division follows IEEE 754 instead of raising, and products may be fused into sums; nothing that would
let the compiler assume away infinities or NaN.
"""

from __future__ import annotations

from functools import partial

import numba

njit = partial(numba.njit, error_model="numpy", fastmath={"contract", "nsz"})

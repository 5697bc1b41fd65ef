"""The compiler settings of every kernel function; `phantoms.kernel_cache` keeps what is compiled.

Division follows IEEE 754 instead of raising, and products may be fused into sums; nothing that would
let the compiler assume away infinities or NaN.
"""

from __future__ import annotations

from functools import partial

from phantoms import kernel_cache

njit = partial(kernel_cache.njit, error_model="numpy", fastmath={"contract", "nsz"}, _nrt=False)
# For functions that only kernels call: a wrapper for Python, which unpacks all tables, would take a fifth
# of the time to compile.
njit_device = partial(njit, no_cpython_wrapper=True, no_cfunc_wrapper=True)
# For the large functions of the transport, each called from one place: the tables are handed on as some 200
# numbers, and copying them took half the time of a call.
njit_inlined = partial(njit_device, forceinline=True)

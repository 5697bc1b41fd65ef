"""The compiler settings of every kernel function, and where compiled kernels are kept.

Division follows IEEE 754 instead of raising, and products may be fused into sums; nothing that would
let the compiler assume away infinities or NaN.

numba's on-disk cache does not notice when a called function in another file changes. So the folder is
named after a hash of the engine's sources: any change to one of them starts a fresh cache.
"""

from __future__ import annotations

import os
import tempfile
from functools import partial
from hashlib import sha256
from pathlib import Path

import numba
import platformdirs

njit = partial(numba.njit, error_model="numpy", fastmath={"contract", "nsz"}, _nrt=False)
# For functions that only kernels call: a wrapper for Python, which unpacks all tables, would take a fifth
# of the time to compile.
njit_device = partial(njit, no_cpython_wrapper=True, no_cfunc_wrapper=True)
# For the large functions of the transport, each called from one place: the tables are handed on as some 200
# numbers, and copying them took half the time of a call.
njit_inlined = partial(njit_device, forceinline=True)


def source_hash() -> str:
    """SHA-256 over the engine's Python sources."""
    digest = sha256()
    root = Path(__file__).parents[1]
    for path in sorted(root.rglob("*.py")):
        digest.update(str(path.relative_to(root)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _kernel_folder() -> Path:
    """The first folder for compiled kernels that can be written: the user's cache, or a temporary one."""
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    user = f"mcverify-{os.getuid()}" if hasattr(os, "getuid") else "mcverify"
    parents = [Path(chosen)] if chosen else [Path(platformdirs.user_cache_dir("mcverify")) / "kernels"]
    parents.append(Path(tempfile.gettempdir()) / user)
    for parent in parents:
        folder = parent / source_hash()[:16]
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    return Path(tempfile.mkdtemp(prefix="mcverify-"))


numba.config.CACHE_DIR = str(_kernel_folder())

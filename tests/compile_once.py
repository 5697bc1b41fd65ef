"""Workers that test side by side compile each kernel of the cache once, not each for itself."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from numba.core.caching import FunctionCache


def compile_once() -> None:
    """Let one process compile a kernel that the cache lacks, while the others wait for it.

    The lock is a file beside the kernel's own; it is released when the kernel is stored, or with the process.
    """
    load, save = FunctionCache.load_overload, FunctionCache.save_overload
    held: dict[tuple, int] = {}

    def load_or_wait(self, signature, context):
        found = load(self, signature, context)
        if found is not None or (id(self), signature) in held:
            return found
        folder = Path(self.cache_path)
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / f"{self._impl.filename_base}.lock", os.O_CREAT | os.O_RDWR)
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = load(self, signature, context)  # another process may have stored it meanwhile
        if found is None:
            held[id(self), signature] = lock
        else:
            os.close(lock)
        return found

    def save_and_release(self, signature, compiled):
        save(self, signature, compiled)
        os.close(held.pop((id(self), signature)))

    FunctionCache.load_overload, FunctionCache.save_overload = load_or_wait, save_and_release

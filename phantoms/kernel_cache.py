"""Where compiled kernels are kept, and what of it is trusted.

numba unpickles what it finds, and whoever can write there can have his code run. So the folder is the user's
own and closed to all others, or a new one that lasts as long as the process. Files have checksums: what is
cut short or damaged is compiled again.

numba's on-disk cache does not notice when a called function in another file changes. So the folder is
named after a hash of the engine's sources: any change to one of them starts a fresh cache.
"""

from __future__ import annotations

import os
import pickle
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path

import numba
from numba.core import caching

from phantoms.errors import InputError
from phantoms.user_folders import cache_folder, is_private, is_safe, temporary_folder

VARIABLE = "NUMBA_CACHE_DIR"  # environment variable that names another folder
ENGINE = Path(__file__).parents[1] / "mc"


@cache
def source_hash() -> str:
    """SHA-256 over the engine's Python sources."""
    digest = sha256()
    for path in sorted(ENGINE.rglob("*.py")):
        digest.update(str(path.relative_to(ENGINE)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def kernel_folder() -> Path:
    """The one that is chosen, or in the user's cache, if it can be trusted; else one of temporary files."""
    chosen = os.environ.get(VARIABLE)
    parent = Path(chosen).absolute() if chosen else cache_folder() / "kernels"
    for folder in (parent / source_hash()[:16], temporary_folder() / source_hash()[:16]):
        with suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if is_private(folder) and os.access(folder, os.W_OK) and all(map(is_safe, folder.parents)):
                return folder
    raise InputError(folder, "compiled kernels cannot be kept there", f"name a folder of yours by {VARIABLE}")


class _CheckedFiles(caching.IndexDataCacheFile):
    """The files of one kernel, each after its SHA-256; what does not agree is as if it were not there."""

    def _load_index(self) -> dict:
        try:
            version, stamp, overloads = _load(self._index_path)
        except OSError:
            return {}
        return overloads if (version, stamp) == (self._version, self._source_stamp) else {}

    def _save_index(self, overloads: dict) -> None:
        self._write(self._index_path, (self._version, self._source_stamp, overloads))

    def _load_data(self, name: str) -> tuple:
        return _load(self._data_path(name))

    def _save_data(self, name: str, data: tuple) -> None:
        self._write(self._data_path(name), data)

    def _write(self, path: str, content: tuple) -> None:
        packed = self._dump(content)
        with self._open_for_write(path) as file:
            file.write(sha256(packed).digest() + packed)


def _load(path: str) -> tuple:
    """The content of a file of `_CheckedFiles`; an OSError, which numba passes over, if there is none."""
    raw = memoryview(Path(path).read_bytes())
    size = sha256().digest_size
    if sha256(raw[size:]).digest() != raw[:size]:
        raise OSError(f"{path} is damaged")
    return pickle.loads(raw[size:])


def _files(cache_path: str, filename_base: str, source_stamp: object) -> caching.IndexDataCacheFile:
    """The files of a kernel: ours with checksums, those of other packages as numba has them."""
    ours = Path(cache_path).is_relative_to(FOLDER)
    kind = _CheckedFiles if ours else _plain
    return kind(cache_path=cache_path, filename_base=filename_base, source_stamp=source_stamp)


FOLDER = kernel_folder()
numba.config.CACHE_DIR = str(FOLDER)
_plain, caching.IndexDataCacheFile = caching.IndexDataCacheFile, _files
njit = numba.njit  # of a module whose kernels are kept there

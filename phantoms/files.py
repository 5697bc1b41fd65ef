"""Files that are written whole or not at all, and what a file is by its first bytes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from phantoms.errors import InputError

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


@contextmanager
def replacing(path: str | Path, problem: str = "cannot be written") -> Iterator[Path]:
    """A path to write to, of the same suffix, which takes the place of `path` when the body has no fault.

    Two processes that write the same file at once do not mix: one of the two is kept. `problem` is what the
    error says, followed by the system's reason.

    Raises
    ------
    InputError
        If `path` cannot be written; a file already there stays as it was.
    """
    path = Path(path)
    partial = path.with_name(f".partial-{os.getpid()}-{path.name}")
    try:
        yield partial
        os.replace(partial, path)
    except OSError as error:
        kept = "the file that was there is unchanged" if path.is_file() else "nothing was written"
        raise InputError(path, f"{problem}: {error.strerror or error}", kept) from None
    except InputError as error:
        if error.source == str(partial):
            raise InputError(path, error.problem, error.remedy) from None
        raise
    finally:
        with suppress(OSError):
            partial.unlink()


def is_hdf5(path: Path) -> bool:
    """Whether a file is HDF5, by its first bytes; a file that cannot be read is an InputError."""
    try:
        with open(path, "rb") as file:
            return file.read(len(HDF5_SIGNATURE)) == HDF5_SIGNATURE
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror}") from None


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """Names of files for a message: without folders, unless two files have the same name."""
    names = [path.name for path in paths]
    if len(set(names)) == len(names):
        return names
    common = Path(os.path.commonpath([path.parent for path in paths]))
    return [str(path.relative_to(common)) for path in paths]

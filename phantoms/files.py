"""Files that are written whole or not at all, and what a file is by its first bytes."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from phantoms.errors import InputError, refuse_pipe

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


@contextmanager
def replacing(
    path: str | Path, problem: str = "cannot be written", *, private: bool = True, parents: bool = False
) -> Iterator[Path]:
    """A path to write to, of the same suffix, which takes the place of `path` when the body has no fault.

    Two processes that write the same file at once do not mix: one of the two is kept. The name is new and
    cannot be guessed, so nobody can plant a link there.

    Parameters
    ----------
    path : path
    problem : str
        What the error says, followed by the system's reason.
    private : bool
        Whether the user alone may read the file, as what is made from a patient's data.
    parents : bool
        Whether to make its folder, too.

    Raises
    ------
    InputError
        If `path` cannot be written; a file already there stays as it was.
    """
    path = Path(path)
    partial = partial_name(path)
    try:
        if parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        make_new(partial, private)
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


def partial_name(path: Path) -> Path:
    """Beside `path`, a name that cannot be guessed, for what is to take its place."""
    return path.with_name(f".partial-{secrets.token_hex(8)}-{path.name}")


def make_new(path: Path, private: bool = True) -> None:
    """Make an empty file, `private` for the user alone; an OSError where there is anything, even a link."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o666))


def read_file(path: str | Path, first: int = -1) -> bytes:
    """The content of a file, or its first bytes.

    Raises
    ------
    InputError
        If it is a pipe or device.
    OSError
        If it cannot be read.
    """
    refuse_pipe(path)
    with open(path, "rb") as file:
        return file.read(first)


def is_hdf5(path: Path) -> bool:
    """Whether a file is HDF5, by its first bytes; a file that cannot be read is an InputError."""
    try:
        return read_file(path, len(HDF5_SIGNATURE)) == HDF5_SIGNATURE
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror}") from None


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """Names of files for a message: without folders, unless two files have the same name."""
    names = [path.name for path in paths]
    if len(set(names)) == len(names):
        return names
    common = Path(os.path.commonpath([path.parent for path in paths]))
    return [str(path.relative_to(common)) for path in paths]

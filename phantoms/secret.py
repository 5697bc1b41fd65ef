"""The secret of this installation, without which no pseudonym can be turned back into a Patient ID."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from functools import cache
from pathlib import Path

from platformdirs import user_config_dir

from phantoms.errors import InputError
from phantoms.files import make_new, partial_name

NOT_STATED = "not stated"  # in place of a pseudonym
VARIABLE = "MCVERIFY_SECRET"  # environment variable that names another file
FILE = "secret"
BYTES = 32
REMEDY = f"name a file of your own by the environment variable {VARIABLE}"


def secret_file() -> Path:
    """Where the secret is kept, whether it exists yet or not."""
    chosen = os.environ.get(VARIABLE)
    return Path(chosen) if chosen else Path(user_config_dir("mcverify")) / FILE


def secret() -> bytes:
    """The secret; made of random bytes at first use, in a file for the user alone.

    Raises
    ------
    InputError
        If it cannot be made or read, is not the user's own, or others can read or write it.
    """
    return _read(secret_file())


@cache
def _read(path: Path) -> bytes:
    if not path.is_absolute():  # no home folder is known
        raise InputError(path, "would be kept in the working folder", f"set HOME, or {REMEDY}")
    try:
        with suppress(FileExistsError):
            if not os.path.lexists(path):
                _make(path)
        held = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        problem = f"the secret for pseudonyms cannot be kept there: {error.strerror}"
        raise InputError(path, problem, REMEDY) from None
    with open(held, "rb") as file:
        facts = os.fstat(held)
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_mode & 0o077:
            raise InputError(
                path,
                "is the secret for pseudonyms, but not a file that you alone can read",
                f"if it is yours and unchanged, chown and chmod 600; else {REMEDY}",
            )
        found = file.read(4096)
    if len(found) < BYTES:
        raise InputError(
            path, f"is shorter than a secret of {BYTES} bytes", "restore it, or remove it for a new one"
        )
    return found


def _make(path: Path) -> None:
    """Make the file with its content, or leave that of another process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_name(path)
    make_new(partial)
    try:
        partial.write_bytes(secrets.token_bytes(BYTES))
        os.link(partial, path)
    finally:
        os.unlink(partial)

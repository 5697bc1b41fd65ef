"""Where the user's own files lie; without a home folder that can be written, a temporary folder of theirs."""

from __future__ import annotations

import atexit
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """Of what is made once and kept: the user's cache, which need not exist yet, or `temporary_folder`."""
    home = Path(platformdirs.user_cache_dir("mcverify"))  # not absolute where nobody knows the user's home
    with suppress(OSError):
        if home.is_absolute() and os.access(next(filter(Path.exists, (home, *home.parents))), os.W_OK):
            return home
    return temporary_folder()


@cache
def temporary_folder() -> Path:
    """A folder of the user alone among the temporary files; if that is planted, a new one of this process."""
    folder = Path(tempfile.gettempdir()) / f"mcverify-{os.geteuid()}"
    with suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
        if is_private(folder):
            return folder
    made = Path(tempfile.mkdtemp(prefix="mcverify-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def is_private(folder: Path) -> bool:
    """Whether a folder is the user's own, no link, and was closed to the writing of others.

    From now on it is closed to their reading, too (0700).

    Raises
    ------
    OSError
        If it is not there.
    """
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_mode & 0o022:
        return False
    folder.chmod(0o700)
    return True


def is_safe(parent: Path) -> bool:
    """Whether nobody but the user and root can put another folder in place of one in `parent`."""
    facts = parent.stat()
    others = facts.st_mode & 0o002 or (facts.st_mode & 0o020 and facts.st_gid not in (0, os.getegid()))
    return facts.st_uid in (0, os.geteuid()) and (not others or bool(facts.st_mode & stat.S_ISVTX))

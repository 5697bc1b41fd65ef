"""The one exception for bad input: it names the source, the problem and the remedy."""

from __future__ import annotations

import os
import stat
import unicodedata
from os import PathLike

UNPRINTABLE = "\N{REPLACEMENT CHARACTER}"
DIRECTIONS = (
    "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c\u2028\u2029"  # of writing
)


class InputError(Exception):
    """Bad input that stops the run with exit code 2 and one clear line.

    Parameters
    ----------
    source : path or str
        The file, folder or option at fault.
    problem : str
        What is wrong with it.
    remedy : str, optional
        What the user can do about it.
    """

    def __init__(self, source: str | PathLike, problem: str, remedy: str = "") -> None:
        self.source, self.problem, self.remedy = str(source), problem, remedy
        super().__init__(f"{source}: {problem}" + (f" ({remedy})" if remedy else ""))


def printable(text: str) -> str:
    """A text without the signs that steer a terminal or turn its direction; lines and tabs stay.

    What files state is printed, and a name must not be able to rewrite what was printed before.
    """
    return "".join(UNPRINTABLE if _steers(sign) else sign for sign in text)


def _steers(sign: str) -> bool:
    return sign not in "\n\t" and (unicodedata.category(sign) == "Cc" or sign in DIRECTIONS)


def refuse_pipe(path: str | PathLike) -> None:
    """Refuse what is there but neither file nor folder: whoever waits for a pipe may wait for ever.

    Raises
    ------
    InputError
        If it is a pipe, a socket or a device, the empty one (/dev/null) excepted.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return  # left to whoever opens it
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) and os.fspath(path) != os.devnull:
        raise InputError(path, "is a pipe or device, not a file", "save its content in a file first")

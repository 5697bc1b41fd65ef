"""The one exception for bad input: it names the source, the problem and the remedy."""

from __future__ import annotations

from os import PathLike


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

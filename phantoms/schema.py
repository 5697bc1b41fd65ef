"""Strict reading of TOML files: every entry is requested by name and type, and none may be left over."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from os import PathLike
from pathlib import Path
from typing import Any

from phantoms.errors import InputError, refuse_pipe
from phantoms.kinds import kind_of

LARGEST = 4_000_000  # bytes; no file that is written by hand comes near
HUGE = 10**18  # beyond it whole numbers are no longer exact in what computes with them
DEEPEST = 16  # tables in tables
_REQUIRED = object()


def nearest(word: str, known: Iterable[str]) -> list[str]:
    """The known word that a misspelt one is most like, if there is one."""
    plain = {each.casefold(): each for each in known}
    return [plain[near] for near in get_close_matches(word.casefold(), plain, 1)]


def meant(word: str, known: Iterable[str]) -> str:
    """A question with the known word that is most like a misspelt one, to begin a remedy; may be empty."""
    near = nearest(word, known)
    return f"did you mean {near[0]!r}? " if near else ""


def read_table(path: str | PathLike, what: str = "", remedy: str = "") -> Table:
    """The entries of a TOML file.

    Parameters
    ----------
    path : path
    what, remedy : str, optional
        What the file is, and what else could be named, for the error if it cannot be read.

    Raises
    ------
    InputError
        If it cannot be read or is no TOML.
    """
    path = Path(path)
    try:
        refuse_pipe(path)
        if path.stat().st_size > LARGEST:
            problem = f"has more than {LARGEST // 1_000_000} MB, too many for a TOML file"
            raise InputError(path, problem, remedy)
        text = path.read_text("utf-8")
    except OSError as error:
        raise InputError(path, f"{what} cannot be read: {error.strerror}".strip(), remedy) from None
    except UnicodeDecodeError:
        raise InputError(path, "is not valid TOML: not UTF-8 text", remedy) from None
    return parse_table(path, text)


def parse_table(path: Path, text: str) -> Table:
    """The entries of a text in TOML; errors name `path`."""
    try:
        entries = tomllib.loads(text)
    except ValueError as error:  # of the syntax, or a number of thousands of digits
        raise InputError(path, f"is not valid TOML: {error}") from None
    except RecursionError:
        entries = None
    if entries is None or _depth(entries) > DEEPEST:
        raise InputError(path, f"holds tables or lists more than {DEEPEST} deep in each other")
    return Table(path, entries)


def _depth(entries: Any) -> int:
    """How deep tables and lists lie in each other, without recursion."""
    depth, level = 0, [entries]
    while level and depth <= DEEPEST:
        depth += 1
        parts = [each.values() if isinstance(each, dict) else each for each in level]
        level = [item for part in parts for item in part if isinstance(item, dict | list)]
    return depth


class Table:
    """A TOML table that must hold the requested entries and no others.

    A reader that knows the entries beforehand states them by `expect`, so that a misspelt one is named as
    such and all missing ones at once; `finish` refuses what was not requested in the end.

    Parameters
    ----------
    path : Path
        File the table comes from, for messages.
    entries : dict
        As tomllib gives it.
    where : str
        Position in the file, such as "energies[0].".
    """

    def __init__(self, path: Path, entries: dict[str, Any], where: str = "") -> None:
        self.path, self.where = path, where
        self._entries = entries
        self._asked: list[str] = []
        self._expected: set[str] | None = None

    def __contains__(self, key: str) -> bool:
        if self._expected is not None and key not in self._expected:
            raise KeyError(f"{key} is asked for and not among the keys that `expect` states")
        self._asked.append(key)
        return key in self._entries

    def __iter__(self) -> Iterator[str]:
        """The keys, where the user chooses them; they still have to be asked for."""
        return iter(self._entries)

    def is_table(self, key: str) -> bool:
        """Whether an entry is a table."""
        return isinstance(self._entries.get(key), dict)

    def is_text(self, key: str) -> bool:
        """Whether an entry is text."""
        return isinstance(self._entries.get(key), str)

    def error(self, key: str, problem: str, remedy: str = "") -> InputError:
        """An InputError that names the file and the entry."""
        return InputError(self.path, f"{self.where}{key}: {problem}", remedy)

    def expect(self, required: str, optional: str = "", *, kind: str = "") -> None:
        """Refuse a file of another kind, then misspelt keys, missing ones, all at once, and unknown ones.

        Parameters
        ----------
        required, optional : str
            The keys of this table, separated by spaces.
        kind : str, optional
            Of the file (`phantoms.kinds`), for the table at its top level.

        Raises
        ------
        InputError
            For the first of these that applies.
        """
        needed = required.split()
        self._expected = known = {*needed, *optional.split()}
        other = kind_of(key for key in self._entries if key not in known)
        if kind and other not in (None, kind) and not known & set(self._entries) - {"title", "name"}:
            raise InputError(self.path, f"is a {other}, not a {kind}")
        self._refuse([*needed, *optional.split()], [key for key in needed if key not in self._entries])

    def _refuse(self, known: Sequence[str], missing: Sequence[str] = ()) -> None:
        """Refuse entries that are not known, and name those that are missing."""
        unknown = [key for key in self._entries if key not in known]
        free = [key for key in known if key not in self._entries]  # a key that is there is not meant twice
        near = {key: meant[0] for key in unknown if (meant := nearest(key, free) or nearest(key, known))}
        if near:
            verb = "is unknown" if len(near) == 1 else "are unknown"
            raise self.error(", ".join(near), verb, f"did you mean {' and '.join(map(repr, near.values()))}?")
        if missing:
            remedy = f"{', '.join(unknown)}: unknown here" if unknown else ""
            raise self.error(", ".join(missing), "is missing" if len(missing) == 1 else "are missing", remedy)
        if unknown:
            verb = "is unknown" if len(unknown) == 1 else "are unknown"
            raise self.error(", ".join(unknown), verb, f"known: {', '.join(dict.fromkeys(known))}")

    def _get(self, key: str, default: Any) -> Any:
        if key in self:
            return self._entries[key]
        if default is _REQUIRED:
            # a misspelt key is the likeliest reason for one that is missing
            near = nearest(key, [k for k in self._entries if k not in self._asked])
            raise self.error(key, "is missing", f"is {near[0]!r} meant for it?" if near else "")
        return default

    def text(self, key: str, default: Any = _REQUIRED) -> str:
        """A string; not empty unless it has a default."""
        value = self._get(key, default)
        if not isinstance(value, str):
            raise self.error(key, f"must be text in quotes, found {value!r}")
        if default is _REQUIRED and not value.strip():
            raise self.error(key, "is empty")
        return value.strip()

    def texts(self, key: str) -> tuple[str, ...]:
        """One or more strings, none of them empty."""
        value = self._get(key, _REQUIRED)
        if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
            raise self.error(key, f"must be a list of texts in quotes, found {value!r}")
        if not all(item.strip() for item in value):
            raise self.error(key, "holds an empty text")
        return tuple(item.strip() for item in value)

    def choice(self, key: str, choices: Sequence[str], default: Any = _REQUIRED) -> str:
        """One of a few words."""
        value = self.text(key, default)
        if value not in choices:
            known = " or ".join(map(repr, choices))
            raise self.error(key, f"{value!r} is unknown", f"{meant(value, choices)}{known}")
        return value

    def flag(self, key: str, default: Any = _REQUIRED) -> bool:
        """true or false."""
        value = self._get(key, default)
        if not isinstance(value, bool):
            raise self.error(key, f"must be true or false, found {value!r}")
        return value

    def number(
        self, key: str, *, above: float = -math.inf, default: Any = _REQUIRED, remedy: str = ""
    ) -> float:
        """A finite number greater than `above`."""
        return self._number(key, self._get(key, default), above, remedy)

    def _number(self, key: str, value: Any, above: float, remedy: str = "") -> float:
        if isinstance(value, int) and abs(value) > HUGE:
            raise self.error(key, "is a number beyond all reason", remedy)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.error(key, f"must be a finite number, found {value!r}", remedy)
        if value <= above:
            raise self.error(key, f"must be greater than {above:g}, found {value:g}", remedy)
        return float(value)

    def numbers(self, key: str, length: int = 0, *, above: float = -math.inf) -> tuple[float, ...]:
        """`length` finite numbers, each greater than `above`; one or more if no length is given."""
        return self._row(key, self._get(key, _REQUIRED), length, above)

    def rows(
        self, key: str, length: int, *, above: float = -math.inf, remedy: str = ""
    ) -> tuple[tuple[float, ...], ...]:
        """One or more lists of `length` numbers."""
        value = self._get(key, _REQUIRED)
        if not isinstance(value, list) or not value:
            raise self.error(key, f"must be a list of lists of {length} numbers, found {value!r}", remedy)
        return tuple(self._row(key, row, length, above, remedy) for row in value)

    def _row(self, key: str, value: Any, length: int, above: float, remedy: str = "") -> tuple[float, ...]:
        if not isinstance(value, list) or not value or (length and len(value) != length):
            count = f"{length} numbers" if length else "numbers"
            raise self.error(key, f"must be a list of {count}, found {value!r}", remedy)
        return tuple(self._number(key, item, above, remedy) for item in value)

    def table(self, key: str, remedy: str = "") -> Table:
        """A table inside this one."""
        value = self._get(key, _REQUIRED)
        if not isinstance(value, dict):
            raise self.error(key, "must be a table", remedy)
        return Table(self.path, value, f"{self.where}{key}.")

    def tables(self, key: str) -> list[Table]:
        """An array of tables, at least one."""
        value = self._get(key, _REQUIRED)
        if not isinstance(value, list) or not value or not all(isinstance(item, dict) for item in value):
            raise self.error(key, f"must be one or more tables [[{self.where}{key}]]")
        return [Table(self.path, item, f"{self.where}{key}[{i}].") for i, item in enumerate(value)]

    def finish(self) -> None:
        """Refuse entries that were not requested."""
        self._refuse(self._asked)

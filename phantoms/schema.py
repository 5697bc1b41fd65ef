"""Strict reading of TOML files: every entry is requested by name and type, and none may be left over."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from os import PathLike
from pathlib import Path
from typing import Any

from phantoms.errors import InputError

_REQUIRED = object()


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
        text = path.read_text("utf-8")
    except OSError as error:
        raise InputError(path, f"{what} cannot be read: {error.strerror}".strip(), remedy) from None
    except UnicodeDecodeError:
        raise InputError(path, "is not valid TOML: not UTF-8 text", remedy) from None
    return parse_table(path, text)


def parse_table(path: Path, text: str) -> Table:
    """The entries of a text in TOML; errors name `path`."""
    try:
        return Table(path, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InputError(path, f"is not valid TOML: {error}") from None


class Table:
    """A TOML table that must hold the requested entries and no others.

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

    def __contains__(self, key: str) -> bool:
        self._asked.append(key)
        return key in self._entries

    def __iter__(self) -> Iterator[str]:
        """The keys, where the user chooses them; they still have to be asked for."""
        return iter(self._entries)

    def is_table(self, key: str) -> bool:
        """Whether an entry is a table."""
        return isinstance(self._entries.get(key), dict)

    def error(self, key: str, problem: str, remedy: str = "") -> InputError:
        """An InputError that names the file and the entry."""
        return InputError(self.path, f"{self.where}{key}: {problem}", remedy)

    def _get(self, key: str, default: Any) -> Any:
        if key in self:
            return self._entries[key]
        if default is _REQUIRED:
            # a misspelt key is the likeliest reason for one that is missing
            near = get_close_matches(key, [k for k in self._entries if k not in self._asked], 1)
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
            near = get_close_matches(value, choices, 1, 0.5)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise self.error(key, f"{value!r} is unknown", f"{' or '.join(map(repr, choices))}{hint}")
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
        for key in self._entries:
            if key not in self._asked:
                near = get_close_matches(key, self._asked, 1)
                raise self.error(
                    key, "is unknown", f"did you mean {near[0]!r}?" if near else f"known: {self._known()}"
                )

    def _known(self) -> str:
        return ", ".join(dict.fromkeys(self._asked))

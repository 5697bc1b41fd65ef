"""Text files read line by line, so that every complaint names its line."""

from __future__ import annotations

import codecs
import math
import re
from collections.abc import Iterator
from pathlib import Path

from phantoms.errors import InputError
from phantoms.files import read_file

LARGEST_FILE = 200_000_000  # bytes; no export of scans comes near
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
END_OF_FILE = "\x1a"  # of old systems, behind the last line
POINT = re.compile(r"\d\.\d")
COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")
ZERO = re.compile(r"[+-]?0*[.,]?0*")  # or nothing
OPEN_FIELDS = "scan with open, centred fields at angles 0"
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+")


def decode(content: bytes) -> str | None:
    """The text of a file in UTF-8, UTF-16 with its mark, or what Windows wrote before; None if it is none."""
    if content.startswith(UTF_16):
        return content.decode("utf-16", errors="replace")
    if b"\0" in content:
        return None
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode("latin-1")


class Lines:
    """The lines of a text file.

    Parameters
    ----------
    path : Path

    Raises
    ------
    InputError
        If it cannot be read, or is no text.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            if path.stat().st_size > LARGEST_FILE:
                raise InputError(path, "is too large for a file of scans")
            content = read_file(path)
        except OSError as error:
            raise InputError(path, f"cannot be read: {error.strerror}") from None
        text = decode(content)
        if text is None:
            raise InputError(path, "is no text file", "export the scans as text")
        # not str.splitlines, which ends lines at letters of some code pages, too
        self._lines = [line.strip() for line in re.split("\r\n|\r|\n", text.rstrip(END_OF_FILE))]
        self._points = any(POINT.search(line) for line in self._lines)

    def __iter__(self) -> Iterator[tuple[int, str]]:
        """Number, counted from 1, and text of every line that is not empty."""
        return ((number, line) for number, line in enumerate(self._lines, 1) if line)

    @property
    def last(self) -> int:
        """Number of the last line."""
        return max(1, len(self._lines))

    @property
    def first_text(self) -> str:
        """The first line that is not empty; nothing where there is none."""
        return next((line for line in self._lines if line), "")

    def error(self, number: int, problem: str, remedy: str = "") -> InputError:
        """An InputError that names file and line."""
        return InputError(f"{self.path}, line {number}", problem, remedy)

    def number(self, number: int, text: str, what: str) -> float:
        """A finite number in line `number`, with a decimal point or comma."""
        plain = text.strip()
        if COMMA.fullmatch(plain):
            if self._points and THOUSANDS.fullmatch(plain):
                raise self.error(
                    number, f"{what} {text!r} may be a decimal comma or thousands", "write it with a point"
                )
            plain = plain.replace(",", ".")
        try:
            value = float(plain)
        except ValueError:
            raise self.error(number, f"{what} is no number: {text!r}") from None
        if not math.isfinite(value):
            raise self.error(number, f"{what} is not finite: {text!r}")
        return value


class Entries:
    """Keyword entries of one scan, each with its line, asked for by name.

    Parameters
    ----------
    lines : Lines
    line : int
        Where the scan begins.
    """

    def __init__(self, lines: Lines, line: int) -> None:
        self.lines, self.line = lines, line
        self._entries: dict[str, tuple[int, str]] = {}

    def add(self, number: int, key: str, value: str) -> None:
        """Take in an entry; one that contradicts an earlier one is refused."""
        value = value.strip()
        if key in self._entries and self._entries[key][1] != value:
            raise self.lines.error(number, f"{key} stands twice in one scan, with different values")
        self._entries[key] = number, value

    def __contains__(self, key: str) -> bool:
        return bool(self._entries.get(key, (0, ""))[1])

    def at(self, key: str) -> int:
        """Line of an entry; where the scan begins if there is none."""
        return self._entries.get(key, (self.line, ""))[0]

    def text(self, key: str, default: str | None = None) -> str:
        """Value of an entry; refused where it is missing and has no default."""
        if key in self:
            return self._entries[key][1]
        if default is None:
            raise self.lines.error(self.line, f"this scan has no {key}", "export it with all its parameters")
        return default

    def number(self, key: str, default: float | None = None) -> float:
        """Value of an entry as a number; refused where it is missing and has no default."""
        if key not in self and default is not None:
            return default
        return self.lines.number(self.at(key), self.text(key), key)

    def error(self, key: str, problem: str, remedy: str = "") -> InputError:
        """An InputError that names the line of an entry."""
        return self.lines.error(self.at(key), f"{key} = {self.text(key, '')}: {problem}", remedy)

    def must_be(self, key: str, known: tuple[str, ...], problem: str, default: str | None = None) -> str:
        """Value of an entry that must be one of a few words, in capitals."""
        value = self.text(key, default).upper()
        if value not in known:
            raise self.error(key, problem, f"understood: {', '.join(known)}")
        return value

    def refuse_other_than(self, begins: re.Pattern[str], neutral: tuple[str, ...], problem: str) -> None:
        """Refuse every entry of such a key whose value is neither 0 nor a word for "none"."""
        for key, (number, value) in self._entries.items():
            if begins.match(key) and value.upper() not in neutral and not ZERO.fullmatch(value):
                raise self.lines.error(number, f"{key} = {value}: {problem}", OPEN_FIELDS)

    def must_be_zero(self, *keys: str) -> None:
        """Refuse what is not 0 where it stands, because its meaning would have to be guessed."""
        for key in keys:
            if abs(self.number(key, 0.0)) > 1e-6:
                raise self.error(key, "only 0 is supported", OPEN_FIELDS)

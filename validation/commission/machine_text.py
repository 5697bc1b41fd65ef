"""The text of a machine file by its tables, so that entries are replaced and all else stays as it was."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_HEADER = re.compile(r"^\s*\[\[?\s*([\w.\-\s]+?)\s*\]\]?\s*(?:#.*)?$")


@dataclass
class Block:
    """A table of the file: its name, the number of the energy it belongs to, its lines with their header."""

    table: str
    energy: int
    lines: list[str]

    def find(self, key: str) -> tuple[int, int]:
        """First line of an entry and the one after its last; (-1, -1) where there is none."""
        for first, line in enumerate(self.lines):
            if re.match(rf"\s*{re.escape(key)}\s*=", line):
                last = first + 1
                while _open(self.lines[first:last]) and last < len(self.lines):
                    last += 1
                return first, last
        return -1, -1

    def value(self, key: str) -> str:
        """An entry as it stands there, without its comment."""
        first, last = self.find(key)
        return _bare(" ".join(self.lines[first:last]).split("=", 1)[1]) if first >= 0 else ""

    def set(self, key: str, value: str, note: str = "") -> None:
        """Replace an entry, or add it; a note is followed by what it was."""
        first, last = self.find(key)
        was = self.value(key)
        line = f"{key} = {value}"
        if note:
            line += f"  # {note}{f', was {was}' if was else ''}"
        if first < 0:
            first = last = max(i for i, text in enumerate(self.lines) if _bare(text)) + 1
        self.lines[first:last] = [line]


def read_blocks(text: str) -> list[Block]:
    """The tables of a machine file, in their order; first what stands before any table."""
    blocks, energy = [Block("", -1, [])], -1
    for line in text.splitlines():
        header = _HEADER.match(line)
        if header and not _open(blocks[-1].lines):
            table = header[1].replace(" ", "")
            energy += table == "energies"
            blocks.append(Block(table, energy, []))
        blocks[-1].lines.append(line)
    return blocks


def joined(blocks: Sequence[Block]) -> str:
    """The text of a machine file of these tables."""
    return "\n".join(line for block in blocks for line in block.lines) + "\n"


def _bare(text: str) -> str:
    """A line without its comment; a # within quotes is none."""
    return re.sub(r"""^((?:[^#"']|"[^"]*"|'[^']*')*)#.*$""", r"\1", text).strip()


def _open(lines: Sequence[str]) -> bool:
    """Whether an array or a text over several lines is still open behind these lines."""
    text = "\n".join(lines)
    if text.count('"""') % 2 or text.count("'''") % 2:
        return True
    bare = re.sub(r'"""[\s\S]*?"""|' + r"'''[\s\S]*?'''", "", text)
    rest = (_bare(line) for line in bare.splitlines() if not _HEADER.match(line))
    bare = "".join(re.sub(r"\"[^\"]*\"|'[^']*'", "", line) for line in rest)
    return bare.count("[") != bare.count("]")

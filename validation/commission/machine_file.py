"""The machine file with what tuning found: a copy with entries replaced, all else left as it was."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mc.machine.machine import Machine, read_machine
from phantoms.errors import InputError
from phantoms.files import replacing
from phantoms.schema import parse_table
from validation.commission.parameters import HEAD, Entry, entries
from validation.commission.run import Commissioning

_HEADER = re.compile(r"^\s*\[\[?\s*([\w.\-\s]+?)\s*\]\]?\s*(?:#.*)?$")
_FROM_HEAD = ("energies.phase_spaces", "energies.calibration")  # what no longer holds with another head


@dataclass
class _Block:
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

    def set(self, key: str, value: str, note: bool = True) -> None:
        """Replace an entry, or add it; a note states what it was."""
        first, last = self.find(key)
        was = self.value(key)
        line = f"{key} = {value}"
        if note:
            line += f"  # tuned{f', was {was}' if was else ''}"
        if first < 0:
            first = last = max(i for i, text in enumerate(self.lines) if _bare(text)) + 1
        self.lines[first:last] = [line]


def write_tuned_file(original: Machine, found: Commissioning, path: Path) -> None:
    """Write the file of `original` with what was tuned, and see that it says just that.

    Raises
    ------
    InputError
        If it cannot be written, or the layout of the file is not understood.
    """
    tuned, quality = found.machine, found.fields[0].field.quality
    energy = [each.label for each in original.energies].index(quality.label)
    names = [parameter.name for parameter in found.tuning.parameters]
    text = tuned_text(original, entries(tuned, quality.head, names), energy)
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")
        written = read_machine(partial)
        if (written.collimators, written.energies[energy].head) != (tuned.collimators, quality.head):
            raise InputError(
                original.path, "has a layout that is not understood", "put the entries in by hand"
            )


def tuned_text(original: Machine, entries: Sequence[Entry], energy: int) -> str:
    """The text of a machine file with `entries`, those of a head for beam number `energy`."""
    blocks = _blocks(original.path.read_text(encoding="utf-8").splitlines())
    of_head = any(entry.table.startswith(HEAD) for entry in entries)
    shaped = any(not entry.table.startswith(HEAD) for entry in entries)
    kept = []
    for block in blocks:
        stale = of_head and block.energy == energy and block.table in _FROM_HEAD
        if stale or (shaped and block.table == "energies.calibration"):
            continue
        kept.append(block)
        if block.table == "energies.phase_spaces":
            named = parse_table(original.path, f"file = {block.value('file')}").text("file")
            block.set("file", json.dumps(str((original.path.parent / named).resolve())), note=False)
        for entry in entries:
            if _is_of(entry, block, energy):
                block.set(entry.key, entry.value)
    return "\n".join(line for block in kept for line in block.lines) + "\n"


def _is_of(entry: Entry, block: _Block, energy: int) -> bool:
    if block.table != entry.table or (entry.table.startswith(HEAD) and block.energy != energy):
        return False
    return not entry.part or block.value("name").strip("\"'") == entry.part


def _blocks(lines: Sequence[str]) -> list[_Block]:
    blocks, energy = [_Block("", -1, [])], -1
    for line in lines:
        header = _HEADER.match(line)
        if header and not _open(blocks[-1].lines):
            table = header[1].replace(" ", "")
            energy += table == "energies"
            blocks.append(_Block(table, energy, []))
        blocks[-1].lines.append(line)
    return blocks


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

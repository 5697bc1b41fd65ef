"""The machine file with what tuning found: a copy with entries replaced, all else left as it was."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from mc.machine.machine import Machine, read_machine
from phantoms.errors import InputError
from phantoms.files import replacing
from phantoms.schema import parse_table
from validation.commission.machine_text import Block, joined, read_blocks
from validation.commission.parameters import HEAD, Entry, entries
from validation.commission.run import Commissioning

_FROM_HEAD = ("energies.phase_spaces", "energies.calibration")  # what no longer holds with another head


def write_tuned_file(original: Machine, found: Commissioning, path: Path) -> None:
    """Write the file of `original` with what was tuned, and see that it says just that.

    Raises
    ------
    InputError
        If it cannot be written, or the layout of the file is not understood.
    """
    tuned, label = found.machine, found.fields[0].field.quality.label
    energy = [each.label for each in original.energies].index(label)
    quality = tuned.energies[energy]  # that of the field has a head that serves the scans alone
    names = [parameter.name for parameter in found.tuning.parameters]
    text = tuned_text(original, entries(tuned, quality.head, names), energy)
    with replacing(path, private=False) as partial:
        partial.write_text(text, encoding="utf-8")
        written = read_machine(partial)
        if (written.collimators, written.energies[energy].head) != (tuned.collimators, quality.head):
            raise InputError(
                original.path, "has a layout that is not understood", "put the entries in by hand"
            )


def tuned_text(original: Machine, entries: Sequence[Entry], energy: int) -> str:
    """The text of a machine file with `entries`, those of a head for beam number `energy`."""
    blocks = read_blocks(original.path.read_text(encoding="utf-8"))
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
            block.set("file", json.dumps(str((original.path.parent / named).resolve())))
        for entry in entries:
            if _is_of(entry, block, energy):
                block.set(entry.key, entry.value, note="tuned")
    return joined(kept)


def _is_of(entry: Entry, block: Block, energy: int) -> bool:
    if block.table != entry.table or (entry.table.startswith(HEAD) and block.energy != energy):
        return False
    return not entry.part or block.value("name").strip("\"'") == entry.part

"""A machine file of one's own, made from another: `mcverify machine new`."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path

from mc.machine.beam_model import is_shipped
from mc.machine.folder import machine_files, named_machine, user_folder
from mc.machine.machine import BeamQuality, Machine, PhaseSpaceFile, read_machine
from phantoms.errors import InputError
from phantoms.files import replacing
from phantoms.schema import parse_table
from validation.commission.machine_text import Block, joined, read_blocks

BEAMS = "phase-space"  # folder of copied phase spaces, beside the machine file
OF_BEAM = "energies"
# names that plans may state; slashes and quotes would end up in paths and TOML
_NAME = re.compile(r"[^\s/\\\"'](?:[^/\\\"']*[^\s/\\\"'])?")


def new_machine(
    name: str, source: str | PathLike | Machine, energies: Sequence[str] | None = None
) -> Machine:
    """Write a machine file of this name to the user's folder, a copy of another.

    It works at once: phase spaces that are shipped are copied, others are named by their absolute path. A
    commissioning is not taken over.

    Parameters
    ----------
    name : str
        TreatmentMachineName of the plans.
    source : name, path or Machine
    energies : sequence of str, optional
        Beams to keep, such as "6", "6FFF" or "6 MV FFF"; by default all.

    Returns
    -------
    Machine
        As it was written.

    Raises
    ------
    InputError
        If the user has such a machine already, the source has no such beam, or the file cannot be written.
    """
    source = source if isinstance(source, Machine) else named_machine(source)
    name = name.strip()
    if not _NAME.fullmatch(name):
        raise InputError(
            f"name {name!r}", "is no machine name", "take the TreatmentMachineName of your plans"
        )
    folder = user_folder()
    path = folder / (re.sub(r"[^\w.+-]+", "_", name) + ".toml")
    taken = next((each.path for each in machine_files() if each.name == name and not each.shipped), path)
    if taken.exists():
        raise InputError(taken, f"describes {name} already", "edit it, or choose another name")
    kept = chosen_beams(source, energies)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(folder, f"cannot be made: {error.strerror}") from None
    blocks = _of_beams(read_blocks(source.path.read_text(encoding="utf-8")), kept)
    _rename(blocks[0], name, source.name)
    for block in blocks:
        if block.table == f"{OF_BEAM}.phase_spaces":
            _refer(block, source, folder)
    with replacing(path, private=False) as partial:
        partial.write_text(joined(blocks), encoding="utf-8")
        _check(read_machine(partial), source, kept)
    return read_machine(path)


def chosen_beams(machine: Machine, energies: Sequence[str] | None) -> list[int]:
    """Numbers of the beams of a machine that are meant.

    Raises
    ------
    InputError
        If it has no such beam.
    """
    short = [_short(quality.label) for quality in machine.energies]
    if energies is None:
        return list(range(len(short)))
    for energy in energies:
        if _short(energy) not in short:
            raise InputError(
                f"energy {energy!r}",
                f"{machine.name} has no such beam",
                f"it has {', '.join(short)}",
            )
    wanted = {_short(energy) for energy in energies}
    return [number for number, label in enumerate(short) if label in wanted]


def _short(label: str) -> str:
    """A beam as physicists abbreviate it: "6FFF" for "6 MV FFF", "6" for "6 MV" and "6X"."""
    return re.sub(r"\s+|MV|(?<=\d)X(?=FFF|$)", "", label.upper())


def _of_beams(blocks: Sequence[Block], kept: Sequence[int]) -> list[Block]:
    """The tables of a file without those of other beams, and without what was commissioned."""
    return [
        block
        for block in blocks
        if not block.table.startswith(OF_BEAM)
        or (block.energy in kept and block.table != f"{OF_BEAM}.commissioned")
    ]


def _rename(top: Block, name: str, source: str) -> None:
    """The entries before all tables, with another name and first line."""
    first = next((number for number, line in enumerate(top.lines) if line.split("#")[0].strip()), 0)
    top.lines[:first] = [f"# {name}: made from {source} by `mcverify machine new`; see docs/your-linac.md."]
    top.set("name", json.dumps(name, ensure_ascii=False))


def _refer(block: Block, source: Machine, folder: Path) -> None:
    """Name the phase space of a block by a path that is valid in `folder`: a copy, if it is shipped."""
    named = parse_table(source.path, f"file = {block.value('file')}").text("file")
    found = (source.path.parent / named).resolve()
    if not is_shipped(found):
        block.set("file", json.dumps(str(found)))
        return
    stem = found.stem if found.suffix.lower() in (".iaeaheader", ".iaeaphsp") else found.name
    try:
        (folder / BEAMS).mkdir(exist_ok=True)
        for part in found.parent.glob(f"{stem}.*"):
            shutil.copyfile(part, folder / BEAMS / part.name)
    except OSError as error:
        raise InputError(folder / BEAMS, f"cannot be written: {error.strerror}") from None
    block.set("file", json.dumps(f"{BEAMS}/{stem}"))


def _check(written: Machine, source: Machine, kept: Sequence[int]) -> None:
    """Raise InputError unless a machine is the other one but for its name and paths."""

    def content(quality: BeamQuality) -> BeamQuality:
        return replace(quality, commissioned=None, phase_spaces=tuple(map(pathless, quality.phase_spaces)))

    def pathless(space: PhaseSpaceFile) -> PhaseSpaceFile:
        return replace(space, file=Path(space.file.stem))

    same = (
        [content(quality) for quality in written.energies]
        == [content(source.energies[number]) for number in kept]
        and written.collimators == source.collimators
        and written.couch == source.couch
    )
    if not same:
        raise InputError(source.path, "has a layout that is not understood", "copy and edit it by hand")

"""A passed commissioning entered in the machine file: the table [energies.commissioned] of each beam."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import date
from pathlib import Path

from mc import __version__
from mc.machine.beam_model import judged_files, judged_sha256
from mc.machine.commissioned import Commissioned
from mc.machine.machine import BeamQuality, Machine, read_machine
from mc.source.phase_space import open_phase_space
from phantoms.errors import InputError
from phantoms.files import replacing
from validation.commission.judge import NOT_JUDGED, PASS
from validation.commission.machine_text import Block, joined, read_blocks
from validation.commission.run import Commissioning
from validation.scans.scan import field_text

TABLE = "energies.commissioned"


def commissioned_beams(found: Commissioning, on: date | None = None) -> dict[str, Commissioned]:
    """What a passed commissioning states of each beam, by its label; empty where it has not passed.

    Parameters
    ----------
    found : Commissioning
    on : date, optional
        By default today.
    """
    if found.status != PASS:
        return {}
    labels = dict.fromkeys(field.field.quality.label for field in found.fields)
    stated = {}
    for label in labels:
        of_beam = [field for field in found.fields if field.field.quality.label == label]
        comparisons = [
            scan.comparison for field in of_beam for scan in field.scans if scan.status != NOT_JUDGED
        ]
        points = sum(int(each.judged.sum()) for each in comparisons)
        if not points:
            continue
        passing = sum(each.passing_percent * int(each.judged.sum()) for each in comparisons) / points
        limit = found.criteria.criterion
        stated[label] = Commissioned(
            date=(on or date.today()).isoformat(),
            scans=len(comparisons),
            output_factors=sum(len(field.field.output_factors) for field in of_beam),
            fields=_fields_text([field.field.jaws for field in of_beam]),
            passing_percent=round(passing, 1),
            criterion=f"{limit.dose_percent:g} %/{limit.distance_mm:g} mm{' local' * limit.local}",
            criteria=found.criteria.name,
            version=__version__,
            sha256=_judged(found.machine, _beam(found.machine, label)),
        )
    return stated


def to_toml(label: str, stated: Commissioned) -> str:
    """The block of a machine file (docs/formats.md)."""
    lines = [f"[{TABLE}]  # of {label}, by `mcverify commission`"]
    lines += [f"{field.name} = {json.dumps(getattr(stated, field.name))}" for field in fields(Commissioned)]
    return "\n".join(lines) + "\n"


def record(stated: dict[str, Commissioned], path: Path) -> None:
    """Enter in a machine file what was commissioned; older entries of the same beams are replaced.

    Raises
    ------
    InputError
        If the file no longer says what was judged, its layout is not understood, or it cannot be written. It
        stays as it was then.
    """
    machine = read_machine(path)
    labels = [quality.label for quality in machine.energies]
    for label, block in stated.items():
        if label not in labels or _judged(machine, _beam(machine, label)) != block.sha256:
            raise InputError(
                path, f"was edited while {label} was computed, so it is not marked as commissioned"
            )
    blocks = read_blocks(path.read_text(encoding="utf-8"))
    for label, block in stated.items():
        blocks = _with_block(blocks, labels.index(label), to_toml(label, block))
    with replacing(path, private=False) as partial:
        partial.write_text(joined(blocks), encoding="utf-8")
        written = read_machine(partial)
        for label, block in stated.items():
            if _beam(written, label).commissioned != block:
                raise InputError(path, "has a layout that is not understood", "enter the block by hand")


def _with_block(blocks: list[Block], energy: int, text: str) -> list[Block]:
    """The tables of a file with this one behind the reference condition of a beam."""
    kept = [block for block in blocks if (block.table, block.energy) != (TABLE, energy)]
    before = [
        number
        for number, block in enumerate(kept)
        if block.energy == energy and block.table in ("energies", "energies.reference")
    ]
    if before:
        lines = kept[before[-1]].lines
        last = max(number for number, line in enumerate(lines) if line.split("#")[0].strip())
        following = ["", *lines[last + 1 :]] if any(line.strip() for line in lines[last + 1 :]) else [""]
        lines[last + 1 :] = [""]
        kept.insert(before[-1] + 1, Block(TABLE, energy, [*text.splitlines(), *following]))
    return kept


def _beam(machine: Machine, label: str) -> BeamQuality:
    return next(quality for quality in machine.energies if quality.label == label)


def _judged(machine: Machine, quality: BeamQuality) -> str:
    hashes = {path: open_phase_space(path).sha256 for path in judged_files(quality)}
    return judged_sha256(machine, quality, hashes)


def _fields_text(fields: list[tuple[float, float, float, float]]) -> str:
    """The field, or the smallest and the largest by their areas."""
    by_area = sorted(dict.fromkeys(fields), key=lambda jaws: (jaws[1] - jaws[0]) * (jaws[3] - jaws[2]))
    texts = [field_text(jaws) for jaws in by_area]
    return texts[0] if len(texts) == 1 else f"{texts[0]} to {texts[-1]}"

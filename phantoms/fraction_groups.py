"""Fraction groups of an RTPLAN: which beams are delivered how often, with how many monitor units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from phantoms.dicom import (
    Dataset,
    check_count,
    items,
    optional_float,
    require_int,
    require_items,
)
from phantoms.errors import InputError
from phantoms.plausible import FRACTIONS

OPTION = "--fraction-group"


@dataclass(frozen=True)
class FractionGroup:
    """Beams that are delivered together, once in each of the group's fractions.

    Parameters
    ----------
    number : int
    fractions : int or None
        Planned; None where they are not stated.
    mu : dict of int to float
        Monitor units of a fraction by beam number; nan where they are not stated.
    brachytherapy : bool
    dose_references : frozenset of int
        Numbers of the plan's dose references it serves; empty where they are not stated.
    """

    number: int
    fractions: int | None
    mu: dict[int, float]
    brachytherapy: bool
    dose_references: frozenset[int] = frozenset()

    def __str__(self) -> str:
        beams = ", ".join(map(str, self.mu)) or "none"
        return f"{self.number} ({self.fractions or 'an unknown number of'} fractions of beams {beams})"


def read_fraction_groups(plan: Dataset, path: Path) -> tuple[FractionGroup, ...]:
    """All fraction groups of a plan; contradictions are refused."""
    groups = tuple(
        _read_group(item, place, path)
        for place, item in enumerate(require_items(plan, "FractionGroupSequence", path), start=1)
    )
    if len({group.number for group in groups}) < len(groups):
        raise InputError(path, "two fraction groups have the same number", "export it again")
    return groups


def choose_group(groups: Sequence[FractionGroup], number: int | None, path: Path) -> FractionGroup:
    """The group of this number, or the only one."""
    listed = "; ".join(map(str, groups))
    if number is None and len(groups) > 1:
        raise InputError(path, f"has {len(groups)} fraction groups: {listed}", f"choose one: {OPTION} NUMBER")
    for group in groups:
        if number in (None, group.number):
            return group
    raise InputError(path, f"has no fraction group {number}", f"it has {listed}")


def _read_group(item: Dataset, place: int, path: Path) -> FractionGroup:
    stated = optional_float(item, "FractionGroupNumber", path)
    number = place if stated is None else require_int(item, "FractionGroupNumber", path)
    where = f"{path}, fraction group {number}"
    beams = items(item, "ReferencedBeamSequence", where)
    check_count(item, "NumberOfBeams", len(beams), where)
    mu: dict[int, float] = {}
    for beam in beams:
        beam_number = require_int(beam, "ReferencedBeamNumber", where)
        if beam_number in mu:
            raise InputError(where, f"names beam {beam_number} twice", "export it again")
        meterset = optional_float(beam, "BeamMeterset", where)
        mu[beam_number] = np.nan if meterset is None else meterset
    fractions = None
    if optional_float(item, "NumberOfFractionsPlanned", where) is not None:
        fractions = require_int(item, "NumberOfFractionsPlanned", where)
        FRACTIONS.check(fractions, where, "Number of Fractions Planned (300A,0078)")
    brachytherapy = bool(optional_float(item, "NumberOfBrachyApplicationSetups", where))
    references = frozenset(
        require_int(reference, "ReferencedDoseReferenceNumber", where)
        for reference in items(item, "ReferencedDoseReferenceSequence", where)
    )
    return FractionGroup(number, fractions, mu, brachytherapy, references)

"""Whether files are of one patient and one frame of reference: one rule for all commands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from phantoms.errors import InputError


class Part(NamedTuple):
    """What a file states of whom and where it is; empty where it does not."""

    source: str | Path
    patient_id: str
    frame_of_reference_uid: str


def check_belonging(
    parts: Sequence[Part], unrelated: bool = False, remedy: str = "give files of one case only"
) -> list[str]:
    """Compare what files state, the first with all others.

    Parameters
    ----------
    parts : sequence of Part
    unrelated : bool
        Whether files that state different patients or frames of reference are to be used all the same.
    remedy : str
        For those who know that the files belong together.

    Returns
    -------
    list of str
        Warnings, which name no patient.

    Raises
    ------
    InputError
        If two files state different ones, and `unrelated` does not allow it.
    """
    warnings = []
    for field, what in (("patient_id", "patient"), ("frame_of_reference_uid", "frame of reference")):
        stated = [(part.source, getattr(part, field)) for part in parts]
        known = [(Path(source), value) for source, value in stated if value]
        for source, value in known[1:]:
            first, other = known[0]
            if value == other:
                continue
            if not unrelated:
                raise InputError(source, f"has {what} {value}, {first.name} has {other}", remedy)
            warnings.append(
                f"{first.name} and {source.name} state another {what}; they are used as if it were one"
            )
        if silent := [Path(source).name for source, value in stated if not value]:
            named = silent[0] if len(silent) == 1 else f"{silent[0]} and {len(silent) - 1} more"
            warnings.append(f"{named}: no {what} is stated, so whether it is the same is not known")
    return list(dict.fromkeys(warnings))

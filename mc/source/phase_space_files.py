"""Which two files a phase space consists of."""

from __future__ import annotations

from pathlib import Path

from mc.source.packed_phase_space import PACKED
from phantoms.errors import InputError
from phantoms.files import read_file

EXTENSIONS = ((".IAEAheader", ".IAEAphsp"), (".header", ".phsp"))  # the latter of Geant4 and TOPAS


def find_files(path: Path) -> tuple[Path, Path]:
    """Header and data file that belong to `path`, whatever the case of their extensions.

    A packed data file stands for one that is missing.
    """
    try:
        folder = sorted(path.parent.iterdir())
    except OSError as error:
        raise InputError(path, f"cannot look into its folder: {error.strerror}") from None
    _refuse_egsnrc(path)
    known = [each.lower() for pair in EXTENSIONS for each in pair]
    stem = path.stem if path.suffix.lower() in known else path.name
    there = {p.suffix.lower() for p in folder if p.stem == stem}
    named = [pair for pair in EXTENSIONS if path.suffix.lower() in map(str.lower, pair)]
    present = [pair for pair in EXTENSIONS if pair[0].lower() in there]
    found = []
    for extension in (*named, *present, EXTENSIONS[0])[0]:
        wanted = stem + extension
        exact = path.with_name(wanted)
        beside = [p for p in folder if p.stem == stem and p.suffix.lower() == extension.lower()]
        if exact not in beside and len(beside) > 1:
            names = ", ".join(p.name for p in beside)
            raise InputError(
                path, f"several files could be meant: {names}", "name the right one, move the others"
            )
        packed = path.with_name(wanted + PACKED)
        if not beside and packed in folder:
            beside = [packed]
        if not beside:
            raise InputError(
                path, f"{wanted} is missing", "a phase space is a header and a data file in one folder"
            )
        found.append(exact if exact in beside else beside[0])
    return found[0], found[1]


def _refuse_egsnrc(path: Path) -> None:
    """Refuse a phase space in EGSnrc's own format by name."""
    try:
        is_egsnrc = path.is_file() and read_file(path, 4) == b"MODE"
    except OSError:
        return
    if is_egsnrc:
        raise InputError(
            path,
            "is a phase space in EGSnrc's own format, which is not read",
            "let BEAMnrc write it in the IAEA format",
        )

"""All scans of a folder, and what `scans.toml` in it says where the files do not.

Some formats leave out what must be known: W2CAD the energy, most whether the beam is flattened, RFA300
which of its axes is inline. `scans.toml` states it (docs/formats.md), for all files or by name. A statement
that contradicts a file is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from os import PathLike
from pathlib import Path
from typing import Any

from phantoms.errors import InputError
from phantoms.listing import Listing
from phantoms.schema import Table, read_table
from phantoms.views import Artists, Axes
from validation.scans import mcc, rfa, w2cad
from validation.scans.lines import Lines
from validation.scans.output_factors import COLUMN, OutputFactor, read_output_factors
from validation.scans.plain_csv import header, read_csv
from validation.scans.scan import FLUENCE_MODES, PDD, Scan

STATEMENT = "scans.toml"
SUFFIXES = (".mcc", ".asc", ".csv", ".txt", ".dat")  # of files that must be understood


@dataclass(frozen=True)
class Stated:
    """What the user says of files; None where nothing.

    Parameters
    ----------
    match : str
        Shell pattern for the files' names.
    nominal_mv, fluence_mode, rfa_x, detector_radius_cm
        See `Scan` and `validation.scans.rfa`.
    depth_shift_cm : float
        Added to the depths of depth doses: the shift to the effective point of measurement (upstream, so
        below 0) where the export does not hold it already.
    """

    match: str = "*"
    nominal_mv: float | None = None
    fluence_mode: str | None = None
    rfa_x: str | None = None
    detector_radius_cm: float | None = None
    depth_shift_cm: float = 0.0


@dataclass(frozen=True, eq=False)
class ScanSet:
    """All that was measured of a machine; a sequence of its scans.

    Parameters
    ----------
    scans : tuple of Scan
    output_factors : tuple of OutputFactor
    warnings : tuple of str
    """

    scans: tuple[Scan, ...]
    output_factors: tuple[OutputFactor, ...] = ()
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.scans)

    def __iter__(self) -> Iterator[Scan]:
        return iter(self.scans)

    def __getitem__(self, index: int) -> Scan:
        return self.scans[index]

    def plot(self, axes: Axes, **look: Any) -> Artists:
        """Draw all scans, see `Scan.plot`; returns their lines."""
        return tuple(artist for scan in self.scans for artist in scan.plot(axes, **look))

    def _repr_html_(self) -> str:
        columns = ("scan", "points", "SSD [cm]", "detector", "file")
        rows = [(s.label, s.values.size, f"{s.ssd_cm:g}", s.detector, s.file.name) for s in self.scans]
        rows += [(f.label, 1, f"{f.ssd_cm:g}", "", f.file.name) for f in self.output_factors]
        rows += [("warning", "", "", text, "") for text in self.warnings]
        return Listing.of("Scans", columns, rows, (1, 2))._repr_html_()


def read_measured(path: str | PathLike) -> ScanSet:
    """Read a file of scans, or a folder of them with its scans.toml and output factors.

    Parameters
    ----------
    path : path
        PTW MEPHYSTO (.mcc), IBA RFA300 ASCII, Varian W2CAD, or CSV with named columns; see
        docs/commissioning.md.

    Returns
    -------
    ScanSet
        A sequence of `Scan`: `positions` [cm] and `values`, (n,).

    Raises
    ------
    InputError
        If there is neither scan nor output factor, or a file is broken or not understood.
    """
    path = Path(path)
    if path.is_dir():
        return read_folder(path)
    if _is_output_factors(path):
        return ScanSet((), tuple(read_output_factors(path)))
    scans = tuple(read_scans(path))
    return ScanSet(scans, warnings=_repeated(scans))


def read_folder(folder: Path) -> ScanSet:
    """Read every file of scans and output factors in `folder`.

    Raises
    ------
    InputError
        If there is no scan, or a file is broken or not understood.
    """
    if not folder.is_dir():
        raise InputError(folder, "is no folder", "name the folder that holds the measured scans")
    stated = _read_statement(folder / STATEMENT) if (folder / STATEMENT).is_file() else (Stated(),)
    scans, factors, ignored = [], [], []
    for path in sorted(folder.iterdir()):
        if path.name == STATEMENT or path.name.startswith(".") or not path.is_file():
            continue
        if path.suffix.lower() not in SUFFIXES:
            ignored.append(path.name)
        elif _is_output_factors(path):
            factors += read_output_factors(path)
        else:
            scans += read_scans(path, _for_file(stated, path))
    left = f"not read: {', '.join(ignored)}"
    if not scans and not factors:
        remedy = f"files ending in {', '.join(SUFFIXES)} are read, of this folder alone"
        remedy += f"; {left}: export them as CSV or W2CAD" if ignored else ""
        raise InputError(folder, "holds no scan", remedy)
    warnings = [f"{folder.name}: {left}"] if ignored else []
    return ScanSet(tuple(scans), tuple(factors), (*warnings, *_repeated(scans)))


def _repeated(scans: Sequence[Scan]) -> tuple[str, ...]:
    """Warnings about what was measured more than once: all count, and none is taken for better."""
    found: dict[tuple, list[Scan]] = {}
    for scan in scans:
        conditions = scan.label, scan.ssd_cm, scan.nominal_mv, scan.fluence_mode, scan.detector
        found.setdefault((*conditions, scan.centred), []).append(scan)
    return tuple(
        f"{key[0]}: measured {len(alike)} times, by the same detector "
        f"({', '.join(f'{scan.file.name}, line {scan.line}' for scan in alike)})"
        for key, alike in found.items()
        if len(alike) > 1
    )


def read_scans(path: Path, stated: Stated | None = None) -> list[Scan]:
    """The scans of one file, whatever its format, with what the user states of it.

    Raises
    ------
    InputError
        If the file is broken, not understood, or contradicts what is stated.
    """
    stated = stated or Stated()
    first = Lines(path).first_text
    if first == mcc.SIGNATURE:
        scans = mcc.read_mcc(path)
    elif first.startswith(rfa.SIGNATURE):
        scans = rfa.read_rfa(path, stated.rfa_x)
    elif first.startswith(w2cad.SIGNATURES):
        scans = w2cad.read_w2cad(path)
    elif path.suffix.lower() == ".csv":
        scans = read_csv(path)
    else:
        raise InputError(
            path,
            "is of no format that is understood",
            "MEPHYSTO .mcc, RFA300 ASCII, W2CAD, or CSV with named columns; other files belong elsewhere",
        )
    return [_complete(scan, stated) for scan in scans]


def _complete(scan: Scan, stated: Stated) -> Scan:
    """The scan with what the user states of it."""
    for name in ("nominal_mv", "fluence_mode", "detector_radius_cm"):
        own, said = getattr(scan, name), getattr(stated, name)
        if said is None:
            continue
        if own is not None and own != said:
            raise InputError(scan.source, f"{name} is {own}, but {STATEMENT} states {said}")
        scan = replace(scan, **{name: said})
    if scan.kind == PDD and stated.depth_shift_cm:
        note = f"depths shifted by {stated.depth_shift_cm:g} cm, as {STATEMENT} states"
        scan = replace(scan, z=scan.z + stated.depth_shift_cm, notes=(*scan.notes, note))
    return scan


def _is_output_factors(path: Path) -> bool:
    return path.suffix.lower() == ".csv" and COLUMN in header(path)


def _read_statement(path: Path) -> tuple[Stated, ...]:
    """Statements, the general one last."""
    table = read_table(path)
    by_name = table.tables("files") if "files" in table else []
    general = _stated(table, "*")
    return (*(_stated(entry, entry.text("match")) for entry in by_name), general)


def _stated(table: Table, match: str) -> Stated:
    table.expect("", "match files nominal_mv fluence_mode rfa_x detector_radius_cm depth_shift_cm")
    stated = Stated(
        match=match,
        nominal_mv=table.number("nominal_mv", above=0.0) if "nominal_mv" in table else None,
        fluence_mode=table.choice("fluence_mode", FLUENCE_MODES) if "fluence_mode" in table else None,
        rfa_x=table.choice("rfa_x", rfa.X_AXES) if "rfa_x" in table else None,
        detector_radius_cm=(
            table.number("detector_radius_cm", above=0.0) if "detector_radius_cm" in table else None
        ),
        depth_shift_cm=table.number("depth_shift_cm", default=0.0),
    )
    table.finish()
    return stated


def _for_file(stated: tuple[Stated, ...], path: Path) -> Stated:
    """The first statement whose pattern the name of a file fits."""
    return next((s for s in stated if fnmatchcase(path.name.lower(), s.match.lower())), Stated())

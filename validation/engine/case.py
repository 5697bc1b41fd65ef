"""A validation case: a folder with a `case.toml` that defines it and the data it is held against."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase
from pathlib import Path

from mc.config import Physics
from phantoms.errors import InputError
from phantoms.schema import Table, read_table

DEFAULTS = Physics()
CASES = Path(__file__).parents[1] / "cases"
KINDS = (
    "attenuation",
    "stopping",
    "reference",
    "r50",
    "fano",
    "interface",
    "coverage",
    "leaves",
    "jaws",
    "head",
)
"""Each is a module `validation.engine.KIND` with `run(case, options) -> Verdict`."""


@dataclass(frozen=True)
class Case:
    """What a `case.toml` says of every kind of case.

    Parameters
    ----------
    folder : Path
    kind : str
        One of `KINDS`.
    title, source : str
        What is tested, and what against.
    """

    folder: Path
    kind: str
    title: str
    source: str

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.name

    @property
    def path(self) -> Path:
        """The file that defines the case."""
        return self.folder / "case.toml"

    def table(self) -> Table:
        """The file's entries, of which those of every kind are already asked for."""
        table = read_table(self.path)
        for key in ("kind", "title", "source"):
            table.text(key)
        return table

    def hash(self) -> str:
        """SHA-256 of the file."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()


def load_case(folder: Path) -> Case:
    """Read the case of a folder."""
    table = read_table(folder / "case.toml")
    return Case(folder, table.choice("kind", KINDS), table.text("title"), table.text("source"))


def find_cases(patterns: Sequence[str] = (), root: Path = CASES) -> list[Case]:
    """The cases below `root` whose names match one of the shell patterns; all if there are none.

    Raises
    ------
    InputError
        If a pattern matches no case.
    """
    names = sorted(path.parent.name for path in root.glob("*/case.toml"))
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise InputError(pattern, "is no validation case", f"choose of {', '.join(names)}")
    chosen = [name for name in names if not patterns or any(fnmatchcase(name, p) for p in patterns)]
    cases = [load_case(root / name) for name in chosen]
    return sorted(cases, key=lambda case: KINDS.index(case.kind))  # the quick ones first


def read_physics(table: Table, base: Physics = DEFAULTS) -> Physics:
    """Transport options: those of the entry [physics], else those of `base`."""
    if "physics" not in table:
        return base
    entry = table.table("physics")
    given = {
        field.name: type(field.default)(entry.number(field.name))
        for field in fields(Physics)
        if field.name in entry
    }
    entry.finish()
    return replace(base, **given)

"""Where machine files lie, and how one is found: by the machine name of a plan, or as the user names it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_config_dir

from mc.machine.machine import SHIPPED, Machine, read_machine
from phantoms.errors import InputError
from phantoms.schema import meant, read_table

_NAME = re.compile(r"""^\s*name\s*=\s*(["'])(.*?)\1""", re.MULTILINE)


@dataclass(frozen=True)
class MachineFile:
    """A machine file of the user's folder, or one shipped.

    Parameters
    ----------
    path : Path
    name : str or None
        Of the machine; None where the file does not reveal it.
    shipped : bool
    problem : InputError or None
        Why the file cannot be read at all.
    """

    path: Path
    name: str | None
    shipped: bool = False
    problem: InputError | None = None


def user_folder() -> Path:
    """Where the user's own machine files lie; the environment variable MCVERIFY_MACHINES overrides it."""
    chosen = os.environ.get("MCVERIFY_MACHINES")
    if not chosen:
        return Path(user_config_dir("mcverify")) / "machines"
    if not Path(chosen).is_dir():
        raise InputError(
            f"MCVERIFY_MACHINES={chosen}", "no such folder", "unset it, or name your machines' folder"
        )
    return Path(chosen)


def machine_files() -> list[MachineFile]:
    """All machine files, the user's own first; none of them is read further than to its name."""
    own = [_machine_file(path) for path in sorted(user_folder().glob("*.toml"))]
    return own + [_machine_file(path, shipped=True) for path in sorted(SHIPPED.glob("*.toml"))]


def find_machine(name: str) -> Machine:
    """The machine of a name, as plans state it (TreatmentMachineName).

    The user's own file wins over a shipped one. A file that cannot be read ends the search where it may be
    the one that is looked for: it states the name, or it states none and no other file of the user does.

    Raises
    ------
    InputError
        If there is no such machine, or two files describe it.
    """
    name, files = name.strip(), machine_files()
    own = [file for file in files if not file.shipped]
    matches = [file for file in own if file.name == name]
    if len(matches) > 1:
        folder, names = matches[0].path.parent, " and ".join(file.path.name for file in matches)
        raise InputError(folder, f"{names} both describe machine {name}")
    hidden = [file.problem for file in own if file.problem is not None and file.name in (name, None)]
    if matches and matches[0].problem is None:
        return read_machine(matches[0].path)
    if hidden:
        raise hidden[0]
    for file in files:
        if file.name == name:
            return read_machine(file.path)
    known = sorted({file.name for file in files if file.name is not None})
    remedy = f"{meant(name, known)}known: {', '.join(known)}"
    if "?" not in remedy:
        remedy += f"; name one with --machine, or make it: `mcverify machine new {name} --from GEN-M120`"
    raise InputError(f"machine {name!r}", "no machine file of this name", remedy)


def named_machine(machine: str | os.PathLike) -> Machine:
    """A machine by its name or by its file.

    Parameters
    ----------
    machine : str or path
        A file where it ends in .toml, has a folder or exists; else a name.

    Raises
    ------
    InputError
        If there is no such machine, or its file cannot be read.
    """
    path = Path(machine)
    if path.is_dir():
        raise InputError(path, "is a folder, not a machine file")
    if path.is_file() or path.suffix == ".toml" or len(path.parts) > 1:
        if not path.exists():
            beside = [each.name for each in path.parent.glob("*.toml")]
            raise InputError(path, "no such machine file", meant(path.name, beside).rstrip())
        return read_machine(path)
    return find_machine(str(machine))


def _machine_file(path: Path, shipped: bool = False) -> MachineFile:
    try:
        name = read_table(path, "the machine file").text("name")
    except InputError as error:
        return MachineFile(path, _stated_name(path), shipped, error)
    return MachineFile(path, name, shipped)


def _stated_name(path: Path) -> str | None:
    """The name in a file that is no TOML; None where it states none."""
    try:
        top = path.read_text("utf-8", errors="replace").split("\n[", 1)[0]
    except OSError:
        return None
    found = _NAME.search(top)
    return found[2].strip() if found else None

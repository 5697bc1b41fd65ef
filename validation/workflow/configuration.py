"""What a user chooses once for all commands: config.toml in the configuration folder of mcverify."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_config_dir

from phantoms.kinds import CONFIGURATION
from phantoms.schema import read_table
from validation.limits import DEFAULT

FILE = "config.toml"
VARIABLE = "MCVERIFY_CONFIG"  # environment variable that names another file


@dataclass(frozen=True)
class Configuration:
    """The user's choices; an option of a command overrides each.

    Parameters
    ----------
    name : bool
        Whether reports state the patient's name and ID.
    profile : str
        Name or path of the limits to judge by.
    threads : int or None
        Of each rank; None for all processors.
    """

    name: bool = False
    profile: str = DEFAULT
    threads: int | None = None


def configuration_file() -> Path:
    """Where the configuration lies, whether it exists or not."""
    chosen = os.environ.get(VARIABLE)
    return Path(chosen) if chosen else Path(user_config_dir("mcverify")) / FILE


def read_configuration(path: Path | None = None) -> Configuration:
    """Read the configuration; the default of every entry where there is no file.

    Parameters
    ----------
    path : Path, optional
        By default `configuration_file`.

    Raises
    ------
    InputError
        For an entry that is unknown or impossible, or where `MCVERIFY_CONFIG` names no file.
    """
    path = path or configuration_file()
    if not path.exists() and not os.environ.get(VARIABLE):
        return Configuration()
    table = read_table(path, "the configuration")
    table.expect("", "name profile threads", kind=CONFIGURATION)
    profile = table.text("profile", DEFAULT)
    if profile.endswith(".toml"):
        profile = str(path.parent / Path(profile).expanduser())
    threads = table.number("threads", above=0.0) if "threads" in table else None
    if threads is not None and threads != int(threads):
        raise table.error("threads", f"must be whole, is {threads:g}")
    return Configuration(table.flag("name", False), profile, None if threads is None else int(threads))

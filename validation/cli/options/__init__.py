"""The options of `mcverify`, and what its help says: a file for each group of commands."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from typing import NoReturn

from mc import __version__
from phantoms.errors import InputError
from phantoms.schema import meant
from validation.cli.options import doses, films, machines, phase_spaces, plans, tools
from validation.cli.options.words import refuse_unknown_words
from validation.workflow.configuration import read_configuration

DESCRIPTION = """\
Independent Monte Carlo check of radiotherapy plans.

Give it what the planning system exported (CT, RTSTRUCT, RTPLAN, RTDOSE of one plan); it computes the dose
anew by Monte Carlo and says how far the plan can be trusted. Not a medical device."""

EPILOG = """\
examples:
  mcverify demo                                    a real spine case, from the DICOM to the report
  mcverify plan export/ --out result/              check a plan; the machine is found by its name
  mcverify gamma plan.dcm other.dcm --criterion 2%/1mm
  mpiexec -n 4 mcverify plan export/ --threads 8   the same dose, on more processors

exit code: 0 passed or done, 1 failed, 2 no verdict (bad input, interrupted), 75 suspended
`mcverify COMMAND --help` explains a command."""


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line, like every other bad input."""

    def __init__(self, *args, **options) -> None:
        super().__init__(
            *args, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **options
        )

    def error(self, message: str) -> NoReturn:
        command = self.prog.removeprefix("mcverify").strip()
        if found := re.fullmatch(r"argument (.+): invalid choice: (.+) \(choose from (.+)\)", message):
            option, value, choices = found[1], found[2].strip("'"), re.findall(r"[\w%-]+", found[3])
            raise InputError(
                command or "command line",
                f"{option}: {value!r} is unknown",
                f"{meant(value, choices)}choose from {', '.join(choices)}",
            )
        raise InputError(command or "command line", message, f"`{self.prog} --help` explains")


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; `command` names the module of `validation.cli` that runs it.

    Without any word the help is printed. What the command line leaves open is as the user's configuration has
    it.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    parser = _parser()
    if not words:
        parser.print_help()
        parser.exit()
    refuse_unknown_words(parser, words)
    arguments = parser.parse_args(words)
    for name in ("name", "threads"):
        if getattr(arguments, name, 0) is None:
            setattr(arguments, name, getattr(read_configuration(), name))
    return arguments


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="mcverify", description=DESCRIPTION, epilog=EPILOG)
    parser.add_argument("--version", action="version", version=f"mcverify {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, title="commands")
    for group in (plans, machines, phase_spaces, films, doses, tools):
        group.add(commands)
    return parser

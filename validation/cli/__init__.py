"""The `mcverify` command: one module per subcommand, imported when it is asked for.

Every subcommand's `run(arguments, screen, ranks)` returns the exit code: 0 passed or done, 1 failed, 2 no
verdict, 75 suspended. `validation.cli.faults` turns whatever goes wrong into one line and exit
code 2.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from mc.run.interrupt import SUSPENDED_CODE, SUSPENDED_LINE, Suspended
from phantoms.errors import refuse_pipe
from validation.cli.faults import as_input_error, one_line_errors
from validation.cli.options import parse

ON_ALL_RANKS = ("plan", "demo", "calibrate", "commission", "warmup")  # the others run on rank 0 alone


def main(argv: Sequence[str] | None = None) -> int:
    """Run `mcverify` with these arguments (by default those of the command line); returns the exit code."""
    with one_line_errors() as outcome:
        arguments = parse(argv)
        _refuse_pipes(arguments)
        from mc.run.parallel import abort_on_error, world
        from validation.cli.screen import Screen

        ranks = world()
        with abort_on_error(ranks), as_input_error(getattr(arguments, "out", None)):
            code = 0
            if ranks.rank == 0 or arguments.command in ON_ALL_RANKS:
                module = arguments.command.replace("-", "_")
                command, screen = import_module(f"validation.cli.{module}"), Screen(ranks.rank == 0)
                try:
                    code = command.run(arguments, screen, ranks)
                except Suspended as suspended:
                    if not suspended.on_all_ranks:
                        raise
                    screen.note(f"mcverify: {SUSPENDED_LINE}")
                    code = SUSPENDED_CODE
            outcome.code = ranks.broadcast(code)
    return outcome.code


def _refuse_pipes(arguments: Namespace) -> None:
    """Refuse pipes and devices: who waits for one to be written may wait for ever."""
    for given in vars(arguments).values():
        for path in given if isinstance(given, list | tuple) else [given]:
            if isinstance(path, Path):
                refuse_pipe(path)

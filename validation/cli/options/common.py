"""Options that several commands have."""

from __future__ import annotations

import argparse

from validation.cli import units

MACHINE = "NAME|FILE"


def machine(parser: argparse.ArgumentParser) -> None:
    """The machine a command is about."""
    parser.add_argument("machine", metavar="MACHINE", help="a machine's name, or a machine file")


def fraction_group(parser: argparse.ArgumentParser) -> None:
    """Which part of a plan is meant."""
    parser.add_argument(
        "--fraction-group",
        metavar="NUMBER",
        type=units.count,
        help="of a plan with several fraction groups, the one that is meant; `mcverify inspect` lists them",
    )


def stopping(parser: argparse.ArgumentParser, max_time: float | None) -> None:
    """When a run stops."""
    stop = parser.add_argument_group("when to stop, whichever comes first")
    stop.add_argument(
        "--uncertainty",
        metavar="PERCENT",
        type=units.percentage,
        default=0.01,
        help="transport sigma to reach (default: 1%%)",
    )
    stop.add_argument(
        "--histories",
        metavar="N",
        type=units.count,
        help="original histories, all beams and mirror images counted, such as 1e9",
    )
    stop.add_argument(
        "--max-time",
        metavar="TIME",
        type=units.duration,
        default=max_time,
        help="time of the transport, such as 90s, 10min, 2h"
        + (f" (default: {max_time:g}s)" if max_time else ""),
    )


def computing(parser: argparse.ArgumentParser) -> None:
    """Random numbers and threads."""
    parser.add_argument(
        "--seed",
        type=units.seed,
        default=1,
        help="names the random numbers (default: 1); same seed, same dose",
    )
    parser.add_argument(
        "--threads", metavar="N", type=units.count, help="of each rank (default: all processors)"
    )


def checkpoints(parser: argparse.ArgumentParser) -> None:
    """Checkpoints, from which a run is resumed."""
    parser.add_argument(
        "--checkpoint-every",
        metavar="TIME",
        type=units.duration,
        default=180.0,
        help="between checkpoints, from which the same command resumes the run (default: 3min)",
    )
    parser.add_argument(
        "--restart", action="store_true", help="start from the beginning, even if there is a checkpoint"
    )

"""Options of a run, as the command line states them."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from mc.run.checkpoint import CheckpointRule
from mc.run.options import RunOptions, StopRule
from mc.run.parallel import World
from validation.workflow import output


def run_options(arguments: Namespace, ranks: World, checkpoint_in: Path | None = None) -> RunOptions:
    """The options of a run from those of the command line.

    Parameters
    ----------
    arguments : Namespace
        `uncertainty`, `histories`, `max_time`, `seed`, `threads`; where there may be a checkpoint, also
        `checkpoint_every` and `restart`; where it may be chosen, `dose_to`.
    ranks : World
    checkpoint_in : Path, optional
        Folder of the checkpoint.
    """
    checkpoint = None
    if checkpoint_in is not None:
        file = checkpoint_in / output.CHECKPOINT
        checkpoint = CheckpointRule(file, arguments.checkpoint_every, arguments.restart)
    return RunOptions(
        stop=StopRule(arguments.uncertainty, arguments.histories, arguments.max_time),
        seed=arguments.seed,
        threads=arguments.threads,
        dose_to_water=getattr(arguments, "dose_to", "medium") != "medium",
        checkpoint=checkpoint,
        world=ranks,
    )


def compared_dose(arguments: Namespace) -> str:
    """Which dose is compared, to medium or to water."""
    return "water" if arguments.dose_to == "water" else "medium"

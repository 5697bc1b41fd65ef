"""What commands that compute the dose of a plan have in common: machine, options, kernels."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from mc.compute.head import HeadOptions
from mc.compute.head_cache import with_heads
from mc.compute.plan_dose import above_jaws
from mc.machine.machine import Machine, find_machine
from mc.plan.plan import Plan
from mc.run.checkpoint import CheckpointRule
from mc.run.options import RunOptions, StopRule
from mc.run.parallel import World
from mc.run.progress import Listener
from validation.cli import output
from validation.cli.kernels import load_kernels
from validation.cli.screen import Bar, Screen


def machine_of(plan: Plan, arguments: Namespace, bar: Bar) -> Machine:
    """The plan's machine, heads simulated where its file names no phase space. All ranks must call."""
    machine = find_machine(plan.machine, arguments.machine)
    qualities = [machine.quality(beam.energy, beam.fluence_mode) for beam in plan.beams]
    return with_heads(machine, qualities, HeadOptions(threads=arguments.threads), bar.listener)


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


def listener_of(plan: Plan, machine: Machine, options: RunOptions, bar: Bar, screen: Screen) -> Listener:
    """Shows the run on screen, and loads the kernels when they are first needed.

    That is before the calibration: by then whatever can be refused without computing has been.
    """
    above = machine if above_jaws(plan, machine) else None

    def stage(name: str) -> None:
        if name == "calibration":
            bar.stage("kernels (compiled once, some twenty seconds)")
            load_kernels(options.ranks, water=options.dose_to_water, machine=above)
        bar.stage(name)

    return Listener(stage, bar.update, screen.note)

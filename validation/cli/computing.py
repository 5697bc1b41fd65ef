"""What commands that compute the dose of a plan have in common: machine, kernels, options of a run."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from mc.compute.head_cache import with_heads
from mc.compute.plan_dose import above_jaws
from mc.machine.machine import Machine, find_machine
from mc.plan.plan import Plan
from mc.run.checkpoint import CheckpointRule
from mc.run.parallel import World
from mc.run.simulate import StopRule
from validation.cli import output
from validation.cli.kernels import load_kernels
from validation.cli.screen import Bar, Screen


def machine_of(plan: Plan, arguments: Namespace, bar: Bar) -> Machine:
    """The plan's machine, heads simulated where its file names no phase space. All ranks must call."""
    machine = find_machine(plan.machine, arguments.machine)
    return with_heads(
        machine,
        [machine.quality(beam.energy, beam.fluence_mode) for beam in plan.beams],
        threads=arguments.threads,
        on_stage=bar.stage,
        on_progress=bar.update,
    )


def stop_rule(arguments: Namespace) -> StopRule:
    """When the run stops."""
    return StopRule(arguments.uncertainty, arguments.histories, arguments.max_time)


def run_options(
    plan: Plan, machine: Machine, arguments: Namespace, out: Path, bar: Bar, screen: Screen, ranks: World
) -> dict[str, Any]:
    """Options of `mc.compute.plan_dose`, from `water` on; a checkpoint lies in the folder `out`.

    Kernels are loaded before the calibration, which is the first to need them; all refusals come before.
    """
    water = arguments.dose_to != "medium"
    above = machine if above_jaws(plan, machine) else None

    def on_stage(name: str) -> None:
        if name == "calibration":
            bar.stage("kernels (compiled once, some twenty seconds)")
            load_kernels(ranks, water=water, machine=above)
        bar.stage(name)

    return {
        "water": water,
        "stop": stop_rule(arguments),
        "seed": arguments.seed,
        "threads": arguments.threads,
        "on_stage": on_stage,
        "on_progress": bar.update,
        "checkpoint": CheckpointRule(
            out / output.CHECKPOINT, arguments.checkpoint_every, arguments.restart, screen.note
        ),
        "world": ranks,
    }

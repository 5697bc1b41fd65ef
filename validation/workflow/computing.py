"""The dose of a plan: its machine, the head that may have to be simulated, the kernels, the run."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from pathlib import Path

from mc.compute.head import HeadOptions
from mc.compute.head_cache import with_heads
from mc.compute.plan_dose import ComputedDose, above_jaws, compute_phantom_dose, compute_plan_dose
from mc.machine.machine import Machine, find_machine
from mc.plan.plan import Plan
from mc.run.options import RunOptions
from mc.run.progress import Listener
from phantoms.phantom import Phantom
from validation.plan_check.case import PlanCase
from validation.workflow.kernels import load_kernels

COMPILING = "kernels (compiled once, some twenty seconds)"


def compute_case(
    case: PlanCase,
    *,
    machine: str | PathLike | Machine | None = None,
    voxel_cm: float | None = None,
    options: RunOptions = RunOptions(),
    listener: Listener = Listener(),
) -> ComputedDose:
    """Compute the dose of a case; under MPI all ranks must call.

    Parameters
    ----------
    case : PlanCase
    machine : path or Machine, optional
        Machine file; by default the one with the machine name of the plan.
    voxel_cm : float, optional
        Side of the voxels; those of the planned dose if not given.
    options : RunOptions
    listener : Listener

    Raises
    ------
    InputError
        If the machine cannot deliver the plan, or the inputs do not fit together.
    """
    found = machine_of(case.plan, machine, options, listener)
    return compute_plan_dose(
        case.plan,
        case.ct,
        case.structures,
        case.planned_dose.grid,
        machine=found,
        case_file=case.case_file,
        voxel=voxel_cm,
        options=options,
        listener=loading_kernels(case.plan, found, options, listener),
    )


def compute_in_phantom(
    plan: Plan,
    phantom: Phantom,
    *,
    machine: str | PathLike | Machine | None = None,
    options: RunOptions = RunOptions(),
    listener: Listener = Listener(),
) -> ComputedDose:
    """Compute the dose of a plan in a phantom in the plan's coordinates; under MPI all ranks must call.

    Parameters and errors are those of `compute_case`.
    """
    found = machine_of(plan, machine, options, listener)
    listener = loading_kernels(plan, found, options, listener)
    return compute_phantom_dose(plan, phantom, found, options=options, listener=listener)


def machine_of(
    plan: Plan, machine: str | PathLike | Machine | None, options: RunOptions, listener: Listener
) -> Machine:
    """The plan's machine, heads simulated where its file names no phase space; all ranks must call.

    Parameters
    ----------
    plan : Plan
    machine : path or Machine, optional
        Machine file; by default the one with the machine name of the plan.
    options : RunOptions
        Of which the threads are used.
    listener : Listener
    """
    if not isinstance(machine, Machine):
        machine = find_machine(plan.machine, None if machine is None else Path(machine))
    qualities = [machine.quality(beam.energy, beam.fluence_mode) for beam in plan.beams]
    return with_heads(machine, qualities, HeadOptions(threads=options.threads), listener)


def loading_kernels(plan: Plan, machine: Machine, options: RunOptions, listener: Listener) -> Listener:
    """A listener that loads the kernels when they are first needed, and passes everything on.

    That is before the calibration: by then whatever can be refused without computing has been.
    """
    above = machine if above_jaws(plan, machine) else None

    def stage(name: str) -> None:
        if name == "calibration":
            listener.stage(COMPILING)
            load_kernels(options.ranks, water=options.dose_to_water, machine=above)
        listener.stage(name)

    return replace(listener, stage=stage)

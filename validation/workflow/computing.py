"""The dose of a plan: its machine, the head that may have to be simulated, the kernels, the run."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike

from mc.compute.head import HeadOptions
from mc.compute.head_cache import with_heads
from mc.compute.plan_dose import ComputedDose, above_jaws, compute_phantom_dose, compute_plan_dose
from mc.machine.folder import find_machine, named_machine
from mc.machine.machine import Machine
from mc.plan.plan import Plan
from mc.run.options import RunOptions
from mc.run.progress import Listener
from validation.plan_check.case import PlanCase
from validation.workflow.kernels import load_kernels
from validation.workflow.phantom_plan import PhantomPlan

COMPILING = "kernels (compiled once, some twenty seconds)"


def compute_dose(
    case: PlanCase | PhantomPlan,
    *,
    uncertainty: float | None = None,
    machine: str | PathLike | Machine | None = None,
    voxel_mm: float | None = None,
    options: RunOptions = RunOptions(),
    listener: Listener = Listener(),
) -> ComputedDose:
    """Compute the dose of a plan by Monte Carlo; a missing head is simulated first (docs/physics.md).

    Parameters
    ----------
    case : PlanCase or PhantomPlan
    uncertainty : float, optional
        Relative transport sigma at which to stop, in place of that of `options`.
    machine : name, path or Machine, optional
        By default the one with the machine name of the plan.
    voxel_mm : float, optional
        Side of the voxels; those of the planned dose if not given. A phantom has its own.
    options : RunOptions
    listener : Listener

    Returns
    -------
    ComputedDose
        Of the whole course: `dose_gy` and `sigma_gy`, (nz, ny, nx) float64 [Gy], at `axes_mm`; bit for bit
        that of `mcverify plan` with the same options. Ctrl-C returns what is done.

    Raises
    ------
    InputError
        If the machine cannot deliver the plan, or the inputs do not fit together.
    """
    if uncertainty is not None:
        options = replace(options, stop=replace(options.stop, uncertainty=uncertainty))
    voxel_cm = None if voxel_mm is None else 0.1 * voxel_mm
    return compute_case(case, machine=machine, voxel_cm=voxel_cm, options=options, listener=listener)


def compute_case(
    case: PlanCase | PhantomPlan,
    *,
    machine: str | PathLike | Machine | None,
    voxel_cm: float | None,
    options: RunOptions,
    listener: Listener,
) -> ComputedDose:
    """Compute the dose of a plan as `compute_dose` does; under MPI all ranks must call."""
    found = machine_of(case.plan, machine, options, listener)
    listener = loading_kernels(case.plan, found, options, listener)
    if isinstance(case, PhantomPlan):
        return compute_phantom_dose(case.plan, case.phantom, found, options=options, listener=listener)
    return compute_plan_dose(
        case.plan,
        case.ct,
        case.structures,
        case.dose_grid,
        machine=found,
        case_file=case.case_file,
        voxel=voxel_cm,
        options=options,
        listener=listener,
    )


def machine_of(
    plan: Plan, machine: str | PathLike | Machine | None, options: RunOptions, listener: Listener
) -> Machine:
    """The plan's machine, heads simulated where its file names no phase space; all ranks must call.

    Parameters
    ----------
    plan : Plan
    machine : name, path or Machine, optional
        By default the one with the machine name of the plan.
    options : RunOptions
        Of which the threads are used.
    listener : Listener
    """
    if not isinstance(machine, Machine):
        machine = find_machine(plan.machine) if machine is None else named_machine(machine)
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

"""Errors of the patient's setup, of a plan that was computed: curves, and setups computed again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from os import PathLike

from mc.compute.plan_dose import above_jaws, compute_phantom_dose
from mc.dose import TO_WATER, Dose
from mc.machine.machine import Machine, read_machine
from mc.run.options import RunOptions
from mc.run.progress import Listener
from phantoms.polygons import mask_by_centre
from validation import whatif
from validation.limits.profiles import Profile, synonyms
from validation.whatif import SetupError, WhatIf
from validation.whatif.motion import move_plan
from validation.workflow.computing import COMPILING, machine_of
from validation.workflow.demo import MACHINE as DEMO_MACHINE
from validation.workflow.kernels import load_kernels
from validation.workflow.results import Result


def what_if(
    result: Result | str | PathLike,
    *,
    shift_mm: float = 5.0,
    turn_deg: float = 3.0,
    sigma_mm: float = 1.0,
    sigma_deg: float = 0.5,
    structures: Sequence[str] = (),
    checks: Sequence[SetupError] = (),
    profile: str | PathLike | Profile | None = None,
    machine: str | PathLike | Machine | None = None,
    options: RunOptions = RunOptions(),
    listener: Listener = Listener(),
) -> WhatIf:
    """Target coverage and organ doses against errors of the patient's setup (docs/usage.md).

    Parameters
    ----------
    result : Result or path
    shift_mm, turn_deg : float
        Ends of the curves.
    sigma_mm, sigma_deg : float
        Standard deviations of random errors along and about each axis.
    structures : sequence of str
        To look at beside targets and cord.
    checks : sequence of SetupError
        Setups to compute again by Monte Carlo, with `machine` and `options`.
    profile : name, path or Profile, optional
        Limits to draw; by default those the result was judged by.
    machine : path or Machine, optional
    options : RunOptions
    listener : Listener

    Returns
    -------
    WhatIf
        Curves along each axis, summaries of random errors, and the setups computed again.

    Raises
    ------
    InputError
        If there is no target and no cord, or a setup cannot be computed.
    """
    if not isinstance(result, Result):
        result = Result.load(result)
    record, limits, notes = result.record, result.limits(profile), []
    compute = _computing(result, checks, machine, options, listener, notes) if checks else None
    found = whatif.what_if(
        record.plan,
        result.compared,
        record.structures,
        record.phantom,
        limits,
        limits.organs + synonyms(),
        patient=record.patient,
        shift_mm=shift_mm,
        turn_deg=turn_deg,
        sigma_mm=sigma_mm,
        sigma_deg=sigma_deg,
        also=structures,
        checks=checks,
        compute=compute,
        on_stage=listener.stage,
    )
    return replace(found, notes=(*found.notes, *dict.fromkeys(notes)))


def _computing(
    result: Result,
    checks: Sequence[SetupError],
    machine: str | PathLike | Machine | None,
    options: RunOptions,
    listener: Listener,
    notes: list[str],
) -> Callable[[SetupError], Dose]:
    """What computes the dose of a moved patient, with the kernels loaded; doubts go to `notes`."""
    record = result.record
    plan, water = record.plan, record.quantity == TO_WATER
    outline = record.structures.external(record.phantom.audit.get("body", {}).get("roi"))
    body = mask_by_centre(outline, record.phantom.grid)  # the noise of air is no measure of the run
    for error in checks:
        move_plan(plan, error)  # refused before anything is computed
    found = _machine(result, machine, options, listener, notes)
    listener.stage(COMPILING)
    load_kernels(options.ranks, water=water, machine=found if above_jaws(plan, found) else None)
    options = replace(options, dose_to_water=water)

    def compute(error: SetupError) -> Dose:
        computed = compute_phantom_dose(
            move_plan(plan, error),
            record.phantom,
            found,
            scored=body,
            options=options,
            listener=Listener(progress=listener.progress),
        )
        notes.extend(computed.warnings)
        return computed.dose.to_water if water else computed.dose

    return compute


def _machine(
    result: Result,
    machine: str | PathLike | Machine | None,
    options: RunOptions,
    listener: Listener,
    notes: list[str],
) -> Machine:
    """The machine of the checks: that of the result, or with a note another of the same name."""
    made_with = result.dose.provenance.get("machine_sha256")
    if machine is None and made_with == read_machine(DEMO_MACHINE).sha256:
        machine = DEMO_MACHINE  # no plan finds it by its name
    found = machine_of(result.record.plan, machine, options, listener)
    if found.sha256 != made_with:
        notes.append(
            f"{found.path.name} is not the machine file that the result was computed with: setups computed "
            "again may differ by that; name it with --machine"
        )
    return found

"""`mcverify whatif`: what errors of the patient's setup do to a plan that was computed."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mc.dose import TO_WATER, Dose
from mc.run.parallel import World
from mc.run.progress import Listener
from phantoms.files import replacing
from phantoms.polygons import mask_by_centre
from validation.cli import output
from validation.cli.report import beside_or_in, profile_of
from validation.cli.screen import Bar, Screen, clock

if TYPE_CHECKING:
    from mc.machine.machine import Machine
    from mc.plan.plan import Plan
    from validation.plan_check.record import Record
    from validation.whatif import SetupError, WhatIf

DONE = 0


def run(arguments: Namespace, screen: Screen, ranks: World) -> int:
    """Draw the curves, and compute again the setups asked for."""
    from validation.limits.profiles import synonyms
    from validation.plan_check.record import Record
    from validation.report.html import write_html
    from validation.report.pdf import write_pdf
    from validation.report.whatif import whatif_report
    from validation.report.whatif_figures import draw_curves
    from validation.report.write import write_result
    from validation.whatif import SetupError, what_if

    started, result = time.monotonic(), arguments.result
    profile = profile_of(arguments.profile, result)
    checks = [SetupError(**amounts) for amounts in arguments.check or ()]
    out = arguments.out or result
    with screen.progress() as bar, beside_or_in(out, result):
        bar.stage("reading the result")
        record = Record.load(result / output.INPUTS, result / output.DOSE)
        dose = Dose.load(result / output.DOSE)
        dose = dose.to_water if record.quantity == TO_WATER else dose
        found = what_if(
            record.plan,
            dose,
            record.structures,
            record.phantom,
            profile,
            profile.organs + synonyms(),
            patient=record.patient,
            shift_mm=10.0 * arguments.shift,
            turn_deg=arguments.turn,
            sigma_mm=10.0 * arguments.sigma,
            sigma_deg=arguments.sigma_turn,
            also=arguments.structure or (),
            checks=checks,
            compute=_computing(record, dose, checks, arguments, screen, ranks, bar) if checks else None,
            on_stage=bar.stage,
        )
        bar.stage("writing the report")
        report = whatif_report(found)
        write_html(report, out / output.WHATIF)
        write_pdf(report, out / output.WHATIF_PRINTED)
        write_result(found, out / output.WHATIF_RESULT)
        with replacing(out / output.WHATIF_PICTURE) as partial:
            partial.write_bytes(draw_curves(found).png)
    show(found, screen)
    screen.line(f"{clock(time.monotonic() - started)}; report: {out / output.WHATIF}")
    return DONE


def _machine(plan: Plan, dose: Dose, arguments: Namespace, screen: Screen, bar: Bar) -> Machine:
    """The machine of the checks: that of the result, or with a warning another of the same name."""
    from mc.machine.machine import read_machine
    from validation.cli.computing import machine_of
    from validation.cli.demo import MACHINE

    made_with = dose.provenance.get("machine_sha256")
    if arguments.machine is None and made_with == read_machine(MACHINE).sha256:
        arguments = Namespace(**{**vars(arguments), "machine": MACHINE})  # no plan finds it by its name
    machine = machine_of(plan, arguments, bar)
    if machine.sha256 != made_with:
        screen.warn(
            f"{machine.path.name} is not the machine file that the result was computed with: setups computed "
            "again may differ by that; name it with --machine"
        )
    return machine


def _computing(
    record: Record,
    dose: Dose,
    checks: Sequence[SetupError],
    arguments: Namespace,
    screen: Screen,
    ranks: World,
    bar: Bar,
) -> Callable[[SetupError], Dose]:
    """What computes the dose of a moved patient, with the kernels loaded."""
    from mc.compute.plan_dose import above_jaws, compute_phantom_dose
    from validation.cli.computing import run_options
    from validation.cli.kernels import load_kernels
    from validation.whatif.motion import move_plan

    plan, water = record.plan, record.quantity == TO_WATER
    outline = record.structures.external(record.phantom.audit.get("body", {}).get("roi"))
    body = mask_by_centre(outline, record.phantom.grid)  # the noise of air is no measure of the run
    for error in checks:
        move_plan(plan, error)  # refused before anything is computed
    machine = _machine(plan, dose, arguments, screen, bar)
    bar.stage("kernels (compiled once, some twenty seconds)")
    load_kernels(ranks, water=water, machine=machine if above_jaws(plan, machine) else None)

    options = replace(run_options(arguments, ranks), dose_to_water=water)

    def compute(error: SetupError) -> Dose:
        computed = compute_phantom_dose(
            move_plan(plan, error),
            record.phantom,
            machine,
            scored=body,
            options=options,
            listener=Listener(progress=bar.update),
        )
        for warning in computed.warnings:
            screen.warn(warning)
        return computed.dose.to_water if water else computed.dose

    return compute


def show(found: WhatIf, screen: Screen) -> None:
    """Print notes, random errors and checks."""
    from validation.report.whatif import check_lines, random_lines

    for note in found.notes:
        screen.warn(note)
    columns, rows = random_lines(found)
    sigmas = f"{found.translation_sigma_mm:g} mm, {found.rotation_sigma_deg:g} degrees"
    screen.table(f"random setup errors ({sigmas})", columns, rows, right=tuple(range(2, 6)))
    if found.checks:
        columns, rows = check_lines(found)
        screen.table("computed again by Monte Carlo", columns, rows, right=(3, 4, 5))

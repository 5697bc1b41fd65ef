"""`mcverify plan`: from a clinic's export to a verdict and a report."""

from __future__ import annotations

import math
import time
from argparse import Namespace
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from mc.plan.rtplan import read_plan
from mc.run.parallel import World
from phantoms.case import find_case
from phantoms.errors import InputError
from phantoms.identity import read_identity
from validation.cli.arguments import compared_dose, run_options
from validation.cli.screen import Screen, clock
from validation.cli.verdict import NO_VERDICT, PASSED, exit_code, show_verdict
from validation.limits.profiles import Profile, load_profile
from validation.plan_check.case import PlanCase
from validation.workflow import output
from validation.workflow.computing import compute_case
from validation.workflow.configuration import read_configuration
from validation.workflow.dose_alone import NOTE


def run(arguments: Namespace, screen: Screen, ranks: World) -> int:
    """Check the plan in `arguments.case`."""
    if arguments.phantom is not None:
        from validation.cli.plan_phantom import run as run_in_phantom

        return run_in_phantom(arguments, screen, ranks)
    for name in ("dose", "criterion"):
        if getattr(arguments, name) is not None:
            raise InputError(f"--{name}", "goes with --phantom alone", "leave it out")
    if arguments.case.is_file():
        raise InputError(
            arguments.case,
            "is a file, not the folder of an export",
            "for a plan alone name a phantom: --phantom water",
        )
    profile = load_profile(arguments.profile or read_configuration().profile)
    return check_plan(arguments.case, arguments, profile, screen, ranks)


def check_plan(
    folder: Path,
    arguments: Namespace,
    profile: Profile,
    screen: Screen,
    ranks: World,
) -> int:
    """Compute and compare; returns the exit code.

    Parameters
    ----------
    folder : Path
        The export.
    arguments : Namespace
        `out`, `overwrite`, `machine`, `calibration`, `fraction_group`, `voxel`, `dose_to`, and the options of
        a run.
    profile : Profile
        Limits to judge by.
    """
    started = time.monotonic()
    files = find_case(folder, arguments.fraction_group)
    plan = read_plan(files.plan_file, arguments.fraction_group)
    owner = output.Owner.of(plan, read_identity([files.plan_file]))
    part = "" if plan.fraction_group is None else f" group {plan.fraction_group}"
    out = arguments.out or output.default_folder(owner.label + part, owner.patient)
    options = run_options(arguments, ranks, checkpoint_in=out)
    ready = nullcontext()
    if ranks.rank == 0:
        ready = output.result_folder(out, folder, owner, arguments.overwrite)
    with screen.progress() as bar, ready:
        bar.stage("reading the export")
        case = PlanCase.read(files, plan, arguments.calibration)
        if ranks.rank == 0:
            voxels = math.prod(case.dose_grid.shape)
            output.check_space(out, voxels * (2 if options.dose_to_water else 1))
            if case.planned_dose is None:
                screen.note(NOTE)
        computed = compute_case(
            case,
            machine=arguments.machine,
            voxel_cm=arguments.voxel,
            options=options,
            listener=replace(bar.listener, message=screen.note),
        )
        if ranks.rank > 0:
            return PASSED  # rank 0 has the last word
        from validation.workflow.reports import write_files
        from validation.workflow.results import write_plan_result

        bar.stage("writing the dose")
        if case.planned_dose is None:
            from validation.cli.dose_alone import finish

            bar.close()
            code = finish(out, case, computed, profile, compared_dose(arguments), screen)
            if not computed.report.interrupted:
                options.checkpoint.remove()
            return code
        result, warnings = write_plan_result(out, case, computed, compared_dose(arguments))
        for warning in warnings:
            screen.warn(warning)
        bar.stage("comparing")
        comparison = result.compare(profile, name=case.identity.label if arguments.name else "")
        report = write_files(comparison, out)
    show_verdict(comparison, screen)
    for path, why in files.unused:
        screen.note(f"not used: {path.name} ({why})")
    screen.line(f"{clock(time.monotonic() - started)}; report: {report}")
    if computed.report.interrupted:
        screen.note("the same command resumes the run")
        return NO_VERDICT
    options.checkpoint.remove()
    return exit_code(comparison)

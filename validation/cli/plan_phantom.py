"""`mcverify plan RTPLAN.dcm --phantom NAME`: the dose of a plan in a phantom, without a patient."""

from __future__ import annotations

import time
from argparse import Namespace
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from mc.run.parallel import World
from phantoms.errors import InputError
from validation.cli import gamma
from validation.cli.arguments import compared_dose, run_options
from validation.cli.screen import Screen, clock
from validation.workflow import output
from validation.workflow.computing import compute_case
from validation.workflow.doses import read_dose
from validation.workflow.phantom_plan import PhantomPlan

DONE, NO_RESULT = 0, 2
CRITERION = "3%/2mm"


def run(arguments: Namespace, screen: Screen, ranks: World) -> int:
    """Compute the dose; compare it by gamma where an RTDOSE is given. Returns the exit code."""
    started = time.monotonic()
    _refuse_patient_options(arguments)
    chosen = PhantomPlan.load(arguments.case, arguments.phantom, arguments.fraction_group)
    if arguments.dose is not None:
        read_dose(arguments.dose, planar=True)  # refused now rather than after the run
    owner = chosen.owner
    out = arguments.out or output.default_folder(owner.label, owner.patient, chosen.described.path.stem)
    options = run_options(arguments, ranks, checkpoint_in=out)
    ready = nullcontext()
    if ranks.rank == 0:
        ready = output.result_folder(out, arguments.case, owner, arguments.overwrite)
    with screen.progress() as bar, ready:
        if ranks.rank == 0:
            output.check_space(out, int(chosen.phantom.density.size) * (2 if options.dose_to_water else 1))
        computed = compute_case(
            chosen,
            machine=arguments.machine,
            voxel_cm=None,
            options=options,
            listener=replace(bar.listener, message=screen.note),
        )
        if ranks.rank > 0:
            return DONE
        bar.stage("writing the dose")
        record = chosen.write(out, computed, compared_dose(arguments))
    for warning in computed.warnings:
        screen.warn(warning)
    screen.facts(f"{chosen.plan.label} in {chosen.described.title}", _facts(record))
    interrupted = computed.report.interrupted
    if not interrupted:
        options.checkpoint.remove()
    if arguments.dose is not None:
        gamma.run(_comparison(arguments, out), screen, ranks)
    screen.line(f"{clock(time.monotonic() - started)}; dose: {out / output.RTDOSE} and {out / output.DOSE}")
    return NO_RESULT if interrupted else DONE


def _refuse_patient_options(arguments: Namespace) -> None:
    """Refuse what a plan in a phantom has no use for."""
    for name in ("profile", "calibration", "voxel"):
        if getattr(arguments, name) is not None:
            raise InputError(
                f"--{name}", "is of a patient, and this plan is computed in a phantom", "leave it out"
            )


def _facts(record: dict) -> list[tuple[str, str]]:
    places = [
        (
            f"dose about the isocentre ({', '.join(f'{c:.1f}' for c in each['at_mm'])} mm)",
            "outside the phantom" if each["mean_gy"] is None else f"{each['mean_gy']:.4f} Gy, mean of 1 cm3",
        )
        for each in record["isocentres"]
    ]
    latent = record["latent_uncertainty"]
    return [
        ("machine", record["machine"]),
        ("monitor units", f"{record['monitor_units']:.1f} a fraction, {record['fractions']} fractions"),
        *places,
        ("largest dose", f"{record['maximum_gy']:.4f} Gy at "
         f"({', '.join(f'{c:.1f}' for c in record['maximum_at_mm'])}) mm"),
        ("transport sigma", f"{100 * record['transport_uncertainty']:.2f} %, rms above half of the maximum"),
        ("latent sigma", "unknown" if latent is None else f"{100 * latent:.2f} %"),
    ]  # fmt: skip


def _comparison(arguments: Namespace, out: Path) -> Namespace:
    """What `mcverify gamma` is asked for."""
    return Namespace(
        reference=arguments.dose, evaluated=out / output.DOSE, criterion=arguments.criterion or CRITERION,
        local=False, threshold=10.0, structure=None, structure_file=None, dose_to=compared_dose(arguments),
        tolerance=None, unrelated=False, out=None,
    )  # fmt: skip

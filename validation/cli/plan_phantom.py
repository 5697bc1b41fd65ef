"""`mcverify plan RTPLAN.dcm --phantom NAME`: the dose of a plan in a phantom, without a patient."""

from __future__ import annotations

import json
import time
from argparse import Namespace
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from mc import __version__
from mc.compute.plan_dose import ComputedDose, compute_phantom_dose
from mc.dose import TO_MEDIUM, TO_WATER
from mc.plan.plan import Plan
from mc.plan.rtplan import read_plan
from mc.run.parallel import World
from phantoms.errors import InputError
from phantoms.files import replacing
from phantoms.phantom_file import PhantomFile, find_phantom
from validation.cli import gamma, output
from validation.cli.computing import listener_of, machine_of, run_options
from validation.cli.screen import Screen, clock
from validation.metrics.numbers import plain
from validation.rtdose import OfPlan, write_rtdose

DONE, NO_RESULT = 0, 2
CRITERION = "3%/2mm"
ABOUT = 0.5  # half width of the cube about an isocentre that its dose is averaged over [cm]


def run(arguments: Namespace, screen: Screen, ranks: World) -> int:
    """Compute the dose; compare it by gamma where an RTDOSE is given. Returns the exit code."""
    started = time.monotonic()
    _refuse_patient_options(arguments)
    plan, chosen = read_plan(arguments.case), find_phantom(arguments.phantom)
    if arguments.dose is not None:
        gamma.read_dose(arguments.dose)  # refused now rather than after the run
    phantom = chosen.about(plan.beams[0].control_points[0].isocentre)
    out = arguments.out or output.default_folder(plan.label, arguments.case)
    options = run_options(arguments, ranks, checkpoint_in=out)
    ready = output.result_folder(out, arguments.case) if ranks.rank == 0 else nullcontext()
    with screen.progress() as bar, ready:
        if ranks.rank == 0:
            output.check_space(out, int(phantom.density.size) * (2 if options.dose_to_water else 1))
        machine = machine_of(plan, arguments, bar)
        listener = listener_of(plan, machine, options, bar, screen)
        computed = compute_phantom_dose(plan, phantom, machine, options=options, listener=listener)
        if ranks.rank > 0:
            return DONE
        bar.stage("writing the dose")
        record = _write(out, arguments, plan, chosen, computed)
    for warning in computed.warnings:
        screen.warn(warning)
    screen.facts(f"{plan.label} in {chosen.title}", _facts(record))
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
    if not arguments.case.is_file():
        raise InputError(arguments.case, "is no file", "with --phantom name the RTPLAN itself")


def _write(out: Path, arguments: Namespace, plan: Plan, chosen: PhantomFile, computed: ComputedDose) -> dict:
    """Write both files of the dose and the result, and return the result."""
    whole = computed.dose
    dose = whole.to_water if arguments.dose_to == "water" else whole
    whole.save(out / output.DOSE)
    output.drop_older(out)
    with replacing(out / output.RTDOSE) as path:
        kind = TO_WATER if dose is whole.to_water else TO_MEDIUM
        description = f"mcverify, {kind}, of {plan.label}, {chosen.path.stem}"
        template = OfPlan(arguments.case, plan.uid, plan.structure_set_uid)
        write_rtdose(path, np.maximum(dose.mean, 0.0), dose.grid, template, description, __version__)
    top = np.unravel_index(int(np.argmax(dose.mean)), dose.grid.shape)
    record = plain(
        {
            "schema": output.PHANTOM_SCHEMA,
            "schema_version": 1,
            "plan": {"label": plan.label, "uid": plan.uid},
            "machine": computed.machine.name,
            "phantom": {"file": chosen.path.name, "title": chosen.title},
            "fractions": plan.fractions,
            "monitor_units": sum(beam.mu for beam in plan.beams),
            "isocentres": [_at_isocentre(dose, place) for place in _isocentres(plan)],
            "maximum_gy": float(dose.mean[top]),
            "maximum_at_mm": [10.0 * dose.grid.centres(axis)[top[axis]] for axis in (2, 1, 0)],
            "transport_uncertainty": computed.report.transport_uncertainty,
            "latent_uncertainty": computed.report.latent_uncertainty,
            "stopped_by": computed.report.stopped_by,
            "warnings": computed.warnings,
            "provenance": dose.provenance,
        }
    )
    with replacing(out / output.RESULT) as path:
        path.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return record


def _isocentres(plan: Plan) -> list[tuple[float, float, float]]:
    points = (point.isocentre for beam in plan.beams for point in beam.control_points)
    return list(dict.fromkeys(points))


def _at_isocentre(dose, place: tuple[float, float, float]) -> dict:
    """Mean dose of the voxels about an isocentre, its place in mm."""
    inside = [
        np.abs(dose.grid.centres(axis) - place[2 - axis]) <= max(ABOUT, 0.5 * dose.grid.spacing[axis]) + 1e-9
        for axis in range(3)
    ]
    cube = dose.mean[np.ix_(*inside)]
    return {"at_mm": [10.0 * c for c in place], "mean_gy": float(cube.mean()) if cube.size else None}


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
        local=False, threshold=10.0, structure=None, structure_file=None, dose_to=_scored(arguments),
        tolerance=None, out=None,
    )  # fmt: skip


def _scored(arguments: Namespace) -> str:
    return "water" if arguments.dose_to == "water" else "medium"

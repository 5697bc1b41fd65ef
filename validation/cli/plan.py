"""`mcverify plan`: from a clinic's export to a verdict and a report."""

from __future__ import annotations

import time
from argparse import Namespace
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mc import __version__
from mc.compute.plan_dose import ComputedDose, compute_plan_dose
from mc.dose import TO_MEDIUM, TO_WATER, Dose
from mc.plan.plan import Plan
from mc.plan.rtplan import read_plan
from mc.run.parallel import World
from phantoms.case import CASE_FILE, Case, find_case
from phantoms.ct import CT, read_ct
from phantoms.errors import InputError
from phantoms.files import replacing
from phantoms.hu import load_calibration
from phantoms.identity import Identity, read_identity
from phantoms.overrides import CaseFile, load_case_file
from phantoms.polygons import mask_by_centre
from phantoms.structures import StructureSet, read_structures
from validation.cli import output
from validation.cli.computing import listener_of, machine_of, run_options
from validation.cli.kernels import load_gamma
from validation.cli.screen import Screen, clock
from validation.cli.verdict import show_verdict
from validation.limits.profiles import DEFAULT, Profile, load_profile
from validation.rtdose import PlannedDose, course_dose, read_rtdose, sum_beam_doses, write_rtdose

if TYPE_CHECKING:
    from validation.plan_check.comparison import Comparison

PASSED, FAILED, NO_VERDICT = 0, 1, 2


@dataclass(frozen=True, eq=False)
class Inputs:
    """A case as it was read."""

    case: Case
    identity: Identity
    case_file: CaseFile
    plan: Plan
    ct: CT
    structures: StructureSet
    dose: PlannedDose  # of the whole course


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
    profile = load_profile(arguments.profile or DEFAULT)
    if arguments.calibration:
        own = arguments.case / CASE_FILE
        materials = load_case_file(own).materials if own.is_file() else None
        load_calibration(arguments.calibration, materials)  # refused now rather than after reading the CT
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
        `out`, `machine`, `calibration`, `voxel`, `dose_to` and the options of a run.
    profile : Profile
        Limits to judge by.
    """
    started = time.monotonic()
    case = find_case(folder)
    plan = read_plan(case.plan_file)
    out = arguments.out or output.default_folder(read_identity([case.plan_file]).hidden(plan.label))
    options = run_options(arguments, ranks, checkpoint_in=out)
    ready = output.result_folder(out, folder) if ranks.rank == 0 else nullcontext()
    with screen.progress() as bar, ready:
        bar.stage("reading the export")
        inputs = read_inputs(case, plan, arguments.calibration)
        if ranks.rank == 0:
            output.check_space(out, int(inputs.dose.dose.size) * (2 if options.dose_to_water else 1))

        machine = machine_of(plan, arguments, bar)
        computed = compute_plan_dose(
            plan,
            inputs.ct,
            inputs.structures,
            inputs.dose.grid,
            machine=machine,
            case_file=inputs.case_file,
            voxel=arguments.voxel,
            options=options,
            listener=listener_of(plan, machine, options, bar, screen),
        )
        if ranks.rank > 0:
            return PASSED  # rank 0 has the last word
        bar.stage("writing the dose")
        dose = computed.dose.to_water if arguments.dose_to == "water" else computed.dose
        _write_dose(out, inputs, computed.dose, dose, screen)
        bar.stage("comparing")
        load_gamma()
        comparison = _compare(inputs, computed, dose, profile, out, arguments.name)
    show_verdict(comparison, screen)
    for path, why in case.unused:
        screen.note(f"not used: {path.name} ({why})")
    if computed.report.interrupted:
        reached = 100 * computed.report.transport_uncertainty
        screen.warn(f"interrupted at {reached:.2f} % transport sigma: the verdict above is provisional")
    screen.line(f"{clock(time.monotonic() - started)}; report: {out / output.REPORT}")
    if computed.report.interrupted:
        screen.note("the same command resumes the run")
        return NO_VERDICT
    options.checkpoint.remove()
    return PASSED if comparison.verdict.passed else FAILED


def read_inputs(case: Case, plan: Plan, curve: str | None = None) -> Inputs:
    """Read what `case` lists; `curve` names the CT calibration in place of the case file's."""
    case_file = load_case_file(case.case_file) if case.case_file else CaseFile()
    if curve:
        case_file = replace(case_file, calibration=curve)
    structures = read_structures(case.structures_file)
    title = (case.plan_file, case.structures_file, *(dose.path for dose in case.doses), case.ct_files[0])
    identity = read_identity(title)
    doses = [read_rtdose(file.path) for file in case.doses]
    whole = len(doses) == 1 and doses[0].summation != "BEAM"
    dose = doses[0] if whole else sum_beam_doses(doses, [beam.number for beam in plan.beams])
    dose = course_dose(dose, plan.fractions)
    _refuse_incomparable(dose, structures, case_file)
    return Inputs(case, identity, case_file, plan, read_ct(case.ct_files), structures, dose)


def _refuse_incomparable(dose: PlannedDose, structures: StructureSet, case_file: CaseFile) -> None:
    """Refuse now what could not be compared once the Monte Carlo dose is there."""
    if not dose.dose.any():
        raise InputError(dose.path, "is zero everywhere", "export the dose of this plan")
    outline = structures.external(case_file.external)
    if not dose.dose[mask_by_centre(outline, dose.grid)].any():
        raise InputError(
            dose.path, f"is zero everywhere in {outline.name}", "do RTDOSE and RTSTRUCT belong together?"
        )


def _write_dose(out: Path, inputs: Inputs, whole: Dose, dose: Dose, screen: Screen) -> None:
    """Write all doses, and as RTDOSE the one compared; first, so that nothing later can lose them."""
    whole.save(out / output.DOSE)
    output.drop_older(out)
    below = int(np.count_nonzero(dose.mean < 0.0))
    if below:  # an RTDOSE holds none
        screen.warn(f"{below} voxels have a dose below 0 (to {dose.mean.min():.2g} Gy), 0 in {output.RTDOSE}")
    with replacing(out / output.RTDOSE) as path:
        kind = TO_WATER if dose is whole.to_water else TO_MEDIUM
        description = f"mcverify, {kind}, of {inputs.plan.label}"
        write_rtdose(path, np.maximum(dose.mean, 0.0), dose.grid, inputs.dose, description, __version__)


def _compare(
    inputs: Inputs, computed: ComputedDose, dose: Dose, profile: Profile, out: Path, named: bool
) -> Comparison:
    """Compare `dose` with the plan's dose; write what it was made from, and the report."""
    from validation.plan_check.comparison import compare
    from validation.plan_check.points import read_points
    from validation.plan_check.record import Record

    record = Record.of(
        plan=inputs.plan,
        structures=inputs.structures,
        planned_dose=inputs.dose,
        ct=inputs.ct,
        phantom=computed.phantom,
        quantity=TO_MEDIUM if dose is computed.dose else TO_WATER,
        warnings=[*inputs.case.warnings, *computed.warnings],
        points=read_points(inputs.case.plan_file, [dose.path for dose in inputs.case.doses]),
        identity=inputs.identity,
    )
    record.save(out / output.INPUTS, out / output.DOSE)
    comparison = compare(record, computed.dose, profile, name=inputs.identity.label if named else "")
    write_comparison(comparison, out)
    return comparison


def write_comparison(comparison: Comparison, out: Path) -> None:
    """Write report and result into the folder `out`."""
    from validation.report.html import write_html
    from validation.report.pdf import write_pdf
    from validation.report.plan import plan_report
    from validation.report.write import write_result

    report = plan_report(comparison)
    write_html(report, out / output.REPORT)
    write_pdf(report, out / output.PRINTED)
    write_result(comparison, out / output.RESULT)

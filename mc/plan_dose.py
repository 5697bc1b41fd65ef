"""From a clinic's export to the Monte Carlo dose of its plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from mc import parallel
from mc.batch import PlacedBeam, open_on_all_ranks
from mc.calibration import Calibrated, find_calibration, stated_calibration
from mc.checkpoint import CheckpointRule
from mc.config import Physics
from mc.dose import TO_MEDIUM, TO_WATER, Dose
from mc.machine import Machine, find_machine, phase_space_for
from mc.provenance import provenance
from mc.run import Progress, StopRule, simulate
from mc.source.aperture import shaped_by
from mc.source.delivery import deliver
from mc.source.phase_space import PhaseSpace
from mc.source.plan import Beam, Plan
from phantoms.assemble import build_phantom, coverage_warnings, patient_extent, transport_grid
from phantoms.ct import CT
from phantoms.errors import InputError
from phantoms.grid import Grid
from phantoms.hu import load_calibration
from phantoms.overrides import CaseFile
from phantoms.phantom import Phantom
from phantoms.polygons import mask_by_centre
from phantoms.structures import ROI, StructureSet

DEFAULT_CURVE = "opentps-4"


@dataclass(frozen=True, eq=False)
class PlanDose:
    """The Monte Carlo dose of a plan, and what it was made from.

    Parameters
    ----------
    dose : Dose
        Course dose to medium on the RTDOSE grid, or on the transport grid where another voxel size was asked
        for; with dose to water beside it if that was asked for.
    phantom : Phantom
    machine : Machine
    calibrations : mapping of str to Calibrated
        By beam quality.
    quality : dict
        See `mc.run.simulate`.
    warnings : tuple of str
    """

    dose: Dose
    phantom: Phantom
    machine: Machine
    calibrations: dict[str, Calibrated]
    quality: dict
    warnings: tuple[str, ...]


def plan_dose(
    plan: Plan,
    ct: CT,
    structures: StructureSet,
    dose_grid: Grid,
    *,
    machine_file: Path | None = None,
    case_file: CaseFile | None = None,
    voxel: float | None = None,
    water: bool = False,
    physics: Physics | None = None,
    stop: StopRule | None = None,
    seed: int = 1,
    threads: int | None = None,
    on_stage: Callable[[str], None] = lambda _: None,
    on_progress: Callable[[Progress], None] = lambda _: None,
    checkpoint: CheckpointRule | None = None,
    world: parallel.World | None = None,
) -> PlanDose:
    """Compute the dose of a plan by Monte Carlo.

    Parameters
    ----------
    plan, ct, structures
        Matched already (`phantoms.case.find_case`).
    dose_grid : Grid
        Of the planning system's dose.
    machine_file : Path, optional
        Otherwise the file of the plan's machine name is looked for.
    case_file : CaseFile, optional
        Calibration curve, overrides, body outline.
    voxel : float, optional
        Side of the transport voxels [cm]; those of `dose_grid` if not given.
    water : bool
        Whether dose to water is scored too.
    on_stage : callable
        Told in a few words what begins.
    checkpoint : CheckpointRule, optional
        Of the transport; see `mc.run.simulate`.

    Raises
    ------
    InputError
        If the machine cannot deliver the plan, or anything does not fit together.
    """
    case_file, physics = case_file or CaseFile(), physics or Physics()
    stop, world = stop or StopRule(), world or parallel.world()
    machine = find_machine(plan.machine, machine_file)
    warnings = [*plan.warnings]

    on_stage("phase spaces")
    files = [_phase_space_file(machine, beam) for beam in plan.beams]
    spaces = {path: open_on_all_ranks(path, world) for path in dict.fromkeys(file.file for file in files)}
    for space in spaces.values():
        warnings += space.warnings

    qualities = [machine.quality(beam.energy, beam.fluence_mode) for beam in plan.beams]
    for quality in dict.fromkeys(qualities):  # in one order on all ranks, which open files together
        stated_calibration(machine, quality, physics)  # refused now rather than after compiling

    on_stage("phantom")
    phantom, scored = patient_phantom(ct, structures, dose_grid, case_file, voxel, warnings.append)
    if case_file.calibration is None:
        warnings.append(f"no CT calibration was chosen; the curve {DEFAULT_CURVE} was taken")

    on_stage("calibration")
    calibrations: dict[str, Calibrated] = {}
    for beam in plan.beams:
        quality = machine.quality(beam.energy, beam.fluence_mode)
        if quality.label not in calibrations:
            found, told = find_calibration(
                machine, quality, physics, seed=seed, threads=threads, on_progress=on_progress
            )
            calibrations[quality.label] = found
            warnings += [*told, *(f"calibration: {fault}" for fault in _faults(found.quality))]

    on_stage("transport")
    placed = [
        _place(plan, beam, machine, file, spaces[file.file], calibrations)
        for beam, file in zip(plan.beams, files, strict=True)
    ]
    run = simulate(
        phantom,
        placed,
        physics,
        stop,
        scored=scored,
        water=water,
        seed=seed,
        threads=threads,
        on_progress=on_progress,
        checkpoint=checkpoint,
        world=world,
    )
    warnings += _quality_warnings(run.quality, stop)
    dose = run.dose if voxel is not None else run.dose.crop_to(dose_grid)
    record = {
        **provenance(),
        "plan_uid": plan.uid,
        "machine": machine.name,
        "machine_sha256": machine.sha256,
        "physics": asdict(physics),
        "stop": asdict(stop),
        "quality": run.quality,
        "phase_spaces": {path.name: space.sha256 for path, space in spaces.items()},
        "calibrations": {label: _calibration_record(found) for label, found in calibrations.items()},
    }
    return PlanDose(
        _named(dose, record),
        phantom,
        machine,
        calibrations,
        run.quality,
        tuple(dict.fromkeys(warnings)),
    )


def _named(dose: Dose, record: dict) -> Dose:
    """The dose with its provenance, in which both kinds of dose say what they are."""
    to_water = dose.to_water
    if to_water is not None:
        made = {**to_water.provenance, **record, "quantity": f"{TO_WATER}, whole course"}
        to_water = replace(to_water, provenance=made)
    made = {**dose.provenance, **record, "quantity": f"{TO_MEDIUM}, whole course"}
    return replace(dose, provenance=made, to_water=to_water)


def patient_phantom(
    ct: CT,
    structures: StructureSet,
    dose_grid: Grid,
    case_file: CaseFile,
    voxel: float | None,
    warn: Callable[[str], None] = lambda _: None,
) -> tuple[Phantom, np.ndarray]:
    """The phantom of a case, and where in it dose is kept: in the body, supports and overrides.

    `warn` is told every warning.
    """
    outline = structures.external(case_file.external)
    others: list[ROI] = structures.of_type("SUPPORT")
    others += [structures[override.roi] for override in case_file.overrides]
    grid = transport_grid(ct.grid, dose_grid, patient_extent(ct.grid, [outline, *others]), voxel)
    curve = load_calibration(case_file.calibration or DEFAULT_CURVE, case_file.materials)
    phantom = build_phantom(ct, structures, curve, grid, case_file.overrides, case_file.external)
    for warning in (*phantom.audit["warnings"], *coverage_warnings(ct.grid, dose_grid)):
        warn(warning)
    scored = mask_by_centre(outline, grid)
    for roi in others:
        scored |= mask_by_centre(roi, grid)
    return phantom, scored


def _phase_space_file(machine: Machine, beam: Beam):
    """The machine's phase space of a beam's energy and field."""
    if abs(beam.sad - machine.sad_cm) > 0.05:
        raise InputError(
            machine.path,
            f"has the isocentre at {machine.sad_cm} cm, beam {beam.number} of the plan at {beam.sad} cm",
        )
    quality = machine.quality(beam.energy, beam.fluence_mode)
    shaping = shaped_by(beam)
    if shaping:
        raise InputError(
            f"beam {beam.number} ({beam.name})",
            f"its field is not that of jaws alone, standing still: {shaping}",
            f"the {quality.label} beam of machine {machine.name} has phase spaces of such fields only",
        )
    return phase_space_for(quality, beam.jaws)


def _place(
    plan: Plan,
    beam: Beam,
    machine: Machine,
    file,
    space: PhaseSpace,
    calibrations: dict[str, Calibrated],
) -> PlacedBeam:
    """Aim a phase space as the plan says, weighted to the course's dose."""
    quality = machine.quality(beam.energy, beam.fluence_mode)
    per_history = calibrations[quality.label].calibration.gy_per_history
    weight = beam.mu * plan.fractions * quality.reference.dose_per_mu_gy / per_history
    delivery = deliver(beam, plan.patient_position, shaped=False)
    return PlacedBeam(beam.number, space, delivery, weight, file.mirror, file.target_z_cm)


def _calibration_record(found: Calibrated) -> dict:
    return {**asdict(found.calibration), "latent": found.relative_latent, "origin": found.origin}


def _quality_warnings(quality: dict, stop: StopRule) -> Sequence[str]:
    """What of the Monte Carlo a physicist must know before reading on."""
    warnings = []
    latent = quality["latent_uncertainty"]
    target = stop.uncertainty or quality["transport_uncertainty"]
    if np.isfinite(latent) and latent > target:
        warnings.append(
            f"the phase space's finite number of histories leaves {latent:.1%} (latent sigma), more than the "
            f"{target:.1%} asked for; no further transport of the same file can lower it"
        )
    if stop.uncertainty and quality["transport_uncertainty"] > stop.uncertainty:
        warnings.append(
            f"stopped by {quality['stopped_by']} at {quality['transport_uncertainty']:.1%} transport sigma, "
            f"short of the {stop.uncertainty:.1%} asked for"
        )
    return [*warnings, *_faults(quality)]


def _faults(quality: dict) -> list[str]:
    """What went wrong in a simulation; nothing if `quality` is empty, for none was run."""
    if not quality:
        return []
    faults = []
    if not abs(quality["energy_balance"] - 1.0) <= 1e-6:  # NaN is a fault, too
        faults.append(f"energy balance is off: {quality['energy_balance']:.8f}")
    for name in ("lost_particles", "stack_overflows"):
        if quality[name]:
            faults.append(f"{quality[name]} {name.replace('_', ' ')}")
    return faults

"""From a clinic's export to the Monte Carlo dose of its plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from mc.compute.calibration import Calibrated, find_calibration, stated_calibration
from mc.config import Physics
from mc.dose import TO_MEDIUM, TO_WATER, Dose
from mc.machine.machine import (
    ABOVE,
    BELOW,
    BeamQuality,
    Machine,
    PhaseSpaceFile,
    find_machine,
    phase_space_for,
)
from mc.plan.aperture import extent, shaped_by
from mc.plan.couch import place_couch
from mc.plan.delivery import deliver
from mc.plan.field import check_field
from mc.plan.plan import Beam, Plan
from mc.provenance import provenance
from mc.run import parallel
from mc.run.batch import PlacedBeam, open_on_all_ranks
from mc.run.checkpoint import CheckpointRule
from mc.run.simulate import Progress, StopRule, simulate
from mc.source.phase_space import PhaseSpace
from phantoms.assemble import build_phantom, coverage_warnings, patient_extent, transport_grid
from phantoms.couch import Placed, add_couch
from phantoms.ct import CT
from phantoms.errors import InputError
from phantoms.grid import Grid
from phantoms.hu import load_calibration
from phantoms.overrides import CaseFile
from phantoms.phantom import Phantom
from phantoms.polygons import mask_by_centre
from phantoms.structures import ROI, StructureSet

DEFAULT_CURVE = "opentps-4"
GAS = 0.01  # voxels outside the body less dense than this may be filled by a couch [g/cm3]


@dataclass(frozen=True, eq=False)
class ComputedDose:
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
        See `mc.run.simulate.simulate`.
    warnings : tuple of str
    """

    dose: Dose
    phantom: Phantom
    machine: Machine
    calibrations: dict[str, Calibrated]
    quality: dict
    warnings: tuple[str, ...]


def compute_plan_dose(
    plan: Plan,
    ct: CT,
    structures: StructureSet,
    dose_grid: Grid,
    *,
    machine: Machine | None = None,
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
) -> ComputedDose:
    """Compute the dose of a plan by Monte Carlo.

    Parameters
    ----------
    plan, ct, structures
        Matched already (`phantoms.case.find_case`).
    dose_grid : Grid
        Of the planning system's dose.
    machine : Machine, optional
        Otherwise that of the plan's machine name is looked for.
    case_file : CaseFile, optional
        Calibration curve, overrides, body outline.
    voxel : float, optional
        Side of the transport voxels [cm]; those of `dose_grid` if not given.
    water : bool
        Whether dose to water is scored too.
    on_stage : callable
        Told in a few words what begins.
    checkpoint : CheckpointRule, optional
        Of the transport; see `mc.run.simulate.simulate`.

    Raises
    ------
    InputError
        If the machine cannot deliver the plan, or anything does not fit together.
    """
    case_file = case_file or CaseFile()
    run = _Run(
        water, physics or Physics(), stop or StopRule(), seed, threads, on_stage, on_progress, checkpoint,
        world or parallel.world(),
    )  # fmt: skip
    warnings: list[str] = []
    machine = machine or find_machine(plan.machine)
    on_stage("phase spaces")
    sources = _open_sources(plan, machine, run)
    on_stage("phantom")
    couch = None
    if machine.couch is not None and not structures.of_type("SUPPORT"):
        couch = place_couch(plan, machine.couch, structures.external(case_file.external))
        if couch is None:
            warnings.append("the plan does not state the height of the table top: computed without a couch")
    phantom, scored = patient_phantom(ct, structures, dose_grid, case_file, voxel, warnings.append, couch)
    if case_file.calibration is None:
        warnings.append(f"no CT calibration was chosen; the curve {DEFAULT_CURVE} was taken")
    found = _compute(plan, machine, sources, phantom, scored, run)
    return replace(
        found,
        dose=found.dose if voxel is not None else found.dose.crop_to(dose_grid),
        warnings=tuple(dict.fromkeys([*warnings, *found.warnings])),
    )


def compute_phantom_dose(
    plan: Plan, phantom: Phantom, machine: Machine, scored: np.ndarray | None = None, **options
) -> ComputedDose:
    """Compute the dose of a plan in any phantom that lies in the plan's patient coordinates.

    The `options` are those of `compute_plan_dose` that concern no patient, from `water` on, and so are
    errors and result; the dose is on the phantom's grid, everywhere, or where it is `scored`,
    (nz, ny, nx) bool.
    """
    run = _Run(**options)
    return _compute(plan, machine, _open_sources(plan, machine, run), phantom, scored, run)


@dataclass(frozen=True, eq=False)
class _Source:
    """A beam, and the phase space it starts from."""

    beam: Beam
    quality: BeamQuality
    file: PhaseSpaceFile
    space: PhaseSpace


@dataclass(frozen=True, eq=False)
class _Run:
    """How a plan is computed; see `compute_plan_dose`."""

    water: bool = False
    physics: Physics = field(default_factory=Physics)
    stop: StopRule = field(default_factory=StopRule)
    seed: int = 1
    threads: int | None = None
    on_stage: Callable[[str], None] = lambda _: None
    on_progress: Callable[[Progress], None] = lambda _: None
    checkpoint: CheckpointRule | None = None
    world: parallel.World = field(default_factory=parallel.world)


def _open_sources(plan: Plan, machine: Machine, run: _Run) -> list[_Source]:
    """The phase spaces of a plan's beams, opened together on all ranks; refuses what cannot be computed."""
    files = [_phase_space_file(machine, beam) for beam in plan.beams]
    spaces = {path: open_on_all_ranks(path, run.world) for path in dict.fromkeys(file.file for file in files)}
    qualities = [machine.quality(beam.energy, beam.fluence_mode) for beam in plan.beams]
    for quality in dict.fromkeys(qualities):  # in one order on all ranks, which open files together
        stated_calibration(machine, quality, run.physics)  # refused now rather than after compiling
    return [
        _Source(beam, quality, file, spaces[file.file])
        for beam, quality, file in zip(plan.beams, qualities, files, strict=True)
    ]


def _compute(
    plan: Plan,
    machine: Machine,
    sources: Sequence[_Source],
    phantom: Phantom,
    scored: np.ndarray | None,
    run: _Run,
) -> ComputedDose:
    """Calibrate and transport; the dose is on the phantom's grid, where it is `scored`."""
    warnings = [*plan.warnings]
    for source in sources:
        warnings += source.space.warnings
    run.on_stage("calibration")
    calibrations: dict[str, Calibrated] = {}
    for quality in dict.fromkeys(source.quality for source in sources):
        found, notes = find_calibration(
            machine, quality, run.physics, seed=run.seed, threads=run.threads, on_progress=run.on_progress
        )
        calibrations[quality.label] = found
        warnings += [*notes, *(f"calibration: {fault}" for fault in _faults(found.quality))]

    run.on_stage("transport")
    simulated = simulate(
        phantom,
        [_place(plan, machine, source, calibrations[source.quality.label]) for source in sources],
        run.physics,
        run.stop,
        scored=scored,
        water=run.water,
        seed=run.seed,
        threads=run.threads,
        on_progress=run.on_progress,
        checkpoint=run.checkpoint,
        world=run.world,
    )
    warnings += _quality_warnings(simulated.quality, run.stop)
    record = {
        **provenance(),
        "plan_uid": plan.uid,
        "machine": machine.name,
        "machine_sha256": machine.sha256,
        "physics": asdict(run.physics),
        "stop": asdict(run.stop),
        "quality": simulated.quality,
        "phase_spaces": {source.file.file.name: source.space.sha256 for source in sources},
        "calibrations": {label: _calibration_record(found) for label, found in calibrations.items()},
    }
    return ComputedDose(
        _named(simulated.dose, record),
        phantom,
        machine,
        calibrations,
        simulated.quality,
        tuple(dict.fromkeys(warnings)),
    )


def above_jaws(plan: Plan, machine: Machine) -> bool:
    """Whether a beam of a plan needs the machine's collimators to be modelled."""
    return any(_phase_space_file(machine, beam).plane == ABOVE for beam in plan.beams)


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
    couch: Placed | None = None,
) -> tuple[Phantom, np.ndarray]:
    """The phantom of a case, and where in it dose is kept: in the body, supports and overrides.

    `warn` is told every warning. A `couch` fills the air it meets outside the body.
    """
    outline = structures.external(case_file.external)
    others: list[ROI] = structures.of_type("SUPPORT")
    others += [structures[override.roi] for override in case_file.overrides]
    extent = patient_extent(ct.grid, [outline, *others])
    if couch is not None:
        lower, upper = couch.extent(ct.grid)
        extent = np.minimum(extent[0], lower), np.maximum(extent[1], upper)
    grid = transport_grid(ct.grid, dose_grid, extent, voxel)
    curve = load_calibration(case_file.calibration or DEFAULT_CURVE, case_file.materials)
    phantom = build_phantom(ct, structures, curve, grid, case_file.overrides, case_file.external)
    for warning in (*phantom.audit["warnings"], *coverage_warnings(ct.grid, dose_grid)):
        warn(warning)
    scored = mask_by_centre(outline, grid)
    if couch is not None:
        phantom = add_couch(phantom, couch, ~scored & (phantom.density < GAS))
    for roi in others:
        scored |= mask_by_centre(roi, grid)
    return phantom, scored


def _phase_space_file(machine: Machine, beam: Beam) -> PhaseSpaceFile:
    """The machine's phase space for a beam: that scored below its jaws if there is one, or one above them."""
    if abs(beam.sad - machine.sad_cm) > 0.05:
        raise InputError(
            machine.path,
            f"has the isocentre at {machine.sad_cm} cm, beam {beam.number} of the plan at {beam.sad} cm",
        )
    quality = machine.quality(beam.energy, beam.fluence_mode)
    shaping = shaped_by(beam)
    if not shaping:
        file = phase_space_for(quality, beam.segments[0][0].jaws)
        if file.plane == BELOW:
            return file
    above = tuple(file for file in quality.phase_spaces if file.plane == ABOVE)
    if not above:
        raise InputError(
            f"beam {beam.number} ({beam.name})",
            f"its field is not that of jaws alone, standing still: {shaping}",
            f"the {quality.label} beam of machine {machine.name} has phase spaces of such fields only",
        )
    check_field(machine, beam)
    return phase_space_for(replace(quality, phase_spaces=above), extent(beam))


def _place(plan: Plan, machine: Machine, source: _Source, calibrated: Calibrated) -> PlacedBeam:
    """Aim a phase space as the plan says, weighted to the course's dose."""
    beam, quality, file = source.beam, source.quality, source.file
    per_history = calibrated.calibration.gy_per_history
    above = file.plane == ABOVE
    return PlacedBeam(
        number=beam.number,
        phase_space=source.space,
        delivery=deliver(beam, plan.patient_position, shaped=above, output=quality.output),
        weight=beam.mu * plan.fractions * quality.reference.dose_per_mu_gy / per_history,
        mirror=file.mirror,
        target_z=file.target_z_cm,
        rotate=file.rotate,
        through=machine if above else None,
        cone=beam.cone,
        opening=extent(beam),
    )


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

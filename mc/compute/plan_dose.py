"""From a clinic's export to the Monte Carlo dose of its plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from mc.compute.calibration import Calibrated, find_calibration, stated_calibration
from mc.dose import TO_MEDIUM, TO_WATER, Dose
from mc.machine.beam_model import BeamModel, beam_model, judged_files
from mc.machine.folder import find_machine
from mc.machine.machine import (
    ABOVE,
    BELOW,
    BeamQuality,
    Machine,
    PhaseSpaceFile,
    phase_space_for,
)
from mc.plan.aperture import extent, shaped_by
from mc.plan.couch import place_couch
from mc.plan.delivery import deliver
from mc.plan.field import check_field
from mc.plan.plan import Beam, Plan
from mc.provenance import provenance
from mc.run.batch import PlacedBeam, open_on_all_ranks
from mc.run.options import RunOptions, StopRule
from mc.run.progress import Listener
from mc.run.report import RunReport
from mc.run.simulate import simulate
from mc.source.phase_space import PhaseSpace
from phantoms.assemble import build_phantom, coverage_warnings, patient_extent, transport_grid
from phantoms.couch import Placed, add_couch
from phantoms.ct import CT
from phantoms.errors import InputError
from phantoms.grid import Grid
from phantoms.hu import load_calibration
from phantoms.listing import Listing
from phantoms.overrides import CaseFile
from phantoms.phantom import Phantom
from phantoms.polygons import mask_by_centre
from phantoms.structures import ROI, StructureSet
from phantoms.views import Artists, Axes

DEFAULT_CURVE = "opentps-4"
GAS = 0.01  # a couch may replace voxels outside the body of less than this density [g/cm3]


@dataclass(frozen=True, eq=False)
class ComputedDose:
    """The Monte Carlo dose of a plan, and what it was made from.

    Parameters
    ----------
    dose : Dose
        Course dose to medium on the RTDOSE grid, or on the transport grid if another voxel size was
        requested; with dose to water beside it if that was scored.
    phantom : Phantom
    machine : Machine
    calibrations : mapping of str to Calibrated
        By beam quality.
    report : RunReport
        Of the transport.
    warnings : tuple of str
    """

    dose: Dose
    phantom: Phantom
    machine: Machine
    calibrations: dict[str, Calibrated]
    report: RunReport
    warnings: tuple[str, ...]

    @property
    def dose_gy(self) -> np.ndarray:
        """Dose to medium of the whole course, (nz, ny, nx) float64 [Gy]."""
        return self.dose.mean

    @property
    def sigma_gy(self) -> np.ndarray:
        """One sigma of the transport, (nz, ny, nx) float64 [Gy]."""
        return self.dose.sigma

    @property
    def axes_mm(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Voxel centres along z, y and x, in DICOM patient coordinates [mm]."""
        return self.dose.grid.axes_mm

    def plot(self, axes: Axes, view: str = "axial", at_mm: float | None = None) -> Artists:
        """Draw one plane of the dose to medium; see `mc.dose.Dose.plot`."""
        return self.dose.plot(axes, view, at_mm)

    def _repr_html_(self) -> str:
        report = self.report
        facts = [
            ("machine", self.machine.name),
            ("voxels (x, y, z)", " x ".join(str(n) for n in self.dose.grid.shape[::-1])),
            ("maximum", f"{self.dose_gy.max():.4g} Gy"),
            ("transport sigma", f"{100 * report.transport_uncertainty:.2f} %, rms above half the maximum"),
            ("latent sigma", f"{100 * report.latent_uncertainty:.2f} %"),
            ("histories", f"{report.histories:.4g}, stopped by {report.stopped_by}"),
            ("time", f"{report.wall_seconds:.1f} s"),
            *(("warning", text) for text in self.warnings),
        ]
        return Listing.facts("Monte Carlo dose", facts)._repr_html_()


def compute_plan_dose(
    plan: Plan,
    ct: CT,
    structures: StructureSet,
    dose_grid: Grid,
    *,
    machine: Machine | None = None,
    case_file: CaseFile | None = None,
    voxel: float | None = None,
    options: RunOptions = RunOptions(),
    listener: Listener = Listener(),
) -> ComputedDose:
    """Compute the dose of a plan by Monte Carlo.

    Parameters
    ----------
    plan, ct, structures
        Of one patient and frame of reference (`phantoms.case.find_case`).
    dose_grid : Grid
        Of the planning system's dose.
    machine : Machine, optional
        By default the one with the machine name of the plan.
    case_file : CaseFile, optional
        CT calibration curve, overrides, body outline.
    voxel : float, optional
        Side of the transport voxels [cm]; those of `dose_grid` if not given.
    options : RunOptions
    listener : Listener

    Raises
    ------
    InputError
        If the machine cannot deliver the plan, or the inputs do not fit together.
    """
    case_file = case_file or CaseFile()
    warnings: list[str] = []
    machine = machine or find_machine(plan.machine)
    listener.stage("phase spaces")
    sources = _open_sources(plan, machine, options)
    listener.stage("phantom")
    couch = None
    if machine.couch is not None and not structures.of_type("SUPPORT"):
        couch = place_couch(plan, machine.couch, structures.external(case_file.external))
        if couch is None:
            warnings.append("the plan does not state the height of the table top: computed without a couch")
    phantom, scored = patient_phantom(ct, structures, dose_grid, case_file, voxel, warnings.append, couch)
    if case_file.calibration is None:
        warnings.append(f"no CT calibration was chosen; the curve {DEFAULT_CURVE} was taken")
    found = _compute(_Delivery(plan, machine, sources), phantom, scored, options, listener)
    return replace(
        found,
        dose=found.dose if voxel is not None else found.dose.crop_to(dose_grid),
        warnings=tuple(dict.fromkeys([*warnings, *found.warnings])),
    )


def compute_phantom_dose(
    plan: Plan,
    phantom: Phantom,
    machine: Machine,
    *,
    scored: np.ndarray | None = None,
    options: RunOptions = RunOptions(),
    listener: Listener = Listener(),
) -> ComputedDose:
    """Compute the dose of a plan in a phantom that is given in the plan's patient coordinates.

    Parameters
    ----------
    plan : Plan
    phantom : Phantom
    machine : Machine
    scored : (nz, ny, nx) bool, optional
        Voxels whose dose is kept; all if not given.
    options : RunOptions
    listener : Listener

    Returns
    -------
    ComputedDose
        On the phantom's grid.

    Raises
    ------
    InputError
        If the machine cannot deliver the plan, or the inputs do not fit together.
    """
    delivery = _Delivery(plan, machine, _open_sources(plan, machine, options))
    return _compute(delivery, phantom, scored, options, listener)


@dataclass(frozen=True, eq=False)
class _Source:
    """A beam, and the phase space it starts from."""

    beam: Beam
    quality: BeamQuality
    file: PhaseSpaceFile
    space: PhaseSpace


@dataclass(frozen=True, eq=False)
class _Delivery:
    """A plan on a machine, with a source for each beam."""

    plan: Plan
    machine: Machine
    sources: Sequence[_Source]

    @property
    def qualities(self) -> list[BeamQuality]:
        """Beam qualities, each once, in the order of the beams."""
        return list(dict.fromkeys(source.quality for source in self.sources))


def _open_sources(plan: Plan, machine: Machine, options: RunOptions) -> list[_Source]:
    """Open the phase spaces of a plan's beams on all ranks; raises InputError for what cannot be computed."""
    files = [_phase_space_file(machine, beam) for beam in plan.beams]
    paths = dict.fromkeys(file.file for file in files)
    spaces = {path: open_on_all_ranks(path, options.ranks) for path in paths}
    qualities = [machine.quality(beam.energy, beam.fluence_mode) for beam in plan.beams]
    for quality in dict.fromkeys(qualities):  # in the same order on all ranks, which open files together
        stated_calibration(machine, quality, options.physics)  # refused now rather than after compilation
    return [
        _Source(beam, quality, file, spaces[file.file])
        for beam, quality, file in zip(plan.beams, qualities, files, strict=True)
    ]


def _compute(
    delivery: _Delivery,
    phantom: Phantom,
    scored: np.ndarray | None,
    options: RunOptions,
    listener: Listener,
) -> ComputedDose:
    """Calibrate and transport; the dose is on the phantom's grid, 0 where it is not `scored`."""
    plan, machine, sources = delivery.plan, delivery.machine, delivery.sources
    warnings = [*plan.warnings]
    for source in sources:
        warnings += source.space.warnings
    listener.stage("calibration")
    calibrations: dict[str, Calibrated] = {}
    for quality in delivery.qualities:
        found, notes = find_calibration(machine, quality, options, listener)
        calibrations[quality.label] = found
        faults = found.report.faults if found.report is not None else []
        warnings += [*notes, *(f"calibration: {fault}" for fault in faults)]

    listener.stage("transport")
    beams = [_place(plan, machine, source, calibrations[source.quality.label]) for source in sources]
    simulated = simulate(phantom, beams, options, scored=scored, listener=listener)
    report = simulated.report
    warnings += _uncertainty_warnings(report, options.stop) + report.faults
    record = {
        **provenance(),
        "plan_uid": plan.uid,
        "machine": machine.name,
        "machine_sha256": machine.sha256,
        "physics": asdict(options.physics),
        "stop": asdict(options.stop),
        "quality": report.to_dict(),
        "phase_spaces": {source.file.file.name: source.space.sha256 for source in sources},
        "calibrations": {
            quality.label: _calibration_record(quality, calibrations[quality.label])
            for quality in delivery.qualities
        },
        "beam_models": [model.to_dict() for model in _beam_models(delivery, options)],
    }
    return ComputedDose(
        _with_provenance(simulated.dose, record),
        phantom,
        machine,
        calibrations,
        report,
        tuple(dict.fromkeys(warnings)),
    )


def _beam_models(delivery: _Delivery, options: RunOptions) -> list[BeamModel]:
    """What the models of a plan's beams are worth; all ranks must call."""
    hashes = {source.file.file: source.space.sha256 for source in delivery.sources}
    models = []
    for quality in delivery.qualities:
        files = judged_files(quality) if quality.commissioned is not None else ()
        for path in files:
            if path not in hashes:
                hashes[path] = open_on_all_ranks(path, options.ranks).sha256
        models.append(beam_model(delivery.machine, quality, hashes))
    return models


def above_jaws(plan: Plan, machine: Machine) -> bool:
    """Whether a beam of a plan needs the machine's collimators to be modelled."""
    return any(_phase_space_file(machine, beam).plane == ABOVE for beam in plan.beams)


def _with_provenance(dose: Dose, record: dict) -> Dose:
    """The dose with its provenance, which states for each dose whether it is to medium or to water."""
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
    """The phantom of a patient, and the voxels whose dose is kept.

    Parameters
    ----------
    ct : CT
    structures : StructureSet
    dose_grid : Grid
        Of the planning system's dose.
    case_file : CaseFile
    voxel : float, optional
        Side of the voxels [cm]; those of `dose_grid` if None.
    warn : callable
        Called with every warning.
    couch : Placed, optional
        Table top that replaces the air outside the body.

    Returns
    -------
    phantom : Phantom
    scored : (nz, ny, nx) bool
        Voxels in the body, in supports and in structures with overrides.
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
    """The machine's phase space for a beam: one below the jaws if it fits the field, else one above them."""
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
    """Place a phase space as the plan states, with the weight that gives the dose of the whole course."""
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


def _calibration_record(quality: BeamQuality, found: Calibrated) -> dict:
    """What one MU of a beam is, and the dose per history that follows."""
    return {
        **asdict(found.calibration),
        "latent": found.relative_latent,
        "origin": found.origin,
        "nominal_mv": quality.nominal_mv,
        "fluence_mode": quality.fluence_mode,
        "reference": asdict(quality.reference),
    }


def _uncertainty_warnings(report: RunReport, stop: StopRule) -> list[str]:
    """Warnings about sigmas that exceed the requested uncertainty."""
    warnings = []
    latent, transport = report.latent_uncertainty, report.transport_uncertainty
    target = stop.uncertainty or transport
    if np.isfinite(latent) and latent > target:
        warnings.append(
            f"the phase space's finite number of histories leaves {latent:.1%} (latent sigma), more than the "
            f"{target:.1%} asked for; no further transport of the same file can lower it"
        )
    if stop.uncertainty and transport > stop.uncertainty:
        warnings.append(
            f"stopped by {report.stopped_by} at {transport:.1%} transport sigma, "
            f"short of the {stop.uncertainty:.1%} asked for"
        )
    return warnings

"""A plan beside its Monte Carlo check: everything a report shows, in one immutable value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np

from mc.dose import TO_WATER, Dose
from mc.plan.aperture import mean_opening, technique
from mc.plan.plan import Plan
from mc.run.report import RunReport
from phantoms.ct import CT
from phantoms.errors import InputError
from phantoms.grid import Grid
from phantoms.identity import pseudonym
from phantoms.listing import Listing
from phantoms.phantom import Phantom
from phantoms.polygons import mask_by_centre
from phantoms.solids import cut
from phantoms.structures import ROI, StructureSet
from phantoms.views import Artists, Axes, plot_volume, view_of
from validation.diagnosis import Diagnosis, Finding, diagnose
from validation.limits.profiles import DEFAULT, GammaLimit, Organ, Profile, load_profile
from validation.metrics.gamma import Criterion, GammaMap, gamma, parse_criterion
from validation.metrics.noise import Noise
from validation.metrics.numbers import plain
from validation.plan_check.curves import DvhCurves, curves_and_rows
from validation.plan_check.history import PastVerdict
from validation.plan_check.judgement import NOISY, Test
from validation.plan_check.other_dose import OtherDose, other_doses
from validation.plan_check.points import ReferencePoint, joined
from validation.plan_check.prescription import prescription_of
from validation.plan_check.record import NEW_RUN, Record, without_folders
from validation.plan_check.spots import PointDose, RegionDifference, point_dose, region_differences
from validation.plan_check.stated import Stated
from validation.plan_check.statistics import Statistics, statistics_of, too_few
from validation.plan_check.summary import Summary
from validation.plan_check.verdict import DosePair, Row, Structure, Verdict, judge, judge_run
from validation.rtdose import PlannedDose

SCHEMA = "mcverify result"
SCHEMA_VERSION = 1
ALSO_SHOWN = ("3%/2mm", "2%/2mm", "2%/1mm")  # gamma criteria beside those of the profile
NO_DIAGNOSIS = "not made: the noise is too large, or known from too few pairs of batches"
WHOLE = 0.99  # a structure with less of its volume on the dose grid is said to be cut


@dataclass(frozen=True, eq=False)
class Comparison:
    """A plan beside its Monte Carlo check.

    Parameters
    ----------
    created : str
        Date and time, ISO 8601.
    patient : str
        Pseudonym (`phantoms.identity.pseudonym`).
    name : str
        Who the patient is, where the report is to name them; else empty. It is not part of `to_dict`.
    plan, planned_dose, ct, phantom, profile
        As they were compared; `planned_dose` is of the whole course.
    dose : Dose
        The Monte Carlo dose on the grid of `planned_dose`; its provenance states whether it was resampled.
    mc_voxel_mm : (float, float, float)
        Voxel (x, y, z) of the Monte Carlo run itself.
    prescription : float or None
        Of the course [Gy]; the highest where there are several.
    body : (nz, ny, nx) bool
    body_name : str
    structures : tuple of Structure
        Those evaluated.
    verdict : Verdict
    curves : tuple of DvhCurves
    organs : tuple of Organ
        By which organs at risk are known.
    regions : tuple of RegionDifference
    isocentres, points : tuple of PointDose
        At the isocentres, which may be reference points as well, and at the other reference points.
    diagnosis : Diagnosis
        Which errors of the planning system the difference shows; its findings are tests of the verdict, too.
    not_evaluated : tuple of (str, str)
        Structures left out, and why.
    report : RunReport
        Of the run.
    calibration : dict of str to dict
        By beam quality: the record of its calibration (`mc.compute.plan_dose`).
    warnings : tuple of str
    statistics : Statistics
        What the noise of the run permits.
    judged : Dose
        The Monte Carlo dose on the grid that DVH and gamma use it on: its own, where that is another one.
    stated : Stated
        What plan and planned dose state about themselves.
    other_doses : tuple of OtherDose
        Metrics in dose to water where dose to medium is compared, and the other way round; empty if one of
        them was not scored.
    history : tuple of PastVerdict
        Those that this dose was given before.
    dose_sha256 : str
        Of the file of the Monte Carlo dose; empty where there is none.
    """

    created: str
    patient: str
    name: str = field(repr=False)
    plan: Plan
    planned_dose: PlannedDose
    dose: Dose
    mc_voxel_mm: tuple[float, float, float]
    ct: CT
    phantom: Phantom
    profile: Profile
    prescription: float | None
    body: np.ndarray = field(repr=False)
    body_name: str
    structures: tuple[Structure, ...] = field(repr=False)
    verdict: Verdict
    curves: tuple[DvhCurves, ...] = field(repr=False)
    organs: tuple[Organ, ...]
    regions: tuple[RegionDifference, ...]
    isocentres: tuple[PointDose, ...]
    points: tuple[PointDose, ...]
    diagnosis: Diagnosis
    not_evaluated: tuple[tuple[str, str], ...]
    report: RunReport
    calibration: Mapping[str, Any]
    warnings: tuple[str, ...]
    statistics: Statistics
    judged: Dose = field(repr=False)
    stated: Stated
    other_doses: tuple[OtherDose, ...] = ()
    history: tuple[PastVerdict, ...] = ()
    dose_sha256: str = ""

    def gamma(
        self, criterion: str | Criterion = "2%/1mm", *, local: bool = False, threshold_percent: float = 10.0
    ) -> GammaMap:
        """Gamma within the body, the planned dose as the reference.

        Parameters
        ----------
        criterion : str or Criterion
            Such as ``2%/1mm``, in percent of the planned maximum.
        local : bool
            Whether the dose criterion is in percent of each voxel's own planned dose.
        threshold_percent : float
            Voxels whose planned dose lies below this percentage of the maximum are left out.

        Returns
        -------
        GammaMap
            On the grid of the planned dose.

        Raises
        ------
        InputError
            If the criterion is not understood.
        """
        if isinstance(criterion, str):
            criterion = parse_criterion(criterion, local, threshold_percent)
        for result in self.verdict.gamma:
            if result.map.criterion == criterion:
                return result.map
        planned, judged = self.planned_dose, self.judged
        return gamma(planned.dose, planned.grid, judged.mean, judged.grid, criterion, self.body)

    def dvh(self, structure: str) -> DvhCurves:
        """DVHs of a structure in both doses.

        Raises
        ------
        InputError
            If it was not evaluated.
        """
        for curves in self.curves:
            if curves.structure == structure:
                return curves
        why = dict(self.not_evaluated).get(structure, "is no structure of the plan that was evaluated")
        known = ", ".join(curves.structure for curves in self.curves)
        raise InputError(f"structure {structure}", why, f"evaluated: {known}")

    def plot(self, axes: Axes, view: str = "axial", at_mm: float | None = None) -> Artists:
        """Draw Monte Carlo less planned dose within the body, in percent of the prescription.

        Parameters
        ----------
        axes : matplotlib.axes.Axes
        view : {'axial', 'coronal', 'sagittal'}
        at_mm : float, optional
            Where the plane lies along its normal; by default it goes through the isocentre.

        Returns
        -------
        tuple of artists
            The image, for a colour bar.

        Raises
        ------
        InputError
            If there is no such view.
        """
        grid, planned = self.planned_dose.grid, self.planned_dose.dose
        if at_mm is None:
            at_mm = 10.0 * self.plan.beams[0].isocentre[2 - view_of(view).axis]
        percent = 100.0 / (self.prescription or float(planned.max()))
        whole = "prescription" if self.prescription else "planned maximum"
        shown = np.where(self.body, percent * (self.dose.mean - planned), np.nan)
        most = max(1.0, float(np.nanquantile(np.abs(shown), 0.999)))
        look = {"cmap": "RdBu_r", "vmin": -most, "vmax": most, "label": f"MC - plan [% of {whole}]"}
        return plot_volume(axes, shown, grid, view, at_mm, **look)

    def _repr_html_(self) -> str:
        facts = [
            ("patient", self.patient),
            ("verdict", self.summary.word),
            *(("provisional", text) for text in [self.summary.provisional] if text),
            *(
                (a.question, f"{a.word}. {a.sentence}")
                for a in (*self.summary.answers, self.summary.beam_model)
            ),
            ("limits", self.profile.title),
            ("Monte Carlo dose", self.quantity),
            *(("warning", text) for text in self.warnings),
        ]
        return Listing.facts(self.plan.label, facts)._repr_html_() + self.verdict._repr_html_()

    @cached_property
    def summary(self) -> Summary:
        """What whoever signs reads first."""
        return Summary.of(self)

    @property
    def quantity(self) -> str:
        """Which Monte Carlo dose was compared: to medium or to water, of what."""
        return str(self.dose.provenance.get("quantity", "not stated"))

    def to_dict(self) -> dict[str, Any]:
        """Everything but volumes, ready for strict JSON: None for what could not be determined."""
        plan, grid = self.plan, self.planned_dose.grid
        return plain(
            {
                "schema": SCHEMA,
                "schema_version": SCHEMA_VERSION,
                "created": self.created,
                "not_a_medical_device": True,
                "patient_pseudonym": self.patient,
                "summary": replace(self, name="").summary.to_dict(),  # a file for programs names no patient
                "plan": {
                    "label": plan.label,
                    "uid": plan.uid,
                    "planning_system": plan.tps,
                    "machine": plan.machine,
                    "patient_position": plan.patient_position,
                    "fractions": plan.fractions,
                    "prescriptions": [
                        {"dose_gy": p.dose, "description": p.description} for p in plan.prescriptions
                    ],
                    "prescription_gy": self.prescription,
                    "beams": [
                        {
                            "number": beam.number,
                            "name": beam.name,
                            "energy_mv": beam.energy,
                            "fluence_mode": beam.fluence_mode,
                            "mu_per_fraction": beam.mu,
                            "gantry_deg": beam.gantry,
                            "collimator_deg": beam.collimator,
                            "couch_deg": beam.couch,
                            "jaws_mm": [10 * jaw for jaw in beam.jaws],
                            "technique": technique(beam),
                            "control_points": len(beam.control_points),
                            "gantry_last_deg": beam.control_points[-1].gantry,
                            "mean_open_area_cm2": mean_opening(beam),
                            "isocentre_mm": [10 * c for c in beam.isocentre],
                        }
                        for beam in plan.beams
                    ],
                },
                "dose_grid": {
                    "shape_zyx": grid.shape,
                    "spacing_mm_zyx": [10 * d for d in grid.spacing],
                    "origin_mm_zyx": [10 * c for c in grid.origin],
                },
                "monte_carlo_dose": self.quantity,
                "monte_carlo_voxel_mm_xyz": self.mc_voxel_mm,
                "verdict": self.verdict.to_dict(),
                "history": self.history,
                "statistics": self.statistics.to_dict(),
                "dvh_curves": self.curves,
                "other_dose_metrics": self.other_doses,
                "regions": self.regions,
                "isocentres": self.isocentres,
                "reference_points": self.points,
                "diagnosis": self.diagnosis.to_dict(),
                "not_evaluated": [{"structure": s, "reason": why} for s, why in self.not_evaluated],
                "quality": self.report.to_dict(),
                "calibration": self.calibration,
                "dose_sha256": self.dose_sha256 or None,
                "provenance": self.dose.provenance,
                "phantom_audit": {k: v for k, v in self.phantom.audit.items() if k != "warnings"},
                "warnings": self.warnings,
            }
        )


def compare(
    record: Record,
    dose: Dose,
    profile: Profile,
    *,
    name: str = "",
    on_stage: Callable[[str], None] = lambda text: None,
) -> Comparison:
    """Compare the Monte Carlo dose of a case with the planned one: gamma, DVH, limits, diagnosis, points.

    The planned dose is the reference of gamma, the Monte Carlo dose is evaluated (see
    `validation.metrics.gamma.gamma`). Where the voxels of both grids coincide the Monte Carlo dose is cropped
    to the grid of the planned one; where they do not, DVH and gamma use it on its own grid, and only maps and
    point doses interpolate it.

    Parameters
    ----------
    record : Record
        The case; its planned dose is of the whole course (`validation.rtdose.course_dose`).
    dose : Dose
        As the run left it, with dose to water beside it where that is compared. Its provenance holds the
        report of the run and the calibrations (`mc.compute.plan_dose`).
    profile : Profile
    name : str
        Name of the patient for a report that is to state it.
    on_stage : callable
        Called with a short description of each stage as it begins.

    Raises
    ------
    InputError
        If the planned dose is not of the whole course, dose to water is to be compared and missing, or the
        body holds no voxel of the planned dose.
    """
    plan, planned_dose, structures = record.plan, record.planned_dose, record.structures
    if planned_dose.summation not in ("PLAN", "BEAM"):
        raise InputError(planned_dose.path, f"is a {planned_dose.summation} dose, not of the whole course")
    chosen = dose.to_water if record.quantity == TO_WATER else dose
    if chosen is None:
        raise InputError("Monte Carlo dose", f"holds no {TO_WATER}", NEW_RUN)
    report = RunReport.from_dict(chosen.provenance["quality"])
    calibration = chosen.provenance["calibrations"]
    on_plan = chosen.crop_to(planned_dose.grid)
    judged = chosen if "resampled" in on_plan.provenance else on_plan
    notes: list[str] = []
    if missing := on_plan.provenance.get("voxels_without_dose"):
        notes.append(f"{missing} voxels of the RTDOSE lie outside the Monte Carlo dose, taken as 0 Gy there")

    on_stage("structures")
    outline = structures.external(record.phantom.audit.get("body", {}).get("roi"))
    body = mask_by_centre(outline, planned_dose.grid)
    if not body.any():
        raise InputError(f"structure {outline.name}", "holds no voxel of the RTDOSE grid")
    evaluated, shares, not_evaluated = _voxelise(structures, outline, planned_dose.grid, judged.grid)
    notes += [
        f"structure {name}: only {100 * share:.0f} % of its volume lies within the RTDOSE grid"
        for name, share in shares.items()
        if share < WHOLE
    ]
    prescription, doubts = prescription_of(plan, float(planned_dose.dose.max()))
    notes += doubts
    # profiles need not name organs; then the default profile's names identify the cord
    organs = profile.organs or load_profile(DEFAULT).organs

    on_stage("gamma, DVH and limits")
    few = too_few(report)
    doses = DosePair(planned_dose, judged, evaluated, body)
    verdict = judge(
        doses,
        _with_shown_gamma(profile),
        prescription=prescription,
        fractions=plan.fractions,
        left_out=dict(not_evaluated),
        too_few=few,
    )
    verdict = replace(verdict, tests=verdict.tests + judge_run(report))
    curves, more = curves_and_rows(doses, shares, profile, organs)
    on_stage("diagnosis")
    if any(test.status == NOISY for test in verdict.tests):
        diagnosis = Diagnosis(note=NO_DIAGNOSIS)
    else:
        limits = profile.diagnosis
        diagnosis = diagnose(plan, planned_dose, on_plan, record.phantom, structures, outline, limits)
    tests = verdict.tests + _diagnosis_tests(diagnosis)
    verdict = replace(verdict, profile=profile, rows=_grouped(verdict.rows + more), tests=tests)

    on_stage("statistics")
    isocentres = list(dict.fromkeys(beam.isocentre for beam in plan.beams))
    places = joined([*(ReferencePoint("isocentre", place) for place in isocentres), *record.points])
    noise = Noise.of(on_plan)
    spots = tuple(point_dose(place, planned_dose, on_plan, body, noise) for place in places)
    if len(isocentres) > 1:
        notes.append(f"the plan has {len(isocentres)} isocentres; planes are drawn through the first")
    audit = record.phantom.audit.get("warnings", [])
    return Comparison(
        created=datetime.now().astimezone().isoformat(timespec="seconds"),
        patient=record.patient or pseudonym(plan.patient_id or planned_dose.patient_id),
        name=name,
        plan=plan,
        planned_dose=planned_dose,
        dose=on_plan,
        mc_voxel_mm=tuple(10 * d for d in judged.grid.spacing[::-1]),
        ct=record.ct,
        phantom=record.phantom,
        profile=profile,
        prescription=prescription,
        body=body,
        body_name=outline.name,
        structures=evaluated,
        verdict=verdict,
        curves=curves,
        organs=organs,
        regions=region_differences(planned_dose, on_plan, body, noise),
        isocentres=tuple(spot for spot in spots if spot.name.startswith("isocentre")),
        points=tuple(spot for spot in spots if not spot.name.startswith("isocentre")),
        diagnosis=diagnosis,
        not_evaluated=not_evaluated,
        report=report,
        calibration=dict(calibration),
        warnings=_collect([*record.warnings, *plan.warnings, *audit, *notes], record.folders),
        statistics=statistics_of(report, verdict.tests),
        judged=judged,
        stated=record.stated,
        dose_sha256=record.dose_sha256,
        other_doses=other_doses(evaluated, verdict.rows, _other_of(dose, chosen, judged)),
    )


def _other_of(dose: Dose, chosen: Dose, judged: Dose) -> Dose | None:
    """The dose that is not compared, on the grid that the chosen one is judged on; None if there is none."""
    other = dose if chosen is dose.to_water else dose.to_water
    return None if other is None else other.crop_to(judged.grid)


def _label(roi: ROI, structures: StructureSet) -> str:
    """Name of a structure, with its number where another has the same name."""
    return roi.name if structures.names().count(roi.name) == 1 else f"{roi.name} (ROI {roi.number})"


def _voxelise(
    structures: StructureSet, outline: ROI, grid: Grid, mc_grid: Grid
) -> tuple[tuple[Structure, ...], dict[str, float], tuple[tuple[str, str], ...]]:
    """Structures on both grids, the share of each on the plan's, and those left out with the reason."""
    evaluated, shares, left_out = [], {}, []
    for roi in structures.rois:
        if roi is outline or roi.type in ("EXTERNAL", "SUPPORT"):
            continue
        name = _label(roi, structures)
        if roi.is_empty or roi.problem:
            left_out.append((name, roi.problem or "has no contours"))
            continue
        cells = cut(roi, grid)
        mc_cells = None if grid.matches(mc_grid) else cut(roi, mc_grid)
        if not cells.volume > 0 or (mc_cells is not None and not mc_cells.volume > 0):
            left_out.append((name, "lies outside the dose grid"))
            continue
        evaluated.append(Structure(name, roi.type, cells, mc_cells))
        shares[name] = min(1.0, cells.volume / cells.whole_cc)
    return tuple(evaluated), shares, tuple(left_out)


def _with_shown_gamma(profile: Profile) -> Profile:
    """`profile` with `ALSO_SHOWN`, without limits, at its own threshold."""
    threshold = profile.gamma[0].criterion.threshold_percent if profile.gamma else 10.0
    known = [limit.criterion for limit in profile.gamma]
    shown = [parse_criterion(text, threshold_percent=threshold) for text in ALSO_SHOWN]
    more = tuple(GammaLimit(c, None, None, "reported only") for c in shown if c not in known)
    return replace(profile, gamma=profile.gamma + more)


def _diagnosis_tests(diagnosis: Diagnosis) -> tuple[Test, ...]:
    """Findings of the diagnosis as tests, and the reason where there are none."""
    tests = tuple(_diagnosis_test(finding) for finding in diagnosis.findings)
    if diagnosis.note:
        tests += (Test("diagnosis", None, "", "shown", note=diagnosis.note),)
    return tests


def _diagnosis_test(finding: Finding) -> Test:
    return Test(
        f"diagnosis: {finding.title}",
        finding.value,
        finding.unit,
        finding.status,
        finding.sigma,
        finding.tolerance,
        finding.action,
        finding.sentence,
        finding.source,
    )


def _grouped(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Rows of one structure together, in the order in which the structures come first."""
    order = list(dict.fromkeys(row.structure for row in rows))
    return tuple(sorted(rows, key=lambda row: order.index(row.structure)))


def _collect(warnings: Sequence[str], folders: set[str]) -> tuple[str, ...]:
    """Each warning once, without the folders of the case, whose names may reveal who the patient is."""
    return tuple(dict.fromkeys(without_folders(text, folders) for text in warnings))

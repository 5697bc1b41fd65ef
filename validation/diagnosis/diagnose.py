"""Which errors of a planning system the difference between its dose and Monte Carlo's shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.ndimage import binary_opening

from mc.dose import Dose
from mc.plan.plan import Plan
from phantoms.phantom import Phantom
from phantoms.polygons import mask_by_centre, volume_fraction
from phantoms.structures import ROI, StructureSet
from validation.diagnosis import findings, words
from validation.diagnosis.directions import Direction, directions
from validation.diagnosis.effects import (
    TISSUES,
    Region,
    beam_columns,
    couch_below,
    couch_in_phantom,
    region_columns,
)
from validation.diagnosis.joint import SIGNIFICANT, Candidate, Effect, JointFit, X
from validation.diagnosis.result import BeamEffect, Diagnosis, RegionEffect
from validation.diagnosis.voxels import (
    Patient,
    Voxels,
    choose_voxels,
    coarse_doses,
    coarse_grid,
    coarse_patient,
    mean_energy,
)
from validation.limits.profiles import DiagnosisLimit
from validation.rtdose import PlannedDose

MIN_VOXELS, MIN_BLOCKS = 300, 20  # for a diagnosis at all
REGION_VOXELS, REGION_BLOCKS, TISSUE_BLOCKS = 40, 4, 12  # inside or behind a region, for it to be looked at
TISSUE = 0.98  # of a tissue's gain: a structure that explains as much is named rather
MIN_GAIN = 0.003  # of chi2, by which an error must better the fit to be added to it
MAX_ADDED = 4
PATTERN = 0.2  # displacement from which regions cannot be judged by their tolerance any more [cm]


def diagnose(
    plan: Plan,
    planned_dose: PlannedDose,
    dose: Dose,
    phantom: Phantom,
    structures: StructureSet,
    outline: ROI,
    limits: Sequence[DiagnosisLimit],
) -> Diagnosis:
    """Fit output, position, depth dose, couch, beams and densities together, and judge each.

    Scale, displacement and slope with depth are always fitted. Couch, single beams and regions are added one
    after the other, the one that betters the fit most first, as long as one does that has an effect beyond
    its tolerance; those that stay out are judged by what they would be if they were added alone.

    Parameters
    ----------
    plan : Plan
    planned_dose : PlannedDose
        Of the whole course.
    dose : Dose
        The Monte Carlo dose, on the same grid; its provenance holds the records of its calibrations.
    phantom : Phantom
        That Monte Carlo saw.
    structures : StructureSet
    outline : ROI
        The patient's outline among them.
    limits : sequence of DiagnosisLimit
    """
    stays = directions(plan)
    grid = planned_dose.grid
    doses = coarse_doses(planned_dose.dose, dose, mask_by_centre(outline, grid), dose.covariance)
    patient = coarse_patient(phantom, volume_fraction(outline, coarse_grid(phantom)))
    voxels = choose_voxels(doses, patient, stays, mean_energy(plan))
    if voxels is None or len(voxels.points) < MIN_VOXELS or voxels.blocks.max() + 1 < MIN_BLOCKS:
        return Diagnosis(note="too few voxels with dose below the build-up to distinguish errors")
    by_test = {limit.test: limit for limit in limits}
    regions = _regions(structures, phantom, patient)
    joint = JointFit(doses, voxels)
    if not joint.holds:
        return Diagnosis(note="the doses differ too much, or Monte Carlo's is too noisy, to separate errors")
    couch, passing = _couch(voxels, stays, plan, patient)
    candidates = [
        couch,
        *_beams(voxels, stays, plan),
        *_region_candidates(regions, voxels, stays, patient),
    ]
    outside = _select(joint, candidates, by_test)
    effects = {id(c): joint.of_active(c) for c in joint.active} | outside
    beams = tuple(_beam_effect(c, effects[id(c)], plan, joint) for c in candidates if c.test == "beam")
    found_regions = tuple(
        _region_effect(c, effects[id(c)], regions[c.index], patient, joint)
        for c in candidates
        if c.test == "density" and effects[id(c)] is not None
    )
    displacement, covariance = _displacement(joint)
    depth, profile = findings.depth(joint, by_test), findings.profile(joint, by_test)
    energy = any(f.status in ("warn", "fail") for f in (depth, profile))
    judged = (
        findings.output(joint, plan, by_test, energy, dose.provenance.get("calibrations", {})),
        findings.of_beams(beams, by_test),
        findings.shift(displacement, covariance, joint.with_depth, by_test),
        depth,
        profile,
        findings.of_couch(couch, effects[id(couch)], passing, plan, by_test),
        findings.density(
            found_regions, {r.name: r.stated for r in regions}, _displaced(joint) > 1.0, by_test
        ),
    )
    return Diagnosis(
        judged,
        tuple(10 * displacement),
        tuple(10 * np.sqrt(np.diag(covariance))),
        beams,
        found_regions,
        len(voxels.points),
        100 * joint.scatter,
    )


def _regions(structures: StructureSet, phantom: Phantom, patient: Patient) -> list[Region]:
    """Structures, and kinds of tissue by density; of the latter the change is to the density of water."""
    overridden = {entry["roi"]: entry for entry in phantom.audit.get("overrides", [])}
    found = []
    for roi in structures.rois:
        if roi.type in ("EXTERNAL", "SUPPORT") or roi.is_empty or roi.problem:
            continue
        fraction = volume_fraction(roi, patient.grid).astype(float)
        if fraction.any():
            found.append(Region(roi.name, fraction, stated=words.stated(roi, overridden.get(roi.name))))
    whole = patient.body > 1.0 - 1e-6
    to_water = 1.0 - patient.density
    for name, (low, high) in TISSUES.items():
        inside = whole & (patient.density > low) & (patient.density <= high)
        if name == "lung":
            inside = binary_opening(inside)  # not the voxels about gas that are filled in part
        if inside.any():
            found.append(Region(name, inside.astype(float), to_water, has_inside=name != "gas"))
    return found


def _couch(
    voxels: Voxels, stays: Sequence[Direction], plan: Plan, patient: Patient
) -> tuple[Candidate, tuple[int, ...] | None]:
    """The couch of the phantom, or one just beneath the body and the beams that would meet it."""
    column = couch_in_phantom(voxels, stays, patient)
    if column is not None:
        return Candidate("couch", "couch", column[:, None]), None
    column, met = couch_below(voxels, stays, plan, patient)
    return Candidate("couch", "couch", column[:, None]), met


def _beams(voxels: Voxels, stays: Sequence[Direction], plan: Plan) -> list[Candidate]:
    columns = beam_columns(voxels, stays, len(plan.beams))
    if len(columns) < 2:
        return []  # the same as the output
    return [Candidate("beam", f"beam {k}", column[:, None], k) for k, column in enumerate(columns)]


def _region_candidates(
    regions: Sequence[Region], voxels: Voxels, stays: Sequence[Direction], patient: Patient
) -> list[Candidate]:
    """Regions that enough of the fitted voxels lie inside of or behind."""

    def enough(where: np.ndarray, region: Region) -> bool:
        blocks, least = voxels.blocks[where], REGION_BLOCKS if region.change is None else TISSUE_BLOCKS
        return len(blocks) >= REGION_VOXELS and len(np.unique(blocks)) >= least

    found = []
    for index, effect in enumerate(region_columns(regions, voxels, stays, patient)):
        region = regions[index]
        inside, behind = (where & enough(where, region) for where in (effect.inside, effect.behind))
        inside &= region.has_inside
        if not (inside.any() or behind.any()) or not effect.path.any():
            continue
        columns = [effect.path] + [inside.astype(float)] * bool(inside.any())
        seen = type(effect)(effect.path, inside, behind)
        favour = 1.0 if region.change is None else TISSUE
        found.append(Candidate("density", region.name, np.stack(columns, axis=1), index, seen, favour))
    return found


def _select(
    joint: JointFit, candidates: Sequence[Candidate], limits: Mapping[str, DiagnosisLimit]
) -> dict[int, Effect | None]:
    """Add to the fit what the doses show; effects of all others, None where they cannot be determined."""
    while True:
        outside, best, most = {}, None, MIN_GAIN
        for candidate in candidates:
            if candidate in joint.active:
                continue
            effect = joint.with_candidate(candidate)
            outside[id(candidate)] = effect
            if effect is None or candidate.test not in limits:
                continue
            tolerance = limits[candidate.test].tolerance
            if candidate.test == "density":
                tolerance *= _displaced(joint)
            relevant = 100 * abs(effect.value) > tolerance
            if relevant and effect.significance > SIGNIFICANT and candidate.favour * effect.gain > most:
                best, most = candidate, candidate.favour * effect.gain
        if best is None or len(joint.active) == MAX_ADDED:
            return outside
        joint.add(best)


def _displaced(joint: JointFit) -> float:
    """By what tolerances of regions grow: a displaced dose has the pattern of the tissue it comes from."""
    return max(1.0, float(np.linalg.norm(joint.displacement)) / PATTERN)


def _displacement(joint: JointFit) -> tuple[np.ndarray, np.ndarray]:
    """Of the plan's dose from Monte Carlo's, LPS (x, y, z) [cm], and its covariance."""
    own = slice(X, X + 3)
    return joint.displacement[::-1] + joint.fit.values[own], joint.fit.covariance[own, own]


def _beam_effect(candidate: Candidate, effect: Effect | None, plan: Plan, joint: JointFit) -> BeamEffect:
    beam = plan.beams[candidate.index]
    value, sigma = (None, None) if effect is None else (100 * effect.value, 100 * effect.sigma)
    return BeamEffect(beam.number, beam.name, value, sigma, candidate in joint.active)


def _region_effect(
    candidate: Candidate, effect: Effect, region: Region, patient: Patient, joint: JointFit
) -> RegionEffect:
    filled = float(region.fraction.sum())
    density = float((region.fraction * patient.density).sum()) / filled
    change = 1.0 if region.change is None else float((region.fraction * region.change).sum()) / filled
    return RegionEffect(
        region.name,
        filled * patient.grid.voxel_volume,
        density,
        100 * effect.inside[0],
        100 * effect.inside[1],
        100 * effect.behind[0],
        100 * effect.behind[1],
        effect.parameter * change,
        100 * effect.value,
        100 * effect.sigma,
        100 * effect.gain,
        candidate in joint.active,
    )

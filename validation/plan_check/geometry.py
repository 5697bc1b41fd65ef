"""Whether plan and structures can be of one patient: isocentres, source-surface distances, targets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mc.plan.plan import Beam, Plan, beam_to_patient
from phantoms.errors import InputError
from phantoms.plausible import BESIDE_BODY_CM, SSD_CM, WITHIN_BODY
from phantoms.polygons import Slab, enclosed, volume
from phantoms.structures import ROI, StructureSet

TARGETS = ("PTV", "CTV", "GTV")
STEP = 0.05  # along the axis of a beam [cm]


def check_geometry(plan: Plan, structures: StructureSet, outline: ROI) -> list[str]:
    """What of a plan contradicts the patient's outline.

    Parameters
    ----------
    plan : Plan
    structures : StructureSet
    outline : ROI
        Of the body.

    Returns
    -------
    list of str
        Warnings.

    Raises
    ------
    InputError
        If a target is larger than the body.
    """
    body = outline.slabs()
    supports = [slab for roi in structures.of_type("SUPPORT") if not roi.problem for slab in roi.slabs()]
    return [
        *_targets(structures, outline, body),
        *_isocentres(plan, outline, body),
        *_distances(plan, outline, body, supports),
    ]


def _targets(structures: StructureSet, outline: ROI, body: Sequence[Slab]) -> Iterator[str]:
    for roi in structures.rois:
        if roi.type not in TARGETS or roi is outline or roi.is_empty or roi.problem:
            continue
        if volume(roi) > volume(outline):
            raise InputError(
                structures.source,
                f"{roi.name} ({roi.type}) is larger than the body {outline.name}",
                'are they mixed up? name the body in case.toml: external = "..."',
            )
        points = np.concatenate(roi.contours)
        share = np.mean(_inside(body, points))
        if share < WITHIN_BODY:
            yield f"only {share:.0%} of the outline of {roi.name} ({roi.type}) lies within {outline.name}"


def _isocentres(plan: Plan, outline: ROI, body: Sequence[Slab]) -> Iterator[str]:
    vertices = np.concatenate([polygon for slab in body for polygon in slab.polygons])
    low = np.array([*vertices.min(axis=0), body[0].lower])
    high = np.array([*vertices.max(axis=0), body[-1].upper])
    for beam in plan.beams:
        place = np.array(beam.isocentre)
        beside = float(np.linalg.norm(np.maximum(np.maximum(low - place, place - high), 0.0)))
        if beside > BESIDE_BODY_CM:
            yield f"the isocentre of beam {beam.number} lies {beside:.0f} cm outside {outline.name}"


def _distances(plan: Plan, outline: ROI, body: Sequence[Slab], supports: Sequence[Slab]) -> Iterator[str]:
    for beam in plan.beams:
        if beam.ssd is None:
            continue
        skin = _distance_to(body, beam, plan.patient_position)
        surfaces = [skin, min(skin, _distance_to(supports, beam, plan.patient_position))]
        if min(abs(beam.ssd - surface) for surface in surfaces) > SSD_CM:
            found = f"{skin:.1f} cm" if np.isfinite(skin) else "not met by its axis"
            yield (
                f"beam {beam.number} states a source-surface distance of {beam.ssd:.1f} cm, {outline.name} "
                f"is at {found}: are plan, structures and patient position of one another?"
            )


def _distance_to(slabs: Sequence[Slab], beam: Beam, patient_position: str) -> float:
    """Distance from the source to where the beam's axis enters [cm]; infinite where it does not."""
    rotation, origin = beam_to_patient(beam, patient_position)
    along = np.arange(0.0, 2.0 * beam.sad, STEP)
    inside = _inside(slabs, origin + along[:, None] * rotation[:, 2])
    return float(along[inside.argmax()]) if inside.any() else np.inf


def _inside(slabs: Sequence[Slab], points: np.ndarray) -> np.ndarray:
    """Which points (n, 3), LPS x, y, z [cm], lie within slabs."""
    inside = np.zeros(len(points), bool)
    for slab in slabs:
        here = np.flatnonzero((points[:, 2] >= slab.lower) & (points[:, 2] < slab.upper))
        inside[here] = enclosed(slab.polygons, points[here, :2])
    return inside

"""The machine's couch beneath the patient, where the plan puts the table top."""

from __future__ import annotations

import numpy as np

from mc.plan.plan import TABLE_TO_PATIENT, Plan
from phantoms.couch import Couch, Placed
from phantoms.errors import InputError
from phantoms.structures import ROI

SAME = 0.2  # within which the beams of a plan must have the patient at one place on the table [cm]
INTO_BODY, BELOW_BODY = 1.0, 15.0  # how far the surface may lie inside and below the body outline [cm]


def place_couch(plan: Plan, couch: Couch, outline: ROI) -> Placed | None:
    """Where a couch lies in the patient; None if the plan does not state its height.

    The table top lies its vertical position above the isocentre (IEC 61217), which belongs to the patient
    however the couch turns.

    Raises
    ------
    InputError
        If beams put the table top at different places, or it does not lie just beneath the body outline:
        positions on another scale than that of IEC 61217.
    """
    across, _, up = TABLE_TO_PATIENT[plan.patient_position].T
    if any(beam.table_top is None for beam in plan.beams):
        return None
    surfaces = np.array(
        [
            np.array(beam.isocentre) + beam.table_top[0] * up + beam.table_top[1] * across
            for beam in plan.beams
        ]
    )
    seen = surfaces @ np.column_stack([up, across])
    if np.ptp(seen, axis=0).max() > SAME:
        raise InputError("table top", "beams of the plan put it at different places under the patient")
    points = np.concatenate([polygon for slab in outline.slabs() for polygon in slab.polygons])
    in_plane = points[:, :2] @ up[:2]
    gap = float(in_plane.min() - seen[0, 0])
    if not -INTO_BODY <= gap <= BELOW_BODY:
        raise InputError(
            "table top",
            f"would lie {abs(gap):.1f} cm {'below' if gap > 0 else 'inside'} {outline.name}",
            "are its positions on the scale of IEC 61217? Draw the couch as a SUPPORT structure instead, or "
            "remove [couch] from the machine file",
        )
    return Placed(couch, surfaces[0], up, across)

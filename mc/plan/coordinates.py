"""From beam to patient coordinates: the coordinate chain of IEC 61217.

Phase-space coordinates have their origin at the target, z along the beam, x = X_b and y = -Y_b of the beam
limiting device. The device turns by the collimator angle about the gantry's Z, the gantry by its angle about
the fixed Y, the patient support by the couch angle about the fixed Z; so

    fixed = Ry(gantry) Rz(collimator) device,    table = Rz(couch)^-1 fixed.
"""

from __future__ import annotations

import numpy as np

from mc.numerics.jit import njit

# Patient axes (LPS) of the table top's x, y, z (IEC 61217: y to the gantry, z up), as matrix columns.
# The head or the feet point to the gantry; up is anterior (supine), posterior (prone), or the side that
# does not lie on the table (decubitus right: the right side is down), DICOM PS3.3 C.7.3.1.1.2.
_TO_GANTRY = {"H": (0.0, 0.0, 1.0), "F": (0.0, 0.0, -1.0)}
_UP = {"S": (0.0, -1.0, 0.0), "P": (0.0, 1.0, 0.0), "DR": (1.0, 0.0, 0.0), "DL": (-1.0, 0.0, 0.0)}
TABLE_TO_PATIENT = {
    f"{first}F{side}": np.column_stack([np.cross(to_gantry, up), to_gantry, up])
    for first, to_gantry in _TO_GANTRY.items()
    for side, up in _UP.items()
}


@njit
def orient(gantry, collimator, couch, table_to_patient, rotation):
    """Write the matrix from phase-space to patient axes into `rotation` (3, 3).

    Each angle is its (cosine, sine).
    """
    cg, sg = gantry
    cc, sc = collimator
    ct, st = couch
    for column in range(3):
        if column == 0:
            x, y, z = cg * cc, sc, -sg * cc
        elif column == 1:
            x, y, z = cg * sc, -cc, -sg * sc
        else:
            x, y, z = -sg, 0.0, -cg
        x, y = ct * x + st * y, ct * y - st * x
        for row in range(3):
            t = table_to_patient[row]
            rotation[row, column] = t[0] * x + t[1] * y + t[2] * z


@njit
def place(rotation, isocentre, sad, origin):
    """Write where the target lies into `origin` (3,): `sad` before the isocentre [cm]."""
    for row in range(3):
        origin[row] = isocentre[row] - sad * rotation[row, 2]


def cos_sin(degrees: float) -> tuple[float, float]:
    """Return cosine and sine, exact at multiples of 90 degrees so that beams there stay on axis."""
    if degrees % 90 == 0:
        return ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[int(degrees // 90) % 4]
    return float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))

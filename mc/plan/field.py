"""Fields on a machine: whether it can shape a plan's beam, and rectangles as it would shape them."""

from __future__ import annotations

import numpy as np

from mc.machine.collimators import LEAF_TOLERANCE, refuse_other_leaves
from mc.machine.machine import FIELD_TOLERANCE, Machine
from mc.plan.aperture import extent
from mc.plan.plan import Beam
from phantoms.errors import InputError

AXES = ("X", "Y")


def check_field(machine: Machine, beam: Beam) -> None:
    """Refuse a beam that names jaws or leaves that the machine does not have, or lacks those it has.

    Jaws that the machine does not have are allowed where the leaves shape the same field without them, as
    some planning systems state them for every machine.
    """
    where, collimators = f"beam {beam.number} ({beam.name})", machine.collimators
    moving = {jaws.axis for jaws in collimators.jaws}
    refuse_other_leaves(collimators, beam.leaf_boundaries, where)
    if beam.cone is not None and not collimators.cones:
        raise InputError(
            where, f"has a cone, machine {machine.name} has none", "describe it in [collimators.cones]"
        )
    for axis, k in (("X", 0), ("Y", 2)):
        stated = np.isfinite([point.jaws[k] for pair in beam.segments for point in pair])
        if axis in moving and not stated.all():
            raise InputError(where, f"does not position the {axis} jaws that machine {machine.name} has")
        if axis not in moving and stated.any():
            if not np.allclose(extent(beam), extent(beam, ignoring=axis), rtol=0.0, atol=FIELD_TOLERANCE):
                raise InputError(
                    where,
                    f"its field is shaped by {axis} jaws, which machine {machine.name} does not have",
                )
        if axis not in moving and not beam.leaf_boundaries and beam.cone is None:
            raise InputError(where, f"nothing of machine {machine.name} shapes its field along {axis}")


def rectangle(machine: Machine, field: tuple[float, float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Jaws (4,) and leaves (2 * pairs,) or (0,) for a rectangular field [cm].

    Jaws shape it where the machine has both pairs, with the leaves aside; leaves the sides without jaws.

    Parameters
    ----------
    field : (x1, x2, y1, y2)
        In the isocentre plane, beam limiting device axes [cm].

    Raises
    ------
    InputError
        If leaf boundaries would have to be where there are none.
    """
    collimators = machine.collimators
    missing = set(AXES) - {jaws.axis for jaws in collimators.jaws}
    if not missing or collimators.leaves is None:
        return np.array(field, float), np.zeros(0)
    along = AXES.index(collimators.leaves.axis)
    near, far = field[2 * along : 2 * along + 2]
    low, high = field[2 - 2 * along : 4 - 2 * along]
    borders = np.array(collimators.leaves.boundaries_cm)
    bank1, bank2 = (np.full(collimators.leaves.pairs, side) for side in (near, far))
    if AXES[1 - along] in missing:
        if max(np.abs(borders - low).min(), np.abs(borders - high).min()) > LEAF_TOLERANCE:
            raise InputError(
                machine.path,
                f"has no jaws across its leaves, and no leaf boundaries at {low:g} and {high:g} cm",
                "choose a field between leaf boundaries",
            )
        middle = 0.5 * (borders[:-1] + borders[1:])
        bank2[(middle < low) | (middle > high)] = near
    return np.array(field, float), np.concatenate([bank1, bank2])

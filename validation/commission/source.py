"""Where the particles of a field come from: a machine's phase spaces, placed above a water tank."""

from __future__ import annotations

import numpy as np

from mc import parallel
from mc.batch import PlacedBeam, open_on_all_ranks
from mc.machine import ABOVE, phase_space_for
from mc.source.delivery import fixed
from phantoms.errors import InputError
from validation.commission.fields import Field


def place_beam(field: Field) -> PlacedBeam:
    """The beam of a field, aimed down at the surface of a tank at its SSD.

    Raises
    ------
    InputError
        If the machine has no phase space for the field.
    """
    file = phase_space_for(field.quality, field.jaws)
    if file.plane == ABOVE:
        raise InputError(
            file.file, "lies above the jaws, which commissioning does not place yet", "use one below the jaws"
        )
    space = open_on_all_ranks(file.file, parallel.world())
    still = fixed(np.eye(3), np.array([0.0, 0.0, -field.ssd_cm]))
    return PlacedBeam(0, space, still, 1.0, file.mirror, file.target_z_cm)

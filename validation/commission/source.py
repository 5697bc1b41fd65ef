"""Where the particles of a field come from: a machine's phase spaces, placed above a water tank."""

from __future__ import annotations

from mc.batch import PlacedBeam
from mc.calibration import rectangular_beam
from mc.machine import Machine
from validation.commission.fields import Field


def place_beam(machine: Machine, field: Field) -> PlacedBeam:
    """The beam of a field, aimed down at the surface of a tank at its SSD.

    Raises
    ------
    InputError
        If the machine cannot make the field.
    """
    return rectangular_beam(machine, field.quality, field.jaws, field.ssd_cm)

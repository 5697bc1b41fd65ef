"""Where the particles of a field come from: a machine's phase spaces, or its head."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from mc.batch import PlacedBeam
from mc.calibration import water_tank_beam
from mc.head import HeadProgress
from mc.head_cache import with_head_phase_space
from mc.machine import BeamQuality, Machine
from phantoms.errors import InputError
from validation.commission.fields import Field
from validation.commission.parameters import with_values


def place_beam(machine: Machine, field: Field) -> PlacedBeam:
    """The beam of a field, aimed down at the surface of a tank at its SSD.

    Raises
    ------
    InputError
        If the machine cannot make the field.
    """
    return water_tank_beam(machine, field.quality, field.jaws, field.ssd_cm)


def sourced(
    machine: Machine,
    field: Field,
    threads: int | None,
    on_progress: Callable[[HeadProgress], None] = lambda _: None,
) -> Field:
    """A field whose beam has phase spaces: one made of its head where the machine file names none."""
    quality = field.quality
    if quality.phase_spaces or quality.head is None:
        return field
    made = with_head_phase_space(machine, quality, threads=threads, on_progress=on_progress)
    return replace(field, quality=made)


def with_head(machine: Machine, quality: BeamQuality, values: Mapping[str, float]) -> BeamQuality:
    """A beam quality whose head has other values of its parameters, and no phase space yet.

    Raises
    ------
    InputError
        If the machine file describes no head of it.
    """
    if quality.head is None:
        raise InputError(
            machine.path, f"describes no head of {quality.label} to be tuned", "see [energies.head]"
        )
    head = with_values(machine, quality.head, values)
    return replace(quality, head=head, phase_spaces=(), calibration=None)

"""Where the particles of a field come from: a machine's phase spaces, or its head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mc.compute.calibration import water_tank_beam
from mc.compute.head import HeadOptions
from mc.compute.head_cache import with_head_phase_space
from mc.machine.head_model import Core
from mc.machine.machine import BeamQuality, Machine
from mc.run.batch import PlacedBeam
from mc.run.progress import Listener
from validation.commission.fields import Field
from validation.commission.parameters import OF_HEAD, with_offsets, with_values

# A head for the fields of scans: photons towards them are split more, by electrons of their own.
SHARE = 0.75  # of the electrons
CORE_RADIUS_FACTOR = 1.15  # radius of where they go, in that of the fields' farthest corner
WIDE_SPLITTING = 200  # of photons past the fields, which reach the scans through the collimators


def place_beam(machine: Machine, field: Field) -> PlacedBeam:
    """The beam of a field, aimed down at the surface of a tank at its SSD.

    Raises
    ------
    InputError
        If the machine cannot make the field.
    """
    return water_tank_beam(machine, field.quality, field.jaws, field.ssd_cm)


def sourced(
    machine: Machine, field: Field, options: HeadOptions = HeadOptions(), listener: Listener = Listener()
) -> Field:
    """A field whose beam has phase spaces: one made of its head where the machine file names none."""
    quality = field.quality
    if quality.phase_spaces or quality.head is None:
        return field
    return replace(field, quality=with_head_phase_space(machine, quality, options, listener))


def with_tuned(
    machine: Machine, quality: BeamQuality, values: Mapping[str, float]
) -> tuple[Machine, BeamQuality]:
    """Machine and beam quality with these values of their parameters.

    A head with others has no phase space yet.

    Raises
    ------
    InputError
        If the machine has no such parameters.
    """
    if any(name in OF_HEAD for name in values):
        head = with_values(machine, quality.head, values)
        quality = replace(quality, head=head, phase_spaces=(), calibration=None)
    return with_offsets(machine, values), quality


def for_fields(
    quality: BeamQuality, fields: Sequence[Field], splitting: int, electrons: int | None = None
) -> BeamQuality:
    """The beam with a head that serves these fields: photons split more towards them, by `electrons` at most.

    A core that ends within a field leaves a step in its fluence, as large as the latent sigmas of what is
    made inside and outside; here it holds the fields, and shapes of curves owe nothing to that.
    """
    if quality.head is None or quality.phase_spaces:
        return quality
    corner = max(max(map(abs, f.jaws[:2])) ** 2 + max(map(abs, f.jaws[2:])) ** 2 for f in fields) ** 0.5
    head = quality.head
    head = replace(head, electrons=min(electrons or head.electrons, head.electrons))
    if CORE_RADIUS_FACTOR * corner < head.splitting_radius_cm:
        core = Core(radius_cm=CORE_RADIUS_FACTOR * corner, splitting=splitting, share=SHARE)
        head = replace(head, splitting=WIDE_SPLITTING, core=core)
    else:
        head = replace(head, splitting=splitting, core=None)
    return replace(quality, head=head)

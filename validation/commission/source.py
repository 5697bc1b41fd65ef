"""Where the particles of a field come from: a machine's phase spaces, or its head."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from mc.batch import PlacedBeam
from mc.calibration import water_tank_beam
from mc.head import HeadProgress
from mc.head_cache import SEED, with_head_phase_space
from mc.machine import BeamQuality, Machine
from validation.commission.fields import Field
from validation.commission.parameters import OF_HEAD, with_offsets, with_values

SPLITTING = 1000  # of a head in a search
ROOM = 1.15  # radius of its splitting field, in that of the fields' farthest corner


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
    seed: int = SEED,
) -> Field:
    """A field whose beam has phase spaces: one made of its head where the machine file names none."""
    quality = field.quality
    if quality.phase_spaces or quality.head is None:
        return field
    made = with_head_phase_space(machine, quality, seed=seed, threads=threads, on_progress=on_progress)
    return replace(field, quality=made)


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


def for_search(quality: BeamQuality, fields: Sequence[Field], electrons: int) -> BeamQuality:
    """The beam with a head that serves a search: fewer electrons, split more, into a narrower field.

    What it leaves out are photons past the fields, which reach the scans through the collimators alone.
    """
    if quality.head is None or quality.phase_spaces:
        return quality
    corner = max(max(map(abs, f.jaws[:2])) ** 2 + max(map(abs, f.jaws[2:])) ** 2 for f in fields) ** 0.5
    head = replace(
        quality.head,
        electrons=min(electrons, quality.head.electrons),
        splitting=max(SPLITTING, quality.head.splitting),
        splitting_radius_cm=min(ROOM * corner, quality.head.splitting_radius_cm),
        core=None,
    )
    return replace(quality, head=head)

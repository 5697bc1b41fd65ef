"""Entries of a machine file that no linac has, refused with the unit that was probably meant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from phantoms.errors import InputError
from phantoms.plausible import Range

if TYPE_CHECKING:
    from mc.machine.collimators import Collimators
    from mc.machine.machine import BeamQuality, Machine


def _length(low: float, high: float) -> Range:
    return Range(low, high, "cm", ((0.1, "mm"), (100.0, "m")))


def _energy(low: float, high: float, unit: str, smaller: str) -> Range:
    return Range(low, high, unit, ((1e-3, smaller),))


SAD, SSD = _length(50.0, 200.0), _length(30.0, 200.0)  # from head-mounted accelerators to MR-linacs
DEPTH, FIELD = _length(0.1, 30.0), _length(0.2, 60.0)
COLLIMATED = _length(-50.0, 50.0)  # of a jaw's position
AVERAGED = _length(0.05, 10.0)
DOSE_PER_MU = Range(0.001, 0.05, "Gy", ((0.01, "cGy"), (0.001, "mGy")))
NOMINAL, ELECTRONS = _energy(1.0, 30.0, "MV", "kV"), _energy(0.5, 50.0, "MeV", "keV")
SPOT, OFFSET = _length(0.0, 0.5), _length(-0.5, 0.5)
END_RADIUS, LEAVES, CONE = _length(1.0, 60.0), _length(1.0, 60.0), _length(0.1, 10.0)
DENSITY, OF_COLLIMATOR = (Range(low, 25.0, "g/cm3", ((1e-3, "kg/m3"),)) for low in (0.001, 1.0))
COUCH, SLAB = _length(10.0, 100.0), _length(0.005, 25.0)


def refuse_implausible(machine: Machine) -> None:
    """Raise InputError for the first entry of a machine file that no linac has.

    Raises
    ------
    InputError
        With the file, the entry, and the unit that was probably meant.
    """
    for entry, value, allowed in _entries(machine):
        fault = allowed.fault(value)
        if fault is not None:
            raise InputError(machine.path, f"{entry}: {fault[0]}", fault[1])


def _entries(machine: Machine) -> Iterator[tuple[str, float, Range]]:
    """Name, value and range of every entry that is checked."""
    yield "sad_cm", machine.sad_cm, SAD
    for number, quality in enumerate(machine.energies):
        for entry, value, allowed in _of_beam(quality):
            yield f"energies[{number}].{entry}", value, allowed
    if machine.collimators is not None:
        above = Range(0.0, machine.sad_cm, "cm", ((0.1, "mm"), (100.0, "m")))
        yield from _of_collimators(machine.collimators, above)
    if machine.couch is not None:
        yield "couch.width_cm", machine.couch.width_cm, COUCH
        for number, slab in enumerate(machine.couch.slabs):
            yield f"couch.slabs[{number}].thickness_cm", slab.thickness_cm, SLAB
            yield f"couch.slabs[{number}].density", slab.density, DENSITY


def _of_beam(quality: BeamQuality) -> Iterator[tuple[str, float, Range]]:
    reference, head = quality.reference, quality.head
    yield "nominal_mv", quality.nominal_mv, NOMINAL
    yield "reference.ssd_cm", reference.ssd_cm, SSD
    yield "reference.depth_cm", reference.depth_cm, DEPTH
    if reference.cone_cm is not None:
        yield "reference.cone_cm", reference.cone_cm, CONE
    for width in reference.field_cm:
        yield "reference.field_cm", width, FIELD
    yield "reference.dose_per_mu_gy", reference.dose_per_mu_gy, DOSE_PER_MU
    yield "reference.averaging_cm", reference.averaging_cm, AVERAGED
    for number, space in enumerate(quality.phase_spaces):
        for edge in space.field_cm:
            yield f"phase_spaces[{number}].field_cm", edge, COLLIMATED
    for entry in quality.monitor_backscatter:
        for opening in entry.opening_cm:
            yield "monitor_backscatter.opening_cm", opening, FIELD
    if head is not None:
        yield "head.electron_mev", head.electron_mev, ELECTRONS
        if head.spot_radius_cm is not None:
            yield "head.spot_radius_cm", head.spot_radius_cm, SPOT
        for width in head.spot_fwhm_cm or ():
            yield "head.spot_fwhm_cm", width, SPOT
        yield "head.splitting_radius_cm", head.splitting_radius_cm, FIELD
        for number, part in enumerate(head.parts):
            if part.density is not None:
                yield f"head.parts[{number}].density", part.density, DENSITY


def _of_collimators(collimators: Collimators, above: Range) -> Iterator[tuple[str, float, Range]]:
    named = [(f"jaws[{number}]", jaws) for number, jaws in enumerate(collimators.jaws)]
    named += [("mlc", collimators.leaves)] if collimators.leaves is not None else []
    for name, block in named:
        if block.ends.kind == "rounded":
            yield f"collimators.{name}.radius_cm", block.ends.radius_cm, END_RADIUS
        yield f"collimators.{name}.offset_cm", block.ends.offset_cm, OFFSET
    named += [("cones", collimators.cones)] if collimators.cones is not None else []
    for name, block in named:
        yield f"collimators.{name}.top_cm", block.top_cm, above
        yield f"collimators.{name}.bottom_cm", block.bottom_cm, above
        yield f"collimators.{name}.density", block.density, OF_COLLIMATOR
    if collimators.leaves is not None:
        edges = collimators.leaves.boundaries_cm
        yield "collimators.mlc.leaf_widths_cm, the sum", edges[-1] - edges[0], LEAVES
    if collimators.cones is not None:
        for diameter in collimators.cones.diameters_cm:
            yield "collimators.cones.diameters_cm", diameter, CONE

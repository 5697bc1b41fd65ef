"""Parameters of a linac's head that can be tuned, by the names `mcverify commission --tune` knows them by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mc.head_model import Head, Part
from mc.machine import Machine
from phantoms.errors import InputError
from validation.commission.tune import Parameter

ENERGY, SPOT, FILTER = "energy", "spot", "filter"
NAMES = (ENERGY, SPOT, FILTER)
ENERGY_STEP = 0.3  # [MeV]
SPOT_STEP, LARGEST_SPOT = 0.3, 0.5  # of the size it starts from; [cm]
FILTER_STEP, FILTER_MOST = 0.04, 0.3  # of the thickness
OF_FILTER = "filter"  # what the name of the part holds


def parameters_of(machine: Machine, head: Head, names: Sequence[str]) -> tuple[Parameter, ...]:
    """The parameters of these names, starting from what the machine file says.

    Raises
    ------
    InputError
        If a name is unknown or stands twice, or the head has no such parameter.
    """
    found = []
    for name in names:
        if name not in NAMES or list(names).count(name) > 1:
            raise InputError(f"--tune {name}", "is unknown or stands twice", f"choose of {', '.join(NAMES)}")
        if name == ENERGY:
            mev = head.electron_mev
            found.append(Parameter(name, "MeV", mev, min(ENERGY_STEP, 0.1 * mev), 0.6 * mev, 1.5 * mev))
        elif name == SPOT:
            size = spot_of(head)
            if not size > 0.0:
                raise InputError(machine.path, "its electron spot has no size to start from", "state one")
            found.append(Parameter(name, "cm", size, SPOT_STEP * size, 0.2 * size, LARGEST_SPOT))
        else:
            _filter_of(machine, head)
            limits = 1.0 - FILTER_MOST, 1.0 + FILTER_MOST
            found.append(Parameter(name, "of its thickness", 1.0, FILTER_STEP, *limits))
    return tuple(found)


def spot_of(head: Head) -> float:
    """Size of the electron spot [cm]: radius of a disc, or the mean full width at half maximum."""
    return head.spot_radius_cm if head.spot_fwhm_cm is None else sum(head.spot_fwhm_cm) / 2.0


def with_values(machine: Machine, head: Head, values: Mapping[str, float]) -> Head:
    """The head with these values of its parameters."""
    if ENERGY in values:
        head = replace(head, electron_mev=values[ENERGY])
    if SPOT in values and head.spot_fwhm_cm is None:
        head = replace(head, spot_radius_cm=values[SPOT])
    elif SPOT in values:
        share = values[SPOT] / spot_of(head)
        head = replace(head, spot_fwhm_cm=tuple(share * width for width in head.spot_fwhm_cm))
    if FILTER in values:
        old = _filter_of(machine, head)
        new = _thickened(old, values[FILTER])
        head = replace(head, parts=tuple(new if part is old else part for part in head.parts))
    return head


def entries(machine: Machine, head: Head, names: Sequence[str]) -> list[str]:
    """Lines of `[energies.head]` that make these parameters of a head a machine file's own."""
    lines = []
    if ENERGY in names:
        lines.append(f"electron_mev = {head.electron_mev:.4g}")
    if SPOT in names and head.spot_fwhm_cm is None:
        lines.append(f"spot_radius_cm = {head.spot_radius_cm:.4g}")
    elif SPOT in names:
        lines.append(f"spot_fwhm_cm = [{', '.join(f'{width:.4g}' for width in head.spot_fwhm_cm)}]")
    if FILTER in names:
        part = _filter_of(machine, head)
        heights = ", ".join(f"{z:.6g}" for z in part.z_cm)
        lines.append(f"z_cm = [{heights}]  # of the part {part.name!r}")
    return lines


def _filter_of(machine: Machine, head: Head) -> Part:
    """The one part that is a filter."""
    filters = [part for part in head.parts if OF_FILTER in part.name.lower()]
    if len(filters) != 1:
        raise InputError(
            machine.path,
            f"{len(filters)} parts of its head are called filter",
            "call just one so, the one whose thickness is tuned",
        )
    return filters[0]


def _thickened(part: Part, scale: float) -> Part:
    """A part with its heights scaled about its wider face, where it is mounted."""
    base = part.z_cm[0] if part.outer_cm[0] > part.outer_cm[-1] else part.z_cm[-1]
    return replace(part, z_cm=tuple(base + scale * (z - base) for z in part.z_cm))

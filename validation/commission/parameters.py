"""Parameters of a linac that can be tuned, by the names `mcverify commission --tune` knows them by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mc.machine.collimators import Collimators, Ends, Jaws, Leaves
from mc.machine.head_model import FWHM, Head, Part
from mc.machine.machine import Machine
from phantoms.errors import InputError
from validation.commission.tune import Parameter

ENERGY, SPOT, FILTER, LEAVES, JAWS = "energy", "spot", "filter", "leaves", "jaws"
OF_HEAD = (ENERGY, SPOT, FILTER)
NAMES = (*OF_HEAD, LEAVES, JAWS)
ENERGY_STEP = 0.3  # [MeV]
SPOT_STEP = 0.004  # of the variance of a spot along an axis, which blurs a penumbra [cm2]
SMALLEST_SPOT, LARGEST_SPOT = 0.01, 0.5  # [cm]
FILTER_STEP, FILTER_MAX = 0.12, 0.4  # of the thickness
OFFSET_STEP, OFFSET_MAX = 0.06, 0.5  # of the ends of leaves and jaws; from where they start [cm]
HEAD = "energies.head"
DECIMALS = 4
OF_FILTER = "filter"  # what the name of the part holds


@dataclass(frozen=True)
class Entry:
    """An entry of a machine file: its table, key and value, and of which part where there are several."""

    table: str
    key: str
    value: str
    part: str = ""

    def __str__(self) -> str:
        part = f"  # of the part {self.part!r}" if self.part else ""
        return f"{self.key} = {self.value}{part}"


def parameters_of(machine: Machine, head: Head | None, names: Sequence[str]) -> tuple[Parameter, ...]:
    """The parameters of these names, starting from what the machine file says.

    Raises
    ------
    InputError
        If a name is unknown or stands twice, or the machine has no such parameter.
    """
    for name in names:
        if name not in NAMES or list(names).count(name) > 1:
            raise InputError(f"--tune {name}", "is unknown or stands twice", f"choose of {', '.join(NAMES)}")
    return tuple(_parameter(machine, head, name) for name in names)


def _parameter(machine: Machine, head: Head | None, name: str) -> Parameter:
    if name in (LEAVES, JAWS):
        offset = _ends_of(machine, name)[0].offset_cm
        limits = offset - OFFSET_MAX, offset + OFFSET_MAX
        return Parameter(name, "cm", offset, OFFSET_STEP, *limits)
    if head is None:
        raise InputError(machine.path, "describes no head to be tuned", "see [energies.head]")
    if name == ENERGY:
        mev = head.electron_mev
        return Parameter(name, "MeV", mev, min(ENERGY_STEP, 0.1 * mev), 0.6 * mev, 1.5 * mev)
    if name == SPOT:
        size = spot_of(head)
        if not size > 0.0:
            raise InputError(machine.path, "its electron spot has no size to start from", "state one")
        step = SPOT_STEP * (4.0 if head.spot_fwhm_cm is None else FWHM**2)  # variance r^2/4, or (w / FWHM)^2
        return Parameter(name, "cm", size, step, min(size, SMALLEST_SPOT), max(size, LARGEST_SPOT), power=2)
    _filter_of(machine, head)
    return Parameter(name, "of its thickness", 1.0, FILTER_STEP, 1.0 - FILTER_MAX, 1.0 + FILTER_MAX)


def _ends_of(machine: Machine, name: str) -> list[Ends]:
    """The ends of a machine's leaves or of all its jaws, which must have one offset."""
    collimators = machine.collimators or Collimators()
    blocks = collimators.jaws if name == JAWS else [collimators.leaves] if collimators.leaves else []
    ends = [block.ends for block in blocks]
    if not ends:
        raise InputError(machine.path, f"describes no {name} to be tuned", "see [collimators]")
    if len({each.offset_cm for each in ends}) > 1:
        raise InputError(machine.path, "its jaws differ in offset_cm", "tune them from a common one")
    return ends


def rounded(values: Mapping[str, float]) -> dict[str, float]:
    """Values with the decimals that a machine file gets (`entries`)."""
    return {name: round(value, DECIMALS) for name, value in values.items()}


def with_offsets(machine: Machine, values: Mapping[str, float]) -> Machine:
    """The machine with these offsets of its leaves and jaws, where `values` holds them."""
    collimators = machine.collimators

    def moved(block: Jaws | Leaves, name: str) -> Jaws | Leaves:
        return replace(block, ends=replace(block.ends, offset_cm=values[name]))

    if LEAVES in values:
        collimators = replace(collimators, leaves=moved(collimators.leaves, LEAVES))
    if JAWS in values:
        collimators = replace(collimators, jaws=tuple(moved(jaws, JAWS) for jaws in collimators.jaws))
    return machine if collimators is machine.collimators else replace(machine, collimators=collimators)


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
        widths = tuple(round(share * width, DECIMALS) for width in head.spot_fwhm_cm)
        head = replace(head, spot_fwhm_cm=widths)
    if FILTER in values:
        old = _filter_of(machine, head)
        new = _thickened(old, values[FILTER])
        head = replace(head, parts=tuple(new if part is old else part for part in head.parts))
    return head


def entries(machine: Machine, head: Head | None, names: Sequence[str]) -> list[Entry]:
    """Entries of the machine file that make these parameters of a machine and its head the file's own."""
    found = []
    if ENERGY in names:
        found.append(Entry(HEAD, "electron_mev", f"{head.electron_mev:.{DECIMALS}f}"))
    if SPOT in names and head.spot_fwhm_cm is None:
        found.append(Entry(HEAD, "spot_radius_cm", f"{head.spot_radius_cm:.{DECIMALS}f}"))
    elif SPOT in names:
        widths = ", ".join(f"{width:.{DECIMALS}f}" for width in head.spot_fwhm_cm)
        found.append(Entry(HEAD, "spot_fwhm_cm", f"[{widths}]"))
    if FILTER in names:
        part = _filter_of(machine, head)
        heights = ", ".join(f"{z:.5f}" for z in part.z_cm)
        found.append(Entry(f"{HEAD}.parts", "z_cm", f"[{heights}]", part.name))
    for name, table in ((LEAVES, "collimators.mlc"), (JAWS, "collimators.jaws")):
        if name in names:
            found.append(Entry(table, "offset_cm", f"{_ends_of(machine, name)[0].offset_cm:.{DECIMALS}f}"))
    return found


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
    return replace(part, z_cm=tuple(round(base + scale * (z - base), 5) for z in part.z_cm))

"""Machine files (TOML): what a linac's beams are made of and how many Gy one MU is.

The schema is the dataclasses below; docs/formats.md describes it for the user. Lengths are cm.
Coordinates of a phase space: x = X_b, y = -Y_b and z along the beam, with X_b, Y_b of the IEC 61217 beam
limiting device system; the target lies at z = `target_z_cm`, the isocentre `sad_cm` further on.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from mc.machine.collimators import Collimators, read_collimators
from mc.machine.commissioned import Commissioned, read_commissioned
from mc.machine.head_model import Head, read_head
from mc.machine.plausible import refuse_implausible
from phantoms.couch import Couch, Slab
from phantoms.errors import InputError
from phantoms.kinds import MACHINE
from phantoms.materials import load_materials
from phantoms.schema import Table, read_table

SHIPPED = Path(__file__).parents[1] / "data" / "machines"
FLUENCE_MODES = ("STANDARD", "FFF")
BELOW, ABOVE = "below_jaws", "above_jaws"
FIELD_TOLERANCE = 0.05  # between a plan's jaws and the field of a phase space [cm]


@dataclass(frozen=True)
class PhaseSpaceFile:
    """A phase space and the field it was scored for."""

    file: Path  # header, data file or stem, resolved against the machine file
    plane: str  # "below_jaws": scored below the jaws, so for one field only; "above_jaws": for any
    target_z_cm: float  # z of the target in the coordinates of the phase space
    field_cm: tuple[float, float, float, float]  # x1, x2, y1, y2, at isocentre, IEC X_b and Y_b; the largest
    mirror: tuple[bool, bool] = (False, False)  # axes about which head and field are symmetric
    rotate: bool = False  # above the jaws: the head is symmetric about its axis
    simulated: bool = False  # made from the beam's head, and not named by the machine file


@dataclass(frozen=True)
class MonitorBackscatter:
    """Monitor signal per electron on the target, by the opening of a pair of jaws; in any unit."""

    axis: str  # "X" or "Y", along which the jaws move
    opening_cm: tuple[float, ...]  # full, ascending, in the isocentre plane
    signal: tuple[float, ...]


@dataclass(frozen=True)
class Reference:
    """The condition in which the dose of one MU is known."""

    medium: str
    ssd_cm: float
    depth_cm: float
    field_cm: tuple[float, float]  # full width in x and y in the isocentre plane
    dose_per_mu_gy: float
    averaging_cm: float  # side of the square, centred on the axis, over which the dose is averaged
    cone_cm: float | None = None  # diameter of the cone that shapes the field, in the isocentre plane
    electrons_per_mu: float | None = None  # where an MU is defined by them, as of a simulated linac


@dataclass(frozen=True)
class Calibration:
    """Result of `mcverify calibrate`: dose per original history in the reference condition."""

    gy_per_history: float
    sigma: float  # one sigma of it [Gy]
    phase_space_sha256: str  # `PhaseSpace.sha256` of the reference field's phase space
    version: str  # mcverify version that made it
    table_hash: str  # hash of the cross-section tables it was made with
    latent: float | None = None  # one sigma left by the phase space's finite number of histories [Gy]


@dataclass(frozen=True)
class BeamQuality:
    """One photon beam: nominal energy and fluence mode."""

    nominal_mv: float
    fluence_mode: str  # "STANDARD" (flattened) or "FFF"
    phase_spaces: tuple[PhaseSpaceFile, ...]
    reference: Reference
    calibration: Calibration | None
    head: Head | None = None  # from which the phase space above the jaws can be simulated
    monitor_backscatter: tuple[MonitorBackscatter, ...] = ()
    commissioned: Commissioned | None = None

    def output(self, jaws: tuple[float, float, float, float]) -> float:
        """Electrons on the target for 1 MU with jaws at (x1, x2, y1, y2) [cm], 1 in the reference field.

        The more the jaws scatter back into the monitor chamber, the fewer electrons make one MU.

        Raises
        ------
        InputError
            If an opening lies outside the table.
        """
        factor, reference = 1.0, {"X": self.reference.field_cm[0], "Y": self.reference.field_cm[1]}
        for entry in self.monitor_backscatter:
            opening = jaws[1] - jaws[0] if entry.axis == "X" else jaws[3] - jaws[2]
            for width in (opening, reference[entry.axis]):
                if not entry.opening_cm[0] <= width <= entry.opening_cm[-1]:
                    raise InputError(
                        f"{entry.axis} jaws {width:g} cm apart",
                        f"the monitor backscatter of the {self.label} beam is known from "
                        f"{entry.opening_cm[0]:g} to {entry.opening_cm[-1]:g} cm only",
                        "extend the table in the machine file",
                    )
            here, there = np.interp([opening, reference[entry.axis]], entry.opening_cm, entry.signal)
            factor *= there / here
        return float(factor)

    @property
    def label(self) -> str:
        """As a physicist writes it: "6 MV" or "6 MV FFF"."""
        return f"{self.nominal_mv:g} MV" + (" FFF" if self.fluence_mode == "FFF" else "")


@dataclass(frozen=True)
class Machine:
    """A linac as its machine file describes it.

    Parameters
    ----------
    name : str
        TreatmentMachineName of the plans.
    manufacturer, notes : str
    sad_cm : float
    path : Path
        Of the machine file.
    energies : tuple of BeamQuality
    collimators : Collimators or None
        None: only fields that phase spaces were scored for.
    couch : Couch or None
    """

    name: str
    manufacturer: str
    notes: str
    sad_cm: float
    path: Path
    energies: tuple[BeamQuality, ...]
    collimators: Collimators | None = None
    couch: Couch | None = None

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the machine file."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    @property
    def has_above(self) -> bool:
        """Whether a phase space lies above the jaws, so that collimators need kernels of their own."""
        return any(space.plane == ABOVE for quality in self.energies for space in quality.phase_spaces)

    def quality(self, nominal_mv: float, fluence_mode: str) -> BeamQuality:
        """The beam of an energy [MV] and fluence mode ("STANDARD", "FFF"); InputError where there is none."""
        for quality in self.energies:
            if abs(quality.nominal_mv - nominal_mv) < 1e-3 and quality.fluence_mode == fluence_mode:
                return quality
        known = ", ".join(quality.label for quality in self.energies)
        raise InputError(
            self.path,
            f"machine {self.name} has no beam of {nominal_mv:g} MV {fluence_mode}",
            f"it has {known}",
        )


def read_machine(path: str | Path) -> Machine:
    """Read a machine file (docs/formats.md).

    Parameters
    ----------
    path : path

    Returns
    -------
    Machine

    Raises
    ------
    InputError
        For every unknown, missing, impossible or implausible entry.
    """
    path = Path(path)
    table = read_table(path, "the machine file")
    table.expect("name sad_cm energies", "manufacturer notes collimators couch", kind=MACHINE)
    sad = table.number("sad_cm", above=0.0)
    machine = Machine(
        name=table.text("name"),
        manufacturer=table.text("manufacturer", default=""),
        notes=table.text("notes", default=""),
        sad_cm=sad,
        path=path.resolve(),
        energies=tuple(_beam_quality(entry, path, sad) for entry in table.tables("energies")),
        collimators=read_collimators(table.table("collimators")) if "collimators" in table else None,
        couch=_couch(table.table("couch")) if "couch" in table else None,
    )
    table.finish()
    if machine.has_above and machine.collimators is None:
        raise table.error("collimators", "is missing, but a phase space lies above the jaws", "describe them")
    labels = [quality.label for quality in machine.energies]
    for label in labels:
        if labels.count(label) > 1:
            raise InputError(path, f"energies: {label} stands there twice")
    refuse_implausible(machine)
    return machine


def phase_space_for(
    quality: BeamQuality, jaws: tuple[float, float, float, float], tolerance: float = FIELD_TOLERANCE
) -> PhaseSpaceFile:
    """The phase space for jaws at `jaws` (x1, x2, y1, y2) [cm, isocentre plane].

    One scored below jaws at these positions, or else one above the jaws that covers them.
    """
    if not quality.phase_spaces:
        raise InputError(
            f"the {quality.label} beam",
            "its machine file names no phase space",
            "make or fetch one scored above the jaws and name it under [[energies.phase_spaces]]",
        )
    below = [space for space in quality.phase_spaces if space.plane == BELOW]
    above = [space for space in quality.phase_spaces if space.plane == ABOVE]
    for space in below:
        if all(abs(a - b) <= tolerance for a, b in zip(jaws, space.field_cm, strict=True)):
            return space
    for space in above:
        x1, x2, y1, y2 = space.field_cm
        if min(jaws[0] - x1, x2 - jaws[1], jaws[2] - y1, y2 - jaws[3]) >= -tolerance:
            return space
    known = [_field_text(space.field_cm) for space in below]
    known += [f"any within {_field_text(space.field_cm)}" for space in above]
    raise InputError(
        f"field {_field_text(jaws)}",
        f"no phase space of the {quality.label} beam was scored for it",
        f"it has {'; '.join(known)}; a phase space above the jaws serves all fields",
    )


def reference_phase_space(quality: BeamQuality) -> PhaseSpaceFile:
    """The phase space of the reference field, centred on the axis."""
    x, y = quality.reference.field_cm
    return phase_space_for(quality, (-0.5 * x, 0.5 * x, -0.5 * y, 0.5 * y))


def _field_text(field: tuple[float, float, float, float]) -> str:
    x1, x2, y1, y2 = field
    return f"X {x1:g} to {x2:g}, Y {y1:g} to {y2:g} cm"


def _beam_quality(table: Table, path: Path, sad_cm: float) -> BeamQuality:
    optional = "phase_spaces calibration head monitor_backscatter commissioned"
    table.expect("nominal_mv fluence_mode reference", optional)
    quality = BeamQuality(
        nominal_mv=table.number("nominal_mv", above=0.0),
        fluence_mode=table.choice("fluence_mode", FLUENCE_MODES),
        phase_spaces=tuple(
            _phase_space_file(entry, path)
            for entry in (table.tables("phase_spaces") if "phase_spaces" in table else ())
        ),
        reference=_reference(table.table("reference")),
        calibration=_calibration(table.table("calibration")) if "calibration" in table else None,
        head=read_head(table.table("head"), sad_cm) if "head" in table else None,
        monitor_backscatter=tuple(
            _monitor_backscatter(entry)
            for entry in (table.tables("monitor_backscatter") if "monitor_backscatter" in table else ())
        ),
        commissioned=read_commissioned(table.table("commissioned")) if "commissioned" in table else None,
    )
    table.finish()
    if quality.calibration is not None and quality.reference.electrons_per_mu is not None:
        raise table.error("calibration", "is stated beside electrons_per_mu", "state one of them")
    return quality


def _phase_space_file(table: Table, path: Path) -> PhaseSpaceFile:
    table.expect("file plane field_cm", "target_z_cm mirror rotate")
    file = path.parent / table.text("file")
    stem = file.stem if file.suffix.lower() in (".iaeaheader", ".iaeaphsp") else file.name
    beside = file.parent.glob("*") if file.parent.is_dir() else ()
    if not any(p.stem == stem and p.suffix.lower() == ".iaeaheader" for p in beside):
        raise table.error("file", f"no phase space {file}", "the path counts from the machine file")
    plane = table.choice("plane", (BELOW, ABOVE))
    field = table.numbers("field_cm", 4)
    if not (field[0] < field[1] and field[2] < field[3]):
        raise table.error("field_cm", f"{list(field)} is not x1 < x2, y1 < y2")
    mirror = table.choice("mirror", ("", "x", "y", "xy"), default="")
    for axis, (lower, upper) in (("x", field[:2]), ("y", field[2:])):
        if axis in mirror and plane == BELOW and abs(lower + upper) > FIELD_TOLERANCE:
            raise table.error("mirror", f"the field is not symmetric about {axis} = 0", "leave the axis out")
    rotate = table.flag("rotate", default=False)
    if rotate and plane == BELOW:
        raise table.error("rotate", "the jaws above the phase space are not round", "leave it out")
    if rotate and mirror:
        raise table.error("rotate", "a head that may be rotated needs no mirror images", "leave mirror out")
    phase_space = PhaseSpaceFile(
        file=file.resolve(),
        plane=plane,
        target_z_cm=table.number("target_z_cm", default=0.0),
        field_cm=field,
        mirror=("x" in mirror, "y" in mirror),
        rotate=rotate,
    )
    table.finish()
    return phase_space


def _monitor_backscatter(table: Table) -> MonitorBackscatter:
    table.expect("axis opening_cm signal")
    entry = MonitorBackscatter(
        axis=table.choice("axis", ("X", "Y")),
        opening_cm=table.numbers("opening_cm", above=0.0),
        signal=table.numbers("signal", above=0.0),
    )
    table.finish()
    if len(entry.opening_cm) != len(entry.signal) or len(entry.signal) < 2:
        raise table.error("signal", "must hold one number for each opening, two at least")
    if not (np.diff(entry.opening_cm) > 0).all():
        raise table.error("opening_cm", "does not ascend")
    return entry


def _couch(table: Table) -> Couch:
    table.expect("width_cm slabs")
    materials = load_materials()
    slabs = []
    for entry in table.tables("slabs"):
        entry.expect("material thickness_cm", "density")
        material = materials[entry.choice("material", tuple(materials))]
        thickness = entry.number("thickness_cm", above=0.0)
        slabs.append(Slab(thickness, material, entry.number("density", above=0.0, default=material.density)))
        entry.finish()
    couch = Couch(table.number("width_cm", above=0.0), tuple(slabs))
    table.finish()
    return couch


def _reference(table: Table) -> Reference:
    shape = "cone_cm field_cm" if "cone_cm" in table else "field_cm cone_cm"
    field, other = shape.split()
    table.expect(f"ssd_cm depth_cm dose_per_mu_gy {field}", f"medium averaging_cm electrons_per_mu {other}")
    cone = table.number("cone_cm", above=0.0) if "cone_cm" in table else None
    reference = Reference(
        medium=table.choice("medium", ("water",), default="water"),
        ssd_cm=table.number("ssd_cm", above=0.0),
        depth_cm=table.number("depth_cm", above=0.0),
        field_cm=(cone, cone) if cone else table.numbers("field_cm", 2, above=0.0),
        dose_per_mu_gy=table.number("dose_per_mu_gy", above=0.0),
        averaging_cm=table.number("averaging_cm", above=0.0, default=1.5),
        cone_cm=cone,
        electrons_per_mu=table.number("electrons_per_mu", above=0.0) if "electrons_per_mu" in table else None,
    )
    table.finish()
    return reference


def _calibration(table: Table) -> Calibration:
    table.expect("gy_per_history sigma phase_space_sha256 version table_hash", "latent")
    calibration = Calibration(
        gy_per_history=table.number("gy_per_history", above=0.0),
        sigma=table.number("sigma", above=0.0),
        phase_space_sha256=table.text("phase_space_sha256"),
        version=table.text("version"),
        table_hash=table.text("table_hash"),
        latent=table.number("latent", above=0.0) if "latent" in table else None,
    )
    table.finish()
    return calibration

"""A treatment plan's beams, and where they stand in the patient (IEC 61217)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

# Patient axes (LPS) of the table top's x, y, z (IEC 61217: y to the gantry, z up), as matrix columns.
# The head or the feet point to the gantry; up is anterior (supine), posterior (prone), or the side that
# does not lie on the table (decubitus right: the right side is down), DICOM PS3.3 C.7.3.1.1.2.
_TO_GANTRY = {"H": (0.0, 0.0, 1.0), "F": (0.0, 0.0, -1.0)}
_UP = {"S": (0.0, -1.0, 0.0), "P": (0.0, 1.0, 0.0), "DR": (1.0, 0.0, 0.0), "DL": (-1.0, 0.0, 0.0)}
TABLE_TO_PATIENT = {
    f"{first}F{side}": np.column_stack([np.cross(to_gantry, up), to_gantry, up])
    for first, to_gantry in _TO_GANTRY.items()
    for side, up in _UP.items()
}


@dataclass(frozen=True)
class ControlPoint:
    """The machine at one control point; lengths at the isocentre.

    Parameters
    ----------
    weight : float
        Fraction of the beam's monitor units delivered up to here, 0 to 1.
    gantry, collimator, couch : float
        IEC 61217 angles [degrees].
    isocentre : (float, float, float)
        LPS (x, y, z) [cm].
    jaws : (x1, x2, y1, y2) or None
        Beam limiting device coordinates [cm]; None where a direction has no jaws.
    leaves : mapping of str to tuple of float
        Leaf positions by device (MLCX, MLCY): bank 1, then bank 2 [cm].
    """

    weight: float
    gantry: float
    collimator: float
    couch: float
    isocentre: tuple[float, float, float]
    jaws: tuple[float, float, float, float] | None
    leaves: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Beam:
    """A static open photon field.

    Parameters
    ----------
    number : int
    name, machine : str
    energy : float
        Nominal beam energy [MV].
    fluence_mode : {"STANDARD", "FFF"}
    mu : float
        Monitor units per fraction.
    sad : float
        Source-axis distance [cm].
    control_points : tuple of ControlPoint
    leaf_boundaries : mapping of str to tuple of float
        Borders of the leaf pairs by device [cm].
    """

    number: int
    name: str
    machine: str
    energy: float
    fluence_mode: str
    mu: float
    sad: float
    control_points: tuple[ControlPoint, ...]
    leaf_boundaries: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def gantry(self) -> float:
        """Gantry angle of a static beam [degrees]."""
        return self.control_points[0].gantry

    @property
    def collimator(self) -> float:
        """Beam limiting device angle of a static beam [degrees]."""
        return self.control_points[0].collimator

    @property
    def couch(self) -> float:
        """Patient support angle of a static beam [degrees]."""
        return self.control_points[0].couch

    @property
    def isocentre(self) -> tuple[float, float, float]:
        """Isocentre of a static beam, LPS (x, y, z) [cm]."""
        return self.control_points[0].isocentre

    @property
    def jaws(self) -> tuple[float, float, float, float]:
        """Jaw positions of a static beam (x1, x2, y1, y2) at the isocentre [cm]."""
        return self.control_points[0].jaws


@dataclass(frozen=True)
class Prescription:
    """A target dose of the plan: the whole course [Gy] and, where given, its structure."""

    dose: float
    roi_number: int | None
    description: str


@dataclass(frozen=True)
class Plan:
    """A treatment plan.

    Parameters
    ----------
    label, uid, patient_id, tps : str
        `tps` is manufacturer, model and software version of the planning system.
    frame_of_reference_uid : str
        Empty if the plan does not say.
    structure_set_uid : str
        Empty if the plan does not say.
    patient_position : str
        One of the eight of `TABLE_TO_PATIENT`.
    fractions : int
        Planned number of fractions.
    prescriptions : tuple of Prescription
    machine : str
        Treatment machine name, the same for all beams.
    beams : tuple of Beam
        Treatment beams in the plan's order.
    warnings : tuple of str
    """

    label: str
    uid: str
    patient_id: str
    tps: str
    frame_of_reference_uid: str
    structure_set_uid: str
    patient_position: str
    fractions: int
    prescriptions: tuple[Prescription, ...]
    machine: str
    beams: tuple[Beam, ...]
    warnings: tuple[str, ...] = ()


def beam_to_patient(beam: Beam, patient_position: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the rigid motion from phase-space coordinates to the patient's.

    A point p = (x, y, z) [cm] in phase-space coordinates (origin at the target, z along the beam, x = X_b,
    y = -Y_b of IEC 61217) lies at `origin + rotation @ p` in patient coordinates LPS (x, y, z) [cm].

    IEC 61217 chain: the beam limiting device turns by the collimator angle about the gantry's Z, the
    gantry by its angle about the fixed Y, the patient support by the couch angle about the fixed Z; so
    fixed = Ry(gantry) Rz(collimator) device, and table = Rz(couch)^-1 fixed.

    Parameters
    ----------
    beam : Beam
    patient_position : str
        HFS, HFP, FFS, FFP, HFDR, HFDL, FFDR or FFDL.

    Returns
    -------
    rotation : (3, 3) float64
    origin : (3,) float64
        The target, LPS (x, y, z) [cm].
    """
    phase_space_to_device = np.diag([1.0, -1.0, -1.0])
    rotation = (
        TABLE_TO_PATIENT[patient_position]
        @ _rotate_z(beam.couch).T
        @ _rotate_y(beam.gantry)
        @ _rotate_z(beam.collimator)
        @ phase_space_to_device
    )
    return rotation, np.array(beam.isocentre) - beam.sad * rotation[:, 2]


def _rotate_y(degrees: float) -> np.ndarray:
    c, s = _cos_sin(degrees)
    return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])


def _rotate_z(degrees: float) -> np.ndarray:
    c, s = _cos_sin(degrees)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def _cos_sin(degrees: float) -> tuple[float, float]:
    """Return cosine and sine, exact at multiples of 90 degrees so that beams there stay on axis."""
    if degrees % 90 == 0:
        return ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[int(degrees // 90) % 4]
    return float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))

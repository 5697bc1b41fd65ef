"""A treatment plan's beams, and their position in the patient (IEC 61217)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from mc.plan.coordinates import TABLE_TO_PATIENT, cos_sin, orient

__all__ = ["TABLE_TO_PATIENT", "Beam", "ControlPoint", "Plan", "Prescription", "beam_to_patient"]

SAME = 1e-4  # positions closer than this are the same [cm], and angles [degrees]


@dataclass(frozen=True)
class ControlPoint:
    """The machine at one control point; lengths at the isocentre.

    Parameters
    ----------
    weight : float
        Fraction of the beam's monitor units delivered up to here, 0 to 1.
    gantry, collimator, couch : float
        IEC 61217 angles [degrees]. They continue beyond 0 and 360, so that the machine turns from one control
        point to the next by their difference.
    isocentre : (float, float, float)
        LPS (x, y, z) [cm].
    jaws : (x1, x2, y1, y2)
        Beam limiting device coordinates [cm]; infinite where a direction has no jaws.
    leaves : mapping of str to tuple of float
        Leaf positions by device (MLCX, MLCY): bank 1, then bank 2 [cm].
    """

    weight: float
    gantry: float
    collimator: float
    couch: float
    isocentre: tuple[float, float, float]
    jaws: tuple[float, float, float, float]
    leaves: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def aim(self) -> np.ndarray:
        """Gantry, collimator, couch [degrees] and isocentre [cm], (6,)."""
        return np.array([self.gantry, self.collimator, self.couch, *self.isocentre], float)

    @property
    def shape(self) -> np.ndarray:
        """Jaws and leaves [cm], (4 + leaves,)."""
        leaves = (place for kind in sorted(self.leaves) for place in self.leaves[kind])
        return np.array([*self.jaws, *leaves], float)


@dataclass(frozen=True)
class Beam:
    """A photon beam: what the machine does from control point to control point, linear in monitor units.

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
    table_top : (float, float) or None
        How high the table top lies above the isocentre, and how far its middle along X of the table
        (IEC 61217), at the first control point [cm]; None if the plan does not say.
    cone : float or None
        Diameter of the stereotactic cone in the isocentre plane [cm]; None without one.
    ssd : float or None
        Source-surface distance that the first control point states [cm]; None where it does not.
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
    table_top: tuple[float, float] | None = None
    cone: float | None = None
    ssd: float | None = None

    @property
    def gantry(self) -> float:
        """Gantry angle at the first control point [degrees]."""
        return self.control_points[0].gantry

    @property
    def collimator(self) -> float:
        """Beam limiting device angle at the first control point [degrees]."""
        return self.control_points[0].collimator

    @property
    def couch(self) -> float:
        """Patient support angle at the first control point [degrees]."""
        return self.control_points[0].couch

    @property
    def isocentre(self) -> tuple[float, float, float]:
        """Isocentre at the first control point, LPS (x, y, z) [cm]."""
        return self.control_points[0].isocentre

    @property
    def jaws(self) -> tuple[float, float, float, float]:
        """Jaw positions at the first control point (x1, x2, y1, y2) at the isocentre [cm]."""
        return self.control_points[0].jaws

    @property
    def segments(self) -> tuple[tuple[ControlPoint, ControlPoint], ...]:
        """The pairs of control points between which the beam irradiates."""
        return tuple((a, b) for a, b in pairwise(self.control_points) if b.weight > a.weight)


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
    fraction_group : int or None
        Number of the fraction group they are of, where the plan has several.
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
    fraction_group: int | None = None
    warnings: tuple[str, ...] = ()


def beam_to_patient(
    beam: Beam, patient_position: str, point: ControlPoint | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rigid motion from phase-space coordinates to the patient's.

    A point p = (x, y, z) [cm] in phase-space coordinates (origin at the target, z along the beam, x = X_b,
    y = -Y_b of IEC 61217) lies at `origin + rotation @ p` in patient coordinates LPS (x, y, z) [cm].

    Parameters
    ----------
    beam : Beam
    patient_position : str
        HFS, HFP, FFS, FFP, HFDR, HFDL, FFDR or FFDL.
    point : ControlPoint, optional
        Where the machine stands; the first control point of the beam if not given.

    Returns
    -------
    rotation : (3, 3) float64
    origin : (3,) float64
        The target, LPS (x, y, z) [cm].
    """
    point = point or beam.control_points[0]
    rotation = np.empty((3, 3))
    angles = (cos_sin(angle) for angle in (point.gantry, point.collimator, point.couch))
    orient(*angles, TABLE_TO_PATIENT[patient_position], rotation)
    return rotation, np.array(point.isocentre) - beam.sad * rotation[:, 2]

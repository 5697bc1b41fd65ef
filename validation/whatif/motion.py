"""Errors of a patient's setup: rigid motions of the patient on the couch, about the isocentre.

They are given along the axes of the table top of IEC 61217 with the couch at 0: X lateral, to the right of
someone who faces the gantry; Y longitudinal, to the gantry; Z vertical, up. Rotations are right-handed about
these axes through the isocentre: pitch about X, roll about Y, yaw about Z. Several at once: roll first, then
pitch, then yaw, then the translations.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from scipy.spatial.transform import Rotation

from mc.plan.plan import TABLE_TO_PATIENT, Beam, ControlPoint, Plan
from phantoms.errors import InputError

TRANSLATIONS, ROTATIONS = ("lateral", "longitudinal", "vertical"), ("pitch", "roll", "yaw")
AXES = {name: "mm" for name in TRANSLATIONS} | {name: "deg" for name in ROTATIONS}
_WORDS = (("right", "left"), ("anterior", "posterior"), ("inferior", "superior"))  # of LPS


@dataclass(frozen=True)
class SetupError:
    """By how much the patient lies elsewhere.

    Parameters
    ----------
    lateral, longitudinal, vertical : float
        Translations along X, Y and Z of the table top [mm].
    pitch, roll, yaw : float
        Right-handed rotations about them through the isocentre [degrees].
    """

    lateral: float = 0.0
    longitudinal: float = 0.0
    vertical: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    yaw: float = 0.0

    @classmethod
    def along(cls, axis: str, amount: float) -> SetupError:
        """An error along or about one axis."""
        return cls(**{axis: amount})

    @property
    def values(self) -> np.ndarray:
        """All six, (6,)."""
        return np.array([getattr(self, field.name) for field in fields(self)])

    def motion(self, patient_position: str) -> tuple[np.ndarray, np.ndarray]:
        """Rotation (3, 3) and translation (3,) [cm] in the patient's axes, LPS; about the isocentre."""
        table = TABLE_TO_PATIENT[patient_position]
        turn = Rotation.from_euler("yxz", [self.roll, self.pitch, self.yaw], degrees=True).as_matrix()
        return table @ turn @ table.T, table @ (0.1 * self.values[:3])

    def moved(
        self, points: np.ndarray, isocentre: np.ndarray, patient_position: str, back: bool = False
    ) -> np.ndarray:
        """Where tissue at `points` (n, 3), LPS [cm], comes to lie; `back`: what comes to lie there."""
        rotation, translation = self.motion(patient_position)
        if back:
            return (points - isocentre - translation) @ rotation + isocentre
        return (points - isocentre) @ rotation.T + isocentre + translation


def direction(axis: str, patient_position: str) -> str:
    """What a positive error does to the patient, in words."""
    table = TABLE_TO_PATIENT[patient_position]

    def word(column: int) -> str:
        k = int(np.abs(table[:, column]).argmax())
        return _WORDS[k][int(table[k, column] > 0)]

    if axis in TRANSLATIONS:
        towards = {"lateral": "table X", "longitudinal": "towards the gantry", "vertical": "up"}[axis]
        return f"patient moved {word(TRANSLATIONS.index(axis))} ({towards})"
    # a right-handed turn about the first axis takes the second towards the third
    first, second = {"pitch": (1, 2), "roll": (2, 0), "yaw": (0, 1)}[axis]
    return f"what is {word(first)} turns {word(second)}"


def move_plan(plan: Plan, error: SetupError) -> Plan:
    """The plan as the patient sees it who lies elsewhere: to be computed in the phantom as it was.

    Raises
    ------
    InputError
        If gantry and couch cannot stand as the error asks: for pitch, and for roll with the couch turned.
    """
    if error.pitch:
        raise InputError("pitch", "cannot be computed again: no gantry or couch angle stands for it")
    if error.roll and (error.yaw or any(p.couch % 360.0 for b in plan.beams for p in b.control_points)):
        raise InputError("roll", "cannot be computed again where the couch turns")
    centre = np.array(plan.beams[0].isocentre)
    turned = replace(error, lateral=0.0, longitudinal=0.0, vertical=0.0)

    def point(p: ControlPoint) -> ControlPoint:
        place = error.moved(np.array([p.isocentre]), centre, plan.patient_position, back=True)[0]
        return replace(p, isocentre=tuple(place), gantry=p.gantry - turned.roll, couch=p.couch + turned.yaw)

    def beam(b: Beam) -> Beam:
        return replace(b, control_points=tuple(point(p) for p in b.control_points))

    return replace(plan, beams=tuple(beam(b) for b in plan.beams))

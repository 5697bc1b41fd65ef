"""Bounds of what a plan, a dose and a patient can be: one set for all commands.

Beyond them a number is a mistake whatever else is right: of units, of a decimal point, of the file. Machine
files have bounds of their own (`mc.machine.plausible`).
"""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike

from phantoms.errors import InputError


@dataclass(frozen=True)
class Range:
    """What a number may be.

    Parameters
    ----------
    low, high : float
    unit : str
    others : tuple of (float, str)
        Units that are mistaken for it: their size in `unit`, and their name.
    """

    low: float
    high: float
    unit: str
    others: tuple[tuple[float, str], ...] = ()

    def fault(self, value: float) -> tuple[str, str] | None:
        """Problem and remedy of a value, None where it lies within."""
        if self.low <= value <= self.high:
            return None
        limits = f"it lies between {self.low:g} and {self.high:g} {self.unit}"
        for size, name in self.others:
            meant = value * size
            if self.low <= meant <= self.high:
                limits = f"in {name}? then write {meant:.6g}; {limits}"
                break
        return f"{value:g} {self.unit} is implausible", limits

    def check(self, value: float, where: str | PathLike, what: str, remedy: str = "export it again") -> None:
        """Raise InputError for a value outside.

        Parameters
        ----------
        value : float
        where : str or path
            File, and what of it.
        what : str
            Name of the number.
        remedy : str
        """
        if (fault := self.fault(value)) is not None:
            raise InputError(where, f"{what}: {fault[0]}", f"{fault[1]}; {remedy}")


# of the maximum of a dose: from a hundredth of a monitor unit; film and phantoms get more than patients
DOSE = Range(1e-4, 1e5, "Gy")
PRESCRIPTION = Range(0.0, 1e3, "Gy")  # 0 where none is meant
# of a planned maximum in prescriptions: a boost whose plan states the whole course, a target in a steep dose
MAXIMUM = Range(0.5, 5.0, "prescriptions")
RATIO = Range(1e-3, 1e3, "times the other")  # of the maxima of two doses to be compared
FRACTIONS = Range(1, 100, "fractions")
MONITOR_UNITS = Range(1e-3, 5e4, "MU")  # of a beam in a fraction
POSITION = Range(-50.0, 50.0, "cm")  # of a jaw or leaf at the isocentre
ANGLE = Range(-720.0, 720.0, "degrees")
PLACE = Range(-1000.0, 1000.0, "cm")  # of a coordinate
VOXEL = Range(0.005, 5.0, "cm")
PIXELS = Range(1, 4096, "pixels")  # along a side of a CT slice
WIDTH, LENGTH = Range(0.0, 100.0, "cm"), Range(0.0, 300.0, "cm")  # of a structure across, along the couch
MAX_VOXELS = 1_000_000_000  # of a grid to be computed on
# of the median in the body: phantoms of cork and of bone plastic included
BODY_HU = Range(-900.0, 800.0, "HU")
USUAL_BODY_HU = Range(-500.0, 500.0, "HU")  # of patients, lungs included
PADDING_CC = 1.0  # of the body that may lack pixels unremarked [cm3]
SSD_CM = 1.0  # stated and geometric source-surface distance may differ by this: clothes, bolus, outlines [cm]
BESIDE_BODY_CM = 20.0  # an isocentre may lie this far outside the body [cm]
WITHIN_BODY = 0.5  # share of a target that lies in the body at least: some reach out of the breast
GAMMA_DOSE, GAMMA_DISTANCE = Range(0.01, 100.0, "%"), Range(0.001, 50.0, "mm")

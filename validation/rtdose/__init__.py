"""RTDOSE files in and out: the importer of pydicom for doses."""

from validation.rtdose.planes import join_planes
from validation.rtdose.read import (
    PlannedDose,
    course_dose,
    read_rtdose,
    refuse_implausible,
    sum_beam_doses,
)
from validation.rtdose.write import OfPlan, write_rtdose

__all__ = [
    "OfPlan",
    "PlannedDose",
    "course_dose",
    "join_planes",
    "read_rtdose",
    "refuse_implausible",
    "sum_beam_doses",
    "write_rtdose",
]

"""RTDOSE files in and out: the door to pydicom for doses."""

from validation.rtdose.read import PlanDose, course_dose, read_rtdose, sum_beam_doses
from validation.rtdose.write import write_rtdose

__all__ = ["PlanDose", "course_dose", "read_rtdose", "sum_beam_doses", "write_rtdose"]

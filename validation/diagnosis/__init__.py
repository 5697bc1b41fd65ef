"""What may be wrong: planning-system errors distinguished by what each does to the dose.

`diagnose` fits the difference between the plan's dose and Monte Carlo with the effects of all of them
together and judges each by its own parameter; docs/diagnosis.md explains.
"""

from validation.diagnosis.diagnose import diagnose
from validation.diagnosis.result import Diagnosis, Finding

__all__ = ["Diagnosis", "Finding", "diagnose"]

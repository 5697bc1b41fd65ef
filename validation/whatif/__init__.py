"""What if the patient lies elsewhere: target coverage and organ doses against errors of the setup."""

from validation.whatif.curves import what_if
from validation.whatif.motion import AXES, SetupError
from validation.whatif.result import Curve, WhatIf

__all__ = ["AXES", "Curve", "SetupError", "WhatIf", "what_if"]

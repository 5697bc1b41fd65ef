"""The built-in plan: a lumbar spine, and the machine whose head is simulated for it."""

from __future__ import annotations

from pathlib import Path

import phantoms
from mc.machine.machine import SHIPPED as MACHINES
from validation.plan_check.case import PlanCase, load_case

CASE = Path(phantoms.__file__).parent / "data" / "cases" / "spine_l1"
MACHINE = MACHINES.parent / "demo" / "gen6fff.toml"  # a check of the same case takes given phase spaces
PROFILE = "spine"


def load_demo() -> PlanCase:
    """Read the built-in case: a lumbar spine with a hip implant, five 6 MV FFF fields (docs/data.md).

    Returns
    -------
    PlanCase

    Raises
    ------
    InputError
        If a file of the package is damaged.
    """
    return load_case(CASE)

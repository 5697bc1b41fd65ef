"""`mcverify demo`: the built-in spine case, from the head of the linac to the report."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import phantoms
from mc.machine.machine import SHIPPED as MACHINES
from mc.run.parallel import World
from validation.cli.plan import NO_VERDICT, check_plan
from validation.cli.screen import Screen
from validation.limits.profiles import load_profile

CASE = Path(phantoms.__file__).parent / "data" / "cases" / "spine_l1"
MACHINE = MACHINES.parent / "demo" / "gen6fff.toml"  # `plan` of the same case takes the given phase spaces
PROFILE = "spine"


def run(arguments: Namespace, screen: Screen, ranks: World) -> int:
    """Check the built-in plan; 0 when the run completes, whatever the verdict."""
    options = Namespace(
        **vars(arguments), machine=MACHINE, calibration=None, voxel=None, dose_to="medium", name=False
    )
    code = check_plan(CASE, options, load_profile(PROFILE), screen, ranks)
    return NO_VERDICT if code == NO_VERDICT else 0

"""`mcverify demo`: the built-in spine case, from the head of the linac to the report."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

from mc.run.interrupt import INTERRUPTED
from mc.run.parallel import World
from validation.cli.plan import NO_VERDICT, check_plan
from validation.cli.screen import Screen
from validation.limits.profiles import load_profile
from validation.workflow.demo import CASE, MACHINE, PROFILE
from validation.workflow.output import RESULT


def run(arguments: Namespace, screen: Screen, ranks: World) -> int:
    """Check the built-in plan; 0 when the run completes, whatever the verdict."""
    options = Namespace(
        **vars(arguments),
        machine=MACHINE,
        calibration=None,
        fraction_group=None,
        voxel=None,
        dose_to="medium",
        name=False,
    )
    code = check_plan(CASE, options, load_profile(PROFILE), screen, ranks)
    return NO_VERDICT if code == NO_VERDICT and not _ended(arguments.out) else 0


def _ended(out: Path) -> bool:
    """Whether the run in a result folder came to its end."""
    try:
        return json.loads((out / RESULT).read_bytes())["quality"]["stopped_by"] != INTERRUPTED
    except (OSError, ValueError, KeyError):
        return False

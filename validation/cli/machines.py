"""`mcverify machines`: which machines are there?"""

from __future__ import annotations

from argparse import Namespace

from mc.run.parallel import World
from validation.cli.inspect import show
from validation.cli.screen import Screen
from validation.workflow.inspect_machine import list_machines


def run(arguments: Namespace, screen: Screen, ranks: World) -> int:
    """List the user's machines and those shipped, with their beams and what these are worth."""
    show(list_machines(), screen)
    return 0

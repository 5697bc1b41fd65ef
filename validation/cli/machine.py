"""`mcverify machine new`: a machine file of one's own."""

from __future__ import annotations

from argparse import Namespace

from mc.run.parallel import World
from validation.cli.screen import Screen
from validation.workflow.new_machine import new_machine


def run(arguments: Namespace, screen: Screen, ranks: World) -> int:
    """Make a machine file of another, and say what to enter next."""
    machine = new_machine(arguments.name, arguments.source, arguments.energies)
    beams = ", ".join(quality.label for quality in machine.energies)
    screen.line(f"{machine.path}: {machine.name} with {beams}, a copy of {arguments.source}")
    screen.line(
        "now enter your own figures, the MU definition first ([energies.reference]): docs/your-linac.md"
    )
    return 0

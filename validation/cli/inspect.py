"""`mcverify inspect`: what is this file or folder?"""

from __future__ import annotations

from argparse import Namespace

from mc.run.parallel import World
from phantoms.listing import Listing
from validation.cli.screen import Screen
from validation.workflow.inspect import inspect
from validation.workflow.inspection import Inspection


def run(arguments: Namespace, screen: Screen, ranks: World) -> int:
    """Show what `arguments.path` is."""
    show(inspect(arguments.path), screen)
    return 0


def show(found: Inspection, screen: Screen) -> None:
    """Print tables, remarks and warnings in their order."""
    for item in found.items:
        if isinstance(item, Listing):
            screen.show(item)
        elif item.warns:
            screen.warn(item.text)
        else:
            screen.line(item.text)

"""`mcverify heads`: simulated heads in the cache."""

from __future__ import annotations

from argparse import Namespace

from mc.run.parallel import World
from validation.cli.inspect import show
from validation.cli.screen import Screen
from validation.workflow.cached_heads import list_heads, remove_heads


def run(arguments: Namespace, screen: Screen, ranks: World) -> int:
    """List the heads, or remove those that are named."""
    if not arguments.remove:
        show(list_heads(), screen)
        return 0
    for head in remove_heads(arguments.remove):
        screen.line(f"removed {head.key}: {head.title}, {head.size / 1e6:.0f} MB")
    return 0

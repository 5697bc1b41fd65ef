"""Simulated heads in the user's cache: listed, and removed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime

from mc.compute.head_cache import CachedHead, cached_heads, remove_head
from mc.source.packed_phase_space import cache_folder
from phantoms.errors import InputError
from validation.workflow.inspection import Inspection

ALL = "all"
DAY = 86400.0  # [s]


def list_heads() -> Inspection:
    """Every head in the cache: its machine, beam, electrons, size and age."""
    found, heads = Inspection(), cached_heads()
    rows = [
        (
            head.key,
            head.title,
            f"{head.electrons:,}" if head.complete else "unfinished",
            f"{head.size / 1e6:.0f}",
            datetime.fromtimestamp(head.made).strftime("%Y-%m-%d %H:%M"),
        )
        for head in heads
    ]
    columns = ("head", "machine and beam", "electrons", "MB", "made")
    found.table(f"Heads in {cache_folder()}", columns, rows, right=(2, 3))
    found.line(f"{len(rows)} in all, {sum(head.size for head in heads) / 1e6:.0f} MB")
    return found


def remove_heads(chosen: Sequence[str]) -> list[CachedHead]:
    """Remove heads from the cache by their names in `list_heads`; they are simulated anew when needed.

    "all" are those that are complete, and unfinished ones on which nobody has worked for a day.

    Raises
    ------
    InputError
        If there is no such head. None is removed then.
    """
    heads = cached_heads()
    by_key = {head.key: head for head in heads}
    for key in chosen:
        if key not in (*by_key, ALL):
            raise InputError(f"head {key!r}", "is not in the cache", f"it has {', '.join(by_key) or 'none'}")
    removed = [by_key[key] for key in dict.fromkeys(chosen) if key != ALL]
    if ALL in chosen:
        removed = [head for head in heads if head.complete or time.time() - head.made > DAY]
    for head in removed:
        remove_head(head)
    return removed

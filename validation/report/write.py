"""Write a result as it is read by programs (JSON), whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol

from phantoms.files import replacing


class Result(Protocol):
    """What can be stated as plain values."""

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for strict JSON."""


def write_result(found: Result, path: str | Path) -> None:
    """Write a result as strict JSON (its `to_dict`).

    Raises
    ------
    InputError
        If the file cannot be written; one already there stays as it was.
    """
    with replacing(path) as partial:
        partial.write_text(json.dumps(found.to_dict(), indent=1, allow_nan=False) + "\n", encoding="utf-8")

"""What made a result: versions, sources, machine. Stored with every output."""

from __future__ import annotations

import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import numba
import numpy as np

from mc import __version__
from phantoms.kernel_cache import source_hash


def provenance() -> dict[str, str]:
    """Software and moment, ready for JSON."""
    return {
        "mcverify": __version__,
        "sources_sha256": source_hash(),
        "git": _git_commit(),
        "python": platform.python_version(),
        "numba": numba.__version__,
        "numpy": np.__version__,
        "processor": platform.machine(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _git_commit() -> str:
    """Commit of a source checkout; empty for an installed package."""
    root = Path(__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return ""
    try:
        found = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout.strip()

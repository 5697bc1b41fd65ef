"""The built-in plan: a lumbar spine, and the machine whose head is simulated for it."""

from __future__ import annotations

from pathlib import Path

import phantoms
from mc.machine.machine import SHIPPED as MACHINES

CASE = Path(phantoms.__file__).parent / "data" / "cases" / "spine_l1"
MACHINE = MACHINES.parent / "demo" / "gen6fff.toml"  # a check of the same case takes given phase spaces
PROFILE = "spine"

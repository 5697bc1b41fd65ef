"""The kernels of the GPU compute what the CPU does, to the last bit, in numba-cuda's simulator."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numba_cuda", reason="needs the extra cuda")


def test_the_kernels_agree_with_the_cpu():
    """The simulator is chosen before numba is imported, hence by a process of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.mc.backends.simulated_cuda"],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr

"""Made-up doses and file readers shared by the tests of validation."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from phantoms.grid import Grid


def smooth_dose(grid: Grid, seed: int, correlation: float = 0.5, peak: float = 60.0) -> np.ndarray:
    """Random smooth dose between 0 and `peak` Gy, with structure on the scale of `correlation` [cm].

    Made on a fine lattice in space, so that one seed is one dose on any grid within 10 cm of 0.
    """
    step = 0.1
    noise = np.random.default_rng(seed).standard_normal((60, 60, 60))
    field = gaussian_filter(noise, correlation / step, mode="wrap")
    field = peak * (field - field.min()) / (field.max() - field.min())
    index = [np.rint(grid.centres(axis) / step * 8).astype(int) % 480 for axis in range(3)]
    fine = [np.arange(480) / 8 for _ in range(3)]
    weights = [
        _periodic_weights(60, positions[chosen]) for positions, chosen in zip(fine, index, strict=True)
    ]
    return np.einsum("zyx,az,by,cx->abc", field, *weights, optimize=True)


def _periodic_weights(n: int, position: np.ndarray) -> np.ndarray:
    """Linear interpolation on a ring of `n` nodes as a matrix (len(position), n)."""
    low = np.floor(position).astype(int)
    weights = np.zeros((position.size, n))
    rows = np.arange(position.size)
    weights[rows, low % n] = 1 - (position - low)
    weights[rows, (low + 1) % n] += position - low
    return weights


def read_nrrd(path: Path) -> tuple[np.ndarray, Grid]:
    """Read an axis-aligned, gzipped float NRRD volume in mm: values (z, y, x) and grid."""
    header, raw = path.read_bytes().split(b"\n\n", 1)
    lines = [line.split(": ", 1) for line in header.decode().splitlines() if ": " in line and line[0] != "#"]
    fields = dict(lines)
    assert (fields["type"], fields["encoding"], fields["endian"]) == ("float", "gzip", "little")
    assert fields["space"] == "left-posterior-superior"
    shape = tuple(int(n) for n in fields["sizes"].split())[::-1]
    axes = np.array(
        [[float(c) for c in v.strip("()").split(",")] for v in fields["space directions"].split()]
    )
    assert np.count_nonzero(axes - np.diag(np.diag(axes))) == 0
    origin = [0.1 * float(c) for c in fields["space origin"].strip("()").split(",")]
    values = np.frombuffer(gzip.decompress(raw), dtype="<f4").reshape(shape).astype(float)
    return values, Grid(shape, tuple(0.1 * np.diag(axes)[::-1]), tuple(origin[::-1]))

"""A water tank with voxels to suit the scans of a field, and curves read off its dose.

A point of a curve is a weighted sum of voxels, so its sigma follows from the batches of the run as a
voxel's does. The weights are a product over the axes:

- *along the scan* the dose is taken as the cubic whose averages over voxels come nearest to theirs: where
  dose is steep over the four nearest ones, which takes back their blurring to fourth order; away from edges
  and build-up over all within `SMOOTH`, where no dose is more bent than a cubic (`half_widths`);
- *across it* a straight line is fitted to the voxels within half of `ACROSS` (less in small fields), in depth
  to those within half of `IN_DEPTH` of a profile: a mean where they lie symmetrically.

Where the source is symmetric (`mirror` in the machine file) both halves of a profile are estimates of one
thing and their mean is taken.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

from phantoms.grid import Grid
from phantoms.phantom import Phantom
from phantoms.recipes import water_tank
from validation.scans import CROSSLINE, DIAGONAL, INLINE, PDD, Scan

ACROSS = 1.5  # width over which curves are averaged across the scan [cm]
IN_DEPTH = 1.0  # and a profile's in depth [cm]
SHALLOW, IN_SHALLOW = 3.0, 0.5  # above this depth, where dose is no straight line, only so far [cm]
ACROSS_SHARE = 0.2  # of the field's width, which the averaging across does not exceed
MARGIN = 3.0  # of water beside the outermost point [cm]
MARGIN_BELOW = 5.0  # of water below the deepest point, and beside the field [cm]
VOXELS = ((5.0, 0.2), (2.0, 0.1), (0.0, 0.05))  # side of the voxels [cm] for fields at least so wide [cm]
STEP = 0.05  # of the positions at which a curve is given [cm]
STENCIL = 4  # voxels along the scan, at least
SMOOTH = 1.0  # half width of the fit along the scan, at most [cm]
BUILD_UP, EDGE = 1.0, 0.5  # depth above which, and distance from a field's edge within which, it is 0 [cm]
SMOOTH_SHARE = 0.5  # of what is beyond these: half width of the fit


def voxel_side(jaws: Sequence[float]) -> float:
    """Side of the voxels that suits a field [cm]."""
    width = min(jaws[1] - jaws[0], jaws[3] - jaws[2])
    return next(side for least, side in VOXELS if width >= least)


def tank_for(
    scans: Sequence[Scan], jaws: Sequence[float], ssd_cm: float, sad_cm: float, side: float
) -> Phantom:
    """Water tank that holds scans and field, its surface at z = 0, with cubic voxels of `side` [cm]."""
    deepest = max(float(scan.z.max()) for scan in scans) + MARGIN_BELOW
    widths = []
    for axis, (first, second) in (("x", jaws[:2]), ("y", jaws[2:])):
        edge = max(abs(first), abs(second)) * (ssd_cm + deepest) / sad_cm
        outermost = max(float(np.abs(getattr(scan, axis)).max()) for scan in scans)
        # an odd number, so that the axis runs through the middle of voxels
        widths.append((2 * int(np.ceil(max(edge + MARGIN_BELOW, outermost + MARGIN) / side)) + 1) * side)
    width_x, width_y = widths
    depth = np.ceil(deepest / side - 1e-9) * side
    return water_tank((depth, width_y, width_x), (side, side, side))


def fine_positions(scan: Scan) -> np.ndarray:
    """Positions at which the curve of a scan is given, (n,) [cm]: every `STEP`, and the measured ones."""
    first, last = scan.positions[[0, -1]]
    if scan.kind == PDD:
        first = max(first, 0.0)
    steps = STEP * np.arange(np.ceil(first / STEP - 1e-9), np.floor(last / STEP + 1e-9) + 1)
    own = scan.positions[scan.positions >= first]
    return np.unique(np.round(np.concatenate([steps, own]), 6))


def points_of(scan: Scan, positions: np.ndarray) -> np.ndarray:
    """Points (n, 3) as z, y, x [cm] in the tank of positions (n,) on a scan.

    Phase spaces, and so the tank, have y opposite to the scan's (`mc.machine.machine`).
    """
    x, y, z = (np.interp(positions, scan.positions, values) for values in (scan.x, scan.y, scan.z))
    if scan.kind == PDD:
        z = positions
    return np.column_stack([z, -y, x])


def half_widths(scan: Scan, points: np.ndarray, jaws: Sequence[float], sad_cm: float) -> np.ndarray:
    """Half width [cm] of the fit along a scan at `points` (n, 3), z, y, x [cm] in the tank; (n,)."""
    z, y, x = points.T
    if scan.kind == PDD:
        clearance = z - BUILD_UP
    else:
        edges = np.multiply.outer((scan.ssd_cm + z) / sad_cm, jaws)
        along = {CROSSLINE: (x, edges[:, :2]), INLINE: (-y, edges[:, 2:])}
        axes = along.values() if scan.kind == DIAGONAL else (along[scan.kind],)
        clearance = np.min([np.abs(edge - at[:, None]).min(axis=1) for at, edge in axes], axis=0) - EDGE
    return np.clip(SMOOTH_SHARE * clearance, 0.0, SMOOTH)


def sampling(
    grid: Grid,
    scan: Scan,
    positions: np.ndarray,
    jaws: Sequence[float],
    sad_cm: float,
    mirror: tuple[bool, bool],
) -> csr_array:
    """Weights of the voxels in every point of a curve, (n, voxels).

    Parameters
    ----------
    grid : Grid
        Of the tank.
    scan : Scan
    positions : (n,) array
        On the scan [cm].
    jaws : sequence of float
        x1, x2, y1, y2 [cm].
    sad_cm : float
    mirror : (bool, bool)
        Axes x, y about which the source is symmetric.
    """
    points = points_of(scan, positions)
    halves = half_widths(scan, points, jaws, sad_cm)
    weights = _weights(grid, scan, points, halves, jaws)
    across = {CROSSLINE: (True, False), INLINE: (False, True), DIAGONAL: (True, True)}
    flipped = across.get(scan.kind, (False, False))
    if any(flipped) and all(m for m, f in zip(mirror, flipped, strict=True) if f):
        flip_x, flip_y = (-1.0 if f else 1.0 for f in flipped)
        weights = 0.5 * (weights + _weights(grid, scan, points * [1.0, flip_y, flip_x], halves, jaws))
    return weights


def _weights(
    grid: Grid, scan: Scan, points: np.ndarray, halves: np.ndarray, jaws: Sequence[float]
) -> csr_array:
    """Weights of the voxels in every one of `points` (n, 3), z, y, x [cm]; `halves` (n,) as `half_widths`."""
    smooth = {PDD: (0,), CROSSLINE: (2,), INLINE: (1,), DIAGONAL: (1, 2)}[scan.kind]
    across = min(ACROSS, ACROSS_SHARE * min(jaws[1] - jaws[0], jaws[3] - jaws[2]))
    in_depth = IN_SHALLOW if scan.kind != PDD and scan.depth_cm < SHALLOW else IN_DEPTH
    widths = (in_depth, across, across)
    rows, columns, weights = [], [], []
    for row, (point, half) in enumerate(zip(points, halves, strict=True)):
        parts = [
            _fitted(grid, axis, at, half) if axis in smooth else _averaged(grid, axis, at, widths[axis])
            for axis, at in enumerate(point)
        ]
        cells = np.ravel_multi_index(np.ix_(*(cell for cell, _ in parts)), grid.shape).ravel()
        (_, wz), (_, wy), (_, wx) = parts
        columns.append(cells)
        weights.append((wz[:, None, None] * wy[:, None] * wx).ravel())
        rows.append(np.full(cells.size, row))
    shape = len(points), int(np.prod(grid.shape))
    entries = np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))
    return csr_array(entries, shape=shape)


def _fitted(grid: Grid, axis: int, at: float, half: float) -> tuple[np.ndarray, np.ndarray]:
    """Voxels within `half` of `at`, four at least, and their weights in the value there of a cubic.

    Its averages over the voxels come nearest to theirs by least squares; those over four it meets.
    """
    side = grid.spacing[axis]
    nearest = np.rint(grid.index(np.full(3, at))[axis] + 0.5) - STENCIL // 2
    first = min(nearest, np.ceil((at - half - grid.lower[axis]) / side))
    last = max(nearest + STENCIL, np.floor((at + half - grid.lower[axis]) / side))
    first = int(np.clip(first, 0, grid.shape[axis] - STENCIL))
    last = int(np.clip(last, first + STENCIL, grid.shape[axis]))
    cells = np.arange(first, last)
    faces = (grid.lower[axis] - at) / side + np.arange(first, last + 1)  # from `at`, in voxels
    powers = np.arange(1, STENCIL + 1)
    averages = np.diff(faces[:, None] ** powers, axis=0) / powers  # of 1, t, t^2, t^3
    return cells, np.linalg.pinv(averages)[0]


def _averaged(grid: Grid, axis: int, at: float, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Voxels within `width` / 2 of `at` and their weights in the value there of a line fitted to them."""
    centres = grid.centres(axis)
    cells = np.flatnonzero(np.abs(centres - at) <= 0.5 * width + 1e-9)
    if cells.size < 2:
        cells = np.sort(np.argsort(np.abs(centres - at), kind="stable")[:2])
    return cells, np.linalg.pinv(np.vander(centres[cells] - at, 2))[1]

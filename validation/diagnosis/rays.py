"""Integrals of voxel maps along the rays of a beam, from outside the patient to a point."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import map_coordinates

from phantoms.grid import Grid
from validation.diagnosis.directions import Direction

RAY_STEP = 0.3  # along and between rays, the latter in the isocentre plane [cm]


def beam_coordinates(direction: Direction, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (n, 3), LPS x, y, z [cm], as u and v in the isocentre plane and distance along the beam [cm]."""
    x, y, z = ((points - direction.source) @ direction.rotation).T
    forward = np.maximum(z, 1e-3)
    return direction.sad * x / forward, direction.sad * y / forward, z


def ray_integrals(
    direction: Direction, grid: Grid, maps: Sequence[np.ndarray], points: np.ndarray
) -> np.ndarray:
    """Line integrals from the source to `points`.

    Maps are read by linear interpolation on a fan of rays `RAY_STEP` apart and summed by the trapezoidal
    rule; outside the grid they are 0. A ray outside the map of the opening is taken as one at its border.

    Parameters
    ----------
    direction : Direction
    grid : Grid
        Of the maps.
    maps : sequence of (nz, ny, nx) array
    points : (n, 3) float64
        LPS (x, y, z) [cm].

    Returns
    -------
    (len(maps), n) float64
        Unit of the maps times cm.
    """
    u, v, depth = beam_coordinates(direction, points)
    corners = np.array(np.meshgrid(*zip(grid.lower[::-1], grid.upper[::-1], strict=True))).reshape(3, 8).T
    reach = beam_coordinates(direction, corners)[2]
    start, stop = max(0.0, reach.min() - RAY_STEP), max(depth.max(), RAY_STEP) + RAY_STEP
    axes = [
        _axis(max(u.min(), direction.u[0]), min(u.max(), direction.u[-1])),
        _axis(max(v.min(), direction.v[0]), min(v.max(), direction.v[-1])),
        start + RAY_STEP * np.arange(int(np.ceil((stop - start) / RAY_STEP)) + 1),
    ]
    fu, fv, fs = np.meshgrid(*axes, indexing="ij")
    scale = fs / direction.sad
    local = np.stack([fu * scale, fv * scale, fs], axis=-1)
    places = direction.source + local @ direction.rotation.T
    index = np.moveaxis(grid.index(places[..., ::-1]), -1, 0)
    length = RAY_STEP * np.sqrt(1.0 + (axes[0][:, None] ** 2 + axes[1] ** 2) / direction.sad**2)
    at = [
        (np.clip(values, axis[0], axis[-1]) - axis[0]) / RAY_STEP
        for values, axis in zip((u, v, depth), axes, strict=True)
    ]
    sums = np.empty((len(maps), len(points)))
    for k, values in enumerate(maps):
        along = map_coordinates(values, index, order=1, mode="constant", cval=0.0, output=np.float32)
        total = np.zeros(along.shape, np.float64)
        np.cumsum(0.5 * (along[..., 1:] + along[..., :-1]), axis=2, out=total[..., 1:])
        total *= length[..., None]
        map_coordinates(total, at, sums[k], order=1, mode="nearest")
    return sums


def _axis(low: float, high: float) -> np.ndarray:
    low, high = min(low, high), max(low, high)
    return low + RAY_STEP * np.arange(int(np.ceil((high - low) / RAY_STEP)) + 1)

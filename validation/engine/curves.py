"""Depth dose and profiles of a dose in water, averaged over a small square, and how two of them agree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phantoms.grid import Grid

PROFILE_DEPTHS = (1.5, 5.0, 10.0, 20.0)  # [cm]


@dataclass(frozen=True)
class Curve:
    """A line of dose: positions (n,) [cm], dose and its one sigma (n,)."""

    name: str
    position: np.ndarray
    dose: np.ndarray
    sigma: np.ndarray


def averaged_curves(dose: np.ndarray, sigma: np.ndarray, grid: Grid, side: float = 1.5) -> list[Curve]:
    """Depth dose on the axis and x and y profiles at `PROFILE_DEPTHS`, averaged over `side` across [cm].

    The beam runs along +z through x = y = 0, the surface is at z = 0.

    Parameters
    ----------
    dose, sigma : (nz, ny, nx) array
        In any unit; sigma is taken as independent between voxels.
    grid : Grid
    side : float
    """
    z, y, x = (grid.centres(axis) for axis in range(3))
    variance = sigma**2

    def mean(selection: tuple[np.ndarray, ...], keep: int) -> tuple[np.ndarray, np.ndarray]:
        block = np.ix_(*(np.flatnonzero(s) for s in selection))
        axes = tuple(a for a in range(3) if a != keep)
        count = np.prod([np.count_nonzero(selection[a]) for a in axes])
        return dose[block].mean(axis=axes), np.sqrt(variance[block].sum(axis=axes)) / count

    def near(c: np.ndarray, at: float) -> np.ndarray:
        return np.abs(c - at) < 0.5 * side + 1e-6

    depths = [
        d for d in PROFILE_DEPTHS if grid.lower[0] <= d - 0.5 * side and d + 0.5 * side <= grid.upper[0]
    ]
    every = [np.ones(n, bool) for n in grid.shape]
    curves = [Curve("depth", z, *mean((every[0], near(y, 0.0), near(x, 0.0)), 0))]
    for depth in depths:
        curves.append(Curve(f"x at {depth:g} cm", x, *mean((near(z, depth), near(y, 0.0), every[2]), 2)))
        curves.append(Curve(f"y at {depth:g} cm", y, *mean((near(z, depth), every[1], near(x, 0.0)), 1)))
    return curves


def deviation(curve: Curve, reference: Curve, maximum: float, steep: float) -> np.ndarray:
    """Difference in shares of `maximum`, 0 where the reference is met within `steep` cm, (n,).

    Only in steep gradients does the distance count: where moving by `steep` changes the reference by
    more than 2 % of the maximum.
    """
    fine = np.linspace(-steep, steep, 41)
    shifted = np.stack([np.interp(curve.position + d, reference.position, reference.dose) for d in fine])
    low, high = shifted.min(axis=0), shifted.max(axis=0)
    outside = np.maximum(0.0, np.maximum(low - curve.dose, curve.dose - high))
    difference = curve.dose - np.interp(curve.position, reference.position, reference.dose)
    in_penumbra = high - low > 0.02 * maximum
    return np.where(in_penumbra, np.sign(difference) * outside, difference) / maximum

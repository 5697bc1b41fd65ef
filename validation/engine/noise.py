"""How noisy a dose is, read from the dose itself: truth is symmetric in the cases, noise is not.

Every field and phantom of the cases is symmetric about x = 0 and y = 0, so that a dose less its mirror image
is noise alone. From it follow

- the true scale of a stated sigma. That of a dose from a phase space, for one, may hold the latent noise of
  the file, which cancels where both doses use the same file;
- how noise adds up. Neighbours along the beam share electrons and, in codes that split interactions, the
  photon's path: their noise is correlated, and the mean of n voxels is less certain than n^(-1/2) says.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.ndimage import uniform_filter

LATERAL = (1, 2)  # axes of (z, y, x) with a mirror image


def symmetrised(values: np.ndarray) -> np.ndarray:
    """Mean of the four mirror images about x = 0 and y = 0, (nz, ny, nx)."""
    values = 0.5 * (values + np.flip(values, 1))
    return 0.5 * (values + np.flip(values, 2))


def sigma_scale(dose: np.ndarray, sigma: np.ndarray, region: np.ndarray) -> float:
    """True over stated sigma of a dose: rms of its normalised difference from its mirror images.

    Parameters
    ----------
    dose, sigma : (nz, ny, nx) array
    region : (nz, ny, nx) bool
    """
    squares = [anti[part] ** 2 / variance[part] for anti, variance, part in _halves(dose, sigma, region)]
    return float(np.sqrt(np.mean(np.concatenate(squares))))


def inflation(
    difference: np.ndarray, sigma: np.ndarray, region: np.ndarray, block: tuple[int, int, int]
) -> float:
    """Variance of a mean over `block` voxels, over that of as many independent ones; at least 1.

    Parameters
    ----------
    difference, sigma : (nz, ny, nx) array
        Of two doses, and its one sigma; what is symmetric in it does not count.
    region : (nz, ny, nx) bool
        Where the centres of the blocks lie.
    block : (int, int, int)
        Numbers of voxels along z, y, x; 0 takes the whole region along that axis.
    """
    size = tuple(n or 1 for n in block)
    whole = tuple(axis for axis in range(3) if block[axis] == 0)
    found = expected = 0.0
    for anti, variance, part in _halves(difference, sigma, region, size):
        if whole:
            anti, variance = (np.where(region, a, 0.0).sum(whole, keepdims=True) for a in (anti, variance))
            part = part.any(axis=whole, keepdims=True)
        anti, variance = (uniform_filter(a, size, mode="constant") for a in (anti, variance))
        found += np.sum(anti[part] ** 2) * np.prod(size)
        expected += np.sum(variance[part])
    return max(1.0, float(found / expected)) if expected > 0 else 1.0


def mirror_noise(dose: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Noise such as the dose holds, of its own size and correlation, drawn in three ways, (nz, ny, nx) each.

    It is the dose less one of its mirror images, over sqrt 2; the second array is False where a voxel is its
    own image and so has none.
    """
    for axes in ((1,), (2,), LATERAL):
        own = np.ones(dose.shape, bool)
        for axis in axes:
            n = dose.shape[axis]
            own &= (2 * np.arange(n) == n - 1).reshape([-1 if a == axis else 1 for a in range(3)])
        yield (dose - np.flip(dose, axes)) * np.sqrt(0.5), ~own


def _halves(
    values: np.ndarray, sigma: np.ndarray, region: np.ndarray, size: tuple[int, int, int] = (1, 1, 1)
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Values less their mirror image, the variance of that, and the half of the region that counts.

    Blocks of `size` in that half do not reach their own mirror image.
    """
    for axis in LATERAL:
        anti = values - np.flip(values, axis)
        variance = sigma**2 + np.flip(sigma, axis) ** 2
        n = values.shape[axis]
        half = np.arange(n) < n // 2 - size[axis] // 2
        yield anti, variance, region & half.reshape([-1 if a == axis else 1 for a in range(3)])

"""Weights of a phase space's particles: a typical one, and how uneven ones are evened out.

Where weights differ, light particles cost as much to transport as heavy ones and tell less. If each is
followed with a chance in proportion to its weight, and carries that of those left out, the spread for the
time is least.
"""

from __future__ import annotations

import numpy as np

from mc.source.phase_space import Particles, PhaseSpace

SAMPLED = 200_000  # particles of a file that tell how its weights differ
EVEN = 2.0  # weights that differ by less are left as they are
GOLDEN_ANGLE = np.pi * (3.0 - 5.0**0.5)  # its multiples are spread evenly about the axis [rad]


def typical_weight(space: PhaseSpace) -> float:
    """Mean weight of the first particles of a file."""
    return float(np.mean(space.read(0, min(1000, len(space))).weight))


def roulette_weight(
    space: PhaseSpace,
    opening: tuple[float, float, float, float] | None = None,
    isocentre_z: float = 0.0,
    rotate: bool = False,
) -> float:
    """Weight for which lighter particles play roulette at the source; 0 if none shall.

    The mean weight, by weight, of the particles: of the photons towards the opening, where there is one. It
    is the weight of an even beam that spreads as much. No history is left out for good, so what the finite
    file leaves (the latent variance) stays.

    Parameters
    ----------
    space : PhaseSpace
    opening : (x1, x2, y1, y2), optional
        What holds all openings of the collimators below, in the isocentre plane [cm].
    isocentre_z : float
        Height of the isocentre in the coordinates of the phase space [cm].
    rotate : bool
        Whether histories are turned about the axis by random angles.
    """
    sample = space.read(0, min(SAMPLED, len(space)))
    weight = sample.weight if opening is None else sample.weight[_aimed(sample, opening, isocentre_z, rotate)]
    if weight.size == 0 or weight.max() <= EVEN * weight.min():
        return 0.0
    return float(np.sum(weight**2) / np.sum(weight))


def _aimed(
    sample: Particles, opening: tuple[float, float, float, float], isocentre_z: float, rotate: bool
) -> np.ndarray:
    """Which are photons towards the opening, (n,) bool."""
    with np.errstate(divide="ignore", invalid="ignore"):
        path = (isocentre_z - sample.z) / sample.w
        x, y = sample.x + path * sample.u, -(sample.y + path * sample.v)
    if rotate:
        angle = GOLDEN_ANGLE * np.arange(len(x))
        x, y = np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y
    x1, x2, y1, y2 = opening
    return (sample.kind == 1) & (sample.w > 0.0) & (x > x1) & (x < x2) & (y > y1) & (y < y2)

"""Weights of a phase space's particles: a typical one, and Russian roulette where they are uneven.

Where weights differ, particles of low weight cost as much to transport as others and contribute less. If each
is followed with a probability in proportion to its weight, and carries the weight of those left out, the
variance for a given time is smallest.
"""

from __future__ import annotations

import numpy as np

from mc.source.phase_space import Particles, PhaseSpace

SAMPLED = 200_000  # particles of a file from which the spread of its weights is estimated
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
    """Weight below which particles play roulette at the source; 0 for no roulette.

    The weighted mean of the weights: of the photons towards the opening, where there is one. A beam of this
    single weight has the same variance. Roulette is played anew at each use of a particle, so the latent
    variance of the finite file does not change.

    Parameters
    ----------
    space : PhaseSpace
    opening : (x1, x2, y1, y2), optional
        Rectangle that contains all openings of the collimators below, in the isocentre plane [cm].
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

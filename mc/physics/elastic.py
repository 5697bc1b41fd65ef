"""Multiple elastic scattering: exact Goudsmit-Saunderson angles of screened Rutherford scattering with spin.

The angle depends on three numbers only: the strength ``1 - <cos theta> = 1 - exp(-K1)`` of the step, the
screening parameter eta and the weight of Mott's spin factor, which the tables choose so that the first two
transport moments of the real medium are met. Every node of the table has exactly the strength it is filed
under, and nodes are mixed linearly, so the sampled mean is exact whatever the table's resolution.
"""

from __future__ import annotations

import math

import numpy as np

from mc.numerics.jit import njit
from mc.numerics.rng import three_uniforms, uniform
from mc.numerics.sampling import K1_MAX_EXP, K1_MIN_EXP, K1_PER_OCTAVE, LEVELS, octave_position


def _aliases(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Table of aliases: the share of each place that stays there, and where the rest goes.

    Walker, ACM Trans. Math. Software 3 (1977) 253.
    """
    share, alias = len(weights) * weights / weights.sum(), np.arange(len(weights))
    poor, rich = list(np.flatnonzero(share < 1.0)), list(np.flatnonzero(share >= 1.0))
    while poor and rich:
        i, j = poor.pop(), rich[-1]
        alias[i] = j
        share[j] -= 1.0 - share[i]
        if share[j] < 1.0:
            poor.append(rich.pop())
    return share, alias


# Levels are 1 - s^4, s equally spaced from 1 to 0: linear between them, a tail like 1/theta^4 is just that.
_KEPT, _ALIAS = _aliases(-np.diff(np.linspace(1.0, 0.0, LEVELS + 1) ** 4))


@njit
def sample_elastic(k1, eta_index, spin_index, quantiles, widths, rng):
    """Sample the polar cosine of a multiple-scattering event.

    Parameters
    ----------
    k1 : float
        Path length in first transport mean free paths.
    eta_index, spin_index : float
        Fractional row of the screening parameter and layer of the spin factor.
    quantiles : (ns, ne, nk, nq) array
        Quantiles of U at levels 1 - s^4, s = 1 .. 0, with 1 - cos(theta) = 2 a U/(1 + a - U).
    widths : (ns, ne, nk) array
        The parameter a of each distribution.
    rng : (uint64, uint64)

    Returns
    -------
    cos_theta : float
    rng
    """
    # 1 - exp(-K1) by its series, to 1e-6 where steps are
    strength = k1 * (1.0 - k1 / 2 * (1.0 - k1 / 3 * (1.0 - k1 / 4 * (1.0 - k1 / 5 * (1.0 - k1 / 6)))))
    if k1 > 0.3:
        strength = -math.expm1(-k1)
    a, b, c, rng = three_uniforms(rng)
    column, f = octave_position(strength, K1_MIN_EXP, K1_MAX_EXP, K1_PER_OCTAVE)
    if f == 0.0 and column == 0:  # weaker than the table: its weakest row, now and then
        if a * 2.0**K1_MIN_EXP >= strength:
            return 1.0, rng
    elif a < f:
        column += 1
    row = int(eta_index)
    if b < eta_index - row:
        row += 1
    layer = int(spin_index)
    if c < spin_index - layer:
        layer += 1
    a, rng = uniform(rng)
    part, rng = uniform(rng)
    # the level is uniform, and so are its interval (by aliases) and its part of it
    a *= LEVELS
    i = int(a)
    if a - i >= _KEPT[i]:
        i = _ALIAS[i]
    low = quantiles[layer, row, column, i]
    uniformised = low + part * (quantiles[layer, row, column, i + 1] - low)
    width = widths[layer, row, column]
    return 1.0 - 2.0 * width * uniformised / (1.0 + width - uniformised), rng

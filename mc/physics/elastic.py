"""Multiple elastic scattering: exact Goudsmit-Saunderson angles of a screened Rutherford law.

The angle depends on two numbers only: the strength ``1 - <cos theta> = 1 - exp(-K1)`` of the step and
the screening parameter eta, which the tables choose so that the first two transport moments of the
real medium are met. Every node of the table has exactly the strength it is filed under, and nodes are
mixed linearly in the strength, so the sampled mean is exact whatever the table's resolution.
"""

from __future__ import annotations

import math

from mc.jit import njit
from mc.rng import uniform
from mc.sampling import K1_MAX_EXP, K1_MIN_EXP, K1_PER_OCTAVE, octave_position


@njit
def sample_elastic(k1, eta_index, quantiles, widths, rng):
    """Sample the polar cosine of a multiple-scattering event.

    Parameters
    ----------
    k1 : float
        Path length in first transport mean free paths.
    eta_index : float
        Fractional row of the screening parameter.
    quantiles : (ne, nk, nq) array
        Quantiles of U at levels 1 - s^2, s = 1 .. 0, with 1 - cos(theta) = 2 a U/(1 + a - U).
    widths : (ne, nk) array
        The parameter a of each distribution.
    rng : (uint64, uint64)

    Returns
    -------
    cos_theta : float
    rng
    """
    strength = -math.expm1(-k1)
    a, rng = uniform(rng)
    column, f = octave_position(strength, K1_MIN_EXP, K1_MAX_EXP, K1_PER_OCTAVE)
    if f == 0.0 and column == 0:  # weaker than the table: its weakest row, now and then
        if a * 2.0**K1_MIN_EXP >= strength:
            return 1.0, rng
    elif a < f:
        column += 1
    row = int(eta_index)
    a, rng = uniform(rng)
    if a < eta_index - row:
        row += 1
    a, rng = uniform(rng)
    place = (1.0 - math.sqrt(1.0 - a)) * (quantiles.shape[2] - 1)
    i = int(place)
    low = quantiles[row, column, i]
    uniformised = low + (place - i) * (quantiles[row, column, i + 1] - low)
    width = widths[row, column]
    return 1.0 - 2.0 * width * uniformised / (1.0 + width - uniformised), rng

"""Multiple elastic scattering: exact Goudsmit-Saunderson angles of screened Rutherford scattering with spin.

The angle depends on three numbers only: the strength ``1 - <cos theta> = 1 - exp(-K1)`` of the step, the
screening parameter eta and the weight of Mott's spin factor, which the tables choose so that the first two
transport moments of the real medium are met. Every node of the table has exactly the strength it is filed
under, and nodes are mixed linearly, so the sampled mean is exact whatever the table's resolution.
"""

from __future__ import annotations

import math

from mc.jit import njit
from mc.rng import uniform
from mc.sampling import K1_MAX_EXP, K1_MIN_EXP, K1_PER_OCTAVE, octave_position


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
    layer = int(spin_index)
    a, rng = uniform(rng)
    if a < spin_index - layer:
        layer += 1
    a, rng = uniform(rng)
    n = quantiles.shape[3] - 1
    i = int((1.0 - math.sqrt(math.sqrt(a))) * n)
    # linear in the level between levels 1 - s^4, here times n^4: a tail like 1/theta^4 is just that
    upper, lower = float(n - i) ** 4, float(n - i - 1) ** 4
    part = (upper - a * float(n) ** 4) / (upper - lower)
    low = quantiles[layer, row, column, i]
    uniformised = low + part * (quantiles[layer, row, column, i + 1] - low)
    width = widths[layer, row, column]
    return 1.0 - 2.0 * width * uniformised / (1.0 + width - uniformised), rng

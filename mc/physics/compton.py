"""Incoherent scattering of photons: Klein-Nishina with the incoherent scattering function.

The electron's binding enters through S(x, Z), which suppresses small momentum transfers; Doppler
broadening is neglected. The scattered energy is that of a free electron at rest.
"""

from __future__ import annotations

import math

from mc.numerics.constants import ELECTRON_MASS, HC
from mc.numerics.jit import njit
from mc.numerics.rng import uniform
from mc.numerics.sampling import X_MAX_EXP, X_MIN_EXP, X_PER_OCTAVE, octave_position


@njit
def scattering_share(x, incoherent, material):
    """S(x)/Z: share of a material's electrons that can take a momentum transfer x [1/Angstrom]."""
    i, f = octave_position(x, X_MIN_EXP, X_MAX_EXP, X_PER_OCTAVE)
    return incoherent[material, i] + f * (incoherent[material, i + 1] - incoherent[material, i])


@njit
def sample_compton(energy, incoherent, material, rng):
    """Sample one Compton event.

    Composition-rejection of Butcher and Messel, Nucl. Phys. 20 (1960) 15 (EGSnrc manual PIRS-701,
    section 2.2), then rejection by S(x)/Z.

    Parameters
    ----------
    energy : float
        Photon energy [MeV].
    incoherent : (nm, nx) array
        S(x)/Z on the momentum-transfer grid.
    material : int
    rng : (uint64, uint64)

    Returns
    -------
    scattered, cos_theta : float
        Energy [MeV] and polar cosine of the scattered photon.
    electron_cos : float
        Polar cosine of the electron, on the opposite azimuth; it takes ``energy - scattered``.
    rng
    """
    k = energy / ELECTRON_MASS
    least = 1.0 / (1.0 + 2.0 * k)  # smallest scattered fraction, at 180 degrees
    log_weight = -math.log(least)
    flat_weight = 0.5 * (1.0 - least * least)
    while True:
        choice, rng = uniform(rng)
        a, rng = uniform(rng)
        if choice * (log_weight + flat_weight) < log_weight:
            fraction = math.exp(-a * log_weight)
        else:
            fraction = math.sqrt(least * least + a * (1.0 - least * least))
        t = (1.0 - fraction) / (k * fraction)  # 1 - cos(theta)
        sin2 = t * (2.0 - t)
        b, rng = uniform(rng)
        if b > 1.0 - fraction * sin2 / (1.0 + fraction * fraction):
            continue
        b, rng = uniform(rng)
        if b <= scattering_share(energy / HC * math.sqrt(0.5 * t), incoherent, material):
            break
    electron_cos = (1.0 + k) * math.sqrt(t / (2.0 + k * (k + 2.0) * t))
    return energy * fraction, 1.0 - t, min(1.0, electron_cos), rng

"""Photons into a given window of directions, for directional splitting (`mc.transport.directional`).

A window is a range of polar cosines about the direction of the particle the photon comes from. For each
process there is a pair of functions: what share of all tries falls into the window, and a try within it. A
try is drawn from a density that encloses the process's own and may fail; the share counts failures as well,
so that N times the share tries of which some fail give what falls into the window of N emissions.
"""

from __future__ import annotations

import math

import numpy as np

from mc.numerics.constants import ELECTRON_MASS, HC
from mc.numerics.jit import njit
from mc.numerics.rng import uniform
from mc.numerics.sampling import X_MAX_EXP, X_MIN_EXP, X_PER_OCTAVE, octave_position
from mc.physics.compton import scattering_share
from mc.physics.rayleigh import cumulative, node_square, square_at

PANELS = 2000  # of the integral of the Compton cross section


@njit
def dipole_share(energy, low, high):
    """Share of the photons of an electron of `energy` [MeV] between two cosines (cf. `dipole_cosine`).

    Returns
    -------
    share, start, width : float
        The last two are for `try_dipole`.
    """
    beta = math.sqrt(energy * (energy + 2.0 * ELECTRON_MASS)) / (energy + ELECTRON_MASS)
    # the cosine in the frame of the electron, in which the photons are isotropic
    start = (low - beta) / (1.0 - low * beta)
    width = (high - beta) / (1.0 - high * beta) - start
    return 0.5 * width, start, width


@njit
def try_dipole(energy, start, width, rng):
    """Polar cosine of a bremsstrahlung photon in the window; it always succeeds."""
    beta = math.sqrt(energy * (energy + 2.0 * ELECTRON_MASS)) / (energy + ELECTRON_MASS)
    a, rng = uniform(rng)
    a = start + a * width
    return min(1.0, (a + beta) / (1.0 + a * beta)), rng


@njit
def compton_norm(energy, incoherent, material):
    """Integral over the scattered fraction e of (1/e + e) g S/Z, the density `sample_compton` draws from."""
    k = energy / ELECTRON_MASS
    span = math.log(1.0 + 2.0 * k)
    total = 0.0
    for i in range(PANELS):
        fraction = math.exp(-span * (i + 0.5) / PANELS)
        total += _compton_acceptance(energy, fraction, incoherent, material) * (1.0 + fraction * fraction)
    return total * span / PANELS


@njit
def _compton_acceptance(energy, fraction, incoherent, material):
    """Share of scattered fractions that Butcher and Messel's rejection, and then binding, lets pass."""
    t = (1.0 - fraction) * ELECTRON_MASS / (energy * fraction)  # 1 - cos(theta)
    passed = 1.0 - fraction * t * (2.0 - t) / (1.0 + fraction * fraction)
    return passed * scattering_share(energy / HC * math.sqrt(0.5 * t), incoherent, material)


@njit
def compton_share(energy, low, high, norm):
    """Share of tries that a Compton event makes between two cosines; `norm` is `compton_norm`.

    Returns
    -------
    share, least, most : float
        The last two, the scattered fractions at the ends, are for `try_compton`.
    """
    k = energy / ELECTRON_MASS
    least, most = 1.0 / (1.0 + k * (1.0 - low)), 1.0 / (1.0 + k * (1.0 - high))
    return (math.log(most / least) + 0.5 * (most * most - least * least)) / norm, least, most


@njit
def try_compton(energy, least, most, incoherent, material, rng):
    """Scattered energy [MeV], 0 if the try fails, and polar cosine of a Compton photon in the window."""
    log_weight, flat_weight = math.log(most / least), 0.5 * (most * most - least * least)
    choice, rng = uniform(rng)
    a, rng = uniform(rng)
    if choice * (log_weight + flat_weight) < log_weight:
        fraction = least * math.exp(a * log_weight)
    else:
        fraction = math.sqrt(least * least + 2.0 * a * flat_weight)
    fraction = min(fraction, 1.0)
    b, rng = uniform(rng)
    if b > _compton_acceptance(energy, fraction, incoherent, material):
        return 0.0, 1.0, rng
    return energy * fraction, 1.0 - (1.0 - fraction) * ELECTRON_MASS / (energy * fraction), rng


@njit
def rayleigh_norm(energy, coherent, material):
    """Integral over x^2 of F^2 (1 + cos^2)/2, the density `sample_rayleigh` draws from."""
    most = energy / HC
    top = most * most
    n, last, reached, total = coherent.shape[1], 0.0, 0.0, 0.0
    for i in range(n):
        square = min(top, node_square(i))
        value = cumulative(square, coherent, material)
        if square > last:
            total += (value - reached) / (square - last) * (_thomson(square, top) - _thomson(last, top))
        last, reached = square, value
    return total


@njit
def _thomson(square, top):
    """Integral of (1 + cos^2)/2 over x^2, with cos = 1 - 2 x^2/top."""
    cosine = 1.0 - 2.0 * square / top
    return 0.5 * square - top / 12.0 * cosine * cosine * cosine


@njit
def rayleigh_share(energy, low, high, coherent, material, norm):
    """Share of tries that a Rayleigh event makes between two cosines; `norm` is `rayleigh_norm`.

    Returns
    -------
    share, start, width : float
        The last two, of A(x^2), are for `try_rayleigh`.
    """
    top = (energy / HC) ** 2
    start = cumulative(0.5 * (1.0 - high) * top, coherent, material)
    width = cumulative(0.5 * (1.0 - low) * top, coherent, material) - start
    return width / norm, start, width


@njit
def try_rayleigh(energy, start, width, coherent, material, rng):
    """Whether the try succeeds, and the polar cosine of a Rayleigh photon in the window."""
    most = energy / HC
    top, _ = octave_position(most, X_MIN_EXP, X_MAX_EXP, X_PER_OCTAVE)
    a, rng = uniform(rng)
    square = square_at(start + a * width, coherent, material, top + 1)
    cosine = max(-1.0, 1.0 - 2.0 * square / (most * most))
    b, rng = uniform(rng)
    return 2.0 * b <= 1.0 + cosine * cosine, cosine, rng


@njit(_nrt=True)
def norms(energies, incoherent, coherent):
    """`compton_norm` and `rayleigh_norm` of all materials at `energies`, (nm, ne, 2)."""
    found = np.empty((incoherent.shape[0], energies.shape[0], 2))
    for material in range(found.shape[0]):
        for i in range(found.shape[1]):
            found[material, i, 0] = compton_norm(energies[i], incoherent, material)
            found[material, i, 1] = rayleigh_norm(energies[i], coherent, material)
    return found

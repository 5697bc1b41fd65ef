"""Multiple scattering: transport coefficients of soft collisions, and the screening that fits them."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicSpline

from mc.numerics.constants import CLASSICAL_ELECTRON_RADIUS, ELECTRON_MASS, HC
from mc.numerics.sampling import ETA_MAX_EXP, ETA_MIN_EXP, ETA_PER_OCTAVE, SPINS
from mc.tables.elements import Element
from mc.tables.inelastic import (
    beta_squared,
    collision_cross_section_differential,
    deflection_moments,
    largest_loss,
)
from mc.tables.photons import scattering_function

SMALLEST_LOSS = 1e-9  # [MeV]; where momentum transfers are far too small to reach bound electrons
PANELS, POINTS = 2, 16  # Gauss-Legendre in ln W: the soft transport coefficients to 1e-4


def nuclear_transport(element: Element, energy: np.ndarray) -> np.ndarray:
    """Transport cross sections of elastic scattering, (2, n) [cm2]; ELSEPA's electrons, for positrons too."""
    spline = CubicSpline(np.log(element.elastic_energy), np.log(element.elastic), axis=1)
    return np.exp(spline(np.log(energy)))


def electronic_transport(
    element: Element, energy: np.ndarray, threshold: float, positron: bool
) -> np.ndarray:
    """Transport cross sections of collisions with the atom's electrons of losses up to `threshold`.

    Moller (Bhabha) scattering on free electrons, times the number S(x) of the atom's electrons that can
    take the momentum transfer (Morse, Phys. Z. 33 (1932) 443; Lenz, Z. Naturforsch. 9a (1954) 185): S/Z
    screens it as (1 - F/Z)^2 screens the nucleus. Hard collisions are left out by the limits of the
    integral, so that what they deflect is never counted twice.

    Parameters
    ----------
    element : Element
    energy : (n,) float64
        [MeV]
    threshold : float
        [MeV]
    positron : bool

    Returns
    -------
    (2, n) float64
        First and second transport cross section [cm2 per atom].
    """
    nodes, weights = np.polynomial.legendre.leggauss(POINTS)
    part = ((np.arange(PANELS)[:, None] + 0.5 * (1.0 + nodes)) / PANELS).ravel()
    low = np.log(SMALLEST_LOSS)
    span = (np.log(np.minimum(threshold, largest_loss(energy, positron))) - low)[:, None]
    loss = np.exp(low + span * part)
    log_weights = span * np.tile(weights, PANELS) * 0.5 / PANELS
    momentum_transfer = np.sqrt(loss * (loss + 2.0 * ELECTRON_MASS))  # of a free electron at rest [MeV/c]
    electrons = scattering_function(element, momentum_transfer / (2.0 * HC))  # q = 2 h x
    measure = collision_cross_section_differential(energy[:, None], loss, positron) * loss * log_weights
    moments = deflection_moments(energy[:, None], loss)
    return np.stack([np.sum(measure * electrons * moment, axis=1) for moment in moments])


def rutherford_prefactor(energy: np.ndarray) -> np.ndarray:
    """2 pi r_e^2 (m/(beta p))^2 [cm2]: times Z^2/(1 - cos)^2 it is Rutherford's cross section per cosine."""
    squared = energy * (energy + 2.0 * ELECTRON_MASS) / ELECTRON_MASS**2  # (p/m)^2
    return 2.0 * np.pi * CLASSICAL_ELECTRON_RADIUS**2 / (beta_squared(energy) * squared)


def screened_moments(eta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Transport moments of the law (1 - spin (1 - cos)/2)/(1 - cos + 2 eta)^2, without the spin and with.

    Returns
    -------
    g1, h1, g2, h2 : (n,) float64
        Integrals of 1 - P1(cos) and 1 - P2(cos) over the cosine are g1 - spin h1 and g2 - spin h2.
        Cancellation grows with eta, but only to 1e-13 within the Goudsmit-Saunderson table.
    """
    c = 2.0 * eta
    log = np.log1p(1.0 / eta)
    # integrals over t = 1 - cos from 0 to 2 of t, t^2 and t^3 over (t + c)^2
    first = log - 1.0 / (1.0 + eta)
    second = 2.0 + c - 2.0 * c * log - c * c / (2.0 + c)
    third = 2.0 - 4.0 * c + 3.0 * c * c * log - 2.0 * c * c / (2.0 + c)
    return first, 0.5 * second, 3.0 * first - 1.5 * second, 1.5 * second - 0.75 * third


def screening(
    kappa_1: np.ndarray, kappa_2: np.ndarray, strength: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Screening and spin factor with which the single-scattering law has both transport coefficients.

    The law's strength at angles beyond the screening is Rutherford's, its screening eta and the strength
    of its spin factor follow from kappa_1 and kappa_2; so small, medium and large angles are all in their
    right proportion. Were the spin factor left out, two coefficients could be met only by a law of half the
    strength at medium angles. Spin factors beyond the Goudsmit-Saunderson table are cut to it and the
    strength is given up instead: both coefficients are always met.

    Parameters
    ----------
    kappa_1, kappa_2 : (n,) float64
        Transport coefficients [cm2/g].
    strength : (n,) float64
        Rutherford's prefactor [cm2/g].

    Returns
    -------
    eta_index, spin_index : (n,) float64
        Row and layer of the table, between nodes a fraction.
    """
    log2_eta = np.linspace(ETA_MIN_EXP, ETA_MAX_EXP, 64 * (ETA_MAX_EXP - ETA_MIN_EXP) + 1)
    g1, h1, g2, h2 = screened_moments(2.0**log2_eta)

    def solve(target: np.ndarray, moment: np.ndarray) -> np.ndarray:
        """log2 eta at which `moment` (n, m), which falls with eta, is `target`."""
        return np.array([np.interp(-a, -b, log2_eta) for a, b in zip(target, moment, strict=True)])

    q1, q2 = (kappa_1 / strength)[:, None], (kappa_2 / strength)[:, None]
    # the spin that kappa_1 wants at each eta, and the kappa_2 that comes of it
    x = solve((q2 - 3.0 * q1)[:, 0], g2 - 3.0 * g1 - (g1 - q1) / h1 * (h2 - 3.0 * h1))
    spin = (np.interp(x, log2_eta, g1) - q1[:, 0]) / np.interp(x, log2_eta, h1)
    cut = np.clip(spin, SPINS[0], SPINS[-1])[:, None]
    x = np.where(spin == cut[:, 0], x, solve(kappa_2 / kappa_1, (g2 - cut * h2) / (g1 - cut * h1)))
    mantissa, exponent = np.frexp(2.0**x)  # mantissa in [1/2, 1)
    row = ETA_PER_OCTAVE * (exponent - 1 - ETA_MIN_EXP + 2.0 * mantissa - 1.0)
    layer = np.interp(cut[:, 0], SPINS, np.arange(len(SPINS)))
    return np.clip(row, 0.0, ETA_PER_OCTAVE * (ETA_MAX_EXP - ETA_MIN_EXP)), layer

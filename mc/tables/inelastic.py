"""Collisions with atomic electrons: stopping power, hard cross sections, deflections.

Hard collisions (energy loss above a threshold) are Moller and Bhabha scattering on free electrons at
rest. All functions take arrays of kinetic energy [MeV], all cross sections and stopping powers are per
electron; `positron` chooses Bhabha for Moller.
"""

from __future__ import annotations

import numpy as np

from mc.numerics.constants import CLASSICAL_ELECTRON_RADIUS, ELECTRON_MASS, THOMSON_FACTOR


def beta_squared(energy: np.ndarray) -> np.ndarray:
    """(v/c)^2 of an electron of kinetic energy [MeV]."""
    tau = energy / ELECTRON_MASS
    return tau * (tau + 2.0) / (tau + 1.0) ** 2


def largest_loss(energy: np.ndarray, positron: bool) -> np.ndarray:
    """Largest energy loss [MeV]: of two like electrons the slower is the secondary; a positron loses all."""
    return energy if positron else 0.5 * energy


def _bhabha_coefficients(tau: np.ndarray) -> tuple[np.ndarray, ...]:
    """B1 to B4 of Bhabha's cross section as PIRS-701 writes it, y = 1/(tau + 2)."""
    y = 1.0 / (tau + 2.0)
    r = 1.0 - 2.0 * y
    return 2.0 - y**2, r * (3.0 + y**2), r**2 + r**3, r**3


def collision_cross_section_differential(energy: np.ndarray, loss: np.ndarray, positron: bool) -> np.ndarray:
    """Moller or Bhabha cross section per energy loss, dsigma/dW [cm2/MeV per electron]."""
    tau, epsilon = energy / ELECTRON_MASS, loss / energy
    if positron:
        b1, b2, b3, b4 = _bhabha_coefficients(tau)
        shape = 1.0 / epsilon**2 - beta_squared(energy) * (b1 / epsilon - b2 + epsilon * (b3 - epsilon * b4))
    else:
        c1, c2 = (tau / (tau + 1.0)) ** 2, (2.0 * tau + 1.0) / (tau + 1.0) ** 2
        shape = 1.0 / epsilon**2 + 1.0 / (1.0 - epsilon) ** 2 + c1 - c2 / (epsilon * (1.0 - epsilon))
    return THOMSON_FACTOR / (beta_squared(energy) * energy**2) * shape


def collision_cross_section(energy: np.ndarray, threshold: float, positron: bool) -> np.ndarray:
    """Moller or Bhabha cross section of losses above `threshold` [MeV], (n,) [cm2 per electron]."""
    tau, beta2 = energy / ELECTRON_MASS, beta_squared(energy)
    e = np.minimum(threshold, largest_loss(energy, positron)) / energy
    if positron:
        b1, b2, b3, b4 = _bhabha_coefficients(tau)
        bracket = b1 * np.log(e) + b2 * (1.0 - e) - b3 * (1.0 - e**2) / 2.0 + b4 * (1.0 - e**3) / 3.0
        total = 1.0 / e - 1.0 + beta2 * bracket
    else:
        c1, c2 = (tau / (tau + 1.0)) ** 2, (2.0 * tau + 1.0) / (tau + 1.0) ** 2
        total = c1 * (0.5 - e) + 1.0 / e - 1.0 / (1.0 - e) - c2 * np.log((1.0 - e) / e)
    return THOMSON_FACTOR / (beta2 * energy) * total


def deflection_moments(energy: np.ndarray, loss: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """1 - P1(cos) and 1 - P2(cos) of the primary after it lost `loss` [MeV] to a free electron at rest.

    From the conservation of energy and momentum, sin^2 = 2 m W / (T (T - W + 2 m)).
    """
    sin2 = 2.0 * ELECTRON_MASS * loss / (energy * (energy - loss + 2.0 * ELECTRON_MASS))
    sin2 = np.minimum(sin2, 1.0)  # rounding, where a positron loses all
    return sin2 / (1.0 + np.sqrt(1.0 - sin2)), 1.5 * sin2


def stopping_number(energy: np.ndarray, threshold: float, positron: bool) -> np.ndarray:
    """F(tau, Delta) of the restricted collision stopping power, losses up to `threshold` [MeV].

    Rohrlich and Carlson, Phys. Rev. 93 (1954) 38; as PIRS-701 writes both. An infinite threshold
    gives the unrestricted F of ICRU Report 37.
    """
    tau, beta2 = energy / ELECTRON_MASS, beta_squared(energy)
    d = np.minimum(threshold, largest_loss(energy, positron)) / ELECTRON_MASS
    if positron:
        y = 1.0 / (tau + 2.0)
        inner = tau + 2.0 * d - 1.5 * d**2 * y - (d - d**3 / 3.0) * y**2
        inner -= (d**2 / 2.0 - tau * d**3 / 3.0 + d**4 / 4.0) * y**3
        return np.log(tau * d) - beta2 / tau * inner
    last = (d**2 / 2.0 + (2.0 * tau + 1.0) * np.log1p(-d / tau)) / (tau + 1.0) ** 2
    return -1.0 - beta2 + np.log((tau - d) * d) + tau / (tau - d) + last


def collision_stopping(
    energy: np.ndarray, threshold: float, positron: bool, mean_excitation: float, delta: np.ndarray
) -> np.ndarray:
    """Collision stopping power per electron, losses up to `threshold` [MeV], (n,) [MeV cm2].

    Bethe's formula as Berger and Seltzer write it, ICRU Report 37 (1984).

    Parameters
    ----------
    energy : (n,) float64
        [MeV]
    threshold : float
        [MeV]; infinite for the unrestricted stopping power.
    positron : bool
    mean_excitation : float
        [eV]
    delta : (n,) float64
        Density effect.
    """
    tau = energy / ELECTRON_MASS
    excitation = mean_excitation * 1e-6 / ELECTRON_MASS
    number = stopping_number(energy, threshold, positron) + np.log(2.0 * (tau + 2.0) / excitation**2)
    return THOMSON_FACTOR / beta_squared(energy) * (number - delta)


def annihilation_cross_section(energy: np.ndarray) -> np.ndarray:
    """Annihilation in flight into two photons, (n,) [cm2 per electron]; Heitler's formula."""
    gamma = 1.0 + energy / ELECTRON_MASS
    p = np.sqrt(gamma**2 - 1.0)
    bracket = (gamma**2 + 4.0 * gamma + 1.0) / p**2 * np.log(gamma + p) - (gamma + 3.0) / p
    return np.pi * CLASSICAL_ELECTRON_RADIUS**2 / (gamma + 1.0) * bracket

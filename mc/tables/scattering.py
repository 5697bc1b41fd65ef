"""Multiple scattering: transport coefficients of soft collisions, and the screening that fits them."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicSpline

from mc.constants import ELECTRON_MASS, HC
from mc.sampling import ETA_MAX_EXP, ETA_MIN_EXP, ETA_PER_OCTAVE
from mc.tables.elements import Element
from mc.tables.inelastic import collision_cross_section_differential, deflection_moments, largest_loss
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


def rutherford_moments(eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means g1, g2 of 1 - P1(cos), 1 - P2(cos) over one scattering by the law 1/(1 - cos + 2 eta)^2.

    Cancellation grows with eta, but only to 1e-13 within the Goudsmit-Saunderson table.
    """
    log = np.log1p(1.0 / eta)
    return (
        2.0 * eta * ((1.0 + eta) * log - 1.0),
        6.0 * eta * (1.0 + eta) * ((1.0 + 2.0 * eta) * log - 2.0),
    )


def eta_index(ratio: np.ndarray) -> np.ndarray:
    """Row of the Goudsmit-Saunderson table, as a float, whose screening has g2/g1 = `ratio`.

    The ratio falls from 3 (forward peaked) to 1 (isotropic) as eta grows; clipped to the table.
    """
    log2_eta = np.linspace(ETA_MIN_EXP, ETA_MAX_EXP, 64 * (ETA_MAX_EXP - ETA_MIN_EXP) + 1)
    g1, g2 = rutherford_moments(2.0**log2_eta)
    eta = 2.0 ** np.interp(-ratio, -g2 / g1, log2_eta)
    mantissa, exponent = np.frexp(eta)  # mantissa in [1/2, 1)
    index = ETA_PER_OCTAVE * (exponent - 1 - ETA_MIN_EXP + 2.0 * mantissa - 1.0)
    return np.clip(index, 0.0, ETA_PER_OCTAVE * (ETA_MAX_EXP - ETA_MIN_EXP))

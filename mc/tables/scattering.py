"""Multiple scattering: transport coefficients of soft collisions, and the screening that fits them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.interpolate import CubicSpline

from mc.constants import AVOGADRO, ELECTRON_MASS, HC
from mc.sampling import ETA_MAX_EXP, ETA_MIN_EXP, ETA_PER_OCTAVE
from mc.tables.elements import Element
from mc.tables.inelastic import collision_cross_section_differential, deflection_moments, largest_loss
from mc.tables.photons import scattering_function

SMALLEST_LOSS = 1e-9  # [MeV]; where momentum transfers are far too small to reach bound electrons
PANELS, POINTS = 4, 16  # Gauss-Legendre panels in ln W: 1e-5


def nuclear_transport(elements: Sequence[Element], fractions: np.ndarray, energy: np.ndarray) -> np.ndarray:
    """Transport coefficients of elastic scattering, (2, n) [cm2/g]; ELSEPA's electrons, for positrons too."""
    total = np.zeros((2, len(energy)))
    for element, fraction in zip(elements, fractions, strict=True):
        spline = CubicSpline(np.log(element.elastic_energy), np.log(element.elastic), axis=1)
        total += fraction * AVOGADRO / element.atomic_weight * np.exp(spline(np.log(energy)))
    return total


def electronic_transport(
    elements: Sequence[Element], fractions: np.ndarray, energy: np.ndarray, threshold: float, positron: bool
) -> np.ndarray:
    """Transport coefficients of collisions with atomic electrons of losses up to `threshold`.

    Moller (Bhabha) scattering on free electrons, times the share S(x)/Z of an atom's electrons that can
    take the momentum transfer (Morse, Phys. Z. 33 (1932) 443; Lenz, Z. Naturforsch. 9a (1954) 185): S
    screens it as (1 - F/Z)^2 screens the nucleus. Hard collisions are left out by the limits of the
    integral, so that what they deflect is never counted twice.

    Parameters
    ----------
    elements : sequence of Element
    fractions : (n_elements,) float64
        Mass fractions.
    energy : (n,) float64
        [MeV]
    threshold : float
        [MeV]
    positron : bool

    Returns
    -------
    (2, n) float64
        kappa_1, kappa_2 [cm2/g].
    """
    nodes, weights = np.polynomial.legendre.leggauss(POINTS)
    part = ((np.arange(PANELS)[:, None] + 0.5 * (1.0 + nodes)) / PANELS).ravel()
    low = np.log(SMALLEST_LOSS)
    span = (np.log(np.minimum(threshold, largest_loss(energy, positron))) - low)[:, None]
    loss = np.exp(low + span * part)
    log_weights = span * np.tile(weights, PANELS) * 0.5 / PANELS

    momentum_transfer = np.sqrt(loss * (loss + 2.0 * ELECTRON_MASS))  # of a free electron at rest [MeV/c]
    x = momentum_transfer / (2.0 * HC)  # q = 2 h x
    grid = np.geomspace(x.min(), x.max(), 2001)
    electrons = sum(
        fraction * AVOGADRO / element.atomic_weight * scattering_function(element, grid)
        for element, fraction in zip(elements, fractions, strict=True)
    )
    density = np.interp(x, grid, electrons)  # electrons that take part [1/g]
    measure = collision_cross_section_differential(energy[:, None], loss, positron) * loss * log_weights
    moments = deflection_moments(energy[:, None], loss)
    return np.stack([np.sum(measure * density * moment, axis=1) for moment in moments])


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

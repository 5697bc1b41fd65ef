"""Bremsstrahlung of a material: radiative stopping, hard cross section and photon spectra.

Seltzer and Berger, At. Data Nucl. Data Tables 35 (1986) 345: the source of NIST ESTAR. Their tables
hold chi = beta^2/Z^2 k dsigma/dk, electron-electron bremsstrahlung included.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.interpolate import CubicSpline, PchipInterpolator

from mc.constants import AVOGADRO
from mc.tables.elements import Element
from mc.tables.inelastic import beta_squared

MILLIBARN = 1e-27  # [cm2]
SPECTRUM_POINTS = 513  # of ln k, from which quantiles are read


class BremsstrahlungSpectra:
    """Spectra k dSigma/dk of a material at given kinetic energies.

    Cubic spline in ln T, monotone cubic in k/T (the tabulated tip is closely spaced and a little noisy).

    Parameters
    ----------
    elements : sequence of Element
    fractions : (n_elements,) float64
        Mass fractions.
    energy : (n,) float64
        Kinetic energies [MeV].
    """

    def __init__(self, elements: Sequence[Element], fractions: np.ndarray, energy: np.ndarray) -> None:
        self.energy = energy
        scaled = sum(
            fraction * AVOGADRO / e.atomic_weight * e.z**2 * MILLIBARN * e.bremsstrahlung
            for e, fraction in zip(elements, fractions, strict=True)
        )
        first = elements[0]
        self._fractions = first.bremsstrahlung_fraction
        spectra = CubicSpline(np.log(first.bremsstrahlung_energy), scaled)(np.log(energy))
        spectra /= beta_squared(energy)[:, None]
        self._coefficients = PchipInterpolator(self._fractions, spectra, axis=1).c

    def __call__(self, fraction: np.ndarray) -> np.ndarray:
        """k dSigma/dk [cm2/g] at k/T = `fraction` (n, m), one row for each energy."""
        interval = np.clip(np.searchsorted(self._fractions, fraction) - 1, 0, len(self._fractions) - 2)
        t = fraction - self._fractions[interval]
        c3, c2, c1, c0 = self._coefficients[:, interval, np.arange(len(self.energy))[:, None]]
        return ((c3 * t + c2) * t + c1) * t + c0

    def stopping(self, threshold: float) -> np.ndarray:
        """Radiative stopping power of photons below `threshold` [MeV], (n,) [MeV cm2/g]."""
        nodes, weights = np.polynomial.legendre.leggauss(24)
        top = np.minimum(threshold / self.energy, 1.0)[:, None]
        return np.sum(self(top * 0.5 * (1.0 + nodes)) * weights * 0.5 * top, axis=1) * self.energy

    def cross_section(self, threshold: float) -> np.ndarray:
        """Cross section of photons above `threshold` [MeV], (n,) [cm2/g]."""
        nodes, weights = np.polynomial.legendre.leggauss(24)
        low = np.minimum(np.log(threshold / self.energy), 0.0)[:, None]
        return np.sum(self(np.exp(low * 0.5 * (1.0 - nodes))) * weights * -0.5 * low, axis=1)

    def quantiles(self, threshold: float, n: int) -> np.ndarray:
        """Equally probable values of x, photon energy k = threshold (T/threshold)^x.

        Parameters
        ----------
        threshold : float
            [MeV]
        n : int
            Number of intervals.

        Returns
        -------
        (n_energies, n + 1) float64
            Quantiles at u = 0, 1/n, ..., 1. At and below the threshold its limit from above, x = u,
            so that interpolation in energy stays right in the first interval.
        """
        u = np.linspace(0.0, 1.0, n + 1)
        x = np.linspace(0.0, 1.0, SPECTRUM_POINTS)
        log_low = np.minimum(np.log(threshold / self.energy), 0.0)[:, None]
        density = self(np.exp(log_low * (1.0 - x)))
        cumulative = np.zeros_like(density)
        np.cumsum(0.5 * (density[:, 1:] + density[:, :-1]), axis=1, out=cumulative[:, 1:])
        cumulative /= cumulative[:, -1:]
        return np.stack([np.interp(u, row, x) for row in cumulative])

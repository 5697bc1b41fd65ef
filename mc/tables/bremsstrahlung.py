"""Bremsstrahlung of an atom: radiative stopping, hard cross section and photon spectra.

Seltzer and Berger, At. Data Nucl. Data Tables 35 (1986) 345: the source of NIST ESTAR. Their tables
hold chi = beta^2/Z^2 k dsigma/dk, electron-electron bremsstrahlung included.
"""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicSpline, PchipInterpolator

from mc.tables.elements import Element
from mc.tables.inelastic import beta_squared

MILLIBARN = 1e-27  # [cm2]
QUADRATURE = np.polynomial.legendre.leggauss(24)


class BremsstrahlungSpectra:
    """Spectra k dsigma/dk of an atom at given kinetic energies.

    Cubic spline in ln T, monotone cubic in k/T (the tabulated tip is closely spaced and a little noisy).

    Parameters
    ----------
    element : Element
    energy : (n,) float64
        Kinetic energies [MeV].
    """

    def __init__(self, element: Element, energy: np.ndarray) -> None:
        self.energy = energy
        self._fractions = element.bremsstrahlung_fraction
        spectra = CubicSpline(np.log(element.bremsstrahlung_energy), element.bremsstrahlung)(np.log(energy))
        spectra *= MILLIBARN * element.z**2 / beta_squared(energy)[:, None]
        self._coefficients = PchipInterpolator(self._fractions, spectra, axis=1).c

    def __call__(self, fraction: np.ndarray) -> np.ndarray:
        """k dsigma/dk [cm2] at k/T = `fraction` (n, m), one row for each energy."""
        interval = np.clip(np.searchsorted(self._fractions, fraction) - 1, 0, len(self._fractions) - 2)
        t = fraction - self._fractions[interval]
        c3, c2, c1, c0 = self._coefficients[:, interval, np.arange(len(self.energy))[:, None]]
        return ((c3 * t + c2) * t + c1) * t + c0

    def stopping(self, threshold: float) -> np.ndarray:
        """Radiative stopping power of photons below `threshold` [MeV], (n,) [MeV cm2]."""
        nodes, weights = QUADRATURE
        top = np.minimum(threshold / self.energy, 1.0)[:, None]
        return np.sum(self(top * 0.5 * (1.0 + nodes)) * weights * 0.5 * top, axis=1) * self.energy

    def cross_section(self, threshold: float) -> np.ndarray:
        """Cross section of photons above `threshold` [MeV], (n,) [cm2]."""
        nodes, weights = QUADRATURE
        low = np.minimum(np.log(threshold / self.energy), 0.0)[:, None]
        return np.sum(self(np.exp(low * 0.5 * (1.0 - nodes))) * weights * -0.5 * low, axis=1)

    def hard(self, threshold: float, n: int) -> np.ndarray:
        """Spectrum of photons above `threshold` [MeV]: k dsigma/dk at n equal steps of ln k, (n_energies, n).

        From the threshold to T; at and below the threshold its limit from above, a constant.
        """
        log_low = np.minimum(np.log(threshold / self.energy), 0.0)[:, None]
        return self(np.exp(log_low * (1.0 - np.linspace(0.0, 1.0, n))))


def spectrum_quantiles(spectrum: np.ndarray, n: int) -> np.ndarray:
    """Equally probable values of x, photon energy k = threshold (T/threshold)^x.

    Parameters
    ----------
    spectrum : (n_energies, m) float64
        As `BremsstrahlungSpectra.hard` gives it, of any unit.
    n : int
        Number of intervals.

    Returns
    -------
    (n_energies, n + 1) float64
        Quantiles at u = 0, 1/n, ..., 1.
    """
    x = np.linspace(0.0, 1.0, spectrum.shape[1])
    cumulative = np.zeros_like(spectrum)
    np.cumsum(0.5 * (spectrum[:, 1:] + spectrum[:, :-1]), axis=1, out=cumulative[:, 1:])
    cumulative /= cumulative[:, -1:]
    u = np.linspace(0.0, 1.0, n + 1)
    return np.stack([np.interp(u, row, x) for row in cumulative])

"""Lateral response of a flatbed scanner: film looks darker towards the sides, the more the darker it is.

Across the scanner the response of the middle follows from that at a place by a polynomial in the response,

    X_middle = X + a(L) + b(L) X + c(L) X^2,

whose coefficients belong to the lateral position L and are linear between positions (Lewis and Chan, Med
Phys 42 (2015) 416, who take the first two terms; the third follows films whose optical density grows by a
factor).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from phantoms.errors import InputError
from validation.film.scan import CHANNELS

STEP_MM = 10.0  # width of the cells of lateral position for which coefficients are fitted
FOR_SQUARE = 5  # doses it takes to fit the square
TERMS = ("offset", "slope", "curvature")


@dataclass(frozen=True, eq=False)
class Lateral:
    """Correction of the lateral response.

    Parameters
    ----------
    position_mm : (n,) float64
        Lateral positions from the scanner's middle, ascending.
    coefficients : (3, n, 3) float64
        a, b, c of each channel and position.
    """

    position_mm: np.ndarray
    coefficients: np.ndarray = field(repr=False)

    def covers(self, position_mm: np.ndarray) -> np.ndarray:
        """Where there are coefficients; nothing is extrapolated."""
        half = 0.5 * STEP_MM
        return (position_mm >= self.position_mm[0] - half) & (position_mm <= self.position_mm[-1] + half)

    def correct(self, response: np.ndarray, position_mm: np.ndarray) -> np.ndarray:
        """Response in the middle of the scanner.

        Parameters
        ----------
        response : (..., 3) array
            Of the three channels.
        position_mm : array that broadcasts to (...)
            From the scanner's middle [mm].
        """
        corrected = np.empty_like(response)
        for channel in range(3):
            a, b, c = (
                np.interp(position_mm, self.position_mm, self.coefficients[channel, :, term])
                for term in range(3)
            )
            x = response[..., channel]
            corrected[..., channel] = x + a + (b + c * x) * x
        return corrected


def fit_lateral(
    position_mm: np.ndarray, measured: np.ndarray, middle: np.ndarray, films: np.ndarray
) -> Lateral:
    """Fit the correction to films of known dose that lie across the scanner.

    Parameters
    ----------
    position_mm : (n,) array
        From the scanner's middle.
    measured : (n, 3) array
        Response there.
    middle : (n, 3) array
        Response that the film's dose has in the middle.
    films : (n,) array
        Which of the films' doses it is.

    Raises
    ------
    InputError
        If there are fewer than two doses, or they do not span the same positions.
    """
    doses = np.unique(films).size
    if doses < 2:
        raise InputError("lateral response", "takes films of at least two doses across the scanner")
    terms = 3 if doses >= FOR_SQUARE else 2
    # positions that at least all but one of the films reach: each must bear `terms` coefficients
    cell = np.rint(position_mm / STEP_MM).astype(int)
    held = [c for c in np.unique(cell) if np.unique(films[cell == c]).size >= max(terms, doses - 1)]
    if len(held) < 3:
        raise InputError(
            "lateral response",
            f"the films span {len(held)} common positions of {STEP_MM:g} mm",
            "lay films of all doses across the scanner, or set lateral_response = false",
        )
    nodes = STEP_MM * np.array(held)
    chosen = np.isin(cell, held)
    hat_functions = np.array([np.interp(position_mm[chosen], nodes, unit) for unit in np.eye(len(held))]).T
    coefficients = np.zeros((3, len(held), 3))
    for channel in range(3):
        x, target = measured[chosen, channel], middle[chosen, channel]
        # orthogonal about the mean response, so that a little damping acts on the terms and not on their sum
        mean = x.mean()
        powers = np.array([np.ones_like(x), x - mean, (x - mean) ** 2][:terms]).T
        matrix = (hat_functions[:, :, None] * powers[:, None, :]).reshape(x.size, -1) / x[:, None]
        damping = 1e-6 * np.sqrt((matrix**2).sum(axis=0).max()) * np.eye(matrix.shape[1])
        found, *_ = np.linalg.lstsq(
            np.vstack([matrix, damping]), np.r_[(target - x) / x, np.zeros(matrix.shape[1])], rcond=None
        )
        a, b, c = np.pad(found.reshape(len(held), terms), ((0, 0), (0, 3 - terms))).T
        coefficients[channel] = np.array([a - b * mean + c * mean**2, b - 2.0 * c * mean, c]).T
    return Lateral(nodes, coefficients)


def describe(lateral: Lateral, response: np.ndarray) -> list[tuple[str, float]]:
    """Largest correction of each channel, relative, at a response (3,) of that channel."""
    at = lateral.position_mm
    corrected = lateral.correct(np.broadcast_to(response, (at.size, 3)), at)
    return [
        (name, float(np.abs(corrected[:, k] / response[k] - 1.0).max())) for k, name in enumerate(CHANNELS)
    ]

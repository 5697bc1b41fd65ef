"""Where a film lies in a plane of a dose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TURNS = (0, 90, 180, 270)


@dataclass(frozen=True)
class Placement:
    """A rigid placement of a film: mirrored if scanned from behind, turned, moved.

    On the screen the film is first mirrored left to right (where it was), then turned counter-clockwise by
    `turn` and `angle_deg`, then its middle is put on `centre_mm` of the plane.

    Parameters
    ----------
    centre_mm : (float, float)
        u and v of the film's middle in the plane.
    angle_deg : float
        Small angle by which the film is turned counter-clockwise, as seen on the screen.
    turn : int
        0, 90, 180 or 270.
    mirror : bool
    upwards : bool
        Whether the plane's v ascends upwards on the screen.
    """

    centre_mm: tuple[float, float]
    angle_deg: float
    turn: int = 0
    mirror: bool = False
    upwards: bool = True

    @property
    def matrix(self) -> np.ndarray:
        """(2, 2), from film (right, down) to plane (u, v)."""
        return self._turned(self.angle_deg)

    @property
    def by_angle(self) -> np.ndarray:
        """Derivative of the matrix by the angle [1/rad]."""
        return self._turned(self.angle_deg + 90.0)

    def _turned(self, angle_deg: float) -> np.ndarray:
        angle = np.radians(angle_deg + self.turn)
        c, s = np.cos(angle), np.sin(angle)
        to_screen = np.diag([-1.0 if self.mirror else 1.0, -1.0])  # right and down to right and up
        to_plane = np.diag([1.0, 1.0 if self.upwards else -1.0])
        return to_plane @ np.array([[c, -s], [s, c]]) @ to_screen

    def to_plane(self, x_mm: np.ndarray, y_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """u and v of points of the film, given from its middle to the right and down [mm]."""
        m = self.matrix
        return (
            self.centre_mm[0] + m[0, 0] * x_mm + m[0, 1] * y_mm,
            self.centre_mm[1] + m[1, 0] * x_mm + m[1, 1] * y_mm,
        )

    def to_film(self, u_mm: np.ndarray, v_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points of the plane on the film, from its middle to the right and down [mm]."""
        m = self.matrix.T  # its inverse, for it is orthogonal
        u, v = u_mm - self.centre_mm[0], v_mm - self.centre_mm[1]
        return m[0, 0] * u + m[0, 1] * v, m[1, 0] * u + m[1, 1] * v


@dataclass(frozen=True, eq=False)
class Registration:
    """A placement, how it was found, and how well it is known.

    Parameters
    ----------
    placement : Placement
    method : str
        `marks`, `given` or `automatic`.
    sigma_mm : (float, float)
        One sigma of the centre along u and v; NaN where it is not known.
    sigma_deg : float
        Of the angle.
    residual_mm : float
        Root mean square of the marks' residuals, NaN with other methods.
    correlation : float
        Of film and plane where both are known.
    factor : float
        By which the plane's dose fits that of the film best.
    check : Placement or None
        What automatic registration makes of a placement by marks or by hand.
    warnings : tuple of str
    failed : str
        Why an automatic registration cannot be relied on; empty where it can.
    """

    placement: Placement
    method: str
    sigma_mm: tuple[float, float]
    sigma_deg: float
    residual_mm: float
    correlation: float
    factor: float
    check: Placement | None
    warnings: tuple[str, ...]
    failed: str = ""

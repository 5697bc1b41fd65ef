"""A synthetic film, its calibration films and the plane it was irradiated in, as files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from phantoms.grid import Grid
from tests import dicom_factory
from tests.synthetic_film import Scanner, devic, write_tiff
from validation.film.placement import Placement

DOSES = (0.0, 0.5, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0)
MIDDLE = (18.0, -12.0)  # of the film from that of the scanner [mm]
HALF = (65.0, 55.0)  # its size
TRUTH = Placement((2.7, 98.3), 1.3, upwards=True)


def field(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Dose of the plane [Gy]: a field with penumbra, a boost and a cold spot; no symmetry."""
    v = v - 100.0
    left, right, low, high = (
        1.0 / (1.0 + np.exp(-t / 2.2)) for t in (u + 30.0, 25.0 - u, v + 20.0, 28.0 - v)
    )
    boost = 2.2 * np.exp(-((u - 12.0) ** 2 + (v + 8.0) ** 2) / 120.0)
    cold = 3.4 * np.exp(-((u + 10.0) ** 2 + (v - 10.0) ** 2) / 90.0)
    return 0.25 + 6.0 * left * right * low * high + boost - cold


@dataclass(frozen=True, eq=False)
class FilmCase:
    """Files of a synthetic film."""

    folder: Path
    scanner: Scanner
    corner_px: tuple[float, float]  # the film's middle in pixels of the scan

    def pixel(self, x_mm: float, y_mm: float) -> tuple[float, float]:
        """Pixel of a place on the film, from its middle to the right and down."""
        return self.corner_px[0] + x_mm / self.scanner.pitch, self.corner_px[1] + y_mm / self.scanner.pitch


def film_case(folder: Path) -> FilmCase:
    """Noise, lateral response, uneven layer, a curve that is not rational, 1.3 deg, 2.7 mm."""
    scanner = Scanner(560, 420, 50.0, noise=0.004, parabola=0.06, thickness=0.003, curve=devic)
    x, y = scanner.places()
    dose, film = np.zeros((420, 560)), np.zeros((420, 560), bool)
    for k, value in enumerate(DOSES):
        film[15 + 50 * k : 55 + 50 * k, 40:520] = True
        dose[15 + 50 * k : 55 + 50 * k] = value
    write_tiff(folder / "cal.tif", scanner.scan(dose, film, 1), scanner.dpi)
    listed = "".join(f"[[films]]\ndose_gy = {value}\n" for value in DOSES)
    (folder / "films.toml").write_text(f'scans = ["cal.tif"]\nlateral_response = true\n{listed}')
    x, y = x - MIDDLE[0], y - MIDDLE[1]
    film = (np.abs(x) < HALF[0]) & (np.abs(y) < HALF[1])
    dose = field(*TRUTH.to_plane(x, y))
    for k in (2, 3):
        write_tiff(folder / f"film{k}.tif", scanner.scan(dose, film, k), scanner.dpi)
    u, y, v = np.arange(-9.0, 9.01, 0.25), np.arange(-1.0, 1.01, 0.25), np.arange(2.0, 18.01, 0.25)
    volume = field(10.0 * u, 10.0 * v[:, None])[:, None, :] * (1.0 + 0.05 * y[None, :, None])
    grid = Grid((v.size, y.size, u.size), (0.25, 0.25, 0.25), (v[0], y[0], u[0]))
    dicom_factory.write_dose(folder, grid, volume, name="RD.dcm")
    middle = [0.5 * n + m / scanner.pitch - 0.5 for n, m in zip((560, 420), MIDDLE, strict=True)]
    return FilmCase(folder, scanner, (middle[0], middle[1]))

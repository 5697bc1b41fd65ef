"""A film as the scanner saw it: response of three channels on a grid of pixels in millimetres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

import numpy as np

from phantoms.errors import InputError
from validation.film.tiff import Picture, read_tiff

CHANNELS = ("red", "green", "blue")
FULL = 65535.0  # pixel value of a response of 1
MIN_PITCH_MM = 0.3  # finer scans are averaged to pixels not smaller than this, which are less noisy
PITCH_RANGE_MM = (0.01, 2.0)  # 2540 to 12.7 dpi
ALIKE = 0.02  # most by which scans of one film may differ in their medians


@dataclass(frozen=True, eq=False)
class Scan:
    """One film bed, one or several scans averaged.

    Positions are millimetres to the right and down from the scan's upper left corner.

    Parameters
    ----------
    paths : tuple of Path
    response : (rows, columns, 3) float64
        Pixel value over full scale; red, green, blue.
    pitch_mm : (float, float)
        Distance of rows and of columns [mm].
    file_pitch_mm : (float, float)
        That of the pixels in the files, in which the user states places.
    warnings : tuple of str
    """

    paths: tuple[Path, ...]
    response: np.ndarray = field(repr=False)
    pitch_mm: tuple[float, float]
    file_pitch_mm: tuple[float, float]
    warnings: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.response.shape[:2]

    @property
    def size_mm(self) -> tuple[float, float]:
        """Height and width."""
        return self.shape[0] * self.pitch_mm[0], self.shape[1] * self.pitch_mm[1]

    @property
    def name(self) -> str:
        """The files' names."""
        return ", ".join(path.name for path in self.paths)

    def centres_mm(self, axis: int) -> np.ndarray:
        """Pixel centres down (0) or to the right (1), (n,) [mm]."""
        return (np.arange(self.shape[axis]) + 0.5) * self.pitch_mm[axis]

    def point_mm(self, pixel: Sequence[float]) -> tuple[float, float]:
        """Where the middle of a pixel (x, y) of the file lies: right and down [mm]."""
        return (pixel[0] + 0.5) * self.file_pitch_mm[1], (pixel[1] + 0.5) * self.file_pitch_mm[0]

    def box(self, pixels: Sequence[float], what: str) -> tuple[slice, slice]:
        """Rows and columns whose centre lies in a box (left, top, right, bottom) of the file's pixels.

        Raises
        ------
        InputError
            If the box does not lie in the scan or holds no pixel.
        """
        left, top, right, bottom = pixels
        height, width = (
            round(n * d / f) for n, d, f in zip(self.shape, self.pitch_mm, self.file_pitch_mm, strict=True)
        )
        if not (0 <= left < right <= width + 1 and 0 <= top < bottom <= height + 1):
            raise InputError(
                what,
                f"the box {left:g}, {top:g}, {right:g}, {bottom:g} does not lie in {self.name}, which has "
                f"{width} x {height} pixels",
                "left, top, right, bottom in pixels of the scan",
            )
        ranges = []
        for axis, (low, high) in enumerate(((top, bottom), (left, right))):
            centres = self.centres_mm(axis)
            inside = np.flatnonzero(
                (centres > low * self.file_pitch_mm[axis]) & (centres < high * self.file_pitch_mm[axis])
            )
            if inside.size == 0:
                raise InputError(what, f"the box {left:g}, {top:g}, {right:g}, {bottom:g} holds no pixel")
            ranges.append(slice(int(inside[0]), int(inside[-1]) + 1))
        return ranges[0], ranges[1]


def read_scans(paths: Sequence[str | PathLike], dpi: float | None = None) -> Scan:
    """Read one or several scans of the same film and average them.

    Parameters
    ----------
    paths : sequence of path
    dpi : float, optional
        Resolution, where the files do not state it or state a wrong one.

    Raises
    ------
    InputError
        If a file is not a 16-bit RGB TIFF with a resolution, or the scans are not alike.
    """
    total, first, medians, warnings = None, None, [], []
    for path in paths:
        picture = read_tiff(path)
        pitch = _pitch(picture, dpi)
        if picture.pitch_mm is not None and not np.allclose(pitch, picture.pitch_mm, rtol=0.01):
            stated = 25.4 / picture.pitch_mm[1]
            warnings.append(f"{picture.path.name}: taken at {dpi:g} dpi, though the file states {stated:.4g}")
        if picture.pixels.shape[2] < 3:
            raise InputError(
                path, "is a grey picture, not RGB", "scan to 48-bit colour: three channels are needed"
            )
        if first is None:
            first = picture, pitch
            total = np.zeros((*picture.pixels.shape[:2], 3))
        elif picture.pixels.shape[:2] != total.shape[:2] or not np.allclose(pitch, first[1], rtol=1e-3):
            raise InputError(
                path,
                f"has other pixels than {first[0].path.name}",
                "scans that are averaged must be of one film in one place, with one resolution",
            )
        medians.append(np.median(picture.pixels[..., :3], axis=(0, 1)))
        total += picture.pixels[..., :3]
    if first is None:
        raise InputError("film", "no scan was named")
    spread = np.ptp(medians, axis=0) / np.maximum(np.mean(medians, axis=0), 1.0)
    if spread.max() > ALIKE:
        raise InputError(
            ", ".join(str(path) for path in paths),
            f"differ by {100 * spread.max():.1f} % in the median: these are not scans of the same film",
        )
    response = total / (len(paths) * FULL)
    factor = tuple(max(1, int(np.ceil(MIN_PITCH_MM / p - 1e-6))) for p in first[1])
    return Scan(
        tuple(Path(path) for path in paths),
        _averaged(response, factor),
        (first[1][0] * factor[0], first[1][1] * factor[1]),
        first[1],
        tuple(warnings),
    )


def _pitch(picture: Picture, dpi: float | None) -> tuple[float, float]:
    """The resolution that the user states, else the file's."""
    pitch = picture.pitch_mm if dpi is None else (25.4 / dpi, 25.4 / dpi)
    if pitch is None:
        raise InputError(picture.path, "does not state its resolution", "give it, such as --dpi 72")
    if not all(PITCH_RANGE_MM[0] <= p <= PITCH_RANGE_MM[1] for p in pitch):
        raise InputError(
            picture.path,
            f"has a resolution of {25.4 / pitch[1]:.4g} dpi",
            "12.7 to 2540 dpi are read; --dpi overrules what a file states",
        )
    return pitch


def _averaged(response: np.ndarray, factor: tuple[int, int]) -> np.ndarray:
    """Means of blocks of pixels; rows and columns that fill no block are left out."""
    if factor == (1, 1):
        return response
    down, across = factor
    rows, columns = response.shape[0] // down, response.shape[1] // across
    blocks = response[: rows * down, : columns * across].reshape(rows, down, columns, across, 3)
    return blocks.mean(axis=(1, 3))

"""Films that were never scanned: a known dose through a known film and scanner, written as a TIFF."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

BED = np.array([0.93, 0.94, 0.93])  # response of the empty bed


def rational(dose: np.ndarray) -> np.ndarray:
    """Response of the three channels at a dose, (..., 3)."""
    d = np.asarray(dose, float)[..., None]
    a, b, c = np.array([0.05, 0.02, 0.12]), np.array([0.58, 0.60, 0.36]), np.array([4.0, 8.0, 17.0])
    return a + b / (1.0 + d / c)


def devic(dose: np.ndarray) -> np.ndarray:
    """Response by D = p nOD + q nOD^n, which no rational function is."""
    d = np.asarray(dose, float)
    found = []
    for clear, p, q, n in ((0.63, 6.5, 28.0, 2.4), (0.62, 12.0, 45.0, 2.2), (0.48, 25.0, 160.0, 2.0)):
        density = np.linspace(-0.2, 1.2, 4001)
        row = p * density + q * np.sign(density) * np.abs(density) ** n
        found.append(clear * 10.0 ** -np.interp(d, row, density))
    return np.stack(found, axis=-1)


@dataclass(frozen=True)
class Scanner:
    """Noise and lateral response of a scanner of so many columns and rows."""

    width: int
    height: int
    dpi: float = 72.0
    noise: float = 0.003  # of the response, relative
    parabola: float = 0.0  # by which optical density grows 100 mm from the middle
    thickness: float = 0.0  # one sigma of the active layer's, alike in all channels
    curve: object = staticmethod(rational)

    @property
    def pitch(self) -> float:
        """[mm]"""
        return 25.4 / self.dpi

    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """Pixel centres right and down from the middle, (1, w) and (h, 1) [mm]."""
        x = (np.arange(self.width) + 0.5 - 0.5 * self.width) * self.pitch
        y = (np.arange(self.height) + 0.5 - 0.5 * self.height) * self.pitch
        return x[None, :], y[:, None]

    def scan(self, dose: np.ndarray, film: np.ndarray, seed: int) -> np.ndarray:
        """Pixels of a film that received `dose` where `film` is, (h, w, 3) uint16."""
        rng = np.random.default_rng(seed)
        density = -np.log10(self.curve(np.where(film, dose, 0.0)))
        x, _ = self.places()
        density = density * (1.0 + self.parabola * (x[..., None] / 100.0) ** 2)
        if self.thickness:
            from scipy.ndimage import gaussian_filter

            layer = gaussian_filter(rng.standard_normal(film.shape), 12.0)
            density = density * (1.0 + self.thickness * layer[..., None] / layer.std())
        response = np.where(film[..., None], 10.0**-density, BED)
        response = response * (1.0 + self.noise * rng.standard_normal(response.shape))
        return np.clip(np.rint(response * 65535.0), 0, 65535).astype(np.uint16)


def write_tiff(path: Path, pixels: np.ndarray, dpi: float | None = 72.0) -> Path:
    """A plain TIFF of 16 bits, in strips of 32 rows."""
    height, width, samples = pixels.shape
    strips = [pixels[k : k + 32].astype("<u2").tobytes() for k in range(0, height, 32)]
    entries: list[tuple[int, int, list[int]]] = [
        (256, 4, [width]), (257, 4, [height]), (258, 3, [16] * samples), (259, 3, [1]),
        (262, 3, [2 if samples > 1 else 1]), (277, 3, [samples]), (278, 4, [32]), (284, 3, [1]),
        (296, 3, [2]), (279, 4, [len(s) for s in strips]),
    ]  # fmt: skip
    if dpi is not None:
        entries += [(282, 5, [round(dpi * 1000), 1000]), (283, 5, [round(dpi * 1000), 1000])]
    entries.append((273, 4, [0] * len(strips)))
    entries.sort()
    size = {3: 2, 4: 4, 5: 8}
    start = 8 + 2 + 12 * len(entries) + 4
    extra, heads = b"", []
    lengths = {tag: (len(v) // 2 if kind == 5 else len(v)) for tag, kind, v in entries}
    outside = sum(size[k] * lengths[t] for t, k, _ in entries if size[k] * lengths[t] > 4)
    offsets = np.cumsum([0, *(len(s) for s in strips)])[:-1] + start + outside
    for tag, kind, values in entries:
        if tag == 273:
            values = offsets.tolist()
        data = struct.pack(f"<{len(values)}{'H' if kind == 3 else 'I'}", *values)
        field = data.ljust(4, b"\0")
        if len(data) > 4:
            field = struct.pack("<I", start + len(extra))
            extra += data
        heads.append(struct.pack("<HHI", tag, kind, lengths[tag]) + field)
    body = struct.pack("<H", len(entries)) + b"".join(heads) + struct.pack("<I", 0)
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + body + extra + b"".join(strips))
    return path

"""Pixels of CT slices -> HU, and what of them are no measurement (DICOM PS3.3 C.7.6.3, C.8.2.1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from phantoms.dicom import (
    LOSSY_SYNTAXES,
    MAYBE_LOSSY,
    Dataset,
    items,
    optional,
    optional_float,
    optional_text,
    read_pixels,
    require_float,
    require_text,
)
from phantoms.errors import InputError

AIR_HU = -1000.0
TISSUE_HU = (-900.0, 3000.0)  # padding of such a value may as well be tissue, and stays as it is


class SlicePixels(NamedTuple):
    """One slice.

    Attributes
    ----------
    hu : (rows, columns) float32
    padding : (rows, columns) bool
        Where the scanner stored no measurement.
    rescale : (float, float)
        Slope and intercept.
    """

    hu: np.ndarray
    padding: np.ndarray
    rescale: tuple[float, float]


def read_hu(dataset: Dataset, path: Path, shape: tuple[int, int]) -> SlicePixels:
    """Read one slice; padding is air, unless its value is that of a tissue.

    Raises
    ------
    InputError
        If the pixels are no HU, or not of `shape`.
    """
    slope, intercept = stated_rescale(dataset, path)
    if slope <= 0:
        raise InputError(path, f"Rescale Slope (0028,1053) is {slope:g}", "export the planning CT")
    kind = optional_text(dataset, "RescaleType", path)
    if kind not in ("", "HU", "HU_MOD", "US") or items(dataset, "ModalityLUTSequence", path):
        raise InputError(path, f"pixel values are {kind or 'of a table'}, not HU", "export the planning CT")
    if require_text(dataset, "PhotometricInterpretation", path) != "MONOCHROME2":
        raise InputError(path, "is not a MONOCHROME2 image", "export the planning CT")
    stored, high = (optional_float(dataset, keyword, path) for keyword in ("BitsStored", "HighBit"))
    if None not in (stored, high) and high != stored - 1:
        raise InputError(
            path,
            f"Bits Stored (0028,0101) {stored:g} does not fit High Bit (0028,0102) {high:g}",
            "export the CT again",
        )
    pixels = read_pixels(dataset, path)
    if pixels.shape != shape:
        raise InputError(path, f"has pixel data of shape {pixels.shape}, not {shape}", "export the CT again")
    hu = (pixels * slope + intercept).astype(np.float32)
    if not np.isfinite(hu).all():
        raise InputError(path, "has pixel values that are not finite", "export the CT again")
    padding = _padding(dataset, pixels, path)
    hu[padding & ((hu <= TISSUE_HU[0]) | (hu >= TISSUE_HU[1]))] = AIR_HU
    return SlicePixels(hu, padding, (slope, intercept))


def stated_rescale(dataset: Dataset, path: Path) -> tuple[float, float]:
    """Rescale Slope and Intercept."""
    return require_float(dataset, "RescaleSlope", path), require_float(dataset, "RescaleIntercept", path)


def _padding(dataset: Dataset, pixels: np.ndarray, path: Path) -> np.ndarray:
    """Where pixels have the Pixel Padding Value, or lie between it and the Range Limit (C.7.5.1.1.2)."""
    ends = [optional_float(dataset, f"PixelPadding{name}", path) for name in ("Value", "RangeLimit")]
    if ends[0] is None:
        return np.zeros(pixels.shape, bool)
    # of the pixels' own type: headers often state a negative value as unsigned, or the reverse
    low, high = (np.array(int(end)).astype(pixels.dtype) for end in (ends[0], ends[1] or ends[0]))
    return (pixels >= min(low, high)) & (pixels <= max(low, high))


def pixel_warnings(
    slices: Sequence[tuple[Path, Dataset]], rescale: Sequence[tuple[float, float]]
) -> list[str]:
    """What a physicist must know of the pixels of a series: loss, text in them, several scales."""
    warnings = []
    if lossy := [found for path, data in slices if (found := _loss(data, path))]:
        warnings.append(
            f"{len(lossy)} of {len(slices)} CT slices {lossy[0]}: their HU are not those that were measured"
        )
    burned = [path for path, data in slices if optional_text(data, "BurnedInAnnotation", path) == "YES"]
    if burned:
        warnings.append(f"{len(burned)} CT slices have text burned into their pixels, first {burned[0].name}")
    counts = Counter(rescale)
    if len(counts) > 1:
        usual = max(counts, key=counts.__getitem__)
        (path, _), other = next(pair for pair in zip(slices, rescale, strict=True) if pair[1] != usual)
        warnings.append(
            f"the CT slices have {len(counts)} scales of HU: slope {other[0]:g}, intercept {other[1]:g} in "
            f"{path.name}, {usual[0]:g}, {usual[1]:g} in {counts[usual]} of {len(slices)}; each was read "
            "by its own"
        )
    return warnings


def _loss(data: Dataset, path: Path) -> str:
    """How a slice was compressed with loss; empty where it was not."""
    stated, syntax = optional_text(data, "LossyImageCompression", path), data.file_meta.TransferSyntaxUID
    if stated == "01":
        ratio = optional(data, "LossyImageCompressionRatio", path)
        return "were compressed with loss" + (f" ({ratio}:1)" if ratio else "")
    if syntax in LOSSY_SYNTAXES:
        return f"are compressed with loss ({syntax.name})"
    return "may be compressed with loss (JPEG 2000)" if syntax == MAYBE_LOSSY and not stated else ""

"""Stored integers of an RTDOSE, and the bytes they are made of (DICOM PS3.3 C.7.6.3, C.8.8.3; PS3.5 8)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from phantoms.dicom import optional_float, require, require_int
from phantoms.errors import InputError


def read_stored(data: Dataset, path: Path, scaling: float) -> np.ndarray:
    """Stored integers (frames, rows, columns) times `scaling`, float64.

    Raises
    ------
    InputError
        If their length is not exactly what is declared, or they cannot be those of a dose.
    """
    frames = require_int(data, "NumberOfFrames", path) if "NumberOfFrames" in data else 1
    shape = (frames, require_int(data, "Rows", path), require_int(data, "Columns", path))
    bits = require_int(data, "BitsAllocated", path)
    if min(shape) < 1:
        raise InputError(path, f"has {shape[0]} frames of {shape[1]} rows and {shape[2]} columns")
    if bits not in (16, 32) or optional_float(data, "SamplesPerPixel", path) not in (None, 1):
        raise InputError(path, f"has {bits}-bit pixels, not 16 or 32 with one sample")
    syntax = data.file_meta.TransferSyntaxUID
    if not syntax.is_transfer_syntax or syntax.is_compressed:
        raise InputError(
            path, f"is compressed, or of unknown transfer syntax {syntax!r}", "export it uncompressed"
        )
    pixels = require(data, "PixelData", path)
    expected = shape[0] * shape[1] * shape[2] * bits // 8
    if len(pixels) not in (expected, expected + expected % 2):
        raise InputError(
            path, f"has {len(pixels)} bytes of pixel data, not {expected}", "the file may be cut short"
        )
    if not syntax.is_little_endian and data["PixelData"].VR != "OW":
        raise InputError(
            path,
            f"is big endian with pixel data of VR {data['PixelData'].VR}: the order of its bytes is unknown",
            "export it in little endian",
        )
    words = _words(pixels[:expected], bits, syntax.is_little_endian)
    _refuse_unused_bits(words, data, bits, path)
    stored = words.view(f"i{bits // 8}") if optional_float(data, "PixelRepresentation", path) else words
    if stored.min() < 0:
        raise InputError(
            path, f"has negative doses (down to {stored.min()} steps)", "export a dose, not an error map"
        )
    return stored.reshape(shape) * scaling


def _words(pixels: bytes, bits: int, little_endian: bool) -> np.ndarray:
    """Unsigned integers of the machine's own byte order.

    Pixels are a stream of 16-bit words, the lower half of a 32-bit pixel first (PS3.5 8.1.1); big endian
    swaps the bytes of each word and not the words (PS3.5 7.3).
    """
    if bits == 16:
        return np.frombuffer(pixels, "<u2" if little_endian else ">u2").astype(np.uint16)
    if little_endian:
        return np.frombuffer(pixels, "<u4").astype(np.uint32)
    halves = np.frombuffer(pixels, ">u2").astype(np.uint32).reshape(-1, 2)
    return halves[:, 0] | halves[:, 1] << 16


def _refuse_unused_bits(words: np.ndarray, data: Dataset, bits: int, path: Path) -> None:
    """Refuse what is stored in bits that hold no dose: which is meant, Bits Stored or the bits?

    A dose uses all bits (C.8.8.3.4.1); fewer do no harm where the others are empty.
    """
    stored = optional_float(data, "BitsStored", path)
    if stored is None or stored == bits:
        return
    if not 1 <= stored < bits or optional_float(data, "HighBit", path) not in (None, stored - 1):
        raise InputError(
            path,
            f"Bits Stored (0028,0101) is {stored:g} of {bits}, which does not fit High Bit (0028,0102)",
            f"export it with {bits} bits stored",
        )
    if (words >> int(stored)).any():
        raise InputError(
            path,
            f"has Bits Stored (0028,0101) {stored:g} of {bits}, but more in the other bits",
            f"export it with {bits} bits stored",
        )

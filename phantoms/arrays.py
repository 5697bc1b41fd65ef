"""Compact arrays on disk: .npz files compressed by LZMA, numbers as planes of bytes."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from pathlib import Path

import numpy as np


def save_arrays(path: Path, **arrays: np.ndarray | float | str) -> None:
    """Write an .npz file that `numpy.load` reads, its members compressed by LZMA."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asarray(array), allow_pickle=False)


def byte_planes(values: np.ndarray) -> np.ndarray:
    """Bytes of equal place together, the lowest first: (bytes of a number, *shape of `values`) uint8.

    The high bytes of neighbouring numbers are alike and compress well; among the low ones they would not.
    """
    little = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    planes = np.moveaxis(little.view(np.uint8).reshape(*values.shape, values.itemsize), -1, 0)
    return np.ascontiguousarray(planes)


def from_byte_planes(planes: np.ndarray, dtype: str) -> np.ndarray:
    """The numbers of type `dtype` whose `byte_planes` are given, in the machine's byte order."""
    little = np.ascontiguousarray(np.moveaxis(planes, 0, -1)).view(np.dtype(dtype).newbyteorder("<"))
    return little[..., 0].astype(dtype)


def load_arrays(path: Path, *names: str) -> dict[str, np.ndarray]:
    """The arrays of these names of an .npz file, or all.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is damaged or of another kind.
    KeyError
        If it holds no array of a name.
    """
    try:
        with np.load(path) as stored:
            return {name: stored[name] for name in names or stored.files}
    except (zipfile.BadZipFile, lzma.LZMAError, zlib.error, EOFError, AttributeError) as error:
        raise ValueError(f"damaged: {error}") from None

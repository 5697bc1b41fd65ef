"""Reading HDF5 files of others: arrays that lie in the file itself, of a size that the file can hold."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

# An array may take this much memory, and this many times the file: zeros are packed 1000-fold, doses are not.
MIN_BYTES, MAX_FOLD = 64 * 2**20, 100
NUMBERS = "fiub"  # kinds of dtype


def read_array(group: h5py.Group, name: str, kinds: str = NUMBERS) -> np.ndarray:
    """Read an array of numbers whole.

    Raises
    ------
    KeyError, ValueError
        If it is not there, is something else, lies in another file, or is larger than its file can hold.
    """
    dataset = dataset_of(group, name)
    if dataset.dtype.kind not in kinds:
        raise ValueError(f"{name} holds {dataset.dtype}, not numbers")
    file = Path(group.file.filename)
    most = MIN_BYTES + MAX_FOLD * file.stat().st_size
    for size in (dataset.nbytes, _chunk_bytes(dataset)):
        if size > most:
            raise ValueError(f"{name} claims {size / 1e9:.3g} GB, more than this file can hold")
    return dataset[...]


def read_text(group: h5py.Group, name: str) -> bytes:
    """Read a text."""
    dataset = dataset_of(group, name)
    if dataset.shape != () or dataset.dtype.kind not in "OS":
        raise ValueError(f"{name} is not a text")
    return dataset[()]


def dataset_of(group: h5py.Group, name: str) -> h5py.Dataset:
    """The dataset of this name, which must lie in the file itself."""
    found = _own(group, name)
    if not isinstance(found, h5py.Dataset):
        raise ValueError(f"{name} is not an array")
    if found.external or found.is_virtual:
        raise ValueError(f"{name} lies in another file, which is not read")
    return found


def group_of(group: h5py.Group, name: str) -> h5py.Group:
    """The group of this name, which must lie in the file itself."""
    found = _own(group, name)
    if not isinstance(found, h5py.Group):
        raise ValueError(f"{name} is not a group")
    return found


def holds(group: h5py.Group, name: str) -> bool:
    """Whether there is anything of this name; links are not followed, as `in` would."""
    return name in list(group)


def _own(group: h5py.Group, name: str) -> h5py.Dataset | h5py.Group:
    """What has this name, part by part of its path."""
    found: h5py.Dataset | h5py.Group = group
    for part in name.split("/"):
        if not isinstance(found, h5py.Group) or not holds(found, part):
            raise KeyError(name)
        if not isinstance(found.get(part, getlink=True), h5py.HardLink):
            raise ValueError(f"{name} is a link to elsewhere, which is not followed")
        found = found[part]
    return found


def _chunk_bytes(dataset: h5py.Dataset) -> int:
    """Memory that one chunk takes while it is read."""
    return int(np.prod(dataset.chunks or (0,), dtype=float)) * dataset.dtype.itemsize

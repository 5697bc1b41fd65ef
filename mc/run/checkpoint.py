"""Checkpoints: the complete state of a run in one HDF5 file, from which it is resumed bit for bit.

The file holds the sums of the run as arrays, its numbers as JSON, and a key: hashes of everything that the
dose depends on. It is written under a temporary name, flushed to disk and then renamed, so that a run that is
killed at any moment leaves a complete checkpoint; checksums of its blocks reveal later damage.
docs/formats.md describes the file.

Only rank 0 reads and writes the file; the state is broadcast to all ranks, whose number may differ from that
of the run that wrote it.
"""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mc.run.parallel import World
from phantoms.errors import InputError
from phantoms.files import replacing
from phantoms.hdf5 import dataset_of, read_text

FORMAT, FORMAT_VERSION = "mcverify checkpoint", 1
EVERY = 180.0  # between checkpoints [s]
# Largest share of a run's time spent on writing checkpoints; where files are large it lengthens the interval.
MAX_SHARE = 0.05
BLOCK = 1 << 17  # values per checksum


@dataclass(frozen=True)
class CheckpointRule:
    """Where and how often a run keeps its checkpoint.

    Parameters
    ----------
    path : Path
        File of the checkpoint, in an existing folder.
    every : float
        Interval [s].
    restart : bool
        Start the run from the beginning, and replace an existing checkpoint.
    """

    path: Path
    every: float = EVERY
    restart: bool = False

    def remove(self) -> None:
        """Remove the checkpoint of a completed run, and the incomplete files of killed runs."""
        self.remove_partial()
        with suppress(OSError):
            self.path.unlink()

    def remove_partial(self) -> None:
        """Remove the incomplete files of killed runs."""
        for path in self.path.parent.glob(f".partial-*-{self.path.name}"):
            with suppress(OSError):
                path.unlink()


class Checkpoint:
    """The checkpoint of one run.

    Parameters
    ----------
    rule : CheckpointRule
    key : mapping of str to str
        What the dose depends on, as hashes or short texts, by names fit for messages to the user.
    arrays : mapping of str to array
        The sums of the run, by name, contiguous; written from and read into in place. On ranks other than 0
        they need not hold the sums when `save` is called.
    world : World
    on_message : callable
        Called with a warning if the file cannot be written.
    """

    def __init__(
        self,
        rule: CheckpointRule,
        key: Mapping[str, str],
        arrays: Mapping[str, np.ndarray],
        world: World,
        on_message: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._rule, self._key, self._arrays, self._world = rule, dict(key), arrays, world
        self._on_message = on_message
        self._next = time.monotonic() + rule.every

    @property
    def due(self) -> bool:
        """Whether the interval has elapsed; meaningful on rank 0."""
        return time.monotonic() >= self._next

    def load(self) -> dict[str, Any] | None:
        """Read the arrays, on all ranks; returns the numbers, or None if there is no state to resume.

        Raises
        ------
        InputError
            If the file is of another run, or damaged.
        """
        numbers = None
        if self._world.rank == 0:
            self._rule.remove_partial()
        if self._world.rank == 0 and not self._rule.restart and self._rule.path.exists():
            numbers = self._read()
        numbers = self._world.broadcast(numbers)
        if numbers is not None:
            for array in self._arrays.values():
                self._world.broadcast_in_place(array)
        return numbers

    def save(self, numbers: Mapping[str, Any], *, must: bool) -> None:
        """Write arrays and numbers; to be called on all ranks.

        If writing fails the previous checkpoint remains. That raises InputError if the checkpoint `must` be
        written, and is a warning otherwise.
        """
        if self._world.rank > 0:
            return
        started = time.monotonic()
        try:
            self._write(numbers)
        except InputError as error:
            if must:
                raise
            self._on_message(f"warning: {error}; the run continues")
        now = time.monotonic()
        self._next = now + max(self._rule.every, (now - started) / MAX_SHARE)

    def _write(self, numbers: Mapping[str, Any]) -> None:
        path = self._rule.path
        with replacing(path) as partial, _Sink(partial, "w+") as sink:
            with h5py.File(sink, "w") as file:
                file.attrs["format"], file.attrs["format_version"] = FORMAT, FORMAT_VERSION
                file["key"], file["numbers"] = texts = json.dumps(self._key), json.dumps(dict(numbers))
                file.attrs["sha256"] = _sha256(*texts)  # the arrays have checksums of their own
                for name, array in self._arrays.items():
                    # of an array of several axes what one index of the first holds
                    chunk = (min(BLOCK, array.size),) if array.ndim == 1 else (1, *array.shape[1:])
                    chunk = chunk if array.size else None
                    dataset = file.create_dataset(
                        name, array.shape, array.dtype, chunks=chunk, fletcher32=chunk is not None
                    )
                    if array.size and sink.fault is None:
                        dataset.write_direct(array)
            if sink.fault is not None:
                raise sink.fault
            os.fsync(sink.fileno())
        with suppress(OSError):  # flush the new name, too, where the file system allows it
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _read(self) -> dict[str, Any]:
        path, remedy = self._rule.path, "--restart starts from the beginning"
        try:
            with h5py.File(path, "r") as file:
                if file.attrs.get("format") != FORMAT:
                    raise InputError(path, "is not a checkpoint of mcverify", remedy)
                if file.attrs["format_version"] != FORMAT_VERSION:
                    raise InputError(path, "is a checkpoint of another version of mcverify", remedy)
                key, numbers = (read_text(file, name).decode() for name in ("key", "numbers"))
                if file.attrs["sha256"] != _sha256(key, numbers):
                    raise ValueError("wrong checksum")
                self._refuse_other(json.loads(key))
                for name, array in self._arrays.items():
                    dataset = dataset_of(file, name)
                    if dataset.shape != array.shape or dataset.dtype != array.dtype:
                        raise ValueError(f"{name} has another shape")
                    if array.size:
                        dataset.read_direct(array)
                return json.loads(numbers)
        except KeyError as error:
            raise InputError(path, f"an entry is missing: {error.args[0]}", remedy) from None
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            raise InputError(path, f"is a damaged checkpoint: {error}", remedy) from None

    def _refuse_other(self, key: dict[str, str]) -> None:
        """Refuse the checkpoint of a run with another result."""
        differ = [name for name in {**key, **self._key} if key.get(name) != self._key.get(name)]
        if differ:
            raise InputError(
                self._rule.path,
                f"is the checkpoint of another run, which differs in {', '.join(differ)}",
                "--restart starts from the beginning and replaces it, --out names another folder",
            )


class _Sink(io.FileIO):
    """A file for the HDF5 library that hides write errors from it, since a full disk corrupts its state.

    The first error is kept in `fault`, and nothing is written from then on.
    """

    fault: OSError | None = None

    def write(self, data: memoryview) -> int:
        left = memoryview(data).cast("B")
        try:
            while left and self.fault is None:
                left = left[super().write(left) :]
        except OSError as error:
            self.fault = error
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.fault = self.fault or error
            return size or 0


def _sha256(*texts: str) -> str:
    return sha256("".join(texts).encode()).hexdigest()

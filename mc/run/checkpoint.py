"""Checkpoints: all that a run is, in one HDF5 file, from which it goes on bit for bit.

The file holds the sums of the run as arrays, its numbers as JSON, and a key: hashes of everything that the
dose depends on. It is written beside its place, flushed to the disk and then renamed, so whatever kills a
run, a whole checkpoint stands there; checksums of its blocks find what a disk or a copy spoilt later.
docs/formats.md describes it.

Rank 0 alone reads and writes; what it read goes to all ranks, of which there may be any number.
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

FORMAT, FORMAT_VERSION = "mcverify checkpoint", 1
EVERY = 180.0  # between checkpoints [s]
# Largest share of a run's time for writing checkpoints; it stretches the interval where files are large.
LARGEST_SHARE = 0.05
BLOCK = 1 << 17  # values under one checksum


@dataclass(frozen=True)
class CheckpointRule:
    """Where and how often a run keeps its checkpoint.

    Parameters
    ----------
    path : Path
        Its file; its folder must be there.
    every : float
        [s]
    restart : bool
        Begin anew, whatever lies at `path`.
    on_message : callable
        Called, on rank 0, when a run goes on from a checkpoint, and when one could not be written.
    """

    path: Path
    every: float = EVERY
    restart: bool = False
    on_message: Callable[[str], None] = lambda _: None

    def remove(self) -> None:
        """Remove the checkpoint of a run that is done, and what a killed run left of one."""
        self.remove_partial()
        with suppress(OSError):
            self.path.unlink()

    def remove_partial(self) -> None:
        """Remove what killed runs left half written."""
        for path in self.path.parent.glob(f".partial-*-{self.path.name}"):
            with suppress(OSError):
                path.unlink()


class Checkpoint:
    """The checkpoint of one run.

    Parameters
    ----------
    rule : CheckpointRule
    key : mapping of str to str
        What the dose depends on, by a name that a user understands, as hashes or short texts.
    arrays : mapping of str to array
        The sums of the run, by name, contiguous; written from and read into in place. On ranks other than 0
        they need not hold the sums when `save` is called.
    world : World
    """

    def __init__(
        self, rule: CheckpointRule, key: Mapping[str, str], arrays: Mapping[str, np.ndarray], world: World
    ) -> None:
        self._rule, self._key, self._arrays, self._world = rule, dict(key), arrays, world
        self._next = time.monotonic() + rule.every

    @property
    def due(self) -> bool:
        """Whether it is time for the next one; ask on rank 0."""
        return time.monotonic() >= self._next

    def load(self) -> dict[str, Any] | None:
        """Fill the arrays from the file, on all ranks; returns its numbers, None if the run begins anew.

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
        """Write arrays and numbers; call on all ranks.

        Where it cannot be written the former checkpoint stays. That is an InputError if the run `must` have
        it, otherwise the user is warned.
        """
        if self._world.rank > 0:
            return
        started = time.monotonic()
        try:
            self._write(numbers)
        except InputError as error:
            if must:
                raise
            self._rule.on_message(f"warning: {error}; the run goes on")
        now = time.monotonic()
        self._next = now + max(self._rule.every, (now - started) / LARGEST_SHARE)

    def _write(self, numbers: Mapping[str, Any]) -> None:
        path = self._rule.path
        with replacing(path) as partial, _Sink(partial, "w+") as sink:
            with h5py.File(sink, "w") as file:
                file.attrs["format"], file.attrs["format_version"] = FORMAT, FORMAT_VERSION
                file["key"], file["numbers"] = texts = json.dumps(self._key), json.dumps(dict(numbers))
                file.attrs["sha256"] = _sha256(*texts)  # the arrays have checksums of their own
                for name, array in self._arrays.items():
                    chunk = (min(BLOCK, array.size),) if array.size else None
                    dataset = file.create_dataset(
                        name, array.shape, array.dtype, chunks=chunk, fletcher32=chunk is not None
                    )
                    if array.size and sink.fault is None:
                        dataset.write_direct(array)
            if sink.fault is not None:
                raise sink.fault
            os.fsync(sink.fileno())
        with suppress(OSError):  # the new name, too; not every file system lets a folder be flushed
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _read(self) -> dict[str, Any]:
        path, remedy = self._rule.path, "--restart begins anew"
        try:
            with h5py.File(path, "r") as file:
                if file.attrs.get("format") != FORMAT:
                    raise InputError(path, "is not a checkpoint of mcverify", remedy)
                if file.attrs["format_version"] != FORMAT_VERSION:
                    raise InputError(path, "is a checkpoint of another version of mcverify", remedy)
                key, numbers = file["key"].asstr()[()], file["numbers"].asstr()[()]
                if file.attrs["sha256"] != _sha256(key, numbers):
                    raise ValueError("wrong checksum")
                self._refuse_other(json.loads(key))
                for name, array in self._arrays.items():
                    if file[name].shape != array.shape or file[name].dtype != array.dtype:
                        raise ValueError(f"{name} has another shape")
                    if array.size:
                        file[name].read_direct(array)
                return json.loads(numbers)
        except KeyError as error:
            raise InputError(path, f"an entry is missing: {error.args[0]}", remedy) from None
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            raise InputError(path, f"is a damaged checkpoint: {error}", remedy) from None

    def _refuse_other(self, key: dict[str, str]) -> None:
        """Refuse the checkpoint of a run that would end in another dose."""
        differ = [name for name in {**key, **self._key} if key.get(name) != self._key.get(name)]
        if differ:
            raise InputError(
                self._rule.path,
                f"is the checkpoint of another run, which differs in {', '.join(differ)}",
                "--restart begins anew and replaces it, --out names another folder",
            )


class _Sink(io.FileIO):
    """A file for the HDF5 library, which corrupts the process where a disk fills up: it never hears of it.

    The first fault is kept in `fault`, and nothing is written from then on.
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

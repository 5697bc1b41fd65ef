"""Writing IAEA phase spaces: in chunks, so that they may be larger than memory, or all at once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import numpy as np

from mc.source.iaea_header import FIELDS, Header, format_header, record_size
from mc.source.phase_space import Particles, PhaseSpace, open_phase_space, record_dtype
from phantoms.errors import InputError
from phantoms.files import make_new, partial_name, replacing


class PhaseSpaceWriter:
    """Records written as they come; header and data file get their names at the end, by `close`.

    Parameters
    ----------
    stem : path
        Path without extension.
    constants : dict
        Quantities kept in the header alone, of x, y, z, u, v, w, weight, and their values.
    info : dict
        Text of further header blocks by key.

    Raises
    ------
    InputError
        If the files cannot be written; previous files are kept.

    Examples
    --------
    >>> with PhaseSpaceWriter("head", {"z": 27.0}) as writer:  # doctest: +SKIP
    ...     writer.append(particles)
    ...     space = writer.close(orig_histories=1000)
    """

    def __init__(
        self, stem: str | Path, constants: dict[str, float], info: dict[str, str] | None = None
    ) -> None:
        self.stem = Path(stem)
        self._constants = {name: constants[name] for name in FIELDS if name in constants}
        self._info = dict(info or {})
        self._stored = tuple(name for name in FIELDS if name not in constants)
        self._counts = np.zeros(3, np.int64)
        self._data = self.stem.with_name(self.stem.name + ".IAEAphsp")
        self._partial = partial_name(self._data)
        try:
            make_new(self._partial, private=False)
            self._file = open(self._partial, "wb")
        except OSError as error:
            raise self._cannot(error) from None

    def __enter__(self) -> PhaseSpaceWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        with suppress(OSError):
            self._partial.unlink()

    @property
    def particles(self) -> int:
        """Particles written so far."""
        return int(self._counts.sum())

    def append(self, particles: Particles) -> None:
        """Write particles; those of one original history come together, the first flagged."""
        if len(particles.kind) == 0:
            return
        for name, value in self._constants.items():
            if name != "w" and np.any(getattr(particles, name) != value):
                raise ValueError(f"{name} is not {value:g} everywhere and cannot be a constant")
        self._counts += [np.count_nonzero(particles.kind == code) for code in (1, 2, 3)]
        try:
            self._file.write(pack(particles, self._header(1)).tobytes())
        except OSError as error:
            raise self._cannot(error) from None

    def close(self, orig_histories: int, info: dict[str, str] | None = None) -> PhaseSpace:
        """Write the header, with further blocks `info`, and open the whole."""
        self._info |= info or {}
        if self.particles == 0:
            raise InputError(self._data, "no particle to be written", "simulate more histories")
        text = format_header(self._header(orig_histories))
        try:
            self._file.close()
            header = self.stem.with_name(self.stem.name + ".IAEAheader")
            with replacing(header, "cannot write the phase space", private=False) as path:
                path.write_bytes(text.encode("latin-1", errors="replace"))
                os.replace(self._partial, self._data)
        except OSError as error:
            raise self._cannot(error) from None
        return open_phase_space(header)

    def _header(self, orig_histories: int) -> Header:
        length = record_size(self._stored, 0)
        return Header(
            stored=self._stored,
            constants=self._constants,
            extra_floats=(),
            extra_longs=(),
            record_length=length,
            byte_order=1234,
            checksum=self.particles * length,
            orig_histories=orig_histories,
            particles=self.particles,
            counts=tuple(self._counts.tolist()),
            info=self._info,
        )

    def _cannot(self, error: OSError) -> InputError:
        return InputError(self._data, f"cannot write the phase space: {error.strerror or error}")


def write_phase_space(
    stem: str | Path,
    particles: Particles,
    orig_histories: int,
    *,
    constants: Sequence[str] = (),
    byte_order: int = 1234,
    extra_floats: Sequence[tuple[int, np.ndarray]] = (),
    extra_longs: Sequence[tuple[int, np.ndarray]] = (),
    info: dict[str, str] | None = None,
) -> PhaseSpace:
    """Write `stem`.IAEAphsp and `stem`.IAEAheader, and open the result.

    Parameters
    ----------
    stem : path
        Path without extension.
    particles : Particles
    orig_histories : int
        Original histories simulated, those without a particle included.
    constants : sequence of str
        Quantities to keep in the header alone, of x, y, z, u, v, w, weight; all particles must agree in them.
    byte_order : int
        1234 little endian, 4321 big endian.
    extra_floats, extra_longs : sequence of (int, (n,) array)
        Type code and values of the extra values of each record.
    info : dict
        Text of further header blocks by key (TITLE, MACHINE_TYPE, ADDITIONAL_NOTES ...).
    """
    stem = Path(stem)
    values = {}
    for name in constants:
        column = getattr(particles, name)
        if np.any(column != column[0]):
            raise ValueError(f"{name} varies and cannot be a constant of the phase space")
        values[name] = float(column[0])
    stored = tuple(name for name in FIELDS if name not in values)
    length = record_size(stored, len(extra_floats) + len(extra_longs))
    n = len(particles.kind)
    header = Header(
        stored=stored,
        constants={name: values[name] for name in FIELDS if name in values},
        extra_floats=tuple(code for code, _ in extra_floats),
        extra_longs=tuple(code for code, _ in extra_longs),
        record_length=length,
        byte_order=byte_order,
        checksum=n * length,
        orig_histories=orig_histories,
        particles=n,
        counts=tuple(int(np.count_nonzero(particles.kind == code)) for code in (1, 2, 3)),
        info=dict(info or {}),
    )
    records = pack(
        particles, header, [column for _, column in extra_floats], [column for _, column in extra_longs]
    )
    _write(stem.with_name(stem.name + ".IAEAphsp"), records.tobytes())
    header_path = stem.with_name(stem.name + ".IAEAheader")
    _write(header_path, format_header(header).encode("latin-1", errors="replace"))
    return open_phase_space(header_path)


def pack(
    particles: Particles,
    header: Header,
    extra_floats: Sequence[np.ndarray] = (),
    extra_longs: Sequence[np.ndarray] = (),
) -> np.ndarray:
    """Records of particles as the file holds them, in the layout of a header."""
    records = np.empty(len(particles.kind), dtype=record_dtype(header))
    records["kind"] = np.where(particles.w < 0, -particles.kind, particles.kind)
    records["energy"] = np.where(particles.new_history, -particles.energy, particles.energy)
    for name in header.stored:
        if name != "w":
            records[name] = getattr(particles, name)
    for i, column in enumerate(extra_floats):
        records[f"float{i}"] = column
    for i, column in enumerate(extra_longs):
        records[f"long{i}"] = column
    return records


def _write(path: Path, content: bytes) -> None:
    with replacing(path, "cannot write the phase space", private=False) as partial:
        partial.write_bytes(content)

"""Writing an IAEA phase space piece by piece, so that it may be larger than memory."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import numpy as np

from mc.source.iaea_header import FIELDS, Header, format_header, record_size
from mc.source.phase_space import Particles, PhaseSpace, open_phase_space, pack
from phantoms.errors import InputError
from phantoms.files import replacing


class PhaseSpaceWriter:
    """Records written as they come; header and data take their names at the end, by `close`.

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
        If the files cannot be written; what stood there before stays.

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
        self._partial = self.stem.with_name(f".partial-{os.getpid()}-{self._data.name}")
        try:
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
            with replacing(header, "cannot write the phase space") as path:
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

"""IAEA phase spaces: particles of a linac's beam recorded on a plane; read and checked.

Format: IAEA(NDS)-0484 (Capote et al. 2006), see `mc.source.iaea_header` for the header. A record is
packed: type code (int8, its sign is that of W), energy (float32, MeV; negative marks the first particle
of a new original history), then the stored ones of X, Y, Z, U, V, weight (float32), extra floats
(float32) and extra longs (int32).

**A particle is not an independent history.** `PhaseSpace.starts` groups the records by the new-history flag;
statistics are to be made of these groups, out of `header.orig_histories` (the rest left no particle).
The extra long of type 1 (incremental history number) counts the original histories since the last
recorded one; its sum can only be checked against ORIG_HISTORIES, since histories after the last recorded
one are in ORIG_HISTORIES alone, which therefore stays the number to normalise by.

**Files may be larger than memory.** Only the part that is being read is mapped. What stays is the place of
every 1024th history: 8 bytes for them all, and 72 bytes per particle while a part is decoded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from mc.numerics.sampling import ENERGY_MAX
from mc.source.histograms import Histograms
from mc.source.iaea_header import BYTE_ORDERS, EXTRA_LONG_INCREMENT, KINDS, Header, read_header
from mc.source.packed_phase_space import PACKED, unpack
from mc.source.particles import Particles
from mc.source.phase_space_files import find_files
from phantoms.errors import InputError
from phantoms.listing import Listing
from phantoms.views import Artists, Axes

MAX_ENERGY = ENERGY_MAX  # of the tables, above any clinical linac [MeV]; catches a wrong byte order too
MAX_POSITION = 1000.0  # no linac records particles further from its origin [cm]
NORM_TOLERANCE = 1e-4  # by which U^2 + V^2 may exceed 1 (float32 and rounding of the writer)
CHUNK = 1 << 18  # records checked at a time
MC2 = 0.511  # rest energy of an electron [MeV]
MANY = 50  # electrons, of which some have less kinetic energy than that in any beam
MARKED = 1024  # every so many recorded histories the place of the first record is kept


@dataclass(frozen=True, eq=False)
class PhaseSpace:
    """A checked phase space; records stay on disk and are read in chunks. It can be sent to other ranks.

    Parameters
    ----------
    header : Header
    header_path, data_path : Path
    recorded : int
        Original histories that left a particle.
    marks : (ceil(recorded / MARKED) + 1,) int64
        Index of the first record of every `MARKED`-th recorded history, then the number of records.
    modified : int
        When the data file was last written [ns]: later on it may not change any more.
    warnings : tuple of str
        Doubtful but usable properties of the file.
    """

    header: Header
    header_path: Path
    data_path: Path
    recorded: int
    marks: np.ndarray = field(repr=False)
    modified: int
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return self.header.particles

    def records(self, start: int, stop: int) -> np.ndarray:
        """The raw records [start, stop), mapped from the file for as long as the array lives.

        Raises
        ------
        InputError
            If the file is no longer the one that was checked.
        """
        found = self.data_path.stat()
        if (found.st_size, found.st_mtime_ns) != (self.header.checksum, self.modified):
            raise InputError(self.data_path, "was changed while it was in use", "run again")
        return _map(self.data_path, self.header, start, stop)

    def starts(self, first: int, last: int) -> np.ndarray:
        """Index of the first record of the recorded histories `first` to `last`, (last - first + 1,) int64.

        The history after the last one starts at the number of records.
        """
        if not 0 <= first <= last <= self.recorded:
            raise IndexError(f"histories {first} to {last} of {self.recorded}")
        mark, beyond = first // MARKED, -(-last // MARKED)
        begin, end = int(self.marks[mark]), int(self.marks[beyond])
        new = self.records(begin, end)["energy"] < 0
        new[:1] = True  # of a file cut from a longer one, too
        found = np.append(begin + np.flatnonzero(new), end)
        return found[first - mark * MARKED : last - mark * MARKED + 1]

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the header followed by the data, as of `cat x.IAEAheader x.IAEAphsp | sha256sum`."""
        digest = hashlib.sha256()
        for path in (self.header_path, self.data_path):
            with open(path, "rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        return digest.hexdigest()

    def read(self, start: int, stop: int) -> Particles:
        """Particles of the records [start, stop), directions of unit length.

        The first record of the file always opens a history (see `open_phase_space`).
        """
        if not 0 <= start <= stop <= len(self):
            raise IndexError(f"records {start} to {stop} of {len(self)}")
        particles = _decode(self.records(start, stop), self.header)
        if start == 0 and stop > 0:
            particles.new_history[0] = True
        return particles

    def chunks(self, size: int = CHUNK) -> Iterator[Particles]:
        """All particles, at most `size` at a time, in file order."""
        for start in range(0, len(self), size):
            yield self.read(start, min(start + size, len(self)))

    def plot(self, axes: Axes, what: str = "spectrum", plane_z_cm: float = 100.0) -> Artists:
        """Draw one picture of the particles; the file is read for it.

        Parameters
        ----------
        axes : matplotlib.axes.Axes
        what : {'spectrum', 'directions', 'profiles', 'fluence'}
        plane_z_cm : float
            Height of the plane of profiles and fluence, to which photons travel straight.

        Returns
        -------
        tuple of artists
            Lines by kind of particle, or the image.

        Raises
        ------
        InputError
            If there is no such picture, or the file was changed since it was opened.
        """
        return Histograms.of(self.chunks, self.header.orig_histories, plane_z_cm).plot(axes, what)

    def _repr_html_(self) -> str:
        header = self.header
        facts = [
            ("title", header.title),
            ("particles", f"{header.particles:,}, {header.record_length} bytes each"),
            *((f"{kind}s", f"{count:,}") for kind, count in zip(KINDS, header.counts, strict=True)),
            ("original histories", f"{header.orig_histories:,}, {self.recorded:,} of them recorded"),
            *(("warning", text) for text in self.warnings),
        ]
        return Listing.facts(f"{self.header_path.name}: IAEA phase space", facts)._repr_html_()


def open_phase_space(path: str | Path) -> PhaseSpace:
    """Open a phase space by its header, its data file or their common stem, and check every record.

    A packed data file is unpacked first, see `mc.source.packed_phase_space`.

    Parameters
    ----------
    path : path

    Returns
    -------
    PhaseSpace
        Its `read` and `chunks` give particles as arrays (n,) [cm, MeV].

    Raises
    ------
    InputError
        For a header or data file that is missing or contradicts itself or the other (see `read_header`): a
        size that is not $CHECKSUM, counts by type other than stated, energies that are not finite, zero or
        above 50 MeV, weights not above 0, impossible positions or directions, type codes other than
        photon, electron and positron, more histories than $ORIG_HISTORIES, an incremental history number
        that contradicts the new-history flag, no such flag at all.

    Notes
    -----
    A first record without the new-history flag is a file cut from the middle of a longer one. Its
    first particles then belong to a history whose beginning is lost: they are taken as a history of their
    own, and a warning says so.

    References
    ----------
    Capote et al., Phase-space database for external beam radiotherapy, IAEA(NDS)-0484 (2006).
    """
    header_path, data_path = find_files(Path(path))
    header = read_header(header_path, data_path)
    if data_path.suffix == PACKED:
        data_path = unpack(data_path, record_dtype(header), header.constants.get("z", 0.0))
    if not data_path.is_file():
        raise InputError(data_path, "is not a file")
    try:
        found = data_path.stat()
        size = found.st_size
        if size != header.checksum:
            raise InputError(
                data_path,
                f"holds {size} bytes, its header says {header.checksum} "
                f"({header.particles} records of {header.record_length})",
                "cut short while copying?",
            )
        counts, recorded, marks, warnings = _check_records(data_path, header)
    except OSError as error:
        raise InputError(data_path, f"cannot read the phase space: {error.strerror}") from None
    header, warnings = replace(header, counts=counts), (*header.warnings, *warnings)
    return PhaseSpace(header, header_path, data_path, recorded, marks, found.st_mtime_ns, warnings)


def record_dtype(header: Header) -> np.dtype:
    """Packed layout of one record."""
    order = BYTE_ORDERS[header.byte_order]
    columns = [("kind", "i1"), ("energy", f"{order}f4")]
    columns += [(name, f"{order}f4") for name in header.stored if name != "w"]
    columns += [(f"float{i}", f"{order}f4") for i in range(len(header.extra_floats))]
    columns += [(f"long{i}", f"{order}i4") for i in range(len(header.extra_longs))]
    return np.dtype(columns)


def _map(path: Path, header: Header, start: int, stop: int) -> np.ndarray:
    """The raw records [start, stop) of a data file, memory-mapped."""
    layout = record_dtype(header)
    if stop == start:
        return np.empty(0, layout)  # no map can be empty
    return np.memmap(path, layout, mode="r", offset=start * layout.itemsize, shape=(stop - start,))


def _decode(records: np.ndarray, header: Header) -> Particles:
    """Particles of raw records: constants filled in, W found, directions normalised."""

    def column(name: str) -> np.ndarray:
        if name in header.constants:
            return np.full(len(records), header.constants[name])
        return records[name].astype(np.float64)

    kind = records["kind"]
    energy = records["energy"].astype(np.float64)
    u, v = column("u"), column("v")
    if "w" in header.constants:
        w = column("w")
    else:
        w = np.sqrt(np.maximum(0.0, 1.0 - (u * u + v * v)))
        np.copysign(w, kind, out=w)
    norm = np.sqrt(u * u + v * v + w * w)
    return Particles(
        kind=np.abs(kind),
        energy=np.abs(energy),
        x=column("x"),
        y=column("y"),
        z=column("z"),
        u=u / norm,
        v=v / norm,
        w=w / norm,
        weight=column("weight"),
        new_history=energy < 0,
    )


def _check_records(
    path: Path, header: Header
) -> tuple[tuple[int, int, int], int, np.ndarray, tuple[str, ...]]:
    """Particles by kind, number of recorded histories, their marks (see `PhaseSpace`), and warnings.

    Refuses records with impossible values.
    """
    counts = np.zeros(128, dtype=np.int64)
    marks: list[np.ndarray] = []
    recorded, increments, first_flag, least = 0, 0, -1, np.inf
    for first in range(0, header.particles, CHUNK):
        chunk = _map(path, header, first, min(first + CHUNK, header.particles))
        _check_values(path, header, chunk, first)
        counts += np.bincount(np.abs(chunk["kind"]), minlength=128)
        charged = np.abs(chunk["energy"][np.abs(chunk["kind"]) > 1])
        least = min(least, charged.min(initial=np.inf))
        new = chunk["energy"] < 0
        increments += _count_increments(path, header, chunk, new, first)
        if first_flag < 0 and new.any():
            first_flag = first + int(np.argmax(new))
        if first == 0:
            new[0] = True
        starts = first + np.flatnonzero(new)
        marks.append(starts[-recorded % MARKED :: MARKED].copy())  # a view would keep all of them
        recorded += len(starts)

    found = tuple(counts[1:4].tolist())
    if header.counts and found != header.counts:
        raise InputError(
            path, f"holds {found} photons, electrons, positrons but its header says {header.counts}"
        )
    if first_flag < 0:
        raise InputError(
            path,
            "no record carries the new-history flag (a negative energy)",
            "without it uncertainties cannot be computed; write the file again with the flag",
        )
    warnings = []
    if sum(found[1:]) >= MANY and least >= MC2:
        warnings.append(
            f"none of its {sum(found[1:])} electrons and positrons has less than {MC2} MeV: EGSnrc before "
            "2025a wrote total energies, and kinetic ones are meant; write it again if such a program made it"
        )
    if first_flag > 0:
        warnings.append(
            f"the first {first_flag} records lack a new-history flag (file cut from a longer one?); "
            "they are taken as one history"
        )
    if max(recorded, increments) > header.orig_histories:
        raise InputError(
            path,
            f"records {max(recorded, increments)} original histories but its header says "
            f"{header.orig_histories}",
        )
    return (
        found,
        recorded,
        np.append(np.concatenate(marks), header.particles).astype(np.int64),
        tuple(warnings),
    )


def _check_values(path: Path, header: Header, chunk: np.ndarray, first: int) -> None:
    """Refuse a chunk with an impossible value, naming its first record (from 0)."""

    def raise_where(bad: np.ndarray, problem: str, remedy: str = "") -> None:
        if bad.any():
            raise InputError(path, f"record {first + int(np.argmax(bad))}: {problem}", remedy)

    def outside(values: np.ndarray | float, limit: float) -> np.ndarray:
        return np.atleast_1d(~(np.abs(values) <= limit))  # true for NaN too

    order_hint = f"$BYTE_ORDER {header.byte_order} may be wrong"
    # int16, since abs(-128) overflows an int8
    kind = np.abs(chunk["kind"].astype(np.int16))
    raise_where((kind == 4) | (kind == 5), "a neutron or proton", "only photons, electrons and positrons")
    raise_where((kind < 1) | (kind > 3), "unknown particle type", order_hint)
    raise_where(outside(chunk["energy"], MAX_ENERGY), f"energy not in 0..{MAX_ENERGY:g} MeV", order_hint)
    raise_where(chunk["energy"] == 0, "energy is zero")

    def column(name: str) -> np.ndarray | float:
        return header.constants[name] if name in header.constants else chunk[name]

    for name in "xyz":
        raise_where(outside(column(name), MAX_POSITION), f"{name} not within {MAX_POSITION:g} cm", order_hint)
    weight = np.atleast_1d(column("weight"))
    raise_where(~((weight > 0) & np.isfinite(weight)), "weight is not above 0")
    u, v = np.atleast_1d(column("u")).astype(np.float64), np.atleast_1d(column("v")).astype(np.float64)
    excess = u * u + v * v - 1.0
    if "w" in header.constants:
        bad = ~(np.abs(excess + header.constants["w"] ** 2) <= NORM_TOLERANCE)
        raise_where(bad, "the constant W does not make a unit direction with U and V")
    raise_where(~(excess <= NORM_TOLERANCE), "U and V are not components of a unit direction")


def _count_increments(path: Path, header: Header, chunk: np.ndarray, new: np.ndarray, first: int) -> int:
    """Original histories counted by the incremental history numbers of a chunk; 0 where there are none."""
    if EXTRA_LONG_INCREMENT not in header.extra_longs:
        return 0
    increment = chunk[f"long{header.extra_longs.index(EXTRA_LONG_INCREMENT)}"]
    bad = (increment > 0) != new
    if bad.any():
        raise InputError(
            path,
            f"record {first + int(np.argmax(bad))}: incremental history number and new-history flag disagree",
        )
    return int(increment.sum(dtype=np.int64))

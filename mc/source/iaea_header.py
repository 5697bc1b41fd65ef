"""The text header of an IAEA phase space: parsed, checked against itself, and written.

R. Capote, R. Jeraj, C.M. Ma, D.W.O. Rogers, F. Sanchez-Doblado, J. Sempau, J. Seuntjens,
J.V. Siebers, "Phase-space database for external beam radiotherapy", IAEA(NDS)-0484, Vienna 2006.

The header is a list of blocks: a line `$KEY:` and the lines below it up to the next key; `//`
starts a comment. RECORD_CONTENTS holds one flag each for X, Y, Z, U, V, W and weight, then the
numbers of extra floats and extra longs, then one type code for each of those. RECORD_CONSTANT holds
the value of every quantity whose flag is 0, in the same order.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path

from phantoms.errors import InputError

FIELDS = ("x", "y", "z", "u", "v", "w", "weight")  # order of the flags of RECORD_CONTENTS
LABELS = ("X", "Y", "Z", "U", "V", "W", "Weight")
KINDS = ("photon", "electron", "positron")  # type codes 1, 2, 3; 4 neutron and 5 proton are refused
NOT_LIMITED = ("FILE_TYPE", "CHECKSUM", "RECORD_CONSTANT", "BYTE_ORDER")  # TOPAS's "limited" has none of them
COUNT_KEYS = ("PHOTONS", "ELECTRONS", "POSITRONS")
BYTE_ORDERS = {1234: "<", 4321: ">"}  # little, big endian
EXTRA_LONG_INCREMENT = 1  # code of the extra long that counts histories since the last recorded one
MAX_EXTRAS = 10  # extra floats or longs of one record (the IAEA library's limit)


@dataclass(frozen=True)
class Header:
    """What an IAEA header states.

    Parameters
    ----------
    stored : tuple of str
        Quantities with a value in every record, of `FIELDS`. W costs no space: only its sign is kept, as
        the sign of the type code.
    constants : dict
        Value of each quantity that is not stored [cm for x, y, z]. `w` may be absent: it then follows
        from U and V and the sign of the type code.
    extra_floats, extra_longs : tuple of int
        Type codes of the extra values of each record (IAEA: float 1-3 X, Y, Z of the last interaction;
        long 1 incremental history number, 2 LATCH, 3 ILB).
    record_length : int
        Length of a record [bytes].
    byte_order : int
        1234 little endian, 4321 big endian.
    checksum : int
        Length of the data file [bytes]: that is how the IAEA defines it.
    orig_histories : int
        Original (primary) histories simulated to make the file, those that left no particle included.
    particles : int
        Number of records.
    counts : tuple of int
        Photons, electrons, positrons; empty where none is stated.
    info : dict
        Text of all other blocks (title, machine, coordinate system, notes ...) by key.
    warnings : tuple of str
        What was taken for what the header does not state.
    """

    stored: tuple[str, ...]
    constants: dict[str, float]
    extra_floats: tuple[int, ...]
    extra_longs: tuple[int, ...]
    record_length: int
    byte_order: int
    checksum: int
    orig_histories: int
    particles: int
    counts: tuple[int, int, int]
    info: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """First line of the title, or an empty string."""
        return self.info.get("TITLE", "").strip().split("\n")[0]


def record_size(stored: tuple[str, ...], n_extra: int) -> int:
    """Length of a record [bytes]: type 1, energy 4, and 4 for each value but W."""
    return 5 + 4 * (len([name for name in stored if name != "w"]) + n_extra)


def read_header(path: str | Path, data: Path | None = None) -> Header:
    """Read an IAEA header and check that it agrees with itself.

    What TOPAS's "limited" format leaves out is taken for what that format has: no constants, little endian.
    A constant weight that is not stated is 1, with a warning; `counts` are empty where none is stated.

    Parameters
    ----------
    path : path
    data : Path, optional
        The data file, whose size is said where the header contradicts itself.

    Raises
    ------
    InputError
        Naming the file and the key: unreadable, truncated, a key missing or not a number, a record length,
        checksum or sum of particles that contradicts the rest, particles other than photons, electrons and
        positrons.
    """
    path = Path(path)
    blocks = _read_blocks(path)

    if not any(key in blocks for key in NOT_LIMITED):
        blocks |= {"FILE_TYPE": "0", "RECORD_CONSTANT": "", "BYTE_ORDER": "1234"}
        particles, length = (_integer(path, blocks, key) for key in ("PARTICLES", "RECORD_LENGTH"))
        blocks["CHECKSUM"] = str(particles * length)
    file_type = _integer(path, blocks, "FILE_TYPE")
    if file_type != 0:
        raise InputError(
            path,
            f"$FILE_TYPE is {file_type}: not a phase space but an event generator",
            "only type 0 is read",
        )
    stored, constants, extra_floats, extra_longs = _record_layout(path, blocks)
    warnings = []
    if "weight" not in stored and "weight" not in constants:
        constants["weight"] = 1.0
        warnings.append(f"{path.name} states no constant weight: 1 was taken")
    counts = tuple(_integer(path, blocks, key, default=0) for key in COUNT_KEYS)
    if not any(key in blocks for key in COUNT_KEYS):
        counts = ()  # nothing is stated: they are counted
    header = Header(
        stored=stored,
        constants=constants,
        extra_floats=extra_floats,
        extra_longs=extra_longs,
        record_length=_integer(path, blocks, "RECORD_LENGTH"),
        byte_order=_integer(path, blocks, "BYTE_ORDER"),
        checksum=_integer(path, blocks, "CHECKSUM"),
        orig_histories=_integer(path, blocks, "ORIG_HISTORIES"),
        particles=_integer(path, blocks, "PARTICLES"),
        counts=counts,
        info={key: text for key, text in blocks.items() if key not in _PARSED and text},
        warnings=tuple(warnings),
    )
    for key in ("NEUTRONS", "PROTONS"):
        if _integer(path, blocks, key, default=0) > 0:
            raise InputError(
                path, f"${key}: the file holds {key.lower()}", "only photons, electrons, positrons"
            )
    _check(path, header, data)
    return header


def format_header(header: Header) -> str:
    """Text of an IAEA header; `read_header` gives it back unchanged."""
    flags = [
        f"    {int(name in header.stored)}     // {label} is stored ?"
        for name, label in zip(FIELDS, LABELS, strict=True)
    ]
    flags += [
        f"    {len(header.extra_floats)}     // Extra floats stored ?",
        f"    {len(header.extra_longs)}     // Extra longs stored ?",
    ]
    flags += [f"    {code}     // type of extra float {i}" for i, code in enumerate(header.extra_floats)]
    flags += [f"    {code}     // type of extra long {i}" for i, code in enumerate(header.extra_longs)]
    constants = [
        f"    {header.constants[name]!r}     // Constant {label}"
        for name, label in zip(FIELDS, LABELS, strict=True)
        if name in header.constants
    ]
    blocks = {
        "TITLE": header.info.get("TITLE", ""),  # first, by which some readers know the format
        "FILE_TYPE": "0",
        "CHECKSUM": str(header.checksum),
        "RECORD_CONTENTS": "\n".join(flags),
        "RECORD_CONSTANT": "\n".join(constants),
        "RECORD_LENGTH": str(header.record_length),
        "BYTE_ORDER": str(header.byte_order),
        "ORIG_HISTORIES": str(header.orig_histories),
        "PARTICLES": str(header.particles),
        **{key: str(count) for key, count in zip(COUNT_KEYS, header.counts, strict=True)},
        **header.info,
    }
    return "\n".join(f"${key}:\n{text}\n" for key, text in blocks.items())


_PARSED = frozenset(
    ("FILE_TYPE", "CHECKSUM", "RECORD_CONTENTS", "RECORD_CONSTANT", "RECORD_LENGTH", "BYTE_ORDER")
    + ("ORIG_HISTORIES", "PARTICLES", "NEUTRONS", "PROTONS")
    + COUNT_KEYS
)


def _read_blocks(path: Path) -> dict[str, str]:
    """Blocks of the header by key, comments and surrounding blank lines removed."""
    try:
        text = path.read_text(encoding="latin-1")
    except OSError as error:
        raise InputError(path, f"cannot read the phase-space header: {error.strerror}") from None
    blocks: dict[str, list[str]] = {}
    lines = None
    for line in text.splitlines():
        line = line.split("//")[0].rstrip()
        start = re.match(r"\s*\$\s*(\w+)\s*:", line)
        if start:
            key = start[1].upper()
            if key in blocks and key in _PARSED:
                raise InputError(path, f"${key} stands twice in the header")
            lines = blocks.setdefault(key, [])
            line = line[start.end() :]
        if lines is not None:
            lines.append(line)
    if not blocks and text.startswith("TOPAS"):
        kind = text.split("\n", 1)[0].strip().removesuffix(" Phase Space")
        remedy = 'score it again with OutputType = "Limited", which is read, or convert it to the IAEA format'
        raise InputError(path, f"is a phase space in the format {kind}, which is not read", remedy)
    if not blocks:
        raise InputError(path, "not an IAEA phase-space header: no $KEY: lines")
    return {key: "\n".join(lines).strip() for key, lines in blocks.items()}


def _numbers(path: Path, blocks: dict[str, str], key: str) -> list[float]:
    """All numbers of a block, one a line."""
    if key not in blocks:
        raise InputError(path, f"the key ${key} is missing", "the header is cut short, or not an IAEA header")
    values = []
    for word in blocks[key].split():
        try:
            values.append(float(word))
        except ValueError:
            raise InputError(path, f"${key}: {word!r} is not a number") from None
        if not math.isfinite(values[-1]):
            raise InputError(path, f"${key}: {word!r} is not a finite number")
    return values


def _integer(path: Path, blocks: dict[str, str], key: str, default: int | None = None) -> int:
    """The whole number, not negative, of a block; `default` where the block is missing or empty."""
    if default is not None and not blocks.get(key):
        return default
    values = _numbers(path, blocks, key)
    if len(values) != 1:
        raise InputError(path, f"${key} must hold one number, found {len(values)}")
    return _whole(path, key, values[0])


def _whole(path: Path, key: str, value: float) -> int:
    if value < 0 or value != int(value):
        raise InputError(path, f"${key} must hold whole numbers not below 0, found {value:g}")
    return int(value)


def _record_layout(
    path: Path, blocks: dict[str, str]
) -> tuple[tuple[str, ...], dict[str, float], tuple[int, ...], tuple[int, ...]]:
    """Stored quantities, constants, and type codes of extra floats and longs."""
    contents = [_whole(path, "RECORD_CONTENTS", value) for value in _numbers(path, blocks, "RECORD_CONTENTS")]
    if len(contents) < 9:
        raise InputError(path, f"$RECORD_CONTENTS holds {len(contents)} numbers, at least 9 are needed")
    flags, (n_floats, n_longs), codes = contents[:7], contents[7:9], contents[9:]
    if max(flags) > 1:
        raise InputError(path, "$RECORD_CONTENTS: the first seven numbers must be 0 or 1")
    if max(n_floats, n_longs) > MAX_EXTRAS:
        raise InputError(path, f"$RECORD_CONTENTS: more than {MAX_EXTRAS} extra values per record")
    if len(codes) != n_floats + n_longs:
        raise InputError(
            path, f"$RECORD_CONTENTS announces {n_floats + n_longs} extra values but lists {len(codes)} types"
        )
    stored = tuple(name for name, flag in zip(FIELDS, flags, strict=True) if flag)
    missing = [name for name in FIELDS if name not in stored]
    values = _numbers(path, blocks, "RECORD_CONSTANT")
    if len(values) == len(missing) - 1 and "w" in missing:
        missing.remove("w")  # no constant W: it follows from U, V and the sign of the type
    if len(values) == len(missing) - 1 and "weight" in missing:
        missing.remove("weight")  # the caller takes 1
    if len(values) != len(missing):
        raise InputError(
            path, f"$RECORD_CONSTANT holds {len(values)} numbers for {len(missing)} quantities not stored"
        )
    return stored, dict(zip(missing, values, strict=True)), tuple(codes[:n_floats]), tuple(codes[n_floats:])


def _check(path: Path, header: Header, data: Path | None) -> None:
    """Refuse a header that contradicts itself."""
    if header.byte_order not in BYTE_ORDERS:
        raise InputError(path, f"$BYTE_ORDER {header.byte_order} is unknown", "1234 or 4321")
    length = record_size(header.stored, len(header.extra_floats) + len(header.extra_longs))
    if header.record_length != length:
        raise InputError(
            path, f"$RECORD_LENGTH is {header.record_length} bytes but $RECORD_CONTENTS makes {length}"
        )
    if header.particles == 0:
        raise InputError(path, "$PARTICLES is 0: the phase space is empty")
    if header.counts and sum(header.counts) != header.particles:
        raise InputError(
            path,
            f"$PARTICLES is {header.particles} but photons, electrons and positrons add up to "
            f"{sum(header.counts)}",
        )
    if header.checksum != header.particles * header.record_length:
        problem = (
            f"$CHECKSUM is {header.checksum} but {header.particles} records of {header.record_length} bytes "
            f"make {header.particles * header.record_length}"
        )
        remedy = ""
        if data is not None and data.is_file():
            size = data.stat().st_size
            problem += f", and {data.name} has {size}"
            remedy = "copy or write it again"
            if size == header.particles * header.record_length:
                remedy = f"the data agree with $PARTICLES: write {size} for $CHECKSUM"
        raise InputError(path, problem, remedy)
    if header.orig_histories == 0:
        raise InputError(path, "$ORIG_HISTORIES is 0", "doses are stated per original history")
    if "weight" in header.constants and header.constants["weight"] <= 0:
        raise InputError(path, f"constant weight {header.constants['weight']:g} is not above 0")

"""Read a scanner's TIFF: 16 bits a sample, whole or in strips or tiles, plain, LZW or deflate.

After the TIFF 6.0 specification (Adobe, 1992) and its Technical Note 2 (deflate). Only what film scanners
write is read, and all of it is checked, so that a file cut short or of another kind is refused, not guessed
at.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

import numpy as np

from phantoms.errors import InputError
from phantoms.files import read_file
from validation.film.lzw import decode_lzw

MM_PER_UNIT = {2: 25.4, 3: 10.0}  # ResolutionUnit: inch, centimetre
PLAIN, LZW, DEFLATE = (1,), (5,), (8, 32946)
COMPRESSIONS = {2: "CCITT", 3: "CCITT", 4: "CCITT", 6: "JPEG", 7: "JPEG", 32773: "PackBits"}
GREY, RGB = (0, 1), 2  # PhotometricInterpretation
TYPES = {1: "B", 2: "s", 3: "H", 4: "I", 5: "II", 16: "Q"}  # of a field: formats of struct
ONE_SIDE = 60_000  # more pixels a side than a scanner has
MAX_BYTES = 4_000_000_000
SMALL, MAX_RATIO = (
    30_000_000,
    100,
)  # bytes of pixels; more of them must be stored in a hundredth of their bytes
MAX_PAGES = 20  # that are looked at
MAX_NAMED = 6  # pictures of a file
REDUCED = 1  # bit of NewSubfileType: a thumbnail
SUBFILE = 254

(WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, OFFSETS, ORIENTATION, SAMPLES, ROWS, COUNTS, X_RESOLUTION,
 Y_RESOLUTION, PLANAR, UNIT, PREDICTOR, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS, FORMAT) = (
    256, 257, 258, 259, 262, 273, 274, 277, 278, 279, 282, 283, 284, 296, 317, 322, 323, 324, 325, 339
)  # fmt: skip
READ = frozenset(
    (
        SUBFILE,
        WIDTH,
        HEIGHT,
        BITS,
        COMPRESSION,
        PHOTOMETRIC,
        OFFSETS,
        ORIENTATION,
        SAMPLES,
        ROWS,
        COUNTS,
        X_RESOLUTION,
        Y_RESOLUTION,
        PLANAR,
        UNIT,
        PREDICTOR,
        TILE_WIDTH,
        TILE_HEIGHT,
        TILE_OFFSETS,
        TILE_COUNTS,
        FORMAT,
    )
)


@dataclass(frozen=True, eq=False)
class Picture:
    """The picture of a TIFF file.

    Parameters
    ----------
    path : Path
    pixels : (rows, columns, channels) uint16
    pitch_mm : (float, float) or None
        Distance of rows and of columns [mm]; None where the file does not state it.
    """

    path: Path
    pixels: np.ndarray = field(repr=False)
    pitch_mm: tuple[float, float] | None


def read_tiff(path: str | PathLike) -> Picture:
    """Read the picture of a TIFF of 16 bits a sample; thumbnails that are marked as such are passed over.

    Raises
    ------
    InputError
        If the file is no TIFF, is cut short, holds several pictures, or something other than a picture of
        16-bit samples.
    """
    path = Path(path)
    try:
        data = read_file(path)
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror}") from None
    try:
        tags, order = _only_picture(data, path)
        return Picture(path, _pixels(data, tags, order, path), _pitch(tags))
    except (struct.error, OverflowError):
        raise InputError(
            path, "is cut short: it points beyond its own end", "scan or copy it again"
        ) from None


Tags = dict[int, tuple]


def _only_picture(data: bytes, path: Path) -> tuple[Tags, str]:
    """The fields of the one picture that is no thumbnail, and the byte order as `struct` writes it."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    magic = struct.unpack_from(order + "H", data, 2)[0] if order and len(data) >= 8 else 0
    if magic not in (42, 43):
        raise InputError(path, "is not a TIFF file", "scan to TIFF, 48-bit colour")
    big = magic == 43  # BigTIFF: offsets of 8 bytes
    place = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)[0]
    pages, seen = [], {0}
    while not pages or (place not in seen and len(pages) < MAX_PAGES):
        seen.add(place)
        tags, place = _directory(data, path, order, big, place)
        pages.append(tags)
    whole = [tags for tags in pages if not _one(tags, SUBFILE, 0) & REDUCED]
    if len(pages) == 1 or len(whole) == 1:
        return (whole or pages)[0], order
    sizes = ", ".join(f"{_one(tags, WIDTH)} x {_one(tags, HEIGHT)}" for tags in pages[:MAX_NAMED])
    raise InputError(
        path,
        f"holds {len(pages)} pictures ({sizes} pixels)",
        "save the one to be judged in a file of its own",
    )


def _directory(data: bytes, path: Path, order: str, big: bool, place: int) -> tuple[Tags, int]:
    """The fields of the picture at `place`, and the place of the next one; 0: there is none."""
    offset = order + ("Q" if big else "I")
    entries = struct.unpack_from(order + ("Q" if big else "H"), data, place)[0]
    place += 8 if big else 2
    size, inline = (20, 8) if big else (12, 4)
    tags: Tags = {}
    following = struct.unpack_from(offset, data, place + entries * size)[0]
    for k in range(entries):
        start = place + k * size
        tag, kind = struct.unpack_from(order + "HH", data, start)
        count = struct.unpack_from(order + ("Q" if big else "I"), data, start + 4)[0]
        if tag not in READ or kind not in TYPES:
            continue  # none of the fields that are read
        letters = TYPES[kind]
        length = count * struct.calcsize("=" + letters)
        at = start + (12 if big else 8)
        if length > inline:
            at = struct.unpack_from(order + ("Q" if big else "I"), data, at)[0]
        if at + length > len(data):
            if tag in (OFFSETS, COUNTS, TILE_OFFSETS, TILE_COUNTS, BITS):
                raise InputError(path, "is cut short: its directory is not complete", "scan or copy it again")
            continue
        if kind != 2:
            tags[tag] = struct.unpack_from(f"{order}{count * len(letters)}{letters[0]}", data, at)
    return tags, following


def _one(tags: Tags, tag: int, default: int | None = None) -> int:
    return tags[tag][0] if tags.get(tag) else default


def _pixels(data: bytes, tags: Tags, order: str, path: Path) -> np.ndarray:
    width, height, samples = _one(tags, WIDTH), _one(tags, HEIGHT), _one(tags, SAMPLES, 1)
    if not width or not height or max(width, height) > ONE_SIDE:
        raise InputError(path, f"states {width} x {height} pixels")
    bits = set(tags.get(BITS, (1,)))
    if bits != {16} or _one(tags, FORMAT, 1) != 1:
        raise InputError(
            path,
            f"has {'/'.join(map(str, sorted(bits)))} bits a channel, not 16",
            "scan with 48-bit colour (16 bits a channel), without colour correction",
        )
    photometric = _one(tags, PHOTOMETRIC)
    if photometric == 0 or (photometric not in GREY and photometric != RGB):
        raise InputError(path, f"has PhotometricInterpretation {photometric}, not RGB", "scan to RGB")
    if _one(tags, ORIENTATION, 1) != 1:
        raise InputError(
            path, f"has Orientation {_one(tags, ORIENTATION)}, not 1", "save it with row 1 at the top"
        )
    size = samples * width * height * 2
    if size > MAX_BYTES:
        raise InputError(path, f"has {width} x {height} pixels, too many", "scan with fewer dpi")
    if size > max(MAX_RATIO * len(data), SMALL):
        problem = f"states {width} x {height} pixels in {len(data)} bytes: no scan of a film is so empty"
        raise InputError(path, problem, "cut out the films, or scan again")
    planes = samples if _one(tags, PLANAR, 1) == 2 else 1
    inner = samples // planes
    tiled = TILE_OFFSETS in tags
    rows, columns = (
        (_one(tags, TILE_HEIGHT, 0), _one(tags, TILE_WIDTH, 0))
        if tiled
        else (min(_one(tags, ROWS, height), height), width)
    )
    offsets = tags.get(TILE_OFFSETS if tiled else OFFSETS, ())
    counts = tags.get(TILE_COUNTS if tiled else COUNTS, ())
    if rows < 1 or columns < 1:
        raise InputError(path, "states strips or tiles of no size")
    down, across = -(-height // rows), -(-width // columns)
    if len(offsets) != planes * down * across or len(counts) != len(offsets):
        raise InputError(
            path, f"lists {len(offsets)} strips or tiles of {len(counts)} sizes, not {planes * down * across}"
        )
    pixels = np.empty((height, width, samples), np.uint16)
    for k, (offset, count) in enumerate(zip(offsets, counts, strict=True)):
        plane, place = divmod(k, down * across)
        top, left = (place // across) * rows, (place % across) * columns
        high = rows if tiled else min(rows, height - top)  # tiles are padded, strips are not
        if offset + count > len(data):
            raise InputError(
                path,
                f"is cut short: {len(data)} bytes, where its pixels reach to {offset + count}",
                "scan or copy it again",
            )
        block = _block(data[offset : offset + count], (high, columns, inner), tags, order, path)
        part = pixels[top : top + high, left : left + columns]
        into = part[..., plane : plane + 1] if planes > 1 else part
        into[...] = block[: part.shape[0], : part.shape[1]]
    return pixels


def _block(stored: bytes, shape: tuple[int, int, int], tags: Tags, order: str, path: Path) -> np.ndarray:
    """A strip or tile, decoded."""
    compression, predictor = _one(tags, COMPRESSION, 1), _one(tags, PREDICTOR, 1)
    size = 2 * shape[0] * shape[1] * shape[2]
    if compression in LZW:
        decoded, count = decode_lzw(np.frombuffer(stored, np.uint8), size)
        if count < 0:
            raise InputError(path, "its LZW data are damaged", "scan or copy it again")
        raw = decoded.tobytes()[:count]
    elif compression in DEFLATE:
        try:
            raw = zlib.decompressobj().decompress(stored, size)
        except zlib.error as error:
            raise InputError(
                path, f"its deflate data are damaged: {error}", "scan or copy it again"
            ) from None
    elif compression in PLAIN:
        raw = stored
    else:
        name = COMPRESSIONS.get(compression, f"number {compression}")
        raise InputError(path, f"its compression, {name}, is not read", "save it plain, as LZW or as deflate")
    if len(raw) < size:
        raise InputError(
            path, f"is cut short: {len(raw)} of {size} bytes of a strip or tile", "scan or copy it again"
        )
    block = np.frombuffer(raw, order + "u2", size // 2).reshape(shape).astype(np.uint16)
    if predictor == 2:  # differences along a row, modulo 2^16 (section 14)
        block = np.cumsum(block, axis=1, dtype=np.uint16)
    elif predictor != 1:
        raise InputError(
            path, f"its predictor, number {predictor}, is not read", "save it without compression"
        )
    return block


def _pitch(tags: Tags) -> tuple[float, float] | None:
    """Distance of rows and of columns [mm]."""
    unit = MM_PER_UNIT.get(_one(tags, UNIT, 2))
    pitch = []
    for tag in (Y_RESOLUTION, X_RESOLUTION):
        ratio = tags.get(tag, ())
        if unit is None or len(ratio) != 2 or not all(ratio):
            return None
        number, divisor = ratio
        pitch.append(unit * divisor / number)
    return pitch[0], pitch[1]

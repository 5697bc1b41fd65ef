"""Reading DICOM files safely: every defect of a file ends in an InputError that names it.

The sole importer of pydicom for reading: `phantoms.ct`, `phantoms.structures`, `phantoms.case` and
`mc.plan.rtplan` read files and attributes through it, so that broken files are refused alike everywhere.
"""

from __future__ import annotations

import io
import os
import re
import warnings
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset as read_elements
from pydicom.filereader import read_preamble
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
)

from phantoms.errors import InputError, refuse_pipe

UNDEFINED_LENGTH = 0xFFFFFFFF
MM_PER_CM = 10.0
# The tag of SOP Class UID (0008,0016), near the beginning of every DICOM object, in both byte orders
SOP_CLASS_TAGS = (b"\x08\x00\x16\x00", b"\x00\x08\x00\x16")
UNCOMPRESSED = (  # transfer syntaxes
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
)
LOSSY_SYNTAXES, MAYBE_LOSSY = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless), JPEG2000
# what a deflated file may take: this, and many times its size
MIN_INFLATED, MAX_FOLD = 32 * 2**20, 50
META_BYTES, PART = 2**17, 2**20  # that hold the file meta information; inflated at once
NAMED_DICOM = (".dcm", ".dicom", ".ima")  # suffixes
AGAIN = "export it again"
TRUNCATED = "the file is cut short", "copy or export it again"


def looks_like_dicom(path: str | Path) -> bool:
    """Whether a file is a DICOM object: by its prefix or, without one, by its first attributes.

    Raises
    ------
    InputError
        If there is such a file, but it cannot be read.
    """
    try:
        if not Path(path).is_file():
            return False
        with open(path, "rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise _unreadable(path, error) from None
    has_prefix = head[128:132] == b"DICM"
    return has_prefix or (
        head[:1] in (b"\x08", b"\x02", b"\x00") and any(tag in head for tag in SOP_CLASS_TAGS)
    )


def list_dicom_files(folder: str | Path) -> list[Path]:
    """Return the DICOM files in `folder` and its subfolders, sorted, without media directories.

    Raises
    ------
    InputError
        If there are none, or something in the folder cannot be read: it might be what is looked for.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(folder, "is not a folder")
    files = [path for path in sorted(_walk(folder)) if path.name.upper() != "DICOMDIR"]
    for path in files:
        if path.is_symlink() and not path.exists():
            raise InputError(
                path, "is a link to a file that is not there", "export it again, or remove the link"
            )
    found = [path for path in files if looks_like_dicom(path)]
    for path in sorted({*files} - {*found}):
        if path.suffix.lower() in NAMED_DICOM and not path.name.startswith("."):
            problem = "is named as a DICOM file, but is none" if path.stat().st_size else "is empty"
            raise InputError(path, problem, "copy or export it again, or remove it")
    if not found:
        raise InputError(folder, "holds no DICOM files", "name the folder of the export")
    return found


def _walk(folder: Path) -> Iterator[Path]:
    """All files below `folder`, those in linked folders too, each folder once."""

    def refuse(error: OSError) -> None:
        raise _unreadable(error.filename, error) from None

    seen: set[str] = set()
    for parent, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()  # a link back, or a second one to the same folder
            continue
        seen.add(real)
        yield from (Path(parent, name) for name in names)


def _unreadable(path: str | Path, error: OSError) -> InputError:
    return InputError(
        path, f"cannot be read: {error.strerror or error}", "allow reading it, or copy it again"
    )


def read_dataset(path: str | Path, *, header_only: bool = False) -> Dataset:
    """Read one DICOM file, with or without preamble.

    Parameters
    ----------
    path : path
    header_only : bool
        Stop before the pixel data. Only a whole file can be checked for truncation, so use this for
        sorting, not for the final reading.

    Raises
    ------
    InputError
        If the file cannot be opened, is not DICOM, or is cut short.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if not looks_like_dicom(path):
            refuse_pipe(path)
            raise InputError(path, "is not a DICOM file")
        # pydicom reports many defects as warnings only; those that matter are checked here and by callers
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _refuse_inflating(path, size)
            dataset = pydicom.dcmread(path, force=True, stop_before_pixels=header_only)
            truncated = not header_only and _is_truncated(dataset, path, size)
    except InputError:
        raise
    except OSError as error:
        if error.strerror:
            raise _unreadable(path, error) from None
        raise InputError(path, *TRUNCATED) from None  # pydicom: "No tag to read at file position"
    except Exception as error:
        raise InputError(path, f"cannot be read as DICOM: {error}", AGAIN) from None
    if truncated:
        raise InputError(path, *TRUNCATED)
    dataset.SOPClassUID = _sop_class(dataset, path)
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if (
        not isinstance(syntax, str) or not syntax
    ):  # a file without preamble, or an empty value: as it was read
        implicit, little_endian = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if little_endian else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    return dataset


def _refuse_inflating(path: Path, size: int) -> None:
    """Refuse a deflated file that takes many times its size, before pydicom inflates it."""
    with open(path, "rb") as file:
        if str(DeflatedExplicitVRLittleEndian).encode() not in file.read(META_BYTES):
            return
        file.seek(0)
        read_preamble(file, True)
        meta = read_elements(file, False, True, stop_when=lambda tag, vr, length: tag.group != 2)
        if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
            return
        most, found, inflate = MIN_INFLATED + MAX_FOLD * size, 0, zlib.decompressobj(-zlib.MAX_WBITS)
        packed = file.read(PART)
        while packed and found <= most:
            found += len(inflate.decompress(packed, PART))
            packed = inflate.unconsumed_tail or file.read(PART)
    if found > most:
        raise InputError(path, f"inflates to more than {most >> 20} MB", "export it without compression")


def _sop_class(dataset: Dataset, path: Path) -> UID:
    """The kind of object, which must be one UID."""
    found = optional(dataset, "SOPClassUID", path)
    if found is None:
        raise InputError(path, "is not a DICOM object: SOP Class UID is missing", AGAIN)
    if not isinstance(found, str) or not re.fullmatch(r"[0-9]+(\.[0-9]+)+", found):
        raise InputError(path, f"is not a DICOM object: its SOP Class UID is {found!r}", AGAIN)
    return UID(found)


def _is_truncated(dataset: Dataset, path: Path, size: int) -> bool:
    """Whether the file ends inside an element, which pydicom accepts silently.

    An element of defined length must have all its bytes, and the last one must end where the file does
    (zero bytes of padding are tolerated). Elements of undefined length fail while reading.
    """
    elements = [dataset.get_item(tag) for tag in dataset.keys()]
    if not elements:
        return True
    for element in elements:
        length = getattr(element, "length", UNDEFINED_LENGTH)
        if length not in (0, UNDEFINED_LENGTH) and element.value is not None and len(element.value) < length:
            return True
    last = elements[-1]
    if getattr(last, "length", UNDEFINED_LENGTH) == UNDEFINED_LENGTH:
        return False
    if dataset.file_meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        return False  # positions refer to the inflated data; zlib itself detects truncation
    end = last.value_tell + last.length
    with open(path, "rb") as file:
        file.seek(min(end, size), io.SEEK_SET)
        return end > size or file.read().strip(b"\0") != b""


def read_pixels(dataset: Dataset, path: str | Path) -> np.ndarray:
    """Return the stored pixel values of an image, decoded."""
    require(dataset, "PixelData", path)
    try:
        return dataset.pixel_array
    except Exception as error:
        syntax = str(dataset.file_meta.get("TransferSyntaxUID"))
        if syntax not in UNCOMPRESSED:
            problem = f"is compressed ({pydicom.uid.UID(syntax).name}) and cannot be decoded"
            raise InputError(path, problem, "export it uncompressed") from None
        raise InputError(path, f"pixel data cannot be read: {error}") from None


def require(dataset: Dataset, keyword: str, where: str | Path) -> Any:
    """Return the value of an attribute; raise InputError if it is missing, empty or malformed."""
    value = optional(dataset, keyword, where)
    if value is None:
        raise InputError(where, f"{describe(keyword)} is missing", AGAIN)
    return value


def optional(dataset: Dataset, keyword: str, where: str | Path) -> Any:
    """Return the value of an attribute, None if it is missing or empty; malformed raises InputError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _raw(dataset, keyword)
            value = dataset.get(keyword)
    except Exception as error:
        raise InputError(where, f"{describe(keyword)} is malformed: {error}", AGAIN) from None
    if value is None or (hasattr(value, "__len__") and len(value) == 0):
        return None
    return value.strip() if isinstance(value, str) else value


def require_floats(dataset: Dataset, keyword: str, count: int | None, where: str | Path) -> np.ndarray:
    """Return a numeric attribute as (count,) float64, all finite; `count` None accepts any number."""
    raw = _raw(dataset, keyword)
    text = getattr(raw, "value", None)
    if isinstance(raw, RawDataElement) and raw.VR == "DS" and text:
        # Contours have 1e6 decimal strings: parsed at once, six times faster than one by one.
        return _floats(text.rstrip(b"\0 ").split(b"\\"), keyword, count, where)
    return _floats(require(dataset, keyword, where), keyword, count, where)


def _raw(dataset: Dataset, keyword: str) -> Any:
    """An element as it was read, one of VR UN as what it is; None if it is missing.

    A writer may state UN where a length does not fit into 16 bits, as that of contours; such values are in
    implicit VR little endian (PS3.5 6.2.2). pydicom leaves those of 64 kB and more as they are.
    """
    if keyword not in dataset:
        return None
    raw = dataset.get_item(keyword)
    if isinstance(raw, RawDataElement) and raw.VR == "UN":
        known = pydicom.datadict.dictionary_VR(raw.tag)
        if " or " not in known:
            raw = raw._replace(VR=known, is_implicit_VR=True, is_little_endian=True)
            dataset[raw.tag] = raw
    return raw


def require_float(dataset: Dataset, keyword: str, where: str | Path) -> float:
    """Return a numeric attribute of one finite value."""
    return float(require_floats(dataset, keyword, 1, where)[0])


def optional_float(dataset: Dataset, keyword: str, where: str | Path) -> float | None:
    """Return a numeric attribute of one finite value, None if it is missing or empty."""
    value = optional(dataset, keyword, where)
    return None if value is None else float(_floats(value, keyword, 1, where)[0])


def require_int(dataset: Dataset, keyword: str, where: str | Path) -> int:
    """Return a whole-number attribute."""
    value = require_float(dataset, keyword, where)
    if value != int(value):
        raise InputError(where, f"{describe(keyword)} is {value}, not a whole number", AGAIN)
    return int(value)


def require_text(dataset: Dataset, keyword: str, where: str | Path) -> str:
    """Return an attribute as text without surrounding blanks."""
    return str(require(dataset, keyword, where)).strip()


def optional_text(dataset: Dataset, keyword: str, where: str | Path) -> str:
    """Return an attribute as text without surrounding blanks, empty if it is missing."""
    value = optional(dataset, keyword, where)
    return "" if value is None else str(value).strip()


def items(dataset: Dataset, keyword: str, where: str | Path) -> Sequence[Dataset]:
    """Return the items of a sequence attribute, none if it is missing."""
    value = optional(dataset, keyword, where)
    if value is None:
        return ()
    if not isinstance(value, pydicom.Sequence):
        raise InputError(where, f"{describe(keyword)} is malformed: not a sequence", AGAIN)
    return value


def require_items(dataset: Dataset, keyword: str, where: str | Path) -> Sequence[Dataset]:
    """Return the items of a sequence attribute; raise InputError if there are none."""
    found = items(dataset, keyword, where)
    if not found:
        raise InputError(where, f"{describe(keyword)} is missing", AGAIN)
    return found


def check_count(dataset: Dataset, keyword: str, found: int, where: str | Path) -> None:
    """Refuse a count that is stated and is not what was found: something was lost."""
    stated = optional(dataset, keyword, where)
    if stated is not None and stated != found:
        raise InputError(
            where,
            f"{describe(keyword)} is {stated}, but there are {found}",
            "export it again: it is not whole",
        )


def describe(keyword: str) -> str:
    """Return an attribute's name and tag as a physicist looks it up, `Pixel Spacing (0028,0030)`."""
    tag = pydicom.datadict.tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return f"{pydicom.datadict.dictionary_description(tag)} ({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _floats(value: Any, keyword: str, count: int | None, where: str | Path) -> np.ndarray:
    try:
        numbers = np.atleast_1d(np.asarray(value, dtype=np.float64))
    except (TypeError, ValueError):
        raise InputError(where, f"{describe(keyword)} is not a number", AGAIN) from None
    if numbers.ndim != 1 or (count is not None and len(numbers) != count):
        raise InputError(where, f"{describe(keyword)} has {numbers.size} values, not {count}", AGAIN)
    if not np.isfinite(numbers).all():
        raise InputError(where, f"{describe(keyword)} is not finite", AGAIN)
    return numbers

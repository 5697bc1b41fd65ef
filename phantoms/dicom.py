"""Reading DICOM files safely: every defect of a file ends in an InputError that names it.

The sole importer of pydicom for reading: `phantoms.ct`, `phantoms.structures`, `phantoms.case` and
`mc.plan.rtplan` read files and attributes through it, so that broken files are refused alike everywhere.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
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
TRUNCATED = "the file is cut short", "copy or export it again"


def looks_like_dicom(path: str | Path) -> bool:
    """Whether a file is a DICOM object: by its prefix or, without one, by its first attributes."""
    try:
        refuse_pipe(path)
        with open(path, "rb") as file:
            head = file.read(4096)
    except (OSError, InputError):
        return False
    has_prefix = head[128:132] == b"DICM"
    return has_prefix or (
        head[:1] in (b"\x08", b"\x02", b"\x00") and any(tag in head for tag in SOP_CLASS_TAGS)
    )


def list_dicom_files(folder: str | Path) -> list[Path]:
    """Return the DICOM files in `folder` and its subfolders, sorted, without media directories."""
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(folder, "is not a folder")
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name.upper() != "DICOMDIR")
    files = [path for path in files if looks_like_dicom(path)]
    if not files:
        raise InputError(folder, "holds no DICOM files")
    return files


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
            path.open("rb").close()
            raise InputError(path, "is not a DICOM file")
        # pydicom reports many defects as warnings only; those that matter are checked here and by callers
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(path, force=True, stop_before_pixels=header_only)
            truncated = not header_only and _is_truncated(dataset, path, size)
    except InputError:
        raise
    except OSError as error:
        if error.strerror:
            raise InputError(path, f"cannot be read: {error.strerror}") from None
        raise InputError(path, *TRUNCATED) from None  # pydicom: "No tag to read at file position"
    except Exception as error:
        raise InputError(path, f"cannot be read as DICOM: {error}") from None
    if truncated:
        raise InputError(path, *TRUNCATED)
    if optional(dataset, "SOPClassUID", path) is None:
        raise InputError(path, "is not a DICOM object: SOP Class UID is missing")
    if "TransferSyntaxUID" not in dataset.file_meta:  # a file without preamble: as pydicom found it
        implicit, little_endian = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if little_endian else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    return dataset


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
        raise InputError(where, f"{describe(keyword)} is missing")
    return value


def optional(dataset: Dataset, keyword: str, where: str | Path) -> Any:
    """Return the value of an attribute, None if it is missing or empty; malformed raises InputError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = dataset.get(keyword)
    except Exception as error:
        raise InputError(where, f"{describe(keyword)} is malformed: {error}") from None
    if value is None or (hasattr(value, "__len__") and len(value) == 0):
        return None
    return value.strip() if isinstance(value, str) else value


def require_floats(dataset: Dataset, keyword: str, count: int | None, where: str | Path) -> np.ndarray:
    """Return a numeric attribute as (count,) float64, all finite; `count` None accepts any number."""
    raw = dataset.get_item(keyword) if keyword in dataset else None
    text = getattr(raw, "value", None)
    if isinstance(raw, RawDataElement) and raw.VR == "DS" and text:
        # Contours have 1e6 decimal strings: parsed at once, six times faster than one by one.
        return _floats(text.rstrip(b"\0 ").split(b"\\"), keyword, count, where)
    return _floats(require(dataset, keyword, where), keyword, count, where)


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
        raise InputError(where, f"{describe(keyword)} is {value}, not a whole number")
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
        raise InputError(where, f"{describe(keyword)} is malformed: not a sequence")
    return value


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
        raise InputError(where, f"{describe(keyword)} is not a number") from None
    if numbers.ndim != 1 or (count is not None and len(numbers) != count):
        raise InputError(where, f"{describe(keyword)} has {numbers.size} values, not {count}")
    if not np.isfinite(numbers).all():
        raise InputError(where, f"{describe(keyword)} is not finite")
    return numbers

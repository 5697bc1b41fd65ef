"""The result folder: checked before the work, its files replaced whole, never mixed with older ones."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path

from phantoms.errors import InputError
from phantoms.files import is_hdf5

DOSE, RTDOSE, REPORT, PRINTED, RESULT = "dose.h5", "RTDOSE.dcm", "report.html", "report.pdf", "result.json"
PROVISIONAL_PRINTED = "report-PROVISIONAL.pdf"  # in place of PRINTED, of a run that was cut short
INPUTS = "inputs.h5"  # what the report is made of again
CHECKPOINT = "checkpoint.h5"  # while a run goes on, or can go on
# of `mcverify whatif`
WHATIFS = WHATIF, WHATIF_PRINTED, WHATIF_RESULT, WHATIF_PICTURE = (
    "whatif.html",
    "whatif.pdf",
    "whatif.json",
    "whatif.png",
)
NAMES = (DOSE, RTDOSE, INPUTS, REPORT, PRINTED, PROVISIONAL_PRINTED, RESULT, *WHATIFS)
SCHEMA = "mcverify result"  # of result.json
PHANTOM_SCHEMA = "mcverify phantom result"  # and of that of a plan in a phantom
DOSE_SCHEMA = "mcverify dose result"  # and of that of a plan whose dose was not exported
LOG = "mcverify-error.log"  # traceback of a bug
BYTES_PER_VOXEL = 32  # of dose.h5, RTDOSE.dcm and inputs.h5 together
REPORT_BYTES = 20_000_000  # of report and figures, generously
OTHER_FOLDER = "choose another folder with --out"


def default_folder(label: str) -> Path:
    """`mcverify-result/` and the plan's label, in letters that suit a file system."""
    return Path("mcverify-result") / (re.sub(r"[^\w.+-]+", "_", label).strip("._") or "plan")


@contextmanager
def result_folder(folder: Path, case: Path | None = None) -> Iterator[None]:
    """Make `folder` ready for a result before the work begins; leave nothing behind where none came.

    `case` is the export, in whose folder no result may lie.

    Raises
    ------
    InputError
        If it cannot be written, belongs to the export, or holds other files that ours would replace.
    """
    if case is not None and folder.resolve().is_relative_to(case.resolve()):
        raise InputError(
            folder, "lies in the export folder, whose files it would be mixed up with", OTHER_FOLDER
        )
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise InputError(folder, "is not a folder", OTHER_FOLDER) from None
    except OSError as error:
        raise InputError(folder, f"cannot be made: {error.strerror}", OTHER_FOLDER) from None
    try:
        _refuse_foreign(folder)
        check_writable(folder)
        yield
    finally:
        for place in made:
            with suppress(OSError):
                place.rmdir()  # only where empty


def beside_or_in(out: Path, result: Path) -> AbstractContextManager[None]:
    """What is written goes into the folder of a result, or into another one that is made ready for it."""
    return nullcontext() if out.resolve() == result.resolve() else result_folder(out)


def make_folder(out: Path) -> None:
    """Make a folder that can be written to.

    Raises
    ------
    InputError
        If that is not possible.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(out, f"cannot be made: {error.strerror}", OTHER_FOLDER) from None
    check_writable(out)


def check_writable(folder: Path) -> None:
    """Refuse a folder in which no file can be made."""
    probe = folder / ".mcverify.partial"
    try:
        probe.write_bytes(b"probe")
    except OSError as error:
        raise InputError(folder, f"cannot be written to: {error.strerror}", OTHER_FOLDER) from None
    finally:
        with suppress(OSError):
            probe.unlink()


def check_space(folder: Path, voxels: int) -> None:
    """Refuse a disk without space for the result of a grid of `voxels`."""
    needed, free = voxels * BYTES_PER_VOXEL + REPORT_BYTES, shutil.disk_usage(folder).free
    if free < needed:
        raise InputError(
            folder,
            f"its disk has {free / 1e6:.0f} MB left, the result may need {needed / 1e6:.0f}",
            OTHER_FOLDER,
        )


def drop_older(folder: Path) -> None:
    """Remove what belonged to the dose that has just been replaced."""
    for name in set(NAMES) - {DOSE}:
        (folder / name).unlink(missing_ok=True)


def is_result_folder(folder: Path) -> bool:
    """Whether the files of our names in `folder` are those of a result of mcverify."""
    try:
        if (folder / RESULT).exists():
            stated = json.loads((folder / RESULT).read_bytes())
            return isinstance(stated, dict) and stated.get("schema") in (SCHEMA, PHANTOM_SCHEMA, DOSE_SCHEMA)
        # of a run that was broken off, or whose report failed: our names only, with the dose or checkpoint
        entries = set(_entries(folder))
        held = entries & {DOSE, CHECKPOINT}
        known = {*NAMES, CHECKPOINT}
        return entries <= known and bool(held) and all(is_hdf5(folder / name) for name in held)
    except (OSError, ValueError, InputError):
        return False


def _refuse_foreign(folder: Path) -> None:
    try:
        held = _entries(folder)
    except OSError as error:
        raise InputError(folder, f"cannot be read: {error.strerror}", OTHER_FOLDER) from None
    if held and not is_result_folder(folder):
        raise InputError(folder, f"holds other files ({min(held)}) and no result of mcverify", OTHER_FOLDER)


def _entries(folder: Path) -> list[str]:
    """Names in a folder but hidden ones and our own log."""
    return [entry.name for entry in folder.iterdir() if not entry.name.startswith(".") and entry.name != LOG]

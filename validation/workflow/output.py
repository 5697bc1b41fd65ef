"""The result folder: checked before the work, its files replaced whole, never mixed with older ones."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from phantoms.errors import InputError
from phantoms.files import is_hdf5
from phantoms.secret import NOT_STATED
from validation.workflow.lock import OTHER_FOLDER, locked

if TYPE_CHECKING:
    from mc.plan.plan import Plan
    from phantoms.identity import Identity

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
LONGEST_PART = 40  # characters of a part of a folder's name
REPORT_BYTES = 20_000_000  # of report and figures, generously


@dataclass(frozen=True)
class Owner:
    """What a result is of.

    Parameters
    ----------
    plan : str
        UID.
    patient : str
        Pseudonym.
    phantom : str or None
        Title of the phantom that stands for a patient, empty for a patient; None where it is not known.
    label : str
        Of the plan, for messages; without the patient's name.
    """

    plan: str
    patient: str = NOT_STATED
    phantom: str | None = ""
    label: str = ""

    @classmethod
    def of(cls, plan: Plan, identity: Identity, phantom: str = "") -> Owner:
        """That of a plan, computed in its patient or in a phantom."""
        from phantoms.identity import pseudonym  # late: `--help` needs no arrays

        return cls(plan.uid, pseudonym(plan.patient_id), phantom, identity.hidden(plan.label))

    def refuse_other(self, folder: Path) -> None:
        """Refuse a folder that holds the result of another plan, patient or phantom."""
        held = _held(folder)
        if held is None:
            return
        differ = {
            "plan": self.plan != held.plan,
            "patient": len({self.patient, held.patient} - {NOT_STATED}) > 1,
            "phantom": held.phantom is not None and self.phantom != held.phantom,
        }
        if what := [name for name, different in differ.items() if different]:
            names = ", ".join(filter(None, (held.label, held.phantom)))
            raise InputError(
                folder,
                f"holds the result of another {' and '.join(what)}{f' ({names})' if names else ''}",
                f"--overwrite replaces it, or {OTHER_FOLDER}",
            )


def default_folder(label: str, patient: str, phantom: str = "") -> Path:
    """`mcverify-result/` and label, phantom and pseudonym, in letters that suit a file system."""
    parts = [label or "plan", phantom, "" if patient == NOT_STATED else patient]
    letters = [re.sub(r"[^\w.+-]+", "_", part[:LONGEST_PART]).strip("._") for part in parts]
    return Path("mcverify-result") / ("-".join(filter(None, letters)) or "plan")


@contextmanager
def result_folder(
    folder: Path, case: Path | None = None, owner: Owner | None = None, overwrite: bool = False
) -> Iterator[None]:
    """Make `folder` ready for a result before the work begins, and keep other runs from writing into it.

    Nothing is left behind where no result came.

    Parameters
    ----------
    folder : Path
    case : Path, optional
        The export, in whose folder no result may lie.
    owner : Owner, optional
        What the result is of.
    overwrite : bool
        Whether the result of another plan may be replaced.

    Raises
    ------
    InputError
        If it cannot be written, belongs to the export, is being written by another run, or holds another
        plan's result or other files that ours would replace.
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
        with locked(folder):
            if owner is not None and not overwrite:
                owner.refuse_other(folder)
            yield
    finally:
        for place in made:
            with suppress(OSError):
                place.rmdir()  # only where empty


def beside_or_in(out: Path, result: Path) -> AbstractContextManager[None]:
    """What is written goes into the folder of a result, or into another one that is made ready for it.

    Raises
    ------
    InputError
        If that other one holds a dose, with which what is written would be mixed up.
    """
    if out.resolve() == result.resolve():
        return locked(result)
    if (out / DOSE).exists():
        raise InputError(out, "holds a dose of its own, which this would not be of", OTHER_FOLDER)
    return result_folder(out, owner=_held(result))


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
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"probe")
    except OSError as error:
        raise InputError(folder, f"cannot be written to: {error.strerror}", OTHER_FOLDER) from None


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


def refuse_other_dose(folder: Path, dose_sha256: str) -> None:
    """Refuse a folder whose dose is not the one of this hash, where that is known."""
    from validation.plan_check.record import digest  # late, as above

    if dose_sha256 and (folder / DOSE).exists() and digest(folder / DOSE) != dose_sha256:
        raise InputError(folder, "holds another dose, whose report this is not", OTHER_FOLDER)


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


def _held(folder: Path) -> Owner | None:
    """What the result in a folder is of; None where there is none that says so."""
    from mc.dose import stated_provenance

    try:
        if (folder / RESULT).exists():
            stated = json.loads((folder / RESULT).read_bytes())
            plan, phantom = stated["plan"], stated.get("phantom", {}).get("title", "")
            return Owner(plan["uid"], stated.get("patient_pseudonym", NOT_STATED), phantom, plan["label"])
        return Owner(stated_provenance(folder / DOSE)["plan_uid"], phantom=None)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, InputError):
        return None


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

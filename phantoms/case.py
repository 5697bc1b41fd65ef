"""A clinic's export folder, sorted: which CT, RTSTRUCT, RTPLAN and RTDOSE belong together, by UID."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from phantoms.belonging import Part, check_belonging
from phantoms.dicom import (
    Dataset,
    items,
    list_dicom_files,
    optional_float,
    optional_text,
    read_dataset,
    require_text,
)
from phantoms.errors import InputError
from phantoms.schema import nearest

CASE_FILE = "case.toml"


@dataclass(frozen=True)
class DoseFile:
    """An RTDOSE of the plan.

    Parameters
    ----------
    path : Path
    summation : str
        Dose Summation Type: PLAN, BEAM, FRACTION, ...
    beams : tuple of int
        Referenced Beam Numbers; empty for a dose of the whole plan.
    """

    path: Path
    summation: str
    beams: tuple[int, ...] = ()


@dataclass(frozen=True)
class Case:
    """The files of one plan.

    Parameters
    ----------
    ct_files : tuple of Path
    structures_file, plan_file : Path
    doses : tuple of DoseFile
        One of the whole plan or each of its planes, or one or more of beams; none where the export holds
        no RTDOSE.
    case_file : Path or None
        The user's case.toml, in the folder of the export or in one below it.
    unused : tuple of (Path, str)
        DICOM files that were not used, and why.
    warnings : tuple of str
    """

    ct_files: tuple[Path, ...]
    structures_file: Path
    plan_file: Path
    doses: tuple[DoseFile, ...]
    case_file: Path | None = None
    unused: tuple[tuple[Path, str], ...] = ()
    warnings: tuple[str, ...] = ()


def find_case(folder: str | Path) -> Case:
    """Sort an export folder.

    The one RTPLAN decides: its structure set, the doses computed for it, the CT series the structures
    were drawn on. UIDs and frames of reference must agree throughout.

    Raises
    ------
    InputError
        If a part is missing, ambiguous, or belongs to something else.
    """
    folder = Path(folder)
    headers = {path: read_dataset(path, header_only=True) for path in list_dicom_files(folder)}
    plans, structures, doses, images, unused = {}, {}, {}, {}, []
    by_modality = {"RTPLAN": plans, "RTSTRUCT": structures, "RTDOSE": doses, "CT": images}
    for path, header in headers.items():
        modality = optional_text(header, "Modality", path)
        if modality in by_modality:
            by_modality[modality][path] = header
        else:
            unused.append((path, f"modality {modality or 'not stated'}"))

    warnings: list[str] = []
    plan_file = _only_plan(plans, folder)
    structures_file = _structures_of(plan_file, plans[plan_file], structures, folder, warnings)
    unused += [(path, "another structure set") for path in structures if path != structures_file]
    dose_files = _doses_of(plan_file, plans[plan_file], doses, folder, unused)
    ct_files = _ct_of(structures_file, structures[structures_file], images, folder, unused)
    used = [plan_file, structures_file, *(dose.path for dose in dose_files), *ct_files]
    _check_patient_and_frame({path: headers[path] for path in used}, structures_file)
    warnings += _unstated(used, headers, plan_file, structures_file)
    case_file = _case_file(folder, warnings)
    return Case(
        ct_files=ct_files,
        structures_file=structures_file,
        plan_file=plan_file,
        doses=dose_files,
        case_file=case_file,
        unused=tuple(unused),
        warnings=tuple(warnings),
    )


def _case_file(folder: Path, warnings: list[str]) -> Path | None:
    """The case file, wherever in the export it lies; what could be meant for one is a warning."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() == ".toml" and path.is_file())
    found = [path for path in files if path.name.lower() == CASE_FILE]
    if len(found) > 1:
        names = " and ".join(str(path.relative_to(folder)) for path in found)
        raise InputError(folder, f"holds several case files: {names}", "leave one")
    if found:
        return found[0]
    if misspelt := [path for path in files if nearest(path.stem, [Path(CASE_FILE).stem])]:
        raise InputError(misspelt[0], "is not read", f"did you mean {CASE_FILE!r}? rename it")
    if files:
        names = ", ".join(str(path.relative_to(folder)) for path in files)
        warnings.append(f"{names}: not read; a file about the case must be called {CASE_FILE}")
    above = folder.resolve().parent / CASE_FILE
    if above.is_file():
        warnings.append(f"{CASE_FILE} in the folder above the export is not read; put it into the export")
    return None


def _only_plan(plans: dict[Path, Dataset], folder: Path) -> Path:
    if not plans:
        raise InputError(folder, "holds no RTPLAN", "export the plan too")
    if len(plans) > 1:
        names = ", ".join(
            f"{path.name} ({optional_text(plans[path], 'RTPlanLabel', path)})" for path in plans
        )
        raise InputError(folder, f"holds several plans: {names}", "leave the one to check")
    return next(iter(plans))


def _structures_of(
    plan_file: Path, plan: Dataset, structures: dict[Path, Dataset], folder: Path, warnings: list[str]
) -> Path:
    if not structures:
        raise InputError(folder, "holds no RTSTRUCT", "export the structure set of the plan")
    wanted = {
        require_text(item, "ReferencedSOPInstanceUID", plan_file)
        for item in items(plan, "ReferencedStructureSetSequence", plan_file)
    }
    if not wanted:
        if len(structures) > 1:
            raise InputError(plan_file, "names no structure set, and the folder holds several")
        warnings.append(f"{plan_file.name} names no structure set: the only one in the folder is taken")
        return next(iter(structures))
    found = [
        path for path, header in structures.items() if optional_text(header, "SOPInstanceUID", path) in wanted
    ]
    if not found:
        names = ", ".join(path.name for path in structures)
        raise InputError(
            plan_file,
            f"was planned on structure set {min(wanted)}, which {names} is not",
            "export the structure set of the plan",
        )
    if len(found) > 1:
        raise InputError(folder, f"holds the structure set twice: {found[0].name}, {found[1].name}")
    return found[0]


def _doses_of(
    plan_file: Path,
    plan: Dataset,
    doses: dict[Path, Dataset],
    folder: Path,
    unused: list[tuple[Path, str]],
) -> tuple[DoseFile, ...]:
    if not doses:
        return ()
    plan_uid = require_text(plan, "SOPInstanceUID", plan_file)
    matching, others = [], {}
    for path, header in doses.items():
        references = items(header, "ReferencedRTPlanSequence", path)
        uids = {require_text(item, "ReferencedSOPInstanceUID", path) for item in references}
        if plan_uid not in uids:
            others[path] = f"dose of plan {min(uids)}" if uids else "dose that names no plan"
            continue
        groups = [
            group for item in references for group in items(item, "ReferencedFractionGroupSequence", path)
        ]
        beams = tuple(
            int(require_text(beam, "ReferencedBeamNumber", path))
            for group in groups
            for beam in items(group, "ReferencedBeamSequence", path)
        )
        matching.append(DoseFile(path, require_text(header, "DoseSummationType", path), beams))
    if not matching:
        path, what = next(iter(others.items()))
        raise InputError(
            path, f"is a {what}, not of {plan_file.name} ({plan_uid})", "export the dose of this plan"
        )
    unused.extend(others.items())
    whole = [dose for dose in matching if dose.summation not in ("BEAM", "CONTROL_POINT")]
    planes = all((optional_float(doses[dose.path], "NumberOfFrames", dose.path) or 1) == 1 for dose in whole)
    if len(whole) > 1 and not planes:
        names = ", ".join(f"{dose.path.name} ({dose.summation})" for dose in whole)
        raise InputError(folder, f"holds several doses of the plan: {names}", "leave one")
    if whole:
        unused.extend(
            (dose.path, "dose of a beam, beside that of the plan") for dose in matching if dose not in whole
        )
        return tuple(whole)
    return tuple(matching)


def _ct_of(
    structures_file: Path,
    structures: Dataset,
    images: dict[Path, Dataset],
    folder: Path,
    unused: list[tuple[Path, str]],
) -> tuple[Path, ...]:
    if not images:
        raise InputError(folder, "holds no CT images", "export the planning CT")
    wanted = {
        require_text(series, "SeriesInstanceUID", structures_file)
        for frame in items(structures, "ReferencedFrameOfReferenceSequence", structures_file)
        for study in items(frame, "RTReferencedStudySequence", structures_file)
        for series in items(study, "RTReferencedSeriesSequence", structures_file)
    }
    by_series: dict[str, list[Path]] = {}
    for path, header in images.items():
        by_series.setdefault(require_text(header, "SeriesInstanceUID", path), []).append(path)
    found = [uid for uid in by_series if uid in wanted] if wanted else list(by_series)
    if not found:
        raise InputError(
            structures_file,
            f"was drawn on CT series {min(wanted)}, which is not in {folder}",
            "export the planning CT",
        )
    if len(found) > 1:
        raise InputError(
            folder, f"holds several CT series: {', '.join(sorted(found))}", "leave the planning CT only"
        )
    for uid, paths in by_series.items():
        if uid != found[0]:
            unused.extend((path, "another CT series") for path in paths)
    return tuple(by_series[found[0]])


def _check_patient_and_frame(headers: dict[Path, Dataset], reference: Path) -> None:
    """Refuse files of another patient or frame of reference than the structure set's."""
    for keyword, what in (("PatientID", "patient"), ("FrameOfReferenceUID", "frame of reference")):
        wanted = _frame(headers[reference], reference) if keyword != "PatientID" else None
        if wanted is None:
            wanted = optional_text(headers[reference], keyword, reference)
        for path, header in headers.items():
            value = optional_text(header, keyword, path)
            if value and wanted and path != reference and value != wanted:
                raise InputError(
                    path, f"has {what} {value}, {reference.name} has {wanted}", "export one case only"
                )


def _unstated(
    used: list[Path], headers: dict[Path, Dataset], plan_file: Path, structures_file: Path
) -> list[str]:
    """What the files do not state of the patient, and doses that were computed with other structures."""
    parts = [Part(path, optional_text(headers[path], "PatientID", path), "the same") for path in used]
    warnings = check_belonging(parts)
    wanted = optional_text(headers[structures_file], "SOPInstanceUID", structures_file)
    for path in used:
        for item in items(headers[path], "ReferencedStructureSetSequence", path):
            if path != plan_file and optional_text(item, "ReferencedSOPInstanceUID", path) not in (
                "",
                wanted,
            ):
                warnings.append(f"{path.name} was computed with another structure set than the plan's")
    return warnings


def _frame(structures: Dataset, path: Path) -> str | None:
    """Return the frame of reference of a structure set's images, where it lists one."""
    frames = items(structures, "ReferencedFrameOfReferenceSequence", path)
    return optional_text(frames[0], "FrameOfReferenceUID", path) if frames else None

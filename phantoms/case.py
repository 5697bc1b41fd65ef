"""A clinic's export folder, sorted: which CT, RTSTRUCT, RTPLAN and RTDOSE belong together, by UID."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from phantoms.belonging import Part, check_belonging
from phantoms.ct import is_localizer
from phantoms.dicom import (
    Dataset,
    items,
    list_dicom_files,
    optional_float,
    optional_text,
    read_dataset,
    require_int,
    require_text,
)
from phantoms.errors import InputError
from phantoms.files import distinct_names
from phantoms.fraction_groups import choose_group, read_fraction_groups
from phantoms.references import contoured_images, ct_images, frames
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
    groups : tuple of int
        Referenced Fraction Group Numbers.
    """

    path: Path
    summation: str
    beams: tuple[int, ...] = ()
    groups: tuple[int, ...] = ()


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


def find_case(folder: str | Path, fraction_group: int | None = None) -> Case:
    """Sort an export folder.

    The one RTPLAN decides: its structure set, the doses computed for it (for `fraction_group`, where it has
    several), the CT series the structures were drawn on. UIDs and frames of reference must agree throughout.

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
    dose_files = _doses_of(plan_file, plans[plan_file], doses, folder, fraction_group, unused)
    ct_files = _ct_of(structures_file, structures[structures_file], images, folder, unused, warnings)
    used = [plan_file, structures_file, *(dose.path for dose in dose_files), *ct_files]
    warnings += _check_patient({path: headers[path] for path in used}, structures_file)
    _check_frame({path: headers[path] for path in used}, structures_file, ct_files[0])
    warnings += _other_structures(doses, dose_files, structures[structures_file], structures_file)
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
            f"{name} ({optional_text(header, 'RTPlanLabel', path)})"
            for name, (path, header) in zip(distinct_names([*plans]), plans.items(), strict=True)
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
            names = ", ".join(distinct_names([*structures]))
            raise InputError(
                plan_file, f"names no structure set, and there are {names}", "leave that of the plan"
            )
        warnings.append(f"{plan_file.name} names no structure set: the only one in the folder is taken")
        return next(iter(structures))
    found = [
        path for path, header in structures.items() if optional_text(header, "SOPInstanceUID", path) in wanted
    ]
    if not found:
        names = ", ".join(distinct_names([*structures]))
        raise InputError(
            plan_file,
            f"was planned on structure set {min(wanted)}, which {names} is not",
            "export the structure set of the plan",
        )
    if len(found) > 1:
        names = ", ".join(distinct_names(found))
        raise InputError(folder, f"holds the structure set twice: {names}", "leave one")
    return found[0]


def _doses_of(
    plan_file: Path,
    plan: Dataset,
    doses: dict[Path, Dataset],
    folder: Path,
    fraction_group: int | None,
    unused: list[tuple[Path, str]],
) -> tuple[DoseFile, ...]:
    fraction_groups = read_fraction_groups(plan, plan_file)
    chosen = choose_group(fraction_groups, fraction_group, plan_file)
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
            require_int(beam, "ReferencedBeamNumber", path)
            for group in groups
            for beam in items(group, "ReferencedBeamSequence", path)
        )
        numbers = tuple(
            require_int(group, "ReferencedFractionGroupNumber", path)
            for group in groups
            if optional_text(group, "ReferencedFractionGroupNumber", path)
        )
        dose = DoseFile(path, require_text(header, "DoseSummationType", path), beams, numbers)
        elsewhere = (numbers and chosen.number not in numbers) or (beams and not set(beams) & set(chosen.mu))
        if len(fraction_groups) > 1 and elsewhere:
            others[path] = "dose of another fraction group"
            continue
        matching.append(dose)
    if not matching:
        path, what = next(iter(others.items()))
        raise InputError(
            path, f"is a {what}, not of {plan_file.name} ({plan_uid})", "export the dose of this plan"
        )
    unused.extend(others.items())
    whole = [dose for dose in matching if dose.summation not in ("BEAM", "CONTROL_POINT")]
    planes = all((optional_float(doses[dose.path], "NumberOfFrames", dose.path) or 1) == 1 for dose in whole)
    if len(whole) > 1 and not planes:
        names = ", ".join(
            f"{name} ({dose.summation})"
            for name, dose in zip(distinct_names([dose.path for dose in whole]), whole, strict=True)
        )
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
    warnings: list[str],
) -> tuple[Path, ...]:
    """The CT series among `images` that the structures were drawn on."""
    by_series: dict[str, list[Path]] = {}
    for path, header in images.items():
        by_series.setdefault(require_text(header, "SeriesInstanceUID", path), []).append(path)
    for uid, paths in [*by_series.items()]:
        if all(is_localizer(images[path], path) for path in paths):
            unused.extend((path, "localizer") for path in by_series.pop(uid))
    if not by_series:
        raise InputError(folder, "holds no CT images", "export the planning CT")
    listed = ct_images(structures, structures_file)
    found = [uid for uid in by_series if uid in listed] if listed else [*by_series]
    if not found:
        raise InputError(
            structures_file,
            f"was drawn on CT series {min(listed)}, which is not in {folder}",
            "export the planning CT",
        )
    if len(found) > 1:
        drawn_on = contoured_images(structures, structures_file)
        found = [
            uid
            for uid in found
            if any(optional_text(images[path], "SOPInstanceUID", path) in drawn_on for path in by_series[uid])
        ] or found
    if len(found) > 1:
        raise InputError(
            folder, f"holds several CT series: {', '.join(sorted(found))}", "leave the planning CT only"
        )
    if not listed:
        warnings.append(f"{structures_file.name} lists no CT series: the only one in the folder is taken")
    for uid, paths in by_series.items():
        if uid != found[0]:
            unused.extend((path, "another CT series") for path in paths)
    return tuple(by_series[found[0]])


def _check_patient(headers: dict[Path, Dataset], structures_file: Path) -> list[str]:
    """Refuse files of another patient than the structure set's; say which state none."""
    files = sorted(headers, key=lambda path: path != structures_file)
    # frames of reference have a rule of their own, as a structure set may list several
    parts = [Part(path, optional_text(headers[path], "PatientID", path), "the CT's") for path in files]
    return check_belonging(parts, remedy="export one case only")


def _check_frame(headers: dict[Path, Dataset], structures_file: Path, ct_file: Path) -> None:
    """Refuse files of another frame of reference than the CT's, which the structure set must refer to."""
    wanted = optional_text(headers[ct_file], "FrameOfReferenceUID", ct_file)
    known = frames(headers[structures_file], structures_file)
    if wanted and known and wanted not in known:
        raise InputError(
            ct_file,
            f"has frame of reference {wanted}, {structures_file.name} has {', '.join(sorted(known))}",
            "export the CT the structures were drawn on",
        )
    for path, header in headers.items():
        value = optional_text(header, "FrameOfReferenceUID", path)
        if value and wanted and path != structures_file and value != wanted:
            raise InputError(
                path,
                f"has frame of reference {value}, that of the CT is {wanted}",
                "export plan and dose on the planning CT",
            )


def _other_structures(
    headers: dict[Path, Dataset], doses: tuple[DoseFile, ...], structures: Dataset, structures_file: Path
) -> list[str]:
    """Say which doses were computed with other structures than the plan's."""
    wanted = optional_text(structures, "SOPInstanceUID", structures_file)
    return [
        f"{dose.path.name} was computed with another structure set than the plan's"
        for dose in doses
        for item in items(headers[dose.path], "ReferencedStructureSetSequence", dose.path)
        if optional_text(item, "ReferencedSOPInstanceUID", dose.path) not in ("", wanted)
    ]

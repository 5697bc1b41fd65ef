"""What is this file or folder?"""

from __future__ import annotations

import json
from collections import Counter
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from mc.machine.folder import find_machine
from mc.machine.machine import Machine
from phantoms.case import find_case
from phantoms.dicom import list_dicom_files, looks_like_dicom, optional_text, read_dataset
from phantoms.errors import InputError
from phantoms.files import is_hdf5
from phantoms.pixels import pixel_warnings, stated_rescale
from validation.plan_check.record import digest
from validation.rtdose.status import read_status
from validation.workflow import output
from validation.workflow.inspect_dicom import show_ct, show_dicom
from validation.workflow.inspect_machine import show_machine
from validation.workflow.inspect_measured import PICTURES, holds_scans, show_film, show_scans
from validation.workflow.inspect_toml import show_toml
from validation.workflow.inspection import Inspection, grid_facts

if TYPE_CHECKING:
    from mc.source.phase_space import PhaseSpace

KNOWN = "known are DICOM, IAEA phase space, dose.h5, scans of a water tank or of film, and TOML files"
MAX_DOSES = 10  # that are listed
OTHERS = {  # files of other programs that are not read: what they are, and what to do
    ".egsphsp": (
        "is a phase space in EGSnrc's own format, which is not read",
        "let BEAMnrc write it in the IAEA format",
    ),
    ".egsphant": (
        "is a phantom of DOSXYZnrc, which is not read",
        "hand over the CT it was made of, or describe it in a TOML file (docs/formats.md)",
    ),
    ".3ddose": ("is a dose of DOSXYZnrc, which is not read", "convert it to RTDOSE"),
}
ISOCENTRE_Z = 100.0  # plane in which the field of a phase space is stated [cm]


def inspect(path: str | PathLike) -> Inspection:
    """Find out what a file or folder is.

    Parameters
    ----------
    path : path
        A DICOM export or file, an IAEA phase space, a dose.h5, a result folder, scans of a water tank or of
        film, a TOML file of any kind, or the name of a machine.

    Returns
    -------
    Inspection
        Tables and warnings.

    Raises
    ------
    InputError
        If it does not exist, is of no known kind, or damaged.
    """
    path, found = Path(path), Inspection()
    if not path.exists() and not _is_phase_space(path):
        if len(path.parts) > 1 or path.suffix:
            raise InputError(path, "no such file or folder")
        show_machine(_named(path.name), found)
        return found
    if path.is_dir():
        if output.is_result_folder(path):
            _result(path, found)
        elif not any(map(looks_like_dicom, path.rglob("*"))) and holds_scans(path):
            show_scans(path, found)
        else:
            _export(path, found)
    elif looks_like_dicom(path):
        show_dicom(path, found)
    elif _is_phase_space(path):
        show_phase_space(path, found)
    elif is_hdf5(path):
        _dose(path, found)
    elif path.suffix == ".toml":
        show_toml(path, found)
    elif path.suffix.lower() in PICTURES:
        show_film(path, found)
    elif holds_scans(path):
        show_scans(path, found)
    else:
        raise InputError(path, *OTHERS.get(suffix_of(path), ("is of no known kind", KNOWN)))
    return found


def suffix_of(path: Path) -> str:
    """The suffix of a file in lower case, without the numbers that EGSnrc ends it with."""
    return path.suffix.lower().rstrip("0123456789")


def _is_phase_space(path: Path) -> bool:
    """Whether `path` is a header, a data file or their common stem."""
    suffix = path.suffix.lower()
    if suffix in (".iaeaheader", ".iaeaphsp"):
        return True
    if suffix in (".header", ".phsp"):
        return path.with_suffix(".header").is_file()
    beside = path.parent.glob("*") if path.parent.is_dir() else ()
    return not path.exists() and any(
        p.stem == path.name and p.suffix.lower() == ".iaeaheader" for p in beside
    )


def _export(folder: Path, found: Inspection) -> None:
    """A folder of DICOM files: a CT series alone, or what can be made of it as a case."""
    files = list_dicom_files(folder)
    headers = {path: read_dataset(path, header_only=True) for path in files}
    modalities = {path: optional_text(header, "Modality", path) or "?" for path, header in headers.items()}
    if set(modalities.values()) == {"CT"}:
        show_ct(files, f"{folder}: CT series", found)
        return
    series = Counter(
        (modalities[path], optional_text(header, "SeriesInstanceUID", path))
        for path, header in headers.items()
    )
    rows = [(modality, count, uid) for (modality, uid), count in sorted(series.items())]
    found.table(f"{folder}: DICOM export", ("modality", "files", "series"), rows, right=(1,))
    try:
        case = find_case(folder)
    except InputError as error:
        found.warn(f"`mcverify plan` would refuse it: {error}")
        return
    facts = [
        ("CT", f"{len(case.ct_files)} slices"),
        ("RTSTRUCT", case.structures_file.name),
        ("RTPLAN", case.plan_file.name),
        *(("RTDOSE", f"{dose.path.name} ({dose.summation})") for dose in case.doses[:MAX_DOSES]),
        *((("RTDOSE", f"and {more} more"),) if (more := len(case.doses) - MAX_DOSES) > 0 else ()),
        *(() if case.doses else (("RTDOSE", "none: `mcverify plan` would compute the dose alone"),)),
        ("case file", case.case_file.name if case.case_file else "none"),
        *(("not used", f"{path.name} ({why})") for path, why in case.unused),
    ]
    found.facts("Case", facts)
    images = [(path, headers[path]) for path in case.ct_files]
    for warning in (
        *case.warnings,
        *(text for dose in case.doses for text in read_status(headers[dose.path], dose.path)),
        *pixel_warnings(images, [stated_rescale(header, path) for path, header in images]),
    ):
        found.warn(warning)
    show_dicom(case.plan_file, found)


def _result(folder: Path, found: Inspection) -> None:
    """A result folder of `mcverify plan`."""
    if (folder / output.RESULT).exists():
        stated = json.loads((folder / output.RESULT).read_bytes())
        verdict = stated.get("verdict", {})
        facts = [("plan", stated.get("plan", {}).get("label"))]
        if "phantom" in stated:
            facts.append(("phantom", stated["phantom"]["title"]))
        else:
            facts = [
                ("created", stated.get("created")),
                *facts,
                ("profile", verdict.get("profile", {}).get("title")),
                ("verdict", verdict.get("status")),
                ("report", folder / output.REPORT),
            ]
        found.facts(f"{folder}: result of mcverify", facts)
        if stated.get("dose_sha256") and stated["dose_sha256"] != digest(folder / output.DOSE):
            found.warn(f"{output.RESULT} is not of the {output.DOSE} beside it: two runs wrote into {folder}")
    else:
        found.warn(f"{folder} holds a dose, but no verdict")
    _dose(folder / output.DOSE, found)


def _dose(path: Path, found: Inspection) -> None:
    from mc.dose import Dose

    dose = Dose.load(path)
    facts = [*grid_facts(dose.grid), *dose.facts()]
    found.facts(f"{path}: dose of mcverify", facts)


def show_phase_space(path: Path, found: Inspection) -> PhaseSpace:
    """An IAEA phase space, which is opened and checked for it."""
    from mc.source.iaea_header import KINDS
    from mc.source.phase_space import open_phase_space
    from mc.source.phase_space_summary import summarise

    space = open_phase_space(path)
    header, summary = space.header, summarise(space, ISOCENTRE_Z)
    low, high = (", ".join(f"{c:.3g}" for c in corner) for corner in (summary.lower, summary.upper))
    x1, x2, y1, y2 = summary.field_cm
    facts = [
        ("title", header.title),
        ("particles", f"{header.particles:,}, {header.record_length} bytes each"),
        *((f"{kind}s", f"{count:,}") for kind, count in zip(KINDS, header.counts, strict=True)),
        ("original histories", f"{header.orig_histories:,}, {summary.recorded_histories:,} of them recorded"),
        *((f"mean energy, {kind}", f"{energy:.4g} MeV") for kind, energy in summary.mean_energy.items()),
        ("highest energy", f"{summary.max_energy:.4g} MeV"),
        ("bounding box", f"({low}) to ({high}) cm"),
        ("weights", "{:.4g} to {:.4g}".format(*summary.weight_range)),
        (
            f"field at z = {summary.plane_z:g} cm",
            f"x {x1:.1f} to {x2:.1f}, y {y1:.1f} to {y2:.1f} cm (half the photon fluence)",
        ),
        ("SHA-256", space.sha256),
    ]
    found.facts(f"{space.header_path}: IAEA phase space", facts)
    for warning in space.warnings:
        found.warn(warning)
    return space


def _named(name: str) -> Machine:
    """The machine of a name that is no file's."""
    try:
        return find_machine(name)
    except InputError as error:
        if error.source != f"machine {name!r}":
            raise
        raise InputError(name, f"no such file or folder, and {error.problem}", error.remedy) from None

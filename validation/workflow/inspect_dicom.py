"""What a DICOM file is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from mc.plan.plan import Beam, Plan
from phantoms.dicom import optional_text, read_dataset
from phantoms.errors import InputError
from phantoms.identity import read_identity
from validation.workflow.inspection import Inspection, grid_facts


def show_dicom(path: Path, found: Inspection) -> None:
    """Show one DICOM file by its modality."""
    header = read_dataset(path)
    modality = optional_text(header, "Modality", path)
    show = {"RTPLAN": _plan, "RTSTRUCT": _structures, "RTDOSE": _dose}.get(modality)
    try:
        if show is not None:
            show(path, found)
            return
        if modality == "CT":
            series = optional_text(header, "SeriesInstanceUID", path)
            show_ct(path.parent, f"{path.parent}: CT series of {path.name}", found, series)
            return
    except InputError as error:
        _outline(path, modality, header, found)
        found.warn(f"`mcverify plan` would refuse it: {error}")
        return
    _outline(path, modality, header, found)


def show_ct(
    source: Path | Sequence[Path], title: str, found: Inspection, series_uid: str | None = None
) -> None:
    """Show a CT series."""
    from phantoms.ct import read_ct

    ct = read_ct(source, series_uid)
    facts = [
        *grid_facts(ct.grid),
        ("HU", f"{ct.hu.min():.0f} to {ct.hu.max():.0f}"),
        ("patient position", ct.patient_position or "not stated"),
        ("series", ct.series_uid),
        ("frame of reference", ct.frame_of_reference_uid),
    ]
    found.facts(title, facts)
    for warning in ct.warnings:
        found.warn(warning)


def _outline(path: Path, modality: str, header, found: Inspection) -> None:
    """What any DICOM file says of itself."""
    facts = [
        ("modality", modality or "not stated"),
        ("object", header.SOPClassUID.name),
        *(
            (name, read_identity([path]).hidden(optional_text(header, keyword, path)))
            for name, keyword in (
                ("description", "SeriesDescription"),
                ("manufacturer", "Manufacturer"),
                ("series", "SeriesInstanceUID"),
                ("frame of reference", "FrameOfReferenceUID"),
            )
        ),
    ]
    found.facts(f"{path}: DICOM", facts)


def _plan(path: Path, found: Inspection) -> None:
    """A plan, each of its fraction groups."""
    from mc.plan.rtplan import list_fraction_groups, read_plan

    groups = list_fraction_groups(path)
    if len(groups) == 1:
        _beams(path, read_plan(path), found)
        return
    rows = [(group.number, group.fractions, ", ".join(map(str, group.mu))) for group in groups]
    found.table(f"{path}: {len(groups)} fraction groups", ("no.", "fractions", "beams"), rows, right=(0, 1))
    warnings: list[str] = []
    for group in groups:
        plan = read_plan(path, group.number)
        _beams(path, replace(plan, warnings=()), found)
        warnings += [text for text in plan.warnings if not text.startswith(f"fraction group {group} alone")]
    for warning in dict.fromkeys(warnings):
        found.warn(warning)
    found.warn("`mcverify plan` checks one fraction group: choose it with --fraction-group")


def _beams(path: Path, plan: Plan, found: Inspection) -> None:
    from mc.plan.aperture import angle_range, jaw_ranges, mean_opening, technique

    header = read_dataset(path, header_only=True)
    prescribed = "; ".join(f"{p.dose:g} Gy {p.description}".strip() for p in plan.prescriptions)
    facts = [
        ("planning system", plan.tps or "not stated"),
        ("machine", plan.machine),
        ("approval", optional_text(header, "ApprovalStatus", path) or "not stated"),
        ("patient position", plan.patient_position),
        ("fractions", plan.fractions),
        ("prescription", prescribed or "not stated"),
        ("UID", plan.uid),
    ]
    group = "" if plan.fraction_group is None else f", fraction group {plan.fraction_group}"
    found.facts(f"{path}: RTPLAN {plan.label}{group}", facts)
    columns = ("no.", "beam", "energy", "MU", "technique", "points", "gantry", "coll.", "couch")
    rows = [
        (
            beam.number,
            beam.name,
            f"{beam.energy:g} MV {beam.fluence_mode}",
            f"{beam.mu:g}",
            technique(beam),
            len(beam.control_points),
            angle_range(beam, "gantry"),
            angle_range(beam, "collimator"),
            angle_range(beam, "couch"),
        )
        for beam in plan.beams
    ]
    title = "Beams (MU of one fraction, angles IEC 61217)"
    found.table(title, columns, rows, right=(0, 3, 5, 6, 7, 8))
    columns = ("no.", "jaws X, Y [cm]", "leaves", "mean open area [cm2]", "isocentre [mm]")
    rows = [
        (
            beam.number,
            jaw_ranges(beam),
            _leaves(beam),
            f"{mean_opening(beam):.1f}",
            ", ".join(f"{10 * c:.1f}" for c in beam.isocentre),
        )
        for beam in plan.beams
    ]
    found.table("Apertures (over the monitor units)", columns, rows, right=(0, 3))
    for warning in plan.warnings:
        found.warn(warning)


def _leaves(beam: Beam) -> str:
    """Leaf pairs of a beam and their widths."""
    kinds = []
    for kind, borders in beam.leaf_boundaries.items():
        widths = sorted({round(10 * (b - a), 2) for a, b in pairwise(borders)})
        kinds.append(f"{kind}, {len(borders) - 1} pairs of {' and '.join(f'{w:g}' for w in widths)} mm")
    return "; ".join(kinds) or "none"


def _structures(path: Path, found: Inspection) -> None:
    from phantoms.solids import solid_volume
    from phantoms.structures import read_structures

    structures = read_structures(path)
    rows = []
    for roi in structures.rois:
        size = "" if roi.is_empty or roi.problem else f"{solid_volume(roi):.2f}"
        rows.append((roi.number, roi.name, roi.type, size, len(roi.contours), roi.problem))
    columns = ("no.", "structure", "type", "cm3", "contours", "remark")
    found.table(f"{path}: RTSTRUCT {structures.label}", columns, rows, right=(0, 3, 4))
    for warning in structures.warnings:
        found.warn(warning)


def _dose(path: Path, found: Inspection) -> None:
    from validation.rtdose import read_rtdose, refuse_implausible

    dose = read_rtdose(path)
    if not dose.is_plane:
        refuse_implausible(path, dose.dose)
    facts = [
        ("dose of", dose.summation + (f", beam {dose.beam}" if dose.beam is not None else "")),
        *grid_facts(dose.grid),
        ("maximum", f"{dose.dose.max():.4g} Gy"),
        ("smallest step", f"{dose.scaling:.3g} Gy"),
        ("plan", dose.plan_uid or "not stated"),
        ("frame of reference", dose.frame_of_reference_uid),
    ]
    found.facts(f"{path}: RTDOSE", facts)
    for warning in dose.status:
        found.warn(warning)

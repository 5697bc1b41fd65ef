"""RTPLAN -> beams: geometry, energy and monitor units of photon beams, static or moving.

What this version cannot compute is refused by name: other particles, and what modifies a beam beside jaws and
leaves. Control points are read in `mc.plan.control_points`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mc.plan.control_points import AGAIN, OTHERWISE, read_control_points, read_leaf_boundaries
from mc.plan.plan import (
    TABLE_TO_PATIENT,
    Beam,
    ControlPoint,
    Plan,
    Prescription,
    beam_to_patient,
)
from phantoms.dicom import (
    MM_PER_CM,
    Dataset,
    items,
    optional,
    optional_float,
    optional_text,
    read_dataset,
    require_float,
    require_int,
    require_items,
    require_text,
)
from phantoms.errors import InputError
from phantoms.fraction_groups import FractionGroup, choose_group, read_fraction_groups
from phantoms.plausible import MONITOR_UNITS, PRESCRIPTION

__all__ = [
    "Beam",
    "ControlPoint",
    "Plan",
    "Prescription",
    "beam_to_patient",
    "list_fraction_groups",
    "read_plan",
]

MODIFIERS = {
    "NumberOfWedges": "wedges",
    "NumberOfCompensators": "compensators",
    "NumberOfBlocks": "blocks",
    "NumberOfBoli": "bolus",
}
MODIFIER_SEQUENCES = {
    "GeneralAccessorySequence": "an accessory",
    "WedgeSequence": "wedges",
    "BlockSequence": "blocks",
    "CompensatorSequence": "compensators",
    "ReferencedBolusSequence": "bolus",
}
NO_TREATMENT = ("VERIFICATION", "MACHINE_QA", "RESEARCH", "SERVICE")  # Plan Intents


def read_plan(path: str | Path, fraction_group: int | None = None) -> Plan:
    """Read an RTPLAN; what cannot be computed is refused by name.

    Parameters
    ----------
    path : path
    fraction_group : int, optional
        Number of the fraction group to read, where the plan has several.

    Raises
    ------
    InputError
        If it is no plan of photon beams, damaged, or contradicts itself.
    """
    path = Path(path)
    dataset = _load(path)
    groups = read_fraction_groups(dataset, path)
    group = choose_group(groups, fraction_group, path)
    warnings = _status(dataset, path)
    if len(groups) > 1:
        others = "; ".join(str(other) for other in groups if other is not group)
        warnings.append(
            f"fraction group {group} alone is checked, of {len(groups)}; the plan also has {others}"
        )
    if group.brachytherapy:
        raise InputError(path, "contains brachytherapy", "check the plan of the external beams alone")
    if group.fractions is None:
        raise InputError(path, "Number of Fractions Planned (300A,0078) is missing", AGAIN)
    beams, setups = _read_beams(dataset, groups, group, path, warnings)
    machines = sorted({beam.machine for beam in beams})
    if len(machines) > 1:
        raise InputError(path, f"uses several machines: {', '.join(machines)}", "split the plan")
    references = items(dataset, "ReferencedStructureSetSequence", path)
    maker = ("Manufacturer", "ManufacturerModelName", "SoftwareVersions")
    return Plan(
        label=optional_text(dataset, "RTPlanLabel", path),
        uid=require_text(dataset, "SOPInstanceUID", path),
        patient_id=optional_text(dataset, "PatientID", path),
        tps=" ".join(filter(None, (optional_text(dataset, keyword, path) for keyword in maker))),
        frame_of_reference_uid=optional_text(dataset, "FrameOfReferenceUID", path),
        structure_set_uid=require_text(references[0], "ReferencedSOPInstanceUID", path) if references else "",
        patient_position=_patient_position(dataset, setups, path),
        fractions=group.fractions,
        prescriptions=_read_prescriptions(dataset, group if len(groups) > 1 else None, path),
        machine=machines[0],
        beams=tuple(beams),
        fraction_group=group.number if len(groups) > 1 else None,
        warnings=tuple(warnings),
    )


def _status(dataset: Dataset, path: Path) -> list[str]:
    """Warnings of a plan that is not meant for treatment (DICOM PS3.3 C.8.8.16, C.8.8.9)."""
    found = []
    if optional_text(dataset, "ApprovalStatus", path) == "REJECTED":
        found.append(f"{path.name}: the plan is REJECTED (300E,0002)")
    intent = optional_text(dataset, "PlanIntent", path)
    if intent in NO_TREATMENT:
        found.append(f"{path.name}: the plan's intent is {intent} (300A,000A), not treatment")
    return found


def list_fraction_groups(path: str | Path) -> tuple[FractionGroup, ...]:
    """The fraction groups of an RTPLAN, from which `read_plan` takes one."""
    path = Path(path)
    return read_fraction_groups(_load(path), path)


def _load(path: Path) -> Dataset:
    """Read the file and see that it is a plan of a patient."""
    dataset = read_dataset(path)
    modality = optional_text(dataset, "Modality", path)
    if modality != "RTPLAN" or "Ion Plan" in dataset.SOPClassUID.name:
        raise InputError(path, f"is not a photon RTPLAN ({dataset.SOPClassUID.name})", OTHERWISE)
    if optional_text(dataset, "RTPlanGeometry", path) not in ("", "PATIENT"):
        raise InputError(
            path, "the plan has no patient geometry (RT Plan Geometry is not PATIENT)", OTHERWISE
        )
    return dataset


def _read_beams(
    dataset: Dataset,
    groups: Sequence[FractionGroup],
    group: FractionGroup,
    path: Path,
    warnings: list[str],
) -> tuple[list[Beam], set[int | None]]:
    """The treatment beams of a fraction group, and the numbers of their patient setups."""
    beams, setups = [], set()
    sequence = require_items(dataset, "BeamSequence", path)
    numbers = [require_int(item, "BeamNumber", path) for item in sequence]
    if len(set(numbers)) < len(numbers):
        twice = min(number for number in numbers if numbers.count(number) > 1)
        raise InputError(path, f"has {numbers.count(twice)} beams of number {twice}", AGAIN)
    if lost := set(group.mu) - set(numbers):
        raise InputError(
            path,
            f"the fraction group refers to beam {min(lost)}, which the plan does not have",
            AGAIN,
        )
    for item, number in zip(sequence, numbers, strict=True):
        name = optional_text(item, "BeamName", path) or str(number)
        where = f"{path}, beam {number} ({name})"
        delivery = optional_text(item, "TreatmentDeliveryType", path) or "TREATMENT"
        if delivery == "SETUP":
            if group.mu.get(number, 0.0) > 0:
                raise InputError(
                    where,
                    f"is of delivery type SETUP, but the fraction group gives it {group.mu[number]:g} MU",
                    "state in the planning system whether it treats",
                )
            continue
        if number not in group.mu:
            if not any(number in other.mu for other in groups):
                warnings.append(f"{where}: is not part of the fraction group and is left out")
            continue
        if delivery != "TREATMENT":
            raise InputError(where, f"is of delivery type {delivery}", "remove it from the plan to check")
        beams.append(_read_beam(item, number, name, group.mu[number], where, warnings))
        stated = optional(item, "ReferencedPatientSetupNumber", where)
        setups.add(None if stated is None else require_int(item, "ReferencedPatientSetupNumber", where))
    if not beams:
        raise InputError(path, "has no treatment beams", "export the plan that is treated")
    return beams, setups


def _read_prescriptions(
    dataset: Dataset, group: FractionGroup | None, path: Path
) -> tuple[Prescription, ...]:
    """Target doses of the plan; of one fraction group among several, those alone that it names as its own."""
    prescriptions = []
    for item in items(dataset, "DoseReferenceSequence", path):
        if group is not None:
            number = optional_float(item, "DoseReferenceNumber", path)
            if number not in group.dose_references:
                continue
        dose = optional_float(item, "TargetPrescriptionDose", path)
        if dose is not None and optional_text(item, "DoseReferenceType", path) == "TARGET":
            PRESCRIPTION.check(dose, path, "Target Prescription Dose (300A,0026)")
            roi = optional_float(item, "ReferencedROINumber", path)
            description = optional_text(item, "DoseReferenceDescription", path)
            prescriptions.append(Prescription(dose, None if roi is None else int(roi), description))
    return tuple(prescriptions)


def _patient_position(dataset: Dataset, used: set[int | None], path: Path) -> str:
    """The one position of the patient in the setups that beams use; None among them stands for all."""
    positions: dict[int, set[str]] = {}
    for item in items(dataset, "PatientSetupSequence", path):
        number = require_int(item, "PatientSetupNumber", path)
        positions.setdefault(number, set()).add(require_text(item, "PatientPosition", path))
    if not positions:
        raise InputError(
            path, "does not state the patient position (Patient Setup Sequence)", "export it with the setup"
        )
    if lost := used - {None} - set(positions):
        raise InputError(
            path,
            f"a beam refers to patient setup {min(lost)}, which the plan does not have",
            AGAIN,
        )
    found = set().union(*(positions[n] for n in (positions if None in used else used)))
    if len(found) > 1:
        raise InputError(
            path,
            f"treats the patient in several positions: {', '.join(sorted(found))}",
            "split the plan, one position each",
        )
    position = found.pop()
    if position not in TABLE_TO_PATIENT:
        known = ", ".join(sorted(TABLE_TO_PATIENT))
        raise InputError(path, f"patient position {position} is not handled", f"handled are {known}")
    return position


def _read_beam(item: Dataset, number: int, name: str, mu: float, where: str, warnings: list[str]) -> Beam:
    radiation = require_text(item, "RadiationType", where)
    if radiation != "PHOTON":
        raise InputError(where, f"is a beam of {radiation}, only photons are computed", OTHERWISE)
    if not np.isfinite(mu):
        raise InputError(where, "has no monitor units (Beam Meterset (300A,0086) is missing)", AGAIN)
    if mu <= 0:
        raise InputError(where, f"has {mu:g} monitor units", AGAIN)
    MONITOR_UNITS.check(mu, where, "Beam Meterset (300A,0086)")
    unit = optional_text(item, "PrimaryDosimeterUnit", where)
    if unit not in ("", "MU"):
        raise InputError(where, f"is dosed in {unit}, not in MU", OTHERWISE)
    _refuse_modifiers(item, where)
    cone = _cone(item, where)
    sad = require_float(item, "SourceAxisDistance", where) / MM_PER_CM
    if not sad > 0:
        raise InputError(where, f"Source-Axis Distance (300A,00B4) is {sad:g} cm", AGAIN)
    return Beam(
        number=number,
        name=name,
        machine=require_text(item, "TreatmentMachineName", where),
        energy=_energy(item, where),
        fluence_mode=_fluence_mode(item, where, warnings),
        mu=mu,
        sad=sad,
        control_points=read_control_points(item, where, warnings, cone is not None),
        leaf_boundaries=read_leaf_boundaries(item, where),
        table_top=_table_top(item, where),
        cone=cone,
        ssd=_source_surface_distance(item, where),
    )


def _source_surface_distance(item: Dataset, where: str) -> float | None:
    """Source to Surface Distance of the first control point [cm]; None where it states none."""
    distance = optional_float(item.ControlPointSequence[0], "SourceToSurfaceDistance", where)
    return distance / MM_PER_CM if distance else None


def _refuse_modifiers(item: Dataset, where: str) -> None:
    for keyword, what in MODIFIERS.items():
        if optional_float(item, keyword, where):
            raise InputError(where, f"has {what}, which this version does not compute", OTHERWISE)
    for keyword, what in MODIFIER_SEQUENCES.items():
        if items(item, keyword, where):
            raise InputError(where, f"has {what}, which this version does not compute", OTHERWISE)


def _cone(item: Dataset, where: str) -> float | None:
    """Diameter of the stereotactic cone in the isocentre plane [cm]; other applicators are refused."""
    applicators = items(item, "ApplicatorSequence", where)
    if not applicators:
        return None
    identifier = optional_text(applicators[0], "ApplicatorID", where)
    kind = optional_text(applicators[0], "ApplicatorType", where)
    if len(applicators) > 1 or kind != "STEREOTACTIC":
        raise InputError(
            where, f"has an applicator {identifier} {kind}, which this version does not compute", OTHERWISE
        )
    geometry = items(applicators[0], "ApplicatorGeometrySequence", where)
    shape = optional_text(geometry[0], "ApplicatorApertureShape", where) if geometry else ""
    if shape != "SYM_CIRCULAR":
        raise InputError(
            where,
            f"has a stereotactic applicator {identifier} that is not said to be round",
            "state it in the Applicator Geometry Sequence (300A,0431): SYM_CIRCULAR, and its opening",
        )
    opening = require_float(geometry[0], "ApplicatorOpening", where) / MM_PER_CM
    if not opening > 0:
        raise InputError(where, f"Applicator Opening (300A,0433) is {10 * opening:g} mm", AGAIN)
    return opening


def _energy(item: Dataset, where: str) -> float:
    points = require_items(item, "ControlPointSequence", where)
    stated = [optional_float(point, "NominalBeamEnergy", where) for point in points]
    energies = {energy for energy in stated if energy is not None}
    if not energies:
        raise InputError(where, "Nominal Beam Energy (300A,0114) is missing", AGAIN)
    if len(energies) > 1 or min(energies) <= 0:
        raise InputError(where, f"has the nominal energies {sorted(energies)} MV, not one above 0", AGAIN)
    return energies.pop()


def _table_top(item: Dataset, where: str) -> tuple[float, float] | None:
    """Vertical and lateral position of the table top [cm]; None where the height is not stated."""
    first = require_items(item, "ControlPointSequence", where)[0]
    vertical = optional_float(first, "TableTopVerticalPosition", where)
    lateral = optional_float(first, "TableTopLateralPosition", where)
    return None if vertical is None else (vertical / MM_PER_CM, (lateral or 0.0) / MM_PER_CM)


def _fluence_mode(item: Dataset, where: str, warnings: list[str]) -> str:
    """Return STANDARD or FFF, from the Primary Fluence Mode Sequence (3002,0050)."""
    modes = items(item, "PrimaryFluenceModeSequence", where)
    if not modes:
        warnings.append(f"{where}: does not state its fluence mode, taken as STANDARD (flattened)")
        return "STANDARD"
    mode = require_text(modes[0], "FluenceMode", where)
    if mode == "STANDARD":
        return mode
    identifier = optional_text(modes[0], "FluenceModeID", where)
    if mode == "NON_STANDARD" and identifier.upper() == "FFF":
        return "FFF"
    raise InputError(where, f"fluence mode {mode} {identifier} is not known", "known are STANDARD and FFF")

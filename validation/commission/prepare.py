"""What a commissioning will compute, and what it must assume: stated, or refused, before any computation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mc.machine.machine import Machine
from phantoms.errors import InputError
from validation.commission.criteria import Criteria
from validation.commission.fields import Field, sort_by_field
from validation.commission.judge import build_up_of
from validation.scans import PDD, ScanSet
from validation.scans.mcc import NO_MEDIUM

WIDE_DETECTOR = 0.15  # radius above which a detector blurs a penumbra noticeably [cm]


@dataclass(frozen=True, eq=False)
class Prepared:
    """Measured scans, ready to be computed.

    Parameters
    ----------
    fields : tuple of Field
        In the order in which they are computed.
    assumptions : tuple of str
        What no file states, and makes a comparison doubtful without making it wrong.
    """

    fields: tuple[Field, ...]
    assumptions: tuple[str, ...]


def prepare(machine: Machine, measured: ScanSet, criteria: Criteria) -> Prepared:
    """Sort scans by their fields, and list what must be assumed.

    Raises
    ------
    InputError
        If scans, machine and criteria do not go together.
    """
    if not measured.scans:
        source = measured.output_factors[0].file if measured.output_factors else "scans"
        raise InputError(
            source, "holds output factors and no scan", "add a depth dose of each beam beside it"
        )
    fields, warnings = sort_by_field(machine, measured)
    unstated = [f"{scan.file.name}: {NO_MEDIUM}" for scan in measured.scans if NO_MEDIUM in scan.notes]
    assumed = [*measured.warnings, *unstated, *warnings, *_build_up(fields, criteria)]
    for field in fields:
        assumed += _detectors(field)
    return Prepared(fields, tuple(dict.fromkeys(assumed)))


def _build_up(fields: Sequence[Field], criteria: Criteria) -> list[str]:
    """Fields that are judged from the depth of maximum of another one on."""
    scans, assumed = [scan for field in fields for scan in field.scans], []
    for field in fields:
        depth = build_up_of(field, scans, criteria)
        own = any(scan.kind == PDD for scan in field.scans)
        if criteria.build_up_cm is None and field.scans and not own:
            assumed.append(
                f"{field.label}: no depth dose of its own; judged from {depth:.2g} cm on, the depth of "
                "maximum of another field"
            )
    return assumed


def _detectors(field: Field) -> list[str]:
    """Detectors that blur penumbras, or of which that is not known."""
    across = [scan for scan in field.scans if scan.depth_cm is not None]
    wide = sorted(
        {
            f"{scan.detector} (radius {10 * radius:g} mm)"
            for scan in across
            if (radius := scan.detector_radius_cm or 0.0) > WIDE_DETECTOR
        }
    )
    if wide:
        return [
            f"{field.label}: profiles measured with {', '.join(wide)}, whose blurring of the penumbra is "
            "not in the computed curves"
        ]
    if any(scan.detector_radius_cm is None for scan in across):
        return [f"{field.label}: size of the detector of its profiles not stated; taken as a point"]
    return []

"""Who and what was checked, in the few lines that whoever signs compares with the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mc.plan.aperture import technique

if TYPE_CHECKING:
    from validation.plan_check.comparison import Comparison

NOT_STATED = "not stated"
LONGEST = 60  # characters of a comment


@dataclass(frozen=True)
class Fact:
    """A fact; its value says "not stated" where the export or the dose does not say."""

    label: str
    value: str


def plan_facts(comparison: Comparison) -> tuple[Fact, ...]:
    """Patient, plan, prescription, beams, what the doses are, CT."""
    plan, stated, provenance = comparison.plan, comparison.stated, comparison.dose.provenance
    who = f"{comparison.name}, " * bool(comparison.name) + f"pseudonym {comparison.patient}"
    grid = " x ".join(f"{10 * d:.1f}" for d in comparison.planned_dose.grid.spacing[::-1])
    voxel = " x ".join(f"{d:.1f}" for d in comparison.mc_voxel_mm)
    mu = sum(beam.mu for beam in plan.beams)
    pairs = [
        ("Patient", who),
        ("Plan", f"{plan.label or NOT_STATED}, UID {plan.uid}"),
        ("Approval", stated.approval or NOT_STATED),
        ("Prescription", _prescription(comparison)),
        ("Planned dose is", stated.quantity or f"to medium or to water: {NOT_STATED}"),
        ("Monte Carlo dose is", comparison.quantity),
        ("Beams", _beams(comparison)),
        ("Monitor units", f"{mu:.1f} MU a fraction, {mu * plan.fractions:.1f} MU in {plan.fractions}"),
        ("Machine", f"{plan.machine}, file SHA-256 {str(provenance.get('machine_sha256', NOT_STATED))[:12]}"),
        ("MU definition", _monitor_unit(comparison.calibration)),
        ("Planning system", plan.tps or stated.dose_system or NOT_STATED),
        ("Its algorithm", stated.algorithm or _comment(stated.comment) or NOT_STATED),
        ("Voxels (x, y, z)", f"plan {grid}, Monte Carlo {voxel} mm"),
        ("CT curve", str(comparison.phantom.audit.get("calibration", {}).get("name", NOT_STATED))),
        ("Overrides", _overrides(comparison.phantom.audit)),
        ("Limits", f"{comparison.profile.name}: {comparison.profile.title}"),
        ("Made by", f"mcverify {provenance.get('mcverify', NOT_STATED)}, {comparison.created[:16]}"),
    ]
    return tuple(Fact(label, value) for label, value in pairs)


def _prescription(comparison: Comparison) -> str:
    """Total, per fraction, to what."""
    plan = comparison.plan
    if not plan.prescriptions:
        return f"{NOT_STATED}; {plan.fractions} fractions"
    texts = []
    for prescription in plan.prescriptions:
        part = prescription.dose / plan.fractions
        to = f" to {prescription.description}" if prescription.description else ""
        texts.append(f"{prescription.dose:.2f} Gy{to} = {plan.fractions} x {part:.2f} Gy")
    return "; ".join(texts)


def _beams(comparison: Comparison) -> str:
    """Their number by technique and energy."""
    counts: dict[str, int] = {}
    for beam in comparison.plan.beams:
        name = f"{technique(beam)}, {beam.energy:g} MV{' FFF' * (beam.fluence_mode == 'FFF')}"
        counts[name] = counts.get(name, 0) + 1
    return "; ".join(f"{count} {name}" for name, count in counts.items())


def _monitor_unit(calibration: Mapping[str, Mapping[str, Any]]) -> str:
    """The reference condition that defines an MU, by beam quality."""
    stated = {label: record["reference"] for label, record in calibration.items() if "reference" in record}
    texts = {label: _condition(reference) for label, reference in stated.items()}
    if not texts:
        return NOT_STATED
    if len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    return "; ".join(f"{label}: {text}" for label, text in texts.items())


def _condition(reference: Mapping[str, Any]) -> str:
    if reference.get("electrons_per_mu"):
        return f"1 MU = {reference['electrons_per_mu']:.4g} electrons on the target"
    x, y = reference["field_cm"]
    field = f"{x:g} x {y:g} cm"
    if reference.get("cone_cm"):
        field = f"a cone of {10 * reference['cone_cm']:g} mm"
    return (
        f"1 MU = {100 * reference['dose_per_mu_gy']:.4g} cGy in {reference['medium']}, SSD "
        f"{reference['ssd_cm']:g} cm, {reference['depth_cm']:g} cm deep, {field}"
    )


def _comment(text: str) -> str:
    """A Dose Comment, where the algorithm is often named, as what it is."""
    if not text:
        return ""
    shown = text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."
    return f'{NOT_STATED}; Dose Comment: "{shown}"'


def _overrides(audit: Mapping[str, Any]) -> str:
    """Structures whose material was given, and the couch."""
    given = [f"{o['roi']}: {o['material']}, {o['density']:.2f} g/cm3" for o in audit.get("overrides", [])]
    supports = audit.get("supports")
    couch = f"couch: {', '.join(supports)}" if supports else "couch" if "couch" in audit else "no couch"
    return f"{'; '.join(given) or 'none'}; {couch}"

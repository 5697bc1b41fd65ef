"""Facts of the report as text: plan, Monte Carlo quality, calibration, CT and overrides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from validation.plan_check.comparison import Comparison
from validation.plan_check.plan_facts import NOT_STATED
from validation.plan_check.verdict import Structure
from validation.report.content import Facts, Pair, Table, table
from validation.report.text import dose, duration, number, percent

# entries of `mc.run.report.RunReport` that are shown, under which name, and how
RUN = (
    ("histories", "Original histories", number),
    ("recorded_histories", "Histories recorded in the phase space and transported", number),
    ("particles", "Phase-space particles transported", number),
    ("phase_space_reuse", "Phase-space reuse (passes over the file)", number),
    ("transport_uncertainty", "Transport sigma (rms above half the maximum)", percent),
    ("latent_uncertainty", "Latent sigma (phase space, rms above half the maximum)", percent),
    ("transport_uncertainty_in_water", "Transport sigma, dose to water", percent),
    ("latent_uncertainty_in_water", "Latent sigma, dose to water", percent),
    ("energy_balance", "Energy balance (deposited + escaped) / emitted", lambda value: f"{value:.8f}"),
    ("missed_energy_share", "Source energy that misses the phantom", percent),
    ("lost_particles", "Lost particles", number),
    ("stack_overflows", "Stack overflows", number),
    ("stopped_by", "Stopped by", str),
    ("wall_seconds", "Wall time", duration),
    ("cpu_seconds", "CPU time", duration),
    ("threads", "Threads per rank", number),
    ("ranks", "MPI ranks", number),
    ("seed", "Seed", str),
)
PROVENANCE = (
    ("git", "Source commit"),
    ("sources_sha256", "Physics sources, SHA-256"),
    ("python", "Python"),
    ("numba", "numba"),
    ("numpy", "numpy"),
    ("processor", "Processor"),
    ("created", "Dose computed (UTC)"),
)
PHYSICS = (
    ("electron_cut", "Electron cut-off, kinetic [MeV]"),
    ("photon_cut", "Photon cut-off [MeV]"),
    ("range_fraction", "Longest electron step / residual range"),
    ("longest_step", "Longest electron step [g/cm2]"),
    ("k1_max", "Largest scattering strength of a step"),
)


def header(comparison: Comparison) -> list[Pair]:
    """What identifies plan, doses and machine beyond the first page."""
    plan, stated, provenance = comparison.plan, comparison.stated, comparison.dose.provenance
    pairs = [
        ("Patient position", plan.patient_position),
        ("Plan UID", plan.uid),
        ("Plan intent, date", f"{stated.intent or NOT_STATED}, {stated.date or NOT_STATED}"),
        ("Dose exported by", stated.dose_system or NOT_STATED),
        ("Its heterogeneity correction", stated.heterogeneity or NOT_STATED),
        ("Its comment", stated.comment or NOT_STATED),
        ("Dose maximum", f"plan {dose(float(comparison.planned_dose.dose.max()))} Gy, Monte Carlo "
                         f"{dose(float(comparison.dose.mean.max()))} Gy"),
        ("Machine file, SHA-256", str(provenance.get("machine_sha256", NOT_STATED))),
    ]  # fmt: skip
    return [Pair(label, value) for label, value in pairs]


def run(comparison: Comparison) -> list[Pair]:
    """How the Monte Carlo dose came about."""
    report, provenance = comparison.report, comparison.dose.provenance
    given = report.to_dict()
    pairs = [Pair(label, text(given[key])) for key, label, text in RUN if key in given]
    target = target_sigma(comparison)
    if target is not None:
        pairs.append(Pair("Transport sigma asked for", percent(target)))
    for structure in comparison.structures:
        if structure.is_target or any(organ.matches(structure.name) for organ in comparison.organs):
            pairs.append(Pair(f"1 sigma of a voxel in {structure.name}", _sigma_in(comparison, structure)))
    physics = provenance.get("physics", {})
    pairs += [Pair(label, f"{physics[key]:g}") for key, label in PHYSICS if key in physics]
    pairs += [Pair(label, str(provenance[key])) for key, label in PROVENANCE if provenance.get(key)]
    if report.tables_sha256 is not None:
        pairs.append(Pair("Cross-section tables, SHA-256", str(report.tables_sha256)))
    pairs += [
        Pair(f"Phase space {name}, SHA-256", str(digest))
        for name, digest in provenance.get("phase_spaces", {}).items()
    ]
    if "resampled" in provenance:
        pairs.append(
            Pair("Resampled", "maps and point doses: trilinear, to the RTDOSE grid; DVH and gamma: not")
        )
    return pairs


def _sigma_in(comparison: Comparison, structure: Structure) -> str:
    volume, mc = structure.volume, comparison.dose
    mean = volume.of_values(mc.mean)[volume.half]
    if not mean.any():
        return "-"
    latent = np.nan_to_num(volume.of_values(mc.latent)[volume.half])
    sigma = float(np.sqrt(np.mean(volume.of_values(mc.sigma)[volume.half] ** 2 + latent**2)))
    share = percent(sigma / float(mean.mean()))
    return f"{sigma:.3f} Gy rms, transport and latent together, {share} of the mean dose there"


def target_sigma(comparison: Comparison) -> float | None:
    """Transport sigma that the run was asked for, as a fraction; None if it had no such goal."""
    return comparison.dose.provenance.get("stop", {}).get("uncertainty")


def calibrations(comparison: Comparison) -> Table:
    """Absolute dose: the calibration of every beam quality."""
    lines = []
    for label, record in comparison.calibration.items():
        value, sigma, latent = (record.get(key) for key in ("gy_per_history", "sigma", "latent"))
        lines.append(
            (
                str(label),
                "-" if value is None else f"{value:.4e}",
                "-" if not value or sigma is None else percent(sigma / value),
                "unknown" if latent is None else percent(latent),
                str(record.get("origin", "-")),
                str(record.get("version", "-")),
                str(record.get("phase_space_sha256", "-")),
            )
        )
    columns = (
        "Beam",
        "Gy per history",
        "Transport sigma",
        "Latent sigma",
        "Origin",
        "Version",
        "Phase space, SHA-256",
    )
    return table(columns, lines, texts_from=4)


def ct(comparison: Comparison) -> Facts:
    """What was made of the CT, and what carries the patient."""
    audit = comparison.phantom.audit
    clamped, pairs = audit.get("clamped", {}), []
    if "calibration" in audit:
        curve = audit["calibration"]
        pairs.append(Pair("CT calibration", f"{curve['name']}: {curve['source']}"))
    if "body" in audit:
        body = audit["body"]
        pairs.append(Pair("Body outline", f"{body['roi']}, {body['volume_cm3']:.0f} cm3"))
    pairs.append(Pair("Couch and supports", _couch(audit)))
    if clamped.get("lowest_hu") is not None:
        pairs.append(Pair("HU in use", f"{clamped['lowest_hu']:.0f} to {clamped['highest_hu']:.0f}"))
    for side in ("below", "above"):
        if side in clamped:
            end = clamped[side]
            pairs.append(
                Pair(
                    f"Clamped {side} {end['limit_hu']:g} HU",
                    f"{end['voxels']:,} CT voxels, {end['volume_cm3']:.2f} cm3",
                )
            )
    return Facts(tuple(pairs))


def _couch(audit: Mapping[str, Any]) -> str:
    """The SUPPORT structures, or the machine's table top, or that there is none."""
    if supports := audit.get("supports"):
        return f"structures {', '.join(supports)}"
    if "couch" not in audit:
        return "none"
    slabs = ", ".join(
        f"{slab['thickness_cm']:g} cm {slab['material']} of {slab['density']:g} g/cm3"
        for slab in audit["couch"]["slabs"]
    )
    return f"the machine's table top, from the top down {slabs}; {audit['couch']['volume_cm3']:.0f} cm3"


def materials(comparison: Comparison) -> Table:
    """Volume, density and mass by material."""
    lines = (
        (m["material"], f"{m['volume_cm3']:.1f}", f"{m['mean_density']:.3f}", f"{m['mass_g']:.1f}")
        for m in comparison.phantom.audit.get("materials", [])
    )
    return table(("Material", "Volume [cm3]", "Mean density [g/cm3]", "Mass [g]"), lines)


def overrides(comparison: Comparison) -> Table:
    """Structures whose material was given."""
    lines = (
        (o["roi"], o["material"], f"{o['density']:.3f}", f"{o['volume_cm3']:.2f}")
        for o in comparison.phantom.audit.get("overrides", [])
    )
    return table(("Structure", "Material", "Density [g/cm3]", "Volume [cm3]"), lines, 2)

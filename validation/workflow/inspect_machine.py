"""Machines in tables: what there are, and what the file of one says."""

from __future__ import annotations

from itertools import pairwise

from mc.machine.beam_model import BeamModel, beam_model, judged_files
from mc.machine.collimators import Block, Collimators, Ends, Leaves
from mc.machine.folder import machine_files, user_folder
from mc.machine.head_model import Head
from mc.machine.machine import BeamQuality, Machine, PhaseSpaceFile, read_machine
from mc.source.phase_space import open_phase_space
from phantoms.errors import InputError
from validation.workflow.inspection import Inspection


def list_machines() -> Inspection:
    """All machines that plans can name: the user's own and those shipped, with beams and their state."""
    found, rows = Inspection(), []
    own = {file.name for file in machine_files() if not file.shipped}
    for file in machine_files():
        kind = "yours" if not file.shipped else "shipped, yours is used" if file.name in own else "shipped"
        try:
            if file.problem is not None:
                raise file.problem
            machine = read_machine(file.path)
            states = [(quality.label, state_of(machine, quality).state) for quality in machine.energies]
        except InputError as error:
            rows.append((file.name or "?", kind, file.path.name, "", "cannot be read"))
            found.warn(str(error))
            continue
        for number, (beam, state) in enumerate(states):
            head = (file.name, kind, file.path.name) if number == 0 else ("", "", "")
            rows.append((*head, beam, state))
    found.table("Machines", ("name", "whose", "file", "beam", "state of its model"), rows)
    found.line(f"your machine files belong into {user_folder()}")
    return found


def show_machine(machine: Machine, found: Inspection) -> None:
    """All that matters of a machine file: beams, MU definition, jaws, leaves, heads, calibration, state."""
    facts = [
        ("file", machine.path),
        ("manufacturer", machine.manufacturer or "not stated"),
        ("distance from target to isocentre", f"{machine.sad_cm:g} cm"),
        *_collimator_facts(machine.collimators),
        ("couch", _couch_text(machine)),
    ]
    found.facts(f"Machine {machine.name}", facts)
    for quality in machine.energies:
        found.facts(f"{machine.name} {quality.label}", _beam_facts(machine, quality))


def state_of(machine: Machine, quality: BeamQuality) -> BeamModel:
    """What the model of a beam is worth; opens its phase spaces where it has been commissioned."""
    files = judged_files(quality) if quality.commissioned is not None else ()
    return beam_model(machine, quality, {path: open_phase_space(path).sha256 for path in files})


def _beam_facts(machine: Machine, quality: BeamQuality) -> list[tuple[str, object]]:
    model = state_of(machine, quality)
    return [
        ("MU definition", _mu_text(quality)),
        ("calibration", _calibration_text(quality)),
        *(("phase space", _phase_space_text(space)) for space in quality.phase_spaces),
        ("head", _head_text(quality.head)),
        *(
            (f"monitor backscatter of the {entry.axis} jaws", f"from {entry.opening_cm[0]:g} to "
             f"{entry.opening_cm[-1]:g} cm, signal {entry.signal[0]:g} to {entry.signal[-1]:g}")
            for entry in quality.monitor_backscatter
        ),
        ("state of the model", model.state),
        ("", model.statement),
    ]  # fmt: skip


def _mu_text(quality: BeamQuality) -> str:
    reference = quality.reference
    x, y = reference.field_cm
    field = f"cone of {reference.cone_cm:g} cm" if reference.cone_cm else f"{x:g} x {y:g} cm"
    where = f"SSD {reference.ssd_cm:g} cm, depth {reference.depth_cm:g} cm, field {field} at the isocentre"
    return f"1 MU = {100.0 * reference.dose_per_mu_gy:.4g} cGy in {reference.medium}, {where}"


def _calibration_text(quality: BeamQuality) -> str:
    if quality.reference.electrons_per_mu is not None:
        return f"{quality.reference.electrons_per_mu:.4e} electrons per MU"
    stated = quality.calibration
    if stated is None:
        return "none in the file: computed at first use, and kept"
    sigma = 100.0 * stated.sigma / stated.gy_per_history
    return f"{stated.gy_per_history:.4e} Gy per history, sigma {sigma:.2f} %, by version {stated.version}"


def _phase_space_text(space: PhaseSpaceFile) -> str:
    x1, x2, y1, y2 = space.field_cm
    return f"{space.file.name}, {space.plane}, X {x1:g} to {x2:g}, Y {y1:g} to {y2:g} cm"


def _head_text(head: Head | None) -> str:
    if head is None:
        return "none"
    spot = (
        f"spot radius {10.0 * head.spot_radius_cm:g} mm"
        if head.spot_fwhm_cm is None
        else f"spot FWHM {10.0 * head.spot_fwhm_cm[0]:g} x {10.0 * head.spot_fwhm_cm[1]:g} mm"
    )
    parts = ", ".join(part.name for part in head.parts)
    return f"{head.electron_mev:g} MeV, {spot}: {parts}; {head.electrons:,} electrons"


def _collimator_facts(collimators: Collimators | None) -> list[tuple[str, str]]:
    if collimators is None:
        return [("collimators", "none: only the fields of its phase spaces")]
    facts = [(f"{jaws.axis} jaws", f"{_solid(jaws)}, {_ends_text(jaws.ends)}") for jaws in collimators.jaws]
    if collimators.leaves is not None:
        facts.append(("MLC", _leaves_text(collimators.leaves)))
    if collimators.cones is not None:
        diameters = ", ".join(f"{10.0 * diameter:g}" for diameter in collimators.cones.diameters_cm)
        facts.append(("cones", f"{diameters} mm; {_solid(collimators.cones)}"))
    return facts


def _solid(block: Block) -> str:
    return f"{block.top_cm:g} to {block.bottom_cm:g} cm, {block.material.name} {block.density:g} g/cm3"


def _ends_text(ends: Ends) -> str:
    shape = f"{ends.kind} ends" + (f" of radius {ends.radius_cm:g} cm" if ends.kind == "rounded" else "")
    moved = f", {10.0 * ends.offset_cm:g} mm farther back than stated" if ends.offset_cm else ""
    stated = "" if ends.kind == "focused" else f", positions of the {ends.position.replace('_', ' ')}"
    return f"{shape}{stated}{moved}"


def _leaves_text(leaves: Leaves) -> str:
    edges = leaves.boundaries_cm
    widths = sorted({round(10.0 * (b - a), 3) for a, b in pairwise(edges)})
    return (
        f"{leaves.pairs} pairs along {leaves.axis}, {' and '.join(map('{:g}'.format, widths))} mm wide, "
        f"{_solid(leaves)}, {_ends_text(leaves.ends)}"
    )


def _couch_text(machine: Machine) -> str:
    couch = machine.couch
    if couch is None:
        return "none: from the plan's structures alone"
    return f"{couch.width_cm:g} cm wide, {couch.thickness_cm:g} cm thick, where the plan has none"

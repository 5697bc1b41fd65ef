"""What a TOML file is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mc.machine.machine import read_machine
from phantoms import kinds
from phantoms.errors import InputError
from phantoms.hu import load_calibration
from phantoms.materials import Material, load_elements, load_materials
from phantoms.overrides import load_case_file
from phantoms.phantom_file import read_phantom_file
from phantoms.schema import nearest, read_table
from validation.workflow.inspect_machine import show_machine
from validation.workflow.inspection import Inspection

OF_MATERIALS = {"density", "composition"}  # keys by which a table of materials is known
OF_CASES = ("calibration", "external", "materials", "overrides")


def show_toml(path: Path, found: Inspection) -> None:
    """Show one TOML file by its kind.

    Raises
    ------
    InputError
        If it is of no known kind, or has an entry that its kind does not permit.
    """
    content = read_table(path)
    kind = kinds.kind_of(content)
    if kind is None and any(
        OF_MATERIALS & set(content.table(key)) for key in content if content.is_table(key)
    ):
        rows = [(material.name, _material(material)) for material in load_materials(path).values()]
        found.facts(f"{path}: materials", rows)
        return
    if kind is None:
        if not any(nearest(key, OF_CASES) for key in content):
            remedy = f"known are {', '.join((*_SHOW, 'materials'))}"
            raise InputError(path, f"is of no known kind: its entries are {', '.join(content)}", remedy)
        kind = kinds.CASE
    _SHOW[kind](path, found)


def _case(path: Path, found: Inspection) -> None:
    case = load_case_file(path)
    facts = [
        ("CT calibration", case.calibration or "not stated"),
        ("body outline", case.external or "not stated"),
        *((f"own material {m.name}", _material(m)) for m in case.own_materials),
        *((f"override {o.roi}", f"{o.material.name}, {o.density:g} g/cm3") for o in case.overrides),
    ]
    found.facts(f"{path}: case file", facts)


def _curve(path: Path, found: Inspection) -> None:
    curve = load_calibration(path)
    points = [(f"{hu:g}", f"{density:g}") for hu, density in zip(curve.hu, curve.density, strict=True)]
    found.table(f"{path}: CT calibration {curve.name}", ("HU", "g/cm3"), points, right=(0, 1))
    found.line(f"materials: {', '.join(material.name for material in curve.materials)}")


def _profile(path: Path, found: Inspection) -> None:
    from validation.limits.constraints import margin_text
    from validation.limits.profiles import load_profile
    from validation.metrics.dvh import volume_note

    profile = load_profile(path)
    found.facts(f"{path}: profile, {profile.title}", [("status", profile.status), ("source", profile.source)])
    rows = [(str(g.criterion), g.tolerance or "", g.action or "") for g in profile.gamma]
    rows += [(f"{d.structures} {d.metric}, % of {d.relative_to}", d.tolerance, d.action)
             for d in profile.differences]  # fmt: skip
    if rows:
        found.table("Agreement of plan and Monte Carlo", ("test", "warns", "fails"), rows, right=(1, 2))
    limits = [
        (
            c.organ + (f" + {margin_text(c.prv_mm)}" if c.prv_mm else ""),
            f"{c.metric} {c.relation} {c.limit:g} {c.unit}",
            c.fractions or "any",
            c.source,
        )
        for c in profile.constraints
    ]
    if limits:
        found.table("Dose limits", ("organ", "limit", "fractions", "source"), limits)
    for note in dict.fromkeys(volume_note(c.metric) for c in profile.constraints):
        if note:
            found.line(note)


def _criteria(path: Path, found: Inspection) -> None:
    from validation.commission.criteria import load_criteria

    criteria = load_criteria(path)
    depth = (
        "the measured depth of maximum" if criteria.build_up_cm is None else f"{criteria.build_up_cm:g} cm"
    )
    facts = [
        ("status", criteria.status),
        ("gamma", str(criteria.criterion)),
        ("points that must pass", f"{criteria.passing_percent:g} %"),
        ("output factors within", f"{criteria.output_factor_percent:g} %"),
        ("largest sigma", f"{criteria.max_sigma_percent:g} %"),
        ("judged from", depth),
    ]
    found.facts(f"{path}: criteria of a commissioning, {criteria.title}", facts)


def _phantom(path: Path, found: Inspection) -> None:
    phantom = read_phantom_file(path)
    size, voxel = (" x ".join(f"{side:g}" for side in sides) for sides in (phantom.size_cm, phantom.voxel_cm))
    facts = [
        ("size (x, y, z)", f"{size} cm"),
        ("voxels", f"{voxel} cm"),
        ("material", f"{phantom.material.name}, {phantom.density:g} g/cm3"),
        ("inserts", ", ".join(insert.material.name for insert in phantom.inserts) or "none"),
    ]
    found.facts(f"{path}: phantom, {phantom.title}", facts)


def _films(path: Path, found: Inspection) -> None:
    from validation.film.film_set import read_film_set

    films = read_film_set(path)
    rows = [
        (f"{dose:g}", ", ".join(scan.name for scan in scans), "found on the bed" if box is None else box)
        for scans, entries in films.groups
        for dose, box in entries
    ]
    found.table(
        f"{path}: films of known dose, {films.title}", ("Gy", "scans", "place [px]"), rows, right=(0,)
    )
    for scan in dict.fromkeys(scan for scans, _ in films.groups for scan in scans):
        if not scan.is_file():
            found.warn(f"{scan}: no such scan; names count from {path.name}")


def _film_calibration(path: Path, found: Inspection) -> None:
    from validation.film.calibration import read_calibration
    from validation.film.scan import CHANNELS

    calibration = read_calibration(path)
    rows = [
        (name, curve.family, f"{100 * curve.misfit:.2f}")
        for name, curve in zip(CHANNELS, calibration.curves, strict=True)
    ]
    title = f"{path}: film calibration {calibration.title}, to {calibration.largest_gy:g} Gy"
    found.table(title, ("channel", "curve", "misfit [%]"), rows, right=(2,))
    found.line(f"lateral response: {'not corrected' if calibration.lateral is None else 'corrected'}")
    for warning in calibration.warnings:
        found.warn(warning)


def _statement(path: Path, found: Inspection) -> None:
    from validation.workflow.inspect_measured import show_scans

    show_scans(path.parent, found)


def _configuration(path: Path, found: Inspection) -> None:
    from validation.workflow.configuration import read_configuration

    chosen = read_configuration(path)
    facts = [
        ("name in reports", "yes" if chosen.name else "no"),
        ("profile", chosen.profile),
        ("threads", chosen.threads or "all processors"),
    ]
    found.facts(f"{path}: configuration", facts)


_SHOW: dict[str, Callable[[Path, Inspection], None]] = {
    kinds.MACHINE: lambda path, found: show_machine(read_machine(path), found),
    kinds.CASE: _case,
    kinds.PROFILE: _profile,
    kinds.CURVE: _curve,
    kinds.PHANTOM: _phantom,
    kinds.CRITERIA: _criteria,
    kinds.FILMS: _films,
    kinds.FILM_CALIBRATION: _film_calibration,
    kinds.STATEMENT: _statement,
    kinds.CONFIGURATION: _configuration,
}


def _material(material: Material) -> str:
    """Density, I-value and composition in a line."""
    symbols = {element.number: symbol for symbol, element in load_elements().items()}
    parts = ", ".join(f"{symbols[z]} {100 * fraction:.4g} %" for z, fraction in material.composition)
    return f"{material.density:g} g/cm3, I {material.mean_excitation:.4g} eV: {parts}"

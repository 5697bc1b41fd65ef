"""What the model of a beam is worth: shipped as it is, calibrated, commissioned, or changed since then.

A passed `mcverify commission` is entered in the machine file with a hash over the entries that were judged.
Whatever of them is edited later, the hash is another one, and the commissioning no longer counts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

from mc.machine.machine import SHIPPED, BeamQuality, Machine, read_machine
from phantoms.materials import Material

GENERIC, CALIBRATED, COMMISSIONED, CHANGED = "generic", "calibrated", "commissioned", "changed"
HEADER = ".IAEAheader"
DATA = SHIPPED.parent.resolve()
# entries of a head that change the noise of its phase space and not its particles
STATISTICS = ("splitting", "splitting_radius_cm", "electrons", "core")


@dataclass(frozen=True)
class BeamModel:
    """What the model of a beam is worth.

    Parameters
    ----------
    beam : str
        Such as "6 MV FFF".
    state : {'generic', 'calibrated', 'commissioned', 'changed'}
        Generic: head or phase space are those of a shipped machine. Calibrated: they are the user's own, and
        no comparison with measurements is recorded. Commissioned: compared with measurements, and the entries
        judged are unchanged. Changed: they are not.
    statement : str
        The same in a sentence.
    """

    beam: str
    state: str
    statement: str

    def to_dict(self) -> dict[str, str]:
        """As it is recorded with a dose."""
        return asdict(self)


def beam_model(machine: Machine, quality: BeamQuality, phase_spaces: Mapping[Path, str]) -> BeamModel:
    """The state of a beam's model.

    Parameters
    ----------
    machine : Machine
    quality : BeamQuality
        One of its beams.
    phase_spaces : mapping of Path to str
        SHA-256 of the phase spaces of `judged_files`; needed of a commissioned beam only.
    """
    stated = quality.commissioned
    if stated is None:
        source = "phase space" if judged_files(quality) else "head"
        absolute = _absolute(quality)
        if _is_generic(quality):
            statement = f"generic {source}, {absolute}, never compared with measurements"
            return BeamModel(quality.label, GENERIC, statement)
        statement = f"{source} of its machine file, {absolute}, no comparison with measurements recorded"
        return BeamModel(quality.label, CALIBRATED, statement)
    scans = f"{stated.scans} {'scan' if stated.scans == 1 else 'scans'} ({stated.fields})"
    result = f"{stated.passing_percent:.3g} % of points within {stated.criterion}"
    if judged_sha256(machine, quality, phase_spaces) == stated.sha256:
        return BeamModel(quality.label, COMMISSIONED, f"commissioned {stated.date} against {scans}: {result}")
    return BeamModel(
        quality.label,
        CHANGED,
        f"changed since commissioning on {stated.date} against {scans}; what was found then ({result}) "
        "does not apply to it",
    )


def is_shipped(path: Path) -> bool:
    """Whether a machine file or phase space is one of those shipped."""
    return path.resolve().is_relative_to(DATA)


def judged_files(quality: BeamQuality) -> tuple[Path, ...]:
    """The phase spaces that a beam's machine file names, each once; none where its head is simulated."""
    return tuple(dict.fromkeys(space.file for space in quality.phase_spaces if not space.simulated))


def judged_sha256(machine: Machine, quality: BeamQuality, phase_spaces: Mapping[Path, str]) -> str:
    """SHA-256 over all of a machine file that the dose of a beam depends on.

    The beam, its reference condition and monitor backscatter, the collimators and SAD of the machine, and
    either the phase spaces that the file names, by their contents, or the head. Not part of it: name and
    notes of the machine, its couch, the calibration, which has hashes of its own, and how many particles of
    a head are simulated.

    Parameters
    ----------
    machine, quality, phase_spaces
        As of `beam_model`.
    """
    judged = {
        "sad_cm": machine.sad_cm,
        "nominal_mv": quality.nominal_mv,
        "fluence_mode": quality.fluence_mode,
        "reference": _entries(quality.reference),
        "monitor_backscatter": _entries(quality.monitor_backscatter),
        "collimators": _entries(machine.collimators),
    }
    if judged_files(quality):
        judged["phase_spaces"] = [
            {**_entries(space), "sha256": phase_spaces[space.file]}
            for space in quality.phase_spaces
            if not space.simulated
        ]
    else:
        judged["head"] = _head(quality)
    return hashlib.sha256(json.dumps(judged, sort_keys=True).encode()).hexdigest()


def _entries(value: Any) -> Any:
    """A value as JSON has it. Defaults are left out, so that entries of later versions change no hash."""
    if isinstance(value, Material):
        return value.name
    if is_dataclass(value):
        stated = [field.name for field in fields(value) if not _is_default(field, value)]
        held = {name: getattr(value, name) for name in stated}
        return {name: _entries(each) for name, each in held.items() if not isinstance(each, Path)}
    if isinstance(value, tuple):
        return [_entries(each) for each in value]
    return value


def _is_default(field: Any, value: Any) -> bool:
    return field.default is not MISSING and getattr(value, field.name) == field.default


def _head(quality: BeamQuality) -> Any:
    if quality.head is None:
        return None
    return {key: value for key, value in _entries(quality.head).items() if key not in STATISTICS}


def _absolute(quality: BeamQuality) -> str:
    reference = quality.reference
    if reference.electrons_per_mu is not None:
        return "MU defined by electrons on the target"
    x, y = reference.field_cm
    condition = f"SSD {reference.ssd_cm:g} cm, depth {reference.depth_cm:g} cm, {x:g} x {y:g} cm"
    return f"MU calibrated in the reference condition ({condition})"


def _is_generic(quality: BeamQuality) -> bool:
    files = judged_files(quality)
    if files:
        return all(is_shipped(file) or _is_copy(file) for file in files)
    return _head(quality) in _shipped_heads()


def _is_copy(file: Path) -> bool:
    """Whether a phase space has the header of a shipped one of its name."""
    name = file.name if file.suffix == HEADER else file.name + HEADER
    here, there = file.with_name(name), DATA / "phase-space" / name
    return here.is_file() and there.is_file() and here.read_bytes() == there.read_bytes()


@cache
def _shipped_heads() -> list[Any]:
    """Heads of all shipped machines."""
    machines = [read_machine(path) for path in sorted(DATA.glob("*/*.toml"))]
    return [_head(quality) for machine in machines for quality in machine.energies if quality.head]

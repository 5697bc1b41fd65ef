"""All fields of a commissioning, kept on disk until the last: one that is broken off goes on from there."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mc.compute.head import HeadOptions
from mc.config import Physics
from mc.machine.machine import Machine
from mc.run.batch import PlacedBeam
from mc.run.options import RunOptions
from mc.run.parallel import world
from mc.run.progress import Listener
from mc.run.report import RunReport
from phantoms.arrays import load_arrays, save_arrays
from phantoms.files import replacing
from phantoms.kernel_cache import source_hash
from validation.commission.compute import HIGH, ComputedField, Curve, axis_scan, compute_field
from validation.commission.fields import Field
from validation.commission.source import place_beam, sourced
from validation.metrics.numbers import plain

if TYPE_CHECKING:
    from validation.commission.run import Effort

FOLDER = "fields"  # in the result folder
ARRAYS = ("positions", "dose", "sigma", "latent", "by_group")


class FinishedFields:
    """Computed fields in a folder, each under a hash of all that its curves depend on.

    Parameters
    ----------
    folder : Path
        Made when the first field is finished.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(
        self, machine: Machine, field: Field, beam: PlacedBeam, options: RunOptions, voxel_cm: float | None
    ) -> Path:
        """File of a field.

        Parameters
        ----------
        machine : Machine
        field : Field
        beam : PlacedBeam
            With its phase space.
        options : RunOptions
            Threads and ranks have no influence.
        voxel_cm : float or None
        """
        facts = (
            source_hash(),
            machine.sad_cm,
            machine.collimators,
            beam.phase_space.sha256,
            (beam.weight, beam.mirror, beam.target_z, beam.rotate, beam.opening),
            (field.jaws, field.ssd_cm),
            [(scan.kind, scan.label, scan.depth_cm, scan.positions.tolist()) for scan in field.scans],
            [(factor.depth_cm, factor.value) for factor in field.output_factors],
            (asdict(options.physics), asdict(options.stop), options.seed, voxel_cm),
        )
        return self.folder / f"{hashlib.sha256(repr(facts).encode()).hexdigest()[:32]}.npz"

    def load(self, path: Path, field: Field) -> ComputedField | None:
        """A finished field; None if it is not there or cannot be read."""
        try:
            stored = load_arrays(path)
            voxel, report = float(stored["voxel_cm"]), json.loads(str(stored["report"]))
            scans = list(field.scans) + ([axis_scan(field)] if field.output_factors else [])
            curves = [
                Curve(scan, *(stored[f"{name}_{number}"] for name in ARRAYS))
                for number, scan in enumerate(scans)
            ]
        except (OSError, ValueError, KeyError):
            return None
        axis = curves.pop() if field.output_factors else None
        return ComputedField(field, tuple(curves), axis, voxel, RunReport.from_dict(report))

    def save(self, path: Path, computed: ComputedField) -> None:
        """Keep a field.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        curves: Sequence[Curve] = (*computed.curves, *([computed.axis] if computed.axis else []))
        arrays: dict[str, np.ndarray | float | str] = {
            f"{name}_{number}": getattr(curve, name) for number, curve in enumerate(curves) for name in ARRAYS
        }
        report = json.dumps(plain(computed.report.to_dict()))
        with replacing(path, private=False, parents=True) as partial:
            save_arrays(partial, voxel_cm=computed.voxel_cm, report=report, **arrays)

    def count(self) -> int:
        """Number of fields that are kept."""
        return len(list(self.folder.glob("*.npz")))

    def remove(self) -> None:
        """Remove all fields, and the folder if nothing else is in it."""
        for path in self.folder.glob("*.npz"):
            path.unlink(missing_ok=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()


def compute_fields(
    machine: Machine,
    fields: Sequence[Field],
    physics: Physics,
    effort: Effort,
    listener: Listener,
    prefix: str = "",
    finished: FinishedFields | None = None,
) -> list[ComputedField]:
    """Compute every field; what the machine cannot make is refused before any is computed.

    `finished` holds fields of a run that was broken off, and receives each one that is computed. Under MPI
    rank 0 alone reads and writes it; all must call.
    """
    ready, head_options = [], HeadOptions(seed=effort.seed, threads=effort.threads)
    for field in fields:
        if not field.quality.phase_spaces and field.quality.head is not None:
            listener.stage(f"{prefix}head of {field.quality.label}")
        ready.append(sourced(machine, field, head_options, Listener(progress=listener.progress)))
    placed = [place_beam(machine, field) for field in ready]
    options, voxel, ranks = effort.run_options(physics), effort.voxel_cm, world()
    computed, seconds = [], []
    for number, (field, beam) in enumerate(zip(ready, placed, strict=True), 1):
        place = finished.path(machine, field, beam, options, voxel) if finished else None
        kept = ranks.broadcast(finished.load(place, field) if finished and ranks.rank == 0 else None)
        if kept is not None:
            listener.message(f"{field.label}: computed before the interruption")
            computed.append(replace(kept, field=field))  # that of this rank: fields are compared by identity
            continue
        left = f", about {_minutes((len(fields) - number + 1) * np.mean(seconds))} left" if seconds else ""
        listener.stage(f"{prefix}{field.label} ({number} of {len(fields)}{left})")
        started = time.monotonic()
        found = compute_field(field, beam, machine.sad_cm, options, voxel_cm=voxel, listener=listener)
        seconds.append(time.monotonic() - started)
        computed.append(found)
        if finished and ranks.rank == 0:
            finished.save(place, found)
            listener.message(f"{field.label}: {_sigmas(found)}, {_minutes(seconds[-1])}")
    return computed


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90.0 else f"{seconds / 60.0:.0f} min"


def _sigmas(computed: ComputedField) -> str:
    """Transport and latent sigma of a field's curves, rms over their points above half of each maximum."""
    curves = computed.curves or (computed.axis,)
    transport, latent = (
        np.concatenate([(sigma(c) / c.dose)[c.dose >= HIGH * c.dose.max()] for c in curves])
        for sigma in (lambda curve: curve.sigma, lambda curve: curve.latent)
    )
    stated = [f"{100.0 * np.sqrt(np.mean(each**2)):.2f} %" for each in (transport, latent)]
    return f"transport sigma {stated[0]}, latent sigma {stated[1]}"

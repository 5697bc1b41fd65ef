"""A plan in a phantom, without a patient: its result folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from mc.compute.plan_dose import ComputedDose
from mc.dose import Dose
from mc.plan.plan import Plan
from mc.plan.rtplan import read_plan
from phantoms.errors import InputError
from phantoms.files import replacing
from phantoms.identity import Identity, pseudonym, read_identity
from phantoms.phantom import Phantom
from phantoms.phantom_file import PhantomFile, find_phantom
from validation.metrics.numbers import plain
from validation.plan_check.record import digest
from validation.rtdose import OfPlan
from validation.workflow import output
from validation.workflow.results import chosen_dose, write_doses

ABOUT = 0.5  # half width of the cube about an isocentre that its dose is averaged over [cm]


@dataclass(frozen=True, eq=False)
class PhantomPlan:
    """A plan, and the phantom it is to be computed in.

    Parameters
    ----------
    path : Path
        Of the RTPLAN.
    plan : Plan
    described : PhantomFile
    phantom : Phantom
        Placed about the plan's first isocentre.
    """

    path: Path
    plan: Plan
    described: PhantomFile
    phantom: Phantom

    @classmethod
    def load(cls, plan_file: str | PathLike, phantom: str, fraction_group: int | None = None) -> PhantomPlan:
        """Read an RTPLAN and a phantom, which is named or described by a TOML file.

        Raises
        ------
        InputError
            If either cannot be read.
        """
        path = Path(plan_file)
        if not path.is_file():
            raise InputError(path, "is no file", "with --phantom name the RTPLAN itself")
        plan, described = read_plan(path, fraction_group), find_phantom(phantom)
        return cls(path, plan, described, described.about(plan.beams[0].control_points[0].isocentre))

    @cached_property
    def identity(self) -> Identity:
        """Of the patient whose plan it is."""
        return read_identity([self.path])

    @property
    def owner(self) -> output.Owner:
        """What the result is of; names no patient."""
        return output.Owner.of(self.plan, self.identity, self.described.title)

    def result(self, computed: ComputedDose, dose_to: str = "medium") -> dict[str, Any]:
        """Doses at isocentres and maximum, and how they came about, ready for strict JSON."""
        plan, dose = self.plan, chosen_dose(computed.dose, dose_to)
        top = np.unravel_index(int(np.argmax(dose.mean)), dose.grid.shape)
        stated = plain(
            {
                "schema": output.PHANTOM_SCHEMA,
                "schema_version": 1,
                "patient_pseudonym": pseudonym(plan.patient_id),
                "plan": {"label": plan.label, "uid": plan.uid},
                "machine": computed.machine.name,
                "phantom": {"file": self.described.path.name, "title": self.described.title},
                "fractions": plan.fractions,
                "monitor_units": sum(beam.mu for beam in plan.beams),
                "isocentres": [_at_isocentre(dose, place) for place in _isocentres(plan)],
                "maximum_gy": float(dose.mean[top]),
                "maximum_at_mm": [10.0 * dose.grid.centres(axis)[top[axis]] for axis in (2, 1, 0)],
                "transport_uncertainty": computed.report.transport_uncertainty,
                "latent_uncertainty": computed.report.latent_uncertainty,
                "stopped_by": computed.report.stopped_by,
                "warnings": computed.warnings,
                "provenance": dose.provenance,
            }
        )
        return self.identity.hidden_in(stated)

    def write(self, out: Path, computed: ComputedDose, dose_to: str = "medium") -> dict[str, Any]:
        """Write both files of the dose and the result into a result folder, and return the result."""
        like = OfPlan(self.path, self.plan.uid, self.plan.structure_set_uid)
        of = f"{self.owner.label}, {self.described.path.stem}"
        write_doses(out, computed.dose, dose_to, like, of)
        record = self.result(computed, dose_to) | {"dose_sha256": digest(out / output.DOSE)}
        with replacing(out / output.RESULT) as path:
            path.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        return record


def load_phantom_plan(
    plan: str | PathLike, phantom: str, *, fraction_group: int | None = None
) -> PhantomPlan:
    """Read an RTPLAN to be computed in a phantom in place of a patient.

    Parameters
    ----------
    plan : path
    phantom : str
        water, slabs, film, or a TOML file (docs/formats.md); placed about the first isocentre.
    fraction_group : int, optional
        Number of the fraction group to compute, where the plan has several.

    Returns
    -------
    PhantomPlan
        For `compute_dose`.

    Raises
    ------
    InputError
        If either cannot be read.
    """
    return PhantomPlan.load(plan, phantom, fraction_group)


def _isocentres(plan: Plan) -> list[tuple[float, float, float]]:
    points = (point.isocentre for beam in plan.beams for point in beam.control_points)
    return list(dict.fromkeys(points))


def _at_isocentre(dose: Dose, place: tuple[float, float, float]) -> dict:
    """Mean dose of the voxels about an isocentre, its place in mm."""
    inside = [
        np.abs(dose.grid.centres(axis) - place[2 - axis]) <= max(ABOUT, 0.5 * dose.grid.spacing[axis]) + 1e-9
        for axis in range(3)
    ]
    cube = dose.mean[np.ix_(*inside)]
    return {"at_mm": [10.0 * c for c in place], "mean_gy": float(cube.mean()) if cube.size else None}

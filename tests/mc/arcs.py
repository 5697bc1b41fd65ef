"""Arcs and the static beams that they are the mean of, aimed apart from the engine's own geometry."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from mc.backends.cpu import Collimation
from mc.plan.delivery import deliver, fixed
from mc.plan.plan import Beam, ControlPoint
from mc.tables import Tables
from mc.transport.context import Cuts
from phantoms.phantom import Phantom
from tests.mc.engine import NOTHING, run_particles

SAD = 100.0


def by_definition(position: str, gantry: float, collimator: float, couch: float) -> np.ndarray:
    """Matrix from phase-space to patient axes, one axis of IEC 61217 after the other.

    Written apart from `mc.plan.coordinates`: each system turns about an axis of its mother system, the
    table comes back from the fixed system, and the patient lies on it as the words of DICOM say.
    """
    device_to_gantry = Rotation.from_rotvec(np.radians(collimator) * np.array([0, 0, 1]))
    gantry_to_fixed = Rotation.from_rotvec(np.radians(gantry) * np.array([0, 1, 0]))
    support_to_fixed = Rotation.from_rotvec(np.radians(couch) * np.array([0, 0, 1]))
    # LPS axes of a patient head first supine: x and y of the table are left and superior, z is anterior
    supine_to_table = Rotation.from_matrix([[1, 0, 0], [0, 0, 1], [0, -1, 0]])
    about_its_length = {"S": 0, "P": 180, "DR": -90, "DL": 90}[position[2:]]
    rolled = Rotation.from_euler("z", about_its_length, degrees=True)  # of the patient about superior
    turned = Rotation.from_euler("z", 180 if position[0] == "F" else 0, degrees=True)  # on the table
    patient_to_table = turned * supine_to_table * rolled
    phase_space_to_device = Rotation.from_euler("x", 180, degrees=True)  # y and z point the other way
    chain = (
        patient_to_table.inv()
        * support_to_fixed.inv()
        * gantry_to_fixed
        * device_to_gantry
        * phase_space_to_device
    )
    return chain.as_matrix()


class Arc(NamedTuple):
    """A head-first supine patient's arc at its n control points: degrees and cm."""

    weights: np.ndarray  # (n,)
    angles: np.ndarray  # (n, 3) gantry, collimator, couch
    isocentres: np.ndarray  # (n, 3)
    jaws: np.ndarray  # (n, 4)
    leaves: np.ndarray  # (n, 2 pairs)
    boundaries: tuple[float, ...] = ()

    @property
    def beam(self) -> Beam:
        """As a plan has it."""
        points = tuple(
            ControlPoint(w, *a, tuple(i), tuple(j), {"MLCX": tuple(p)} if len(p) else {})
            for w, a, i, j, p in zip(*self[:5], strict=True)
        )
        return Beam(
            1,
            "arc",
            "M",
            6.0,
            "FFF",
            100.0,
            SAD,
            points,
            {"MLCX": self.boundaries} if self.boundaries else {},
        )

    def at(self, instant: float) -> list[np.ndarray]:
        """Angles, isocentre, jaws and leaves at a share of the meterset."""
        return [
            np.array([np.interp(instant, self.weights, column) for column in values.T])
            for values in self[1:5]
        ]


def arc_and_statics(
    phantom: Phantom,
    tables: Tables,
    cuts: Cuts,
    arc: Arc,
    statics: int,
    source: Callable[[int], np.ndarray],
    parts: int,
    collimation: Collimation = NOTHING,
) -> tuple[np.ndarray, np.ndarray]:
    """Dose of an arc, and of static beams spread evenly over its meterset, each (parts, nz, ny, nx).

    Every part uses new particles (n, 9) of the `source`, each a history, and each static beam an equal share.
    """
    moving = deliver(arc.beam, "HFS")
    turned, still = np.zeros((2, parts, *phantom.grid.shape))
    for part in range(parts):
        options = {"collimation": collimation, "replica": part}
        turned[part] = run_particles(phantom, tables, cuts, source(part), delivery=moving, **options).voxels
        particles = source(parts + part)
        for k in range(statics):
            angles, isocentre, jaws, leaves = arc.at((k + 0.5) / statics)
            rotation = by_definition("HFS", *angles)
            one = fixed(rotation, isocentre - SAD * rotation[:, 2], jaws, leaves)
            first, last = (len(particles) * n // statics for n in (k, k + 1))
            still[part] += run_particles(
                phantom, tables, cuts, particles[first:last], delivery=one, first=first, seed=2, **options
            ).voxels
    return turned, still

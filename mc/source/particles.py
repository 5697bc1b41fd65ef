"""Particles of a phase space, as arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Particles(NamedTuple):
    """Particles as arrays of one length (n,)."""

    kind: np.ndarray  # int8: 1 photon, 2 electron, 3 positron
    energy: np.ndarray  # float64, kinetic [MeV]
    x: np.ndarray  # float64 [cm], likewise y and z
    y: np.ndarray
    z: np.ndarray
    u: np.ndarray  # float64, unit direction, likewise v and w
    v: np.ndarray
    w: np.ndarray
    weight: np.ndarray  # float64
    new_history: np.ndarray  # bool, first particle of an original history


def across(particles: Particles, plane_z: float) -> tuple[np.ndarray, np.ndarray]:
    """Where particles that travel straight on meet a plane z = `plane_z` [cm]: x, y; NaN if they never do."""
    with np.errstate(divide="ignore", invalid="ignore"):
        path = np.where(particles.w != 0.0, (plane_z - particles.z) / particles.w, np.nan)
    return particles.x + path * particles.u, particles.y + path * particles.v

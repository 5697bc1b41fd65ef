"""What the transport of a history works on, bundled once in each worker."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Cuts(NamedTuple):
    """Absorption energies of charged particles and photons, kinetic [MeV], and variance reduction.

    Fields have the names of the options they come from (`mc.config.Physics`).
    """

    electron_cut: float  # ECUT, and the threshold of hard collisions, AE
    photon_cut: float  # PCUT, and the threshold of hard bremsstrahlung, AP
    photon_split: int = 1  # interactions of each photon
    track_repeat: int = 1  # Compton interactions of a flight in one material that share a track, at most
    range_rejection: float = 0.0  # ESAVE [MeV]: below, charged particles that cannot leave their voxel stop


class Context(NamedTuple):
    """Everything that stays the same while histories are transported, but for the particles.

    Kernels are compiled for the types of the fields. It is built inside the loop of a worker, since numba
    hands no tuples of tuples to threads.

    Attributes
    ----------
    geo : NamedTuple
        Kernel side of the geometry the kernels are compiled over, e.g. `mc.geometry.voxels.Voxels`.
    tables : mc.tables.Tables
    cuts : Cuts
    tally : mc.transport.scoring.Tally
    stack : mc.transport.particle.Stack
    tracks : mc.transport.replay.Tracks or None
    counters : (N_COUNTERS,) int64
        Of `mc.transport.scoring`.
    """

    geo: Any
    tables: Any
    cuts: Any
    tally: Any
    stack: Any
    tracks: Any
    counters: np.ndarray

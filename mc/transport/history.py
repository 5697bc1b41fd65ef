"""One history: a source particle and everything it sets free, until nothing is left."""

from __future__ import annotations

import math
from types import ModuleType
from typing import NamedTuple

from mc.numerics.jit import njit_inlined
from mc.transport.electron import make_electron
from mc.transport.particle import PHOTON
from mc.transport.photon import make_photon
from mc.transport.scoring import LOST


class Cuts(NamedTuple):
    """Absorption energies of charged particles and photons, kinetic [MeV], and variance reduction."""

    electron: float
    photon: float
    split: int = 1  # interactions of each photon
    repeat: int = 1  # Compton interactions of a flight in one material that share a track, at most
    save: float = 0.0  # charged particles below are deposited where they cannot leave the voxel [MeV]


def make_cascade(geometry: ModuleType):
    """Compile the transport of everything on the stack over a geometry."""
    transport_photon = make_photon(geometry)
    transport_electron = make_electron(geometry, geometry.JUMP)

    @njit_inlined
    def cascade(geo, tables, cuts, tally, stack, depth, tracks, counters, rng):
        """Transport the particles on the stack and all their secondaries. Returns the rng."""
        while depth > 0:
            depth -= 1
            kind = int(stack[depth, 0])
            energy, weight = stack[depth, 1], stack[depth, 8]
            x, y, z = stack[depth, 2], stack[depth, 3], stack[depth, 4]
            u, v, w = stack[depth, 5], stack[depth, 6], stack[depth, 7]
            if not math.isfinite(energy + weight + x + y + z + u + v + w):
                counters[LOST] += 1
                continue
            if kind == PHOTON:
                depth, rng = transport_photon(
                    energy, x, y, z, u, v, w, weight,
                    geo, tables, cuts, tally, stack, depth, tracks, counters, rng,
                )  # fmt: skip
            else:
                depth, rng = transport_electron(
                    kind, energy, x, y, z, u, v, w, weight,
                    geo, tables, cuts, tally, stack, depth, counters, rng,
                )  # fmt: skip
        return rng

    return cascade

"""The shower of one history: its source particles and all their secondaries, until none is left."""

from __future__ import annotations

from types import ModuleType

from mc.numerics.jit import njit_inlined
from mc.transport.electron import make_electron
from mc.transport.particle import PHOTON, is_finite, pop
from mc.transport.photon import make_photon
from mc.transport.scoring import LOST


def make_shower(geometry: ModuleType):
    """Compile the transport of everything on the stack over a geometry (SHOWER of EGSnrc)."""
    transport_photon = make_photon(geometry)
    transport_electron = make_electron(geometry, geometry.JUMP)

    @njit_inlined
    def shower(ctx, rng):
        """Transport the particles on the stack and all their secondaries. Returns the rng."""
        while ctx.stack.depth[0] > 0:
            particle = pop(ctx.stack)
            if not is_finite(particle):
                ctx.counters[LOST] += 1
            elif particle.kind == PHOTON:
                rng = transport_photon(ctx, particle, rng)
            else:
                rng = transport_electron(ctx, particle, rng)
        return rng

    return shower

"""What photons set free in the solids of a collimator, followed with all that comes of it.

So are charged particles from above that meet a solid. Every interaction is that of `mc.transport.photon`;
charged particles are those of `mc.transport.electron` over `mc.geometry.within`, with the photons they
radiate and fluorescence. Left out is what charged particles radiate that cannot leave their solid, photons
that turn back up, and what the air does to electrons on their way up or turns upwards.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from mc.geometry import within
from mc.geometry.collimator import DENSITY, UPPER, march
from mc.numerics.jit import njit
from mc.numerics.rng import uniform
from mc.transport.electron import ANALOGUE, make_electron
from mc.transport.history import Cuts
from mc.transport.particle import PHOTON, STACK_COLUMNS, push
from mc.transport.passage import AIR, chance, draw_clocks, drift, emit, fly
from mc.transport.photon import interact
from mc.transport.scoring import LOST, N_COUNTERS, OVERFLOWS, Tally

STACK = 1024


class Scrap(NamedTuple):
    """Room for the particles that wait, and for what is deposited in solids and counted there, unused.

    stack : (STACK, STACK_COLUMNS) float64
    tally : Tally
        A cell for each layer.
    counters : (N_COUNTERS,) int64
    """

    stack: np.ndarray
    tally: Tally
    counters: np.ndarray


@njit(_nrt=True)
def room_for(electrons, collimator):
    """Room for one thread if `electrons` is True, none if it is None."""
    if electrons is None:
        return None
    layers = collimator.shape.size
    return Scrap(
        np.empty((STACK, STACK_COLUMNS)),
        Tally(np.zeros(layers, np.int64), np.zeros((0, 0), np.int64), np.zeros(0, np.float32)),
        np.zeros(N_COUNTERS, np.int64),
    )


@njit
def _depart(kind, energy, x, y, z, u, v, w, weight, cuts, tally, stack, depth, counters, rng):
    """Let a charged particle that has left a solid wait for its way through the air; stack depth and rng."""
    return push(stack, depth, kind, energy, x, y, z, u, v, w, weight, tally, 0, counters), rng


_transport_electron = make_electron(within, within.JUMP, ANALOGUE._replace(depart=_depart))


@njit
def follow(
    kind, energy, x, y, z, u, v, w, weight, airy, left, spared,
    collimator, jaws, leaves, tables, cuts, counters, out, scrap, rng,
):  # fmt: skip
    """Follow a particle, and all that comes of it, through solids and air; device coordinates.

    `airy`, `left`: of a photon's first flight (`mc.transport.passage.fly`); `spared`: it has survived the
    roulette of its first interaction. Returns how many particles emerged into `out`, and the rng.
    """
    placed = within.Placed(collimator, jaws, leaves)
    # charged particles that cannot leave their solid stop at once, whatever their energy
    here = Cuts(cuts.electron, cuts.photon, 1, 1, math.inf)
    stack, tally, booked = scrap
    count = 0
    depth = push(stack, 0, kind, energy, x, y, z, u, v, w, weight, tally, 0, booked)
    first = True
    while depth > 0:
        depth -= 1
        kind, energy, weight = int(stack[depth, 0]), stack[depth, 1], stack[depth, 8]
        x, y, z = stack[depth, 2], stack[depth, 3], stack[depth, 4]
        u, v, w = stack[depth, 5], stack[depth, 6], stack[depth, 7]
        emerges = False
        if kind == PHOTON:
            if w <= 0.0 or energy <= cuts.photon:
                continue
            if not first:
                airy, left, rng = draw_clocks(rng)
            i, f, k, emerges, x, y, z = fly(
                energy, x, y, z, u, v, w, airy, left, collimator, jaws, leaves, tables.photon
            )
            if not emerges:
                material = AIR
                if k >= 0:
                    material = collimator.material[k]
                    if not (first and spared):
                        t = tables.photon
                        attenuation = t[material, i, 0, 0] + f * t[material, i, 0, 1]
                        attenuation *= collimator.measures[k, DENSITY]
                        survives = chance(collimator, k, jaws, leaves, x, y, z, attenuation)
                        a, rng = uniform(rng)
                        if a >= survives:
                            first = False
                            continue
                        weight /= survives
                choice, rng = uniform(rng)
                depth, rng = interact(
                    energy, x, y, z, u, v, w, weight, material, max(k, 0), choice,
                    tables, here, tally, stack, depth, booked, rng,
                )  # fmt: skip
        elif within.solid_at(placed, x, y, z) != within.NOWHERE:
            depth, rng = _transport_electron(
                kind, energy, x, y, z, u, v, w, weight,
                placed, tables, here, tally, stack, depth, booked, rng,
            )  # fmt: skip
        elif w != 0.0:
            if w > 0.0:
                k, energy, x, y, z, u, v, w, rng = drift(
                    kind, energy, x, y, z, u, v, w, collimator, jaws, leaves, tables, rng
                )
                emerges = k < 0 and energy > cuts.electron
            else:  # over a gap between leaves, as a rule
                up = (collimator.measures[0, UPPER] - z) / w
                k, way, _ = march(collimator, jaws, leaves, tables.photon, 0, 0.0, x, y, z, u, v, w, up, 0.0)
                x, y, z = x + u * way, y + v * way, z + w * way
            if k >= 0 and energy > cuts.electron:
                x, y, z = x + u * within.BEYOND, y + v * within.BEYOND, z + w * within.BEYOND
                depth = push(stack, depth, kind, energy, x, y, z, u, v, w, weight, tally, 0, booked)
        if emerges and count == out.shape[0]:
            booked[OVERFLOWS] += 1
        elif emerges:
            emit(out, count, kind, energy, x, y, z, u, v, w, weight)
            count += 1
        first = False
    counters[LOST] += booked[LOST]
    counters[OVERFLOWS] += booked[OVERFLOWS]
    booked[LOST] = booked[OVERFLOWS] = 0
    return count, rng

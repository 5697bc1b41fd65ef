"""Tracks of Compton electrons, made once and replayed from many places.

The interactions that a photon is made to do along its path (`mc.transport.photon`) set Compton electrons free
that have one law for their energy and direction, and in one material one law for their tracks. So one
electron and its track serve several interactions (history repetition: Kawrakow, Fippel and Friedrich, Med.
Phys. 23 (1996) 445; Fippel, Med. Phys. 26 (1999) 1466). The track is recorded as if its material had no end,
in mass thicknesses, and so fits any density. The replay is exact: where the track meets another material, or
voxels that want short steps, an electron goes on by itself, as one that came there on its own would
(`mc.transport.electron`).
Of each interaction the expected dose is what it was; doses of interactions that share a track vary together,
which matters only where both reach the same voxel.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import NamedTuple

import numpy as np

from mc.numerics.jit import njit, njit_inlined
from mc.physics.energy_loss import FULL_STEP, interval_of_range, range_of, strength_of
from mc.transport.electron import DONE, GONE, make_flight
from mc.transport.particle import ELECTRON, leave, push, push_amid, release_photon
from mc.transport.scoring import LOST, STEPS, loss_in_water, score_end, score_track
from mc.transport.track import (
    BREMSSTRAHLUNG,
    HARD,
    KEPT,
    KNOCK_ON,
    NOTHING,
    SCATTER,
    begin_step,
    deflect,
    next_event,
    sample_hard,
    sample_to_hard,
    spend,
)

SLOTS = 8  # tracks kept at a time, one a material; with more materials they are made anew in turn
ROWS = 256
# Columns of a row: a straight piece of the track, and what happens at its end.
(
    ENERGY, RESIDUAL, THICKNESS, END, U, V, W, IU, IV, IW,
    TRACK_BUDGET, TRACK_TO_HINGE, TRACK_REST, COLLISION, SECONDARY, A, B, C, COLUMNS,
) = range(19)  # fmt: skip
LAST = -1.0  # in place of a collision: the track ends here


class Tracks(NamedTuple):
    """Recorded tracks of the materials of a flight.

    rows : (SLOTS, ROWS, COLUMNS) float64
    events : (SLOTS, 5) float64
        Of the Compton event: energies of photon and electron [MeV], direction of the photon.
    material, uses : (SLOTS,) int64
        What each is for, and how often it was replayed.
    """

    rows: np.ndarray
    events: np.ndarray
    material: np.ndarray
    uses: np.ndarray


@njit(_nrt=True)
def new_tracks():
    """Room for the tracks of a flight."""
    return Tracks(
        np.empty((SLOTS, ROWS, COLUMNS)),
        np.empty((SLOTS, 5)),
        np.empty(SLOTS, np.int64),
        np.empty(SLOTS, np.int64),
    )


def make_replay(geometry: ModuleType):
    """Compile recording and replay over a geometry: the functions `record` and `replay`."""
    clearance, inverse = geometry.clearance, geometry.inverse
    fly = make_flight(geometry)

    @njit_inlined
    def record(track, energy, u, v, w, material, tables, cuts, counters, rng):
        """Record the track of an electron of `energy` in a material without end. Returns the rng.

        Parameters
        ----------
        track : (ROWS, COLUMNS) array
            Filled; one too short for the track ends with an electron that goes on by itself.
        """
        slowing = tables.slowing
        i, residual = range_of(slowing, tables.starts, material, 0, energy)
        strength = strength_of(slowing, material, 0, i, residual)
        _, stop = range_of(slowing, tables.starts, material, 0, cuts.electron)
        fresh, amid = True, True
        budget, to_hinge, rest, to_hard, majorant = 0.0, 0.0, 0.0, -1.0, 0.0
        n = 0
        while energy > cuts.electron and residual > stop and n < ROWS - 1:
            if fresh:
                budget = slowing[material, 0, i, FULL_STEP]
                to_hinge, rest, rng = begin_step(budget, rest, amid, rng)
                fresh = amid = False
            if to_hard < 0.0:
                to_hard, majorant, rng = sample_to_hard(energy, 0, tables, rng)
            counters[STEPS] += 1
            thickness, event = next_event(slowing, material, 0, i, residual, stop, to_hinge, to_hard)
            row = track[n]
            row[ENERGY], row[RESIDUAL], row[THICKNESS] = energy, residual, thickness
            row[U], row[V], row[W], row[IU], row[IV], row[IW] = u, v, w, inverse(u), inverse(v), inverse(w)
            row[TRACK_BUDGET], row[TRACK_TO_HINGE], row[TRACK_REST] = budget, to_hinge, rest
            row[COLLISION] = NOTHING
            i, residual, strength, to_hinge, to_hard, energy = spend(
                slowing, material, 0, residual, strength, to_hinge, to_hard, thickness
            )
            row[END] = energy
            n += 1
            if event == SCATTER:
                u, v, w, rng = deflect(energy, 0, material, budget, u, v, w, tables, rng)
                fresh, rest = True, rest + to_hinge
            elif event == HARD:
                to_hard = -1.0
                collision, after, secondary, u, v, w, a, b, c, rng = sample_hard(
                    ELECTRON, energy, u, v, w, material, majorant, tables, cuts, rng
                )
                if collision == NOTHING:
                    continue
                row[COLLISION], row[SECONDARY], row[A], row[B], row[C] = collision, secondary, a, b, c
                if after < KEPT * energy:
                    fresh, rest, amid = True, 0.0, True
                energy = after
                i, residual = range_of(slowing, tables.starts, material, 0, max(energy, cuts.electron))
                strength = strength_of(slowing, material, 0, i, residual)
        row = track[n]
        row[ENERGY], row[RESIDUAL], row[COLLISION] = energy, residual, LAST
        row[U], row[V], row[W] = u, v, w
        row[TRACK_BUDGET], row[TRACK_TO_HINGE], row[TRACK_REST] = 0.0 if fresh else budget, to_hinge, rest
        return rng

    @njit_inlined
    def replay(
        track, cell, voxel, density, material, x, y, z, weight,
        geo, tables, cuts, tally, stack, depth, counters, rng,
    ):  # fmt: skip
        """Replay a track from a point of the material it was recorded in. Returns stack depth and rng."""
        both = tally.water.ndim == 1
        deposit, to_water = 0.0, 0.0
        n, energy = 0, 0.0
        while True:
            row = track[n]
            energy, residual = row[ENERGY], row[RESIDUAL]
            if row[COLLISION] == LAST:
                break
            if energy < cuts.save and residual < density * clearance(geo, cell, x, y, z):
                break  # cannot leave this voxel
            thickness = row[THICKNESS]
            (
                how, left, energy, cell, voxel, density, _, narrow, x, y, z, deposit, to_water,
            ) = fly(
                cell, voxel, density, material, False, 0, x, y, z,
                row[U], row[V], row[W], row[IU], row[IV], row[IW], weight, residual,
                thickness, energy, deposit, to_water, geo, tables, tally, counters,
            )  # fmt: skip
            if how == GONE:
                leave(ELECTRON, energy, x, y, z, weight, counters)
                return depth, rng
            if how != DONE:
                # on the way into narrow voxels the step is given up, as `mc.transport.electron` does
                budget = 0.0 if narrow else row[TRACK_BUDGET]
                there = residual - (thickness - left)
                spent = strength_of(tables.slowing, material, 0, interval_of_range(residual), residual)
                spent -= strength_of(tables.slowing, material, 0, interval_of_range(there), there)
                depth = push_amid(
                    stack, depth, energy, x, y, z, row[U], row[V], row[W], weight,
                    budget, row[TRACK_TO_HINGE] - spent, row[TRACK_REST], tally, voxel, counters,
                )  # fmt: skip
                return depth, rng
            end = row[END]
            deposit += energy - end
            if both:
                to_water += loss_in_water(tables.water_ratio, material, energy, end)
            if row[COLLISION] == KNOCK_ON:
                depth = push(
                    stack, depth, ELECTRON, row[SECONDARY], x, y, z, row[A], row[B], row[C], weight,
                    tally, voxel, counters,
                )  # fmt: skip
            elif row[COLLISION] == BREMSSTRAHLUNG:
                depth, rng = release_photon(
                    row[SECONDARY], x, y, z, row[A], row[B], row[C], weight,
                    cuts, tally, voxel, stack, depth, counters, rng,
                )  # fmt: skip
            n += 1
        if not math.isfinite(x + y + z + energy):
            counters[LOST] += 1
            return depth, rng
        if n == ROWS - 1:  # too long for its record
            score_track(tally, voxel, deposit * weight, to_water * weight, counters)
            depth = push_amid(
                stack, depth, energy, x, y, z, row[U], row[V], row[W], weight,
                row[TRACK_BUDGET], row[TRACK_TO_HINGE], row[TRACK_REST], tally, voxel, counters,
            )  # fmt: skip
            return depth, rng
        score_end(tally, voxel, material, energy, deposit, to_water, weight, tables, cuts, counters)
        return depth, rng

    return record, replay

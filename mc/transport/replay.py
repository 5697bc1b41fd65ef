"""Tracks of Compton electrons, made once and replayed from many places.

The interactions that a photon is made to do along its path (`mc.transport.photon`) emit Compton electrons
that have one law for their energy and direction, and in one material one law for their tracks. So one
electron and its track serve several interactions (history repetition: Kawrakow, Fippel and Friedrich, Med.
Phys. 23 (1996) 445; Fippel, Med. Phys. 26 (1999) 1466). The track is recorded as if its material had no end,
in mass thicknesses, and so fits any density. The replay is exact: where the track meets another material or
an interface voxel, an electron goes on by itself, as one that came there on its own would
(`mc.transport.electron`).

Of each interaction the expected dose is what it was; doses of interactions that share a track vary together,
which matters only where both reach the same voxel.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import NamedTuple

import numpy as np

from mc.numerics.columns import FULL_STEP
from mc.numerics.jit import njit, njit_inlined
from mc.physics.energy_loss import interval_of_range, range_of, strength_of
from mc.transport.electron import tally_exit
from mc.transport.particle import (
    ELECTRON,
    PHOTON,
    Particle,
    Step,
    push,
    push_mid_step,
    with_direction,
    with_energy,
)
from mc.transport.region import COMPLETED, LEFT, make_path
from mc.transport.scoring import LOST, STEPS, Deposit, lose, score_end, score_track
from mc.transport.secondaries import emit_photon
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
    slow_down,
)

# Columns of a row: the electron at the start of a straight path, its direction and the `inverse` of that, its
# step; the path's mass thickness and the energy at its end; the collision there and what it emits.
(
    ENERGY, RESIDUAL, THICKNESS, END, U, V, W, IU, IV, IW,
    K1_STEP, TO_HINGE, AFTER_HINGE, COLLISION, SECONDARY, A, B, C, TRACK_COLUMNS,
) = range(19)  # fmt: skip
LAST = -1.0  # in place of a collision: the track ends here
SCATTERED, KNOCKED, PHOTON_U, PHOTON_V, PHOTON_W, EVENT_COLUMNS = range(6)


class Tracks(NamedTuple):
    """Recorded tracks of the materials of a flight.

    Attributes
    ----------
    rows : (slots, n, TRACK_COLUMNS) float64
        Tracks of so many materials, each of so many straight paths less one.
    events : (slots, EVENT_COLUMNS) float64
        Of the Compton event: energies of photon and electron [MeV], direction of the photon.
    material, uses : (slots,) int64
        What each is for, and how often it was replayed.
    """

    rows: np.ndarray
    events: np.ndarray
    material: np.ndarray
    uses: np.ndarray


@njit
def _step_in(row):
    """The step in a row of a track."""
    return Step(row[K1_STEP], row[TO_HINGE], row[AFTER_HINGE])


def make_replay(geometry: ModuleType):
    """Compile recording and replay over a geometry: the functions `record` and `replay`."""
    clearance, inverse = geometry.clearance, geometry.inverse
    follow_path = make_path(geometry)

    @njit_inlined
    def record(ctx, track, electron, material, rng):
        """Record the track of an electron in a material without end. Returns the rng.

        Parameters
        ----------
        ctx : Context
        track : (n, TRACK_COLUMNS) array
            Filled; one too short for the track ends with an electron that goes on by itself.
        electron : Particle
        material : int
        rng : (uint64, uint64)
        """
        tables, cuts = ctx.tables, ctx.cuts
        slowing, starts = tables.slowing, tables.starts
        i, residual = range_of(slowing, starts, material, 0, electron.energy)
        strength = strength_of(slowing, material, 0, i, residual)
        _, stop = range_of(slowing, starts, material, 0, cuts.electron_cut)
        begins, mid_step = True, True
        k1_step, to_hinge, after_hinge, to_hard, majorant = 0.0, 0.0, 0.0, -1.0, 0.0
        n = 0
        while electron.energy > cuts.electron_cut and residual > stop and n < track.shape[0] - 1:
            if begins:
                k1_step = slowing[material, 0, i, FULL_STEP]
                to_hinge, after_hinge, rng = begin_step(k1_step, after_hinge, mid_step, rng)
                begins = mid_step = False
            if to_hard < 0.0:
                to_hard, majorant, rng = sample_to_hard(electron.energy, 0, tables, rng)
            ctx.counters[STEPS] += 1
            thickness, event = next_event(slowing, material, 0, i, residual, stop, to_hinge, to_hard)
            row, u, v, w = track[n], electron.u, electron.v, electron.w
            row[ENERGY], row[RESIDUAL], row[THICKNESS] = electron.energy, residual, thickness
            row[U], row[V], row[W], row[IU], row[IV], row[IW] = u, v, w, inverse(u), inverse(v), inverse(w)
            row[K1_STEP], row[TO_HINGE], row[AFTER_HINGE] = k1_step, to_hinge, after_hinge
            row[COLLISION] = NOTHING
            i, residual, strength, to_hinge, to_hard, energy = slow_down(
                slowing, material, 0, residual, strength, to_hinge, to_hard, thickness
            )
            electron = with_energy(electron, energy)
            row[END] = energy
            n += 1
            if event == SCATTER:
                electron, rng = deflect(electron, material, k1_step, tables, rng)
                begins, after_hinge = True, after_hinge + to_hinge
            elif event == HARD:
                to_hard = -1.0
                collision, changed, emitted, rng = sample_hard(
                    electron, material, majorant, tables, cuts, rng
                )
                if collision == NOTHING:
                    continue
                row[COLLISION], row[SECONDARY] = collision, emitted.energy
                row[A], row[B], row[C] = emitted.u, emitted.v, emitted.w
                if changed.energy < KEPT * energy:
                    begins, after_hinge, mid_step = True, 0.0, True
                electron = changed
                i, residual = range_of(slowing, starts, material, 0, max(electron.energy, cuts.electron_cut))
                strength = strength_of(slowing, material, 0, i, residual)
        row = track[n]
        row[ENERGY], row[RESIDUAL], row[COLLISION] = electron.energy, residual, LAST
        row[U], row[V], row[W] = electron.u, electron.v, electron.w
        row[K1_STEP], row[TO_HINGE], row[AFTER_HINGE] = 0.0 if begins else k1_step, to_hinge, after_hinge
        return rng

    @njit_inlined
    def replay(ctx, track, photon, region, rng):
        """Replay a track from where a photon is, in the material it was recorded in. Returns the rng."""
        weight = photon.weight
        deposit = Deposit(0.0, 0.0)
        electron = Particle(ELECTRON, 0.0, photon.x, photon.y, photon.z, 0.0, 0.0, 0.0, weight)
        n = 0
        while True:
            row = track[n]
            residual = row[RESIDUAL]
            electron = with_energy(with_direction(electron, row[U], row[V], row[W]), row[ENERGY])
            if row[COLLISION] == LAST:
                break
            if electron.energy < ctx.cuts.range_rejection and residual < region.density * clearance(
                ctx.geo, region.cell, electron.x, electron.y, electron.z
            ):
                break  # cannot leave this voxel
            thickness = row[THICKNESS]
            before = region
            how, left, electron, region, deposit = follow_path(
                ctx, electron, (row[IU], row[IV], row[IW]), region, residual, thickness, deposit
            )
            if how == LEFT:
                tally_exit(electron, ctx.counters)
                return rng
            if how != COMPLETED:
                # on entering interface voxels the step is dropped, as `mc.transport.electron` does
                k1_step = 0.0 if region.interface else row[K1_STEP]
                slowing, material, there = ctx.tables.slowing, before.material, residual - (thickness - left)
                spent = strength_of(slowing, material, 0, interval_of_range(residual), residual)
                spent -= strength_of(slowing, material, 0, interval_of_range(there), there)
                step = Step(k1_step, row[TO_HINGE] - spent, row[AFTER_HINGE])
                push_mid_step(ctx, electron, step, region.voxel)
                return rng
            deposit = lose(ctx, deposit, before.material, electron.energy, row[END])
            if row[COLLISION] == KNOCK_ON:
                knocked = Particle(
                    ELECTRON,
                    row[SECONDARY],
                    electron.x,
                    electron.y,
                    electron.z,
                    row[A],
                    row[B],
                    row[C],
                    weight,
                )
                push(ctx, knocked, region.voxel)
            elif row[COLLISION] == BREMSSTRAHLUNG:
                radiated = Particle(
                    PHOTON, row[SECONDARY], electron.x, electron.y, electron.z, row[A], row[B], row[C], weight
                )
                rng = emit_photon(ctx, radiated, region.voxel, rng)
            n += 1
        if not math.isfinite(electron.x + electron.y + electron.z + electron.energy):
            ctx.counters[LOST] += 1
            return rng
        if n == track.shape[0] - 1:  # too long for its record
            score_track(ctx, region.voxel, deposit, weight)
            push_mid_step(ctx, electron, _step_in(row), region.voxel)
            return rng
        score_end(ctx, region, deposit, electron.energy, weight)
        return rng

    return record, replay

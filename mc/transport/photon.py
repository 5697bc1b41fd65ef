"""Photon transport: ray tracing with interaction splitting.

A photon is traced through the voxels once and made to interact at N stratified optical depths,
-ln(1 - (u + j)/N) for j = 0 .. N-1, each time as a photon of 1/N of its weight (interaction splitting,
Kawrakow and Fippel, Phys. Med. Biol. 45 (2000) 2163). Photons that come of it, or of its electrons, play
Russian roulette at 1/N and so carry the full weight again; a Compton scattered one of energy E' at E'/E in N,
so that each of its own interactions deposits about as much as one of this photon. One trace thus serves N
interactions, whose Compton electrons share a track (`mc.transport.replay`). N = 1 is analogue transport.
"""

from __future__ import annotations

import math
from types import ModuleType

from mc.numerics.columns import ATTENUATION, COMPTON, LOW, PAIR, RAYLEIGH, RISE, interval_value
from mc.numerics.constants import ELECTRON_MASS
from mc.numerics.jit import njit, njit_device, njit_inlined
from mc.numerics.rng import uniform
from mc.numerics.sampling import azimuth, energy_position, rotate
from mc.physics.compton import sample_compton
from mc.physics.pair import sample_pair
from mc.physics.photoelectric import sample_photoelectron
from mc.physics.rayleigh import sample_rayleigh
from mc.physics.relaxation import sample_shell, sample_transition
from mc.physics.triplet import MIN_TRIPLET, sample_triplet
from mc.transport.particle import (
    ELECTRON,
    PHOTON,
    POSITRON,
    moved,
    secondary,
    tally_energy,
    with_weight,
)
from mc.transport.region import make_region
from mc.transport.replay import KNOCKED, PHOTON_U, PHOTON_V, PHOTON_W, SCATTERED, make_replay
from mc.transport.scoring import ESCAPED, FLIGHTS, score
from mc.transport.secondaries import emit_charged, emit_photon


@njit_inlined
def interact(ctx, photon, material, voxel, choice, rng):
    """Let a photon interact once; its secondaries go on the stack. Returns the rng.

    `choice`, uniform in (0, 1), selects the process.
    """
    tables, energy = ctx.tables, photon.energy
    u, v, w = photon.u, photon.v, photon.w
    i, f = energy_position(energy)
    compton = interval_value(tables.photon, material, i, COMPTON, f)
    rayleigh = interval_value(tables.photon, material, i, RAYLEIGH, f)
    pair = interval_value(tables.photon, material, i, PAIR, f)
    c, s, rng = azimuth(rng)
    if choice < compton:
        scattered, cosine, electron_cosine, rng = sample_compton(energy, tables.incoherent, material, rng)
        a, b, d = rotate(u, v, w, electron_cosine, -c, -s)
        rng = emit_charged(ctx, secondary(photon, ELECTRON, energy - scattered, a, b, d), voxel, rng)
        a, b, d = rotate(u, v, w, cosine, c, s)
        return emit_photon(ctx, secondary(photon, PHOTON, scattered, a, b, d), voxel, rng, scattered / energy)
    if choice < rayleigh:
        cosine, rng = sample_rayleigh(energy, tables.coherent, material, rng)
        a, b, d = rotate(u, v, w, cosine, c, s)
        return emit_photon(ctx, secondary(photon, PHOTON, energy, a, b, d), voxel, rng)
    if choice < pair and energy > 2.0 * ELECTRON_MASS:
        a, rng = uniform(rng)
        share = tables.triplet[material, i, LOW] + f * tables.triplet[material, i, RISE]
        if a < share and energy > MIN_TRIPLET:
            return make_triplet(ctx, photon, c, s, material, voxel, rng)
        electron, electron_cosine, positron, positron_cosine, rng = sample_pair(
            energy, tables.z_pair[material], rng
        )
        a, b, d = rotate(u, v, w, electron_cosine, c, s)
        rng = emit_charged(ctx, secondary(photon, ELECTRON, electron, a, b, d), voxel, rng)
        a, b, d = rotate(u, v, w, positron_cosine, -c, -s)
        return emit_charged(ctx, secondary(photon, POSITRON, positron, a, b, d), voxel, rng)
    shell, rng = sample_shell(energy, i, f, tables.shells, tables.binding, material, rng)
    if shell >= 0:
        energy -= tables.binding[shell]
        rng = relax(ctx, photon, shell, voxel, rng)
    cosine, rng = sample_photoelectron(energy, rng)
    a, b, d = rotate(u, v, w, cosine, c, s)
    return emit_charged(ctx, secondary(photon, ELECTRON, energy, a, b, d), voxel, rng)


@njit
def _sum_of_angles(c, s, emission):
    """Cosine and sine of the sum of an azimuth (c, s) and that of an emission."""
    return c * emission.cos_phi - s * emission.sin_phi, s * emission.cos_phi + c * emission.sin_phi


@njit_device
def make_triplet(ctx, photon, c, s, material, voxel, rng):
    """Emit recoil, electron and positron of a triplet; (c, s): azimuth of the recoil. Returns the rng."""
    u, v, w = photon.u, photon.v, photon.w
    recoil, electron, positron, rng = sample_triplet(photon.energy, ctx.tables.incoherent, material, rng)
    a, b, d = rotate(u, v, w, recoil.cos_theta, c, s)
    rng = emit_charged(ctx, secondary(photon, ELECTRON, recoil.energy, a, b, d), voxel, rng)
    a, b, d = rotate(u, v, w, electron.cos_theta, *_sum_of_angles(c, s, electron))
    rng = emit_charged(ctx, secondary(photon, ELECTRON, electron.energy, a, b, d), voxel, rng)
    a, b, d = rotate(u, v, w, positron.cos_theta, *_sum_of_angles(c, s, positron))
    return emit_charged(ctx, secondary(photon, POSITRON, positron.energy, a, b, d), voxel, rng)


@njit_device
def relax(ctx, photon, shell, voxel, rng):
    """Fill a vacancy: isotropic fluorescence photons, Auger electrons stop on the spot. Returns the rng."""
    tables = ctx.tables
    rest = tables.binding[shell]
    while shell >= 0:
        energy, shell, rng = sample_transition(shell, tables.relaxation, rng)
        if energy > 0.0:
            rest -= energy
            a, rng = uniform(rng)
            c, s, rng = azimuth(rng)
            u, v, w = rotate(0.0, 0.0, 1.0, 2.0 * a - 1.0, c, s)
            rng = emit_photon(ctx, secondary(photon, PHOTON, energy, u, v, w), voxel, rng)
    score(ctx, voxel, rest * photon.weight)
    return rng


def make_photon(geometry: ModuleType):
    """Compile photon transport over a geometry (a module such as `mc.geometry.voxels`)."""
    locate, inverse = geometry.locate, geometry.inverse
    face_distances, cross = geometry.face_distances, geometry.cross
    region_of = make_region(geometry)
    record, replay = make_replay(geometry)

    @njit_inlined
    def scatter(ctx, photon, region, slots, rng):
        """Compton scattering, the event and the electron's track shared by interactions in one material.

        Returns the number of tracks in use, and the rng.
        """
        tables, cuts, tracks = ctx.tables, ctx.cuts, ctx.tracks
        material, voxel = region.material, region.voxel
        slot = 0
        while slot < slots and tracks.material[slot] != material:
            slot += 1
        if slot == tracks.uses.shape[0]:
            slot = int(voxel % tracks.uses.shape[0])
            tracks.uses[slot] = cuts.track_repeat
        if slot == slots or tracks.uses[slot] == cuts.track_repeat:
            energy, u, v, w = photon.energy, photon.u, photon.v, photon.w
            scattered, cosine, electron_cosine, rng = sample_compton(energy, tables.incoherent, material, rng)
            c, s, rng = azimuth(rng)
            tracks.material[slot], tracks.uses[slot] = material, 0
            event = tracks.events[slot]
            event[SCATTERED], event[KNOCKED] = scattered, energy - scattered
            event[PHOTON_U], event[PHOTON_V], event[PHOTON_W] = rotate(u, v, w, cosine, c, s)
            slots = max(slots, slot + 1)
            if event[KNOCKED] > cuts.electron_cut:
                a, b, d = rotate(u, v, w, electron_cosine, -c, -s)
                electron = secondary(photon, ELECTRON, event[KNOCKED], a, b, d)
                rng = record(ctx, tracks.rows[slot], electron, material, rng)
        tracks.uses[slot] += 1
        event = tracks.events[slot]
        if event[KNOCKED] > cuts.electron_cut:
            rng = replay(ctx, tracks.rows[slot], photon, region, rng)
        else:
            score(ctx, voxel, event[KNOCKED] * photon.weight)
        scattered = event[SCATTERED]
        emitted = secondary(photon, PHOTON, scattered, event[PHOTON_U], event[PHOTON_V], event[PHOTON_W])
        return slots, emit_photon(ctx, emitted, voxel, rng, scattered / photon.energy)

    @njit_inlined
    def transport_photon(ctx, photon, rng):
        """Trace one photon and let it interact at up to N places. Returns the rng."""
        geo, cuts, t = ctx.geo, ctx.cuts, ctx.tables.photon
        ctx.counters[FLIGHTS] += 1
        i, f = energy_position(photon.energy)
        share = 1.0 / cuts.photon_split
        first, rng = uniform(rng)
        interactions, slots = 0, 0
        left = -math.log1p(-share * first)  # optical depth to the next interaction
        cell = locate(geo, photon.x, photon.y, photon.z)
        iu, iv, iw = inverse(photon.u), inverse(photon.v), inverse(photon.w)
        path = 0.0  # length so far [cm]
        to_x, to_y, to_z = face_distances(geo, cell, photon.x, photon.y, photon.z, iu, iv, iw)
        known, attenuation = -1, 0.0  # material and its mass attenuation
        while True:
            region = region_of(geo, cell)
            material = region.material
            if material != known:
                known, attenuation = material, interval_value(t, material, i, ATTENUATION, f)
            end, face = to_x, 0
            if to_y < end:
                end, face = to_y, 1
            if to_z < end:
                end, face = to_z, 2
            depths = max(0.0, end - path) * region.density * attenuation
            while left < depths:
                depths -= left
                path += left / (region.density * attenuation)
                split = with_weight(moved(photon, path), photon.weight * share)
                choice, rng = uniform(rng)
                if (
                    cuts.track_repeat > 1
                    and not region.interface
                    and choice < interval_value(t, material, i, COMPTON, f)
                ):
                    slots, rng = scatter(ctx, split, region, slots, rng)
                else:
                    rng = interact(ctx, split, material, region.voxel, choice, rng)
                interactions += 1
                if interactions == cuts.photon_split:
                    return rng
                # -ln(1 - p) at the next p, less that at the last
                last = 1.0 - share * (first + interactions - 1)
                left = math.log(last / (last - share))
            left -= depths
            path = max(path, end)
            cell, inside = cross(geo, cell, face, iu, iv, iw)
            if not inside:
                rest = with_weight(photon, photon.weight * (1.0 - share * interactions))
                tally_energy(rest, ESCAPED, ctx.counters)
                return rng
            if face == 0:
                to_x = face_distances(geo, cell, photon.x, photon.y, photon.z, iu, iv, iw)[0]
            elif face == 1:
                to_y = face_distances(geo, cell, photon.x, photon.y, photon.z, iu, iv, iw)[1]
            else:
                to_z = face_distances(geo, cell, photon.x, photon.y, photon.z, iu, iv, iw)[2]

    return transport_photon

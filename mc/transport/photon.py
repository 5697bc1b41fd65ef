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

from mc.numerics.constants import ELECTRON_MASS
from mc.numerics.jit import njit, njit_inlined
from mc.numerics.rng import uniform
from mc.numerics.sampling import azimuth, energy_position, rotate
from mc.physics.compton import sample_compton
from mc.physics.pair import sample_pair
from mc.physics.photoelectric import sample_photoelectron
from mc.physics.rayleigh import sample_rayleigh
from mc.physics.relaxation import sample_shell, sample_transition
from mc.physics.triplet import LEAST_TRIPLET, sample_triplet
from mc.transport.particle import ELECTRON, PHOTON, POSITRON, escape, release_charged, release_photon
from mc.transport.replay import SLOTS, make_replay
from mc.transport.scoring import ESCAPED, FLIGHTS, score


@njit_inlined
def interact(
    energy, x, y, z, u, v, w, weight, material, voxel, choice,
    tables, cuts, tally, stack, depth, counters, rng,
):  # fmt: skip
    """Let a photon interact once; what it sets free goes on the stack. Returns stack depth and rng.

    `choice`, uniform in (0, 1), tells how.
    """
    i, f = energy_position(energy)
    t = tables.photon
    compton = t[material, i, 1, 0] + f * t[material, i, 1, 1]
    rayleigh = t[material, i, 2, 0] + f * t[material, i, 2, 1]
    pair = t[material, i, 3, 0] + f * t[material, i, 3, 1]
    c, s, rng = azimuth(rng)
    if choice < compton:
        scattered, cosine, electron_cosine, rng = sample_compton(energy, tables.incoherent, material, rng)
        a, b, d = rotate(u, v, w, electron_cosine, -c, -s)
        depth, rng = release_charged(
            ELECTRON, energy - scattered, x, y, z, a, b, d,
            weight, cuts, tally, voxel, stack, depth, counters, rng,
        )  # fmt: skip
        a, b, d = rotate(u, v, w, cosine, c, s)
        return release_photon(
            scattered, x, y, z, a, b, d,
            weight, cuts, tally, voxel, stack, depth, counters, rng, scattered / energy,
        )  # fmt: skip
    if choice < rayleigh:
        cosine, rng = sample_rayleigh(energy, tables.coherent, material, rng)
        a, b, d = rotate(u, v, w, cosine, c, s)
        return release_photon(
            energy, x, y, z, a, b, d, weight, cuts, tally, voxel, stack, depth, counters, rng
        )
    if choice < pair and energy > 2.0 * ELECTRON_MASS:
        a, rng = uniform(rng)
        share = tables.triplet[material, i, 0] + f * tables.triplet[material, i, 1]
        if a < share and energy > LEAST_TRIPLET:
            return make_triplet(
                energy, x, y, z, u, v, w, weight, c, s, material, voxel,
                tables, cuts, tally, stack, depth, counters, rng,
            )  # fmt: skip
        electron, electron_cosine, positron, positron_cosine, rng = sample_pair(
            energy, tables.z_pair[material], rng
        )
        a, b, d = rotate(u, v, w, electron_cosine, c, s)
        depth, rng = release_charged(
            ELECTRON, electron, x, y, z, a, b, d,
            weight, cuts, tally, voxel, stack, depth, counters, rng,
        )  # fmt: skip
        a, b, d = rotate(u, v, w, positron_cosine, -c, -s)
        return release_charged(
            POSITRON, positron, x, y, z, a, b, d,
            weight, cuts, tally, voxel, stack, depth, counters, rng,
        )  # fmt: skip
    shell, rng = sample_shell(energy, i, f, tables.shells, tables.binding, material, rng)
    if shell >= 0:
        energy -= tables.binding[shell]
        depth, rng = relax(shell, x, y, z, weight, voxel, tables, cuts, tally, stack, depth, counters, rng)
    cosine, rng = sample_photoelectron(energy, rng)
    a, b, d = rotate(u, v, w, cosine, c, s)
    return release_charged(
        ELECTRON, energy, x, y, z, a, b, d, weight, cuts, tally, voxel, stack, depth, counters, rng
    )


@njit
def make_triplet(
    energy, x, y, z, u, v, w, weight, c, s, material, voxel, tables, cuts, tally, stack, depth, counters, rng
):
    """Set the recoil, electron and positron of a triplet free; (c, s) is the azimuth of the recoil."""
    (
        recoil, recoil_cosine, electron, electron_cosine, electron_c, electron_s,
        positron, positron_cosine, positron_c, positron_s, rng,
    ) = sample_triplet(energy, tables.incoherent, material, rng)  # fmt: skip
    a, b, d = rotate(u, v, w, recoil_cosine, c, s)
    depth, rng = release_charged(
        ELECTRON, recoil, x, y, z, a, b, d, weight, cuts, tally, voxel, stack, depth, counters, rng
    )
    a, b, d = rotate(
        u, v, w, electron_cosine, c * electron_c - s * electron_s, s * electron_c + c * electron_s
    )
    depth, rng = release_charged(
        ELECTRON, electron, x, y, z, a, b, d, weight, cuts, tally, voxel, stack, depth, counters, rng
    )
    a, b, d = rotate(
        u, v, w, positron_cosine, c * positron_c - s * positron_s, s * positron_c + c * positron_s
    )
    return release_charged(
        POSITRON, positron, x, y, z, a, b, d, weight, cuts, tally, voxel, stack, depth, counters, rng
    )


@njit
def relax(shell, x, y, z, weight, voxel, tables, cuts, tally, stack, depth, counters, rng):
    """Fill a vacancy: fluorescence photons fly off in all directions, Auger electrons stop on the spot."""
    rest = tables.binding[shell]
    while shell >= 0:
        photon, shell, rng = sample_transition(shell, tables.relaxation, rng)
        if photon > 0.0:
            rest -= photon
            a, rng = uniform(rng)
            c, s, rng = azimuth(rng)
            u, v, w = rotate(0.0, 0.0, 1.0, 2.0 * a - 1.0, c, s)
            depth, rng = release_photon(
                photon, x, y, z, u, v, w, weight, cuts, tally, voxel, stack, depth, counters, rng
            )
    score(tally, voxel, rest * weight, counters)
    return depth, rng


def make_photon(geometry: ModuleType):
    """Compile photon transport over a geometry (a module such as `mc.geometry.voxels`)."""
    locate, index, medium = geometry.locate, geometry.index, geometry.medium
    inverse, ahead, cross = geometry.inverse, geometry.ahead, geometry.cross
    record, replay = make_replay(geometry)

    @njit_inlined
    def scatter(
        energy, x, y, z, u, v, w, weight, cell, voxel, density, material, slots,
        geo, tables, cuts, tally, stack, depth, tracks, counters, rng,
    ):  # fmt: skip
        """Compton scattering, the event and the electron's track shared by interactions in one material.

        Returns the number of tracks in use, stack depth and rng.
        """
        slot = 0
        while slot < slots and tracks.material[slot] != material:
            slot += 1
        if slot == SLOTS:
            slot = int(voxel % SLOTS)
            tracks.uses[slot] = cuts.repeat
        if slot == slots or tracks.uses[slot] == cuts.repeat:
            scattered, cosine, electron_cosine, rng = sample_compton(energy, tables.incoherent, material, rng)
            c, s, rng = azimuth(rng)
            tracks.material[slot], tracks.uses[slot] = material, 0
            event = tracks.events[slot]
            event[0], event[1] = scattered, energy - scattered
            event[2], event[3], event[4] = rotate(u, v, w, cosine, c, s)
            slots = max(slots, slot + 1)
            if event[1] > cuts.electron:
                a, b, d = rotate(u, v, w, electron_cosine, -c, -s)
                rng = record(tracks.rows[slot], event[1], a, b, d, material, tables, cuts, counters, rng)
        tracks.uses[slot] += 1
        event = tracks.events[slot]
        if event[1] > cuts.electron:
            depth, rng = replay(
                tracks.rows[slot], cell, voxel, density, material, x, y, z, weight,
                geo, tables, cuts, tally, stack, depth, counters, rng,
            )  # fmt: skip
        else:
            score(tally, voxel, event[1] * weight, counters)
        depth, rng = release_photon(
            event[0], x, y, z, event[2], event[3], event[4],
            weight, cuts, tally, voxel, stack, depth, counters, rng, event[0] / energy,
        )  # fmt: skip
        return slots, depth, rng

    @njit_inlined
    def transport_photon(
        energy, x, y, z, u, v, w, weight, geo, tables, cuts, tally, stack, depth, tracks, counters, rng
    ):
        """Trace one photon and let it interact at up to N places. Returns stack depth and rng."""
        counters[FLIGHTS] += 1
        i, f = energy_position(energy)
        share = 1.0 / cuts.split
        first, rng = uniform(rng)
        interactions, slots = 0, 0
        left = -math.log1p(-share * first)  # optical depth to the next interaction
        cell = locate(geo, x, y, z)
        iu, iv, iw = inverse(u), inverse(v), inverse(w)
        way = 0.0  # flown so far [cm]
        to_x, to_y, to_z = ahead(geo, cell, x, y, z, iu, iv, iw)
        t = tables.photon
        known, attenuation = -1, 0.0  # material and its mass attenuation
        while True:
            voxel = index(geo, cell)
            density, material, narrow = medium(geo, voxel)
            if material != known:
                known, attenuation = material, t[material, i, 0, 0] + f * t[material, i, 0, 1]
            end, face = to_x, 0
            if to_y < end:
                end, face = to_y, 1
            if to_z < end:
                end, face = to_z, 2
            depths = max(0.0, end - way) * density * attenuation
            while left < depths:
                depths -= left
                way += left / (density * attenuation)
                a, b, c = x + u * way, y + v * way, z + w * way
                choice, rng = uniform(rng)
                if (
                    cuts.repeat > 1
                    and not narrow
                    and choice < t[material, i, 1, 0] + f * t[material, i, 1, 1]
                ):
                    slots, depth, rng = scatter(
                        energy, a, b, c, u, v, w, weight * share, cell, voxel, density, material, slots,
                        geo, tables, cuts, tally, stack, depth, tracks, counters, rng,
                    )  # fmt: skip
                else:
                    depth, rng = interact(
                        energy, a, b, c, u, v, w, weight * share, material, voxel, choice,
                        tables, cuts, tally, stack, depth, counters, rng,
                    )  # fmt: skip
                interactions += 1
                if interactions == cuts.split:
                    return depth, rng
                # -ln(1 - p) at the next p, less that at the last
                last = 1.0 - share * (first + interactions - 1)
                left = math.log(last / (last - share))
            left -= depths
            way = max(way, end)
            cell, within = cross(geo, cell, face, iu, iv, iw)
            if not within:
                escape(PHOTON, energy, weight * (1.0 - share * interactions), ESCAPED, counters)
                return depth, rng
            if face == 0:
                to_x = ahead(geo, cell, x, y, z, iu, iv, iw)[0]
            elif face == 1:
                to_y = ahead(geo, cell, x, y, z, iu, iv, iw)[1]
            else:
                to_z = ahead(geo, cell, x, y, z, iu, iv, iw)[2]

    return transport_photon

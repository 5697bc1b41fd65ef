"""Photon transport: Woodcock tracking and the choice of interaction."""

from __future__ import annotations

import math
from types import ModuleType

from mc.constants import ELECTRON_MASS
from mc.jit import njit
from mc.physics.compton import sample_compton
from mc.physics.pair import sample_pair
from mc.physics.photoelectric import sample_photoelectron
from mc.physics.rayleigh import sample_rayleigh
from mc.rng import uniform
from mc.sampling import azimuth, energy_position, rotate
from mc.transport.particle import ELECTRON, PHOTON, POSITRON, annihilate_at_rest, escape, push
from mc.transport.scoring import ESCAPED, FLIGHTS, score


@njit
def release_electron(kind, energy, x, y, z, u, v, w, weight, cuts, stack, depth, tally, voxel, counters, rng):
    """Send a charged particle on its way, or deposit it where it is if it is below the cut-off."""
    if energy > cuts.electron:
        depth = push(stack, depth, kind, energy, x, y, z, u, v, w, weight, tally, voxel, counters)
    else:
        score(tally, voxel, energy * weight)
        if kind == POSITRON:
            depth, rng = annihilate_at_rest(
                stack, depth, x, y, z, weight, cuts.photon, tally, voxel, counters, rng
            )
    return depth, rng


def make_photon(geometry: ModuleType):
    """Compile photon transport over a geometry (a module such as `mc.geometry.voxels`)."""
    locate, index, medium = geometry.locate, geometry.index, geometry.medium
    locate_block, block_majorant = geometry.locate_block, geometry.block_majorant
    block_boundary, block_cross, inside = geometry.block_boundary, geometry.block_cross, geometry.inside

    @njit
    def fly(geo, tables, energy, x, y, z, u, v, w, rng):
        """Fly to the next interaction.

        Woodcock, Murphy, Hemmings and Longworth, ANL-7050 (1965), with a majorant per block of voxels:
        optical depth left over at a block's face is spent in the next block.

        Returns
        -------
        voxel : int
            Where the photon interacts, -1 if it left the geometry.
        x, y, z, rng
        """
        interval, fraction = energy_position(energy)
        block = locate_block(geo, x, y, z)
        a, rng = uniform(rng)
        depth = -math.log(a)
        while True:
            majorant = block_majorant(geo, block, interval, fraction)
            distance, face = block_boundary(geo, block, x, y, z, u, v, w)
            if depth >= distance * majorant:  # on to the next block
                depth -= distance * majorant
                x, y, z = x + u * distance, y + v * distance, z + w * distance
                block, within = block_cross(geo, block, face, u, v, w)
                if not within:
                    return -1, x, y, z, rng
                continue
            distance = depth / majorant
            x, y, z = x + u * distance, y + v * distance, z + w * distance
            if not inside(geo, x, y, z):
                return -1, x, y, z, rng
            voxel = index(geo, locate(geo, x, y, z))
            density, material, _ = medium(geo, voxel)
            low, high = tables.photon[material, interval, 0], tables.photon[material, interval + 1, 0]
            a, rng = uniform(rng)
            if a * majorant < density * (low + fraction * (high - low)):
                return voxel, x, y, z, rng
            a, rng = uniform(rng)
            depth = -math.log(a)

    @njit
    def transport_photon(
        energy, x, y, z, u, v, w, weight, geo, tables, cuts, tally, stack, depth, counters, rng
    ):
        """Follow one photon until it is absorbed or escapes. Returns the stack's depth and the rng."""
        while True:
            voxel, x, y, z, rng = fly(geo, tables, energy, x, y, z, u, v, w, rng)
            counters[FLIGHTS] += 1
            if voxel < 0:
                escape(PHOTON, energy, weight, ESCAPED, counters)
                return depth, rng
            _, material, _ = medium(geo, voxel)
            i, f = energy_position(energy)
            t = tables.photon
            compton = t[material, i, 1] + f * (t[material, i + 1, 1] - t[material, i, 1])
            rayleigh = t[material, i, 2] + f * (t[material, i + 1, 2] - t[material, i, 2])
            pair = t[material, i, 3] + f * (t[material, i + 1, 3] - t[material, i, 3])
            choice, rng = uniform(rng)
            if choice < compton:
                scattered, cosine, electron_cosine, rng = sample_compton(
                    energy, tables.incoherent, material, rng
                )
                c, s, rng = azimuth(rng)
                eu, ev, ew = rotate(u, v, w, electron_cosine, -c, -s)
                depth, rng = release_electron(
                    ELECTRON, energy - scattered, x, y, z, eu, ev, ew,
                    weight, cuts, stack, depth, tally, voxel, counters, rng,
                )  # fmt: skip
                energy = scattered
                if energy <= cuts.photon:
                    score(tally, voxel, energy * weight)
                    return depth, rng
                u, v, w = rotate(u, v, w, cosine, c, s)
            elif choice < rayleigh:
                cosine, rng = sample_rayleigh(energy, tables.coherent, material, rng)
                c, s, rng = azimuth(rng)
                u, v, w = rotate(u, v, w, cosine, c, s)
            elif choice < pair and energy > 2.0 * ELECTRON_MASS:
                electron, electron_cosine, positron, positron_cosine, rng = sample_pair(
                    energy, tables.z_pair[material], rng
                )
                c, s, rng = azimuth(rng)
                eu, ev, ew = rotate(u, v, w, electron_cosine, c, s)
                depth, rng = release_electron(
                    ELECTRON, electron, x, y, z, eu, ev, ew,
                    weight, cuts, stack, depth, tally, voxel, counters, rng,
                )  # fmt: skip
                eu, ev, ew = rotate(u, v, w, positron_cosine, -c, -s)
                return release_electron(
                    POSITRON, positron, x, y, z, eu, ev, ew,
                    weight, cuts, stack, depth, tally, voxel, counters, rng,
                )  # fmt: skip
            else:  # photoelectric
                cosine, rng = sample_photoelectron(energy, rng)
                c, s, rng = azimuth(rng)
                u, v, w = rotate(u, v, w, cosine, c, s)
                return release_electron(
                    ELECTRON, energy, x, y, z, u, v, w,
                    weight, cuts, stack, depth, tally, voxel, counters, rng,
                )  # fmt: skip

    return transport_photon

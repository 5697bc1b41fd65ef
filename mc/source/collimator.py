"""Particles on their way through jaws, leaves or a cone.

A photon is traced through the solids (`mc.geometry.collimator`): it passes with the probability of its
attenuation, its weight unchanged. Where it interacts, the photons that come of it are followed likewise, to
any order, until they emerge below, fall under the cut-off or turn back: Compton and Rayleigh scattering and
the annihilation of a pair's positron, at rest where it was born. Photons deep inside a solid, from where
little returns, and those that meet one squarely play Russian roulette, which changes no mean. Left out are
what electrons radiate in the solids, fluorescence, and photons that turn back up.

The air around and between the solids scatters as well. Charged particles of the phase space, and the Compton
electrons of the air, are slowed down and deflected by it; a solid stops them. Those that photons set free in
a solid stay in it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mc.collimators import Block, Collimators, Cones, Jaws, Leaves
from mc.constants import ELECTRON_MASS
from mc.geometry.collimator import (
    CONE,
    DENSITY,
    FLAT,
    FOCUSED,
    JAWS,
    LEAVES,
    LOWER,
    MEASURES,
    OFFSET,
    OPEN,
    RADIUS,
    ROUNDED,
    SHUT,
    THICK,
    UPPER,
    Collimator,
    depth_in,
    glance,
    march,
)
from mc.jit import njit, njit_inlined
from mc.machine import Machine
from mc.physics.compton import sample_compton
from mc.physics.energy_loss import energy_of, interval_of_range, range_of, strength_of
from mc.physics.rayleigh import sample_rayleigh
from mc.rng import uniform
from mc.sampling import azimuth, energy_position, rotate
from mc.transport.particle import ELECTRON, PHOTON
from mc.transport.scoring import LOST, OVERFLOWS
from mc.transport.track import deflect
from phantoms.errors import InputError
from phantoms.materials import Material, load_materials

__all__ = ["OUT_COLUMNS", "OUT_ROWS", "Collimator", "build_collimator", "collimate", "collimator_materials"]

OUT_ROWS, OUT_COLUMNS = 32, 9  # of `out`: room for all that one particle can send out
NEAR = 2.0  # mean free paths to the way out within which every interaction is followed
LEAST_CHANCE = 0.05  # of surviving roulette anywhere
BEHIND = 0.5  # from where on an end is thick, behind all of its curve [cm]
ENDS = {"focused": FOCUSED, "flat": FLAT, "rounded": ROUNDED, "cylindrical": FLAT}
AIR = 0  # material of every phantom's first place


def collimator_materials(collimators: Collimators) -> tuple[Material, ...]:
    """Air, which lies between the solids, and the materials of the collimators, each once."""
    return tuple(dict.fromkeys((load_materials()["air"], *collimators.materials)))


def build_collimator(
    machine: Machine, materials: Sequence[Material], cone: float | None = None
) -> Collimator:
    """Lay a machine's collimators out for the kernels.

    Parameters
    ----------
    machine : Machine
    materials : sequence of Material
        Those the tables are built for, in their order: air first (`collimator_materials`).
    cone : float, optional
        Diameter of the mounted cone in the isocentre plane [cm]; needed if the machine has nothing else.

    Raises
    ------
    InputError
        If the machine has no collimators, or no such cone.
    """
    collimators = machine.collimators
    if collimators is None:
        raise InputError(
            machine.path, "describes no collimators", "add [collimators], or a phase space below the jaws"
        )
    if materials[AIR].name != "air":
        raise InputError("materials", f"{materials[AIR].name} is first", "air must be")
    blocks: list[Block] = [*collimators.jaws]
    blocks += [collimators.leaves] if collimators.leaves else []
    if collimators.cones and (cone is not None or not blocks):
        blocks.append(_mounted(machine, collimators.cones, cone))
    blocks.sort(key=lambda block: block.top_cm)
    measures = np.zeros((len(blocks), MEASURES))
    columns: dict[str, list[int]] = {"shape": [], "axis": [], "ends": [], "at_tip": [], "material": []}
    for block, row in zip(blocks, measures, strict=True):
        row[:DENSITY] = block.top_cm, block.bottom_cm
        row[DENSITY] = block.density
        shape, axis, ends, at_tip = CONE, "X", "focused", False
        if isinstance(block, Cones):
            ends = block.bore
            row[RADIUS] = 0.5 * cone
        elif isinstance(block, Jaws | Leaves):
            shape, axis = JAWS if isinstance(block, Jaws) else LEAVES, block.axis
            ends, at_tip = block.ends.kind, block.ends.position == "tip"
            radius, half = block.ends.radius_cm, 0.5 * (block.bottom_cm - block.top_cm)
            row[RADIUS], row[OFFSET] = radius, block.ends.offset_cm
            row[THICK] = BEHIND + (radius - math.sqrt(radius**2 - half**2) if radius else 0.0)
        facts = shape, "XY".index(axis), ENDS[ends], at_tip, materials.index(block.material)
        for column, fact in zip(columns.values(), facts, strict=True):
            column.append(int(fact))
    leaves = collimators.leaves
    bands, shifts = _sides(leaves) if leaves else ([0.0, 0.0], [0.0])
    gap, tilt, height = (
        (leaves.gap_cm, leaves.tilt_rad, leaves.bottom_cm - leaves.top_cm) if leaves else (0, 0, 0)
    )
    return Collimator(
        sad=machine.sad_cm,
        bottom=blocks[-1].bottom_cm,
        air_density=load_materials()["air"].density,
        **{name: np.array(column, np.int64) for name, column in columns.items()},
        measures=measures,
        bands=np.array(bands),
        shifts=np.array(shifts),
        boundaries=np.array(leaves.boundaries_cm if leaves else (-1.0, 1.0)) / machine.sad_cm,
        half_gap=0.5 * gap,
        tilt=float(tilt),
        reach=0.5 * gap + 0.5 * abs(tilt) * height + max(map(abs, shifts)),
    )


def _sides(leaves: Leaves) -> tuple[list[float], list[float]]:
    """Bands of height in which the leaf sides are planes, and how much each is shifted."""
    edges = [leaves.top_cm, leaves.tongue_top_cm, leaves.tongue_bottom_cm, leaves.bottom_cm]
    half = 0.5 * leaves.tongue_cm
    shifts = [-half, half, -half]
    kept = [i for i in range(3) if edges[i + 1] > edges[i]]
    return [edges[i] for i in kept] + [edges[-1]], [shifts[i] for i in kept]


def _mounted(machine: Machine, cones: Cones, diameter: float | None) -> Cones:
    known = f"it has {', '.join(f'{cone:g}' for cone in cones.diameters_cm)} cm"
    if diameter is None:
        raise InputError(machine.path, "its fields need a cone, and none is named", known)
    if not any(abs(cone - diameter) < 1e-3 for cone in cones.diameters_cm):
        raise InputError(machine.path, f"no cone of diameter {diameter:g} cm", known)
    return cones


@njit
def _emit(out, count, kind, energy, x, y, z, u, v, w, weight):
    """Write a particle, in beam limiting device coordinates, into a row of `out`."""
    out[count, 0], out[count, 1], out[count, 8] = kind, energy, weight
    out[count, 2], out[count, 3], out[count, 4] = x, -y, z
    out[count, 5], out[count, 6], out[count, 7] = u, -v, w


@njit
def _interact(energy, u, v, w, material, i, f, photon, incoherent, coherent, rng):
    """Let a photon interact.

    Returns
    -------
    energy, u, v, w : float
        Of the photon that goes on; of a pair, one of the two that its positron ends in. Energy 0: none does.
    pair : bool
        Whether a second one flies the opposite way.
    electron, a, b, c : float
        Energy and direction of a Compton electron; energy 0 if there is none.
    rng
    """
    compton = photon[material, i, 1, 0] + f * photon[material, i, 1, 1]
    rayleigh = photon[material, i, 2, 0] + f * photon[material, i, 2, 1]
    pair = photon[material, i, 3, 0] + f * photon[material, i, 3, 1]
    choice, rng = uniform(rng)
    if choice < compton:
        scattered, cosine, electron_cosine, rng = sample_compton(energy, incoherent, material, rng)
        c, s, rng = azimuth(rng)
        a, b, d = rotate(u, v, w, electron_cosine, -c, -s)
        u, v, w = rotate(u, v, w, cosine, c, s)
        return scattered, u, v, w, False, energy - scattered, a, b, d, rng
    if choice < rayleigh:
        cosine, rng = sample_rayleigh(energy, coherent, material, rng)
        c, s, rng = azimuth(rng)
        u, v, w = rotate(u, v, w, cosine, c, s)
        return energy, u, v, w, False, 0.0, u, v, w, rng
    if choice < pair and energy > 2.0 * ELECTRON_MASS:
        a, rng = uniform(rng)
        c, s, rng = azimuth(rng)
        u, v, w = rotate(0.0, 0.0, 1.0, 2.0 * a - 1.0, c, s)
        return ELECTRON_MASS, u, v, w, True, 0.0, u, v, w, rng
    return 0.0, u, v, w, False, 0.0, u, v, w, rng


@njit
def _charged(kind, energy, x, y, z, u, v, w, weight, collimator, jaws, leaves, tables, cut, out, count, rng):
    """Send a charged particle through the openings; device coordinates. Returns the new count and the rng.

    It slows down in the air on its way and is deflected at one hinge; a solid stops it.
    """
    charge = kind - 1
    i, residual = range_of(tables.slowing, tables.starts, AIR, charge, energy)
    hinge, rng = uniform(rng)
    for leg in range(2):
        if w <= 0.0:
            return count, rng
        length = (collimator.bottom - z) / w
        if leg == 0:
            length *= hinge
        k, _, _ = march(collimator, jaws, leaves, tables.photon, 0, 0.0, x, y, z, u, v, w, length, 0.0)
        left = residual - length * collimator.air_density
        if k >= 0 or left <= 0.0:
            return count, rng
        x, y, z = x + u * length, y + v * length, z + w * length
        j = interval_of_range(left)
        strength = strength_of(tables.slowing, AIR, charge, i, residual)
        strength -= strength_of(tables.slowing, AIR, charge, j, left)
        i, residual, energy = j, left, energy_of(tables.slowing, AIR, charge, j, left)
        if leg == 0:  # the way behind the hinge scatters as much per length as the one before
            strength /= hinge
            u, v, w, rng = deflect(energy, charge, AIR, strength, u, v, w, tables, rng)
    if energy > cut:
        _emit(out, count, kind, energy, x, y, z, u, v, w, weight)
        count += 1
    return count, rng


@njit
def _clocks(rng):
    """What ends a flight: a uniform number for the air, mean free paths in solids."""
    a, rng = uniform(rng)
    b, rng = uniform(rng)
    return a, -math.log(b), rng


@njit
def _chance(collimator, k, jaws, leaves, x, y, z, attenuation):
    """Chance to survive roulette at an interaction in layer `k`, by mean free paths to the way out.

    `attenuation` in 1/cm.
    """
    depth = depth_in(collimator, k, jaws, leaves, x, y, z) * attenuation
    return 1.0 if depth <= NEAR else max(LEAST_CHANCE, math.exp(0.5 * (NEAR - depth)))


@njit
def _through(
    energy, x, y, z, u, v, w, weight, airy, left, spared,
    collimator, jaws, leaves, tables, cuts, counters, out, rng,
):  # fmt: skip
    """Follow a photon, and what comes of it, through solids and air; device coordinates.

    `airy`, uniform in (0, 1), tells whether the first flight meets the air, and `left` after how many mean
    free paths it ends in a solid; `spared`: it has survived the roulette of its first interaction. Photons
    that wait are kept at the end of `out`. Returns how many particles emerged, and the rng.
    """
    photon = tables.photon
    rows = out.shape[0]
    count, waiting = 0, 0
    while True:
        while w > 0.0 and energy > cuts.photon:
            i, f = energy_position(energy)
            end = (collimator.bottom - z) / w
            per_cm = collimator.air_density * (photon[AIR, i, 0, 0] + f * photon[AIR, i, 0, 1])
            reach = end
            if airy < per_cm * end:  # else there is no need for a logarithm
                reach = min(end, -math.log1p(-airy) / per_cm)
            k, way, _ = march(collimator, jaws, leaves, photon, i, f, x, y, z, u, v, w, reach, left)
            if count + waiting + 2 > rows:
                counters[OVERFLOWS] += 1
                return count, rng
            x, y, z = x + u * way, y + v * way, z + w * way
            material = AIR
            if k >= 0:
                material = collimator.material[k]
                if not spared:
                    attenuation = photon[material, i, 0, 0] + f * photon[material, i, 0, 1]
                    attenuation *= collimator.measures[k, DENSITY]
                    chance = _chance(collimator, k, jaws, leaves, x, y, z, attenuation)
                    a, rng = uniform(rng)
                    if a >= chance:
                        break
                    weight /= chance
            elif reach == end:
                _emit(out, count, PHOTON, energy, x, y, z, u, v, w, weight)
                count += 1
                break
            energy, u, v, w, pair, electron, a, b, c, rng = _interact(
                energy, u, v, w, material, i, f, photon, tables.incoherent, tables.coherent, rng
            )
            if pair:
                waiting += 1
                _emit(out, rows - waiting, PHOTON, energy, x, y, z, -u, -v, -w, weight)
            if k < 0 and electron > cuts.electron:
                count, rng = _charged(
                    ELECTRON, electron, x, y, z, a, b, c, weight,
                    collimator, jaws, leaves, tables, cuts.electron, out, count, rng,
                )  # fmt: skip
            spared = False
            airy, left, rng = _clocks(rng)
        if waiting == 0:
            return count, rng
        row = out[rows - waiting]
        energy, x, y, z, u, v, w, weight = row[1], row[2], -row[3], row[4], row[5], -row[6], row[7], row[8]
        waiting -= 1
        spared = False
        airy, left, rng = _clocks(rng)


@njit_inlined
def collimate(
    kind, energy, x, y, z, u, v, w, weight, collimator, jaws, leaves, tables, cuts, counters, out, rng
):
    """Send a particle through the collimators.

    Parameters
    ----------
    kind, energy, x, y, z, u, v, w, weight
        A particle above the collimators in phase-space coordinates: origin at the target, z along the beam,
        x = X_b and y = -Y_b of IEC 61217 [MeV, cm].
    collimator : Collimator
        From `build_collimator`.
    jaws : (4,) float64
        x1, x2, y1, y2 in the isocentre plane, IEC beam limiting device coordinates [cm].
    leaves : (2 * pairs,) or (0,) float64
        Bank 1, then bank 2, in IEC order and coordinates [cm]; none: the leaves stand aside.
    tables : Tables
        For the materials `build_collimator` was given.
    cuts : Cuts
    counters : (N_COUNTERS,) int64
        Particles lost and overflows are counted.
    out : (m, OUT_COLUMNS) float64
        Rows kind, energy, x, y, z, u, v, w, weight of what emerges below the last collimator; m at least
        OUT_ROWS. Rows beyond are used as well.
    rng : (uint64, uint64)

    Returns
    -------
    count : int
        Rows in use.
    rng
    """
    if not math.isfinite(energy + x + y + z + u + v + w + weight):
        counters[LOST] += 1
        return 0, rng
    if w <= 0.0:
        return 0, rng
    end = (collimator.bottom - z) / w
    if end <= 0.0:
        _emit(out, 0, kind, energy, x, -y, z, u, -v, w, weight)
        return 1, rng
    if kind != PHOTON:
        return _charged(
            kind, energy, x, -y, z, u, -v, w, weight,
            collimator, jaws, leaves, tables, cuts.electron, out, 0, rng,
        )  # fmt: skip
    seen, k = glance(collimator, jaws, leaves, x, -y, z, u, -v, w)
    i, f = energy_position(energy)
    airy, rng = uniform(rng)
    per_cm = collimator.air_density * (tables.photon[AIR, i, 0, 0] + f * tables.photon[AIR, i, 0, 1])
    by_air = airy < per_cm * end  # it may meet the air
    if seen == OPEN and not by_air:
        _emit(out, 0, kind, energy, x + u * end, -y - v * end, z + w * end, u, -v, w, weight)
        return 1, rng
    left, rng = uniform(rng)
    left = -math.log(left)
    spared = False
    if seen == SHUT and not by_air:
        m, measures = collimator.material[k], collimator.measures[k]
        per_cm = measures[DENSITY] * (tables.photon[m, i, 0, 0] + f * tables.photon[m, i, 0, 1])
        way = (measures[UPPER] - z) / w + left / per_cm
        if z + way * w < measures[LOWER]:  # the solid has no gaps here: there it interacts
            chance = _chance(collimator, k, jaws, leaves, x + way * u, -y - way * v, z + way * w, per_cm)
            a, rng = uniform(rng)
            if a >= chance:
                return 0, rng
            weight, spared = weight / chance, True
    return _through(
        energy, x, -y, z, u, -v, w, weight, airy, left, spared,
        collimator, jaws, leaves, tables, cuts, counters, out, rng,
    )  # fmt: skip

"""Full transport through collimators, as the check on `mc.transport.collimation`.

Photons by delta tracking (Woodcock et al., ANL-7050, 1965) with every interaction and every order; electrons
and positrons by the condensed histories of `mc.transport.electron`, with the photons they radiate. A test of
single points, written for this check alone, decides what is solid; where a track leaves a solid is found by
bisection. Nothing of `mc.geometry.collimator` and `mc.geometry.collimator_solids` is used. Slow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from mc.backends.tally import medium_tally, part_of
from mc.backends.workspace import new_stack
from mc.machine.collimators import Block, Collimators, Cones, Jaws, Leaves
from mc.numerics.columns import ATTENUATION, interval_value
from mc.numerics.jit import njit, njit_device
from mc.numerics.rng import stream, uniform
from mc.numerics.sampling import energy_position
from mc.transport.context import Context
from mc.transport.electron import ANALOGUE, make_electron
from mc.transport.particle import PHOTON, Particle, moved, pop, push
from mc.transport.photon import interact
from mc.transport.scoring import LOST, N_COUNTERS, OVERFLOWS
from phantoms.materials import Material

AIR, OUTSIDE = -1, -2  # regions; the solids are numbered from 0
STEP = 0.002  # of a charged particle, after which its region is looked up: less than gaps of leaves [cm]
HALVINGS = 24
STACK = 4096
KINDS = (Jaws, Leaves, Cones)
LEAF_PAIRS, HOLE = 1, 2  # places in KINDS
HEIGHTS = 40001  # at which an end is held against the light field


class Solids(NamedTuple):
    """Collimators with their positions, for one point at a time; n solids, m ends.

    Attributes
    ----------
    kind, axis, material : (n,) int64
    upper, lower, density, radius, bore : (n,) float64
        `radius` 0: the ends are planes; `bore`: slope of a focused hole, or minus the radius of a cylinder.
    first, second : (n, m) float64
        Where the tips of both banks stand in s at half height; slopes of focused ends.
    focused : (n,) int64
    sides : (m + 1,) float64
        Slopes of the leaf boundaries.
    """

    kind: np.ndarray
    axis: np.ndarray
    material: np.ndarray
    focused: np.ndarray
    upper: np.ndarray
    lower: np.ndarray
    density: np.ndarray
    radius: np.ndarray
    bore: np.ndarray
    first: np.ndarray
    second: np.ndarray
    sides: np.ndarray
    gap: float
    tongue: float
    tongue_top: float
    tongue_bottom: float
    tilt: float
    air_density: float


def tip(block: Jaws | Leaves, position: float, sad: float) -> float:
    """Where the end of a bank 1 stands at half height [cm], or its slope if focused.

    The light field ends where the end first touches a ray from the target: found by trying all heights.
    """
    ends, middle = block.ends, 0.5 * (block.top_cm + block.bottom_cm)
    slope = (position - ends.offset_cm) / sad
    if ends.kind == "focused":
        return slope
    if ends.position == "tip":
        return slope * middle
    heights = np.linspace(block.top_cm, block.bottom_cm, HEIGHTS)
    behind = 0.0
    if ends.kind == "rounded":
        behind = ends.radius_cm - np.sqrt(ends.radius_cm**2 - (heights - middle) ** 2)
    return float(np.min(slope * heights + behind))


def place_solids(
    collimators: Collimators,
    materials: Sequence[Material],
    sad: float,
    jaws: np.ndarray,
    leaves: np.ndarray,
    cone: float = 0.0,
) -> Solids:
    """Collimators at given positions; arguments as of `mc.transport.collimation`."""
    blocks: list[Block] = [*collimators.jaws]
    blocks += [collimators.leaves] if collimators.leaves is not None and leaves.size else []
    blocks += [collimators.cones] if collimators.cones is not None else []
    blocks.sort(key=lambda block: block.top_cm)
    count = max([len(leaves) // 2, 1])
    first, second = np.zeros((len(blocks), count)), np.zeros((len(blocks), count))
    bore = np.zeros(len(blocks))
    for i, block in enumerate(blocks):
        if isinstance(block, Cones):
            slope = 0.5 * cone / sad
            bore[i] = slope if block.bore == "focused" else -slope * block.bottom_cm
            continue
        if isinstance(block, Jaws):
            one, two = np.split(jaws[:2] if block.axis == "X" else jaws[2:], 2)
        else:
            one, two = np.split(leaves, 2)
        first[i, : len(one)] = [tip(block, position, sad) for position in one]
        second[i, : len(two)] = [-tip(block, -position, sad) for position in two]
    mlc = collimators.leaves
    return Solids(
        kind=np.array([KINDS.index(type(block)) for block in blocks]),
        axis=np.array([getattr(block, "axis", "X") == "Y" for block in blocks], np.int64),
        material=np.array([materials.index(block.material) for block in blocks]),
        focused=np.array([hasattr(b, "ends") and b.ends.kind == "focused" for b in blocks], np.int64),
        upper=np.array([block.top_cm for block in blocks]),
        lower=np.array([block.bottom_cm for block in blocks]),
        density=np.array([block.density for block in blocks]),
        radius=np.array([block.ends.radius_cm if hasattr(block, "ends") else 0.0 for block in blocks]),
        bore=bore,
        first=first,
        second=second,
        sides=np.array(mlc.boundaries_cm if mlc else [-1.0, 1.0]) / sad,
        gap=mlc.gap_cm if mlc else 0.0,
        tongue=mlc.tongue_cm if mlc else 0.0,
        tongue_top=mlc.tongue_top_cm if mlc else 0.0,
        tongue_bottom=mlc.tongue_bottom_cm if mlc else 0.0,
        tilt=mlc.tilt_rad if mlc else 0.0,
        air_density=materials[0].density,
    )


@njit
def region(geo, x, y, z):
    """Number of the solid that a point lies in, AIR or OUTSIDE: above or below all."""
    last = geo.kind.size - 1
    if not geo.upper[0] - 5.0 < z < geo.lower[last] or abs(x) + abs(y) > 200.0:
        return OUTSIDE
    for k in range(last + 1):
        if not geo.upper[k] <= z <= geo.lower[k]:
            continue
        if geo.kind[k] == HOLE:
            radius = geo.bore[k] * z if geo.bore[k] >= 0.0 else -geo.bore[k]
            return k if x * x + y * y > radius * radius else AIR
        s, q = (x, y) if geo.axis[k] == 0 else (y, x)
        middle = 0.5 * (geo.upper[k] + geo.lower[k])
        leaf = 0
        if geo.kind[k] == LEAF_PAIRS:
            raised = geo.tongue_top < z < geo.tongue_bottom
            q -= geo.tilt * (z - middle) + (0.5 * geo.tongue if raised else -0.5 * geo.tongue)
            leaf = geo.sides.size - 2
            while leaf > 0 and q < geo.sides[leaf] * z:
                leaf -= 1
            if leaf > 0 and q - geo.sides[leaf] * z < 0.5 * geo.gap:
                return AIR
            if leaf < geo.sides.size - 2 and geo.sides[leaf + 1] * z - q < 0.5 * geo.gap:
                return AIR
        first, second = geo.first[k, leaf], geo.second[k, leaf]
        if geo.focused[k]:
            first, second = first * z, second * z
        elif geo.radius[k] > 0.0:
            behind = geo.radius[k] - math.sqrt(geo.radius[k] ** 2 - (z - middle) ** 2)
            first, second = first - behind, second + behind
        return k if s < first or s > second else AIR
    return AIR


@njit
def _locate(geo, x, y, z):
    return (max(AIR, region(geo, x, y, z)),)


@njit
def _index(geo, cell):
    return cell[0] + 1


@njit
def _medium(geo, voxel):
    if voxel == 0:
        return geo.air_density, 0, True
    return geo.density[voxel - 1], geo.material[voxel - 1], False


@njit
def _inverse(cosine):
    return 1.0 / cosine if abs(cosine) > 1e-12 else math.copysign(1e12, cosine)


@njit
def _boundary(geo, cell, x, y, z, iu, iv, iw):
    """Distance to the face ahead, or a step within the region; and for a face the region there."""
    u, v, w = 1.0 / iu, 1.0 / iv, 1.0 / iw
    far = STEP
    if region(geo, x + far * u, y + far * v, z + far * w) == cell[0]:
        return far, cell[0]
    near = 0.0
    for _ in range(HALVINGS):
        half = 0.5 * (near + far)
        if region(geo, x + half * u, y + half * v, z + half * w) == cell[0]:
            near = half
        else:
            far = half
    return far, region(geo, x + far * u, y + far * v, z + far * w)


@njit
def _clearance(geo, cell, x, y, z):
    return 0.0


@njit
def _longest_step(geo, x, y, z):
    return STEP


@njit
def _cross(geo, cell, face, iu, iv, iw):
    return (face,), face != OUTSIDE


@njit_device
def _on_exit(ctx, particle, rng):
    """Hand a charged particle that has left back to the stack. Returns the rng."""
    push(ctx, particle, 0)
    return rng


_transport_electron = make_electron(
    SimpleNamespace(
        locate=_locate, index=_index, medium=_medium, inverse=_inverse,
        boundary=_boundary, clearance=_clearance, longest_step=_longest_step, cross=_cross,
    ),
    3.0,
    ANALOGUE._replace(on_exit=_on_exit),
)  # fmt: skip


@njit_device
def _track_photon(ctx, photon, rng):
    """Follow a photon to its interaction or out: whether it emerged below, the photon there, and the rng."""
    geo, t = ctx.geo, ctx.tables.photon
    i, f = energy_position(photon.energy)
    majorant = geo.air_density * interval_value(t, 0, i, ATTENUATION, f)
    for k in range(geo.kind.size):
        majorant = max(majorant, geo.density[k] * interval_value(t, geo.material[k], i, ATTENUATION, f))
    bottom = geo.lower[geo.kind.size - 1]
    while True:
        a, rng = uniform(rng)
        path = -math.log(a) / majorant
        if photon.z + path * photon.w >= bottom:
            kind, energy, x, y, _, u, v, w, weight = moved(photon, (bottom - photon.z) / photon.w)
            return True, Particle(kind, energy, x, y, bottom, u, v, w, weight), rng
        photon = moved(photon, path)
        k = region(geo, photon.x, photon.y, photon.z)
        if k == OUTSIDE:
            return False, photon, rng
        density, m, _ = _medium(geo, k + 1)
        a, rng = uniform(rng)
        if a * majorant < density * interval_value(t, m, i, ATTENUATION, f):
            choice, rng = uniform(rng)
            return False, photon, interact(ctx, photon, m, k + 1, choice, rng)


@njit(_nrt=True)
def transport(particles, starts, geo, tables, cuts, tallies, counters, seed, result, history):
    """Transport histories of particles (n, 9), rows of `mc.transport.collimation`.

    Fills `result` (m, 9) and `history` (m,) with what emerges; returns their number.
    """
    tally = part_of(tallies, tallies.medium.shape[0], 0)
    ctx = Context(geo, tables, cuts, tally, new_stack(STACK), None, counters)
    n = 0
    for h in range(starts.size - 1):
        rng = stream(seed, 0, 0, h, 1)
        for p in range(starts[h], starts[h + 1]):
            r = particles[p]
            push(ctx, Particle(int(r[0]), r[1], r[2], -r[3], r[4], r[5], -r[6], r[7], r[8]), 0)
            while ctx.stack.depth[0] > 0:
                particle = pop(ctx.stack)
                emerged = particle.z >= geo.lower[geo.kind.size - 1] and particle.w > 0.0
                if particle.kind != PHOTON and region(geo, particle.x, particle.y, particle.z) != OUTSIDE:
                    rng = _transport_electron(ctx, particle, rng)
                    continue
                if particle.kind == PHOTON:
                    emerged, particle, rng = _track_photon(ctx, particle, rng)
                if emerged and n == result.shape[0]:
                    counters[LOST] += 1
                elif emerged:
                    kind, energy, x, y, z, u, v, w, weight = particle
                    row = result[n]
                    row[0], row[1], row[2], row[3], row[4] = kind, energy, x, -y, z
                    row[5], row[6], row[7], row[8] = u, -v, w, weight
                    history[n] = h
                    n += 1
    return n


def explicit(
    particles: np.ndarray, starts: np.ndarray, solids: Solids, tables, cuts, seed: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Particles (m, 9) that emerge, and the histories they belong to; see `transport`."""
    capacity = 4 * len(particles) + 1000
    result, history = np.empty((capacity, 9)), np.empty(capacity, np.int64)
    counters = np.zeros(N_COUNTERS, np.int64)
    n = transport(
        particles,
        starts,
        solids,
        tables,
        cuts,
        medium_tally(solids.kind.size + 1),
        counters,
        seed,
        result,
        history,
    )
    if counters[LOST] or counters[OVERFLOWS]:
        raise RuntimeError(f"{counters[LOST]} particles lost, {counters[OVERFLOWS]} overflows")
    return result[:n], history[:n]

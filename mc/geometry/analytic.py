"""Analytic geometry: a stack of slabs, each cut into rings by coaxial cones about the z axis.

It offers the transport what `mc.geometry.voxels` does, over regions that are bounded by two planes and two
conical surfaces rho = a + b z (a cylinder if b is 0). A cell is (slab, region).

- `inverse` returns the cosines as they are, which is what cones are intersected with.
- The "face" that `boundary` (HOWFAR of EGSnrc) returns is the region behind it, so `cross` need not know the
  place. OUTSIDE is past the stack.
- At the *splitting plane*, a plane between two slabs, charged particles are handed back to the caller as if
  they had left (`mc.transport.head` splits them there).
- A particle just behind a surface by rounding is not moved. Its direction decides whether it crosses, by the
  same numbers on either side, so it can neither be lost nor bounce to and fro.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from mc.numerics.jit import njit

JUMP = 3.0  # density ratio at which a step of a charged particle ends
OUTSIDE = -1
# Steps of charged particles: a pencil of electrons that enters the stack from above is spread by scattering
# as its depth, so at first its steps are that share of the depth, and no photon sees it straighter or more
# bent than it is.
MIN_STEP, STEP_SHARE, MAX_STEP = 2e-5, 0.1, 2.0  # [cm], 1, [cm]
TOUCH = 1e-9  # radii and heights closer than that are the same [cm]


@dataclass(frozen=True)
class Solid:
    """A solid of revolution about the z axis, its outline straight between the heights `z`.

    Parameters
    ----------
    name : str
    material : int
    density : float
        [g/cm3]
    z, inner, outer : tuple of float
        Heights, ascending, and the radii there [cm]; an inner radius of 0 is no hole.
    """

    name: str
    material: int
    density: float
    z: tuple[float, ...]
    inner: tuple[float, ...]
    outer: tuple[float, ...]


class Analytic(NamedTuple):
    """Kernel-side stack of slabs [cm]; ns slabs, nr regions, those of a slab counted from the axis outwards.

    Attributes
    ----------
    planes : (ns + 1,) float64
    first : (ns + 1,) int64
        First region of each slab.
    slab : (nr,) int64
    surfaces : (nr, 4) float64
        a and b of the inner surface, then of the outer one; -1, 0 where there is none inside.
    density : (nr,) float64 [g/cm3]
    medium : (nr,) int64
    splitting_plane : int
        Plane at which charged particles are handed back; -1 for none.
    """

    planes: np.ndarray
    first: np.ndarray
    slab: np.ndarray
    surfaces: np.ndarray
    density: np.ndarray
    medium: np.ndarray
    splitting_plane: int


def build_analytic(
    solids: Sequence[Solid],
    top: float,
    bottom: float,
    radius: float,
    fill: Solid,
    splitting_plane: float | None = None,
) -> Analytic:
    """Cut solids into slabs and rings, what is left between them filled.

    Parameters
    ----------
    solids : sequence of Solid
        What reaches out of the stack is cut off.
    top, bottom, radius : float
        Of the stack [cm].
    fill : Solid
        Its material and density fill what no solid does.
    splitting_plane : float, optional
        Of the splitting plane [cm].

    Raises
    ------
    ValueError
        If two solids overlap; the message names them.
    """
    heights = [top, bottom, *([] if splitting_plane is None else [splitting_plane])]
    heights += [z for solid in solids for z in solid.z if top < z < bottom]
    # where two outlines cross or touch between their own heights a slab ends too
    heights += _meetings(solids, top, bottom)
    planes = np.array(_distinct(heights))
    first, surfaces, density, medium = [0], [], [], []
    for low, high in pairwise(planes):
        for inner, outer, solid in _rings(solids, low, high, radius, fill):
            surfaces.append((*inner, *outer))
            density.append(solid.density)
            medium.append(solid.material)
        first.append(len(surfaces))
    slab = np.repeat(np.arange(len(planes) - 1), np.diff(first))
    place = -1 if splitting_plane is None else int(np.argmin(np.abs(planes - splitting_plane)))
    return Analytic(
        planes, np.array(first), slab, np.array(surfaces), np.array(density), np.array(medium, np.int64),
        place,
    )  # fmt: skip


def _distinct(values: Sequence[float]) -> list[float]:
    kept: list[float] = []
    for value in sorted(values):
        if not kept or value - kept[-1] > TOUCH:
            kept.append(float(value))
    return kept


def _lines(solid: Solid, low: float, high: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """Inner and outer surface of a solid between two heights, each as its radii there."""
    ends = np.array([low, high])
    inner, outer = np.interp(ends, solid.z, solid.inner), np.interp(ends, solid.z, solid.outer)
    return (float(inner[0]), float(inner[1])), (float(outer[0]), float(outer[1]))


def _meetings(solids: Sequence[Solid], top: float, bottom: float) -> list[float]:
    """Heights within the stack at which outlines of two solids cross."""
    found = []
    heights = _distinct([z for solid in solids for z in solid.z] + [top, bottom])
    for low, high in pairwise(heights):
        radii = [
            line
            for solid in solids
            if solid.z[0] <= low + TOUCH and solid.z[-1] >= high - TOUCH
            for line in _lines(solid, low, high)
        ]
        for i, a in enumerate(radii):
            for b in radii[:i]:
                before, after = a[0] - b[0], a[1] - b[1]
                if before * after < 0.0 and min(abs(before), abs(after)) > TOUCH:
                    found.append(low + (high - low) * before / (before - after))
    return [z for z in found if top < z < bottom]


def _rings(solids: Sequence[Solid], low: float, high: float, radius: float, fill: Solid) -> list[tuple]:
    """Inner surface (a, b), outer surface and solid of each ring between two heights, outwards."""
    middle = 0.5 * (low + high)
    parts = []
    for solid in solids:
        if solid.z[0] < middle < solid.z[-1]:
            inner, outer = _lines(solid, low, high)
            inner, outer = _clip(inner, radius), _clip(outer, radius)
            if sum(outer) - sum(inner) > TOUCH:
                parts.append((inner, outer, solid))
    parts.sort(key=lambda part: sum(part[0]) + 1e-3 * sum(part[1]))
    rings, reached, before = [], (0.0, 0.0), None
    for inner, outer, solid in parts:
        if min(inner[0] - reached[0], inner[1] - reached[1]) < -TOUCH:
            raise ValueError(f"{before.name} and {solid.name} overlap between z = {low:g} and {high:g} cm")
        if sum(inner) - sum(reached) > TOUCH:
            rings.append((reached, inner, fill))
        rings.append((inner, outer, solid))
        reached, before = outer, solid
    if 2.0 * radius - sum(reached) > TOUCH:
        rings.append((reached, (radius, radius), fill))

    def line(radii: tuple[float, float]) -> tuple[float, float]:
        slope = (radii[1] - radii[0]) / (high - low)
        return radii[0] - slope * low, slope

    return [
        ((-1.0, 0.0) if i == 0 else line(inner), line(outer), solid)
        for i, (inner, outer, solid) in enumerate(rings)
    ]


def _clip(radii: tuple[float, float], most: float) -> tuple[float, float]:
    """Radii cut off at the edge of the stack, which they may reach only as a whole."""
    if max(radii) <= most + TOUCH:
        return radii
    if min(radii) >= most - TOUCH:
        return most, most
    raise ValueError(f"an outline crosses the edge of the stack at radius {most:g} cm")


@njit
def _ring(geometry, slab, x, y, z):
    """Region of a slab that a point lies in."""
    square = x * x + y * y
    region = geometry.first[slab]
    last = geometry.first[slab + 1] - 1
    while region < last:
        outer = geometry.surfaces[region, 2] + geometry.surfaces[region, 3] * z
        if square < outer * outer:
            break
        region += 1
    return region


@njit
def locate(geometry, x, y, z):
    """Cell of a point, clipped to the stack."""
    slab, last = 0, geometry.planes.shape[0] - 2
    while slab < last and z >= geometry.planes[slab + 1]:
        slab += 1
    return slab, _ring(geometry, slab, x, y, z)


@njit
def index(geometry, cell):
    """Place of a cell in the tally."""
    return cell[1]


@njit
def medium(geometry, voxel):
    """Density [g/cm3], material and whether steps must stay short, as they must everywhere."""
    return geometry.density[voxel], geometry.medium[voxel], True


@njit
def inverse(cosine):
    """The cosine itself: the functions below are given those in place of their inverse."""
    return cosine


@njit
def _to_outer(a, b, c):
    """Distance to the outer surface, where rho^2 - r^2 = a s^2 + 2 b s + c rises through 0; or inf."""
    square = b * b - a * c
    if square < 0.0:
        return 0.0 if a > 0.0 else math.inf
    root = math.sqrt(square)
    if b > 0.0:
        return max(0.0, -c / (b + root))
    return (root - b) / a if a > 0.0 else math.inf


@njit
def _to_inner(a, b, c):
    """Distance to the surface inside a region, where the same falls through 0; inf if never."""
    square = b * b - a * c
    if square < 0.0:
        return 0.0 if a < 0.0 else math.inf
    root = math.sqrt(square)
    if b < 0.0:
        return max(0.0, c / (root - b))
    return -(b + root) / a if a < 0.0 else math.inf


@njit
def boundary(geometry, cell, x, y, z, u, v, w):
    """Distance to the next surface [cm], and the region behind it (HOWFAR).

    Behind the splitting plane it is -2 less the number of the region, past the stack OUTSIDE.
    """
    slab, region = cell
    distance, next_slab = math.inf, slab
    if w > 0.0:
        distance, next_slab = max(0.0, (geometry.planes[slab + 1] - z) / w), slab + 1
    elif w < 0.0:
        distance, next_slab = max(0.0, (geometry.planes[slab] - z) / w), slab - 1
    face = OUTSIDE
    across, along, square = u * u + v * v, x * u + y * v, x * x + y * y
    slope = geometry.surfaces[region, 3]
    radius = geometry.surfaces[region, 2] + slope * z
    path = _to_outer(across - slope * slope * w * w, along - slope * w * radius, square - radius * radius)
    if path < distance:
        distance, next_slab = path, slab
        face = region + 1 if region + 1 < geometry.first[slab + 1] else OUTSIDE
    if region > geometry.first[slab]:
        slope = geometry.surfaces[region, 1]
        radius = geometry.surfaces[region, 0] + slope * z
        path = _to_inner(across - slope * slope * w * w, along - slope * w * radius, square - radius * radius)
        if path < distance:
            return path, region - 1
    if next_slab != slab and 0 <= next_slab < geometry.planes.shape[0] - 1:
        face = _ring(geometry, next_slab, x + u * distance, y + v * distance, z + w * distance)
        if max(slab, next_slab) == geometry.splitting_plane:
            face = -2 - face
    return distance, face


@njit
def region_behind(face):
    """The region behind a face, the splitting plane taken as open; OUTSIDE stays as it is."""
    return -2 - face if face < OUTSIDE else face


@njit
def cross(geometry, cell, face, u, v, w):
    """The cell behind a face, and whether a charged particle is still to be followed there."""
    region = region_behind(face)
    if region == OUTSIDE:
        return cell, False
    return (geometry.slab[region], region), face >= 0


@njit
def clearance(geometry, cell, x, y, z):
    """Distance to the nearest surface of the region in any direction [cm] (HOWNEAR)."""
    slab, region = cell
    rho = math.sqrt(x * x + y * y)
    slope = geometry.surfaces[region, 3]
    outer = (geometry.surfaces[region, 2] + slope * z - rho) / math.sqrt(1.0 + slope * slope)
    slope = geometry.surfaces[region, 1]
    inner = (rho - geometry.surfaces[region, 0] - slope * z) / math.sqrt(1.0 + slope * slope)
    if region == geometry.first[slab]:
        inner = math.inf
    return min(min(outer, inner), min(z - geometry.planes[slab], geometry.planes[slab + 1] - z))


@njit
def longest_step(geometry, x, y, z):
    """Longest step of a charged particle at a point [cm]."""
    return min(MAX_STEP, max(MIN_STEP, STEP_SHARE * (z - geometry.planes[0])))

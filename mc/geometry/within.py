"""Within the solids of a collimator: the geometry that charged particles set free in them move through.

It offers the transport what `mc.geometry.voxels` does. A cell is (layer,); where there is no solid a particle
has left. `inverse` hands the cosines on as they are, and the "face" that `boundary` tells is the layer behind
it, so that `cross` need not know the place. A particle is carried just beyond each face: so none stays on
one, and where it is then can be told from the place alone.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from mc.geometry.collimator import (
    CONE,
    DENSITY,
    FLAT,
    FOCUSED,
    JAWS,
    LEAVES,
    LOWER,
    RADIUS,
    UPPER,
    Collimator,
    clip,
    end_at,
    in_bore,
    in_end,
    leaf_of,
    place_of,
    side_shift,
)
from mc.numerics.jit import njit

JUMP = 3.0  # density ratio at which a step ends
NOWHERE = -1  # the layer of what is in no solid
BEYOND = 1e-6  # by which a particle is carried over a face [cm]
FAR = 1e3  # no solid is that thick along a particle's way [cm]


class Placed(NamedTuple):
    """A collimator with its jaws (4,) and leaves (2 * pairs,) or (0,) in the isocentre plane [cm]."""

    collimator: Collimator
    jaws: np.ndarray
    leaves: np.ndarray


@njit
def _along_and_across(collimator, k, x, y):
    """The coordinate along the motion of a layer, and that across."""
    return (x, y) if collimator.axis[k] == 0 else (y, x)


@njit
def _band_of(collimator, z):
    """Band of leaf sides at a height."""
    band = 0
    while band < collimator.shifts.size - 1 and z >= collimator.bands[band + 1]:
        band += 1
    return band


@njit
def _ends(placed, k, q, z):
    """Places of the ends of both banks at a point, the second mirrored, and the leaf it belongs to."""
    collimator, jaws, leaves = placed
    if collimator.shape[k] == JAWS:
        first = 2 * collimator.axis[k]
        return place_of(collimator, k, jaws[first]), place_of(collimator, k, -jaws[first + 1]), 0
    j = leaf_of(collimator, q - side_shift(collimator, k, _band_of(collimator, z), z), z)
    pairs = collimator.boundaries.size - 1
    return place_of(collimator, k, leaves[j]), place_of(collimator, k, -leaves[pairs + j]), j


@njit
def _to_sides(collimator, k, j, q, z):
    """Distances from a point to the sides of a leaf, the lower and the upper; outermost leaves have one."""
    r = q - side_shift(collimator, k, _band_of(collimator, z), z)
    low = r - collimator.boundaries[j] * z - collimator.half_gap if j > 0 else math.inf
    high = math.inf
    if j < collimator.boundaries.size - 2:
        high = collimator.boundaries[j + 1] * z - r - collimator.half_gap
    return low, high


@njit
def solid_at(placed, x, y, z):
    """Layer in whose solid a point lies, or NOWHERE."""
    collimator = placed.collimator
    for k in range(collimator.shape.size):
        if not collimator.measures[k, UPPER] <= z < collimator.measures[k, LOWER]:
            continue
        shape = collimator.shape[k]
        if shape == LEAVES and placed.leaves.size == 0:
            return NOWHERE
        if shape == CONE:
            height = collimator.measures[k, LOWER] if collimator.ends[k] == FLAT else z
            radius = collimator.measures[k, RADIUS] / collimator.sad * height
            return k if x * x + y * y > radius * radius else NOWHERE
        s, q = _along_and_across(collimator, k, x, y)
        one, two, j = _ends(placed, k, q, z)
        if shape == LEAVES:
            low, high = _to_sides(collimator, k, j, q, z)
            if low < 0.0 or high < 0.0:
                return NOWHERE
        inside = s < end_at(collimator, k, one, z) or -s < end_at(collimator, k, two, z)
        return k if inside else NOWHERE
    return NOWHERE


@njit
def way_out(placed, k, x, y, z, u, v, w):
    """Way from a point in the solid of layer `k` to its surface, or to where its sides are other planes."""
    collimator = placed.collimator
    upper, lower = collimator.measures[k, UPPER], collimator.measures[k, LOWER]
    shape = collimator.shape[k]
    if shape == LEAVES:
        band = _band_of(collimator, z)
        upper, lower = collimator.bands[band], collimator.bands[band + 1]
    far = FAR
    if w > 0.0:
        far = min(far, (lower - z) / w)
    elif w < 0.0:
        far = min(far, (upper - z) / w)
    if shape == CONE:
        a, b = in_bore(collimator, k, x, u, y, v, z, w, 0.0, far)
        return a if a < b else far
    s, q = _along_and_across(collimator, k, x, y)
    ds, dq = _along_and_across(collimator, k, u, v)
    one, two, j = _ends(placed, k, q, z)
    if shape == LEAVES:
        low, high = _to_sides(collimator, k, j, q, z)
        dr = dq - collimator.tilt * w
        if j > 0:
            _, far = clip(-low, collimator.boundaries[j] * w - dr, 0.0, far)
        if j < collimator.boundaries.size - 2:
            _, far = clip(-high, dr - collimator.boundaries[j + 1] * w, 0.0, far)
    if s < end_at(collimator, k, one, z):
        a, b = in_end(collimator, k, one, s, ds, z, w, 0.0, far)
    elif -s < end_at(collimator, k, two, z):
        a, b = in_end(collimator, k, two, -s, -ds, z, w, 0.0, far)
    else:  # carried just out of it
        return 0.0
    return max(0.0, b) if a < b else 0.0


@njit
def locate(placed, x, y, z):
    """Cell of a point; it must lie in a solid."""
    return (solid_at(placed, x, y, z),)


@njit
def index(placed, cell):
    """Place of a cell in a tally."""
    return cell[0]


@njit
def medium(placed, voxel):
    """Density [g/cm3], material, and whether steps must stay short."""
    collimator = placed.collimator
    return collimator.measures[voxel, DENSITY], collimator.material[voxel], False


@njit
def inverse(cosine):
    """The cosine itself: the functions below are given those in place of their inverse."""
    return cosine


@njit
def boundary(placed, cell, x, y, z, u, v, w):
    """Way just beyond the face ahead [cm], and the layer found there."""
    way = way_out(placed, cell[0], x, y, z, u, v, w) + BEYOND
    return way, solid_at(placed, x + u * way, y + v * way, z + w * way)


@njit
def cross(placed, cell, face, u, v, w):
    """The cell behind a face, and whether it is in a solid."""
    return (face,), face != NOWHERE


@njit
def _to_end(collimator, k, place, s, z):
    """Distance from a point in the solid of a bank 1 to its end, below 0 beyond it; or somewhat less."""
    ends = collimator.ends[k]
    if ends == FOCUSED:
        return (place * z - s) / math.sqrt(1.0 + place * place)
    if ends == FLAT:
        return place - s
    off = z - 0.5 * (collimator.measures[k, UPPER] + collimator.measures[k, LOWER])
    ahead = max(0.0, s - place)
    return collimator.measures[k, RADIUS] - math.sqrt(ahead * ahead + off * off)


@njit
def clearance(placed, cell, x, y, z):
    """A distance no farther than to any surface [cm] but those above, where next to nothing returns from."""
    collimator, k = placed.collimator, cell[0]
    below = collimator.measures[k, LOWER] - z
    if collimator.shape[k] == LEAVES:  # a tongue may end there
        below = collimator.bands[_band_of(collimator, z) + 1] - z
    if collimator.shape[k] == CONE:
        slope = collimator.measures[k, RADIUS] / collimator.sad
        rho = math.sqrt(x * x + y * y)
        if collimator.ends[k] == FLAT:
            return min(below, rho - slope * collimator.measures[k, LOWER])
        return min(below, (rho - slope * z) / math.sqrt(1.0 + slope * slope))
    s, q = _along_and_across(collimator, k, x, y)
    one, two, j = _ends(placed, k, q, z)
    nearest = min(below, max(_to_end(collimator, k, one, s, z), _to_end(collimator, k, two, -s, z)))
    if collimator.shape[k] == LEAVES:
        low, high = _to_sides(collimator, k, j, q, z)
        steepest = 1.0 + abs(collimator.tilt) + max(-collimator.boundaries[0], collimator.boundaries[-1])
        nearest = min(nearest, min(low, high) / steepest)
    return nearest


@njit
def longest_step(placed, x, y, z):
    """Longest step in narrow cells, of which there are none [cm]."""
    return math.inf

"""The solids of a collimator as a geometry for the charged particles in them.

It offers the transport what `mc.geometry.voxels` does, in the coordinates of `mc.geometry.collimator`.

- A cell is (layer,). A particle that comes to where there is no solid has left.
- `inverse` returns the cosines as they are.
- The "face" that `boundary` (HOWFAR of EGSnrc) returns is the layer behind it, so `cross` need not know the
  place.
- A particle is carried a little past each face. So none stays on one, and the place alone says where it is.
- `clearance` (HOWNEAR) is a lower bound.
"""

from __future__ import annotations

import math

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
    Ray,
    clip,
    end_at,
    in_bore,
    in_end,
    jaw_places,
    layer_point,
    layer_ray,
    leaf_of,
    leaf_places,
    side_shift,
)
from mc.numerics.jit import njit

JUMP = 3.0  # density ratio at which a step ends
NOWHERE = -1  # the layer of what is in no solid
PAST_FACE = 1e-6  # by which a particle is carried past a face [cm]
FAR = 1e3  # no solid is that thick along any direction [cm]


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
    collimator = placed.collimator
    if collimator.shape[k] == JAWS:
        one, two = jaw_places(placed, k)
        return one, two, 0
    j = leaf_of(collimator, q - side_shift(collimator, k, _band_of(collimator, z), z), z)
    one, two = leaf_places(placed, k, j)
    return one, two, j


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
        s, q = layer_point(collimator, k, x, y)
        one, two, j = _ends(placed, k, q, z)
        if shape == LEAVES:
            low, high = _to_sides(collimator, k, j, q, z)
            if low < 0.0 or high < 0.0:
                return NOWHERE
        inside = s < end_at(collimator, k, one, z) or -s < end_at(collimator, k, two, z)
        return k if inside else NOWHERE
    return NOWHERE


@njit
def distance_out(placed, k, ray):
    """Distance from a point in the solid of layer `k` along a ray to its surface [cm].

    Or to where the sides of a leaf are other planes: at a tongue.
    """
    collimator = placed.collimator
    line = layer_ray(collimator, k, ray)
    s, ds, q, dq, z, w = line
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
        a, b = in_bore(collimator, k, ray.x, ray.u, ray.y, ray.v, z, w, 0.0, far)
        return a if a < b else far
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
    """Density [g/cm3], material, and whether it is an interface cell."""
    collimator = placed.collimator
    return collimator.measures[voxel, DENSITY], collimator.material[voxel], False


@njit
def inverse(cosine):
    """The cosine itself: the functions below are given those in place of their inverse."""
    return cosine


@njit
def boundary(placed, cell, x, y, z, u, v, w):
    """Distance to just past the next face [cm], and the layer found there (HOWFAR)."""
    distance = distance_out(placed, cell[0], Ray(x, y, z, u, v, w)) + PAST_FACE
    return distance, solid_at(placed, x + u * distance, y + v * distance, z + w * distance)


@njit
def cross(placed, cell, face, u, v, w):
    """The cell behind a face, and whether it is in a solid."""
    return (face,), face != NOWHERE


@njit
def _to_end(collimator, k, place, s, z):
    """Distance from a point in the solid of a bank 1 to its end, below 0 past it; or somewhat less."""
    ends = collimator.ends[k]
    if ends == FOCUSED:
        return (place * z - s) / math.sqrt(1.0 + place * place)
    if ends == FLAT:
        return place - s
    off = z - 0.5 * (collimator.measures[k, UPPER] + collimator.measures[k, LOWER])
    along = max(0.0, s - place)
    return collimator.measures[k, RADIUS] - math.sqrt(along * along + off * off)


@njit
def clearance(placed, cell, x, y, z):
    """A distance no farther than to any surface [cm] (HOWNEAR).

    But those above: next to nothing returns from there.
    """
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
    s, q = layer_point(collimator, k, x, y)
    one, two, j = _ends(placed, k, q, z)
    nearest = min(below, max(_to_end(collimator, k, one, s, z), _to_end(collimator, k, two, -s, z)))
    if collimator.shape[k] == LEAVES:
        low, high = _to_sides(collimator, k, j, q, z)
        steepest = 1.0 + abs(collimator.tilt) + max(-collimator.boundaries[0], collimator.boundaries[-1])
        nearest = min(nearest, min(low, high) / steepest)
    return nearest


@njit
def longest_step(placed, x, y, z):
    """Longest step in interface cells, of which there are none [cm]."""
    return math.inf

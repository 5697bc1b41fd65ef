"""The solids of jaws, leaves and cones, and straight rays through them.

Coordinates are those of the beam limiting devices: x = X_b, y = Y_b of IEC 61217, z along the beam from the
target [cm]. Everything inside the collimators uses this one frame.

- A collimator is a stack of **layers** that do not overlap in z; between and within them is air.
- **s** is the coordinate along the motion of a jaw or leaf, **q** that across. The end of bank 1 bounds its
  solid towards larger s; bank 2 is the same, mirrored.
- **Place** is the one number that fixes an end: the slope s/z of a focused face, s of a flat one, s of the
  centre of a round one.
- **Leaf sides** are planes through the target, or turned off it by `tilt`, staggered in `bands` of height by
  the tongue, with half a gap of air on both sides of each.
- Solids are convex, so a ray has one interval in each.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from mc.numerics.columns import ATTENUATION, interval_value
from mc.numerics.jit import njit

JAWS, LEAVES, CONE = range(3)  # shape of a layer
FOCUSED, FLAT, ROUNDED = range(3)  # ends of jaws and leaves; of a cone, its bore
UPPER, LOWER, DENSITY, RADIUS, OFFSET, THICK, MEASURES = range(7)  # columns of `measures`
UNCLEAR, OPEN, SHUT = range(3)  # how a ray passes, as far as `classify_ray` can say cheaply


class Collimator(NamedTuple):
    """Kernel-side solids of one machine; nl layers in the order of the beam, nb bands of leaf sides.

    Lengths in cm, slopes s/z as seen from the target.

    Attributes
    ----------
    sad : float
        Distance from the target to the isocentre plane, in which positions are stated.
    bottom : float
        z of the lower side of the last layer, where particles emerge.
    air_density : float
        [g/cm3]; material 0 of the tables is air.
    shape, axis, ends : (nl,) int64
        JAWS, LEAVES or CONE; 0 moves along x, 1 along y; FOCUSED, FLAT or ROUNDED.
    at_tip : (nl,) int64
        1 where a stated position is that of the tip, 0 where that of the light field.
    material : (nl,) int64
    measures : (nl, MEASURES) float64
        z of upper and lower side; density [g/cm3]; radius of the ends, or of the cone in the isocentre plane;
        by how much the ends stand back in the isocentre plane; how far behind its tip an end is thick.
    bands : (nb + 1,) float64
        z between which the leaf sides are planes.
    shifts : (nb,) float64
        By which the sides stand farther along the axis across the leaves.
    boundaries : (pairs + 1,) float64
        Slopes of the leaf boundaries, ascending.
    half_gap, tilt : float
        Of the leaf sides [cm, rad].
    reach : float
        By which a leaf extends past its pitch, at most [cm].
    """

    sad: float
    bottom: float
    air_density: float
    shape: np.ndarray
    axis: np.ndarray
    ends: np.ndarray
    at_tip: np.ndarray
    material: np.ndarray
    measures: np.ndarray
    bands: np.ndarray
    shifts: np.ndarray
    boundaries: np.ndarray
    half_gap: float
    tilt: float
    reach: float


class Placed(NamedTuple):
    """A collimator at given positions.

    Attributes
    ----------
    collimator : Collimator
    jaws : (4,) float64
        x1, x2, y1, y2 in the isocentre plane [cm].
    leaves : (2 * pairs,) or (0,) float64
        Bank 1, then bank 2, in the isocentre plane [cm]; without them the leaves are retracted.
    """

    collimator: Collimator
    jaws: np.ndarray
    leaves: np.ndarray


class Ray(NamedTuple):
    """A point [cm] and a direction; a `mc.transport.particle.Particle` serves as well."""

    x: float
    y: float
    z: float
    u: float
    v: float
    w: float


class LayerRay(NamedTuple):
    """A ray in the axes of a layer: along and across the motion, and z, with their direction cosines."""

    s: float
    ds: float
    q: float
    dq: float
    z: float
    dz: float


@njit
def layer_ray(collimator, k, ray):
    """A ray in the axes of layer `k`."""
    x, y, z, u, v, w = ray.x, ray.y, ray.z, ray.u, ray.v, ray.w
    s, ds, q, dq = (x, u, y, v) if collimator.axis[k] == 0 else (y, v, x, u)
    return LayerRay(s, ds, q, dq, z, w)


@njit
def layer_point(collimator, k, x, y):
    """Coordinates of a point along and across the motion of layer `k`."""
    return (x, y) if collimator.axis[k] == 0 else (y, x)


@njit
def jaw_places(placed, k):
    """Places of the ends of both jaws of layer `k`, the second mirrored."""
    collimator, jaws, _ = placed
    first = 2 * collimator.axis[k]
    return place_of(collimator, k, jaws[first]), place_of(collimator, k, -jaws[first + 1])


@njit
def leaf_places(placed, k, j):
    """Places of the ends of both leaves of pair `j`, the second mirrored."""
    collimator, _, leaves = placed
    pairs = collimator.boundaries.size - 1
    return place_of(collimator, k, leaves[j]), place_of(collimator, k, -leaves[pairs + j])


@njit
def place_of(collimator, k, position):
    """Place of an end of layer `k` whose stated position is `position` [cm]; mirrored for bank 2."""
    slope = (position - collimator.measures[k, OFFSET]) / collimator.sad
    ends = collimator.ends[k]
    if ends == FOCUSED:
        return slope
    upper, lower = collimator.measures[k, UPPER], collimator.measures[k, LOWER]
    middle = 0.5 * (upper + lower)
    radius = collimator.measures[k, RADIUS] if ends == ROUNDED else 0.0
    if collimator.at_tip[k]:
        return slope * middle - radius
    half = 0.5 * (lower - upper)
    secant = math.sqrt(1.0 + slope * slope)
    if abs(slope) * radius <= half * secant and ends == ROUNDED:
        return slope * middle - radius * secant  # the ray from the target touches the arc here
    # it passes an edge: the upper one where the end has crossed the axis, the lower one where it has not
    edge = math.sqrt(radius * radius - half * half) if ends == ROUNDED else 0.0
    return slope * (upper if slope > 0.0 else lower) - edge


@njit
def end_at(collimator, k, place, z):
    """Where the end of a bank 1 stands in s at a height within its layer [cm]."""
    if collimator.ends[k] == FOCUSED:
        return place * z
    if collimator.ends[k] == FLAT:
        return place
    off = z - 0.5 * (collimator.measures[k, UPPER] + collimator.measures[k, LOWER])
    radius = collimator.measures[k, RADIUS]
    return place + math.sqrt(max(0.0, radius * radius - off * off))


@njit
def clip(f, df, a, b):
    """The part of [a, b] where f + df t <= 0; empty if it ends before it begins."""
    if df > 0.0:
        return a, min(b, -f / df)
    if df < 0.0:
        return max(a, -f / df), b
    return a, (b if f <= 0.0 else a)


@njit
def _in_circle(p, dp, q, dq, radius, a, b):
    """The part of [a, b] where (p + dp t)^2 + (q + dq t)^2 <= radius^2."""
    square = dp * dp + dq * dq
    half = p * dp + q * dq
    root = half * half - square * (p * p + q * q - radius * radius)
    if root <= 0.0 or square == 0.0:
        return a, a
    root = math.sqrt(root)
    return max(a, (-half - root) / square), min(b, (-half + root) / square)


@njit
def in_end(collimator, k, place, s, ds, z, dz, a, b):
    """The part of a ray's [a, b], which lies inside the layer, that is in the solid of a bank 1."""
    ends = collimator.ends[k]
    if ends == FOCUSED:
        return clip(s - place * z, ds - place * dz, a, b)
    flat_a, flat_b = clip(s - place, ds, a, b)
    if ends == FLAT:
        return flat_a, flat_b
    middle = 0.5 * (collimator.measures[k, UPPER] + collimator.measures[k, LOWER])
    radius = collimator.measures[k, RADIUS]
    round_a, round_b = _in_circle(s - place, ds, z - middle, dz, radius, a, b)
    if flat_a >= flat_b:
        return round_a, round_b
    if round_a >= round_b:
        return flat_a, flat_b
    return min(flat_a, round_a), max(flat_b, round_b)


@njit
def in_bore(collimator, k, x, dx, y, dy, z, dz, a, b):
    """The part of a ray's [a, b] inside the bore of a cone."""
    if dz < 0.0:  # the same line, the other way round
        c, d = _in_bore_downwards(collimator, k, x, -dx, y, -dy, z, -dz, -b, -a)
        return -d, -c
    return _in_bore_downwards(collimator, k, x, dx, y, dy, z, dz, a, b)


@njit
def _in_bore_downwards(collimator, k, x, dx, y, dy, z, dz, a, b):
    """The same for a ray that does not rise."""
    slope = collimator.measures[k, RADIUS] / collimator.sad
    if collimator.ends[k] == FLAT:
        return _in_circle(x, dx, y, dy, slope * collimator.measures[k, LOWER], a, b)
    # x^2 + y^2 <= (slope z)^2, the sheet below the target
    square = dx * dx + dy * dy - slope * slope * dz * dz
    half = x * dx + y * dy - slope * slope * z * dz
    rest = x * x + y * y - slope * slope * z * z
    root = half * half - square * rest
    if abs(square) < 1e-14:
        return clip(rest, 2.0 * half, a, b)
    if root <= 0.0:
        return (a, b) if rest <= 0.0 and square < 0.0 else (a, a)
    root = math.sqrt(root)
    one, other = (-half - root) / square, (-half + root) / square
    if square > 0.0:
        return max(a, one), min(b, other)
    # steeper than the bore: inside it after the later crossing, for the other one is above the target
    return max(a, max(one, other)), b


@njit
def _attenuate(a, b, attenuation, left, spent):
    """Cross [a, b] of a solid: whether `left` mean free paths end there, where, and those spent."""
    if b <= a:
        return False, b, spent
    depth = (b - a) * attenuation
    if spent + depth > left:
        return True, a + (left - spent) / attenuation, left
    return False, b, spent + depth


@njit
def _attenuate_two(a, b, c, d, attenuation, left, spent):
    """Cross two intervals of a solid in the order of the flight; see `_attenuate`."""
    if c < a:
        a, b, c, d = c, d, a, b
    hit, distance, spent = _attenuate(a, b, attenuation, left, spent)
    if hit:
        return hit, distance, spent
    return _attenuate(c, d, attenuation, left, spent)


@njit
def leaf_of(collimator, across, z):
    """The leaf pair in whose pitch a point lies, by its coordinate across less the sides' shift."""
    slope = across / z
    first, last = 0, collimator.boundaries.size - 1
    while last - first > 1:
        middle = (first + last) // 2
        if collimator.boundaries[middle] <= slope:
            first = middle
        else:
            last = middle
    return first


@njit
def side_shift(collimator, k, band, z):
    """What the leaf sides of a band stand off the planes through the target at a height [cm]."""
    middle = 0.5 * (collimator.measures[k, UPPER] + collimator.measures[k, LOWER])
    return collimator.shifts[band] + collimator.tilt * (z - middle)


@njit
def _trace_leaves(placed, k, ray, a, b, attenuation, left, spent):
    """Cross [a, b] of the leaves; the ray is a `LayerRay`. See `_attenuate`."""
    collimator = placed.collimator
    s, ds, q, dq, z, dz = ray
    boundaries, pairs = collimator.boundaries, collimator.boundaries.size - 1
    bands, up = collimator.shifts.size, int(dz < 0.0)
    for i in range(bands):
        band = bands - 1 - i if up else i
        t = max(a, (collimator.bands[band + up] - z) / dz)
        until = min(b, (collimator.bands[band + 1 - up] - z) / dz)
        if t >= until:
            continue
        r = q - side_shift(collimator, k, band, z)
        dr = dq - collimator.tilt * dz
        j = leaf_of(collimator, r + dr * t, z + dz * t)
        while True:
            c, d, leave, step = t, until, until, 0
            if j > 0:
                f, df = r - boundaries[j] * z, dr - boundaries[j] * dz
                c, d = clip(collimator.half_gap - f, -df, c, d)
                if df < 0.0 and -f / df < leave:
                    leave, step = -f / df, -1
            if j < pairs - 1:
                f, df = r - boundaries[j + 1] * z, dr - boundaries[j + 1] * dz
                c, d = clip(f + collimator.half_gap, df, c, d)
                if df > 0.0 and -f / df < leave:
                    leave, step = -f / df, 1
            if c < d:
                one, two = leaf_places(placed, k, j)
                c1, d1 = in_end(collimator, k, one, s, ds, z, dz, c, d)
                c2, d2 = in_end(collimator, k, two, -s, -ds, z, dz, c, d)
                hit, distance, spent = _attenuate_two(c1, d1, c2, d2, attenuation, left, spent)
                if hit:
                    return hit, distance, spent
            if step == 0:
                break
            t = max(t, leave)
            j += step
    return False, b, spent


@njit
def trace(placed, ray, photon, i, f, end, left):
    """Follow a ray until `left` mean free paths are spent in solids, or as far as `end`.

    Parameters
    ----------
    placed : Placed
    ray : Ray
        Its w is not 0.
    photon : (nm, ne, 4, 2) array
        Mass attenuation in its first column (`mc.tables.Tables.photon`).
    i, f : int, float
        Interval of the energy grid and fraction within it.
    end : float
        [cm]
    left : float

    Returns
    -------
    k : int
        Layer in which the last of `left` is spent, -1 if none.
    distance : float
        Up to there, or `end` [cm].
    spent : float
        Mean free paths passed.
    """
    collimator = placed.collimator
    z, w = ray.z, ray.w
    spent, layers, up = 0.0, collimator.shape.size, w < 0.0
    for number in range(layers):
        k = layers - 1 - number if up else number
        shape = collimator.shape[k]
        if shape == LEAVES and placed.leaves.size == 0:
            continue
        a = max(0.0, (collimator.measures[k, LOWER if up else UPPER] - z) / w)
        b = min(end, (collimator.measures[k, UPPER if up else LOWER] - z) / w)
        if a >= b:
            continue
        m = collimator.material[k]
        attenuation = collimator.measures[k, DENSITY] * interval_value(photon, m, i, ATTENUATION, f)
        line = layer_ray(collimator, k, ray)
        if shape == LEAVES:
            hit, distance, spent = _trace_leaves(placed, k, line, a, b, attenuation, left, spent)
        elif shape == JAWS:
            one, two = jaw_places(placed, k)
            a1, b1 = in_end(collimator, k, one, line.s, line.ds, z, w, a, b)
            a2, b2 = in_end(collimator, k, two, -line.s, -line.ds, z, w, a, b)
            hit, distance, spent = _attenuate_two(a1, b1, a2, b2, attenuation, left, spent)
        else:
            c, d = in_bore(collimator, k, ray.x, ray.u, ray.y, ray.v, z, w, a, b)
            if c >= d:
                c = d = b
            hit, distance, spent = _attenuate_two(a, c, d, b, attenuation, left, spent)
        if hit:
            return k, distance, spent
    return -1, end, spent


@njit
def _beside_ends(collimator, k, one, two, s_upper, s_lower):
    """How a ray passes two ends: OPEN between them, SHUT in the thick of one, or UNCLEAR.

    The ray is given by s at both sides of the layer: all between follows, as solids and openings are convex,
    but for the opening between round ends, which is therefore taken to begin at their tips.
    """
    upper, lower = 1.0, 1.0
    if collimator.ends[k] == FOCUSED:
        upper, lower = collimator.measures[k, UPPER], collimator.measures[k, LOWER]
    radius = collimator.measures[k, RADIUS] if collimator.ends[k] == ROUNDED else 0.0
    first = place_of(collimator, k, one) + radius  # as far as the end protrudes
    second = -place_of(collimator, k, -two) - radius
    if first * upper < s_upper < second * upper and first * lower < s_lower < second * lower:
        return OPEN
    thick = collimator.measures[k, THICK]
    if s_upper < first * upper - thick and s_lower < first * lower - thick:
        return SHUT
    if s_upper > second * upper + thick and s_lower > second * lower + thick:
        return SHUT
    return UNCLEAR


@njit
def classify_ray(placed, ray):
    """How a ray passes: OPEN beside all solids, SHUT by the first it meets, UNCLEAR if neither is plain.

    SHUT: it is in solid from the upper to the lower side of a layer, and beside all solids above. The ray
    goes down from above the first layer. Returns that and the layer it is shut by, -1 if by none.
    """
    collimator, jaws, leaves = placed
    z, w = ray.z, ray.w
    for k in range(collimator.shape.size):
        shape = collimator.shape[k]
        if shape == LEAVES and leaves.size == 0:
            continue
        upper, lower = collimator.measures[k, UPPER], collimator.measures[k, LOWER]
        a, b = (upper - z) / w, (lower - z) / w
        x1, x2, y1, y2 = ray.x + ray.u * a, ray.x + ray.u * b, ray.y + ray.v * a, ray.y + ray.v * b
        if shape == CONE:
            slope = collimator.measures[k, RADIUS] / collimator.sad
            r1 = slope * (lower if collimator.ends[k] == FLAT else upper)
            if x1 * x1 + y1 * y1 >= r1 * r1 or x2 * x2 + y2 * y2 >= (slope * lower) ** 2:
                return UNCLEAR, -1
            continue
        s1, s2, q1, q2 = (x1, x2, y1, y2) if collimator.axis[k] == 0 else (y1, y2, x1, x2)
        if shape == JAWS:
            first = 2 * collimator.axis[k]
            there = _beside_ends(collimator, k, jaws[first], jaws[first + 1], s1, s2)
            if there == SHUT:
                return SHUT, k
            if there == UNCLEAR:
                return UNCLEAR, -1
            continue
        pairs = collimator.boundaries.size - 1
        low, high = min(q1 / upper, q2 / lower), max(q1 / upper, q2 / lower)
        leaf = leaf_of(collimator, low * upper - collimator.reach, upper)
        last = leaf_of(collimator, high * upper + collimator.reach, upper)
        there = _beside_ends(collimator, k, leaves[leaf], leaves[pairs + leaf], s1, s2)
        if there == SHUT and leaf == last:  # well inside a leaf, no gap near
            return SHUT, k
        while leaf < last and there == OPEN:
            leaf += 1
            there = _beside_ends(collimator, k, leaves[leaf], leaves[pairs + leaf], s1, s2)
        if there != OPEN:
            return UNCLEAR, -1
    return OPEN, -1


@njit
def depth_in(placed, k, x, y, z):
    """From a point in the solid of layer `k` to its lower side or its end, whichever is nearer [cm]."""
    collimator = placed.collimator
    below = collimator.measures[k, LOWER] - z
    if collimator.shape[k] == CONE:
        slope = collimator.measures[k, RADIUS] / collimator.sad
        height = collimator.measures[k, LOWER] if collimator.ends[k] == FLAT else z
        return min(below, math.sqrt(x * x + y * y) - slope * height)
    s, q = layer_point(collimator, k, x, y)
    if collimator.shape[k] == JAWS:
        one, two = jaw_places(placed, k)
    else:
        one, two = leaf_places(placed, k, leaf_of(collimator, q, z))
    first, second = end_at(collimator, k, one, z), -end_at(collimator, k, two, z)
    return min(below, max(first - s, s - second))

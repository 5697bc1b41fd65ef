"""Outlines on one plane that would cancel each other by the even-odd rule, or themselves.

An outline drawn twice, not quite alike, would leave a thin ring, and what two outlines share that cross each
other would be left out. Holes lie wholly within an outline, and are not touched.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from phantoms.polygons import area, windings

NEAR = 0.02  # outlines no further apart than this on average are one [cm]
PAIRS = 250_000  # of edges that are compared to see whether outlines cross
SHARE = 0.02  # of an outline's area, by which loops of it count


class Untangled(NamedTuple):
    """The outlines of a plane, and how many were copies of others or joined with others."""

    polygons: list[np.ndarray]
    copies: int
    joined: int


class Loops(NamedTuple):
    """Which of a structure's outlines (n,) cross themselves."""

    twice: np.ndarray  # and go round a part of what they enclose more than once
    against: np.ndarray  # and go round parts in opposite directions


def untangle(polygons: list[np.ndarray], joins: bool = True) -> Untangled:
    """Take near copies once, and with `joins` make one outline of two that cross each other."""
    kept = list(polygons)
    copies = joined = k = 0
    while k < len(kept):
        n = k + 1
        while n < len(kept):
            pair = kept[k], kept[n]
            if not _boxes_meet(*pair):
                n += 1
            elif _is_copy(*pair):
                del kept[n]
                copies += 1
            elif joins and _is_crossed(*pair):
                kept[k] = _around_both(*pair)
                del kept[n]
                joined += 1
                n = k + 1  # it may reach another one now
            else:
                n += 1
        k += 1
    return Untangled(kept, copies, joined)


def find_loops(polygons: list[np.ndarray]) -> Loops:
    """Find outlines that cross themselves, unless in loops of less than `SHARE` of their area."""
    once, twice, back = windings(polygons)
    whole = once + twice + back
    against = np.minimum(back, once + twice) > SHARE * whole
    return Loops((twice > SHARE * whole) & ~against, against)


def signed_area(polygon: np.ndarray) -> float:
    """Area of an outline that does not cross itself, above 0 if it is counter-clockwise."""
    x, y = polygon.T
    return 0.5 * float(x @ np.roll(y, -1) - y @ np.roll(x, -1))


def _length(polygon: np.ndarray) -> float:
    return float(np.hypot(*(np.roll(polygon, -1, axis=0) - polygon).T).sum())


def _boxes_meet(a: np.ndarray, b: np.ndarray) -> bool:
    return bool((a.min(axis=0) <= b.max(axis=0)).all() and (b.min(axis=0) <= a.max(axis=0)).all())


def _is_copy(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two outlines run side by side: little lies in one of them only."""
    margin = NEAR * max(_length(a), _length(b))
    return abs(abs(signed_area(a)) - abs(signed_area(b))) <= margin and area([a, b]) <= margin


def _is_crossed(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether each of two outlines lies partly within the other."""
    if not _edges_meet(a, b):
        return False
    areas = area([a]), area([b])
    shared = 0.5 * (sum(areas) - area([a, b]))
    margin = NEAR * min(_length(a), _length(b))
    return shared > margin and min(areas) - shared > margin


def _edges_meet(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether an edge of one outline meets one of the other; true too if there are too many to look at."""
    low, high = np.maximum(a.min(axis=0), b.min(axis=0)), np.minimum(a.max(axis=0), b.max(axis=0))
    (p, q), (r, s) = (_edges_within(polygon, low, high) for polygon in (a, b))
    if len(p) * len(r) > PAIRS:
        return True

    def side(origin, end, points):
        """Cross products: on which side of edges (n, 1, 2) points (1, m, 2) lie."""
        along, to = end - origin, points - origin
        return along[..., 0] * to[..., 1] - along[..., 1] * to[..., 0]

    p, q, r, s = p[:, None], q[:, None], r[None], s[None]
    return bool(((side(p, q, r) * side(p, q, s) <= 0) & (side(r, s, p) * side(r, s, q) <= 0)).any())


def _edges_within(polygon: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the edges whose boxes reach into a box."""
    start, end = polygon, np.roll(polygon, -1, axis=0)
    near = (np.minimum(start, end) <= high) & (np.maximum(start, end) >= low)
    kept = near.all(axis=1)
    return start[kept], end[kept]


def _around_both(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """One outline that goes round `a`, over to `b`, round it in the same direction, and back."""
    if signed_area(a) * signed_area(b) < 0:
        b = b[::-1]
    return np.vstack([a, a[:1], b, b[:1]])

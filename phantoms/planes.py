"""The planes of contours: which contours share one, how far apart they are, where a structure has gaps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

SAME_PLANE_CM = 1e-3  # contours within 0.01 mm lie on one plane
# Contours of one slice may differ in z by rounding: by this share of the spacing at most, and no more than
# that [cm]. Structures are not drawn on planes that near to each other.
ROUNDING, MAX_ROUNDING_CM = 0.25, 0.1
GAP_FACTOR = 1.5  # planes further apart than this times the contour spacing leave a gap


def by_plane(contours: Iterable[np.ndarray]) -> list[tuple[float, list[np.ndarray]]]:
    """Group contours by plane, ascending in z."""
    planes: list[tuple[float, list[np.ndarray]]] = []
    for contour in sorted(contours, key=lambda points: points[0, 2]):
        z = float(contour[0, 2])
        if planes and z - planes[-1][0] <= SAME_PLANE_CM:
            planes[-1][1].append(contour)
        else:
            planes.append((z, [contour]))
    return planes


def heights(contours: Iterable[np.ndarray]) -> np.ndarray:
    """Heights of contours, the middle of their points', (n,) [cm]."""
    return np.array([0.5 * (contour[:, 2].min() + contour[:, 2].max()) for contour in contours])


def usual_spacing(structures: Iterable[np.ndarray]) -> float:
    """Return the usual distance of planes over structures with contours at heights (n,) [cm]; 0 without any.

    A quarter of what all structures extend is spanned by steps up to this one: small ones of rounding do not
    count, however many, and neither do gaps.
    """
    steps = np.sort(np.concatenate([np.diff(np.sort(z)) for z in structures] or [np.array([])]))
    spanned = np.cumsum(steps)
    if not len(steps) or spanned[-1] == 0.0:
        return 0.0
    return float(steps[np.searchsorted(spanned, 0.25 * spanned[-1])])


def rounding(spacing: float) -> float:
    """By how much contours of one plane may differ in z where planes are `spacing` apart [cm]."""
    return max(min(ROUNDING * spacing, MAX_ROUNDING_CM), SAME_PLANE_CM) + 1e-6


def on_planes(z: np.ndarray, spacing: float) -> np.ndarray:
    """Heights of the planes on which contours at heights `z` lie, (n,) [cm].

    Contours within the `rounding` of the usual spacing share a plane. Where that would join planes which
    follow each other, as of a structure on finer ones, half of it is tried, and so on.
    """
    order = np.argsort(z, kind="stable")
    tolerance = rounding(spacing)
    while True:
        groups = np.split(order, np.flatnonzero(np.diff(z[order]) > tolerance) + 1)
        if tolerance < 2 * SAME_PLANE_CM or all(
            np.ptp(z[group]) <= tolerance for group in groups if len(group)
        ):
            break
        tolerance *= 0.5
    planes = np.empty(len(z))
    for group in groups:
        planes[group] = np.median(z[group]) if len(group) else 0.0
    return planes


def find_gaps(z: np.ndarray, spacing: float, others: Sequence[np.ndarray]) -> tuple[int, ...]:
    """Planes `z` (n,) after which a structure is interrupted; `others` are the planes of other structures.

    Contours of another structure in between show that there is a gap. If another structure has contours on
    both planes and none in between, the slices are that far apart. Otherwise two wide steps in a row show
    that the slice thickness changes.
    """
    steps, near = np.diff(z), rounding(spacing)
    found = []
    for k in np.flatnonzero(steps > GAP_FACTOR * spacing):
        between = any(((h > z[k] + near) & (h < z[k + 1] - near)).any() for h in others)
        across = any(all((np.abs(h - end) <= near).any() for end in z[k : k + 2]) for h in others)
        beside = [steps[n] for n in (k - 1, k + 1) if 0 <= n < len(steps)]
        alone = not any(GAP_FACTOR * step >= steps[k] for step in beside)
        if between or (alone and not across):
            found.append(int(k))
    return tuple(found)


def distances_outside(z: np.ndarray, spacing: float, others: np.ndarray) -> tuple[float | None, float | None]:
    """From the first and the last of planes `z` (n,) to the next of `others` outside; None without."""
    if not len(z):
        return None, None
    outside = (d[d > rounding(spacing)] for d in (z[0] - others, others - z[-1]))
    return tuple(float(d.min()) if d.size else None for d in outside)

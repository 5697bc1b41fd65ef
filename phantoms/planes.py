"""The planes of contours: which contours share one, how far apart they are, where a structure has gaps."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

SAME_PLANE_CM = 1e-3  # contours within 0.01 mm lie on one plane
SAME_VERTEX_CM = 1e-4  # vertices within a micrometre are one
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


def usual_spacing(structures: list[list[np.ndarray]]) -> float:
    """Return the usual distance of contour planes over all structures [cm]; 0 if there is none."""
    gaps = []
    for contours in structures:
        gaps.extend(np.diff([z for z, _ in by_plane(contours)]))
    return float(np.median(gaps)) if gaps else 0.0


def find_gaps(z: np.ndarray, spacing: float, others: list[np.ndarray]) -> tuple[int, ...]:
    """Planes `z` (n,) after which a structure is interrupted; `others` are the planes of other structures.

    Contours of another structure in between show that there is a gap. If another structure has contours on
    both planes and none in between, the slices are that far apart. Otherwise two wide steps in a row show
    that the slice thickness changes.
    """
    steps = np.diff(z)
    found = []
    for k in np.flatnonzero(steps > GAP_FACTOR * spacing):
        between = any(((h > z[k] + SAME_PLANE_CM) & (h < z[k + 1] - SAME_PLANE_CM)).any() for h in others)
        across = any(all((np.abs(h - end) <= SAME_PLANE_CM).any() for end in z[k : k + 2]) for h in others)
        beside = [steps[n] for n in (k - 1, k + 1) if 0 <= n < len(steps)]
        alone = not any(GAP_FACTOR * step >= steps[k] for step in beside)
        if between or (alone and not across):
            found.append(int(k))
    return tuple(found)


def distances_outside(z: np.ndarray, heights: np.ndarray) -> tuple[float | None, float | None]:
    """From the first and the last of planes `z` (n,) to the next of `heights` outside; None without."""
    if not len(z):
        return None, None
    outside = (d[d > SAME_PLANE_CM] for d in (z[0] - heights, heights - z[-1]))
    return tuple(float(d.min()) if d.size else None for d in outside)


def without_copies(contours: list[np.ndarray], name: str) -> tuple[list[np.ndarray], list[str]]:
    """Drop contours drawn twice, which the even-odd rule would cancel: in any direction, closed or not."""
    vertices = (np.unique(np.rint(contour / SAME_VERTEX_CM), axis=0).tobytes() for contour in contours)
    unique = list({key: contour for key, contour in zip(vertices, contours, strict=True)}.values())
    dropped = len(contours) - len(unique)
    return unique, [f"structure {name}: {dropped} contour(s) drawn twice were taken once"] if dropped else []

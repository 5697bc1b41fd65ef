"""From where, and through which opening, the beams of a plan irradiate: a few directions for each.

They only serve to share the Monte Carlo dose of a voxel out among the beams, so a blurred opening and primary
photons are enough.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter

from mc.plan.aperture import ALONG_X, extent
from mc.plan.plan import Beam, ControlPoint, Plan, beam_to_patient

TURN = 10.0  # of gantry, couch or collimator that one direction stands for, at most [degrees]
STEP = 0.25  # of the map of an opening, in the isocentre plane [cm]
MARGIN = 3.0  # about the opening that the map covers [cm]
EDGE = 0.3  # blur of an opening's edge [cm]
SCATTER, REACH = 0.06, 1.5  # share of an opening's dose that is scattered about it, and how far [cm]
FAR = 0.004  # of the open field: least dose outside it
WIDEST = 25.0  # where a beam without jaws is cut off [cm]


@dataclass(frozen=True, eq=False)
class Direction:
    """A beam for a while, standing still.

    Parameters
    ----------
    beam : int
        Index of the beam in the plan.
    weight : float
        Its monitor units of the course.
    rotation : (3, 3) float64
        Phase-space to patient axes; the third column points along the beam.
    source : (3,) float64
        The target, LPS (x, y, z) [cm].
    sad : float
        [cm]
    u, v : (n,), (m,) float64
        Phase-space x and y of the map, in the isocentre plane [cm].
    opening : (m, n) float64
        How open the field is there, 0 to 1, blurred.
    """

    beam: int
    weight: float
    rotation: np.ndarray
    source: np.ndarray
    sad: float
    u: np.ndarray
    v: np.ndarray
    opening: np.ndarray

    @property
    def width(self) -> float:
        """Side of a square of the open area [cm]."""
        most = self.opening.max()
        return STEP * float(np.sqrt(np.count_nonzero(self.opening >= 0.5 * most))) if most > 0 else STEP


def directions(plan: Plan) -> list[Direction]:
    """The directions of all beams of a plan."""
    found = []
    for index, beam in enumerate(plan.beams):
        u, v = _map_axes(beam)
        for weight, point, opening in _stays(beam, u, v):
            rotation, source = beam_to_patient(beam, plan.patient_position, point)
            found.append(
                Direction(
                    index,
                    weight * beam.mu * plan.fractions,
                    rotation,
                    source,
                    beam.sad,
                    u,
                    v,
                    _blurred(opening),
                )
            )
    return found


def _blurred(opening: np.ndarray) -> np.ndarray:
    near, wide = (gaussian_filter(opening, width / STEP, mode="nearest") for width in (EDGE, REACH))
    return np.maximum((1.0 - SCATTER) * near + SCATTER * wide, FAR * opening.max())


def _map_axes(beam: Beam) -> tuple[np.ndarray, np.ndarray]:
    x1, x2, y1, y2 = np.clip(extent(beam), -WIDEST, WIDEST)
    axes = []
    for low, high in ((x1, x2), (-y2, -y1)):  # phase-space y is -Y of the collimators
        cells = max(1, math.ceil((high - low + 2 * MARGIN) / STEP))
        axes.append(0.5 * (low + high) + STEP * (np.arange(cells) - 0.5 * (cells - 1)))
    return axes[0], axes[1]


def _stays(beam: Beam, u: np.ndarray, v: np.ndarray) -> Iterator[tuple[float, ControlPoint, np.ndarray]]:
    """Share of the beam, where the machine stands meanwhile, and its mean opening (m, n)."""
    gathered: list[tuple[float, ControlPoint]] = []
    for share, point in _instants(beam):
        if gathered and np.abs(point.aim[:3] - gathered[0][1].aim[:3]).max() > TURN:
            yield _mean(gathered, beam, u, v)
            gathered = []
        gathered.append((share, point))
    yield _mean(gathered, beam, u, v)


def _instants(beam: Beam) -> Iterator[tuple[float, ControlPoint]]:
    """Parts of the segments, none of which turns by more than `TURN`, each at its middle."""
    for first, last in beam.segments:
        turn = np.abs(last.aim[:3] - first.aim[:3]).max()
        parts = max(1, math.ceil(turn / TURN))
        for k in range(parts):
            yield (last.weight - first.weight) / parts, _between(first, last, (k + 0.5) / parts)


def _between(first: ControlPoint, last: ControlPoint, f: float) -> ControlPoint:
    def mix(a, b):
        # infinite where there are no jaws, on both sides alike
        return tuple(p if p == q else (1 - f) * p + f * q for p, q in zip(a, b, strict=True))

    gantry, collimator, couch = mix(first.aim[:3], last.aim[:3])
    return ControlPoint(
        0.0,
        gantry,
        collimator,
        couch,
        mix(first.isocentre, last.isocentre),
        mix(first.jaws, last.jaws),
        {kind: mix(first.leaves[kind], last.leaves[kind]) for kind in first.leaves},
    )


def _mean(
    gathered: list[tuple[float, ControlPoint]], beam: Beam, u: np.ndarray, v: np.ndarray
) -> tuple[float, ControlPoint, np.ndarray]:
    shares = np.array([share for share, _ in gathered])
    aims = np.array([point.aim for _, point in gathered])
    aim = shares @ aims / shares.sum()
    opening = sum(share * _opening(point, beam, u, v) for share, point in gathered) / shares.sum()
    middle = replace(gathered[0][1], gantry=aim[0], collimator=aim[1], couch=aim[2], isocentre=tuple(aim[3:]))
    return float(shares.sum()), middle, opening


def _opening(point: ControlPoint, beam: Beam, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """1 where jaws, leaves and cone are open, 0 elsewhere, (m, n)."""
    x, y = u, -v
    x1, x2, y1, y2 = point.jaws
    opened = ((y >= y1) & (y <= y2))[:, None] & ((x >= x1) & (x <= x2))
    for kind, places in point.leaves.items():
        borders = np.array(beam.leaf_boundaries[kind])
        bank1, bank2 = np.array(places[: len(borders) - 1]), np.array(places[len(borders) - 1 :])
        along, across = (x, y) if ALONG_X[kind] else (y, x)
        pair = np.clip(np.searchsorted(borders, across, side="right") - 1, 0, len(bank1) - 1)
        between = (along >= bank1[pair][:, None]) & (along <= bank2[pair][:, None])  # (across, along)
        between &= ((across >= borders[0]) & (across <= borders[-1]))[:, None]
        opened &= between if ALONG_X[kind] else between.T
    if beam.cone is not None:
        opened &= np.hypot(x, y[:, None]) < 0.5 * beam.cone
    return opened.astype(float)

"""What moves while a beam irradiates: control points as arrays, and the machine's state at a random instant.

Between two control points everything is linear in the meterset (DICOM PS3.3 C.8.8.14). Every original history
is given an instant, uniform in the meterset, which fixes the machine for all its particles; so gantry,
collimator, couch, jaws and leaves are sampled continuously. Where the meterset does not change nothing is
ever sampled.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from mc.numerics.jit import njit
from mc.numerics.rng import uniform
from mc.plan.coordinates import TABLE_TO_PATIENT, orient, place
from mc.plan.plan import SAME, Beam, beam_to_patient

OPEN = 100.0  # where jaws stand that are not there [cm]
FINE = math.radians(2.0)  # between places of the source in `positions`


class Delivery(NamedTuple):
    """The machine at n control points; where nothing moves there is one, and nothing is drawn."""

    cumulative: np.ndarray  # (n,) share of the meterset, 0 to 1
    angles: np.ndarray  # (n, 3) gantry, collimator, couch, running on beyond a turn [rad]
    isocentre: np.ndarray  # (n, 3) LPS [cm]
    jaws: np.ndarray  # (n, 4) x1, x2, y1, y2 in the isocentre plane [cm]
    leaves: np.ndarray  # (n, leaves) bank 1, then bank 2 [cm]
    output: np.ndarray  # (n,) factor on the particles' weights
    table_to_patient: np.ndarray  # (3, 3)
    sad: float  # [cm]
    rotation: np.ndarray  # (3, 3) phase-space to patient axes at the first control point
    origin: np.ndarray  # (3,) the target there, LPS [cm]
    turns: bool  # whether rotation or origin change at all


class State(NamedTuple):
    """The machine at one instant, written over by `sample_state`; units as in `Delivery`."""

    rotation: np.ndarray  # (3, 3)
    origin: np.ndarray  # (3,)
    isocentre: np.ndarray  # (3,)
    jaws: np.ndarray  # (4,)
    leaves: np.ndarray  # (leaves,)


def fixed(
    rotation: np.ndarray,
    origin: np.ndarray,
    jaws: Sequence[float] = (-OPEN, OPEN, -OPEN, OPEN),
    leaves: Sequence[float] = (),
) -> Delivery:
    """The delivery of a machine that does not move.

    Parameters
    ----------
    rotation, origin : (3, 3), (3,) float64
        From phase-space to patient coordinates [cm].
    jaws, leaves
        See `Delivery`; above the jaws only.
    """
    return Delivery(
        cumulative=np.zeros(1),
        angles=np.zeros((1, 3)),
        isocentre=np.zeros((1, 3)),
        jaws=np.array([jaws], float),
        leaves=np.array([leaves], float),
        output=np.ones(1),
        table_to_patient=np.eye(3),
        sad=0.0,
        rotation=np.ascontiguousarray(rotation, float),
        origin=np.ascontiguousarray(origin, float),
        turns=False,
    )


def deliver(
    beam: Beam,
    patient_position: str,
    *,
    shaped: bool = True,
    output: Callable[[tuple[float, float, float, float]], float] = lambda _: 1.0,
) -> Delivery:
    """The delivery of a plan's beam.

    Parameters
    ----------
    beam : Beam
    patient_position : str
        One of the eight of `TABLE_TO_PATIENT`.
    shaped : bool
        Whether jaws and leaves are to be positioned; not so below them.
    output : callable
        Factor on the particles' weights for jaws at (x1, x2, y1, y2) [cm]
        (`mc.machine.machine.BeamQuality.output`).
    """
    points = beam.control_points
    aims = np.array([point.aim for point in points])
    shapes = np.array([point.shape for point in points]) if shaped else np.zeros((len(points), 4))
    shapes = np.clip(shapes, -OPEN, OPEN)
    cumulative = np.array([point.weight for point in points])
    # the ends of the segments that irradiate: a beam that moves between these only is static
    steps = np.diff(cumulative) > 0.0
    used = np.append(steps, False) | np.insert(steps, 0, False)
    turns = bool(np.ptp(aims[used], axis=0).max() > SAME)
    if not turns and np.ptp(shapes[used], axis=0).max() <= SAME:
        kept = np.flatnonzero(used)[:1]
    else:
        kept = np.arange(len(points))
        cumulative = (cumulative - cumulative[0]) / (cumulative[-1] - cumulative[0])
    rotation, origin = beam_to_patient(beam, patient_position, points[int(np.argmax(used))])
    return Delivery(
        cumulative=cumulative[kept],
        angles=np.radians(aims[kept, :3]),
        isocentre=np.ascontiguousarray(aims[kept, 3:]),
        jaws=np.ascontiguousarray(shapes[kept, :4]),
        leaves=np.ascontiguousarray(shapes[kept, 4:]),
        output=np.array([output(points[k].jaws) if used[k] else 1.0 for k in kept]),
        table_to_patient=np.ascontiguousarray(TABLE_TO_PATIENT[patient_position]),
        sad=beam.sad,
        rotation=rotation,
        origin=origin,
        turns=turns,
    )


@njit(_nrt=True)
def first_state(delivery):
    """The first state; the only one of a static delivery."""
    return State(
        delivery.rotation.copy(),
        delivery.origin.copy(),
        delivery.isocentre[0].copy(),
        delivery.jaws[0].copy(),
        delivery.leaves[0].copy(),
    )


@njit
def sample_state(delivery, state, rng):
    """Write the state at a random instant; returns the output factor there, and the rng."""
    instant, rng = uniform(rng)
    # the last control point not after the instant; cumulative[0] = 0 < instant < 1 = cumulative[-1]
    k, after = 0, delivery.cumulative.shape[0] - 1
    while after - k > 1:
        middle = (k + after) // 2
        if delivery.cumulative[middle] <= instant:
            k = middle
        else:
            after = middle
    f = (instant - delivery.cumulative[k]) / (delivery.cumulative[k + 1] - delivery.cumulative[k])
    if delivery.turns:
        for axis in range(3):
            state.isocentre[axis] = _between(delivery.isocentre, k, axis, f)
        _aim(
            _between(delivery.angles, k, 0, f),
            _between(delivery.angles, k, 1, f),
            _between(delivery.angles, k, 2, f),
            delivery,
            state,
        )
    for jaw in range(4):
        state.jaws[jaw] = _between(delivery.jaws, k, jaw, f)
    for leaf in range(state.leaves.shape[0]):
        state.leaves[leaf] = _between(delivery.leaves, k, leaf, f)
    return delivery.output[k] + f * (delivery.output[k + 1] - delivery.output[k]), rng


@njit
def _between(values, k, column, f):
    return values[k, column] + f * (values[k + 1, column] - values[k, column])


@njit
def _aim(gantry, collimator, couch, delivery, state):
    """Write the rotation at angles [rad], and where the target lies about the state's isocentre."""
    orient(
        (math.cos(gantry), math.sin(gantry)),
        (math.cos(collimator), math.sin(collimator)),
        (math.cos(couch), math.sin(couch)),
        delivery.table_to_patient,
        state.rotation,
    )
    place(state.rotation, state.isocentre, delivery.sad, state.origin)


def positions(delivery: Delivery, point: np.ndarray) -> np.ndarray:
    """Positions of a point of the phase space [cm] while the beam irradiates, (k, 3) LPS [cm].

    Angles are at most `FINE` apart.
    """
    if not delivery.turns:
        return (delivery.origin + delivery.rotation @ point)[None]
    widest = np.abs(np.diff(delivery.angles, axis=0)).max(axis=1)
    state, found = first_state(delivery), []
    for k in np.flatnonzero(np.diff(delivery.cumulative) > 0.0):
        for f in np.linspace(0.0, 1.0, 2 + int(widest[k] / FINE)):
            angles, isocentres = delivery.angles[k : k + 2], delivery.isocentre[k : k + 2]
            state.isocentre[:] = isocentres[0] + f * (isocentres[1] - isocentres[0])
            _aim(*(angles[0] + f * (angles[1] - angles[0])), delivery, state)
            found.append(state.origin + state.rotation @ point)
    return np.array(found)

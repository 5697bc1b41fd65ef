"""Openings of jaws and leaves, and the delivery technique of a beam."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from mc.plan.plan import SAME, Beam, ControlPoint

CLOSED = 0.1  # gap of leaves that are meant to be closed, at most [cm]
ALONG_X = {"MLCX": True, "MLCY": False}  # leaves that move along x of the beam limiting device, or y


def technique(beam: Beam) -> str:
    """Static, step and shoot, sliding window, arc, conformal arc or VMAT.

    In a conformal arc, unlike VMAT, the monitor units are proportional to the gantry angle.
    """
    pairs = beam.segments
    turn = np.array([b.gantry - a.gantry for a, b in pairs])
    shapes = not all(_same(a.shape, b.shape) for a, b in pairs)
    if np.abs(turn).max() > SAME:
        if not shapes and all(_same(pairs[0][0].shape, a.shape) for a, _ in pairs):
            return "arc"
        shares = np.array([b.weight - a.weight for a, b in pairs])
        even = np.abs(turn) / np.abs(turn).sum()
        return "conformal arc" if np.allclose(shares, even, rtol=0.02, atol=1e-5) else "VMAT"
    if shapes:
        return "sliding window"
    if any(not _same(a.aim, b.aim) for a, b in pairs):
        return "moving couch"
    first = pairs[0][0]
    same = all(_same(first.shape, a.shape) and _same(first.aim, a.aim) for a, _ in pairs)
    return "static" if same else "step and shoot"


def shaped_by(beam: Beam) -> str:
    """What shapes the field besides two pairs of static jaws; empty where nothing does.

    Leaves outside the jaws shape nothing.
    """
    if beam.cone is not None:
        return f"a cone of {beam.cone:g} cm"
    for point in (point for pair in beam.segments for point in pair):
        if not np.isfinite(point.jaws).all():
            return "no jaws in one direction"
        if not _same(point.jaws, beam.segments[0][0].jaws):
            return "the jaws move"
        for kind, (borders, bank1, bank2) in _leaves(point, beam.leaf_boundaries).items():
            along, across = _along_across(point.jaws, kind)
            in_field = (borders[1:] > across[0] + SAME) & (borders[:-1] < across[1] - SAME)
            shaping = in_field & ((bank1 > along[0] + SAME) | (bank2 < along[1] - SAME))
            if shaping.any():
                return f"{int(shaping.sum())} {kind} leaf pairs reach into the jaws"
            if borders[0] > across[0] + SAME or borders[-1] < across[1] - SAME:
                return f"the {kind} does not cover the jaws"
    return ""


def extent(beam: Beam, ignoring: str = "") -> tuple[float, float, float, float]:
    """The rectangle (x1, x2, y1, y2) that contains all openings of a beam [cm].

    It is infinite where nothing shapes the beam, and zero if nothing is ever open; leaf pairs no further
    apart than `CLOSED` count as closed. `ignoring` leaves out the jaws of an axis, X or Y.
    """
    boxes = []
    cone = np.inf if beam.cone is None else 0.5 * beam.cone
    for point in (point for pair in beam.segments for point in pair):
        jaws = np.array(point.jaws, float)
        if ignoring:
            jaws[{"X": slice(0, 2), "Y": slice(2, 4)}[ignoring]] = -np.inf, np.inf
        box = np.clip(jaws, -cone, cone)
        for kind, (borders, bank1, bank2) in _leaves(point, beam.leaf_boundaries).items():
            along, across = _along_across(tuple(box), kind)
            bank1, bank2 = np.maximum(bank1, along[0]), np.minimum(bank2, along[1])
            low, high = np.maximum(borders[:-1], across[0]), np.minimum(borders[1:], across[1])
            apart = (bank2 - bank1 > CLOSED) & (high - low > SAME)
            if not apart.any():
                box = None
                break
            limits = bank1[apart].min(), bank2[apart].max(), low[apart].min(), high[apart].max()
            box = np.array(limits if ALONG_X[kind] else limits[2:] + limits[:2])
        if box is not None:
            boxes.append(box)
    if not boxes:
        return 0.0, 0.0, 0.0, 0.0
    lowest, highest = np.min(boxes, axis=0), np.max(boxes, axis=0)
    return float(lowest[0]), float(highest[1]), float(lowest[2]), float(highest[3])


def opening(point: ControlPoint, boundaries: Mapping[str, tuple[float, ...]]) -> float:
    """Area that jaws and leaves leave open, in the isocentre plane [cm2]; infinite without either."""
    x1, x2, y1, y2 = point.jaws
    if not point.leaves:
        return float((x2 - x1) * (y2 - y1))
    area = np.inf
    for kind, (borders, bank1, bank2) in _leaves(point, boundaries).items():
        along, across = _along_across(point.jaws, kind)
        width = np.clip(borders[1:], *across) - np.clip(borders[:-1], *across)
        gap = np.minimum(bank2, along[1]) - np.maximum(bank1, along[0])
        area = min(area, float(np.sum(width * np.maximum(gap, 0.0))))
    return area


def mean_opening(beam: Beam) -> float:
    """Open area averaged over the meterset [cm2]; of a cone, where jaws and leaves leave it open, its own."""
    areas = [
        (0.5 * sum(opening(point, beam.leaf_boundaries) for point in pair), pair[1].weight - pair[0].weight)
        for pair in beam.segments
    ]
    highest = math.inf if beam.cone is None else 0.25 * math.pi * beam.cone**2
    return sum(min(area, highest) * share for area, share in areas) / sum(share for _, share in areas)


def angle_range(beam: Beam, name: str) -> str:
    """One of a beam's angles in words: `180`, or `181 CW to 179`, with all turning points in between.

    Parameters
    ----------
    name : {"gantry", "collimator", "couch"}
    """
    angles = [getattr(point, name) for pair in beam.segments for point in pair]
    kept = angles[:1]
    for angle in angles:
        if abs(angle - kept[-1]) <= SAME:
            continue
        if len(kept) > 1 and (angle > kept[-1]) == (kept[-1] > kept[-2]):
            kept[-1] = angle
        else:
            kept.append(angle)
    text = f"{kept[0] % 360.0:.5g}"
    for before, angle in pairwise(kept):
        grows = angle > before
        text += f" {'CW' if grows == (name == 'gantry') else 'CC'} to {angle % 360.0:.5g}"
    return text


def jaw_ranges(beam: Beam) -> str:
    """Jaws, and a cone, in words [cm]: `-5 to 5, -5..-2 to 5`; `none` for a direction without."""
    jaws = np.array([point.jaws for pair in beam.segments for point in pair])

    def places(column: int) -> str:
        low, high = jaws[:, column].min(), jaws[:, column].max()
        return f"{low:g}" if high - low <= SAME else f"{low:g}..{high:g}"

    words = ", ".join(
        f"{places(k)} to {places(k + 1)}" if np.isfinite(jaws[:, k]).all() else "none" for k in (0, 2)
    )
    return words if beam.cone is None else f"{words}; cone {beam.cone:g}"


def _same(a, b) -> bool:
    return bool(np.allclose(a, b, rtol=0.0, atol=SAME))


def _along_across(jaws: tuple[float, float, float, float], kind: str) -> tuple[tuple, tuple]:
    """The jaws along the leaves' direction of motion, and across it."""
    return (jaws[:2], jaws[2:]) if ALONG_X[kind] else (jaws[2:], jaws[:2])


def _leaves(point: ControlPoint, boundaries: Mapping[str, tuple[float, ...]]) -> dict[str, tuple]:
    """Borders, bank 1 and bank 2 of each device, as arrays [cm]."""
    found = {}
    for kind, places in point.leaves.items():
        borders = np.array(boundaries[kind])
        pairs = len(borders) - 1
        found[kind] = borders, np.array(places[:pairs]), np.array(places[pairs:])
    return found

"""What jaws and leaves leave open, and how a delivery is called."""

import numpy as np
import pytest

from mc.plan.aperture import angle_range, jaw_ranges, mean_opening, opening, shaped_by, technique
from mc.plan.plan import Beam, ControlPoint

BORDERS = tuple(np.arange(-10, 10.1, 0.5))
PAIRS = len(BORDERS) - 1
SQUARE = (-2.5, 2.5, -2.5, 2.5)


def leaves(half_gap, pairs=PAIRS, **moved):
    """All leaves at +-`half_gap`; `moved` gives a pair, as `p12`, another half gap."""
    bank = np.full(pairs, float(half_gap))
    for name, half in moved.items():
        bank[int(name[1:])] = half
    return tuple(np.concatenate([-bank, bank]))


def point(weight, gantry=0.0, collimator=0.0, couch=0.0, z=0.0, jaws=SQUARE, mlc=None, kind="MLCX"):
    return ControlPoint(weight, gantry, collimator, couch, (0, 0, z), jaws, {kind: mlc} if mlc else {})


def beam(*points, borders=BORDERS, kind="MLCX"):
    return Beam(1, "b", "M", 6.0, "FFF", 100.0, 100.0, points, {kind: tuple(borders)})


TECHNIQUES = {
    "static": [point(0), point(1)],
    "static, moved beforehand": [point(0, 90), point(0, 10), point(1, 10)],
    "step and shoot": [point(0), point(0.5), point(0.5, jaws=(-1, 1, -1, 1)), point(1, jaws=(-1, 1, -1, 1))],
    "step and shoot of gantries": [point(0), point(0.5), point(0.5, 90), point(1, 90)],
    "sliding window": [point(0, mlc=leaves(1)), point(1, mlc=leaves(2))],
    "arc": [point(0, 0), point(0.3, 90), point(1, 350)],
    "conformal arc": [point(w, 100 * w, mlc=leaves(1 + w)) for w in (0, 0.2, 0.7, 1)],
    "VMAT": [point(w, g, mlc=leaves(1 + w)) for w, g in ((0, 0), (0.5, 10), (1, 50))],
    "VMAT that waits": [point(w, g, mlc=leaves(1 + w)) for w, g in ((0, 0), (0.5, 10), (0.7, 10), (1, 50))],
    "moving couch": [point(0), point(1, z=10)],
}


@pytest.mark.parametrize("name", TECHNIQUES)
def test_technique(name):
    assert name.startswith(technique(beam(*TECHNIQUES[name])))


@pytest.mark.parametrize(
    ("points", "why"),
    [
        ([point(0), point(1)], ""),
        ([point(0), point(1, 180)], ""),  # an open arc
        ([point(0, mlc=leaves(2.5)), point(1, mlc=leaves(9))], ""),  # leaves move behind the jaws
        ([point(w, mlc=leaves(2.6, p0=0, p14=0, p25=0)) for w in (0, 1)], ""),  # closed beside the field
        ([point(w, mlc=leaves(2.6, p15=2.4)) for w in (0, 1)], "1 MLCX leaf pairs reach into the jaws"),
        ([point(w, mlc=leaves(1.0)) for w in (0, 1)], "10 MLCX leaf pairs"),
        ([point(0, jaws=(-1, 1, -1, 1)), point(0), point(1)], ""),
        ([point(0), point(1, jaws=(-1, 1, -1, 1))], "the jaws move"),
        ([point(w, jaws=(-np.inf, np.inf, -1, 1)) for w in (0, 1)], "no jaws in one direction"),
    ],
)
def test_what_shapes_a_field(points, why):
    found = shaped_by(beam(*points))
    assert found.startswith(why) and bool(found) == bool(why)


def test_leaves_that_do_not_cover_the_jaws():
    points = [point(w, mlc=leaves(9, 4)) for w in (0, 1)]
    assert "does not cover" in shaped_by(beam(*points, borders=(-1, -0.5, 0, 0.5, 1)))


def test_leaves_along_y():
    """The same square in the other direction: MLCY leaves close y."""
    jaws = (-1, 1, -4, 4)
    shaped = [point(w, jaws=jaws, mlc=leaves(3), kind="MLCY") for w in (0, 1)]
    assert shaped_by(beam(*shaped, kind="MLCY")).startswith("4 MLCY leaf pairs")
    assert opening(shaped[0], {"MLCY": BORDERS}) == pytest.approx(2 * 6)


def test_openings():
    boundaries = {"MLCX": BORDERS}
    assert opening(point(0), boundaries) == 25
    assert opening(point(0, mlc=leaves(1)), boundaries) == pytest.approx(5 * 2)
    assert opening(point(0, mlc=leaves(9, p20=0)), boundaries) == pytest.approx(25 - 0.5 * 5)
    # a jaw that stands within a leaf, and none along the leaves
    partly = point(0, jaws=(-np.inf, np.inf, -0.3, 0.2), mlc=leaves(1.5))
    assert opening(partly, boundaries) == pytest.approx(0.5 * 3)
    assert opening(point(0, jaws=(-np.inf, np.inf, -1, 1)), boundaries) == np.inf


def test_mean_opening_is_over_the_monitor_units():
    large, small = (point(w, jaws=(-a, a, -1, 1)) for w, a in ((0, 3), (0, 1)))
    points = [
        large,
        point(0.75, jaws=(-3, 3, -1, 1)),
        point(0.75, jaws=(-1, 1, -1, 1)),
        point(1, jaws=(-1, 1, -1, 1)),
    ]
    assert mean_opening(beam(*points)) == pytest.approx(0.75 * 12 + 0.25 * 4)
    sliding = [small, point(1, jaws=(-3, 3, -1, 1))]
    assert mean_opening(beam(*sliding)) == pytest.approx(8)


def test_techniques_in_words():
    arc = beam(point(0, 181, 10, 5, jaws=(-1, 2, -3, 4)), point(1, 539, 10, -5, jaws=(-1, 2, -2, 4)))
    assert angle_range(arc, "gantry") == "181 CW to 179"
    assert angle_range(arc, "collimator") == "10"
    assert angle_range(arc, "couch") == "5 CW to 355"  # seen from above, its angle grows against the clock
    assert jaw_ranges(arc) == "-1 to 2, -3..-2 to 4"
    there_and_back = beam(point(0, 0), point(0.4, 60), point(0.5, 100), point(0.7, 100), point(1, -20))
    assert angle_range(there_and_back, "gantry") == "0 CW to 100 CC to 340"
    assert jaw_ranges(beam(point(0, jaws=(-np.inf, np.inf, -1, 1)), point(1))).startswith("none")

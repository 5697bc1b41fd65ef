"""Contours that would cancel each other or themselves, and contours of one slice at different heights."""

from __future__ import annotations

import numpy as np
import pytest

from phantoms.errors import InputError
from phantoms.grid import Grid
from phantoms.polygons import enclosed, mask_by_centre, mask_by_lines, volume, volume_fraction
from phantoms.solids import solid_volume
from phantoms.structures import make_roi, read_structures
from tests.dicom_factory import Contours, body_box, circle, rectangle, write_structures

PLANES = [-3.75 + 0.5 * k for k in range(16)]  # [cm]
HEIGHT = 8.0
GRID = Grid((20, 35, 36), (0.5, 0.5, 0.5), (-4.9, -8.6, -8.9))


def body(z, shift=0.0):
    return rectangle((-7 + shift, 7 + shift), (-7, 7), z)


def resampled(z):
    """A circle of radius 5 cm with other vertices than `circle` has."""
    return circle(5, z, n=77)[3:]


def twice_round(z):
    return np.vstack([circle(5, z), circle(5, z)])


def pentagram(z):
    angle = 2 * np.pi * np.arange(5) * 2 / 5
    return np.column_stack([5 * np.cos(angle), 5 * np.sin(angle), np.full(5, z)])


# of a pentagram in a circle of radius 1, with its inner pentagon: ten triangles
STAR = 10 * 0.5 * np.cos(np.radians(72)) / np.cos(np.radians(36)) * np.sin(np.radians(36))

CANCELLING = {  # contours of a plane, the area they enclose [cm2], what is said
    "shifted by 0.01 mm": (lambda z: [body(z), body(z, 1e-3)], 196, "16 contour(s) drawn twice"),
    "shifted by 0.1 mm": (lambda z: [body(z), body(z, 1e-2)[::-1]], 196, "drawn twice"),
    "thrice": (lambda z: [body(z), body(z, 1e-3), body(z, 2e-3)], 196, "32 contour(s) drawn twice"),
    "other vertices": (lambda z: [circle(5, z), resampled(z)], np.pi * 25, "drawn twice"),
    "other heights": (lambda z: [body(z), body(z + 0.002, 0.001)], 196, "drawn twice"),
    "an arm that overlaps": (
        lambda z: [rectangle((-5, 7), (-7, 7), z), rectangle((-7, -4), (-7, 7), z)[::-1]],
        196,
        "cross another one",
    ),
    "a cross": (
        lambda z: [rectangle((-7, 7), (-3, 3), z), rectangle((-3, 3), (-7, 7), z)],
        132,
        "cross another one",
    ),
    "three that overlap": (
        lambda z: [rectangle((a, a + 4), (-1, 1), z) for a in (-6, 0, -3)],
        20,
        "cross another one",
    ),
    "round twice": (twice_round, np.pi * 25, "cross themselves"),
    "a pentagram": (pentagram, 25 * STAR, "cross themselves"),
}


@pytest.mark.parametrize("case", CANCELLING)
def test_contours_do_not_cancel(case):
    make, area, said = CANCELLING[case]
    drawn = [make(z) for z in PLANES]
    roi = make_roi("BODY", [c for plane in drawn for c in (plane if isinstance(plane, list) else [plane])])
    expected = pytest.approx(area * HEIGHT, rel=5e-3)
    assert said in " ".join(roi.warnings)
    assert volume(roi) == expected and solid_volume(roi) == expected
    assert volume_fraction(roi, GRID).sum() * GRID.voxel_volume == expected
    assert mask_by_centre(roi, GRID).sum() * GRID.voxel_volume == pytest.approx(area * HEIGHT, rel=0.1)


def test_holes_shells_and_neighbours_stay_as_they_are():
    """Of 1 mm too, and where a hole touches the outline."""
    for contours, area in (
        (lambda z: [circle(5, z), circle(4.9, z)], np.pi * (25 - 4.9**2)),
        (lambda z: [body(z), rectangle((-7, 0), (-1, 1), z)], 196 - 14),
        (lambda z: [rectangle((-7, 0), (-1, 1), z), rectangle((0, 7), (-1, 1), z)], 28),
    ):
        roi = make_roi("ring", [c for z in PLANES for c in contours(z)])
        assert volume(roi) == pytest.approx(area * HEIGHT, rel=1e-3) and not roi.warnings


def test_exclusive_contours_cancel_where_they_cross(tmp_path):
    """CLOSEDPLANAR_XOR says so."""
    crossing = [rectangle(*sides, z) for z in PLANES for sides in (((-7, 7), (-3, 3)), ((-3, 3), (-7, 7)))]
    path = write_structures(tmp_path, [Contours("X", crossing, geometry="CLOSEDPLANAR_XOR")])
    assert volume(read_structures(path)["X"]) == pytest.approx(96 * HEIGHT)


def test_an_outline_in_the_shape_of_an_eight_is_refused():
    """Two corners swapped: what was meant is unknown, the area is half of it."""
    roi = make_roi("BODY", [body(z)[[0, 2, 1, 3]] for z in PLANES])
    with pytest.raises(InputError, match=r"BODY: has a contour that crosses itself, at z = -37\.5 mm"):
        volume(roi)


def test_a_small_loop_of_an_outline_is_no_matter():
    loop = np.array([(7.05, 7, 0), (7, 7.05, 0)])
    roi = make_roi(
        "BODY",
        [np.vstack([body(z)[:2], [7, 6.9, z], loop + [0, 0, z], [6.9, 7, z], body(z)[3:]]) for z in PLANES],
    )
    assert not roi.warnings and volume(roi) == pytest.approx(196 * HEIGHT, rel=1e-3)


@pytest.mark.parametrize("apart", [1e-4, 5e-4, 2e-3, 0.01, 0.05])
def test_contours_of_a_slice_share_its_plane(apart):
    """Body and arm, a ring and its hole, drawn by tools that write z differently."""
    arm = [
        c for z in PLANES for c in (rectangle((-5, 7), (-7, 7), z), rectangle((-7, -5.5), (-7, 7), z + apart))
    ]
    roi = make_roi("BODY", arm)
    assert volume(roi) == pytest.approx((168 + 21) * HEIGHT, rel=5e-3)
    assert ("on one plane" in " ".join(roi.warnings)) == (apart > 1e-3)
    ring = make_roi("ring", [c for z in PLANES for c in (circle(3, z), circle(1.5, z - apart))])
    assert volume(ring) == pytest.approx(np.pi * 6.75 * HEIGHT, rel=5e-3) and not ring.gaps


def test_contours_rounded_to_other_decimals_share_a_plane():
    """1.25 mm slices with four decimals and with one."""
    planes = -3.75 + 0.125 * np.arange(60)
    both = [(rectangle((-5, 7), (-7, 7), z), rectangle((-7, -5.5), (-7, 7), round(z, 2))) for z in planes]
    roi = make_roi("BODY", [contour for pair in both for contour in pair])
    assert volume(roi) == pytest.approx(189 * 7.5, rel=5e-3) and not roi.gaps


@pytest.mark.parametrize("spacing", [0.02, 0.05, 0.1])
def test_a_structure_on_finer_planes_than_others_keeps_them(tmp_path, spacing):
    """A nerve drawn on thin slices, beside a body on thick ones."""
    planes = spacing * np.arange(11)
    nerve = Contours("nerve", [rectangle((0, 1), (0, 1 + z), z) for z in planes])
    path = write_structures(tmp_path, [body_box(Grid((16, 9, 9), (0.5, 1, 1), (-3.75, -4, -4))), nerve])
    roi = read_structures(path)["nerve"]
    assert len(roi.contours) == 11 and volume(roi) == pytest.approx(
        11 * spacing * (1 + 5 * spacing), rel=1e-6
    )


def test_points_may_wander_about_their_plane_as_rounding_lets_them():
    for by in (1e-5, 4e-4, 1.1e-3):
        side = np.where(np.arange(4) % 2, by, -by)[:, None] * [0, 0, 1]
        roi = make_roi("BODY", [body(z) + side for z in PLANES])
        assert volume(roi) == pytest.approx(196 * HEIGHT, rel=1e-3) and not roi.problem
    tilted = make_roi("organ", [circle(1.5, z) @ [[1, 0, 0.13], [0, 1, 0], [0, 0, 1]] for z in PLANES])
    assert "do not lie on a plane of constant z" in tilted.problem


def test_contours_off_their_planes_do_not_disturb_others(tmp_path):
    """An organ on coronal planes between those of another leaves no gap in that."""
    coronal = [circle(1.5, y)[:, [0, 2, 1]] for y in (2.0, 2.5, 3.0)]
    cord = [circle(0.5, z) for z in PLANES if not -1 < z < 0.1]
    path = write_structures(tmp_path, [Contours("A", coronal), Contours("cord", cord)])
    found = read_structures(path)
    assert found["A"].problem and not found["cord"].problem
    assert volume(found["cord"]) == pytest.approx(np.pi * 0.25 * (HEIGHT - 1.0), rel=2e-2)


@pytest.mark.parametrize(
    "contours", [(body(0), circle(3, 0)), (twice_round(0),), (twice_round(0), body(0, 9))]
)
def test_points_lie_inside_as_the_centres_of_voxels_do(contours):
    polygons = [contour[:, :2] for contour in contours]
    y, x = np.meshgrid(GRID.centres(1), GRID.centres(2), indexing="ij")
    found = enclosed(polygons, np.column_stack([x.ravel(), y.ravel()])).reshape(x.shape)
    assert found.any() and np.array_equal(found, mask_by_lines(polygons, GRID))

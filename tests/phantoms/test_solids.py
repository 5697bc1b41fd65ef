"""Solids between contours: volumes of shapes, ends, gaps, grids that cut them, margins."""

from __future__ import annotations

import numpy as np
import pytest

from phantoms.grid import Grid
from phantoms.polygons import volume
from phantoms.solids import Run, _signed_distance, cut, solid_volume
from phantoms.structures import read_structures
from phantoms.subvoxels import MAX_CELLS, SubVoxels
from tests.dicom_factory import Contours, circle, rectangle, write_structures

GRID = Grid((30, 31, 33), (0.25, 0.23, 0.21), (-3.6, -3.4, -3.3))  # in step with nothing


def read_one(tmp_path, contours, others=()):
    structures = [Contours("ROI", contours), *(Contours(f"other {n}", c) for n, c in enumerate(others))]
    return read_structures(write_structures(tmp_path, structures))["ROI"]


def disc(radius, z, x=0.0):
    return circle(radius, z, (x, 0.0))


@pytest.mark.parametrize("spacing", [0.1, 0.3])
def test_lying_cylinder(tmp_path, spacing):
    """Its sections are rectangles: no disc, and its outline is steep at the ends."""
    for phase in (0.2, 0.5, 0.9):
        planes = [z for z in (np.arange(-40, 40) + phase) * spacing if abs(z) < 1.2]
        contours = [rectangle((-1, 1.4), (-w, w), z) for z in planes for w in [np.sqrt(1.44 - z * z)]]
        assert cut(read_one(tmp_path, contours), GRID).volume == pytest.approx(np.pi * 1.44 * 2.4, rel=0.005)


def test_thin_tube_that_runs_sidewards_keeps_its_volume(tmp_path):
    """From plane to plane it moves by twice its width: nothing of two sections is common."""
    contours = [disc(0.1, 0.3 * k, -2 + 0.4 * k) for k in range(-4, 8)]
    cells = cut(read_one(tmp_path, contours), GRID)
    assert cells.whole_cc == pytest.approx(np.pi * 0.01 * 12 * 0.3, rel=0.01)


def test_ends_are_flat_where_nothing_shrinks_and_round_where_it_does(tmp_path):
    column = read_one(tmp_path, [disc(1.0, 0.3 * k) for k in range(5)])
    assert cut(column, GRID).volume == pytest.approx(np.pi * 1.5, rel=1e-3) == volume(column)
    # the last section is smaller by a quarter of its radius: it goes on to grow smaller, but ends flat
    taper = [disc(1.0 - 0.05 * k, 0.3 * k) for k in range(5)]
    z = np.linspace(-0.15, 1.35, 2001)
    expected = np.trapezoid(np.pi * (1 - z / 6) ** 2, z)
    assert cut(read_one(tmp_path, taper), GRID).volume == pytest.approx(expected, rel=2e-3)


def test_a_step_stays_a_step(tmp_path):
    """Where the section doubles from one plane to the next, neither side swells or shrinks."""
    contours = [disc(0.5 if k < 5 else 1.5, 0.3 * k) for k in range(10)]
    cells = cut(read_one(tmp_path, contours), GRID)
    areas = cells.coverage.sum(axis=(1, 2), dtype=float) * cells.cell_volume
    areas /= GRID.spacing[0] / cells.divisions[0]
    assert areas.max() == pytest.approx(np.pi * 2.25, rel=2e-3)
    assert areas[areas > 0.1].min() > 0.3 and cells.volume == pytest.approx(np.pi * 1.5 * 2.5, rel=2e-3)


def test_uneven_planes_are_filled_and_true_gaps_are_not(tmp_path):
    """Slices of 1 mm become slices of 3 mm: no gap. Where another structure has contours between, one."""
    planes = [*np.arange(10) * 0.1, *(0.9 + 0.3 * np.arange(1, 6))]
    contours = [disc(1.0, z) for z in planes]
    uneven = read_one(tmp_path, contours)
    assert not uneven.gaps and not uneven.warnings
    assert cut(uneven, GRID).volume == pytest.approx(np.pi * (2.4 + 0.05 + 0.15), rel=2e-3)
    gap = read_one(tmp_path, contours, [[rectangle((2, 3), (2, 3), z) for z in np.arange(30) * 0.1]])
    assert len(gap.gaps) == 5 and "5 gap(s)" in gap.warnings[0]
    two = read_one(tmp_path, [disc(1.0, z) for z in (0.0, 0.1, 0.2, 1.2, 1.3, 1.4)])
    assert two.gaps == (2,)
    assert cut(two, GRID).volume == pytest.approx(np.pi * 0.6, rel=2e-3)


@pytest.mark.parametrize("seed", range(4))
def test_ball_on_planes_at_random_distances(tmp_path, seed):
    random = np.random.default_rng(seed)
    planes = np.cumsum(random.choice([0.1, 0.2, 0.3], 40))
    planes -= planes.mean()
    contours = [disc(np.sqrt(1.44 - z * z), z) for z in planes if abs(z) < 1.2]
    others = [[rectangle((2, 3), (2, 3), z) for z in planes]]
    roi = read_one(tmp_path, contours, others)
    assert not roi.gaps
    assert cut(roi, GRID).volume == pytest.approx(4 / 3 * np.pi * 1.2**3, rel=0.005)


def test_order_closing_points_and_direction_do_not_matter(tmp_path):
    contours = [disc(np.sqrt(1.44 - z * z), z) for z in np.arange(-11, 12) * 0.1]
    plain = cut(read_one(tmp_path, contours), GRID)
    closed = [np.vstack([c, c[:1]])[:: (-1) ** k] for k, c in enumerate(contours)]
    random = np.random.default_rng(1)
    mixed = cut(read_one(tmp_path, [closed[k] for k in random.permutation(len(closed))]), GRID)
    assert mixed.volume == pytest.approx(plain.volume, rel=1e-4)
    np.testing.assert_allclose(mixed.coverage, plain.coverage, atol=0.05)


def test_a_shell_and_a_pole_of_no_area(tmp_path):
    """Rings that become discs; the poles drawn as contours of no area."""
    planes = np.linspace(-2, 2, 41)
    contours = [disc(np.sqrt(r * r - z * z), z) for z in planes for r in (2.0, 1.6) if abs(z) < r - 1e-9]
    contours += [np.full((4, 3), (0.0, 0.0, z)) for z in (-2.0, 2.0)]
    expected = 4 / 3 * np.pi * (8 - 1.6**3)
    assert cut(read_one(tmp_path, contours), GRID).volume == pytest.approx(expected, rel=0.005)


def test_a_grid_that_cuts_a_structure_holds_its_part(tmp_path):
    roi = read_one(tmp_path, [disc(np.sqrt(max(4 - z * z, 0)), z) for z in np.arange(-19, 20) * 0.1])
    half = Grid((30, 31, 16), GRID.spacing, (-3.6, -3.4, -15.5 * 0.21))  # ends at x = 0
    cells = cut(roi, half)
    assert half.upper[2] == pytest.approx(0)
    assert cells.whole_cc == pytest.approx(4 / 3 * np.pi * 8, rel=2e-3)
    assert cells.volume == pytest.approx(0.5 * cells.whole_cc, rel=2e-3)
    far = Grid((3, 3, 3), (0.1, 0.1, 0.1), (5.0, 5.0, 5.0))
    assert cut(roi, far).volume == 0 and cut(roi, far).whole_cc == pytest.approx(cells.whole_cc, rel=0.01)
    inner = Grid((4, 4, 4), (0.1, 0.1, 0.1), (0.0, 0.0, 0.0))  # wholly inside
    assert cut(roi, inner).volume == pytest.approx(0.064, rel=1e-6)
    assert solid_volume(roi) == pytest.approx(cells.whole_cc, rel=1e-3)


def test_fractions_of_voxels_are_means_of_cells(tmp_path):
    cells = cut(read_one(tmp_path, [disc(1.0, 0.1 * k) for k in range(10)]), GRID)
    fraction = cells.fraction()
    assert fraction.shape == tuple(part.stop - part.start for part in cells.box)
    assert float(fraction.sum()) * GRID.voxel_volume == pytest.approx(cells.volume, rel=1e-5)
    assert fraction.max() == pytest.approx(1) and fraction.min() >= 0


def test_scattered_nodes_do_not_fill_the_memory(tmp_path):
    """Two balls of 0.1 cc 12 cm apart: the box between them limits how fine the cells are."""
    grid = Grid((60, 60, 60), (0.25, 0.25, 0.25), (-7.4, -7.4, -7.4))
    radius = 0.288
    planes = np.arange(-2, 3) * 0.1
    contours = [
        circle(np.sqrt(radius**2 - z * z), z + shift, (shift, shift)) for z in planes for shift in (-6.0, 6.0)
    ]
    contours += [circle(0.05, z, (0.0, 0.0)) for z in np.arange(-57, 58) * 0.1]  # a thread between them
    cells = cut(read_one(tmp_path, contours), grid)
    assert cells.coverage.size <= 1.3 * MAX_CELLS
    assert cells.volume == pytest.approx(0.2 + np.pi * 0.0025 * 11.5, rel=0.02)


def test_distances_are_those_to_the_nearest_edge():
    """An L, and one with a hole that a keyhole reaches: the edges to the hole and back are no border."""
    raster = Grid((1, 80, 80), (1.0, 0.05, 0.05), (0.0, -1.975, -1.975))
    corner = np.array([(-1, -1), (1, -1), (1, -0.2), (0, -0.2), (0, 1.2), (-1, 1.2)], dtype=float)
    x, y = raster.centres(2)[None], raster.centres(1)[:, None]
    nearest = np.full((80, 80), np.inf)
    for (ax, ay), (bx, by) in zip(corner, np.roll(corner, -1, axis=0), strict=True):
        t = np.clip(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / ((bx - ax) ** 2 + (by - ay) ** 2), 0, 1)
        nearest = np.minimum(nearest, np.hypot(x - ax - t * (bx - ax), y - ay - t * (by - ay)))
    inside = (x > -1) & (x < 1) & (y > -1) & (y < 1.2) & ((x < 0) | (y < -0.2))
    found = _signed_distance([corner], raster)
    np.testing.assert_allclose(found, np.where(inside, nearest, -nearest), atol=1e-9)
    hole = np.array([(-0.6, -0.6), (-0.6, -0.4), (-0.4, -0.4)])
    keyhole = np.vstack([corner, corner[:1], hole, hole[:1]])
    np.testing.assert_allclose(
        _signed_distance([keyhole], raster), _signed_distance([corner, hole], raster), atol=1e-9
    )


@pytest.mark.parametrize("margins", [(0.2, 0.2, 0.2), (0.3, 0.1, 0.2), (0.0, 0.2, 0.2)])
def test_margins_about_a_ball_and_a_cuboid(tmp_path, margins):
    """Volume of the Minkowski sum with an ellipsoid of half axes c (z), b (y) and a (x)."""
    c, b, a = margins
    cuboid = read_one(tmp_path, [rectangle((-0.5, 0.7), (-0.4, 0.6), z) for z in np.arange(-9, 10, 2) * 0.1])
    cells = cut(cuboid, GRID).expanded(margins)
    p, q, r = 1.2, 1.0, 2.0
    expected = p * q * r + 2 * (a * q * r + b * p * r + c * p * q)
    expected += np.pi * (a * b * r + a * c * q + b * c * p) + 4 / 3 * np.pi * a * b * c
    assert cells.volume == pytest.approx(expected, rel=0.01)
    if margins == (0.2, 0.2, 0.2):
        ball = read_one(
            tmp_path, [disc(np.sqrt(1 - z * z), z) for z in np.arange(-95, 100, 10) * 0.01 if abs(z) < 1]
        )
        grown = cut(ball, GRID).expanded(margins)
        assert grown.volume == pytest.approx(4 / 3 * np.pi * 1.2**3, rel=0.02)  # 0.06 mm


def test_a_margin_ends_at_the_grid():
    grid = Grid((6, 6, 6), (0.1, 0.1, 0.1), (0.0, 0.0, 0.0))
    fraction = np.zeros(grid.shape)
    fraction[:3] = 1
    grown = SubVoxels.of_fraction(fraction, grid).expanded((0.1, 0.0, 0.0))
    np.testing.assert_allclose(grown.coverage[:, 3, 3], [1, 1, 1, 1], atol=1e-6)
    assert grown.box == (slice(0, 4), slice(0, 6), slice(0, 6))


def test_two_planes_and_one(tmp_path):
    two = Run(np.array([0.0, 0.3]), [[disc(1.0, 0)[:, :2]], [disc(1.0, 0)[:, :2]]], (0.15, 0.15))
    one = Run(np.array([0.0]), [[disc(1.0, 0)[:, :2]]], (0.15, 0.15))

    class Region:
        def __init__(self, run):
            self.run = run

        def runs(self):
            return [self.run]

    assert cut(Region(two), GRID).volume == pytest.approx(np.pi * 0.6, rel=2e-3)
    assert cut(Region(one), GRID).volume == pytest.approx(np.pi * 0.3, rel=2e-3)

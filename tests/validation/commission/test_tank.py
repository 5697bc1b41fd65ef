"""Curves read off a tank of voxels."""

from __future__ import annotations

import numpy as np
import pytest

from tests.validation.commission.linac import HEADER, csv_lines
from validation.commission.tank import (
    fine_positions,
    half_widths,
    points_of,
    sampling,
    tank_for,
    voxel_side,
)
from validation.scans import read_scans

JAWS = (-5.0, 5.0, -5.0, 5.0)
NEITHER, BOTH = (False, False), (True, True)


def scan_along(tmp_path, points):
    (tmp_path / "a.csv").write_text(HEADER + csv_lines("a", points, (10, 10)))
    (scan,) = read_scans(tmp_path / "a.csv")
    return scan


@pytest.fixture
def scans(tmp_path):
    at = np.linspace(-6, 6, 25)
    return {
        "PDD": scan_along(tmp_path, [(0, 0, d, 1) for d in np.linspace(0, 20, 21)]),
        "crossline": scan_along(tmp_path, [(p, 1, 5, 1) for p in at]),
        "inline": scan_along(tmp_path, [(0, p, 5, 1) for p in at]),
        "diagonal": scan_along(tmp_path, [(p, p, 5, 1) for p in at]),
    }


def averages(grid, of_z, of_y, of_x):
    """Voxel averages of a product of polynomials, each from its antiderivative; (nz, ny, nx)."""
    parts = [np.diff(f(grid.edges(axis))) / grid.spacing[axis] for axis, f in enumerate((of_z, of_y, of_x))]
    return np.einsum("i,j,k", *parts)


def test_tank_holds_scans_and_field(scans):
    tank = tank_for(list(scans.values()), JAWS, 90.0, 100.0, 0.2)
    assert tank.grid.lower[0] == pytest.approx(0.0) and tank.grid.upper[0] >= 25.0
    assert tank.grid.upper[2] >= 9.0 and tank.grid.upper[1] >= 9.0
    assert tank.grid.shape[1] % 2 == 1 and tank.grid.shape[2] % 2 == 1
    assert [voxel_side((-w, w, -5, 5)) for w in (5.0, 1.5, 0.5)] == [0.2, 0.1, 0.05]


def test_constant_dose_is_itself(scans):
    tank = tank_for(list(scans.values()), JAWS, 90.0, 100.0, 0.2)
    for scan in scans.values():
        for mirror in (NEITHER, BOTH):
            weights = sampling(tank.grid, scan, fine_positions(scan), JAWS, 100.0, mirror)
            np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-12)


@pytest.mark.parametrize("kind", ["PDD", "crossline", "inline", "diagonal"])
def test_cubics_along_the_scan_are_exact(scans, kind):
    """Of a dose cubic along the scan and straight across it, the curve is the dose, though voxels average."""
    tank = tank_for(list(scans.values()), JAWS, 90.0, 100.0, 0.2)
    at = fine_positions(scans[kind])
    cubic, straight = (lambda p: p**4 / 4 - p**2), (lambda p: 3 * p + p**2)

    def value(p):
        return p**3 - 2 * p

    def line(p):
        return 3 + 2 * p

    forms = {
        "PDD": ((cubic, straight, straight), value(at) * line(0.0) ** 2),
        "crossline": ((straight, straight, cubic), line(5.0) * line(-1.0) * value(at)),  # tank y = - scan y
        "inline": ((straight, cubic, straight), line(5.0) * value(-at) * line(0.0)),
        "diagonal": (
            (straight, cubic, cubic),
            line(5.0) * value(-at / np.sqrt(2)) * value(at / np.sqrt(2)),
        ),
    }
    (of_z, of_y, of_x), expected = forms[kind]
    dose = averages(tank.grid, of_z, of_y, of_x)
    found = sampling(tank.grid, scans[kind], at, JAWS, 100.0, NEITHER) @ dose.ravel()
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())


def test_halves_are_averaged_where_the_source_is_symmetric(scans):
    tank = tank_for(list(scans.values()), JAWS, 90.0, 100.0, 0.2)
    dose = np.random.default_rng(2).random(tank.grid.shape).ravel()
    at = fine_positions(scans["crossline"])
    one = sampling(tank.grid, scans["crossline"], at, JAWS, 100.0, NEITHER) @ dose
    both = sampling(tank.grid, scans["crossline"], at, JAWS, 100.0, (True, False)) @ dose
    np.testing.assert_allclose(both, 0.5 * (one + one[::-1]), rtol=1e-12)
    inline = sampling(tank.grid, scans["inline"], at, JAWS, 100.0, (True, False)) @ dose
    np.testing.assert_array_equal(
        inline, sampling(tank.grid, scans["inline"], at, JAWS, 100.0, NEITHER) @ dose
    )


def test_noise_is_smoothed_where_dose_is_smooth_and_edges_are_not(scans):
    """White noise falls by much on the plateau; a step at the edge is as wide as with the nearest voxels."""
    scan = scans["crossline"]
    tank = tank_for(list(scans.values()), JAWS, 90.0, 100.0, 0.2)
    at = fine_positions(scan)
    weights = sampling(tank.grid, scan, at, JAWS, 100.0, NEITHER)
    noise = np.sqrt((weights.multiply(weights)).sum(axis=1))
    edge = 5.0 * 0.95
    plateau, steep = np.abs(at) < 2.0, np.abs(np.abs(at) - edge) < 0.4
    assert noise[plateau].mean() < 0.6 * noise[steep].mean()
    dose = np.broadcast_to(np.abs(tank.grid.centres(2)) < edge, tank.grid.shape).astype(float)
    curve = weights @ dose.ravel()
    beyond = np.abs(np.abs(at) - edge) > 0.6
    np.testing.assert_allclose(curve[beyond], np.abs(at[beyond]) < edge, atol=1e-9)
    assert half_widths(scans["PDD"], points_of(scans["PDD"], np.array([0.5, 1.4, 9.0])), JAWS, 100.0) == (
        pytest.approx([0.0, 0.2, 1.0])
    )

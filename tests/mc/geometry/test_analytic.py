"""The analytic geometry against the plain question which solid a point lies in."""

import math

import numpy as np
import pytest

from mc.geometry import analytic
from mc.geometry.analytic import OUTSIDE, Solid, build_analytic

AIR = Solid("air", 0, 0.0012, (), (), ())
SOLIDS = (
    Solid("target", 1, 19.3, (0.0, 0.1), (0.0, 0.0), (9.0, 9.0)),
    Solid("collimator", 2, 18.0, (1.0, 5.0), (0.4, 1.9), (6.0, 6.0)),
    Solid("plug", 3, 5.0, (1.5, 5.0), (0.0, 0.0), (0.0, 1.2)),  # a cone with its tip in the hole
    Solid("filter", 4, 8.9, (6.0, 6.5, 7.0, 7.2), (0.0, 0.0, 0.0, 0.0), (0.0, 0.5, 2.0, 2.5)),
    Solid("ring", 5, 2.7, (6.2, 8.0), (3.0, 5.0), (4.0, 5.5)),
)
TOP, BOTTOM, RADIUS, SPLITTING_PLANE = 0.0, 9.0, 9.0, 5.5


@pytest.fixture(scope="module")
def geometry():
    return build_analytic(SOLIDS, TOP, BOTTOM, RADIUS, AIR, SPLITTING_PLANE)


def solid_at(x, y, z):
    """Material at a point, or OUTSIDE; None within rounding of a surface."""
    rho = math.hypot(x, y)
    near = min(abs(rho - RADIUS), abs(z - TOP), abs(z - BOTTOM))
    found = 0 if rho < RADIUS and TOP < z < BOTTOM else OUTSIDE
    for solid in SOLIDS:
        near = min(near, abs(z - solid.z[0]), abs(z - solid.z[-1]))
        if solid.z[0] < z < solid.z[-1]:
            inner, outer = np.interp(z, solid.z, solid.inner), np.interp(z, solid.z, solid.outer)
            near = min(near, abs(rho - inner), abs(rho - outer))
            if inner < rho < outer:
                found = solid.material
    return None if near < 1e-7 else found


def random_rays(n, seed=3):
    rng = np.random.default_rng(seed)
    for _ in range(n):
        radius, azimuth = RADIUS * math.sqrt(rng.random()), rng.uniform(0, 2 * math.pi)
        w, phi = rng.uniform(-1, 1), rng.uniform(0, 2 * math.pi)
        sine = math.sqrt(1 - w * w)
        place = radius * math.cos(azimuth), radius * math.sin(azimuth), rng.uniform(TOP, BOTTOM)
        yield place, (sine * math.cos(phi), sine * math.sin(phi), w)
    yield (0.0, 0.0, 0.0), (0.0, 0.0, 1.0)  # along the axis, through every tip
    yield (0.0, 0.0, BOTTOM), (0.0, 0.0, -1.0)
    yield (3.0, 0.0, 6.0), (-1.0, 0.0, 0.0)  # in a plane between slabs
    yield (0.4, 0.0, 1.0), (1.5 / math.hypot(1.5, 4.0), 0.0, 4.0 / math.hypot(1.5, 4.0))  # along a cone


def test_points_lie_in_their_solid(geometry):
    for (x, y, z), _ in random_rays(3000):
        expected = solid_at(x, y, z)
        if expected not in (None, OUTSIDE):
            region = analytic.index(geometry, analytic.locate(geometry, x, y, z))
            assert geometry.medium[region] == expected


def test_rays_pass_through_the_solids_in_turn(geometry):
    """Every segment of a ray between two surfaces lies in the solid of its region, to its very end."""
    for (x, y, z), (u, v, w) in random_rays(1500):
        cell = analytic.locate(geometry, x, y, z)
        for _ in range(100):
            distance, face = analytic.boundary(geometry, cell, x, y, z, u, v, w)
            assert math.isfinite(distance) and distance >= 0.0
            for part in (0.01, 0.5, 0.99):
                path = part * distance
                expected = solid_at(x + u * path, y + v * path, z + w * path)
                if expected is not None:
                    assert geometry.medium[cell[1]] == expected
            x, y, z = x + u * distance, y + v * distance, z + w * distance
            region = analytic.region_behind(face)
            if region == OUTSIDE:
                break
            through_plane = (
                abs(z - SPLITTING_PLANE) < 1e-9 and abs(w) > 0.0 and geometry.slab[region] != cell[0]
            )
            cell, inside = analytic.cross(geometry, cell, face, u, v, w)
            assert inside != through_plane
        else:
            pytest.fail("the ray never leaves")
        assert solid_at(x + 1e-6 * u, y + 1e-6 * v, z + 1e-6 * w) in (OUTSIDE, None)


def test_clearance_is_never_longer_than_the_distance_to_a_surface(geometry):
    rng = np.random.default_rng(5)
    for (x, y, z), _ in random_rays(200):
        cell = analytic.locate(geometry, x, y, z)
        clear = analytic.clearance(geometry, cell, x, y, z)
        distances = []
        for _ in range(60):
            direction = rng.normal(size=3)
            u, v, w = direction / np.linalg.norm(direction)
            distances.append(analytic.boundary(geometry, cell, x, y, z, u, v, w)[0])
        assert clear <= min(distances) + 1e-9
        assert clear >= 0.2 * min(distances) - 1e-9  # and not absurdly short


def test_overlapping_solids_are_refused():
    ring = Solid("ring", 1, 1.0, (0.0, 2.0), (1.0, 1.0), (2.0, 2.0))
    rod = Solid("rod", 2, 1.0, (0.0, 2.0), (0.0, 0.0), (0.5, 1.5))
    with pytest.raises(ValueError, match=r"rod and ring overlap between z = 1 and 2"):
        build_analytic((ring, rod), 0.0, 2.0, 5.0, AIR)

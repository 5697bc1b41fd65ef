"""Voxel geometry against brute force: cells, faces, entry, air margin, and where steps must stay short."""

from itertools import pairwise

import numpy as np
import pytest

from mc.geometry import voxels
from phantoms.grid import Grid
from phantoms.materials import load_materials
from phantoms.phantom import Phantom

MARGIN = 2.5
RNG = np.random.default_rng(4)


def phantom_of(density, spacing=(0.3, 0.2, 0.5), origin=(-1.0, 2.0, 5.0)):
    library = load_materials()
    materials = tuple(library[name] for name in ("air", "water", "titanium"))
    index = np.where(density > 3, 2, np.where(density > 0.1, 1, 0))
    return Phantom(Grid(density.shape, spacing, origin), density, index, materials)


@pytest.fixture(scope="module")
def phantom():
    return phantom_of(RNG.choice([0.001, 0.3, 1.0, 1.9, 4.5], size=(5, 7, 4)))


@pytest.fixture(scope="module")
def geometry(phantom):
    return voxels.build_voxels(phantom, MARGIN)


def edges_with_margin(phantom, axis):
    edges = phantom.grid.edges(axis)
    return np.concatenate([[edges[0] - MARGIN], edges, [edges[-1] + MARGIN]])


def random_points(phantom, n, beyond=MARGIN):
    low, high = phantom.grid.lower[::-1] - beyond, phantom.grid.upper[::-1] + beyond
    return RNG.uniform(low, high, (n, 3))


def random_directions(n):
    """Random ones, then some along axes and nearly so."""
    directions = RNG.normal(size=(n, 3))
    directions[::7, RNG.integers(3)] = 0
    directions[::11] = np.eye(3)[RNG.integers(3, size=len(directions[::11]))] * [[-1]]
    directions[1::11] = np.eye(3)[RNG.integers(3, size=len(directions[1::11]))] + 1e-9
    return directions / np.linalg.norm(directions, axis=1)[:, None]


def test_cells_and_media(phantom, geometry):
    for x, y, z in random_points(phantom, 500):
        cell = voxels.locate(geometry, x, y, z)
        expected = tuple(
            np.searchsorted(edges_with_margin(phantom, axis), value, side="right") - 1
            for axis, value in ((2, x), (1, y), (0, z))
        )
        assert cell == expected
        density, material, interface = voxels.medium(geometry, voxels.index(geometry, cell))
        inside = [0 < i <= n for i, n in zip(cell, phantom.grid.shape[::-1], strict=True)]
        if all(inside):
            place = tuple(i - 1 for i in cell[::-1])
            assert density == phantom.density[place] and material == phantom.material[place]
        else:
            assert density == np.float32(phantom.materials[0].density) and material == 0 and interface


def test_points_outside_are_clipped_to_the_air_margin(geometry):
    assert voxels.locate(geometry, -1e6, 1e6, -1e6) == (0, geometry.ny + 1, 0)


def test_without_air_margin_gives_back_the_voxels(phantom, geometry):
    np.testing.assert_array_equal(voxels.without_margin(geometry.density, phantom), phantom.density)


def test_boundary_is_the_nearest_face_ahead(phantom, geometry):
    points, directions = random_points(phantom, 2000), random_directions(2000)
    for point, direction in zip(points, directions, strict=True):
        cell = voxels.locate(geometry, *point)
        distance, axis = voxels.boundary(geometry, cell, *point, *map(voxels.inverse, direction))
        faces = []
        for a in range(3):
            edges = edges_with_margin(phantom, 2 - a)
            if direction[a] != 0:
                face = edges[cell[a] + (direction[a] > 0)]
                faces.append(((face - point[a]) / direction[a], a))
        nearest = min(faces)
        assert distance == pytest.approx(nearest[0], rel=1e-9, abs=1e-12)
        assert axis == nearest[1]


def test_clearance_is_the_nearest_face_of_all(phantom, geometry):
    for point in random_points(phantom, 500, beyond=0.0):
        cell = voxels.locate(geometry, *point)
        expected = min(np.abs(phantom.grid.edges(2 - a) - point[a]).min() for a in range(3))
        assert voxels.clearance(geometry, cell, *point) == pytest.approx(expected, abs=1e-12)
    for point in random_points(phantom, 500):  # in the air margin it may be less, even below 0
        cell = voxels.locate(geometry, *point)
        faces = [edges_with_margin(phantom, 2 - a)[cell[a] : cell[a] + 2] for a in range(3)]
        nearest = min(np.abs(faces[a] - point[a]).min() for a in range(3))
        assert voxels.clearance(geometry, cell, *point) <= nearest + 1e-12


def test_inverse():
    for cosine in (1.0, -1.0, 5e-4, -3e-8):
        assert voxels.inverse(cosine) == 1 / cosine
    assert voxels.inverse(0.0) == 1e12 and voxels.inverse(-1e-300) == -1e12


def walk(geometry, point, direction):
    """Lengths by cell of a ray followed until it ends, and whether it ended leaving the voxels."""
    inverses = tuple(map(voxels.inverse, direction))
    cell = voxels.locate(geometry, *point)
    lengths = {}
    for _ in range(100):
        distance, axis = voxels.boundary(geometry, cell, *point, *inverses)
        lengths[cell] = lengths.get(cell, 0.0) + distance
        point = point + distance * direction
        cell, inside = voxels.cross(geometry, cell, axis, *inverses)
        if not inside:
            return lengths
    raise AssertionError("the ray does not end")


def test_rays_pass_every_voxel_on_their_path_and_then_end(phantom, geometry):
    """Cell by cell against planes cut independently: in through the air margin, out behind the voxels."""
    low, high = phantom.grid.lower[::-1], phantom.grid.upper[::-1]
    points, directions = random_points(phantom, 600), random_directions(600)
    aimed = random_points(phantom, 300, beyond=0.0) - points[:300]
    directions[:300] = aimed / np.linalg.norm(aimed, axis=1)[:, None]
    passed = 0
    for point, direction in zip(points, directions, strict=True):
        lengths = walk(geometry, point, direction)
        crossings = [0.0]
        for a in range(3):
            if direction[a] != 0:
                crossings += list((edges_with_margin(phantom, 2 - a) - point[a]) / direction[a])
        crossings = np.sort([t for t in crossings if t >= 0])
        expected, been_inside = {}, False
        for start, end in pairwise(crossings):
            middle = point + 0.5 * (start + end) * direction
            inside = bool(((middle > low) & (middle < high)).all())
            if ((middle < low - MARGIN) | (middle > high + MARGIN)).any() or (been_inside and not inside):
                break
            been_inside = been_inside or inside
            if end - start > 1e-9:
                cell = voxels.locate(geometry, *middle)
                expected[cell] = expected.get(cell, 0.0) + end - start
        passed += been_inside
        found = {cell: length for cell, length in lengths.items() if length > 1e-9}
        assert found.keys() == expected.keys()
        for cell, length in expected.items():
            assert found[cell] == pytest.approx(length, rel=1e-7, abs=1e-9)
    assert passed > 100


def test_entry(phantom, geometry):
    low, high = phantom.grid.lower[::-1] - MARGIN, phantom.grid.upper[::-1] + MARGIN
    missed = 0
    for point, direction in zip(random_points(phantom, 3000, 9.0), random_directions(3000), strict=True):
        distance = voxels.entry(geometry, *point, *direction)
        t = np.linspace(0, 60, 6001)[:, None]
        on_ray = point + t * direction
        inside = ((on_ray >= low) & (on_ray <= high)).all(axis=1)
        if ((point > low) & (point < high)).all():
            assert distance == 0.0
        elif inside.sum() > 1:  # a shorter chord slips between the samples
            assert distance == pytest.approx(t[inside.argmax(), 0], abs=0.0101)
            reached = point + distance * direction
            assert ((reached > low - 1e-9) & (reached < high + 1e-9)).all()
            assert (np.minimum(np.abs(reached - low), np.abs(reached - high)) < 1e-9).any()
        elif not inside.any():
            missed += distance < 0
            assert distance < 0 or voxels.entry(geometry, *(point + 1e-6), *direction) >= 0
    assert missed > 100


def test_low_density_voxels_are_gas_and_neighbours_of_density_jumps():
    """The air around counts: beside it everything denser than 3 times air is an interface."""
    density = np.ones((9, 9, 9))
    density[4, 4, 4] = 3.5
    density[2, 2, 6] = 0.05
    density[6, 6, 2] = 2.9  # less than a factor 3
    geometry = voxels.build_voxels(phantom_of(density), 1.0)
    interface = voxels.without_margin(geometry.medium >= voxels.INTERFACE, phantom_of(density))
    expected = np.ones_like(interface)
    expected[1:-1, 1:-1, 1:-1] = False
    for place in ((4, 4, 4), (2, 2, 6)):
        expected[place] = True
        for axis in range(3):
            for step in (-1, 1):
                beside = list(place)
                beside[axis] += step
                expected[tuple(beside)] = True
    np.testing.assert_array_equal(interface, expected)
    assert geometry.interface_step == 0.2

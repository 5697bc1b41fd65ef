"""A couch of slabs in a phantom: mass, place and what it leaves alone."""

import numpy as np
import pytest

from phantoms.couch import Couch, Placed, Slab, add_couch
from phantoms.grid import Grid
from phantoms.materials import load_materials
from phantoms.phantom import Phantom

LIBRARY = load_materials()
SKIN = Slab(0.2, LIBRARY["carbon_fibre"], 1.6)
FOAM = Slab(5.0, LIBRARY["polystyrene"], 0.1)
COUCH = Couch(8.0, (SKIN, FOAM, SKIN))
GRID = Grid((4, 20, 30), (1.0, 0.5, 0.5), (0.0, -3.0, -7.25))
LATERAL, UP = np.array([1.0, 0, 0]), np.array([0, -1.0, 0])


def air():
    return Phantom(
        GRID, np.full(GRID.shape, 0.00121), np.zeros(GRID.shape, np.uint8), (LIBRARY["air"], LIBRARY["water"])
    )


@pytest.mark.parametrize("surface", [0.0, 0.13, 0.25])
def test_mass_and_place(surface):
    """Mass per area is that of the slabs wherever the voxels' faces lie; sides are those of the width."""
    placed = Placed(COUCH, np.array([0.5, surface, 0.0]), UP, LATERAL)
    made = add_couch(air(), placed, np.ones(GRID.shape, bool))
    column = (made.density - 0.00121).sum(axis=1) * 0.5  # [g/cm2], by z and x
    x = GRID.centres(2)
    under = np.abs(x - 0.5) < 4.0
    expected = 0.4 * (1.6 - 0.00121) + 5.0 * (0.1 - 0.00121)
    np.testing.assert_allclose(column[:, under], expected, rtol=1e-3)
    np.testing.assert_allclose(column[:, ~under], 0.0, atol=1e-6)
    y = GRID.centres(1)
    assert (made.density[:, y < surface - 0.25] == np.float32(0.00121)).all()
    foam = (y > surface + 0.75) & (y < surface + 4.7)
    block = np.ix_(np.arange(4), foam, under)
    np.testing.assert_allclose(made.density[block], 0.1, rtol=1e-5)
    assert {made.materials[k].name for k in np.unique(made.material[block])} == {"polystyrene"}
    assert made.audit["couch"]["slabs"][0]["thickness_cm"] == 0.2


def test_what_is_not_free_stays():
    body = air()
    density, material = body.density.copy(), body.material.copy()
    density[:, :10, 12:18], material[:, :10, 12:18] = 1.0, 1
    body = Phantom(GRID, density, material, body.materials)
    placed = Placed(COUCH, np.array([0.0, 0.0, 0.0]), UP, LATERAL)
    made = add_couch(body, placed, density < 0.01)
    np.testing.assert_array_equal(made.density[:, :10, 12:18], 1.0)
    assert (made.density[:, 8, 10] > 0.01).all()


def test_patient_on_the_side():
    """Right side down: the couch lies towards the patient's right, -x, and its width runs along y."""
    grid = Grid((4, 30, 20), (1.0, 0.5, 0.5), (0.0, -7.25, -6.5))
    phantom = Phantom(grid, np.full(grid.shape, 0.00121), np.zeros(grid.shape, np.uint8), air().materials)
    placed = Placed(COUCH, np.zeros(3), np.array([1.0, 0, 0]), np.array([0, 1.0, 0]))
    made = add_couch(phantom, placed, np.ones(grid.shape, bool))
    dense = made.density[1] > 0.05
    x, y = grid.centres(2), grid.centres(1)
    assert dense[np.abs(y) < 4][:, (x < 0) & (x > -5.4)].all()
    assert not dense[:, x > 0].any() and not dense[np.abs(y) > 4].any()
    lower, upper = placed.extent(grid)
    np.testing.assert_allclose(lower[1:], (-4.0, -5.4))
    np.testing.assert_allclose(upper[1:], (4.0, 0.0))

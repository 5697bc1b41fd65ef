"""Phantom and beams moved together: the dose moves along, in every patient position and at any angle.

The motion is written here from IEC 61217 in words, apart from mc.plan.plan: gantry 90 has the source at
the right of who faces the gantry, the couch turns counterclockwise seen from above, the collimator
counterclockwise seen from the source.
"""

import numpy as np
import pytest

from mc.backends.cpu import cuts_of
from mc.config import Physics
from mc.plan.plan import TABLE_TO_PATIENT, Beam, ControlPoint, beam_to_patient
from mc.tables import build_tables
from mc.transport.context import Cuts
from mc.transport.particle import PHOTON
from phantoms.grid import Grid
from phantoms.materials import load_materials
from phantoms.phantom import Phantom
from tests.mc.engine import pencil, run_particles

PLAN = Physics()
PLAN_CUTS = cuts_of(PLAN)
FIRST_COLLISIONS = Cuts(electron_cut=100.0, photon_cut=100.0, photon_split=8)
SAD = 100.0

# Fixed axes: x to the right of who faces the gantry, y to the gantry, z up. Where left, posterior and
# head of the patient point.
RIGHT, GANTRY, UP = np.eye(3)
POSITIONS = {
    "HFS": (RIGHT, -UP, GANTRY),
    "HFP": (-RIGHT, UP, GANTRY),
    "FFS": (-RIGHT, -UP, -GANTRY),
    "FFP": (RIGHT, UP, -GANTRY),
    "HFDR": (UP, RIGHT, GANTRY),  # right side down
    "HFDL": (-UP, -RIGHT, GANTRY),
    "FFDR": (UP, -RIGHT, -GANTRY),
    "FFDL": (-UP, RIGHT, -GANTRY),
}
SETUPS = [
    ("HFS", 0, 0, 0), ("HFS", 90, 0, 0), ("HFS", 180, 90, 0), ("HFS", 270, 0, 90), ("HFS", 0, 270, 270),
    ("HFP", 0, 0, 0), ("HFP", 90, 90, 270), ("FFS", 0, 0, 0), ("FFS", 270, 180, 90), ("FFP", 90, 0, 0),
    ("FFP", 180, 270, 180), ("HFDR", 0, 0, 0), ("HFDR", 90, 90, 90), ("HFDL", 270, 0, 0),
    ("HFDL", 0, 90, 270), ("FFDR", 90, 0, 0), ("FFDR", 0, 180, 90), ("FFDL", 270, 90, 0),
    ("FFDL", 180, 0, 90),
]  # fmt: skip


def turned(vector, axis, degrees):
    """Counterclockwise as seen from the tip of a unit `axis` (Rodrigues)."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return c * vector + s * np.cross(axis, vector) + (1 - c) * (axis @ vector) * axis


def motion(position, gantry, collimator, couch):
    """Matrix from phase space (x = X_b, y = -Y_b, z along the beam) to patient, by the words above."""
    source = np.cos(np.radians(gantry)) * UP + np.sin(np.radians(gantry)) * RIGHT
    x_b = np.cos(np.radians(gantry)) * RIGHT - np.sin(np.radians(gantry)) * UP
    x_b, y_b = turned(x_b, source, collimator), turned(GANTRY, source, collimator)
    patient = [turned(axis, UP, couch) for axis in POSITIONS[position]]
    return np.array([[axis @ column for column in (x_b, -y_b, -source)] for axis in patient])


def plan_beam(gantry, collimator, couch, isocentre):
    point = ControlPoint(0.0, gantry, collimator, couch, tuple(isocentre), (-5, 5, -5, 5))
    return Beam(1, "1", "", 6.0, "FFF", 100.0, SAD, (point,))


def phantom_of(array, lower, spacing):
    """Voxels of an array (x, y, z) of densities, in the order x, y, z."""
    library = load_materials()
    materials = (library["air"], library["water"], library["cortical_bone_icru44"])
    density = array.transpose(2, 1, 0)
    index = np.where(density > 1.5, 2, np.where(density > 0.1, 1, 0))
    origin = (np.array(lower) + 0.5 * np.array(spacing))[::-1]
    return Phantom(Grid(density.shape, tuple(spacing[::-1]), tuple(origin)), density, index, materials)


def moved(array, signed):
    """An array (x, y, z) turned by a signed permutation."""
    axes = np.abs(signed).argmax(axis=1)
    array = array.transpose(axes)
    return np.flip(array, [i for i in range(3) if signed[i, axes[i]] < 0])


def source_particles(n):
    """Photons from the target through an L-shaped, lopsided field, crossing z = 50 cm."""
    rng = np.random.default_rng(3)
    at_isocentre = rng.uniform((-1.0, -2.5), (3.0, 1.5), (4 * n, 2))
    kept = at_isocentre[(at_isocentre[:, 0] < 0.5) | (at_isocentre[:, 1] < -1.0)][:n]
    particles = pencil(PHOTON, 2.0, (0, 0, 50.0), (0, 0, 1), n)
    particles[:, 2:4] = kept / 2
    particles[:, 5:7] = kept / SAD
    return particles


@pytest.fixture(scope="module")
def patchwork():
    """Densities (x, y, z) in the frame of the beam, lower corner and spacing about the isocentre."""
    rng = np.random.default_rng(9)
    return rng.choice([0.001, 0.3, 1.0, 1.8], size=(9, 8, 6)), np.array([-4.1, -3.7, -2.9]), (0.8, 1.0, 1.1)


@pytest.mark.parametrize("position", TABLE_TO_PATIENT)
def test_any_angles(position):
    rng = np.random.default_rng(10)
    for angles in [*rng.uniform(0, 360, (20, 3)), *(90.0 * rng.integers(0, 4, (20, 3)))]:
        rotation, origin = beam_to_patient(plan_beam(*angles, (1, 2, 3)), position)
        expected = motion(position, *angles)
        np.testing.assert_allclose(rotation, expected, atol=1e-12)
        np.testing.assert_allclose(origin + SAD * expected[:, 2], (1, 2, 3), atol=1e-10)


def test_interactions_move_with_the_phantom(patchwork):
    """First interactions need no azimuth: with the same seed they must fall into the same voxels."""
    array, lower, spacing = patchwork
    particles = source_particles(4000)
    still = phantom_of(array, lower, spacing)
    tables = build_tables(still.materials, PLAN)
    reference = run_particles(still, tables, FIRST_COLLISIONS, particles, origin=np.array([0, 0, -SAD]))
    reference = reference.voxels.transpose(2, 1, 0)
    assert np.count_nonzero(reference) > 50
    assert len({setup[0] for setup in SETUPS}) == 8
    for position, *angles in SETUPS:
        signed = np.round(motion(position, *angles)).astype(int)
        isocentre = np.array([1.5, -2.25, 8.0])
        corners = signed @ np.array([lower, lower + np.array(spacing) * array.shape]).T
        placed = phantom_of(
            moved(array, signed), isocentre + corners.min(axis=1), tuple(np.abs(signed) @ spacing)
        )
        rotation, origin = beam_to_patient(plan_beam(*angles, isocentre), position)
        result = run_particles(
            placed, tables, FIRST_COLLISIONS, particles, rotation=rotation, origin=origin
        ).voxels
        expected = moved(reference, signed)
        np.testing.assert_allclose(
            result.transpose(2, 1, 0), expected, rtol=1e-6, atol=1e-6, err_msg=position
        )


@pytest.mark.parametrize("setup", [("HFP", 90, 90, 270), ("FFDL", 180, 0, 90)], ids=str)
def test_dose_moves_with_the_phantom(patchwork, setup):
    """The whole shower, which draws its azimuths about other axes: the same dose within the noise."""
    array, lower, spacing = patchwork
    particles = source_particles(2000)
    signed = np.round(motion(*setup)).astype(int)
    corners = signed @ np.array([lower, lower + np.array(spacing) * array.shape]).T
    still = phantom_of(array, lower, spacing)
    placed = phantom_of(moved(array, signed), corners.min(axis=1), tuple(np.abs(signed) @ spacing))
    tables = build_tables(still.materials, PLAN)
    rotation, origin = beam_to_patient(plan_beam(*setup[1:], (0, 0, 0)), setup[0])
    back = np.linalg.inv(signed).round().astype(int)
    a, b = [], []
    for replica in range(20):
        run = run_particles(
            still, tables, PLAN_CUTS, particles, origin=np.array([0, 0, -SAD]), replica=replica
        )
        a.append(run.voxels.transpose(2, 1, 0))
        run = run_particles(
            placed, tables, PLAN_CUTS, particles, rotation=rotation, origin=origin, replica=replica + 100
        )
        b.append(moved(run.voxels.transpose(2, 1, 0), back))
    a, b = np.array(a), np.array(b)
    sigma = np.sqrt((a.var(axis=0, ddof=1) + b.var(axis=0, ddof=1)) / 20)
    high = a.mean(axis=0) > 0.1 * a.mean(axis=0).max()
    deviation = ((a.mean(axis=0) - b.mean(axis=0)) / np.where(sigma > 0, sigma, 1))[high]
    # Student's t of 38 degrees of freedom: variance 38/36
    assert high.sum() > 40
    assert np.mean(deviation**2) == pytest.approx(38 / 36, abs=5 * np.sqrt(2.3 / high.sum()))
    assert np.abs(deviation).max() < 6


@pytest.mark.parametrize("angles", [(37.0, 21.0, 0.0), (301.0, 77.0, 340.0), (118.0, 10.0, 65.0)], ids=str)
def test_sphere_under_any_angle(angles):
    """A sphere of water about the isocentre looks the same from everywhere: energy and centre of the dose."""
    edge = np.arange(-20, 20) * 0.3 + 0.15
    x, y, z = np.meshgrid(edge, edge, edge, indexing="ij")
    radius = np.sqrt(x**2 + y**2 + z**2)
    inside = np.clip((5.0 - radius) / 0.3 + 0.5, 0, 1)  # density falls off over the width of a voxel
    array = np.where(inside > 0, np.maximum(inside, 0.002), 0.001)
    phantom = phantom_of(array, (-6, -6, -6), (0.3, 0.3, 0.3))
    tables = build_tables(phantom.materials, PLAN)
    particles = source_particles(30_000)

    def moments(rotation, origin, seed):
        run = run_particles(
            phantom, tables, PLAN_CUTS, particles, rotation=rotation, origin=origin, seed=seed
        )
        dose = run.voxels.transpose(2, 1, 0)
        centre = np.array([np.sum(dose * axis) for axis in (x, y, z)]) / dose.sum()
        return np.append(rotation.T @ centre, dose.sum() / particles[:, 1].sum())

    still = np.mean([moments(np.eye(3), np.array([0, 0, -SAD]), seed) for seed in (1, 2)], axis=0)
    turned_ones = [moments(*beam_to_patient(plan_beam(*angles, (0, 0, 0)), "HFS"), seed) for seed in (3, 4)]
    difference = np.mean(turned_ones, axis=0) - still
    assert np.linalg.norm(still[:2]) > 0.5  # the field is lopsided
    assert np.abs(difference[:3]).max() < 0.05, difference
    assert abs(difference[3]) < 0.01 * still[3]

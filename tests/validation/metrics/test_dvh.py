"""DVH metrics against closed forms, by way of DICOM, and against drawn noise."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy.optimize import brentq

from phantoms.errors import InputError
from phantoms.grid import Grid
from phantoms.solids import cut
from phantoms.structures import read_structures
from phantoms.subvoxels import SubVoxels
from tests.dicom_factory import Contours, circle, rectangle, write_dose, write_structures
from validation.metrics.dvh import Dvh, parse_metric
from validation.rtdose import read_rtdose

GRID = Grid((32, 30, 34), (0.25, 0.25, 0.25), (-3.87, -3.61, -4.12))  # in step with nothing
EDGE = 10.0  # gradients [Gy/cm]


def plateaus(values, thickness=2):
    """A dose of layers along x, each `thickness` voxels thick and 0.5 cc a voxel."""
    dose = np.repeat(np.asarray(values, dtype=float), thickness)[None, None]
    return dose, Grid(dose.shape, (1.0, 1.0, 0.5), (0.0, 0.0, 0.0))


def places(grid):
    z, y, x = np.meshgrid(*(grid.centres(axis) for axis in range(3)), indexing="ij")
    return x, y, z


def by_dicom(tmp_path, contours, dose, grid=GRID):
    """DVH of contours and a dose (a function of x, y, z) that went through DICOM files."""
    structures = read_structures(write_structures(tmp_path, [Contours("S", contours)]))
    plan = read_rtdose(write_dose(tmp_path, grid, np.maximum(dose(*places(grid)), 0.0)))
    return Dvh(cut(structures["S"], plan.grid), plan.dose)


def test_metrics_of_plateaus():
    """Layers of two voxels; between their middles doses are mixed evenly."""
    dose, grid = plateaus([40.0, 30.0, 20.0, 10.0], 4)
    fraction = np.ones(grid.shape)
    dvh = Dvh(SubVoxels.of_fraction(fraction, grid), dose)
    assert dvh.volume == pytest.approx(8.0)
    expected = {
        "Dmean": 25,
        "Dmin": 10,
        "Dmax": 40,
        "D1cc": 40,
        "D3cc": 30,
        "D7cc": 10,
        "D100%": 10,
        "D40%": 30,
        "DC1cc": 10,
        "DC3cc": 20,
        "V39Gy": 25,
        "V25Gy[cc]": 4,
        "V0Gy": 100,
        "V41Gy[cc]": 0,
        "CV25Gy": 4,
        "CV41Gy[%]": 100,
        "V100%": 75,
        "V150%[cc]": 4.0,
    }
    for name, value in expected.items():
        found = dvh.metric(name, prescription=20.0)
        assert found.value == pytest.approx(value, abs=1e-6), name
        assert found.sigma is None
    np.testing.assert_allclose(dvh.curve([0, 10, 10.1, 40, 41]), [100, 100, 75, 25, 0], atol=1e-6)


def test_voxel_outside_the_structure_does_not_count():
    dose, grid = plateaus([40.0, 10.0], 4)
    fraction = np.ones(grid.shape)
    fraction[..., :4] = 0
    assert Dvh(SubVoxels.of_fraction(fraction, grid), dose).metric("Dmax").value == pytest.approx(10)


def test_a_structure_smaller_than_the_asked_volume_is_reported():
    dose, grid = plateaus([10.0])
    small = SubVoxels.of_fraction(np.full(grid.shape, 0.1), grid)
    found = Dvh(small, dose).metric("D0.35cc")
    assert found.value is None and found.sigma is None
    assert "0.1 cc is smaller" in found.note
    assert "prescription" in Dvh(small, dose).metric("V95%").note


# Analytic shapes about a point in step with nothing; planes at any phase to the shape.
CENTRE = np.array([0.131, -0.217, 0.093])  # x, y, z [cm]
R, H = 1.2, 2.4


def sphere_planes(z, radius=R):
    return np.sqrt(max(radius**2 - z**2, 0.0))


def contours_of(shape, spacing, phase, radius=R):
    """Sphere, cylinder or cone (tip down) on planes from -H/2 to H/2 about CENTRE; radius at each."""
    half = radius if shape == "sphere" else H / 2
    z = [z for z in (np.arange(-100, 100) + phase) * spacing - half if -half < z < half]
    if shape != "sphere":  # a flat end lies half a spacing beyond the last plane
        z = half - (np.arange(np.ceil(2 * half / spacing - 0.5)) + 0.5) * spacing
    radii = {
        "sphere": lambda z: sphere_planes(z, radius),
        "cylinder": lambda z: radius,
        "cone": lambda z: radius * (z + half) / (2 * half),
    }[shape]
    return [circle(radii(p), p + CENTRE[2], tuple(CENTRE[:2])) for p in z]


def volume_above(shape, z, radius=R):
    """Volume of the part above `z`, from the middle [cm3]."""
    if shape == "sphere":
        h = radius - z
        return np.pi * h * h * (radius - h / 3)
    if shape == "cylinder":
        return np.pi * radius**2 * (H / 2 - z)
    return np.pi * radius**2 / (3 * H**2) * (H**3 - (z + H / 2) ** 3)


@pytest.mark.parametrize(
    "shape, spacing, phase",
    [("sphere", spacing, phase) for spacing in (0.1, 0.2, 0.3) for phase in (0.01, 0.3, 0.5, 0.85)]
    + [("cylinder", spacing, 0.5) for spacing in (0.1, 0.2, 0.3)]
    + [("cone", spacing, 0.5) for spacing in (0.1, 0.13, 0.17, 0.2, 0.25, 0.29, 0.3)],  # the tip anywhere
)
def test_shapes_in_a_gradient_along_z(tmp_path, shape, spacing, phase):
    """Volumes and doses within 0.5 %."""
    dvh = by_dicom(tmp_path, contours_of(shape, spacing, phase), lambda x, y, z: 30 + EDGE * (z - CENTRE[2]))
    whole = volume_above(shape, -R if shape == "sphere" else -H / 2)
    assert dvh.volume == pytest.approx(whole, rel=0.005)
    for share in (0.02, 0.1, 0.5, 0.9, 0.98):
        z = brentq(lambda z, v=share * whole: volume_above(shape, z) - v, -1.2, 1.2)
        assert dvh.metric(f"D{100 * share:g}%").value == pytest.approx(30 + EDGE * z, rel=5e-3), share
    z = brentq(lambda z: volume_above(shape, z) - 0.03, -1.2, 1.2)
    assert dvh.metric("D0.03cc").value == pytest.approx(30 + EDGE * z, rel=5e-3)
    mean = 30 + EDGE * (H / 4 if shape == "cone" else 0.0)
    assert dvh.metric("Dmean").value == pytest.approx(mean, rel=3e-3)


@pytest.mark.parametrize("spacing", [0.1, 0.3])
@pytest.mark.parametrize("axis", [0, 1])
def test_cylinder_in_a_gradient_across(tmp_path, axis, spacing):
    def dose(*place):
        return 30 + EDGE * (place[axis] - CENTRE[axis])

    dvh = by_dicom(tmp_path, contours_of("cylinder", spacing, 0.5), dose)

    def share_above(t):  # of a disc of radius 1 above height t
        return (np.arccos(t) - t * np.sqrt(1 - t * t)) / np.pi

    assert dvh.metric("Dmean").value == pytest.approx(30, abs=0.005)
    for share in (0.01, 0.1, 0.5, 0.95):
        t = brentq(lambda t, s=share: share_above(t) - s, -1, 1)
        assert dvh.metric(f"D{100 * share:g}%").value == pytest.approx(30 + EDGE * R * t, abs=0.02)
    assert dvh.metric("V30Gy").value == pytest.approx(50, abs=0.1)
    assert dvh.metric("Dmax").value == pytest.approx(30 + EDGE * R, abs=0.15)


@pytest.mark.parametrize("spacing", [0.1, 0.3])
def test_sphere_in_radial_falls(tmp_path, spacing):
    """Falls of a Gaussian and of a cone; the cone's tip, a point, cannot be seen on a grid of 2.5 mm."""
    contours = contours_of("sphere", spacing, 0.3)
    falls = {"Gaussian": (lambda r: 30 * np.exp(-0.5 * r**2), 0.5), "cone": (lambda r: 40 - EDGE * r, 1.0)}
    for name, (fall, percent) in falls.items():
        dvh = by_dicom(
            tmp_path,
            contours,
            lambda x, y, z, fall=fall: fall(
                np.sqrt((x - CENTRE[0]) ** 2 + (y - CENTRE[1]) ** 2 + (z - CENTRE[2]) ** 2)
            ),
        )
        for volume in (0.1, 0.35, 1.2, 5.0, 7.0):
            expected = fall((3 * volume / (4 * np.pi)) ** (1 / 3))
            assert dvh.metric(f"D{volume}cc").value == pytest.approx(expected, rel=percent / 100), name
        r = np.linspace(0, R, 10001)
        mean = np.trapezoid(3 * r**2 * fall(r), r) / R**3
        assert dvh.metric("Dmean").value == pytest.approx(mean, rel=4e-3)


@pytest.mark.parametrize("phase", np.linspace(0.05, 0.95, 7))
def test_small_sphere_of_a_tenth_cc(tmp_path, phase):
    """On planes 1 mm apart, wherever they cut it: volume and doses within 2 %, by far."""
    radius = (0.1 * 3 / (4 * np.pi)) ** (1 / 3)
    contours = contours_of("sphere", 0.1, phase, radius)
    dvh = by_dicom(tmp_path, contours, lambda x, y, z: 20 + EDGE * (z - CENTRE[2]))
    assert dvh.volume == pytest.approx(0.1, rel=0.005)
    z = brentq(lambda z: volume_above("sphere", z, radius) - 0.03, -radius, radius)
    assert dvh.metric("D0.03cc").value == pytest.approx(20 + EDGE * z, rel=5e-3)
    assert dvh.metric("D50%").value == pytest.approx(20, rel=5e-3)
    assert dvh.metric("Dmean").value == pytest.approx(20, rel=5e-3)


def test_small_cuboid_smaller_than_a_voxel(tmp_path):
    """4 x 5 x 5 mm, 0.1 cc, in voxels of 2.5 mm: all of it closed forms."""
    contours = [rectangle((0.1, 0.5), (0.03, 0.53), z) for z in (0.05, 0.15, 0.25, 0.35, 0.45)]
    dvh = by_dicom(tmp_path, contours, lambda x, y, z: 20 + EDGE * x)
    assert dvh.volume == pytest.approx(0.1, rel=1e-3)
    for name, value in {
        "Dmean": 23,
        "D50%": 23,
        "D0.03cc": 25 - 0.3 * 4,
        "Dmax": 25,
        "Dmin": 21,
        "V24Gy": 25,
    }.items():
        assert dvh.metric(name).value == pytest.approx(value, rel=2e-3), name


def test_a_hole_and_its_keyhole_read_alike(tmp_path):
    """A tube in a radial fall, as inner contours and as keyholes: V(r < s) is a closed form."""
    angle = np.linspace(0, 2 * np.pi, 721)

    def outline(radius, turn=1):
        return np.column_stack([radius * np.cos(turn * angle), radius * np.sin(turn * angle)])

    planes = np.arange(-10, 10) * 0.1 + 0.05
    keyhole = np.vstack([outline(2.0), outline(0.8, -1)])
    tubes = {
        "inner": [circle(r, z, n=720) for z in planes for r in (2.0, 0.8)],
        "keyhole": [np.column_stack([keyhole, np.full(len(keyhole), z)]) for z in planes],
    }
    for contours in tubes.values():
        dvh = by_dicom(tmp_path, contours, lambda x, y, z: 50 - EDGE * np.hypot(x, y))
        assert dvh.volume == pytest.approx(np.pi * (4 - 0.64) * 2, rel=2e-3)
        for radius in (1.0, 1.5):
            expected = 100 * (radius**2 - 0.64) / (4 - 0.64)
            assert dvh.metric(f"V{50 - EDGE * radius:g}Gy").value == pytest.approx(expected, abs=0.5)


def test_an_edge_of_the_dose_is_not_overshot():
    """Bending follows peaks and stays within the doses on either side of a step."""
    dose, grid = plateaus([0.0, 10.0, 0.0], 5)
    fraction = np.ones(grid.shape)
    dvh = Dvh(SubVoxels(grid, (0, 0, 0), (1, 1, 8), fraction.repeat(8, 2).astype(np.float32), 1.0), dose)
    assert (dvh.lowest, dvh.highest) == pytest.approx((0, 10))
    smooth = 10 * np.exp(-0.5 * ((np.arange(15) - 7.4) / 2) ** 2)[None, None]  # peak between two voxels
    dvh = Dvh(SubVoxels(grid, (0, 0, 0), (1, 1, 8), fraction.repeat(8, 2).astype(np.float32), 1.0), smooth)
    assert smooth.max() < 9.9 and dvh.highest == pytest.approx(10, abs=0.05)


@pytest.mark.parametrize("divisions", [1, 3])
def test_sigma_is_the_spread_over_repeated_doses(divisions):
    """400 independent noisy doses spread as the copies of any one of them, and are off by the sigma stated.

    Noise drives D2% up next to the sharp top of the dose, which the copies show to a factor of two.
    """
    random = np.random.default_rng(7)
    truth = np.broadcast_to(np.linspace(44, 56, 12), (12, 12, 12))
    sigma = 0.2 + 0.4 * random.random(truth.shape)
    grid = Grid(truth.shape, (0.1, 0.1, 0.1), (0, 0, 0))
    coverage = random.random([12 * divisions] * 3).astype(np.float32)
    cells = SubVoxels(grid, (0, 0, 0), (divisions,) * 3, coverage, 1.0)
    noisy = [truth + sigma * random.standard_normal(truth.shape) for _ in range(400)]
    tolerances = {"Dmean": 0.1, "D50%": 0.25, "D2%": 0.3, "V50Gy": 0.25}
    found = [Dvh(cells, dose).metrics(list(tolerances)) for dose in noisy]
    dvhs = [Dvh(cells, dose, sigma) for dose in noisy[:10]]
    stated, true = (
        [dvh.metrics(list(tolerances)) for dvh in dvhs],
        Dvh(cells, truth).metrics(list(tolerances)),
    )
    for name, tolerance in tolerances.items():
        values = np.array([of[name].value for of in found])
        metric = parse_metric(name)
        of_copies = [np.std([dvh._value(metric, c, None) for c in dvh._copies], ddof=1) for dvh in dvhs]
        if name != "Dmean":  # it is not read from copies
            assert np.mean(of_copies) == pytest.approx(values.std(), rel=tolerance), name
        error = np.sqrt(np.mean((values - true[name].value) ** 2))
        of_stated = np.mean([of[name].sigma for of in stated])
        assert of_stated == pytest.approx(error, rel=0.5 if name == "D2%" else tolerance), name


def test_sigma_of_the_curve_is_that_of_its_volumes():
    random = np.random.default_rng(3)
    dose = random.normal(20, 2, (8, 8, 8))
    cells = SubVoxels.of_fraction(np.ones(dose.shape), Grid(dose.shape, (0.1, 0.1, 0.1), (0, 0, 0)))
    dvh = Dvh(cells, dose, 0.02 * dose)
    names = ["V19Gy", "V20Gy", "V22Gy"]
    stated = [dvh.metric(name).sigma for name in names]
    np.testing.assert_allclose(dvh.curve_sigma(np.array([19, 20, 22])), stated)


@pytest.mark.parametrize(
    "name", ["D", "Dmedian", "D0%", "D101%", "D-1cc", "V20", "V20Gy[ml]", "D95", "", "CD5cc", "DC0cc"]
)
def test_unknown_metrics_are_refused(name):
    with pytest.raises(InputError, match="DVH metric"):
        parse_metric(name)


def test_empty_structures_and_broken_doses_are_refused():
    dose, grid = plateaus([10.0])
    with pytest.raises(InputError, match="no volume"):
        Dvh(SubVoxels.of_fraction(np.zeros(grid.shape), grid), dose)
    with pytest.raises(InputError, match="not finite"):
        Dvh(SubVoxels.of_fraction(np.ones(grid.shape), grid), dose * np.nan)


def test_metrics_at_once_are_those_one_by_one():
    random = np.random.default_rng(3)
    dose = random.normal(20, 2, (6, 6, 6))
    cells = SubVoxels.of_fraction(
        random.uniform(0, 1, dose.shape), Grid(dose.shape, (0.5, 0.5, 0.5), (0, 0, 0))
    )
    dvh = Dvh(cells, dose, 0.02 * dose)
    names = ["Dmean", "D50%", "D0.5cc", "V20Gy", "V95%", "Dmax", "D900cc"]
    assert dvh.metrics(names) == {name: dvh.metric(name) for name in names}
    assert dvh.metric("D50%").sigma > 0 and dvh.metric("D900cc").sigma is None


@pytest.mark.slow
def test_ten_million_voxels(tmp_path):
    """A trunk of 10 l in 1 mm voxels, with sigma: under a minute and a quarter."""
    grid = Grid((220, 260, 300), (0.1, 0.1, 0.1), (-10.95, -12.95, -14.95))
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    outline = np.column_stack([13.5 * np.cos(angle), 11 * np.sin(angle)])
    contours = [np.column_stack([outline, np.full(400, z)]) for z in np.arange(-10.65, 10.7, 0.3)]
    roi = read_structures(write_structures(tmp_path, [Contours("S", contours)]))["S"]
    _, y, _ = places(grid)
    dose = 20 + y
    began = time.process_time()
    dvh = Dvh(cut(roi, grid), dose, 0.01 * dose)
    assert dvh.volume == pytest.approx(np.pi * 13.5 * 11 * 21.6, rel=1e-3)
    assert dvh.metric("Dmean").value == pytest.approx(20, rel=1e-3)
    assert dvh.metric("D50%").sigma < 0.01
    assert time.process_time() - began < 75

"""Gamma against closed forms, brute force and the published search."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator
from scipy.optimize import minimize

from phantoms.errors import InputError
from phantoms.grid import Grid
from tests.validation.doses import read_nrrd, smooth_dose
from validation.metrics.gamma import Criterion, gamma, parse_criterion, thick
from validation.rtdose import read_rtdose

GRID = Grid((9, 10, 11), (0.3, 0.25, 0.2), (-1.2, -1.1, -1.0))


def coordinates(grid: Grid) -> np.ndarray:
    """Voxel centres (nz, ny, nx, 3) as z, y, x [cm]."""
    return np.stack(np.meshgrid(*(grid.centres(axis) for axis in range(3)), indexing="ij"), axis=-1)


def interior(values: np.ndarray, margin: int = 2) -> np.ndarray:
    inner = slice(margin, -margin)
    return values[inner, inner, inner]


@pytest.mark.parametrize("shape", ["linear", "random"])
def test_identical_doses_have_gamma_zero(shape):
    dose = smooth_dose(GRID, 1) if shape == "random" else 40 + coordinates(GRID) @ [3.0, 5.0, -4.0]
    result = gamma(dose, GRID, dose, GRID, Criterion(2, 1))
    assert result.count() == np.count_nonzero(dose >= 0.1 * dose.max())
    assert result.values().max() < 1e-4
    assert result.passing_rate() == 100


@pytest.mark.parametrize("scale, expected", [(1.01, 0.5), (0.96, 2.0), (1.03, 1.5), (1.1, 2.0)])
def test_pure_scale_of_a_uniform_dose(scale, expected):
    """The difference over its criterion, capped at 2."""
    dose = np.full(GRID.shape, 50.0)
    result = gamma(dose, GRID, dose * scale, GRID, Criterion(2, 3))
    np.testing.assert_allclose(result.gamma, expected, atol=1e-9)


def test_a_part_of_the_map_is_the_map_there():
    reference = smooth_dose(GRID, 3, peak=50.0)
    found = gamma(reference, GRID, 1.01 * reference, GRID, Criterion(3.0, 1.0, threshold_percent=40.0))
    for box in (
        (slice(2, 5), slice(0, 10), slice(3, 11)),
        (slice(4, 4),) * 3,
        (slice(0, 9), slice(3, 4), slice(0, 11)),
    ):
        np.testing.assert_array_equal(found.part(box), found.gamma[box])
    assert np.isnan(found.gamma).any() and np.isfinite(found.part((slice(2, 5),) * 3)).any()


def test_sweep_is_the_rate_above_each_threshold():
    reference = smooth_dose(GRID, 3, peak=50.0)
    other = reference * np.random.default_rng(1).normal(1.0, 0.04, reference.shape)
    found = gamma(reference, GRID, other, GRID, Criterion(3.0, 1.0, threshold_percent=12.0))
    sweep = found.sweep(reference)
    assert sweep.threshold_percent[:3].tolist() == [12.0, 15.0, 20.0] and sweep.threshold_percent[-1] == 95.0
    assert 60.0 < sweep.passing_percent[0] < 99.0
    for threshold, rate, voxels in zip(
        sweep.threshold_percent, sweep.passing_percent, sweep.voxels, strict=True
    ):
        above = reference >= 0.01 * threshold * reference.max()
        assert voxels == found.count(above) and rate == pytest.approx(found.passing_rate(above))


@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize("offset", [0.0, 0.7, -1.3])
@pytest.mark.parametrize("shift", [(0, 0, 0), (0.02, -0.03, 0.05)])
def test_shift_and_offset_of_a_linear_dose(local, offset, shift):
    """To a plane at a gap h (in dose criteria) and slope s the distance is h / sqrt(1 + s^2)."""
    gradient = np.array([4.0, -6.0, 8.0])
    reference = 100 + coordinates(GRID) @ gradient
    evaluated = reference + offset - gradient @ shift
    criterion = Criterion(2, 1.5, local=local, normalisation=100.0)
    result = gamma(reference, GRID, evaluated, GRID, criterion)
    tolerance = 0.02 * (reference if local else 100.0)
    gap = np.abs(offset - gradient @ shift) / tolerance
    slope = np.linalg.norm(gradient) * 0.15 / tolerance
    np.testing.assert_allclose(
        interior(result.gamma), interior(gap / np.hypot(1, slope) + 0 * reference), atol=1e-6
    )


def test_parabola_is_met_at_its_foot():
    """Distance of a point to y = k x^2 from the cubic of its foot; interpolation adds k step^2 / 4."""
    step, k, distance, tolerance = 0.01, 10.0, 0.3, 1.0
    line = Grid((3, 3, 401), (1.0, 1.0, step), (-1.0, -1.0, -2.0))
    x = line.centres(2)
    evaluated = np.broadcast_to(50 + k * x**2, line.shape)
    points = Grid((1, 1, 9), (1.0, 1.0, 0.1), (0.0, 0.0, -0.4))
    reference = np.full(points.shape, 51.5)
    criterion = Criterion(2, 10 * distance, normalisation=50.0)
    result = gamma(reference, points, evaluated, line, criterion)
    for found, position in zip(result.gamma[0, 0], points.centres(2), strict=True):
        # u in distance criteria: minimise (u - p)^2 + (a u^2 - q)^2
        a, p, q = k * distance**2 / tolerance, position / distance, 1.5 / tolerance
        roots = np.roots([4 * a**2, 0, 2 - 4 * a * q, -2 * p])
        foot = roots[np.abs(roots.imag) < 1e-9].real
        exact = np.sqrt(np.min((foot - p) ** 2 + (a * foot**2 - q) ** 2))
        assert found == pytest.approx(exact, abs=k * step**2 / 4 / tolerance + 1e-4)


def brute_force(point, dose, surface, grid, distance, tolerance):
    """Least gamma, capped at 2, by sampling each cell densely and polishing within the best twelve."""

    def value(p):
        return np.sum(((p - point) / distance) ** 2, axis=-1) + ((surface(p) - dose) / tolerance) ** 2

    local = np.stack(np.meshgrid(*[np.linspace(0, 1, 13)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    found = []
    for cell in np.ndindex(*(n - 1 for n in grid.shape)):
        corner = np.array(grid.origin) + np.array(cell) * grid.spacing
        nearest = np.clip(point, corner, corner + grid.spacing)
        if np.linalg.norm(nearest - point) < 2 * distance:
            samples = corner + local * grid.spacing
            values = value(samples)
            found.append((values.min(), tuple(samples[values.argmin()]), tuple(corner)))
    best = 4.0
    for sampled, start, corner in sorted(found)[:12]:
        bounds = [(c, c + step) for c, step in zip(corner, grid.spacing, strict=True)]
        best = min(
            best, sampled, float(np.squeeze(minimize(value, start, method="L-BFGS-B", bounds=bounds).fun))
        )
    return np.sqrt(best)


@pytest.mark.parametrize("seed", [3, pytest.param(4, marks=pytest.mark.slow)])
def test_finds_the_global_minimum_of_rough_doses(seed):
    """White noise of three criteria makes each cell strongly nonconvex."""
    rng = np.random.default_rng(seed)
    evaluated = 50 + 3 * rng.standard_normal(GRID.shape)
    points = Grid((2, 2, 3), (0.37, 0.31, 0.29), (-0.4, -0.5, -0.3))
    reference = 50 + 5 * rng.standard_normal(points.shape)
    result = gamma(reference, points, evaluated, GRID, Criterion(2, 3, normalisation=50))
    surface = RegularGridInterpolator([GRID.centres(a) for a in range(3)], evaluated)
    for index in np.ndindex(points.shape):
        point = np.array([points.centres(a)[i] for a, i in enumerate(index)])
        expected = brute_force(point, reference[index], surface, GRID, 0.3, 1.0)
        assert result.gamma[index] == pytest.approx(expected, abs=1.5e-4)


def test_halving_both_criteria_doubles_gamma():
    reference, evaluated = smooth_dose(GRID, 5), smooth_dose(GRID, 5) * 1.01 + 0.4
    loose = gamma(reference, GRID, evaluated, GRID, Criterion(4, 2), max_gamma=3).gamma
    strict = gamma(reference, GRID, evaluated, GRID, Criterion(2, 1), max_gamma=6).gamma
    np.testing.assert_allclose(strict, 2 * loose, atol=3e-4, equal_nan=True)
    assert np.nanmax(loose) > 0.2


@pytest.mark.parametrize(
    "seed, dose_percent, distance_mm, threshold, local",
    [(11, 3, 3, 30, False), (12, 2, 1, 80, True)]
    + [
        pytest.param(*numbers, local, marks=pytest.mark.slow)
        for *numbers, local in [
            (11, 3, 3, 30, True), (12, 2, 1, 80, False), (13, 5, 2, 30, False), (13, 5, 2, 30, True),
        ]
    ],
)  # fmt: skip
def test_against_pymedphys(seed, dose_percent, distance_mm, threshold, local):
    """Never above its sampled search; below it by no more than its sampling step allows.

    pymedphys samples shells every distance/30, so some sample lies within sqrt(3)/2 of a step of
    the true foot, and gamma changes by at most sqrt(1 + slope^2) times that distance.
    """
    pymedphys = pytest.importorskip("pymedphys")
    evaluated_grid = Grid((11, 9, 10), (0.25, 0.3, 0.275), (-1.3, -1.2, -1.25))
    reference, evaluated = smooth_dose(GRID, seed), smooth_dose(evaluated_grid, seed)
    evaluated = evaluated * 1.02 + 0.02 * smooth_dose(evaluated_grid, seed + 100)
    ours = gamma(
        reference, GRID, evaluated, evaluated_grid, Criterion(dose_percent, distance_mm, local, threshold)
    ).gamma
    theirs = pymedphys.gamma(
        tuple(10 * GRID.centres(axis) for axis in range(3)),
        reference,
        tuple(10 * evaluated_grid.centres(axis) for axis in range(3)),
        evaluated,
        dose_percent,
        distance_mm,
        lower_percent_dose_cutoff=threshold,
        interp_fraction=30,
        max_gamma=2,
        local_gamma=local,
    )
    assert np.array_equal(np.isnan(ours), np.isnan(theirs))
    difference = (theirs - ours)[np.isfinite(ours)]
    gradient = np.linalg.norm(np.gradient(evaluated, *evaluated_grid.spacing), axis=0).max() * 1.5
    tolerance = 0.01 * dose_percent * reference.max() * (0.01 * threshold if local else 1.0)
    slope = gradient * 0.1 * distance_mm / tolerance
    assert difference.min() > -1.01e-4
    assert difference.max() < np.sqrt(0.75) / 30 * np.hypot(1, slope)
    assert np.median(difference) < 0.02
    assert np.nanstd(ours) > 0.05


def test_published_pair_and_the_voxel_centre_search(shared):
    """SlicerRT's 80.895 % is the minimum over voxel centres; ours over the interpolated surface.

    Dropping everything between voxel centres from our search reproduces the published gamma
    volume voxel by voxel, so the interpolation is all the difference: see docs/gamma.md.
    """
    folder = shared / "data" / "gamma" / "slicerrt"
    reference, grid = read_nrrd(folder / "EclipseEnt_Dose.nrrd")
    evaluated, evaluated_grid = read_nrrd(folder / "EclipseEnt_Dose_Day2.nrrd")
    published, _ = read_nrrd(folder / "GammaVolume_EclipseEnt_Day1Day2_Baseline.nrrd")
    result = gamma(reference, grid, evaluated, evaluated_grid, Criterion(3, 3))
    chosen = np.isfinite(result.gamma)
    assert result.count() == 88129
    assert 100 * np.mean(published[chosen] <= 1) == pytest.approx(80.895, abs=5e-4)
    assert np.all(result.gamma[chosen] <= published[chosen] + 1e-4)
    assert result.passing_rate() == pytest.approx(90.72, abs=0.01)

    best = np.full(reference.shape, 4.0)
    reach = 3  # voxels of 2.5 mm within gamma 2 at 3 mm
    padded = np.pad(evaluated, reach, constant_values=1e9)
    tolerance = 0.03 * reference.max()
    for offset in np.ndindex((2 * reach + 1,) * 3):
        window = tuple(slice(o, o + n) for o, n in zip(offset, reference.shape, strict=True))
        squared = sum((o - reach) ** 2 for o in offset) * (2.5 / 3) ** 2
        best = np.minimum(best, ((padded[window] - reference) / tolerance) ** 2 + squared)
    np.testing.assert_allclose(np.sqrt(best)[chosen], published[chosen], atol=1e-5)


def test_doses_that_do_not_overlap_are_refused():
    dose, here = np.ones((4, 4, 4)), Grid((4, 4, 4), (0.2, 0.2, 0.2), (0.0, 0.0, 0.0))
    there = Grid((4, 4, 4), (0.2, 0.2, 0.2), (0.0, 0.0, 5.0))
    with pytest.raises(InputError, match="the doses do not overlap"):
        gamma(dose, here, dose, there, Criterion(3.0, 2.0))


def test_outside_the_evaluated_grid_nothing_is_invented():
    reference_grid = Grid((3, 3, 12), (0.2, 0.2, 0.2), (0.0, 0.0, 0.0))
    evaluated_grid = Grid((3, 3, 4), (0.2, 0.2, 0.2), (0.0, 0.0, 0.0))
    reference, evaluated = np.full((3, 3, 12), 10.0), np.full((3, 3, 4), 10.0)
    result = gamma(reference, reference_grid, evaluated, evaluated_grid, Criterion(2, 3))
    beyond = np.maximum(0.2 * np.arange(12) - 0.6, 0) / 0.3
    np.testing.assert_allclose(result.gamma[1, 1], np.minimum(beyond, 2), atol=1e-6)
    assert result.uncovered == 3 * 3 * 8


def test_threshold_mask_and_normalisation_choose_the_voxels():
    dose = np.linspace(1, 100, GRID.shape[0] * GRID.shape[1] * GRID.shape[2]).reshape(GRID.shape)
    mask = np.zeros(GRID.shape, dtype=bool)
    mask[:, :5] = True
    result = gamma(dose, GRID, dose, GRID, Criterion(2, 1, threshold_percent=40, normalisation=50), mask)
    assert np.array_equal(np.isfinite(result.gamma), mask & (dose >= 20))
    assert gamma(dose, GRID, dose, GRID, Criterion(2, 1), mask).normalisation == 100
    assert np.isnan(result.passing_rate(~mask))
    counts, edges = result.histogram()
    assert counts.sum() == result.count() and edges[-1] == pytest.approx(2)


def test_threads_do_not_change_gamma():
    import numba

    reference, evaluated = smooth_dose(GRID, 8), smooth_dose(GRID, 9)
    threads = numba.get_num_threads()
    many = gamma(reference, GRID, evaluated, GRID, Criterion(3, 2)).gamma
    try:
        numba.set_num_threads(1)
        one = gamma(reference, GRID, evaluated, GRID, Criterion(3, 2)).gamma
    finally:
        numba.set_num_threads(threads)
    assert np.array_equal(one, many, equal_nan=True)


def test_refusals():
    dose = np.full(GRID.shape, 10.0)
    broken = dose.copy()
    broken[0, 0, 0] = np.nan
    with pytest.raises(InputError, match=r"evaluated dose.*not finite"):
        gamma(dose, GRID, broken, GRID, Criterion(2, 1))
    with pytest.raises(InputError, match="zero everywhere"):
        gamma(0 * dose, GRID, dose, GRID, Criterion(2, 1))
    with pytest.raises(InputError, match="distance_mm"):
        Criterion(2, 0)
    with pytest.raises(InputError, match="2%/1mm"):
        parse_criterion("2 percent")
    assert parse_criterion("2% / 1 mm") == Criterion(2, 1)


@pytest.mark.slow
def test_twenty_times_faster_than_pymedphys(shared):
    """On a real plan at 2 %/1 mm, with samples fine enough to come near the exact minimum."""
    pymedphys = pytest.importorskip("pymedphys")
    plan = read_rtdose(shared / "cases" / "spine_l1" / "RTDOSE.dcm")
    noise = np.random.default_rng(1).standard_normal(plan.dose.shape)
    evaluated = 1.02 * plan.dose * (1 + 0.008 * noise)
    criterion = Criterion(2, 1, threshold_percent=90)  # spares pymedphys most of four minutes
    gamma(plan.dose, plan.grid, plan.dose, plan.grid, criterion)  # compiles
    start = time.perf_counter()
    ours = gamma(plan.dose, plan.grid, evaluated, plan.grid, criterion)
    ours_s = time.perf_counter() - start
    axes = tuple(10 * plan.grid.centres(axis) for axis in range(3))
    start = time.perf_counter()
    theirs = pymedphys.gamma(axes, plan.dose, axes, evaluated, 2, 1, 90, interp_fraction=30, max_gamma=2)
    theirs_s = time.perf_counter() - start
    print(f"{ours.count()} voxels: {ours_s:.2f} s, pymedphys {theirs_s:.2f} s")
    assert np.nanmin(theirs - ours.gamma) > -1e-4
    assert theirs_s > 20 * ours_s


@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize("decades", [4, 9, 16, 40, 290])
def test_doses_of_any_steepness_end_within_their_bounds(decades, local):
    """The kernel keeps to its stack: halving boxes alone would not resolve steps of 1e16 criteria."""
    rng = np.random.default_rng(decades)
    grid = Grid((4, 4, 5), GRID.spacing, GRID.origin)
    reference = 10.0 ** rng.uniform(-6, 0, grid.shape)
    evaluated = 10.0 ** rng.uniform(-min(decades, 300), decades, grid.shape)
    found = gamma(reference, grid, evaluated, grid, Criterion(2, 1, local, 0.0)).values()
    assert np.isfinite(found).all() and found.min() >= 0.0 and found.max() <= 2.0


@pytest.mark.parametrize("step", [1e5, 1e10, 1e16, 1e300])
def test_a_steep_step_is_met_where_it_crosses(step):
    """From 0 Gy to `step` in one voxel: the reference of 1 Gy is crossed at 1/step of its width."""
    reference, evaluated = np.ones(GRID.shape), np.zeros(GRID.shape)
    evaluated[:, :, 5:] = step
    found = gamma(reference, GRID, evaluated, GRID, Criterion(2, 1)).gamma[4, 5]
    between = (4 + 1 / step - np.arange(11)) * 2.0  # voxels of 2 mm in units of 1 mm
    np.testing.assert_allclose(found, np.minimum(np.abs(between), 2.0), atol=2e-5)


def test_criteria_beyond_reason_are_refused():
    for values in ((2, 1e6), (1e-9, 1), (1e5, 1), (2, np.nan)):
        with pytest.raises(InputError, match=r"implausible \(it lies between .*write it like 2%/1mm"):
            Criterion(*values)
    with pytest.raises(InputError, match="zero everywhere"):
        gamma(np.full(GRID.shape, 1e-200), GRID, np.ones(GRID.shape), GRID, Criterion(2, 1))


def test_a_long_reach_takes_no_more_cells_than_there_are():
    dose = smooth_dose(Grid((3, 3, 3), (0.01, 0.01, 0.01), (0.0, 0.0, 0.0)), 1)
    grid = Grid(dose.shape, (0.01, 0.01, 0.01), (0.0, 0.0, 0.0))
    assert gamma(dose, grid, dose, grid, Criterion(2, 50)).values().max() < 1e-4


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_plane_between_thick_layers_is_judged_within_the_plane(axis):
    """As by gamma of two dimensions: what lies beside the plane plays no part."""
    shape = [9, 10, 11]
    shape[axis] = 1
    grid = Grid(tuple(shape), (0.3, 0.25, 0.2), (-1.2, -1.1, -1.0))
    dose = smooth_dose(Grid((9, 10, 11), grid.spacing, grid.origin), 4)
    plane = np.take(dose, [4], axis=axis)
    layers, evaluated = thick(grid, 1.01 * plane, [axis])
    found = gamma(plane, grid, evaluated, layers, Criterion(2, 1, threshold_percent=50))
    # the same plane, many times over, as a volume
    volume = Grid(tuple(9 if a == axis else n for a, n in enumerate(shape)), grid.spacing, grid.origin)
    repeated = np.repeat(plane, 9, axis=axis)
    expected = gamma(repeated, volume, 1.01 * repeated, volume, Criterion(2, 1, threshold_percent=50)).gamma
    np.testing.assert_allclose(found.gamma, np.take(expected, [4], axis=axis), atol=2e-5)

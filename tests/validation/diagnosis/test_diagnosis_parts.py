"""Rays, openings, columns and fit of a diagnosis, each against what is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mc.dose import Dose
from phantoms.polygons import volume_fraction
from tests.validation.diagnosis.slab_patient import GRID, HALF, Truth, density_at, phantom, plan, structures
from validation.diagnosis.directions import directions
from validation.diagnosis.effects import couch_below
from validation.diagnosis.fit import fit_columns
from validation.diagnosis.rays import ray_integrals
from validation.diagnosis.voxels import (
    averaged,
    choose_voxels,
    coarse_doses,
    coarse_grid,
    coarse_patient,
    coarser,
)


def test_line_integrals_are_those_of_the_boxes():
    stays = directions(plan())
    random = np.random.default_rng(5)
    points = random.uniform(-1.5, 1.5, (40, 3))
    for stay in stays:
        path = points - stay.source
        step = 0.01
        length = np.linalg.norm(path, axis=1, keepdims=True)
        known = sum(
            step * density_at(points - (k + 0.5) * step * path / length, Truth())
            for k in range(int(16 / step))
        )
        found = ray_integrals(stay, GRID, [phantom().density], points)[0]
        # linear interpolation smears the faces of the boxes: a ray past an edge of the bone sees some of it
        assert np.abs(found - known).mean() < 0.08 and np.abs(found - known).max() < 0.5


def test_static_beams_are_one_direction_each_and_an_arc_is_many():
    stays = directions(plan())
    assert [stay.beam for stay in stays] == [0, 1, 2, 3, 4]
    assert all(stay.weight == pytest.approx(600.0) for stay in stays)  # 200 MU in 3 fractions
    arc = directions(plan((100.0, 260.0), arc=True))
    assert sum(stay.weight for stay in arc) == pytest.approx(600.0)
    assert 8 <= len(arc) <= 16
    turns = [np.degrees(np.arctan2(-s.rotation[0, 2], s.rotation[1, 2])) % 360 for s in arc]
    assert np.average(turns, weights=[s.weight for s in arc]) == pytest.approx(180.0, abs=0.01)


def test_an_opening_is_that_of_jaws_and_leaves_in_the_beams_own_coordinates():
    beam = plan((0.0,)).beams[0]
    leaves = (-3.0, -1.0, 3.0, 1.0)  # pair 1 (y below 0) 6 cm wide, pair 2 (y above 0) 2 cm
    points = tuple(
        replace(point, jaws=(-4.0, 4.0, -2.0, 3.0), leaves={"MLCX": leaves}) for point in beam.control_points
    )
    shaped = replace(beam, control_points=points, leaf_boundaries={"MLCX": (-5.0, 0.0, 5.0)})
    (stay,) = directions(replace(plan((0.0,)), beams=(shaped,)))

    def opened(x, y):  # v is -Y of the collimators
        row, column = np.abs(stay.v + y).argmin(), np.abs(stay.u - x).argmin()
        return stay.opening[row, column]

    assert opened(2.0, -1.0) > 0.9 and opened(0.0, 1.5) > 0.9
    assert opened(2.2, 1.5) < 0.1 and opened(0.0, -3.5) < 0.1 and opened(0.0, 4.5) < 0.1


def test_the_opening_of_a_cone_is_round():
    (beam,) = plan((0.0,)).beams
    points = tuple(replace(point, jaws=(-np.inf, np.inf, -np.inf, np.inf)) for point in beam.control_points)
    (stay,) = directions(replace(plan((0.0,)), beams=(replace(beam, control_points=points, cone=4.0),)))
    radius = np.hypot(stay.u, stay.v[:, None])
    assert stay.opening[radius < 1.2].min() > 0.9 and stay.opening[radius > 2.8].max() < 0.1


def test_shares_sum_to_one_and_depths_are_right():
    outline = structures().external()
    patient = coarse_patient(phantom(), volume_fraction(outline, coarse_grid(phantom())))
    ones = np.ones(GRID.shape)
    doses = coarse_doses(
        ones, Dose(GRID, ones, 0.01 * ones, np.nan), volume_fraction(outline, GRID) > 0.99, None
    )
    stays = directions(plan((0.0, 90.0)))
    voxels = choose_voxels(doses, patient, stays, 6.0)
    assert voxels.shares.sum(axis=0) == pytest.approx(1.0)
    straight = (np.abs(voxels.points[:, 0]) < 0.6) & (np.abs(voxels.points[:, 2]) < 0.6)
    front = straight & (voxels.points[:, 1] < 1.0)  # before the bone
    assert voxels.depths[0, front] == pytest.approx(voxels.points[front, 1] + HALF[1], abs=0.15)


def test_the_couch_below_meets_the_beams_from_below_at_their_slant():
    outline = structures().external()
    patient = coarse_patient(phantom(), volume_fraction(outline, coarse_grid(phantom())))
    ones = np.ones(GRID.shape)
    doses = coarse_doses(
        ones, Dose(GRID, ones, 0.01 * ones, np.nan), volume_fraction(outline, GRID) > 0.99, None
    )
    for gantry, wanted in ((180.0, 1.0), (140.0, 1 / np.cos(np.radians(40))), (0.0, 0.0)):
        treatment = plan((gantry,))
        stays = directions(treatment)
        voxels = choose_voxels(doses, patient, stays, 6.0)
        column, met = couch_below(voxels, stays, treatment, patient)
        centre = np.linalg.norm(voxels.points - (0.0, 1.0, 0.0), axis=1) < 0.6
        assert -column[centre].mean() == pytest.approx(wanted, rel=0.01, abs=1e-9)
        assert met == ((0,) if wanted else ())


def test_averages_keep_the_mean_and_the_place():
    values = np.random.default_rng(1).random((7, 8, 9))
    grid = replace(GRID, shape=(7, 8, 9))
    coarse = averaged(values, (2, 4, 3))
    assert coarse.shape == coarser(grid, (2, 4, 3)).shape == (3, 2, 3)
    assert coarse[1, 0, 2] == pytest.approx(values[2:4, 0:4, 6:9].mean())
    assert coarser(grid, (2, 4, 3)).lower == pytest.approx(grid.lower)


def test_a_fit_finds_its_parameters_and_their_sigmas_although_residuals_are_correlated():
    random = np.random.default_rng(2)
    blocks = np.repeat(np.arange(200), 10)
    errors, sigmas = [], []
    for _ in range(150):
        columns = np.stack([np.ones(2000), random.normal(size=200)[blocks]], axis=1)
        common = random.normal(size=200)[blocks]  # of a block: ten times as many data as are independent
        data = columns @ (2.0, -1.0) + common + 0.3 * random.normal(size=2000)
        fit = fit_columns(data, columns, np.ones(2000), blocks)
        errors.append(fit.values - (2.0, -1.0))
        sigmas.append(fit.sigma)
    assert np.mean(errors, axis=0) == pytest.approx([0.0, 0.0], abs=4 * 0.075 / np.sqrt(150))
    # known to 6 % from 150 runs; taken as independent they would be 3 times too small
    assert np.std(errors, axis=0) / np.mean(sigmas, axis=0) == pytest.approx([1.0, 1.0], abs=0.25)


def test_noise_that_all_data_share_is_part_of_the_sigma_though_no_residual_shows_it():
    random = np.random.default_rng(4)
    maps = 0.02 * random.normal(size=(16, 1)) / 4 + 0.01 * random.normal(size=(16, 500)) / 4
    blocks, ones = np.arange(500) // 10, np.ones((500, 1))
    fit = fit_columns(np.ones(500), ones, np.ones(500), blocks, False, maps)
    assert fit.sigma[0] == pytest.approx(np.sqrt(np.sum(maps.mean(axis=1) ** 2)), rel=1e-6)
    assert fit_columns(np.ones(500), ones, np.ones(500), blocks, False).sigma[0] < 1e-9


def test_a_few_outliers_do_not_pull_a_fit():
    random = np.random.default_rng(3)
    data = 1.0 + 0.01 * random.normal(size=1000)
    data[:20] += 5.0
    fit = fit_columns(data, np.ones((1000, 1)), np.full(1000, 1e4), np.arange(1000) // 10)
    assert fit.values[0] == pytest.approx(1.0, abs=0.002)
    plain = fit_columns(data, np.ones((1000, 1)), np.full(1000, 1e4), np.arange(1000) // 10, robust=False)
    assert plain.values[0] == pytest.approx(1.1, abs=0.005)

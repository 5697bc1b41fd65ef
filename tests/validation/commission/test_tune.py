"""Tuning of a source whose curves are known: the minimum, its sigma, and what is not claimed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.validation.commission.linac import HEADER, csv_lines
from validation.commission.compute import ComputedField, Curve
from validation.commission.cost import GROUPS, products, residuals
from validation.commission.criteria import load_criteria
from validation.commission.design import design
from validation.commission.fields import Field
from validation.commission.noise import PRECISION, Noise, shrinkage
from validation.commission.response import Response
from validation.commission.tune import Parameter, tune
from validation.scans import read_scans

POINTS = 60
X = np.linspace(-1, 1, POINTS)
SHAPES = np.array([X, X**2 - 0.3, np.cos(3 * X)]) / np.sqrt(POINTS)  # answers to three parameters


def source(truth, noise, seed, bend=0.05, offset=0.0):
    """Residuals of a source at `truth`: nearly linear in what is off, with noise of each run's own."""
    random = np.random.default_rng(seed)

    def residuals_at(values):
        off = np.array(list(values.values())) - truth
        mean = (off + bend * off**2) @ SHAPES[: len(truth)] + offset * SHAPES[2]
        return mean + noise * random.standard_normal((GROUPS, POINTS)) / np.sqrt(POINTS)

    return residuals_at


class Quality:
    """As much of a beam quality as a cost needs."""

    nominal_mv = 6.0


def energy(start=6.0, step=0.4, least=4.0, most=8.0):
    return Parameter("energy", "MeV", start, step, least, most)


def spot(start=1.0, step=0.4):
    return Parameter("spot", "mm", start, step, 0.1, 3.0)


def test_cost_is_free_of_noise():
    """Of 300 runs with noise beyond the residual the mean cost is the true one; a plain square is not."""
    random = np.random.default_rng(4)
    truth = 0.1 * np.ones(POINTS) / np.sqrt(POINTS)
    sets = truth + 1.2 * random.standard_normal((300, GROUPS, POINTS)) / np.sqrt(POINTS)
    costs = np.array([products([one])[0][0, 0] for one in sets])
    plain = np.array([np.sum(one.mean(axis=0) ** 2) for one in sets])
    assert np.mean(costs) == pytest.approx(0.01, abs=4 * np.std(costs) / np.sqrt(300))
    assert np.mean(plain) > 4 * 0.01


def test_noise_of_some_points_does_not_hide_the_others():
    """Points with noise of many tolerances count less; those without, and runs without noise, as before."""
    random, one = np.random.default_rng(6), np.ones(POINTS)
    sets = np.ones((9, GROUPS, POINTS)) / np.sqrt(POINTS)
    np.testing.assert_allclose(Noise(sets, 1 / 9).weighed(one), 1.0, rtol=1e-12)
    loud = np.arange(POINTS) < 20
    spread = 9 * PRECISION * np.sqrt(GROUPS / POINTS)  # 9 units in a run, 3 in a fit to 9 of them
    sets[:, :, loud] += spread * random.standard_normal((9, GROUPS, 20))
    found = Noise(sets, 1 / 9).weighed(one)
    np.testing.assert_allclose(found[~loud], 1.0, rtol=1e-12)
    assert np.sqrt(np.mean(found[loud] ** 2)) == pytest.approx(1.0 / np.sqrt(1.0 + 9.0), rel=0.15)


def test_noise_that_points_have_in_common_is_taken_out():
    """Where noise moves all points alike, what moves them so counts less; what separates them does not."""
    random = np.random.default_rng(8)
    unit = PRECISION * np.sqrt(GROUPS / POINTS)
    alone = 0.3 * unit * random.standard_normal((13, GROUPS, POINTS))
    together = 3.0 * unit * random.standard_normal((13, GROUPS, 1))
    noise = Noise(alone + together, 1.0)
    one, apart = np.ones(POINTS), np.where(np.arange(POINTS) % 2, 1.0, -1.0)
    drawn = [shrinkage(each.reshape(-1, POINTS), 13 * GROUPS) for each in (alone, alone + together)]
    assert drawn[0] > 0.8 and drawn[1] < 0.05
    assert np.sum(noise.weighed(one) ** 2) < 0.02 * POINTS
    assert np.sum(noise.weighed(apart) ** 2) > 0.7 * POINTS
    root = np.linalg.inv(np.linalg.cholesky((1.0 + 0.3**2) * np.eye(POINTS) + 3.0**2))
    assert np.sum(noise.weighed(one) ** 2) == pytest.approx(np.sum((root @ one) ** 2), rel=0.3)


def test_bends_are_believed_as_far_as_they_are_seen():
    """Without noise the fit is the quadratic function; with much it is a straight line through all runs."""
    points = design(4)
    truth = np.stack([X, X**2, X**3, np.cos(X)]) / np.sqrt(POINTS)
    mean = points @ truth + (points**2) @ (0.2 * truth[::-1])
    silent = Response(points, np.repeat(mean[:, None], GROUPS, axis=1))
    at = np.array([0.3, -0.5, 0.8, 0.1])
    expected = at @ truth + (at**2) @ (0.2 * truth[::-1])
    assert silent.cost(at) == pytest.approx(expected @ expected, rel=1e-9)
    random, centre = np.random.default_rng(1), np.zeros(4)
    noise = 40.0 * random.standard_normal((400, 9, GROUPS, POINTS)) / np.sqrt(POINTS)
    found = [Response(points, each).cost(centre) for each in noise]  # noise^2/9 of tolerance at each point
    straight = (40.0**2 / GROUPS / 9) / (1 + 40.0**2 / GROUPS / 9)  # weighed
    assert np.std(found) < 1.5 * straight * np.sqrt(2 / POINTS)
    assert abs(np.mean(found)) < 0.5 * np.std(
        found
    )  # what is shrunk by its own noise is not quite free of it


def test_parameter_that_curves_answer_to_by_its_square():
    """A spot blurs by its variance: from a small one a large one is found in few rounds, and its sigma."""

    def residuals_at(values):
        return np.repeat(((values["spot"] ** 2 - 0.175**2) / 0.01 * SHAPES[0])[None], GROUPS, axis=0)

    spot = Parameter("spot", "cm", 0.06, 0.016, 0.01, 0.5, power=2)
    found = tune([spot], residuals_at)
    assert found.best[0] == pytest.approx(0.175, abs=1e-4) and found.determined(0)
    assert found.curves[0].values[0] == pytest.approx(0.01) and len(found.evaluations) == 3


@pytest.mark.parametrize("noise", [0.1, 4.0])
def test_stated_sigma_is_no_smaller_than_the_true_one(noise):
    """Of searches with noise below and beyond the tolerance, whose points hang together."""
    best, sigma = [], []
    for seed in range(30):
        random = np.random.default_rng(seed)

        def residuals_at(values, random=random):
            drawn = random.standard_normal((GROUPS, POINTS + 20))
            smooth = np.apply_along_axis(np.convolve, 1, drawn, np.ones(21) / np.sqrt(21.0), "valid")
            off = values["energy"] - 6.1
            return off * SHAPES[0] + noise * smooth / np.sqrt(POINTS)

        found = tune([energy()], residuals_at)
        best.append(found.best[0])
        sigma.append(found.sigma[0])
    spread = np.std(best)
    assert spread < 1.45 * np.sqrt(np.mean(np.square(sigma)))  # 30 searches know a spread to 13 %


def test_products_without_a_group():
    """Leaving a group out is the same as never having had it."""
    random = np.random.default_rng(5)
    sets = random.standard_normal((3, GROUPS, POINTS))
    every, without = products(sets)
    kept = np.delete(sets, 6, axis=1)
    mean_of_others = (kept.sum(axis=1) @ kept.sum(axis=1).T - np.einsum("rgn,sgn->rs", kept, kept)) / (
        15 * 14
    )
    np.testing.assert_allclose(without[6], mean_of_others, rtol=1e-10)
    np.testing.assert_allclose(every, every.T, rtol=1e-12)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6])
def test_design_parts_all_effects(count):
    """Effects of the parameters are orthogonal to each other and to all squares; all can be determined."""
    points = design(count)
    assert len(points) <= 2 * count + 3 and len(np.unique(points, axis=0)) == len(points)
    linear, square = points, points**2
    gram = linear.T @ linear
    np.testing.assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-12)
    np.testing.assert_allclose(linear.T @ square, 0.0, atol=1e-12)
    terms = np.column_stack([np.ones(len(points)), linear, square])
    assert np.linalg.matrix_rank(terms) == 1 + 2 * count


def test_minimum_without_noise():
    found = tune([energy(), spot()], source((6.13, 1.21), 0.0, 1))
    assert found.best == pytest.approx((6.13, 1.21), abs=0.005)
    assert found.cost == pytest.approx(0.0, abs=1e-5) and len(found.evaluations) == 5
    assert found.determined(0) and found.determined(1)
    assert found.curves[0].cost.min() == pytest.approx(found.cost, abs=1e-6)


def test_what_no_parameter_can_mend_stays_in_the_cost():
    found = tune([energy()], source((6.1,), 0.0, 1, offset=0.2))
    share = SHAPES[2] - SHAPES[0] * (SHAPES[0] @ SHAPES[2]) / (SHAPES[0] @ SHAPES[0])
    assert found.cost == pytest.approx(0.04 * share @ share, rel=0.01)


def test_minimum_beyond_the_first_range_is_followed():
    ran = []
    found = tune([energy()], source((6.7,), 0.0, 1), on_run=lambda values: ran.append(values["energy"]))
    assert found.best[0] == pytest.approx(6.7, abs=0.01) and not found.on_border[0]
    assert len(ran) == len(set(ran)) == 4  # what was run already is not run again


def test_last_round_comes_closer():
    """Its runs lie about the minimum of the search, nearer than those, and have the last word."""
    far, near = [], []

    def residuals_at(values):
        far.append(values["energy"])
        return source((6.1,), 0.0, 1)(values)

    def closer_at(values):
        near.append(values["energy"])
        return source((6.12,), 0.0, 1)(values)

    found = tune([energy()], residuals_at, closer_at=closer_at)
    assert found.best[0] == pytest.approx(6.12, abs=1e-3) and len(found.evaluations) == 6
    step = 0.5 * (max(far) - min(far))
    assert sorted(near) == pytest.approx([6.1 - 0.75 * step, 6.1, 6.1 + 0.75 * step], abs=1e-3)


def test_last_round_goes_on_once():
    """What the search was wrong about by more than a step of the last round is still found."""

    def residuals_at(values):
        return source((6.0,), 0.0, 1)(values)

    found = tune([energy()], residuals_at, closer_at=source((6.35,), 0.0, 1))
    assert found.best[0] == pytest.approx(6.35, abs=0.01) and found.determined(0)


def test_result_lies_within_what_was_run():
    """Of a minimum farther off than all rounds reach: the border of the last one."""
    ran = []
    found = tune([energy(most=90.0)], source((60.0,), 0.0, 1), on_run=lambda v: ran.append(v["energy"]))
    assert found.best[0] == pytest.approx(max(ran)) and found.on_border[0]


def test_limit_is_never_passed():
    ran = []
    found = tune([energy(most=6.5)], source((7.5,), 0.0, 1), on_run=lambda v: ran.append(v["energy"]))
    assert max(ran) <= 6.5 and found.on_border[0] and not found.determined(0)
    assert found.best[0] == pytest.approx(6.5)


def test_stated_sigma_is_the_true_one():
    """Of 40 searches the minima spread as stated: the ratio has a relative sigma of about 11 %, 0.45 is 4."""
    best, sigma = [], []
    for seed in range(40):
        found = tune([energy(), spot()], source((6.1, 1.1), 0.3, seed))
        best.append(found.best)
        sigma.append(found.sigma)
    spread, stated = np.std(best, axis=0), np.sqrt(np.mean(np.square(sigma), axis=0))
    assert spread == pytest.approx(stated, rel=0.45)
    assert np.mean(best, axis=0) == pytest.approx((6.1, 1.1), abs=4 * max(spread) / np.sqrt(40))


def test_parameter_that_scans_do_not_determine():
    """Curves that do not answer to a parameter leave it undetermined."""

    def residuals_at(values):
        return source((6.1,), 0.2, int(1e6 * values["spot"]))({"energy": values["energy"]})

    found = tune([energy(), spot()], residuals_at)
    assert found.determined(0) and not found.determined(1)


def test_noise_alone_moves_nothing():
    """A source that answers to nothing stays where it was, and is not run again and again."""
    random, ran = np.random.default_rng(9), []

    def residuals_at(values):
        ran.append(values)
        return 0.5 * SHAPES[0] + 0.3 * random.standard_normal((GROUPS, POINTS)) / np.sqrt(POINTS)

    found = tune([energy(), spot()], residuals_at)
    assert found.best == (6.0, 1.0) and len(ran) == 5
    assert not found.determined(0) and not found.determined(1)


def test_residuals_of_a_curve(tmp_path):
    """A depth dose that is 1 % too low at depth costs what its differences say, noise or no noise."""
    z = np.arange(0, 25, 0.5)
    dose = 100 * (np.exp(-0.05 * z) - 0.6 * np.exp(-z / 0.31))
    (tmp_path / "a.csv").write_text(
        HEADER + csv_lines("a", [(0, 0, d, v) for d, v in zip(z, dose, strict=True)])
    )
    (scan,) = read_scans(tmp_path / "a.csv")
    criteria, random = load_criteria(), np.random.default_rng(8)

    def cost(tilt, noise):
        curve = 2e-16 * dose * (1 - tilt * (z - 10))
        by_group = curve + noise * curve * random.standard_normal((32, z.size))
        mean = by_group.mean(axis=0)
        sigma = by_group.std(axis=0) / np.sqrt(32)
        field = Field(Quality(), scan.field_cm, scan.ssd_cm, (scan,))
        computed = ComputedField(field, (Curve(scan, z, mean, sigma, 0 * sigma, by_group),), None, 0.2, {})
        return products([residuals([computed], criteria)])[0][0, 0]

    assert cost(0.0, 0.0) == pytest.approx(0.0, abs=1e-6)
    judged = z >= 1.0  # where this coarse curve is highest
    measured = 100 * dose / dose.max()
    slope = np.gradient(measured, z)
    expected = np.mean(((0.002 * (z - 10) * measured)[judged] / np.hypot(1.0, 0.1 * slope)[judged]) ** 2)
    assert cost(0.002, 0.0) == pytest.approx(expected, rel=0.02)
    above = replace(criteria, build_up_cm=50.0)
    nothing = ComputedField(
        Field(Quality(), scan.field_cm, scan.ssd_cm, (scan,)),
        (Curve(scan, z, dose, 0 * dose, 0 * dose, np.tile(dose, (32, 1))),), None, 0.2, {},
    )  # fmt: skip
    assert np.isnan(products([residuals([nothing], above)])[0]).all()
    noisy = [cost(0.002, 0.05) for _ in range(60)]
    assert np.mean(noisy) == pytest.approx(expected, abs=4 * np.std(noisy) / np.sqrt(60))

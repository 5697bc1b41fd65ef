"""The comparison on a made-up case with known differences."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from phantoms.errors import InputError
from phantoms.grid import Grid
from tests.validation.spine_phantom import BODY, CORD, GRID, NAME, PTV, case, compare_case, plan_of, roi
from validation.limits.profiles import load_profile
from validation.metrics.numbers import plain
from validation.plan_check.spots import sphere


@pytest.fixture(scope="module")
def equal():
    return compare_case(case())


def limits_of(comparison, part):
    return [test for test in comparison.verdict.tests if part in test.name]


def test_equal_but_for_noise_passes(equal):
    assert equal.verdict.status == "pass", equal.verdict.tests
    high = equal.regions[0]
    assert abs(high.mean_percent) < 4 * high.sigma_percent
    assert high.unexplained_percent < 0.1


@pytest.mark.parametrize("scale", [0.95, 1.05])
def test_a_planted_five_percent_error_fails_and_is_measured(scale):
    found = compare_case(case(scale))
    assert found.verdict.status == "fail" and not found.verdict.passed
    (target,) = limits_of(found, "PTV_L1 Dmean")
    assert target.status == "fail" and target.value == pytest.approx(100 * (scale - 1), abs=0.2)
    (place,) = found.isocentres
    assert place.mu_factor == pytest.approx(1 / scale, abs=4 * place.mu_factor_sigma)
    assert abs(place.mu_factor - 1) > 4 * place.mu_factor_sigma


def test_gamma_is_shown_for_the_usual_criteria_once_each_and_only_the_profile_judges(equal):
    criteria = [str(result.map.criterion).split(",")[0] for result in equal.verdict.gamma]
    assert sorted(criteria) == ["2 %/1 mm global", "2 %/2 mm global", "3 %/2 mm global"]
    judged = [test.name for test in limits_of(equal, "gamma ") if test.status != "shown"]
    assert judged == ["gamma 3 %/2 mm global, 10 % threshold, BODY"]
    assert equal.verdict.profile is equal.profile
    for result in equal.verdict.gamma:
        assert result.ceiling is not None and set(result.by_structure) == {"PTV_L1", "SpinalCord"}


def test_shown_criteria_use_the_profile_threshold():
    found = compare_case(case(profile=load_profile("stereotactic")))
    assert {result.map.criterion.threshold_percent for result in found.verdict.gamma} == {5.0}


def test_the_cord_gets_its_small_volumes_with_any_profile(equal):
    for comparison in (equal, compare_case(case(profile=load_profile("tg218")))):
        row = next(r for r in comparison.verdict.rows if (r.structure, r.metric) == ("SpinalCord", "D0.35cc"))
        assert row.unit == "Gy" and row.difference == pytest.approx(row.mc - row.plan)
        assert not any(r.metric == "D0.35cc" for r in comparison.verdict.rows if r.structure == "PTV_L1")
    names = [row.structure for row in equal.verdict.rows]
    assert names == sorted(names)  # PTV first, all rows of a structure together


def test_curves_fall_from_everything_to_nothing(equal):
    for curves in equal.curves:
        for percent in (curves.plan_percent, curves.mc_percent):
            assert percent[0] == 100 and percent[-1] == 0 and (np.diff(percent) <= 0).all()
        assert curves.in_grid_percent == pytest.approx(100)
    assert equal.curves[0].volume_cm3 == pytest.approx(1.6 * 1.4 * 1.6, rel=1e-3)


def test_structures_empty_outside_or_cut_are_said_and_do_not_stop():
    empty = replace(CORD, number=4, name="Aorta", contours=())
    far = roi(5, "Lung", "ORGAN", (20.0, 22.0), (0.0, 1.0))
    cut = roi(6, "Rib", "ORGAN", (1.8, 2.9), (0.0, 1.0))
    skewed = replace(
        CORD, number=7, name="Vessel", problem="has contours that do not lie on a plane of constant z"
    )
    found = compare_case(case(rois=(BODY, PTV, CORD, empty, far, cut, skewed)))
    assert dict(found.not_evaluated) == {
        "Aorta": "has no contours",
        "Lung": "lies outside the dose grid",
        "Vessel": "has contours that do not lie on a plane of constant z",
    }
    rib = next(curves for curves in found.curves if curves.structure == "Rib")
    assert rib.in_grid_percent == pytest.approx(100 * 0.6 / 1.1, abs=1)
    assert any("Rib: only 55 %" in text for text in found.warnings)


def test_two_structures_of_one_name_stay_apart():
    found = compare_case(case(rois=(BODY, PTV, CORD, replace(CORD, number=9))))
    assert [s.name for s in found.structures][1:] == ["SpinalCord (ROI 3)", "SpinalCord (ROI 9)"]


def test_monte_carlo_on_a_larger_grid_is_cropped():
    larger = Grid((20, 28, 28), GRID.spacing, tuple(c - 0.4 for c in GRID.origin))
    found, wanted = compare_case(case(grid=larger, noise=0.001)), compare_case(case(noise=0.001))
    assert found.dose.grid.matches(GRID) and "resampled" not in found.dose.provenance
    assert found.verdict.gamma[0].ceiling is not None
    assert found.verdict.rows[0].mc == pytest.approx(wanted.verdict.rows[0].mc, rel=1e-3)


def test_monte_carlo_on_other_voxels_is_judged_on_its_own():
    other = Grid((22, 32, 32), (0.15, 0.15, 0.15), (-1.575, -2.325, -2.325))
    found = compare_case(case(grid=other, noise=0.002))
    for part in ("gamma 3", "PTV_L1 Dmean"):
        (limit,) = limits_of(found, part)
        assert limit.status == "pass", limit
    assert found.dose.grid.matches(GRID) and "resampled" in found.dose.provenance
    assert found.mc_voxel_mm == pytest.approx((1.5, 1.5, 1.5))
    (voxel,) = limits_of(found, "voxel side")
    assert voxel.value == pytest.approx(1.5)
    assert found.verdict.gamma[0].ceiling is None  # two grids have no common noise


def test_monte_carlo_that_misses_part_of_the_grid_is_warned_of():
    part = Grid((16, 24, 20), GRID.spacing, GRID.origin)
    found = compare_case(case(grid=part))
    assert any(f"{16 * 24 * 4} voxels" in text for text in found.warnings)


def test_prescriptions():
    none = compare_case(case(plan=plan_of(prescriptions=())))
    assert none.prescription is None and any("no prescription" in text for text in none.warnings)
    several = compare_case(case(plan=plan_of(prescriptions=(12.0, 16.0))))
    assert several.prescription == 16.0 and any("12, 16 Gy" in text for text in several.warnings)


@pytest.mark.parametrize(
    "isocentre, note",
    [((30.0, 0.0, 0.0), "outside"), ((0.0, 1.9, 0.0), "too low"), ((0.0, 1.1, 0.0), "too steep")],
)
def test_no_monitor_unit_check_where_it_says_nothing(isocentre, note):
    (place,) = compare_case(case(plan=plan_of(isocentres=(isocentre,)))).isocentres
    assert place.mu_factor is None and note in place.note


def test_sphere_holds_its_volume_and_at_least_a_voxel():
    fine = Grid((41, 41, 41), (0.05, 0.05, 0.05), (-1.0, -1.0, -1.0))
    volume = sphere(fine, (0.0, 0.0, 0.0), 0.5).sum() * fine.voxel_volume
    assert volume == pytest.approx(4 / 3 * np.pi * 0.125, rel=0.02)
    assert sphere(GRID, (0.0, 0.1, 0.1), 0.01).sum() == 1
    assert sphere(GRID, (9.0, 0.0, 0.0), 0.5).sum() == 0


def test_a_fraction_dose_is_refused():
    given = case()
    with pytest.raises(InputError, match="FRACTION"):
        compare_case(given | {"planned_dose": replace(given["planned_dose"], summation="FRACTION")})


def test_a_body_outside_the_dose_grid_is_refused():
    with pytest.raises(InputError, match=r"BODY.*no voxel"):
        compare_case(case(rois=(roi(1, "BODY", "EXTERNAL", (30.0, 32.0), (0.0, 1.0)), PTV, CORD)))


def test_stages_are_reported():
    stages = []
    compare_case(case(on_stage=stages.append))
    assert stages == ["structures", "gamma, DVH and limits", "diagnosis", "statistics"]


def test_json_is_strict_and_comes_back(equal):
    given = equal.to_dict()
    back = json.loads(json.dumps(given, allow_nan=False))
    assert back == given
    assert back["schema"] == "mcverify result" and back["verdict"]["status"] == "pass"
    assert back["plan"]["beams"][0]["jaws_mm"] == [-10, 10, -10, 10]
    assert NAME not in json.dumps(back) and "MRN-0815" not in json.dumps(back)


def test_json_holds_unknown_numbers_as_null():
    assert plain(
        {"a": float("nan"), "b": np.float32(np.inf), "c": np.array([1, 2]), "d": (np.int64(3),)}
    ) == {
        "a": None,
        "b": None,
        "c": [1, 2],
        "d": [3],
    }
    with pytest.raises(TypeError):
        plain({"a": object()})


def test_warnings_lose_the_folder_that_may_name_the_patient(equal):
    assert "RTPLAN.dcm: beam 1 has no name" in equal.warnings
    assert equal.warnings.count("the CT cuts BODY off") == 1
    assert not any(NAME in text for text in equal.warnings)

"""The verdict on doses with a known difference."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from mc.dose import Dose
from phantoms.errors import InputError
from phantoms.grid import Grid
from phantoms.subvoxels import SubVoxels
from tests.validation.spine_phantom import exported
from validation.limits.profiles import Constraint, load_profile
from validation.plan_check.verdict import DosePair, Structure, judge
from validation.rtdose import read_rtdose

GRID = Grid((20, 20, 20), (0.2, 0.2, 0.2), (-1.9, -1.9, -1.9))
BODY = np.ones(GRID.shape, dtype=bool)
PROFILE = load_profile("spine")


def box(name, kind, z, y, x):
    fraction = np.zeros(GRID.shape)
    fraction[z, y, x] = 1.0
    return Structure(name, kind, SubVoxels.of_fraction(fraction, GRID))


# 1 cc of target in 16 Gy, 1.28 cc of cord at 12 Gy and 0.4 cc of it hot
PTV = box("PTV_L1", "PTV", slice(5, 10), slice(5, 10), slice(5, 10))
CORD = box("SpinalCord", "ORGAN", slice(0, 20), slice(13, 15), slice(8, 12))


# the doses reach a voxel beyond their structures, so that interpolating does not mix them at the borders
IN_PTV, IN_CORD = np.s_[4:11, 4:11, 4:11], np.s_[:, 12:16, 7:13]


def planned_dose(cord=17.5):
    dose = np.full(GRID.shape, 14.0)
    dose[IN_PTV] = 16.0
    dose[IN_CORD] = 12.0
    dose[IN_CORD][:10] = cord  # 0.64 cc
    return dose


def scaled(dose, part, factor=1.0, add=0.0):
    dose = dose.copy()
    dose[part] = factor * dose[part] + add
    return dose


def pair(plan, mc, sigma=0.001, structures=(PTV, CORD), grid=GRID, mc_grid=None, body=BODY):
    """Doses on a grid, that of Monte Carlo on `mc_grid` where it is another."""
    dose = Dose(mc_grid or grid, mc, np.full(mc.shape, sigma), 0.0)
    return DosePair(exported(plan, grid), dose, structures, body)


def run(plan, mc, sigma=0.001, structures=(PTV, CORD), fractions=3, prescription=16.0, profile=PROFILE):
    return judge(pair(plan, mc, sigma, structures), profile, prescription=prescription, fractions=fractions)


def status(verdict, part):
    found = [test for test in verdict.tests if part in test.name]
    assert len(found) == 1, [test.name for test in verdict.tests]
    return found[0].status


def test_equal_doses_pass():
    plan = planned_dose()
    verdict = run(plan, plan)
    assert verdict.status == "pass" and verdict.passed
    assert {t.status for t in verdict.tests} <= {"pass", "shown"}
    row = next(r for r in verdict.rows if r.structure == "PTV_L1" and r.metric == "Dmean")
    assert row.target and row.difference == 0 and row.mc == pytest.approx(16)
    assert row.sigma == pytest.approx(0.001 / np.sqrt(125))
    assert [g.rate for g in verdict.gamma] == [100, 100]


@pytest.mark.parametrize(
    "scale, expected", [(1.015, "pass"), (0.975, "warn"), (1.035, "fail"), (0.965, "fail")]
)
def test_target_mean_by_tolerance_and_action(scale, expected):
    plan = planned_dose()
    mc = scaled(plan, IN_PTV, scale)
    verdict = run(plan, mc)
    assert status(verdict, "PTV_L1 Dmean") == expected
    assert verdict.status == expected
    assert verdict.passed == (expected != "fail")


def test_cord_difference_is_relative_to_the_prescription():
    """0.4 Gy of 16 Gy is 2.5 %, though 4 % of the cord's own 10 Gy."""
    plan = planned_dose(cord=10.0)
    plan[IN_CORD] = 10.0
    mc = scaled(plan, IN_CORD, add=0.4)
    (test,) = [t for t in run(plan, mc).tests if "D0.03cc" in t.name and "MC - plan" in t.name]
    assert test.value == pytest.approx(2.5) and test.status == "warn"


@pytest.mark.parametrize(
    "plan_cord, mc_cord, sigma, expected, note",
    [
        (17.5, 17.8, 0.01, "pass", "kept by both"),
        (17.9, 18.2, 0.01, "fail", "flip"),
        (17.9, 18.2, 2.0, "warn", "within 2 sigma"),
        (18.3, 18.5, 0.01, "shown", "broken by both"),
        (18.1, 17.9, 0.01, "shown", "kept by Monte Carlo"),
    ],
)
def test_constraints_fail_only_by_a_flip(plan_cord, mc_cord, sigma, expected, note):
    verdict = run(planned_dose(plan_cord), planned_dose(mc_cord), sigma)
    (row,) = [row for row in verdict.constraints if row.metric == "D0.35cc" and row.limit == 18]
    assert row.status == expected and note in f"{row.outcome}; {row.note}"
    if expected != "fail":
        assert not [t for t in verdict.tests if "<=" in t.name and t.status == "fail"]


def test_limits_are_rows_and_those_of_margins_are_of_the_grown_structure():
    """The cord, 4 x 8 mm through the whole grid, grown by 2 mm across: 8 x 12 mm less its corners."""
    more = Constraint("cord", "D0.35cc", 3, 18.0, "<=", (2.0, 2.0, 0.0), "hand")
    plan = planned_dose(17.9)
    verdict = run(
        plan, planned_dose(18.2), 0.01, profile=replace(PROFILE, constraints=(*PROFILE.constraints, more))
    )
    rows = verdict.constraints
    assert rows[0].flip and rows[0].structure == "SpinalCord" and rows[0].matched_by == "spinalcord*"
    assert rows[0].margin == pytest.approx(-0.2, abs=0.01) and rows[-1].outcome == "not evaluated"
    (grown,) = [row for row in rows if row.prv_mm]
    corners = (4 - np.pi) * 0.2**2
    assert grown.volume_cc == pytest.approx(4.0 * (0.8 * 1.2 - corners), rel=0.03)
    assert "SpinalCord + 2/2/0 mm (x/y/z) D0.35cc <= 18 Gy" in grown.label
    assert verdict.to_dict()["constraints"][0]["outcome"] == "flip"


def test_a_plan_of_other_fractions_is_reported():
    (test,) = [t for t in run(planned_dose(), planned_dose(), fractions=7).tests if t.name == "dose limits"]
    assert test.status == "warn" and "is 7" in test.note


def test_a_profile_may_make_a_flip_a_warning():
    verdict = run(planned_dose(17.9), planned_dose(18.2), 0.01, profile=replace(PROFILE, flip="warn"))
    assert status(verdict, "D0.35cc <= 18 Gy") == "warn"


def test_gamma_fails_below_the_action_rate():
    plan = planned_dose()
    mc = plan.copy()
    mc[:, :4] *= 0.9  # 20 % of the voxels, of which the last layer is within 2 mm of the rest
    verdict = run(plan, mc)
    assert status(verdict, "gamma 3 %/2 mm") == "fail"
    assert status(verdict, "gamma 2 %/1 mm") == "shown"
    assert 80 < verdict.gamma[0].rate < 90
    assert verdict.gamma[0].by_structure["PTV_L1"] == 100


def test_what_cannot_be_judged_is_a_warning_not_a_pass():
    plan = planned_dose()
    verdict = run(plan, plan, structures=[PTV], prescription=None)
    (cord,) = [t for t in verdict.tests if t.name.startswith("cord")]
    assert cord.value is None and cord.status == "warn" and "no structure is a cord" in cord.note
    verdict = run(plan, plan, prescription=None)
    (cord,) = [t for t in verdict.tests if "D0.03cc, MC - plan" in t.name]
    assert cord.value is None and cord.status == "warn" and "prescription" in cord.note
    tiny = box("SpinalCord", "ORGAN", slice(0, 1), slice(13, 15), slice(8, 12))  # 0.064 cc
    (test,) = [t for t in run(plan, plan, structures=[PTV, tiny]).tests if "D0.35cc <= 18 Gy" in t.name]
    assert test.value is None and "smaller" in test.note
    with pytest.raises(InputError, match="no voxel of BODY"):
        judge(pair(plan, plan, 0.0, [PTV], body=~BODY), PROFILE, prescription=16.0, fractions=3)


def test_noise_and_coarse_voxels_are_warned_of():
    plan = planned_dose()
    assert status(run(plan, plan, sigma=0.5), "transport sigma") == "warn"
    assert status(run(plan, plan), "longest voxel") == "pass"
    coarse = Grid(GRID.shape, (0.3, 0.2, 0.2), GRID.origin)
    verdict = judge(pair(plan, plan, grid=coarse), PROFILE, prescription=16.0, fractions=3)
    assert status(verdict, "longest voxel") == "warn"


@pytest.mark.parametrize(
    "name, kind, expected",
    [
        ("PTV_L1", "PTV", True),
        ("Boost", "GTV", True),
        ("PTV 16Gy", "", True),
        ("ctv1", "NONE", True),
        ("PTV_ring", "AVOIDANCE", False),
        ("PTVopt", "", False),
        ("Liver", "", False),
    ],
)
def test_targets_by_type_then_by_name(name, kind, expected):
    assert Structure(name, kind, PTV.cells).is_target is expected


def test_doses_on_two_grids_are_each_read_on_their_own():
    plan = planned_dose()
    fine = Grid((40, 40, 40), (0.1, 0.1, 0.1), (-1.95, -1.95, -1.95))

    def split(values):
        return values.repeat(2, 0).repeat(2, 1).repeat(2, 2)

    structures = [
        Structure(s.name, s.kind, s.cells, SubVoxels.of_fraction(split(s.fraction), fine))
        for s in (PTV, CORD)
    ]
    mc = split(plan)
    doses = pair(plan, mc, structures=structures, mc_grid=fine)
    verdict = judge(doses, PROFILE, prescription=16.0, fractions=3)
    assert verdict.passed
    assert all(row.difference == pytest.approx(0, abs=1e-9) for row in verdict.rows if row.note == "")


def test_the_verdict_is_json():
    plan = planned_dose()
    empty = box("Far", "ORGAN", slice(0, 1), slice(0, 1), slice(0, 1))
    text = json.dumps(run(plan, plan, structures=[PTV, CORD, empty]).to_dict(), allow_nan=False)
    found = json.loads(text)
    assert found["status"] == "pass" and found["profile"]["name"] == "spine"
    assert found["gamma"][0]["direction"].startswith("reference: plan")
    far = [row for row in found["dvh"] if row["structure"] == "Far" and row["metric"] == "D0.03cc"]
    assert far[0]["plan"] is None and "smaller" in far[0]["note"]


def test_shared_plan_dose_against_a_noisy_copy_of_itself(shared):
    """The real grid at full size: passes, in seconds, and 5 % more dose fails."""
    folder = shared / "cases" / "spine_l1"
    plan = read_rtdose(folder / "RTDOSE.dcm")
    with np.load(folder / "rtdose_sigma_gy.npz") as file:
        sigma = file[file.files[0]].astype(float)
    target = Structure("PTV_L1", "PTV", SubVoxels.of_fraction((plan.dose > 17).astype(float), plan.grid))
    noisy = plan.dose + sigma * np.random.default_rng(2).standard_normal(sigma.shape)
    body = plan.dose > 0
    for scale, expected in ((1.0, True), (1.05, False)):
        dose = Dose(plan.grid, scale * noisy, scale * sigma, 0.0)
        doses = DosePair(plan, dose, [target], body)
        verdict = judge(doses, PROFILE, prescription=16.0, fractions=3)
        assert verdict.passed is expected
    with np.errstate(all="raise"):
        assert verdict.to_dict()["passed"] is False

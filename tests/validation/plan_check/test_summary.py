"""What whoever signs reads first: the answers, the numbers and the facts, as data."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from mc.dose import TO_WATER
from tests.validation.spine_phantom import BODY, PTV, case, compare_case, plan_of
from validation.limits.profiles import load_profile
from validation.plan_check.key_numbers import voxel_count
from validation.plan_check.stated import Stated, quantity_of

MODEL = {"beam": "6 MV FFF", "state": "commissioned", "statement": "commissioned on 14 scans, all within 2 %"}


def cord_at(plan_gy: float, mc_gy: float, **changes):
    """A comparison whose cord has these doses."""
    given = case(noise=0.0005) | changes
    planned, mean = given["planned_dose"].dose.copy(), given["dose"].mean.copy()
    cord = (slice(None), slice(15, 21), slice(8, 16))
    planned[cord], mean[cord] = plan_gy, mc_gy
    return compare_case(
        given
        | {
            "planned_dose": replace(given["planned_dose"], dose=planned),
            "dose": replace(given["dose"], mean=mean),
        }
    )


def stated_models(*models) -> dict:
    given = case()
    provenance = {**given["dose"].provenance, "beam_models": list(models)}
    return given | {"dose": replace(given["dose"], provenance=provenance)}


def test_agreement_and_kept_limits_in_plain_words():
    summary = cord_at(5.0, 5.0).summary
    assert (summary.agreement.status, summary.agreement.word) == ("pass", "AGREES")
    assert (
        "PTV_L1 Dmean is 0.0 % " in summary.agreement.sentence and "passes in" in summary.agreement.sentence
    )
    assert "no sign of an error" in summary.agreement.sentence
    assert (summary.limits.status, summary.limits.word) == ("pass", "KEPT")
    assert "All 4 limits are kept by plan and Monte Carlo; the tightest is SpinalCord D1.2cc, 7.30 Gy" in (
        summary.limits.sentence
    )


def test_a_limit_that_both_break_never_stands_beneath_an_unremarked_pass():
    found = cord_at(19.0, 19.0)
    summary = found.summary
    assert found.verdict.status in ("pass", "warn") and summary.agreement.word == "AGREES"
    assert (summary.limits.status, summary.limits.word) == ("fail", "BROKEN")
    assert "(broken by both); 2 of 4 limits are kept" in summary.limits.sentence
    assert "2 dose limits are broken all the same: SpinalCord D" in summary.headline


@pytest.mark.parametrize(
    ("plan_gy", "mc_gy", "word", "how"),
    [
        (12.0, 13.0, "BROKEN BY MONTE CARLO", "kept by the plan, broken by Monte Carlo"),
        (13.0, 12.0, "BROKEN", "broken by the plan, kept by Monte Carlo"),
    ],
)
def test_limits_that_one_dose_breaks(plan_gy, mc_gy, word, how):
    limits = cord_at(plan_gy, mc_gy).summary.limits
    assert limits.word == word and how in limits.sentence and limits.status == "fail"


def test_disagreement_names_the_cause_and_the_structure():
    agreement = compare_case(case(1.05, noise=0.0005)).summary.agreement
    assert (agreement.status, agreement.word) == ("fail", "DISAGREES")
    assert "PTV_L1 Dmean is 5.0 % above the plan's (limit 3 %)" in agreement.sentence
    assert "monitor units" in agreement.sentence


def test_too_noisy_is_no_pass_and_no_fail():
    given = case(noise=0.2)
    summary = compare_case(given | {"report": replace(given["report"], passes=0.25, groups=16)}).summary
    assert (summary.status, summary.word) == ("noisy", "TOO NOISY")
    assert summary.agreement.word == "NOT JUDGED" and "Too noisy to say" in summary.agreement.sentence
    assert summary.limits.status == "noisy" and summary.statistics.word == "TOO NOISY"


def test_provisional_is_stated():
    given = case()
    report = replace(given["report"], stopped_by="interrupted")
    summary = compare_case(given | {"report": report}).summary
    assert summary.provisional == "interrupted"
    assert summary.statistics.sentence.startswith("Provisional (interrupted). ")
    assert compare_case(given).summary.provisional == ""


def test_the_least_established_beam_model_speaks_for_all():
    generic = MODEL | {"beam": "6 MV", "state": "generic", "statement": "compared with nothing."}
    changed = MODEL | {"state": "changed"}
    for models, word, status in (
        ([], "NOT STATED", "shown"),
        ([MODEL], "COMMISSIONED", "pass"),
        ([MODEL, generic], "GENERIC", "warn"),
        ([MODEL, generic, changed], "CHANGED SINCE COMMISSIONING", "warn"),
    ):
        found = compare_case(stated_models(*models)).summary.beam_model
        assert (found.word, found.status) == (word, status)
    assert found.sentence.count("6 MV: compared with nothing. ") == 1


def test_seven_numbers_with_limits_and_what_is_under_resolved():
    numbers = {f"{n.structure} {n.metric}": n for n in cord_at(19.0, 19.5).summary.numbers}
    assert len(numbers) == 7
    assert list(numbers)[:4] == ["PTV_L1 D95%", "PTV_L1 Dmean", "SpinalCord D0.03cc", "SpinalCord D1.2cc"]
    cord = numbers["SpinalCord D0.03cc"]
    assert cord.difference == pytest.approx(cord.mc - cord.plan) and cord.sigma > 0
    # 0.03 cm3 in voxels of 0.008 cm3
    assert cord.voxels == pytest.approx(3.75) and cord.under_resolved
    assert cord.limit == "<= 20.3 Gy; difference 2 (fails 3) % of prescription"
    assert numbers["PTV_L1 Dmean"].limit == "difference 2 (fails 3) % of plan"
    assert not numbers["PTV_L1 Dmean"].under_resolved
    own = numbers["SpinalCord D1.2cc"]
    assert (own.status, own.outcome) == ("fail", "broken by both")
    gamma = numbers["BODY gamma 3 %/2 mm global"]
    assert gamma.plan is None and gamma.limit == ">= 95 (fails below 90) %" and gamma.ceiling > 99


def test_a_gamma_below_that_of_the_body_is_remarked_on():
    numbers = cord_at(10.0, 11.0).summary.numbers
    cord = next(n for n in numbers if n.structure == "SpinalCord" and n.metric.startswith("gamma"))
    assert cord.mc < 50 and cord.status == "shown" and "below the 95 % asked for in BODY" in cord.note


@pytest.mark.parametrize(
    ("metric", "count"), [("D0.03cc", 3.0), ("D95%", 5.0), ("D2%", 2.0), ("Dmean", 100.0), ("V20Gy", None)]
)
def test_voxels_behind_a_metric(metric, count):
    assert voxel_count(metric, volume_cc=1.0, voxel_cc=0.01) == (
        None if count is None else pytest.approx(count)
    )


def test_facts_say_what_is_not_stated():
    given = case()
    reference = {
        "medium": "water",
        "ssd_cm": 90.0,
        "depth_cm": 10.0,
        "field_cm": [10.0, 10.0],
        "dose_per_mu_gy": 0.01,
        "averaging_cm": 1.5,
        "cone_cm": None,
        "electrons_per_mu": None,
    }
    beam = {"reference": reference, "nominal_mv": 6.0, "fluence_mode": "FFF"}
    bare = {fact.label: fact.value for fact in compare_case(given).summary.facts}
    for label in ("Approval", "Its algorithm", "MU definition"):
        assert bare[label] == "not stated"
    assert bare["Planned dose is"] == "to medium or to water: not stated"
    assert bare["Prescription"] == "16.00 Gy to PTV_L1 = 3 x 5.33 Gy"
    assert bare["Overrides"] == "Rod: titanium, 4.54 g/cm3; no couch"
    calibration = {"6 MV FFF": given["calibration"]["6 MV FFF"] | beam}
    stated = Stated(approval="APPROVED", algorithm="AAA 15.6", quantity="dose to water")
    given |= {"calibration": calibration, "stated": stated}
    facts = {fact.label: fact.value for fact in compare_case(given).summary.facts}
    assert facts["Approval"] == "APPROVED" and facts["Its algorithm"] == "AAA 15.6"
    assert facts["Planned dose is"] == "dose to water"
    assert facts["MU definition"] == "1 MU = 1 cGy in water, SSD 90 cm, 10 cm deep, 10 x 10 cm"


def test_without_target_organ_or_prescription_there_is_still_a_summary():
    for changes in ({"rois": (BODY,)}, {"rois": (BODY, PTV)}, {"plan": plan_of(prescriptions=())}):
        summary = compare_case(case(**changes)).summary
        assert summary.numbers and summary.limits.word in ("NOT JUDGED", "KEPT", "BROKEN")
    no_cord = compare_case(case(rois=(BODY, PTV))).summary.limits
    assert "No structure is named as cord" in no_cord.sentence and no_cord.status == "warn"


def test_summary_in_the_result_is_strict_json():
    found = compare_case(case())
    stated = json.loads(json.dumps(found.to_dict(), allow_nan=False))["summary"]
    assert stated["agreement"]["question"] == "Do plan and Monte Carlo agree?"
    assert len(stated["numbers"]) == 7 and stated["provisional"] == ""


def test_limits_of_gamma_in_structures(tmp_path):
    text = (
        'title = "t"\nstatus = "s"\nsource = "u"\nmax_voxel_mm = 3\nmax_sigma_percent = 2\nflip = "warn"\n'
        "flip_sigmas = 2\n[[gamma]]\ndose_percent = 3\ndistance_mm = 2\nmode = 'global'\n"
        "threshold_percent = 10\ntolerance = 95\naction = 90\nsource = 'v'\n"
        "[[gamma.structures]]\nof = 'cord'\ntolerance = 98\naction = 97\nsource = 'ours'\n"
        "[[gamma.structures]]\nof = 'trachea'\ntolerance = 98\naction = 97\nsource = 'ours'\n"
    )
    (tmp_path / "mine.toml").write_text(text)
    found = cord_at(10.0, 11.0, profile=load_profile(tmp_path / "mine.toml"))
    tests = {test.name.rpartition(", ")[2]: test for test in found.verdict.tests if "gamma 3" in test.name}
    assert tests["SpinalCord"].status == "fail" and tests["SpinalCord"].source == "ours"
    assert tests["trachea"].status == "warn" and "no structure" in tests["trachea"].note
    number = next(n for n in found.summary.numbers if n.structure == "SpinalCord" and "gamma" in n.metric)
    assert number.status == "fail" and number.limit == ">= 98 (fails below 97) %"


def test_dose_to_water_beside_dose_to_medium():
    given = case(noise=0.001)
    water = replace(given["dose"], mean=1.1 * given["dose"].mean, provenance={"quantity": TO_WATER})
    found = compare_case(given | {"dose": replace(given["dose"], to_water=water)})
    ptv = {one.metric: one for one in found.other_doses if one.structure == "PTV_L1"}
    assert ptv["Dmean"].other == pytest.approx(1.1 * ptv["Dmean"].compared, rel=1e-6)
    assert compare_case(given).other_doses == ()


@pytest.mark.parametrize(
    ("text", "quantity"),
    [
        ("Acuros dose to medium", "dose to medium"),
        ("Dm, 2 mm", "dose to medium"),
        ("DOSE TO WATER", "dose to water"),
        ("dose to medium, not dose to water", ""),
        ("admin", ""),
    ],
)
def test_which_dose_a_comment_speaks_of(text, quantity):
    assert quantity_of(text) == quantity

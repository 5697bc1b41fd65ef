"""Limits on both doses: order, margins and what is missing."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from validation.limits.constraints import OUTCOMES, fractions_note, judge_constraints
from validation.limits.profiles import Constraint, load_profile, synonyms
from validation.metrics.dvh import MetricValue

PROFILE = replace(load_profile("spine"), organs=synonyms())
CORD, LIVER, PTV = (
    SimpleNamespace(name=name, is_target=name == "Boost") for name in ("SpinalCord", "Liver", "Boost")
)


def limit(organ="cord", value=18.0, relation="<=", metric="D0.35cc", fractions=3, prv_mm=None):
    return Constraint(organ, metric, fractions, value, relation, prv_mm, "s")


def judge(limits, values, fractions=3, structures=(CORD,), left_out=None):
    """`values`: plan, Monte Carlo and sigma of every structure."""

    def read(structure, metric, margins):
        plan, mc, sigma = values[structure.name]
        return MetricValue(metric, "Gy", plan), MetricValue(metric, "Gy", mc, sigma), 2.5

    profile = replace(PROFILE, constraints=tuple(limits))
    return judge_constraints(structures, read, profile, fractions, left_out)


@pytest.mark.parametrize(
    "relation, plan, mc, outcome, status, margins",
    [
        ("<=", 17.0, 17.5, "kept by both", "pass", (1.0, 0.5)),
        ("<=", 17.0, 18.5, "flip", "fail", (1.0, -0.5)),
        ("<=", 17.0, 18.1, "flip within noise", "warn", (1.0, -0.1)),
        ("<=", 18.0, 18.0, "kept by both", "pass", (0.0, 0.0)),
        ("<=", 19.0, 18.5, "broken by both", "shown", (-1.0, -0.5)),
        ("<=", 19.0, 17.5, "broken by the plan, kept by Monte Carlo", "shown", (-1.0, 0.5)),
        (">=", 19.0, 17.5, "flip", "fail", (1.0, -0.5)),
        (">=", 19.0, 18.5, "kept by both", "pass", (1.0, 0.5)),
    ],
)
def test_outcome_and_margins(relation, plan, mc, outcome, status, margins):
    (row,) = judge([limit(relation=relation)], {"SpinalCord": (plan, mc, 0.1)})
    assert (row.outcome, row.status) == (outcome, status)
    assert (row.plan_margin, row.margin) == pytest.approx(margins)
    assert row.flip == outcome.startswith("flip")
    assert row.structure == "SpinalCord" and row.matched_by == "spinalcord*" and row.volume_cc == 2.5


def test_flips_come_first_and_what_is_missing_last():
    limits = [limit("stomach"), limit(value=30.0), limit(value=17.2), limit(value=18.0), limit("liver")]
    rows = judge(
        limits,
        {"SpinalCord": (17.5, 18.5, 0.01), "Liver": (1.0, 1.0, 0.01)},
        structures=(CORD, LIVER),
        left_out={"Stomach": "has no contours"},
    )
    assert [row.outcome for row in rows] == [
        "flip",
        "broken by both",
        "kept by both",
        "kept by both",
        "not evaluated",
    ]
    assert list(OUTCOMES).index("flip") == 0
    assert rows[-1].structure == "Stomach" and rows[-1].note == "has no contours"


def test_a_missing_structure_is_a_row():
    (row,) = judge([limit("oesophagus")], {})
    assert row.structure is None and row.outcome == "not evaluated" and row.status == "shown"
    assert "oesophagus" in row.note and row.plan is None and row.unit == "Gy"


def test_limits_of_targets():
    coverage = limit("target", 95.0, ">=", "V100%")
    values = {"SpinalCord": (17.0, 17.0, 0.1), "Boost": (96.0, 94.0, 0.1)}
    (row,) = judge([coverage], values, structures=(CORD, PTV))
    assert (row.structure, row.matched_by, row.outcome) == ("Boost", "target", "flip")
    (row,) = judge([coverage], values)
    assert row.outcome == "not evaluated" and "target" in row.note


def test_only_the_limits_of_the_plans_fractions():
    limits = [limit(fractions=n, value=10.0 + n) for n in (1, 3, 5)]
    (row,) = judge(limits, {"SpinalCord": (1.0, 1.0, 0.1)}, fractions=5)
    assert row.limit == 15 and row.fractions == 5
    assert judge(limits, {"SpinalCord": (1.0, 1.0, 0.1)}, fractions=2) == ()
    profile = replace(PROFILE, constraints=tuple(limits))
    assert "is 2" in fractions_note(profile, 2) and "1, 3, 5" in fractions_note(profile, 2)
    assert "not stated" in fractions_note(profile, None)
    assert fractions_note(profile, 3) == "" == fractions_note(replace(profile, constraints=()), 2)


def test_rows_are_json():
    (row,) = judge([limit(prv_mm=(1.0, 1.0, 2.0))], {"SpinalCord": (17.0, float("nan"), 0.1)})
    plain = json.loads(json.dumps(row.to_dict(), allow_nan=False))
    assert plain["mc"] is None and plain["prv_mm"] == [1, 1, 2] and plain["flip"] in (True, False)
    assert row.label == "SpinalCord + 1/1/2 mm (x/y/z) D0.35cc <= 18 Gy in 3 fractions"

"""Factors between two definitions of the MU, against figures that are known."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tests.validation.diagnosis.slab_patient import monte_carlo
from tests.validation.diagnosis.test_diagnose import by_test, found, planned
from validation.diagnosis.mu_definition import depth_of_maximum, matches, sentence, tissue_maximum_ratio
from validation.diagnosis.words import output


def record(ssd, depth, dose=0.01, mv=6.0, mode="STANDARD", **more):
    condition = {"ssd_cm": ssd, "depth_cm": depth, "dose_per_mu_gy": dose, **more}
    return {"nominal_mv": mv, "fluence_mode": mode, "reference": condition}


@pytest.mark.parametrize(
    ("mv", "depth", "pdd"), [(6, 1.5, 100.0), (6, 5, 86.5), (6, 10, 67.5), (10, 5, 91.0), (18, 10, 79.0)]
)
def test_depth_doses_are_those_of_clinical_beams(mv, depth, pdd):
    """Percent at SSD 100 cm, 10 x 10 cm; typical measured values, within the sigma that is stated."""
    inverse_square = ((100.0 + depth_of_maximum(mv)) / (100.0 + depth)) ** 2
    assert 100 * inverse_square * tissue_maximum_ratio(mv, depth) == pytest.approx(pdd, rel=0.01)


def test_an_example_of_a_manufacturer():
    """Elekta's 6 MV is stated as 1 cGy at SSD 100 cm and dmax, which is 0.812 cGy at SSD 90 cm and 10 cm."""
    assert matches(1.0 / 0.812, 0.005, {"6 MV": record(90.0, 10.0, 0.00812)})[0].meant.ssd == 90.0
    (one, *_) = matches(0.812, 0.005, {"6 MV": record(90.0, 10.0)})
    assert one.meant.at_maximum and one.ratio == pytest.approx(0.812, rel=0.015)


FACTORS = {  # stated (SSD, depth), plan over Monte Carlo, meant (SSD, depth)
    "dmax for 10 cm": ((100.0, 1.5), 1.23, (90.0, 10.0)),
    "10 cm for dmax": ((90.0, 10.0), 0.815, (100.0, 1.5)),
    "SSD for SAD at 10 cm": ((100.0, 10.0), 0.83, (90.0, 10.0)),
    "SAD for SSD at dmax": ((98.5, 1.5), 1.03, (100.0, 1.5)),
    "dmax for PDD 10": ((100.0, 1.5), 1.48, (100.0, 10.0)),
}


@pytest.mark.parametrize("case", FACTORS)
def test_factors_of_common_definitions(case):
    stated, scale, meant = FACTORS[case]
    best = matches(scale, 0.003, {"6 MV": record(*stated)})[0]
    assert (best.meant.ssd, best.meant.depth) == pytest.approx(meant)
    said = output(scale, 3, False, [best])
    assert f"1 MU as 1 cGy at SSD {meant[0]:g} cm" in said and f"1 cGy at SSD {stated[0]:g} cm" in said
    assert ("wrong monitor units" in said) == (abs(scale - 1.0) < 0.08)


def test_what_is_no_ratio_of_definitions():
    assert matches(1.12, 0.003, {"6 MV": record(90.0, 10.0)}) == []
    assert matches(1.004, 0.003, {"6 MV": record(100.0, 1.5)}) == []
    assert matches(1.23, 0.003, {"6 MV": {"gy_per_history": 1e-16}}) == []  # of an older version
    assert matches(1.23, 0.003, {"c": record(100.0, 1.5, cone_cm=1.0)}) == []
    assert matches(1.23, 0.003, {"e": record(100.0, 1.5, electrons_per_mu=1e13)}) == []
    assert math.isnan(tissue_maximum_ratio(6.0, 0.5)) and math.isnan(tissue_maximum_ratio(6.0, 20.0))
    assert matches(1.23, 0.003, {"6 MV": record(100.0, 0.5)}) == []


def test_an_uncertain_factor_matches_more():
    """With 1 % sigma 1 cGy at both set-ups of dmax are alike, with none they are not."""
    calibration = {"6 MV": record(90.0, 10.0)}
    both = matches(0.805, 0.01, calibration)
    assert {match.meant.ssd for match in both} == {100.0, 98.5} and "about the same" in sentence(both)
    assert {m.meant.ssd for m in matches(1.031, 1e-4, {"6 MV": record(98.5, 1.5)})} == {100.0}


def test_all_beams_must_agree():
    """A factor that explains one beam alone is not said of a plan with both."""
    six, ten = record(100.0, 1.5), record(100.0, 2.3, mv=10.0)
    assert matches(1.48, 0.003, {"6 MV": six, "10 MV": ten}) == []
    assert matches(1.178, 0.02, {"6 MV": six, "10 MV": ten})[0].meant.depth == 10.0


def test_a_diagnosis_names_it():
    """A plan 1.23 times Monte Carlo's, on a machine whose MU is defined at dmax."""
    planned_dose = 1.23 * planned("none")
    mc = replace(monte_carlo(planned("none")), provenance={"calibrations": {"6 MV": record(100.0, 1.5)}})
    said = by_test(found(planned_dose, mc))["output"]
    assert said.status == "fail" and "probably another definition of the MU" in said.sentence
    assert "1 cGy at SSD 90 cm, depth 10 cm" in said.sentence
    assert "definition" not in by_test(found(planned_dose))["output"].sentence

"""Planted planning-system errors, each of which must be named by its own test and by no other."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from mc.dose import Dose
from tests.validation.diagnosis.slab_patient import GRID, Truth, dose, monte_carlo, phantom, plan, structures
from tests.validation.spine_phantom import exported
from validation.diagnosis import diagnose
from validation.limits.profiles import load_profile

LIMITS = load_profile("spine").diagnosis


@cache
def planned(name: str) -> np.ndarray:
    """The plan's dose with an error in it."""
    made = {
        "none": {},
        "output": {"output": 1.03},
        "beam": {"beams": {2: 1.06}},
        "shift": {"shift": (0.12, -0.1, 0.12)},
        "depth": {"attenuation": 0.045},
        "profile": {"profile": 0.15},
        "density": {"densities": {"Vertebra": 1.0}},
        "couch": {"couch": True},
    }[name]
    return dose(plan(), Truth(**made))


def found(planned_dose, mc=None, **more):
    given = {
        "plan": plan(),
        "planned_dose": exported(planned_dose, GRID),
        "dose": monte_carlo(planned("none")) if mc is None else mc,
        "phantom": phantom(),
        "structures": structures(),
        "limits": LIMITS,
    } | more
    given["outline"] = given["structures"].external()
    return diagnose(**given)


def by_test(diagnosis):
    return {finding.test: finding for finding in diagnosis.findings}


def test_an_unaltered_plan_passes_every_test():
    diagnosis = found(planned("none"))
    assert [f.status for f in diagnosis.findings] == ["pass"] * 7, diagnosis.findings
    assert not diagnosis.named
    for finding in diagnosis.findings:
        assert abs(finding.value) < max(5 * finding.sigma, 0.3), finding
    assert diagnosis.scatter_percent < 0.5


@pytest.mark.parametrize("name", ["output", "beam", "shift", "depth", "profile", "density", "couch"])
def test_an_error_is_named_by_its_own_test_and_by_no_other(name):
    diagnosis = found(planned(name))
    assert [f.test for f in diagnosis.named] == [name], diagnosis.named


def test_an_output_error_is_measured_and_said():
    output = by_test(found(planned("output")))["output"]
    assert output.status == "fail" and output.value == pytest.approx(3.0, abs=0.2)
    assert "% higher" in output.sentence and "monitor units" in output.sentence


def test_the_weaker_beam_is_named_with_its_number():
    beam = by_test(found(planned("beam")))["beam"]
    assert beam.value == pytest.approx(6.0, abs=0.4) and "beam 3 (G220)" in beam.sentence


def test_a_displacement_is_measured_in_size_and_direction():
    diagnosis = found(planned("shift"))
    assert diagnosis.displacement_mm == pytest.approx((1.2, -1.0, 1.2), abs=0.2)
    sentence = by_test(diagnosis)["shift"].sentence
    assert all(word in sentence for word in ("mm left", "mm anterior", "mm superior"))


def test_another_energy_is_measured_per_depth():
    depth = by_test(found(planned("depth")))["depth"]
    assert depth.value == pytest.approx(100 * (np.exp(0.05) - 1), abs=1.0)  # 0.005 /cm over 10 cm
    assert "less steeply" in depth.sentence and "higher mean energy" in depth.sentence


def test_a_density_override_is_named_with_its_structure_and_what_rtstruct_says():
    stated = structures(REL_MASS_DENSITY=1.0)
    diagnosis = found(planned("density"), structures=stated)
    density = by_test(diagnosis)["density"]
    assert density.sentence.startswith("Vertebra:")  # and not bone, of which it is all
    assert density.value > 3.0  # the plan lets too much through
    region = next(r for r in diagnosis.regions if r.region == "Vertebra")
    assert region.found and "REL_MASS_DENSITY 1" in density.sentence
    assert region.density_change == pytest.approx(-0.35, abs=0.05)


def test_a_couch_that_the_plan_lacks_is_named():
    with_couch = Truth(couch=True)
    mc = monte_carlo(dose(plan(), with_couch))
    diagnosis = found(planned("none"), mc, phantom=phantom(with_couch), structures=structures(couch=True))
    assert [f.test for f in diagnosis.named] == ["couch"], diagnosis.named
    couch = by_test(diagnosis)["couch"]
    assert couch.value > 2.0 and "leaves the couch out" in couch.sentence


def test_a_couch_in_both_doses_passes():
    with_couch = Truth(couch=True)
    both = dose(plan(), with_couch)
    diagnosis = found(both, monte_carlo(both), phantom=phantom(with_couch), structures=structures(couch=True))
    assert not diagnosis.named and by_test(diagnosis)["couch"].sentence == "both doses have the couch"


def test_a_couch_that_monte_carlo_lacks_is_named_with_its_remedy():
    couch = by_test(found(planned("couch")))["couch"]
    assert couch.value < -2.0 and "SUPPORT" in couch.sentence and "G180" in couch.sentence


def test_two_errors_are_both_named():
    both = dose(plan(), Truth(output=0.96, shift=(0.0, 0.2, 0.0)))
    assert {f.test for f in found(both).named} == {"output", "shift"}


def test_the_dose_of_one_fraction_is_recognised():
    output = by_test(found(planned("none") / 3))["output"]
    assert output.status == "fail" and "one fraction" in output.sentence


def test_an_arc_is_judged_and_a_single_beam_has_no_beam_of_its_own():
    arc = plan((100.0, 260.0), arc=True)
    truth, shifted = dose(arc, Truth()), dose(arc, Truth(shift=(0.2, 0.0, 0.0), output=1.04))
    equal = found(truth, monte_carlo(truth), plan=arc)
    assert not equal.named and by_test(equal)["beam"].status == "shown"
    assert {f.test for f in found(shifted, monte_carlo(truth), plan=arc).named} == {"output", "shift"}


def test_noise_that_hides_an_error_is_said_not_passed():
    diagnosis = found(planned("none"), monte_carlo(planned("none"), noise=0.15))
    assert "fail" not in {f.status for f in diagnosis.findings}
    assert any(f.status == "shown" and "too uncertain" in f.sentence for f in diagnosis.findings)


def test_limits_are_those_of_the_profile():
    silent = found(planned("output"), limits=[limit for limit in LIMITS if limit.test != "output"])
    assert by_test(silent)["output"].status == "shown"


def test_too_little_dose_gives_a_note_and_no_findings():
    empty = np.zeros(GRID.shape)
    empty[18, 20, 26] = 1.0
    diagnosis = found(empty)
    assert not diagnosis.findings and "too few voxels" in diagnosis.note


@pytest.mark.parametrize("share", (0.05, 0.002))
def test_a_run_of_a_few_histories_gives_a_note_and_no_findings(share):
    """Dose in a few voxels only: a fit to them has no end."""
    hit = np.random.default_rng(1).random(GRID.shape) < share
    dose = np.where(hit, planned("none") / share, 0.0)
    diagnosis = found(planned("none"), Dose(GRID, dose, 0.5 * dose + 1e-3, 0.0))
    assert not diagnosis.findings and "differ too much" in diagnosis.note


def test_sigmas_are_those_of_repeated_noise():
    # the spread of 16 values is known to 18 %
    runs = [found(planned("none"), monte_carlo(planned("none"), seed=seed)) for seed in range(16)]
    for name in ("output", "depth", "couch"):
        values = [by_test(run)[name] for run in runs]
        ratio = np.std([f.value for f in values]) / np.mean([f.sigma for f in values])
        assert 0.55 < ratio < 1.5, (name, ratio)

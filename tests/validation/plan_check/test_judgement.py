"""What is said of a difference and of a rate, their noise considered."""

import pytest

from validation.plan_check import judgement
from validation.plan_check.judgement import difference_status, rate_status, without_noise_alarms


@pytest.mark.parametrize(
    "value, sigma, expected",
    [
        (1.9, 0.2, "pass"),
        (-2.5, 0.5, "warn"),
        (3.2, 0.6, "fail"),
        (-3.2, 0.2, "fail"),
        (2.5, 0.9, "pass"),  # beyond the tolerance, and 2.8 sigma from none
        (3.2, 1.2, "pass"),
        (0.1, 1.6, "noisy"),  # 2 sigma exceed what fails
        (5.0, 1.6, "noisy"),
        (9.0, 1.6, "noisy"),
    ],
)
def test_a_difference_is_judged_with_its_sigma(value, sigma, expected):
    status, note = difference_status(value, sigma, 2.0, 3.0)
    assert status == expected
    assert bool(note) == (expected == "noisy" or (expected == "pass" and abs(value) > 2))


@pytest.mark.parametrize(
    "rate, ceiling, expected",
    [
        (97, 99, "pass"),
        (93, 99, "warn"),
        (80, 99, "fail"),
        (80, None, "fail"),
        (93, 94, "noisy"),
        (80, 94, "noisy"),
    ],
)
def test_a_rate_below_its_limit_counts_only_if_noise_leaves_it_above(rate, ceiling, expected):
    assert rate_status(rate, ceiling, 95.0, 90.0) == expected
    assert rate_status(rate, ceiling, None, None) == "shown"


JUDGED = judgement.Test("PTV Dmean", 5.0, "%", "fail", 0.1, 2.0, 3.0)
PASSED = judgement.Test("gamma", 99.0, "%", "pass", None, 95.0, 90.0)
SHOWN = judgement.Test("gamma", 99.0, "%", "shown")
OPEN = judgement.Test("cord", 0.1, "%", "noisy", 2.0, 2.0, 3.0)


def test_too_few_pairs_withhold_what_has_a_limit():
    found = without_noise_alarms([JUDGED, PASSED, SHOWN], True)
    assert [test.status for test in found] == ["noisy", "noisy", "shown"]
    assert found[0].value == 5.0 and found[2] is SHOWN


def test_where_one_is_too_noisy_none_warns_or_fails():
    found = without_noise_alarms([JUDGED, PASSED, SHOWN, OPEN], False)
    assert [test.status for test in found] == ["noisy", "pass", "shown", "noisy"]
    assert without_noise_alarms([JUDGED, PASSED], False) == [JUDGED, PASSED]

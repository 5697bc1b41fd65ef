"""When a value counts: beyond its limit by a sigma, and significantly from none."""

from types import SimpleNamespace

import pytest

from validation.diagnosis.findings import output, profile
from validation.diagnosis.joint import PROFILE, SCALE
from validation.limits.profiles import DiagnosisLimit

LIMITS = {
    "output": DiagnosisLimit("output", 1.5, 3.0, "test"),
    "profile": DiagnosisLimit("profile", 3.0, 5.0, "test"),
}
PLAN = SimpleNamespace(fractions=1)


def fit(column: int, percent: float, sigma_percent: float) -> SimpleNamespace:
    values, sigmas = [0.0] * 8, [0.0] * 8
    values[column], sigmas[column] = 0.01 * percent, 0.01 * sigma_percent
    return SimpleNamespace(scale=1.0, common=0.0, fit=SimpleNamespace(values=values, sigma=sigmas))


@pytest.mark.parametrize("sign", (-1.0, 1.0))
@pytest.mark.parametrize(
    ("percent", "sigma", "status"),
    [
        (0.0, 0.0, "pass"),
        (1.4, 0.3, "pass"),
        (1.6, 0.0, "warn"),
        (1.8, 0.4, "shown"),  # beyond the limit by less than a sigma
        (2.0, 0.4, "warn"),
        (3.3, 0.4, "warn"),  # beyond 3 by less than a sigma
        (3.5, 0.4, "fail"),
        (2.6, 0.9, "shown"),  # within three sigmas of none
        (1.0, 0.6, "shown"),  # three sigmas exceed the limit
    ],
)
def test_a_value_counts_beyond_its_limit_by_a_sigma(sign, percent, sigma, status):
    found = output(fit(SCALE, sign * percent, sigma), PLAN, LIMITS, False, {})
    assert (found.status, found.value) == (status, pytest.approx(sign * percent))
    wide = profile(fit(PROFILE, 2.0 * sign * percent, 2.0 * sigma), LIMITS)
    assert (wide.status in ("warn", "fail")) == (status in ("warn", "fail"))

"""What is said of one comparison with a limit, its noise considered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

NOISY = "noisy"  # too noisy: neither passed nor failed
STATUSES = ("shown", "pass", "warn", NOISY, "fail")  # from best to worst; shown: without a limit
WITHIN = 2.0  # sigmas of a difference that must be smaller than what fails, for a verdict
SIGNIFICANT = 3.0  # sigmas that a difference must be from none, to warn or fail
FEW = "known from too few pairs of batches"
OTHERS = "not judged while the noise is too large"


@dataclass(frozen=True)
class Test:
    """One comparison with a limit.

    Parameters
    ----------
    name, unit : str
    value, sigma : float or None
        What was compared, and one sigma of its noise, transport and latent together; None where there is
        nothing to compare, and `note` says why.
    tolerance, action : float or None
        Warns beyond the first, fails beyond the second.
    status : {'pass', 'warn', 'noisy', 'fail', 'shown'}
        'noisy': too noisy to say.
    note, source : str
    transport_sigma : float or None
        The part of `sigma` that more transport lowers, where it is too large.
    """

    name: str
    value: float | None
    unit: str
    status: str
    sigma: float | None = None
    tolerance: float | None = None
    action: float | None = None
    note: str = ""
    source: str = ""
    transport_sigma: float | None = None


def worst(statuses: Iterable[str]) -> str:
    """The worst of `STATUSES`; 'shown' of none."""
    return max(statuses, key=STATUSES.index, default="shown")


def difference_status(value: float, sigma: float, tolerance: float, action: float) -> tuple[str, str]:
    """Status of a difference that is better the nearer to 0, and a remark.

    It warns or fails if it is beyond the limit and `SIGNIFICANT` sigmas from 0. Where `WITHIN` sigmas are
    larger than the difference that fails it is too noisy, however large it is: so few histories leave doses
    that are far from normal.

    Parameters
    ----------
    value, sigma, tolerance, action : float
        In one unit.

    Returns
    -------
    status, note : str
    """
    size = abs(value)
    if WITHIN * sigma > action:
        return NOISY, f"for limits of {tolerance:g} and {action:g} a sigma of {action / WITHIN:.2g} at most"
    if size > tolerance and size <= SIGNIFICANT * sigma:
        return "pass", f"beyond {tolerance:g}, but within {SIGNIFICANT:g} sigma of no difference"
    return "pass" if size <= tolerance else "warn" if size <= action else "fail", ""


def rate_status(rate: float, ceiling: float | None, tolerance: float | None, action: float | None) -> str:
    """Status of a passing rate [%]; too noisy where noise alone would keep it below the tolerance.

    Parameters
    ----------
    rate, ceiling : float
        The ceiling is the rate of doses that differ by noise alone; None where it is unknown.
    tolerance, action : float or None
        Limits; None: reported only.
    """
    if tolerance is None:
        return "shown"
    if rate >= tolerance:
        return "pass"
    if ceiling is not None and ceiling < tolerance:
        return NOISY
    return "warn" if rate >= action else "fail"


def withheld(test: Test, why: str) -> Test:
    """A test of a dose whose noise permits no verdict: neither passed nor failed, and `why`."""
    if test.status in ("shown", NOISY) or (test.tolerance is None and test.action is None):
        return test
    return replace(test, status=NOISY, note=f"{test.note}; {why}" if test.note else why)


def without_noise_alarms(tests: Sequence[Test], too_few: bool) -> list[Test]:
    """Tests of a dose; where its noise permits no verdict none of them warns or fails.

    Parameters
    ----------
    tests : sequence of Test
    too_few : bool
        Whether the sigmas rest on too few pairs of batches; then none passes either.
    """
    if too_few:
        return [withheld(test, FEW) for test in tests]
    if any(test.status == NOISY for test in tests):
        return [withheld(test, OTHERS) if test.status in ("warn", "fail") else test for test in tests]
    return list(tests)

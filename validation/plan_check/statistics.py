"""Whether a run's noise permits a verdict, and what it takes where it does not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mc.run.report import RunReport
from validation.plan_check.judgement import NOISY, WITHIN, Test

MIN_PAIRS = 8  # of batches, for a sigma that a verdict may rest on: half of those of a round
PROVISIONAL = {"interrupted": "interrupted", "time": "time limit"}  # by what ended the run
MORE = "continue the run, or simulate more electrons of the head where the latent sigma is the larger one"
ROUND = 2.0  # passes after which every history was used as often as every other


@dataclass(frozen=True)
class Statistics:
    """What the noise of a run permits.

    Parameters
    ----------
    status : {'pass', 'warn', 'noisy'}
        'noisy': there is no verdict.
    sentence : str
        In plain words: what the noise permits, or what it takes.
    pairs : int or None
        Pairs of batches that the sigmas rest on; None where the run does not state them.
    passes : float or None
        Over the phase spaces.
    transport_percent, latent_percent : float or None
        Rms over the voxels above half the maximum [%].
    provisional : {'', 'interrupted', 'time limit'}
        Why the run ended before it was done; empty if it did not.
    """

    status: str
    sentence: str
    pairs: int | None
    passes: float | None
    transport_percent: float | None
    latent_percent: float | None
    provisional: str

    def to_dict(self) -> dict[str, Any]:
        """All fields by name."""
        return dict(vars(self))


def pairs_of(report: RunReport) -> int | None:
    """Complete pairs of batches of a run; None where the report does not state them."""
    if report.passes is None or report.groups is None:
        return None
    return round(report.passes * report.groups) // 2


def too_few(report: RunReport) -> bool:
    """Whether the sigmas of a run rest on too few pairs of batches for a verdict."""
    pairs = pairs_of(report)
    return pairs is not None and pairs < MIN_PAIRS


def statistics_of(report: RunReport, tests: Sequence[Test]) -> Statistics:
    """Sum up what the noise permits.

    Parameters
    ----------
    report : RunReport
    tests : sequence of Test
        Of the verdict.
    """
    undecided = [test for test in tests if test.status == NOISY]
    provisional = PROVISIONAL.get(report.stopped_by or "", "")
    if too_few(report):
        status, sentence = NOISY, _few(report)
    elif undecided:
        status, sentence = NOISY, _undecided(undecided, report)
    else:
        status, sentence = _enough(report, tests, provisional)
    transport, latent = (
        None if sigma is None or not math.isfinite(sigma) else 100.0 * sigma
        for sigma in (report.transport_uncertainty, report.latent_uncertainty)
    )
    return Statistics(status, sentence, pairs_of(report), report.passes, transport, latent, provisional)


def _few(report: RunReport) -> str:
    pairs = pairs_of(report)
    if pairs and report.wall_seconds:
        takes = f"continue the run for {_minutes(report.wall_seconds * (MIN_PAIRS / pairs - 1.0))}"
    else:
        takes = "continue the run"
    plural = "" if pairs == 1 else "s"
    known = f"The noise is known from {pairs} pair{plural} of batches only"
    return f"{known}, and a verdict takes {MIN_PAIRS}: {takes}."


def _enough(report: RunReport, tests: Sequence[Test], provisional: str) -> tuple[str, str]:
    """Status and sentence of a run whose noise permits a verdict."""
    judged = [t for t in tests if t.sigma is not None and t.action and t.name.endswith(", MC - plan")]
    widest = max(judged, key=lambda t: t.sigma / t.action, default=None)
    sentence = "The noise is small enough for every limit"
    if widest is not None:
        sentence += f"; the least certain is {widest.name}, known to {widest.sigma:.2g} {widest.unit}"
    if provisional:
        end = "interrupted" if provisional == PROVISIONAL["interrupted"] else "ended by its time limit"
        return "warn", f"{sentence}. The run was {end} before it reached the uncertainty asked for."
    short = any(t.status == "warn" and t.name.startswith("transport sigma") for t in tests)
    return ("warn" if short else "pass"), f"{sentence}."


def _undecided(tests: Sequence[Test], report: RunReport) -> str:
    worst = max(tests, key=lambda t: (t.sigma or 0.0) / (t.action or t.tolerance or math.inf))
    if worst.sigma is None or not worst.action:
        return f"The noise is too large for the limits of {worst.name}: {MORE}."
    allowed = worst.action / WITHIN
    return (
        f"{worst.name} is known to {worst.sigma:.2g} {worst.unit} only, and its limits need {allowed:.2g}: "
        f"{_takes(worst, allowed, report)}."
    )


def _takes(test: Test, allowed: float, report: RunReport) -> str:
    """What brings the sigma of a test to what is allowed."""
    wall, passes = report.wall_seconds, report.passes
    if not wall or not passes:
        return MORE
    after = test.sigma**2 * min(1.0, passes / ROUND)  # variance when all histories have been used alike
    if passes < ROUND and after <= allowed**2:
        return f"continue the run for {_minutes(wall * ((test.sigma / allowed) ** 2 - 1.0))}"
    transport = min(1.0, (test.transport_sigma or 0.0) ** 2 / test.sigma**2) * after
    latent = after - transport
    parts = []
    if transport > 0.5 * allowed**2 or passes < ROUND:
        left = max(0.5 * allowed**2, allowed**2 - latent)
        longer = max(1.0, transport / left) * max(1.0, ROUND / passes)
        parts.append(f"continue the run for {_minutes(wall * (longer - 1.0))}")
    if latent > 0.5 * allowed**2:
        left = max(0.5 * allowed**2, allowed**2 - transport)
        parts.append(f"use a phase space of {math.ceil(10 * latent / left) / 10:g} times as many electrons")
    return " and ".join(parts) or MORE


def _minutes(seconds: float) -> str:
    minutes = max(1, math.ceil(seconds / 60.0))
    return f"about {minutes} more minute{'s' if minutes > 1 else ''}"

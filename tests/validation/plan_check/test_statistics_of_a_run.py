"""Whether a run's noise permits a verdict, and what it takes where it does not."""

import pytest

from mc.run.report import RunReport
from validation.plan_check import judgement
from validation.plan_check.statistics import pairs_of, statistics_of, too_few


def run(passes, stopped_by="uncertainty", **more):
    given = {"transport_uncertainty": 0.01, "latent_uncertainty": 0.006, "wall_seconds": 120.0}
    return RunReport(stopped_by=stopped_by, passes=passes, groups=16, **(given | more))


def test_pairs_are_those_that_are_complete():
    assert [pairs_of(run(batches / 16)) for batches in (2, 15, 16, 17, 32)] == [1, 7, 8, 8, 16]
    assert pairs_of(RunReport()) is None and not too_few(RunReport())


def test_a_quarter_of_a_pass_is_no_basis_of_a_verdict():
    found = statistics_of(run(0.25, "interrupted"), [])
    assert (found.status, found.pairs, found.provisional) == ("noisy", 2, "interrupted")
    assert "2 pairs" in found.sentence and "about 6 more minutes" in found.sentence


def noisy(sigma, transport):
    return judgement.Test(
        "cord D0.03cc, MC - plan",
        0.4,
        "% of prescription",
        "noisy",
        sigma,
        2.0,
        3.0,
        transport_sigma=transport,
    )


@pytest.mark.parametrize(
    "passes, sigma, transport, said",
    [
        (1.0, 2.0, 1.9, "continue the run for about 2 more minutes"),  # 1.5 is reached before the round ends
        (2.0, 2.0, 1.9, "continue the run for about 2 more minutes"),
        (2.0, 2.0, 0.1, "use a phase space of 1.8 times as many electrons"),
        (2.0, 4.0, 2.8, "and use a phase space of"),
    ],
)
def test_it_says_what_it_takes(passes, sigma, transport, said):
    found = statistics_of(run(passes), [noisy(sigma, transport)])
    assert found.status == "noisy" and said in found.sentence


def test_a_run_that_ended_early_is_provisional_and_one_of_asked_histories_is_not():
    judged = [judgement.Test("PTV Dmean, MC - plan", 0.4, "% of plan", "pass", 0.5, 2.0, 3.0)]
    assert statistics_of(run(3.0, "time"), judged).provisional == "time limit"
    assert statistics_of(run(3.0, "time"), judged).status == "warn"
    done = statistics_of(run(3.0, "histories"), judged)
    assert (done.status, done.provisional) == ("pass", "")
    assert "PTV Dmean" in done.sentence and "0.5 %" in done.sentence

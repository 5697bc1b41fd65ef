"""The verdict on screen."""

from __future__ import annotations

from validation.cli.screen import COLOURS, Screen
from validation.plan_check.comparison import Comparison
from validation.report.tables import test_lines

PASSED, FAILED, NO_VERDICT = 0, 1, 2


def show_verdict(comparison: Comparison, screen: Screen) -> None:
    """Print warnings, the table of tests and the verdict, in the words of the report."""
    for warning in comparison.warnings:
        screen.warn(warning)
    profile, summary = comparison.profile, comparison.summary
    rows = [
        (line.word, line.name, line.value, line.warns, line.fails, line.note)
        for line in test_lines(comparison)
    ]
    columns = ("", "test", "found", "warns", "fails", "remark")
    screen.table(f"{comparison.plan.label}: {profile.title}", columns, rows, right=(2,), whole=(0, 2))
    report = comparison.report
    latent = report.latent_uncertainty
    screen.line(
        f"{report.histories:.3g} histories, stopped by {report.stopped_by}; transport sigma "
        f"{100 * report.transport_uncertainty:.2f} %, latent sigma "
        + (f"{100 * latent:.2f} %" if latent == latent else "unknown")
    )
    screen.line(f"Monte Carlo dose compared: {comparison.quantity}")
    screen.line(f"limits: {profile.status}")
    for answer in (*summary.answers, summary.beam_model):
        screen.line(f"{answer.question} {answer.word}. {answer.sentence}", COLOURS.get(answer.status, ""))
    mark = f"PROVISIONAL ({summary.provisional}), " * bool(summary.provisional)
    screen.line(f"verdict: {mark}{summary.word}. {summary.headline}", COLOURS[summary.status])


def exit_code(comparison: Comparison) -> int:
    """0 if the verdict passes, 1 if it fails, 2 if there is none."""
    status = comparison.verdict.status
    return FAILED if status == "fail" else PASSED if comparison.verdict.passed else NO_VERDICT

"""`mcverify validate`: the engine held against published data and independent codes."""

from __future__ import annotations

import json
from argparse import Namespace

from mc.run.parallel import World
from validation.cli.screen import Screen, clock
from validation.engine import record
from validation.engine.case import Case, find_cases
from validation.engine.verdict import Options, Verdict
from validation.workflow.validate import run_cases

FAILED, NO_VERDICT = 1, 2


def run(arguments: Namespace, screen: Screen, ranks: World) -> int:
    """Run the cases that were asked for; 1 if one fails, 2 if none could be judged."""
    if arguments.record:
        record.check_checkout()
    cases = find_cases(arguments.case)
    if arguments.list:
        _list(cases, screen)
        return 0
    done: list[tuple[Case, Verdict]] = []
    try:
        with screen.progress() as bar:
            options = Options(
                arguments.out, arguments.quick, arguments.record, arguments.threads, on_progress=bar.update
            )
            for case, verdict in run_cases(cases, options, bar.listener):
                done.append((case, verdict))
                bar.close()
                screen.note(_outcome(verdict))
    except KeyboardInterrupt:
        screen.note(f"interrupted; the same command resumes it from {arguments.out}")
        _table(done, screen)
        return NO_VERDICT
    _table(done, screen)
    if arguments.record:
        record.write_table()
    judged = [verdict for _, verdict in done if not verdict.skipped]
    if not judged:
        return NO_VERDICT
    return 0 if all(verdict.passed for verdict in judged) else FAILED


def _outcome(verdict: Verdict) -> str:
    if verdict.skipped:
        return f"{verdict.case}: skipped, {verdict.skipped}"
    word = "passed" if verdict.passed else "FAILED"
    return f"{verdict.case}: {word}, {clock(verdict.cpu_seconds)} of one processor"


def _table(done: list[tuple[Case, Verdict]], screen: Screen) -> None:
    """Every check of every case."""
    from validation.engine.figures import check_text

    rows = []
    for case, verdict in done:
        if verdict.skipped:
            rows.append((case.name, "", verdict.skipped, "SKIPPED"))
        for k, check in enumerate(verdict.checks):
            word = "PASS" if check.passed else "FAIL"
            rows.append(("" if k else case.name, check.name, check_text(check), word))
    screen.table("validation", ("case", "check", "figure", ""), rows, whole=(0, 3))


def _list(cases: list[Case], screen: Screen) -> None:
    """The cases and their last recorded verdict."""
    rows = []
    for case in cases:
        path, word, date = case.folder / "verdict.json", "", ""
        if path.exists():
            stated = json.loads(path.read_text("utf-8"))
            word, date = ("PASS" if stated["passed"] else "FAIL"), stated["created"][:10]
        rows.append((case.name, case.kind, case.title, word, date))
    screen.table("validation cases", ("case", "kind", "what", "verdict", "of"), rows, whole=(0, 3, 4))

"""The engine held against published data and independent codes, case by case."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path

from mc.run.parallel import world
from mc.run.progress import Listener
from validation.engine import record
from validation.engine.case import Case, find_cases
from validation.engine.run import run_case
from validation.engine.verdict import Options, Verdict
from validation.workflow import output
from validation.workflow.kernels import load_kernels

TABLES_ONLY = ("attenuation", "stopping")  # kinds of cases without transport


def validate(
    *cases: str,
    quick: bool = False,
    out: str | PathLike = "validation-results",
    threads: int | None = None,
    listener: Listener = Listener(),
) -> tuple[Verdict, ...]:
    """Hold the engine against published data and independent codes (docs/validation.md).

    Parameters
    ----------
    *cases : str
        Names or patterns such as ``r50_*``; all if none is given, which takes hours.
    quick : bool
        Fewer histories, systematic limits of 1 %.
    out : path
        Folder of results, and of the sums from which a run goes on.
    threads : int, optional
        All processors if not given.
    listener : Listener

    Returns
    -------
    tuple of Verdict
        Of each case its checks, and whether it `passed`.

    Raises
    ------
    InputError
        If a pattern matches no case.
    """
    options = Options(Path(out), quick, threads=threads, on_progress=listener.progress)
    return tuple(verdict for _, verdict in run_cases(find_cases(cases), options, listener))


def run_cases(
    cases: Sequence[Case], options: Options, listener: Listener = Listener()
) -> Iterator[tuple[Case, Verdict]]:
    """Run cases one after another, and write what is kept of each.

    Parameters
    ----------
    cases : sequence of Case
    options : Options
    listener : Listener
        Its `stage` is called for every case.

    Raises
    ------
    InputError
        If results cannot be written.
    KeyboardInterrupt
        If interrupted; the sums in `options.out` let the next run go on.
    """
    output.make_folder(options.out)
    if any(case.kind not in TABLES_ONLY for case in cases):
        listener.stage("kernels (compiled once, half a minute)")
        load_kernels(world(), simple_beams=True)
    for number, case in enumerate(cases):
        listener.stage(f"{case.name} ({number + 1} of {len(cases)})")
        verdict = run_case(case, options)
        if not verdict.skipped:
            record.write(verdict, options.out / case.name)
            if options.record:
                record.write(verdict, case.folder)
        yield case, verdict

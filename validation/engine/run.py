"""From a case to its verdict: each kind has its module."""

from __future__ import annotations

from importlib import import_module

from validation.engine.case import Case
from validation.engine.verdict import Options, Verdict


def run_case(case: Case, options: Options) -> Verdict:
    """Run a case, or go on with it, and judge it."""
    return import_module(f"validation.engine.{case.kind}").run(case, options)

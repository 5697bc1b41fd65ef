"""The verdicts that a dose was given before, by other limits or another version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from validation.plan_check.verdict import Verdict


@dataclass(frozen=True)
class PastVerdict:
    """A verdict that has been replaced.

    Parameters
    ----------
    created : str
        Date and time, ISO 8601.
    status : str
    profile, title : str
        Of the limits.
    """

    created: str
    status: str
    profile: str
    title: str


def history(result: Mapping[str, Any], verdict: Verdict) -> tuple[PastVerdict, ...]:
    """All verdicts before `verdict`, the oldest first.

    Parameters
    ----------
    result : mapping
        The content of result.json that `verdict` is going to replace. Its own verdict is the last one of
        the history, unless it is the same in every test.
    verdict : Verdict

    Raises
    ------
    KeyError, TypeError
        If `result` is not the result of a plan check.
    """
    past = tuple(PastVerdict(**entry) for entry in result.get("history", ()))
    replaced, profile = result["verdict"], result["verdict"]["profile"]
    before = {test["name"]: test["status"] for test in replaced["tests"]}
    now = {test.name: test.status for test in verdict.tests}
    limits = verdict.profile.name, verdict.profile.title
    if before == now and (profile["name"], profile["title"]) == limits:
        return past
    last = PastVerdict(result["created"], replaced["status"], profile["name"], profile["title"])
    return (*past, last)

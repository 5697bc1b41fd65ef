"""What is kept of a verdict: `verdict.json`, `figure.png` and the table of the documentation."""

from __future__ import annotations

import json
from pathlib import Path

from mc.provenance import provenance
from phantoms.errors import InputError
from phantoms.files import replacing
from validation.engine.case import CASES, find_cases
from validation.engine.verdict import Verdict
from validation.metrics.numbers import plain

PAGE = CASES.parents[1] / "docs" / "validation.md"
BEGIN, END = "<!-- verdicts: begin -->", "<!-- verdicts: end -->"


def check_checkout() -> None:
    """Refuse to record where there is no checkout to record in.

    Raises
    ------
    InputError
        If this is an installed package: its data are not to be written to.
    """
    if not PAGE.is_file():
        raise InputError(
            "--record",
            "renews data and documentation of a checkout, and this is an installed package",
            "run it from a checkout (pip install -e .), or leave --record out",
        )


def write(verdict: Verdict, folder: Path) -> None:
    """Write `verdict.json` and `figure.png` into a folder."""
    text = json.dumps(plain({**verdict.as_dict(), **provenance()}), indent=1)
    with replacing(folder / "verdict.json", private=False, parents=True) as partial:
        partial.write_text(text + "\n", "utf-8")
    if verdict.draw is not None:
        with replacing(folder / "figure.png", private=False) as partial:
            verdict.draw(partial)


def write_table(page: Path = PAGE) -> None:
    """Renew the table of recorded verdicts in the documentation."""
    text = page.read_text("utf-8")
    if BEGIN not in text or END not in text:
        raise InputError(page, f"lacks the lines {BEGIN} and {END} between which the table belongs")
    before, after = text[: text.index(BEGIN)], text[text.index(END) :]
    with replacing(page, private=False) as partial:
        partial.write_text(f"{before}{BEGIN}\n{table()}\n{after}", "utf-8")


def table() -> str:
    """The recorded verdicts as a Markdown table: of each case the check nearest to its limit."""
    lines = [
        "| case | verdict | check nearest to its limit | figure | limit | histories | CPU time | date |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for case in find_cases():
        path = case.folder / "verdict.json"
        if not path.exists():
            continue
        stated = json.loads(path.read_text("utf-8"))
        worst = _nearest(stated["checks"])
        unit = f" {worst['unit']}" if worst["unit"] else ""
        noise = f" ± {worst['sigma']:.2f}" if worst["sigma"] else ""
        lines.append(
            f"| [{case.name}](../validation/cases/{case.name}/figure.png) | "
            f"{'passed' if stated['passed'] else '**failed**'} | {worst['name']} | "
            f"{worst['value']:+.2f}{noise}{unit} | {worst['limit']:g}{unit} | {stated['histories']:.2g} | "
            f"{_minutes(stated['cpu_seconds'])} | {stated['created'][:10]} |"
        )
    return "\n".join(lines)


def _nearest(checks: list[dict]) -> dict:
    """The check that failed, or else is nearest to its limit; of those that have one above 0."""
    limited = [check for check in checks if check["limit"] > 0 or not check["passed"]]
    return max(limited, key=lambda c: (not c["passed"], abs(c["value"]) / (c["limit"] or 1.0)))


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"

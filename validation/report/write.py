"""Write the report (HTML) and its twin for programs (JSON), whole or not at all."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phantoms.files import replacing
from validation.comparison import Comparison

if TYPE_CHECKING:
    from validation.commission.run import Commissioning

TEMPLATE = "report.html.j2"


def write_report(comparison: Comparison, path: str | Path) -> None:
    """Write the report as one HTML file that needs nothing else: no script, no network.

    Raises
    ------
    InputError
        If the file cannot be written; one already there stays as it was.
    """
    save(render(comparison), path)


def write_result(found: Comparison | Commissioning, path: str | Path) -> None:
    """Write a result as strict JSON (its `to_dict`).

    Raises
    ------
    InputError
        If the file cannot be written; one already there stays as it was.
    """
    save(json.dumps(found.to_dict(), indent=1, allow_nan=False) + "\n", path)


def save(text: str, path: str | Path) -> None:
    """Write a text whole or not at all."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def fill(template: str, **values: Any) -> str:
    """A template of this package as HTML text, with these values."""
    # only a report needs the template engine, which is slow to import
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    def load(name: str) -> str:
        return (files("validation.report") / name).read_text("utf-8")

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(load),
    )
    return environment.get_template(template).render(**values)


def render(comparison: Comparison) -> str:
    """The report as HTML text."""
    from validation.report import facts, tables
    from validation.report.figures import draw_all  # matplotlib is slow to import

    verdict = comparison.verdict
    return fill(
        TEMPLATE,
        profile=comparison.profile,
        status=verdict.status,
        status_word=tables.VERDICT[verdict.status],
        headline=tables.HEADLINES[verdict.status],
        title=comparison.plan.label,
        header=facts.header(comparison),
        tests=tables.test_lines(comparison),
        flips=tables.flips(comparison),
        targets=tables.metric_table(comparison, targets=True),
        organs=tables.metric_table(comparison, targets=False),
        not_evaluated=comparison.not_evaluated,
        gamma=tables.gamma_table(comparison),
        gamma_threshold=[str(result.map.criterion) for result in verdict.gamma],
        normalisation=verdict.gamma[0].map.normalisation,
        regions=tables.regions(comparison),
        isocentres=tables.isocentres(comparison),
        radius=comparison.isocentres[0].radius_mm,
        beams=tables.beams(comparison),
        figures=draw_all(comparison),
        quality=facts.quality(comparison),
        latent_alarm=facts.latent_alarm(comparison),
        calibrations=facts.calibrations(comparison),
        phantom=facts.phantom(comparison),
        warnings=comparison.warnings,
        prescription=comparison.prescription,
    )

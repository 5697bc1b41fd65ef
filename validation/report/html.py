"""A report as one HTML file that needs nothing else: no script, no network."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from phantoms.files import replacing
from validation.report.content import DEVICE, FOOTER, SIGNATURE, Report

TEMPLATE = "report.html.j2"


def write_html(report: Report, path: str | Path) -> None:
    """Write a report as HTML.

    Raises
    ------
    InputError
        If the file cannot be written; one already there stays as it was.
    """
    with replacing(path) as partial:
        partial.write_text(render(report), encoding="utf-8")


def render(report: Report) -> str:
    """The report as HTML text."""
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
    template = environment.get_template(TEMPLATE)
    return template.render(report=report, device=DEVICE, footer=FOOTER, signature=SIGNATURE)

"""Figures of plan reports in tests that look at none: drawn once by each worker, and coarsely."""

from __future__ import annotations

import pytest
from reportlab import rl_config

from validation.report import drawing
from validation.report.figures import Figures

COARSE = 30  # dots per inch


def draw_once(patch: pytest.MonkeyPatch) -> None:
    """Give every report the figures of the first one, and pictures in PDF files a quick encoding."""
    patch.setattr(drawing, "DPI", COARSE)
    patch.setattr(rl_config, "useA85", 0)
    patch.setattr(Figures, "of", _first_of)


_draw, _drawn = Figures.of, []


def _first_of(comparison) -> Figures:
    """The figures of the first comparison that this worker was given."""
    if not _drawn:
        _drawn.append(_draw(comparison))
    return _drawn[0]

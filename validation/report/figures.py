"""The figures of a plan's report, by where they belong."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from validation.plan_check.comparison import Comparison
from validation.plan_check.leading import leading_organ, leading_target
from validation.report import charts
from validation.report.content import Pictures
from validation.report.display import Display
from validation.report.drawing import WIDTH, figure_style
from validation.report.key_dvh import key_dvh
from validation.report.panels import critical_panel, difference_panels, gamma_panels, isodose_panels

FIRST_HEIGHT = 3.9  # of the pictures of the first page [inch]
PLANE_WIDTH = 0.47 * WIDTH


@dataclass(frozen=True)
class Figures:
    """All figures of a report."""

    first: Pictures | None
    dvh: tuple[Pictures, ...]
    gamma: tuple[Pictures, ...]
    planes: tuple[Pictures, ...]

    @classmethod
    def of(cls, comparison: Comparison) -> Figures:
        """Draw them."""
        organ, target = leading_organ(comparison), leading_target(comparison)
        display = Display(comparison)
        with figure_style(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph")  # of names in other scripts: the tables have them
            planes = [isodose_panels(display), difference_panels(display), gamma_panels(display)]
            if organ is not None and target is not None:
                planes.append(charts.profiles(comparison, target, organ))
            dvh = (charts.dvh(comparison),) if comparison.curves else ()
            return cls(first_pictures(display), dvh, (charts.gamma(comparison),), tuple(planes))


def first_pictures(display: Display) -> Pictures:
    """The plane through the cord maximum, and the DVHs of target and cord."""
    plane = critical_panel(display, PLANE_WIDTH, FIRST_HEIGHT)
    histogram = key_dvh(display.comparison, WIDTH - PLANE_WIDTH - 0.05, FIRST_HEIGHT)
    smoothed = (
        f"; its difference to the plan is smoothed by {display.smoothing_mm:.1f} mm for the picture alone"
        if display.smoothing_mm
        else ""
    )
    text = (
        f"Left: the axial plane through the plan's {display.critical.name} (cross); Monte Carlo "
        f"dashed{smoothed}. Right: bands are 1 sigma, transport and latent together; limits are those of "
        "the profile."
    )
    drawings = (plane,) if histogram is None else (plane, histogram)
    return Pictures(drawings, "Where it matters most", text, len(drawings))

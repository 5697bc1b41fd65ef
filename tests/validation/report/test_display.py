"""What figures show: smoothed and averaged as far as noise asks for, at planes that differ."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from phantoms.grid import Grid
from tests.validation.spine_phantom import BODY, CORD, PTV, case, compare_case
from validation.limits.constraints import KEPT
from validation.report.choices import by_difference, by_gamma
from validation.report.display import AVERAGED_TO, Display
from validation.report.layers import isodoses


def display(noise: float, scale: float = 1.0, **changes) -> Display:
    return Display(compare_case(case(scale, noise=noise, **changes)))


def test_little_noise_is_neither_smoothed_nor_averaged():
    shown = display(0.0005)
    assert shown.smoothing_mm == 0.0 and shown.found is shown.comparison.dose.mean
    inside, percent = shown.comparison.body, 100 / 16.0
    plain = percent * (shown.comparison.dose.mean - shown.comparison.planned_dose.dose)
    np.testing.assert_allclose(shown.difference[inside], plain[inside], atol=1e-9)
    assert "not averaged" in shown.averaging


def test_much_noise_is_smoothed_and_averaged_and_said():
    shown = display(0.03)
    assert shown.smoothing_mm > 1.5 and "averaged over" in shown.averaging
    high, planned = shown.high, shown.comparison.planned_dose.dose
    raw = np.std((shown.comparison.dose.mean - planned)[high])
    assert np.std((shown.found - planned)[high]) < 0.4 * raw
    assert np.isnan(shown.difference[~shown.comparison.body]).all()


def test_an_offset_survives_smoothing_and_averaging():
    shown = display(0.03, scale=1.05)
    high = shown.comparison.planned_dose.dose > 17.0
    assert shown.difference[high].mean() == pytest.approx(100 * 0.05 * 17.4 / 16, abs=AVERAGED_TO)
    ratio = shown.found[high] / shown.comparison.planned_dose.dose[high]
    assert ratio.mean() == pytest.approx(1.05, abs=0.01)


def test_axial_levels_are_apart_and_the_first_is_the_cord_maximum():
    shown = display(0.005)
    places = [place.point[0] for place in shown.levels]
    assert shown.levels[0].name == "maximum in SpinalCord" and len(places) == len(set(places)) >= 2
    gaps = np.abs(np.subtract.outer(places, places))[np.triu_indices(len(places), 1)]
    assert gaps.min() >= 0.39


def test_isodoses_lie_at_the_limits_on_the_cord_in_gray():
    found = isodoses(display(0.005).comparison)
    limits = {isodose.name: isodose.dose for isodose in found if isodose.limit}
    assert limits == {"D1.2cc": 12.3, "D0.35cc": 18.0, "D0.03cc": 20.3}  # the strictest of each metric
    assert [isodose.dose for isodose in found] == sorted(isodose.dose for isodose in found)
    # 80 % of 16 Gy is 12.8 Gy, too close to 12.3 Gy
    assert "80 %" not in {isodose.name for isodose in found} and "100 %" in {i.name for i in found}


def test_structures_by_what_differs():
    given = case(noise=0.0005)
    mean = given["dose"].mean.copy()
    mean[:, 16:21, 8:16] *= 2.0
    found = compare_case(given | {"dose": replace(given["dose"], mean=mean)})
    assert [s.name for s in by_gamma(found)] == ["SpinalCord", "PTV_L1"]
    assert by_difference(found)[0].name == "SpinalCord"


def test_a_notebooks_dvh_says_which_curve_is_which():
    axes = Figure().add_subplot()
    compare_case(case(rois=(BODY, PTV, CORD))).dvh("PTV_L1").plot(axes)
    assert axes.get_legend_handles_labels()[1] == ["PTV_L1, plan", "PTV_L1, Monte Carlo"]
    styles = [line.get_linestyle() for line in axes.get_lines()]
    assert styles == ["-", "--"]


def test_other_voxels_are_shown_as_well():
    grid = Grid((22, 32, 32), (0.15, 0.15, 0.15), (-1.575, -2.325, -2.325))
    shown = display(0.01, grid=grid)
    assert shown.found.shape == shown.difference.shape == shown.comparison.planned_dose.grid.shape
    assert any(row.outcome == KEPT for row in shown.comparison.verdict.constraints)

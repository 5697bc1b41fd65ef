"""The study of stated over true sigmas: its phase spaces, its ratio, and a small run of it."""

from pathlib import Path

import numpy as np
import pytest

from phantoms.errors import InputError
from validation.engine.case import CASES, load_case
from validation.engine.coverage import Repeats, Study, run, stated_over_true
from validation.engine.synthetic_head import Head, write_head
from validation.engine.verdict import Options

HEAD = Head(histories=4000, recorded=0.4, max_particles=20, half_field=2.0, spread=0.5)


def test_histories_are_correlated_bunches(tmp_path):
    space = write_head(tmp_path, HEAD, 0)
    sizes = np.diff(space.starts(0, space.recorded))
    assert sizes.min() == 1 and sizes.max() == 20 and sizes.mean() == pytest.approx(10.5, rel=0.05)
    assert space.header.orig_histories == 4000
    found = space.read(0, len(space))
    bunch = np.cumsum(found.new_history) - 1
    centre = np.bincount(bunch, found.x) / sizes
    within = found.x - centre[bunch]
    # sigma of a bunch about its own mean; bunches themselves are spread evenly over 4 cm
    assert np.sqrt(np.sum(within**2) / np.sum(sizes - 1)) == pytest.approx(HEAD.spread, rel=0.03)
    assert centre[sizes > 10].std() == pytest.approx(2 * HEAD.half_field / np.sqrt(12), rel=0.06)


def test_files_are_independent_and_differ_in_number(tmp_path):
    spaces = [write_head(tmp_path, HEAD, number) for number in range(40)]
    recorded = np.array([space.recorded for space in spaces])
    assert recorded.mean() == pytest.approx(1600, abs=5 * 31 / np.sqrt(40))
    assert 15 < recorded.std(ddof=1) < 55  # binomial: 31, known to 11 %
    assert write_head(tmp_path, HEAD, 0).sha256 == spaces[0].sha256 != spaces[1].sha256


@pytest.mark.parametrize("factor", [0.9, 1.0, 1.2])
def test_ratio_and_its_uncertainty(factor):
    """Voxels in groups of five equal ones: the uncertainty of the ratio sees the groups."""
    random = np.random.default_rng(1)
    found = []
    for _ in range(50):
        dose = 1.0 + 0.05 * np.repeat(random.normal(size=(100, 10)), 5, axis=1)
        found.append(stated_over_true(dose, np.full_like(dose, (factor * 0.05) ** 2)))
    ratio, error = np.mean(found, axis=0)
    assert ratio == pytest.approx(factor, rel=0.01)
    assert error == pytest.approx(factor / np.sqrt(2 * 99 * 10), rel=0.1)
    assert np.std([r for r, _ in found]) == pytest.approx(error, rel=0.3)


@pytest.mark.parametrize(("ratio", "passed"), [(0.94, False), (1.0, True), (1.06, False)])
def test_a_full_run_keeps_to_five_percent(ratio, passed):
    dose = 1.0 + 0.05 * np.random.default_rng(2).normal(size=(100, 50))
    variance = np.broadcast_to((ratio**2) * dose.var(axis=0, ddof=1).mean(), dose.shape)
    repeats = Repeats(Study("s", "seed", (0.0,), False, 2.0, 1.0), dose, variance, {})
    assert repeats.check(quick=False).passed is passed


CASE = """
kind = "coverage"
title = "t"
source = "s"
size = [4.0, 4.0, 4.0]
quick_repeats = 4
repeats = 5
[head]
histories = 400
recorded = 0.5
most = 3
half_field = 1.0
spread = 0.5
[[studies]]
name = "files"
varied = "file"
mirror = "xy"
beams = 2
angles = [0.0, 30.0]
passes = 2
voxel = 2.0
[[studies]]
name = "seeds"
varied = "seed"
beams = 1
angles = [0.0]
passes = 1.5
voxel = 0.5
"""


def write_case(folder: Path, text: str = CASE):
    (folder / "case.toml").write_text(text)
    return load_case(folder)


def test_small_run(tmp_path):
    verdict = run(write_case(tmp_path), Options(tmp_path / "out", quick=True, threads=1))
    assert [check.name.split(":")[0] for check in verdict.checks] == ["files", "seeds"]
    # four repeats give the ratio to 40 % or so
    assert all(abs(check.value) < 80 and 0 < check.sigma < 80 for check in verdict.checks)
    assert verdict.histories == 4 * 400 * (2 * 4 * 2 + 1.5)
    assert "Dmean, cube of 1 cm" in verdict.as_dict()["stated_over_true_of_dvh_metrics"]["seeds"]
    verdict.draw(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("recorded = 0.5", "recorded = 1.5", "share"),
        ("beams = 2", "beams = 3", "angles"),
        ("pas", "p", "passes"),
    ],
)
def test_a_case_that_cannot_be_is_refused(tmp_path, old, new, said):
    with pytest.raises(InputError, match=said):
        run(write_case(tmp_path, CASE.replace(old, new)), Options(tmp_path, quick=True))


def test_shipped_case_is_read():
    assert load_case(CASES / "sigma_coverage").kind == "coverage"

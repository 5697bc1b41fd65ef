"""The benchmark: its record, its sigma, its cases. Peers are not needed."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"
FIGURES = ("cpu_s_to_1pct", "histories_per_s", "cpu_seconds", "sigma_percent", "histories", "compile_s")


@pytest.fixture(scope="module")
def benchmark():
    sys.path.insert(0, str(SCRIPTS))
    yield importlib.import_module("benchmark")
    sys.path.remove(str(SCRIPTS))


def test_json_is_all_that_stdout_gets():
    """One object of the promised shape, whose figures belong together."""
    words = ["--only", "water", "--seconds", "0.6", "--repeats", "3", "--json"]
    done = subprocess.run(
        [sys.executable, SCRIPTS / "benchmark.py", *words, "--engines", "mcverify"],
        capture_output=True,
        text=True,
        check=True,
    )
    record = json.loads(done.stdout)
    assert list(record) == ["water"]
    ours = record["water"]["mcverify"]
    assert set(FIGURES) <= set(ours)
    assert all(ours[name] > 0 for name in FIGURES)
    assert ours["cpu_s_to_1pct"] == pytest.approx(ours["cpu_seconds"] * ours["sigma_percent"] ** 2)
    assert ours["histories_per_s"] == pytest.approx(ours["histories"] / ours["cpu_seconds"])
    assert not any(name.startswith("ratio_") for name in record["water"])
    assert "CPU-s to 1 %" in done.stderr


def test_missing_peer_is_left_out_with_a_note(benchmark, monkeypatch, capfd):
    for engine in benchmark.ENGINES.values():
        monkeypatch.setattr(engine, "version", staticmethod(lambda: None))
    monkeypatch.setattr(benchmark, "_own_stdout", lambda: sys.stdout)
    assert benchmark.main(["--only", "water", "--json", "--engines", "ompmc"]) != 0
    out, err = capfd.readouterr()
    assert "ompmc is not installed" in err
    assert out == ""


def test_sigma_of_known_noise(benchmark):
    """3 % noise in each of 8 runs is 3 % / sqrt(8) of their mean, whatever the level of the dose."""
    rng = np.random.default_rng(5)
    truth = rng.uniform(0.5, 1.0, (30, 30, 30))
    doses = [7.0 * truth * (1.0 + 0.03 * rng.standard_normal(truth.shape)) for _ in range(8)]
    sigma = benchmark.relative_sigma(doses, truth, truth > 0.6)
    assert sigma == pytest.approx(0.03 / np.sqrt(8), rel=0.02)


def test_sigma_falls_with_the_root_of_the_histories(benchmark):
    """Four times the histories halve sigma: the runs are independent and the estimate is of their mean."""
    case = benchmark.water()
    engine = benchmark.Ours(case)
    few = [engine.run(4_000) for _ in range(6)]
    many = [engine.run(16_000) for _ in range(6)]
    truth = np.mean([*few, *[dose for dose in many for _ in range(4)]], axis=0)
    where = benchmark.high_dose(truth, case.phantom)
    few_sigma, many_sigma = (benchmark.relative_sigma(doses, truth, where) for doses in (few, many))
    assert few_sigma / many_sigma == pytest.approx(2.0, rel=0.1)


def test_blocks_hold_what_the_benchmark_says(benchmark):
    """Media at points (x, y, z) [cm] inside every block and beside it."""
    phantom = benchmark.blocks().phantom
    places = {
        (-0.5, 10.0, 3.2): "lung",
        (-12.0, -10.0, 11.9): "lung",
        (-5.0, 0.0, 12.2): "water",
        (0.0, 0.0, 6.0): "water",
        (1.1, 14.0, 4.2): "bone",
        (5.5, 0.0, 8.9): "bone",
        (2.2, 0.0, 6.2): "titanium",
        (4.6, -14.0, 6.2): "titanium",
        (3.5, 0.0, 6.2): "bone",
        (3.0, 0.0, 9.2): "water",
    }
    for place, name in places.items():
        index = tuple(np.round(phantom.grid.index(place[::-1])).astype(int))
        medium = phantom.materials[phantom.material[index]]
        assert medium.name == name, place
        density = {"lung": 0.26, "titanium": 4.54, "bone": 1.85, "water": 1.0}[name]
        assert phantom.density[index] == pytest.approx(density)


def test_spine_keeps_the_patients_mass_and_meets_the_isocentre(benchmark):
    """Turned, not changed: bone lies on the axis where the spine is, and the field is 5 cm there."""
    case = benchmark.spine()
    grid = case.phantom.grid
    assert grid.spacing == (0.25, 0.25, 0.25)
    assert grid.lower[0] == pytest.approx(0.0)
    depth = 100.0 - case.beam.distance
    assert 3.0 < depth < 20.0
    assert (case.beam.x2 - case.beam.x1) * 100.0 / case.beam.distance == pytest.approx(5.0)
    names = np.array([material.name for material in case.phantom.materials])
    on_axis = np.round(grid.index((0.0, 0.0, 0.0))).astype(int)[1:]
    column = names[case.phantom.material[:, on_axis[0], on_axis[1]]]
    bone = grid.centres(0)[column == "bone"]
    assert abs(bone - depth).min() < 3.0
    mass = case.phantom.density.sum() * grid.voxel_volume * 1e-3  # [kg]
    assert 15.0 < mass < 60.0

"""Validation cases as they are run: tiny ones, broken off and taken up again, recorded, refused."""

from __future__ import annotations

import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mc.compute.beam_dose import BeamTransport, beam_dose
from mc.config import Physics
from mc.geometry.voxels import GAS_DENSITY, INTERFACE, JUMP, build_voxels, without_margin
from mc.run.options import RunOptions
from phantoms.errors import InputError
from validation.cli import main
from validation.engine import record
from validation.engine.attenuation import away_from_edges
from validation.engine.case import CASES, KINDS, Case, find_cases, load_case, read_physics
from validation.engine.fano import FanoSource
from validation.engine.phase_space import SharedFile, phase_space_dose
from validation.engine.published import nist_materials
from validation.engine.run import run_case
from validation.engine.stored import load_dose, save_dose
from validation.engine.sums import Histories, beam_sums
from validation.engine.synthetic_head import Head, write_head
from validation.engine.tank import read_beam, read_phantom
from validation.engine.verdict import Check, Options, Verdict

TINY = """
kind = "reference"
title = "a small tank"
source = "itself"

[phantom]
size = [5.5, 5.5, 4.0]
voxel = [0.5, 0.5, 0.2]

[[phantom.layers]]
material = "water"
density = 1.0
top = 0.0
bottom = 4.0

[beam]
particle = "electron"
energy = 6.0
field = [3.0, 3.0]
ssd = 100.0

[histories]
batch = 1_000
quick = 40_000
full = 60_000

[physics]
photon_cut = 0.05
photon_split = 1
"""


@pytest.fixture
def tiny(tmp_path):
    folder = tmp_path / "cases" / "tiny"
    folder.mkdir(parents=True)
    (folder / "case.toml").write_text(TINY)
    return load_case(folder)


def parts(case: Case):
    """Phantom, beam, physics, histories."""
    table = case.table()
    return (
        read_phantom(table.table("phantom")),
        read_beam(table.table("beam")),
        read_physics(table),
        Histories.read(table.table("histories")),
    )


def with_reference(case: Case, factor: float = 1.0) -> Case:
    """The case with its own dose of other random numbers, times `factor`, as the reference."""
    phantom, beam, physics, _ = parts(case)
    dose = beam_dose(phantom, beam, 100_000, RunOptions(physics, seed=5), batches=40)
    save_dose(case.folder / "reference.npz", 9.0 * factor * dose.mean, 9.0 * dose.sigma, phantom.grid)
    return case


# --- running ------------------------------------------------------------------------------------------


def test_a_case_passes_against_itself_and_fails_against_another(tiny, tmp_path):
    verdict = run_case(with_reference(tiny), Options(tmp_path / "out", quick=True))
    assert verdict.passed, [c for c in verdict.checks if not c.passed]
    assert verdict.histories == 40_000 and verdict.cpu_seconds > 0
    verdict = run_case(with_reference(tiny, 1.1), Options(tmp_path / "out", quick=True))
    assert not verdict.passed and verdict.histories == 40_000


def test_a_run_broken_off_goes_on_where_it_was(tiny, tmp_path, monkeypatch):
    phantom, beam, physics, histories = parts(tiny)
    whole = beam_sums(Options(tmp_path / "whole"), "tiny", phantom, beam, physics, histories)
    assert whole.batches == 60 and abs(whole.account.balance - 1.0) < 1e-6

    def stop(progress):
        if progress.batches == 5:
            os.kill(os.getpid(), signal.SIGINT)

    options = Options(tmp_path / "broken", on_progress=stop)
    with pytest.raises(KeyboardInterrupt):
        beam_sums(options, "tiny", phantom, beam, physics, histories)
    ran = []
    run = BeamTransport.run
    monkeypatch.setattr(
        BeamTransport, "run", lambda self, first, n: ran.append(first // n) or run(self, first, n)
    )
    options = Options(options.out)
    again = beam_sums(options, "tiny", phantom, beam, physics, histories)
    assert ran == list(range(6, 60))
    np.testing.assert_array_equal(again.total, whole.total)
    np.testing.assert_array_equal(again.square, whole.square)
    assert again.account == whole.account

    # other options are another run, and a quick one is the beginning of a full one
    ran.clear()
    other = replace(physics, electron_cut=0.3)
    beam_sums(replace(options, quick=True), "tiny", phantom, beam, other, histories)
    assert ran == list(range(40))
    ran.clear()
    beam_sums(options, "tiny", phantom, beam, other, histories)
    assert ran == list(range(40, 60))


def test_sums_are_the_dose_of_the_public_function(tiny, tmp_path):
    phantom, beam, physics, histories = parts(tiny)
    sums = beam_sums(Options(tmp_path, quick=True), "tiny", phantom, beam, physics, histories)
    dose = beam_dose(phantom, beam, 40_000, RunOptions(physics), batches=40)
    np.testing.assert_allclose(sums.mean, dose.mean, rtol=1e-12)
    np.testing.assert_allclose(sums.sigma, dose.sigma, rtol=1e-6, atol=1e-9 * dose.mean.max())
    assert dose.provenance["histories"] == 40_000 and dose.latent.max() == 0
    with pytest.raises(InputError, match="batches"):
        beam_dose(phantom, beam, 1)


def test_sigma_of_a_simple_beam_is_its_scatter(tiny):
    phantom, beam, physics, _ = parts(tiny)
    doses = [beam_dose(phantom, beam, 600, RunOptions(physics, seed=s), batches=20) for s in range(12)]
    high = doses[0].mean > 0.5 * doses[0].mean.max()
    scatter = np.var([dose.mean[high] for dose in doses], axis=0, ddof=1).mean()
    stated = np.mean([dose.sigma[high] ** 2 for dose in doses])
    assert stated / scatter == pytest.approx(1.0, abs=0.25)


def test_fano_layers_get_what_their_electrons_have(tiny):
    """A uniform medium, in which a few thousand electrons say it to a percent."""
    table = load_case(CASES / "fano_water_uniform").table()
    physics, phantom = read_physics(table), read_phantom(table.table("phantom"))
    source = FanoSource(phantom, 1.0, physics, None)
    assert list(source.groups) == ["all layers"] and 10 < source.judged.sum() < 20
    assert not source.judged[:4].any() and not source.judged[-4:].any()
    ratios = np.array([source.run(4000, k)[-1] for k in range(8)])
    assert ratios.mean() == pytest.approx(1.0, abs=5 * ratios.std() / np.sqrt(8) + 0.002)
    assert ratios.std() < 0.02


def test_fano_groups_separate_the_layers_beside_a_jump():
    table = load_case(CASES / "fano_water_gaps").table()
    physics, phantom = read_physics(table), read_phantom(table.table("phantom"))
    groups = FanoSource(phantom, 1.0, physics, None).groups
    assert groups["thin medium"].sum() == 40 and groups["thin medium, beside the jump"].sum() == 8
    assert groups["wall, layer 1"].sum() == groups["wall, layer 2"].sum() == 8
    assert np.flatnonzero(groups["wall, layer 1"])[:2].tolist() == [8, 19]


def test_steps_are_kept_short_where_the_density_jumps_only():
    """The air around a phantom of one column would shorten them everywhere, and no other would be tested."""
    for case in find_cases():
        if case.kind not in ("reference", "r50", "fano", "interface"):
            continue
        phantom = read_phantom(case.table().table("phantom"))
        interface = without_margin(build_voxels(phantom).medium >= INTERFACE, phantom)
        axis = tuple(n // 2 for n in phantom.grid.shape[1:])
        density = phantom.density[:, *axis]
        jump = np.abs(np.diff(np.log(density))) > np.log(JUMP)
        expected = density < GAS_DENSITY
        expected[1:] |= jump
        expected[:-1] |= jump
        np.testing.assert_array_equal(interface[1:-1, *axis], expected[1:-1], case.name)


# --- definitions --------------------------------------------------------------------------------------


def test_every_case_of_the_project_is_sound():
    cases = find_cases()
    assert {case.kind for case in cases} == set(KINDS)
    for case in cases:
        assert case.title and case.source
        if case.kind not in ("reference", "interface"):
            continue
        table = case.table()
        phantom = read_phantom(table.table("phantom"))
        path = case.folder / "reference.npz"
        if path.exists():
            assert load_dose(path)[2].matches(phantom.grid), case.name
    size = sum(path.stat().st_size for path in CASES.rglob("*") if path.is_file() and path.suffix != ".pyc")
    assert size < 15e6


def test_a_cylinder_lies_along_y():
    table = load_case(CASES / "interface_titanium_rod").table()
    phantom = read_phantom(table.table("phantom"))
    rod = phantom.density == np.float32(4.54)
    assert rod.all(axis=1).sum() == rod.any(axis=1).sum()
    assert rod[:, 0].sum() * 0.01 == pytest.approx(np.pi * 0.3**2, rel=0.15)  # by voxel centres
    z, x = np.nonzero(rod[:, 0])
    assert phantom.grid.centres(0)[z].mean() == pytest.approx(5.0)
    assert phantom.grid.centres(2)[x].mean() == pytest.approx(0.0, abs=1e-9)
    assert [m.name for m in phantom.materials] == ["air", "water", "bone", "titanium"]
    assert phantom.materials[phantom.material[50, 4, 5]].name == "bone"


def test_mistakes_in_a_case_are_reported(tiny, tmp_path):
    def load(text):
        tiny.path.write_text(text)
        return load_case(tiny.folder)

    with pytest.raises(InputError, match=r"'kinds' meant"):
        load(TINY.replace("kind =", "kinds ="))
    with pytest.raises(InputError, match=r"case\.toml"):
        load("kind = ")
    for old, new, message in (
        ('"water"', '"wine"', "wine"),
        ("bottom = 4.0", "bottom = 3.0", "must reach"),
        ("field =", "feld =", "'feld' meant"),
        ("photon_split", "photon_splits", "photon_split"),
    ):
        case = with_broken(load, old, new)
        with pytest.raises(InputError, match=message):
            table = case.table()
            read_phantom(table.table("phantom"))
            read_beam(table.table("beam"))
            read_physics(table)
    with pytest.raises(InputError, match=r"is no validation case.*water_6mv"):
        find_cases(["water_6mv"])


def with_broken(load, old, new):
    assert old in TINY
    return load(TINY.replace(old, new))


def test_points_at_absorption_edges_are_left_out():
    """Tungsten's K edge at 69.5 keV, and the L edges between 10.2 and 12.1 keV."""
    energy = np.array([0.0101, 0.0118, 0.0150, 0.06952, 0.0695251, 0.08])
    assert away_from_edges(nist_materials()["tungsten"], energy).tolist() == [True, False, True] + [
        False
    ] * 2 + [True]
    assert away_from_edges(nist_materials()["water"], energy).all()


# --- the command --------------------------------------------------------------------------------------


def test_command_runs_a_case_and_writes_what_it_found(tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["validate", "attenuation", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "tungsten" in printed and "PASS" in printed and "FAIL" not in printed
    stated = json.loads((out / "attenuation" / "verdict.json").read_text())
    assert stated["passed"] and stated["mcverify"] and len(stated["checks"]) == 7
    assert (out / "attenuation" / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_command_fails_with_a_case(tmp_path, monkeypatch, capsys):
    copy = tmp_path / "cases"
    shutil.copytree(CASES / "attenuation", copy / "attenuation")
    path = copy / "attenuation" / "reference.csv"
    path.write_text(path.read_text().replace("water,1,0.07072", "water,1,0.07172"))
    monkeypatch.setattr("validation.engine.case.CASES", copy)
    monkeypatch.setattr("validation.engine.case.find_cases.__defaults__", ((), copy))
    assert main(["validate", "attenuation", "--out", str(tmp_path / "out")]) == 1
    assert "-1.39 %, limit 0.3 %" in capsys.readouterr().out


def test_command_refuses_and_lists(tmp_path, capsys):
    assert main(["validate", "watr*", "--out", str(tmp_path)]) == 2
    assert "is no validation case" in capsys.readouterr().err
    assert main(["validate", "--list", "--out", str(tmp_path / "none")]) == 0
    assert "r50_water_10" in capsys.readouterr().out and not (tmp_path / "none").exists()


def test_a_phase_space_that_is_not_here_skips_its_case(tiny, tmp_path):
    case = with_reference(tiny)
    text = TINY[: TINY.index("[beam]")] + (
        '[phase_space]\npath = "../none"\nmirror = "xy"\nssd = 90.0\nquick_rounds = 1\nfull_rounds = 2\n'
    )
    case.path.write_text(text)
    verdict = run_case(case, Options(tmp_path / "out"))
    assert "none" in verdict.skipped and not verdict.checks


def test_rounds_of_a_phase_space_go_on_where_they_were(tiny, tmp_path):
    write_head(tmp_path, Head(200, 0.5, 4, 1.0, 0.2), 0)
    path = next(tmp_path.glob("*.IAEAheader")).with_suffix("")
    phantom, _, physics, _ = parts(tiny)
    source = SharedFile(path, "x", 1.0, 1, 3)

    def run(name, quick):
        return phase_space_dose(Options(tmp_path / name, quick=quick), "tiny", phantom, source, physics)

    begun, whole = run("a", True), run("a", False)
    assert begun.histories == 2 * 2 * 200 and whole.histories == 3 * begun.histories
    assert whole.freedom == 3 * begun.freedom
    assert all(check.passed for check in whole.checks)
    assert 0.0 < whole.dose.sum() == pytest.approx(begun.dose.sum(), rel=0.1)
    np.testing.assert_array_equal(whole.dose, run("b", False).dose)


def test_table_of_verdicts(tmp_path):
    page = tmp_path / "validation.md"
    page.write_text(f"before\n{record.BEGIN}\nold\n{record.END}\nafter\n")
    record.write_table(page)
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    assert "| case | verdict |" in text
    page.write_text("no marks")
    with pytest.raises(InputError, match="lacks the lines"):
        record.write_table(page)


def test_verdict_is_strict_json(tmp_path):
    verdict = Verdict("a", (Check("x", np.float64("nan"), 1.0),), Physics(), 1e6, 2.0, {"of": np.arange(2)})
    record.write(verdict, tmp_path / "a")
    stated = json.loads((tmp_path / "a" / "verdict.json").read_text(), parse_constant=pytest.fail)
    assert stated["passed"] is False and stated["of"] == [0, 1]
    assert stated["physics"]["electron_cut"] == Physics().electron_cut
    assert not list((tmp_path / "a").glob(".*"))
    assert Path(record.PAGE).exists()

"""The linac's head: nothing gained or lost by splitting, one file for any number of threads, refusals."""

import os
import signal
from dataclasses import replace

import numpy as np
import pytest

from mc.compute import head as module
from mc.compute.head import HeadOptions, HeadTransport, head_geometry, simulate_head
from mc.machine.head_model import Core, Head, Part
from mc.run.progress import Listener
from mc.source.phase_space import open_phase_space
from mc.transport.head import NEW
from mc.transport.scoring import EMITTED, ESCAPED, ROULETTE
from phantoms.errors import InputError
from tests.machines import machine_text, simple_head
from validation.cli import main

INF = float("inf")
HEAD = Head(
    electron_mev=6.0,
    energy_fwhm_mev=0.0,
    spot_radius_cm=0.05,
    spot_fwhm_cm=None,
    splitting=100,
    splitting_radius_cm=25.0,
    contaminants_from_z_cm=4.0,
    plane_z_cm=10.0,
    radius_cm=20.0,
    electrons=1000,
    parts=(
        Part("target", "tungsten", None, (0.0, 0.1), (0.0, 0.0), (INF, INF)),
        Part("collimator", "tungsten", None, (1.0, 3.0), (0.3, 0.8), (5.0, 5.0)),
        Part("filter", "copper", None, (5.0, 6.0), (0.0, 0.0), (0.0, 1.5)),
    ),
)
MACHINE = machine_text(
    simple_head(spot_radius_cm=0.05, splitting=100, splitting_radius_cm=25.0, contaminants_from_z_cm=4.0),
    name="HEAD",
)


def records(head, electrons, **options):
    transport = HeadTransport(head, 100.0, HeadOptions(**options))
    return np.concatenate(transport.run(0, electrons)).astype(float), transport


def by_history(rows, values, electrons):
    """Mean of the sum of `values` over the particles of an electron, and its sigma."""
    history = np.cumsum(rows[:, NEW]).astype(int)
    sums = np.bincount(history, values)
    mean = sums.sum() / electrons
    return mean, np.sqrt((np.sum(sums**2) / electrons - mean**2) / electrons)


@pytest.fixture(scope="module")
def split():
    return records(HEAD, 4000)


def test_splitting_is_unbiased(split):
    """Photons into the field, their energy, their distance from the axis; 3.5 sigma each fails 1 in 400."""
    electrons = 40_000
    rows, transport = split
    plain, _ = records(replace(HEAD, splitting=1, contaminants_from_z_cm=None), electrons, seed=2)
    scores = []
    for found, number in ((rows, 4000), (plain, electrons)):
        kind, energy, x, y, u, v, w, weight, _ = found.T
        distance = (100.0 - transport.cuts.scoring_plane) / np.where(w > 0, w, np.nan)
        radius = np.hypot(x + distance * u, y + distance * v)
        aimed = (kind == 0) & (radius < 25.0)
        bands = [aimed & (radius >= low) & (radius < high) for low, high in ((0, 8), (8, 16), (16, 25))]
        values = [weight * (kind == 0) * aimed, weight * energy * aimed, *(weight * band for band in bands)]
        scores.append([by_history(found, value, number) for value in values])
    for (a, sigma_a), (b, sigma_b) in zip(*scores, strict=True):
        assert b > 0 and sigma_b < 0.1 * b
        assert abs(a - b) < 3.5 * np.hypot(sigma_a, sigma_b)


def test_a_core_changes_the_density_of_particles_alone(split, tmp_path):
    """Photons in and out of the core, their energy, charged particles: as without; 3.5 sigma each."""
    head = replace(HEAD, core=Core(radius_cm=8.0, splitting=1000, share=0.4))
    done = simulate_head(head, 100.0, tmp_path / "core", 4096, HeadOptions(seed=3, threads=1))
    assert done.report.energy_balance == pytest.approx(1.0, abs=1e-9)
    found = done.phase_space.read(0, len(done.phase_space))
    assert done.phase_space.header.orig_histories == 4096
    plain, transport = split
    cored = np.column_stack([found.kind - 1.0, *found[1:4], *found[5:]])  # without z, as records
    scores, density = [], []
    for rows, electrons in ((plain, 4000), (cored, 4096)):
        kind, energy, x, y, u, v, w, weight, _ = rows.T
        distance = (100.0 - transport.cuts.scoring_plane) / np.where(w > 0, w, np.nan)
        radius = np.hypot(x + distance * u, y + distance * v)
        photon, inner, outer = kind == 0, radius < 8.0, (radius >= 8.0) & (radius < 16.0)
        values = [weight * photon * inner, weight * energy * photon * inner, weight * photon * outer,
                  weight * energy * photon * outer, weight * ~photon]  # fmt: skip
        scores.append([by_history(rows, value, electrons) for value in values])
        density.append(np.count_nonzero(photon & inner) / electrons)
    for (a, sigma_a), (b, sigma_b) in zip(*scores, strict=True):
        assert b > 0 and sigma_b < 0.25 * b  # charged particles are few
        assert abs(a - b) < 3.5 * np.hypot(sigma_a, sigma_b)
    assert 3.0 < density[1] / density[0] < 5.0  # 10 times the splitting of 0.4 of the electrons


def test_no_energy_is_lost_and_splitting_gives_as_much_as_it_takes(split):
    _, transport = split
    counters = transport.counters
    spent = int(transport.deposited.sum()) + counters[ESCAPED] + counters[ROULETTE]
    assert abs(spent - counters[EMITTED]) < 1e-9 * counters[EMITTED]
    assert abs(counters[ROULETTE]) < 0.02 * counters[EMITTED]  # its sigma is some 0.3 %


def test_weights_and_places(split):
    rows, _ = split
    assert np.all(rows[:, 7] == np.float32(0.01))  # fat photons are outside the field and not recorded
    assert np.all(rows[:, 6] > 0)
    photons = rows[rows[:, 0] == 0]
    distance = (100.0 - 10.0) / photons[:, 6]
    assert (
        np.hypot(photons[:, 2] + distance * photons[:, 4], photons[:, 3] + distance * photons[:, 5]).max()
        < 25.001
    )
    assert np.count_nonzero(rows[:, 0] == 1) > 100  # contaminating electrons
    assert photons[:, 1].max() < 6.0 and photons[:, 1].min() > 0.05


def test_the_file_does_not_depend_on_threads_or_buffer_size(tmp_path, monkeypatch):
    one = simulate_head(HEAD, 100.0, tmp_path / "one", 1500, HeadOptions(threads=1))
    monkeypatch.setattr(module, "UNIT_RECORDS", 2000)  # records are handed over many times
    monkeypatch.setattr(module, "MAX_RECORDS", 40)
    two = simulate_head(HEAD, 100.0, tmp_path / "two", 1500, HeadOptions(threads=2))
    assert one.phase_space.data_path.read_bytes() == two.phase_space.data_path.read_bytes()
    header = one.phase_space.header
    assert header.orig_histories == 1500 and header.constants["z"] == 10.0
    assert header.record_length == 21  # the weight is a constant
    assert one.report.stack_overflows == 0 and one.report.lost_particles == 0
    assert 0 < one.phase_space.recorded <= 1500


def test_an_interruption_keeps_what_is_done(tmp_path):
    def interrupt(progress):
        if progress.histories >= 2048:
            os.kill(os.getpid(), signal.SIGINT)

    done = simulate_head(
        HEAD, 100.0, tmp_path / "head", 10**6, HeadOptions(threads=1), listener=Listener(progress=interrupt)
    )
    assert done.report.interrupted and done.report.electrons == 2048
    assert open_phase_space(tmp_path / "head").header.orig_histories == 2048
    assert sorted(path.name for path in tmp_path.iterdir()) == ["head.IAEAheader", "head.IAEAphsp"]


def test_overlapping_parts_and_unknown_materials_are_refused():
    ring = Part("ring", "copper", None, (2.0, 4.0), (0.0, 0.0), (1.0, 1.0))
    with pytest.raises(InputError, match="ring and collimator overlap"):
        head_geometry(replace(HEAD, parts=(*HEAD.parts, ring)))
    with pytest.raises(InputError, match="no material 'unobtainium'"):
        head_geometry(replace(HEAD, parts=(*HEAD.parts, replace(ring, material="unobtainium"))))


def test_command(tmp_path, capsys):
    machine = tmp_path / "linac.toml"
    machine.write_text(MACHINE)
    stem = tmp_path / "head"
    assert main(["head", str(machine), "--electrons", "500", "--out", str(stem), "--threads", "1"]) == 0
    assert "electrons per CPU-second" in capsys.readouterr().out
    assert open_phase_space(stem).header.orig_histories == 500


@pytest.mark.parametrize(
    "change, message",
    [
        (("z_cm = [0.0, 0.1]", "z_cm = [0.1, 0.0]"), "ascending"),
        (("spot_radius_cm = 0.05", "spot_fwhm_cm = [0.1]"), "list of 2 numbers"),
        (("spot_radius_cm = 0.05", ""), "spot_radius_cm"),
        (("z_cm = [0.0, 0.1]", "z_cm = [0.0, 11.0]"), "reaches below the plane"),
        (("splitting = 100", "splitting = 1.5"), "whole number"),
        (('material = "tungsten"', 'material = "tungsten"\ninner_cm = [9.0]\nouter_cm = [8.0]'), "outside"),
        (("contaminants_from_z_cm = 4.0", "contaminants_from_z_cm = 40.0"), "between 0 and the plane"),
    ],
)
def test_impossible_heads_are_refused(tmp_path, capsys, change, message):
    machine = tmp_path / "linac.toml"
    machine.write_text(MACHINE.replace(*change))
    assert main(["head", str(machine), "--electrons", "10", "--out", str(tmp_path / "x")]) == 2
    assert message in capsys.readouterr().err

"""Dose to water from the same run: stopping-power ratios, exactly 1 in water, however work is shared out."""

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from mc.backends.cpu import cuts_of
from mc.config import Physics
from mc.dose import Dose
from mc.plan.delivery import fixed
from mc.run import batch
from mc.run.batch import PlacedBeam
from mc.run.options import RunOptions, StopRule
from mc.run.simulate import simulate
from mc.source.beams import spectrum
from mc.source.phase_space import Particles
from mc.source.phase_space_writer import write_phase_space
from mc.tables import build_tables
from mc.tables.build import energy_nodes
from mc.transport.context import Cuts
from mc.transport.particle import ELECTRON, PHOTON, POSITRON
from phantoms.errors import InputError
from phantoms.grid import Grid
from phantoms.materials import load_materials
from phantoms.phantom import Phantom
from phantoms.recipes import Layer, slabs, water_tank
from tests.mc.engine import ANALOGUE, pencil, run_particles
from tests.mc.nist_reference import ALUMINIUM, TITANIUM, estar
from tests.mc.small_linac import judged, plan
from validation.cli import main
from validation.rtdose import read_rtdose

PLAN = Physics()
CUTS = cuts_of(PLAN)
LIBRARY = load_materials()
NAMES = ("air", "water", "muscle_icru44", "lung_icru44", "cortical_bone_icru44", "titanium")
MATERIALS = tuple(LIBRARY[name] for name in NAMES)
BLOCK = Grid((1, 1, 1), (40.0, 40.0, 40.0), (0.0, 0.0, 0.0))
BEAM_6MV = spectrum([0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0], [1.0, 2.6, 1.9, 1.3, 1.6, 0.9, 0.6])


@pytest.fixture(scope="module")
def tables():
    return build_tables(MATERIALS, PLAN)


def ratio_at(tables, name, energy):
    return np.interp(energy, energy_nodes(), tables.water_ratio[NAMES.index(name)])


def broad_beam(kind, energies):
    """Particles along z of given energies over 4 x 4 cm."""
    particles = pencil(kind, 1.0, (0, 0, 0), (0, 0, 1), len(energies))
    particles[:, 1] = energies
    particles[:, 2:4] = np.random.default_rng(1).uniform(-2.0, 2.0, (len(energies), 2))
    return particles


def block(name):
    """One voxel of a material."""
    index, one = NAMES.index(name), np.ones((1, 1, 1))
    return Phantom(BLOCK, MATERIALS[index].density * one, index * one, MATERIALS)


# --- the ratio ----------------------------------------------------------------------------------------


def test_ratio_of_water_is_one(tables):
    assert (tables.water_ratio[NAMES.index("water")] == 1.0).all()
    assert (np.abs(tables.water_ratio[NAMES.index("muscle_icru44")] - 1.0) < 0.02).all()


@pytest.mark.shared
@pytest.mark.parametrize(("name", "theirs"), [("titanium", TITANIUM), ("aluminium", ALUMINIUM)])
def test_ratio_is_estars(shared, name, theirs):
    rows = estar(shared)
    water = rows["water.liquid"]
    other = next(row for row in rows.values() if row["Z"] == theirs.composition[0][0])
    table = build_tables([theirs], PLAN).water_ratio[0]
    found = np.interp(water["energy"], energy_nodes(), table)
    np.testing.assert_allclose(found, water["collision"] / other["collision"], rtol=1e-3)


def test_a_table_that_is_not_finite_is_refused(monkeypatch):
    monkeypatch.setattr("mc.tables.build.slowing_table", lambda *_: np.full((1, 2, 3, 6), np.nan))
    with pytest.raises(InputError, match=r"material.*slowing.*not finite"):
        build_tables([LIBRARY["water"]], PLAN)


# --- scoring ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cuts", [CUTS, CUTS._replace(**ANALOGUE)], ids=["plan", "analogue"])
@pytest.mark.parametrize("kind", [PHOTON, ELECTRON, POSITRON])
def test_in_water_both_are_the_same_to_the_last_bit(tables, kind, cuts):
    water = np.full((4, 4, 4), NAMES.index("water"))
    phantom = Phantom(
        Grid(water.shape, (1.0, 1.0, 1.0), (0.5, -1.5, -1.5)), 1.0 + 0.1 * water, water, MATERIALS
    )
    particles = broad_beam(kind, np.linspace(0.2, 6.0, 500))
    result = run_particles(phantom, tables, cuts, particles, water=True)
    assert result.voxels.sum() > 30.0
    np.testing.assert_array_equal(result.water, result.voxels)
    alone = run_particles(phantom, tables, cuts, particles)
    np.testing.assert_array_equal(alone.tally, result.tally)


@pytest.mark.parametrize("energy", [1.0, 10.0])
@pytest.mark.parametrize("name", NAMES)
def test_thin_foil(name, energy):
    """Electrons that lose but one per cent in a foil, all of it continuously: the ratio at their energy."""
    material = LIBRARY[name]
    tables = build_tables((LIBRARY["air"], material), Physics(electron_cut=31.0, photon_cut=31.0))
    thickness = 0.01 * energy / (2.0 * material.density)  # they lose about 2 MeV cm2/g at most
    foil = slabs([Layer(material, material.density, 0.0, thickness)], (1e3, 1e3), (thickness, 1e3, 1e3))
    beam = pencil(ELECTRON, energy, (0, 0, 0.0), (0, 0, 1), 200)
    foil = Phantom(foil.grid, foil.density, np.ones(foil.grid.shape), (LIBRARY["air"], material))
    result = run_particles(foil, tables, Cuts(0.05, 31.0), beam, water=True)
    water = build_tables((LIBRARY["water"],), PLAN).stopping[0, 0, :, 1]
    both = [np.interp(energy, energy_nodes(), s) for s in (water, tables.stopping[1, 0, :, 1])]
    assert float(result.water.sum() / result.voxels.sum()) == pytest.approx(both[0] / both[1], rel=1e-3)


@pytest.mark.parametrize("save", [0.0, 0.5])
@pytest.mark.parametrize("energy", [0.45, 3.0])
@pytest.mark.parametrize("name", ["lung_icru44", "cortical_bone_icru44", "titanium"])
def test_stopped_electrons(name, energy, save):
    """Electrons that slow down to rest: the ratio weighted by slowing-down fluence times stopping power.

    That is its mean over energy, track ends below the cut-off at that of the cut-off; range rejection
    changes nothing.
    """
    phantom, cut = block(name), PLAN.electron_cut
    tables = build_tables(MATERIALS, Physics(electron_cut=31.0, photon_cut=31.0))
    particles = pencil(ELECTRON, energy, (0, 0, 0), (0, 0, 1), 50)
    result = run_particles(phantom, tables, Cuts(cut, 31.0, 8, range_rejection=save), particles, water=True)
    energies = np.linspace(cut, energy, 20_001)
    above = np.trapezoid(ratio_at(tables, name, energies), energies)
    expected = (above + cut * ratio_at(tables, name, cut)) / energy
    assert result.water.item() / result.voxels.item() == pytest.approx(expected, rel=1e-3)


def test_deposits_on_the_spot_take_the_ratio_at_the_cut_off(tables):
    """Photons too slow to go anywhere, and positrons that annihilate at once."""
    phantom, cuts = block("cortical_bone_icru44"), CUTS._replace(photon_cut=5.0)
    for kind in (PHOTON, ELECTRON, POSITRON):
        result = run_particles(phantom, tables, cuts, pencil(kind, 0.1, (0, 0, 0), (0, 0, 1), 50), water=True)
        expected = ratio_at(tables, "cortical_bone_icru44", cuts.electron_cut)
        assert result.voxels.item() > 0.0
        assert result.water.item() / result.voxels.item() == pytest.approx(expected, rel=1e-6)


def test_tissues_in_a_6_mv_beam(tables):
    """About 1 % in soft tissue and over 10 % in cortical bone (Siebers et al. 2000), within noise."""
    layers, z = [], 0.0
    for name, thickness in (
        ("water", 3.0), ("muscle_icru44", 2.0), ("cortical_bone_icru44", 2.0), ("titanium", 1.0),
        ("lung_icru44", 4.0), ("water", 3.0),
    ):  # fmt: skip
        layers.append(Layer(LIBRARY[name], LIBRARY[name].density, z, z + thickness))
        z += thickness
    phantom = slabs(layers, (20.0, 20.0), (1.0, 20.0, 20.0))
    edges, cumulative = BEAM_6MV
    particles = broad_beam(PHOTON, np.interp(np.linspace(0.0, 1.0, 3000), cumulative, edges))
    result = run_particles(phantom, build_tables(phantom.materials, PLAN), CUTS, particles, water=True)
    ratio = (result.water / result.voxels).ravel()
    assert (ratio[:3] == 1.0).all() and (ratio[-3:] == 1.0).all()
    assert (np.abs(ratio[3:5] - 1.0) < 0.012).all()
    assert ((ratio[5:7] > 1.10) & (ratio[5:7] < 1.16)).all()
    assert 1.30 < ratio[7] < 1.45
    assert (np.abs(ratio[8:12] - 1.0) < 0.02).all()


def test_the_same_bits_however_the_work_is_shared_out(tables):
    bone = NAMES.index("cortical_bone_icru44")
    grid, one = Grid((3, 3, 3), (1.0, 1.0, 1.0), (0.5, -1.0, -1.0)), np.ones((3, 3, 3))
    phantom = Phantom(grid, 1.9 * one, bone * one, MATERIALS)
    particles = np.concatenate([pencil(kind, 4.0, (0, 0, -1), (0.1, 0, 1), 100) for kind in range(3)])
    whole = run_particles(phantom, tables, CUTS, particles, water=True).water
    for workers in (1, 7):
        found = run_particles(phantom, tables, CUTS, particles, workers=workers, water=True).water
        np.testing.assert_array_equal(found, whole)
    parts = [
        run_particles(phantom, tables, CUTS, particles[first : first + 75], first=first, water=True).water
        for first in (225, 0, 150, 75)
    ]
    np.testing.assert_array_equal(sum(parts), whole)


# --- whole runs ---------------------------------------------------------------------------------------


def simulated(folder, phantom, water):
    rng = np.random.default_rng(1)
    x, y = rng.uniform(-1.5, 1.5, (2, 800))
    zero, one = np.zeros(800), np.ones(800)
    particles = Particles(
        np.ones(800, np.int8), 2.0 * one, x, y, zero, zero, zero, one, one, np.ones(800, bool)
    )
    space = write_phase_space(folder / "field", particles, 1000)
    beam = PlacedBeam(1, space, fixed(np.eye(3), np.array([0.0, 0.0, -1.0])), 1.0)
    stop = StopRule(uncertainty=None, histories=4000)
    return simulate(phantom, [beam], RunOptions(PLAN, stop, threads=1, dose_to_water=water))


def test_both_doses_of_a_run(tmp_path, monkeypatch):
    """Means and both sigmas; the reference condition of a calibration, water, knows no difference."""
    monkeypatch.setattr(batch, "GROUPS", 8)
    tank = water_tank((4.0, 4.0, 4.0), (1.0, 1.0, 1.0))
    found = simulated(tmp_path, tank, water=True)
    for name in ("mean", "sigma", "latent"):
        np.testing.assert_array_equal(getattr(found.dose.to_water, name), getattr(found.dose, name))
    assert found.report.transport_uncertainty_in_water == found.report.transport_uncertainty
    alone = simulated(tmp_path, tank, water=False)
    assert alone.dose.to_water is None and "transport_uncertainty_in_water" not in alone.report.to_dict()
    np.testing.assert_array_equal(alone.dose.mean, found.dose.mean)

    material = np.full(tank.grid.shape, 1)
    bone = Phantom(tank.grid, 1.9 * material, material, (LIBRARY["air"], LIBRARY["cortical_bone_icru44"]))
    found = simulated(tmp_path, bone, water=True)
    ratio = found.dose.to_water.mean / found.dose.mean
    assert (np.abs(ratio[1:] - 1.13) < 0.02).all()
    np.testing.assert_allclose(found.dose.to_water.sigma[1:], 1.13 * found.dose.sigma[1:], rtol=0.05)
    assert found.report.energy_balance == pytest.approx(1.0, abs=1e-8)  # of the medium


def two_doses():
    grid = Grid((2, 3, 4), (0.3, 0.2, 0.1), (0.0, 0.0, 0.0))
    mean = np.arange(24.0).reshape(grid.shape)
    water = Dose(grid, 1.1 * mean, 0.1 * mean, 0.02, {"quantity": "dose to water"})
    return Dose(grid, mean, 0.1 * mean, 0.01, {"quantity": "dose to medium"}, water)


def test_a_file_keeps_both(tmp_path):
    dose = two_doses()
    dose.save(tmp_path / "dose.h5")
    loaded = Dose.load(tmp_path / "dose.h5")
    for found, kept in ((loaded, dose), (loaded.to_water, dose.to_water)):
        np.testing.assert_array_equal(found.mean, kept.mean)
        np.testing.assert_array_equal(found.latent, np.float32(kept.latent))
        assert found.provenance == kept.provenance
    part = Grid((1, 2, 2), dose.grid.spacing, (0.3, 0.2, 0.1))
    np.testing.assert_array_equal(loaded.crop_to(part).to_water.mean, dose.to_water.mean[1:, 1:, 1:3])
    with pytest.raises(ValueError, match="one grid"):
        replace(dose, to_water=dose.to_water.crop_to(part))


def test_a_file_of_format_1_is_read(tmp_path):
    replace(two_doses(), to_water=None).save(tmp_path / "dose.h5")
    with h5py.File(tmp_path / "dose.h5", "a") as file:
        file.attrs["format_version"] = 1
    loaded = Dose.load(tmp_path / "dose.h5")
    assert loaded.to_water is None and loaded.mean.max() == 23.0


# --- the command line ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["medium", "water", "both"])
def test_plan_compares_what_is_asked_for(bench, capsys, kind):
    assert judged(plan("--histories", "3000", "--dose-to", kind))
    dose, rtdose = Dose.load("out/dose.h5"), read_rtdose("out/RTDOSE.dcm")
    assert (dose.to_water is None) == (kind == "medium")
    assert dose.provenance["quantity"].startswith("dose to medium")
    compared, name = (dose.to_water, "dose to water") if kind == "water" else (dose, "dose to medium")
    np.testing.assert_allclose(rtdose.dose, np.maximum(compared.mean, 0), atol=rtdose.scaling)
    result = json.loads(Path("out/result.json").read_text())
    assert result["monte_carlo_dose"] == compared.provenance["quantity"] == f"{name}, whole course"
    assert f"Monte Carlo dose compared: {name}" in capsys.readouterr().out
    assert name in Path("out/report.html").read_text()
    if kind != "medium":
        assert dose.to_water.provenance["quantity"] == "dose to water, whole course"
        assert (dose.to_water.mean != dose.mean).any()


def test_gamma_of_the_dose_to_water(tmp_path, capsys):
    two_doses().save(tmp_path / "both.h5")
    replace(two_doses(), to_water=None).save(tmp_path / "medium.h5")
    argv = ["gamma", str(tmp_path / "both.h5"), str(tmp_path / "both.h5"), "--out", str(tmp_path / "g.json")]
    for kind, maximum in (("medium", 23.0), ("water", 1.1 * 23.0)):
        assert main([*argv, "--dose-to", kind]) == 0
        record = json.loads((tmp_path / "g.json").read_text())
        assert record["normalisation_gy"] == pytest.approx(maximum)
        assert record["evaluated_is"] == f"dose to {kind}"
    argv[2] = str(tmp_path / "medium.h5")
    assert main([*argv, "--dose-to", "water"]) == 2
    assert "holds no dose to water" in capsys.readouterr().err

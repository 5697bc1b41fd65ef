"""IAEA files of ours, read by other people's readers, where they are installed: the same particles."""

import shutil

import numpy as np
import pytest

from mc.source.phase_space import Particles
from mc.source.phase_space_tools import thin_out
from mc.source.phase_space_writer import write_phase_space

KINDS = {22: 1, 11: 2, -11: 3}  # Particle Data Group's numbers


@pytest.fixture
def particles():
    rng = np.random.default_rng(4)
    n = 500
    x, y = rng.uniform(-5, 5, (2, n))
    path = np.sqrt(x**2 + y**2 + 27.0**2)
    return Particles(
        rng.choice(np.array([1, 1, 1, 2, 3], np.int8), n), rng.uniform(0.1, 6.0, n), x, y, np.full(n, 27.0),
        x / path, y / path, 27.0 / path, np.full(n, 0.125), np.arange(n) % 5 == 0,
    )  # fmt: skip


@pytest.fixture
def stem(tmp_path, particles):
    """As `mcverify head` writes it, then with all values in every record."""
    space = write_phase_space(
        tmp_path / "head", particles, 1000, constants=("z", "weight"), info={"TITLE": "a head"}
    )
    full = thin_out(space, tmp_path / "full", lambda p: p.energy > 0, "everything", all_values=True)
    for one in (space, full):  # these readers want other extensions
        shutil.copy(one.header_path, one.header_path.with_suffix(".header"))
        shutil.copy(one.data_path, one.data_path.with_suffix(".phsp"))
    return tmp_path


def test_topas2numpy(stem, particles):
    reader = pytest.importorskip("topas2numpy")
    read = reader.read_ntuple(str(stem / "full.phsp"))
    columns = [read[name] for name in read.dtype.names]
    kind, energy, x, y, z, u, v, weight = columns
    assert np.array_equal(np.abs(kind), particles.kind) and np.all(kind > 0)
    assert np.array_equal(energy < 0, particles.new_history)
    for found, name in ((np.abs(energy), "energy"), (x, "x"), (y, "y"), (z, "z"), (u, "u"), (v, "v")):
        assert np.allclose(found, getattr(particles, name), rtol=1e-6, atol=1e-6), name
    assert np.all(weight == 0.125)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["head", "full"])
def test_particle_phase_space(stem, particles, name):
    reader = pytest.importorskip("ParticlePhaseSpace", reason="GPL-3: not among the extras")
    fields = [("particle type", "i1"), ("Ek", "f4"), ("x", "f4"), ("y", "f4")]
    constants = {"z": 27.0, "weight": 0.125} if name == "head" else {}
    if name == "full":
        fields += [("z", "f4")]
    fields += [("Cosine X", "f4"), ("Cosine Y", "f4")]
    if name == "full":
        fields += [("weight", "f4")]
    loader = reader.DataLoaders.Load_IAEA(
        data_schema=np.dtype(fields),
        constants=constants,
        input_data=stem / f"{name}.phsp",
        n_records=-1,
        units=reader.ParticlePhaseSpaceUnits()("cm_MeV"),
    )
    read = reader.PhaseSpace(loader)
    read.fill.kinetic_E()
    data = read.ps_data
    assert np.array_equal([KINDS[code] for code in data["particle type [pdg_code]"]], particles.kind)
    for column, values in (
        ("x [cm]", particles.x),
        ("y [cm]", particles.y),
        ("z [cm]", particles.z),
        ("weight", particles.weight),
        ("Ek [MeV]", particles.energy),
    ):
        assert np.allclose(data[column].astype(float), values, rtol=2e-5, atol=1e-5), column
    total = np.sqrt(data["px [MeV/c]"] ** 2 + data["py [MeV/c]"] ** 2 + data["pz [MeV/c]"] ** 2)
    assert np.allclose(data["px [MeV/c]"] / total, particles.u, atol=1e-5)
    assert np.allclose(data["pz [MeV/c]"] / total, particles.w, atol=1e-5)

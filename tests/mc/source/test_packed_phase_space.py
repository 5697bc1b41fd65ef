"""Packed phase spaces: what was packed comes back byte for byte, and what cannot be is refused."""

import numpy as np
import pytest

from mc.source import packed_phase_space
from mc.source.packed_phase_space import PACKED, cache_folder, pack
from mc.source.phase_space import Particles, open_phase_space
from mc.source.phase_space_writer import write_phase_space
from phantoms.errors import InputError

N = 2000
Z = 50.0


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda _: str(tmp_path / "cache"))


def beam(rng):
    """Photons of histories of four, from a spot on the target, some of them scattered out of all order."""
    spot = np.repeat(rng.normal(0.0, 0.05, (2, N // 4)), 4, axis=1)
    x, y = rng.uniform(-5.0, 5.0, (2, N))
    along = np.stack([x - spot[0], y - spot[1], np.full(N, Z)])
    along /= np.sqrt((along**2).sum(axis=0))
    scattered = rng.uniform(size=N) < 0.2
    along[:, scattered] = rng.normal(size=(3, N))[:, scattered]
    along /= np.sqrt((along**2).sum(axis=0))
    along[:, 5] = 1.0, 0.0, 0.0  # along the plane
    single = [np.float32(values).astype(float) for values in (x, y, *along)]
    energy = np.float32(rng.uniform(0.01, 6.0, N)).astype(float)
    weight = np.full(N, np.float32(0.001), float)
    kind = np.where(scattered, 2, 1).astype(np.int8)
    x, y, u, v, w = single
    return Particles(kind, energy, x, y, np.full(N, Z), u, v, w, weight, np.arange(N) % 4 == 0)


def packed(folder, byte_order=1234, particles=None):
    """A packed phase space, its data file and the bytes this held."""
    particles = particles or beam(np.random.default_rng(3))
    latch = [(2, np.arange(N) % 5)]
    space = write_phase_space(
        folder / "a", particles, N, constants=("z",), extra_longs=latch, byte_order=byte_order
    )
    content, sha256 = space.data_path.read_bytes(), space.sha256
    path = space.data_path.with_name(space.data_path.name + PACKED)
    pack(space.records(0, N), Z, path)
    space.data_path.unlink()
    return path, content, sha256


@pytest.mark.parametrize("byte_order", [1234, 4321])
def test_comes_back_byte_for_byte(tmp_path, byte_order):
    path, content, sha256 = packed(tmp_path, byte_order)
    assert path.stat().st_size < 0.7 * len(content)
    for name in ("a", "a.IAEAheader", "a.IAEAphsp"):
        space = open_phase_space(tmp_path / name)
        assert space.data_path.read_bytes() == content and space.sha256 == sha256
        assert space.data_path.name == "a.IAEAphsp" and cache_folder() in space.data_path.parents


def test_a_file_cut_from_a_longer_one(tmp_path):
    whole = beam(np.random.default_rng(4))
    cut = whole._replace(new_history=(np.arange(N) + 3) % 4 == 0)
    _, content, _ = packed(tmp_path, particles=cut)
    assert open_phase_space(tmp_path / "a").data_path.read_bytes() == content


def test_is_unpacked_once(tmp_path, monkeypatch):
    packed(tmp_path)
    space = open_phase_space(tmp_path / "a")
    monkeypatch.setattr(packed_phase_space, "_unpacked", lambda *_: pytest.fail("unpacked twice"))
    assert open_phase_space(tmp_path / "a").data_path == space.data_path


def test_what_was_changed_in_the_cache_is_unpacked_anew(tmp_path):
    _, content, _ = packed(tmp_path)
    data = open_phase_space(tmp_path / "a").data_path
    data.write_bytes(content[::-1])
    assert open_phase_space(tmp_path / "a").data_path.read_bytes() == content


def test_a_data_file_goes_before_a_packed_one(tmp_path):
    _, content, _ = packed(tmp_path)
    (tmp_path / "a.IAEAphsp").write_bytes(content)
    assert open_phase_space(tmp_path / "a").data_path == tmp_path / "a.IAEAphsp"


def test_damage_is_refused(tmp_path):
    path, _, _ = packed(tmp_path)
    whole = path.read_bytes()
    for part in (whole[: len(whole) // 2], b"", b"nonsense", whole.replace(b"directions", b"directionz")):
        path.write_bytes(part)
        with pytest.raises(InputError, match=r"a\.IAEAphsp\.npz: is no packed phase space.*anew"):
            open_phase_space(tmp_path / "a")
    path.write_bytes(whole)
    header = tmp_path / "a.IAEAheader"
    header.write_text(header.read_text().replace(f"{Z!r}     // Constant", "49.0     // Constant"))
    with pytest.raises(InputError, match="does not unpack to what was packed"):
        open_phase_space(tmp_path / "a")


def test_no_place_to_unpack(tmp_path):
    packed(tmp_path)
    (tmp_path / "cache").write_text("no folder")
    with pytest.raises(InputError, match=r"a\.IAEAphsp: cannot be unpacked"):
        open_phase_space(tmp_path / "a")

"""Phase spaces made at first use: made once, found again, made anew for another head, never kept in half."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from mc.compute import head_cache
from mc.compute.head import HeadOptions
from mc.compute.head_cache import head_phase_space, remove_cached_head, with_head_phase_space, with_heads
from mc.machine.machine import read_machine
from mc.run.progress import Listener
from mc.source.phase_space import open_phase_space
from phantoms.errors import InputError
from tests.machines import focused_jaws, machine_text, simple_head

MACHINE = machine_text(
    simple_head(splitting=20, splitting_radius_cm=10.0 * 2.0**0.5, electrons=300, spot_fwhm_cm=[0.1, 0.2]),
    focused_jaws("X", 20.0, 28.0),
    name="HEAD",
)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda _: str(tmp_path / "cache"))
    (tmp_path / "linac.toml").write_text(MACHINE)
    return read_machine(tmp_path / "linac.toml")


def test_made_once_and_found_again(machine, tmp_path, monkeypatch):
    quality, stages = machine.energies[0], []
    header = head_phase_space(machine, quality, HeadOptions(threads=1), Listener(stages.append))
    space = open_phase_space(header)
    assert space.header.orig_histories == 300 and "HEAD 6 MV FFF" in space.header.title
    assert sorted(path.name for path in header.parent.parent.iterdir()) == [
        header.parent.name
    ]  # nothing partial
    monkeypatch.setattr(head_cache, "simulate_head", lambda *_, **__: pytest.fail("made twice"))
    assert head_phase_space(machine, quality, listener=Listener(stages.append)) == header
    assert [line.split(",")[0] for line in stages] == [
        "kernels of heads (compiled once",
        "head of HEAD 6 MV FFF: 300 electrons",
    ]
    shaped = with_head_phase_space(machine, quality)
    (file,) = shaped.phase_spaces
    assert file.plane == "above_jaws" and file.file == header
    assert file.field_cm == pytest.approx((-10.0, 10.0, -10.0, 10.0))


def test_a_symmetric_head_may_be_rotated(machine, monkeypatch):
    monkeypatch.setattr(head_cache, "head_phase_space", lambda *_: machine.path)
    (quality,) = machine.energies
    assert not with_head_phase_space(machine, quality).phase_spaces[-1].rotate
    round_spot = replace(quality, head=replace(quality.head, spot_fwhm_cm=(0.1, 0.1)))
    assert with_head_phase_space(machine, round_spot).phase_spaces[-1].rotate


def test_only_beams_without_phase_spaces_get_those_of_their_heads(machine, monkeypatch):
    made = []
    monkeypatch.setattr(
        head_cache, "head_phase_space", lambda _, quality, *__: made.append(quality) or quality.label
    )
    (quality,) = machine.energies
    equipped = with_heads(machine, machine.energies)
    assert made == [quality] and equipped.energies[0].phase_spaces[0].file == "6 MV FFF"
    assert with_heads(equipped, equipped.energies) == equipped and len(made) == 1
    assert with_heads(machine, []) == machine
    headless = replace(machine, energies=(replace(quality, head=None),))
    assert with_heads(headless, headless.energies) == headless


def test_another_head_is_made_anew(machine, monkeypatch):
    quality = machine.energies[0]
    made = []

    def fake_simulation(head, sad, stem, *_, **__):
        made.append(head)
        for extension in (".IAEAheader", ".IAEAphsp"):
            stem.with_name(stem.name + extension).write_text("pretended")
        return SimpleNamespace(report=SimpleNamespace(interrupted=False))

    monkeypatch.setattr(head_cache, "simulate_head", fake_simulation)
    paths = {head_phase_space(machine, quality)}
    for change in ({"electron_mev": 6.1}, {"electrons": 301}, {"spot_fwhm_cm": (0.1, 0.1)}):
        paths.add(head_phase_space(machine, replace(quality, head=replace(quality.head, **change))))
    assert len(paths) == len(made) == 4
    forgotten = paths.pop()
    remove_cached_head(forgotten)
    left = {header.parent for header in paths}
    assert set(forgotten.parent.parent.iterdir()) == left  # nothing else is gone, nothing half there


def test_only_the_cache_forgets(tmp_path):
    own = tmp_path / "beam" / "own.IAEAheader"
    own.parent.mkdir()
    own.write_text("a phase space of the user's")
    with pytest.raises(ValueError, match="not a phase space of the cache"):
        remove_cached_head(own)
    assert own.is_file()


def test_half_a_phase_space_is_not_kept(machine, tmp_path, monkeypatch):
    done = SimpleNamespace(report=SimpleNamespace(interrupted=True))
    monkeypatch.setattr(head_cache, "simulate_head", lambda *_, **__: done)
    with pytest.raises(KeyboardInterrupt):
        head_phase_space(machine, machine.energies[0])
    assert list((tmp_path / "cache" / "phase-spaces").iterdir()) == []


def test_a_beam_without_a_head_is_refused(machine):
    with pytest.raises(InputError, match="describes no head of 6 MV FFF"):
        head_phase_space(machine, replace(machine.energies[0], head=None))

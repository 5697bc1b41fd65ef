"""Files that are written whole or not at all."""

from __future__ import annotations

import pytest

from phantoms.errors import InputError
from phantoms.files import partial_name, replacing


def write(path, text="new", fault=None):
    with replacing(path) as partial:
        partial.write_text(text)
        if fault:
            raise fault(partial)


def test_a_file_is_replaced_when_it_is_whole(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")
    with replacing(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old" and partial.suffix == path.suffix
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


def test_who_may_read(tmp_path):
    write(tmp_path / "patient")
    with replacing(tmp_path / "machine", private=False) as partial:
        partial.write_text("new")
    assert (tmp_path / "patient").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "machine").stat().st_mode & 0o044


def test_planted_links_are_not_followed(tmp_path, monkeypatch):
    """At the name itself, which is replaced, and at the temporary one, which is refused if it is known."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "a.json").symlink_to(victim)
    write(tmp_path / "a.json")
    assert not (tmp_path / "a.json").is_symlink() and victim.read_text() == "precious"
    monkeypatch.setattr("secrets.token_hex", lambda _: "known")
    partial_name(tmp_path / "a.json").symlink_to(victim)
    with pytest.raises(InputError, match="File exists"):
        write(tmp_path / "a.json")
    assert victim.read_text() == "precious"


@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        (lambda partial: OSError(28, "No space left on device"), InputError),
        (lambda partial: InputError(partial, "cannot be written: no space"), InputError),
        (lambda partial: ZeroDivisionError(), ZeroDivisionError),
        (lambda partial: KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_a_fault_leaves_the_earlier_file_and_nothing_beside_it(tmp_path, fault, raised):
    path = tmp_path / "a.json"
    path.write_text("old")
    with pytest.raises(raised) as caught:
        write(path, fault=fault)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    if raised is InputError:
        assert caught.value.source == str(path) and "no space" in str(caught.value).lower()


def test_a_fault_of_another_file_is_reported_as_it_is(tmp_path):
    with pytest.raises(InputError, match=r"^other: is broken"):
        write(tmp_path / "a", fault=lambda partial: InputError("other", "is broken"))


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "folder").mkdir()
    for place in (tmp_path / "nowhere" / "a", tmp_path / "folder"):
        with pytest.raises(InputError, match=r"cannot be written.*nothing was written"):
            write(place)
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]

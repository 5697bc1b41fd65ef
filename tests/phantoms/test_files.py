"""Files that are written whole or not at all."""

from __future__ import annotations

import pytest

from phantoms.errors import InputError
from phantoms.files import replacing


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

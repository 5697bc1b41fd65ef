"""The secret of pseudonyms: made once, the user's alone, the same for all that share it."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from phantoms.errors import InputError
from phantoms.identity import pseudonym
from phantoms.secret import VARIABLE, _make, _read, secret


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "config" / "secret"))
    _read.cache_clear()
    yield tmp_path / "config" / "secret"
    _read.cache_clear()


def test_it_is_made_once_and_private(path):
    first, known = secret(), pseudonym("MRN-0815")
    assert len(first) == 32 and path.stat().st_mode & 0o777 == 0o600
    _read.cache_clear()
    assert secret() == first and pseudonym("MRN-0815") == known
    assert [entry.name for entry in path.parent.iterdir()] == ["secret"]


def test_installations_have_pseudonyms_of_their_own(path):
    first = pseudonym("MRN-0815")
    path.unlink()
    _read.cache_clear()
    assert pseudonym("MRN-0815") != first


def test_ranks_that_start_together_agree(path):
    def make(_):
        try:
            _make(path)
        except FileExistsError:
            return

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(make, range(32)))
    assert len(path.read_bytes()) == 32 and len(list(path.parent.iterdir())) == 1


def test_what_others_can_read_is_refused(path):
    secret()
    _read.cache_clear()
    path.chmod(0o640)
    with pytest.raises(InputError, match=r"secret: .*you alone can read.*chmod 600"):
        secret()
    path.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(path, 65534, 65534)
        with pytest.raises(InputError, match="you alone can read"):
            secret()


def test_planted_links_and_pipes_are_refused(path):
    path.parent.mkdir()
    (path.parent / "theirs").write_bytes(bytes(32))
    path.symlink_to(path.parent / "theirs")
    with pytest.raises(InputError, match="secret"):
        secret()
    path.unlink()
    os.mkfifo(path, 0o600)
    with pytest.raises(InputError, match="secret"):
        secret()


@pytest.mark.parametrize("place", ["/proc/nowhere/secret", "secret"])
def test_where_it_cannot_be_kept(path, monkeypatch, place):
    monkeypatch.setenv(VARIABLE, place)
    with pytest.raises(InputError, match=VARIABLE):
        secret()


def test_a_short_one_is_refused(path):
    path.parent.mkdir()
    path.touch(0o600)
    with pytest.raises(InputError, match="shorter than a secret of 32 bytes"):
        secret()

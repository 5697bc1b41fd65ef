"""Compiled kernels are taken from folders of the user alone, and compiled again where they are damaged."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from numba.core import caching

from phantoms import kernel_cache, user_folders

ROOT = Path(__file__).parents[2]
OTHER_USER = 65534  # uid of nobody
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can plant files of another user")


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """A folder for temporary files as /tmp is: anybody may write there, nobody remove what is another's."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    folder.chmod(0o1777)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    user_folders.temporary_folder.cache_clear()
    yield folder
    user_folders.temporary_folder.cache_clear()


def chosen(folder: Path, monkeypatch) -> Path:
    monkeypatch.setenv(kernel_cache.VARIABLE, str(folder))
    return kernel_cache.kernel_folder()


def test_the_chosen_folder_is_closed_to_others(tmp_path, monkeypatch):
    folder = chosen(tmp_path / "kernels", monkeypatch)
    assert folder == tmp_path / "kernels" / kernel_cache.source_hash()[:16]
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o755)  # as older versions made it: nobody else could write
    assert chosen(tmp_path / "kernels", monkeypatch) == folder and folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_others_can_write_to_is_not_used(tmp_path, temporary, monkeypatch):
    folder = chosen(tmp_path / "kernels", monkeypatch)
    folder.chmod(0o770)
    assert chosen(tmp_path / "kernels", monkeypatch).is_relative_to(temporary)
    folder.chmod(0o700)
    folder.parent.chmod(0o777)  # another folder can be put in its place
    assert chosen(tmp_path / "kernels", monkeypatch).is_relative_to(temporary)


def test_a_link_is_not_followed(tmp_path, temporary, monkeypatch):
    target = tmp_path / "target"
    target.mkdir(mode=0o700)
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels" / kernel_cache.source_hash()[:16]).symlink_to(target)
    assert chosen(tmp_path / "kernels", monkeypatch).is_relative_to(temporary)


@as_root
def test_another_users_cache_is_never_read(tmp_path, temporary, monkeypatch):
    """Planted wherever the program looks: it takes a new folder of its own."""
    name = kernel_cache.source_hash()[:16]
    for planted in (tmp_path / "kernels" / name, temporary / f"mcverify-{os.geteuid()}" / name):
        planted.mkdir(parents=True)
        for folder in (planted, planted.parent):
            os.chown(folder, OTHER_USER, OTHER_USER)
            folder.chmod(0o777)
    taken = chosen(tmp_path / "kernels", monkeypatch)
    assert taken.parent.parent == temporary and taken.parent.name.startswith("mcverify-")
    assert taken.parent.name != f"mcverify-{os.geteuid()}" and taken.stat().st_uid == os.geteuid()
    assert taken.parent.stat().st_mode & 0o777 == 0o700


class Bomb:
    """Code of another that a pickle would run."""

    def __reduce__(self):
        return os.system, ("touch exploded",)


def files(folder: Path) -> caching.IndexDataCacheFile:
    return kernel_cache._CheckedFiles(str(folder), "kernel", "stamp")


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: raw[: len(raw) // 2],
        lambda raw: b"",
        lambda raw: bytes(len(raw)),
        lambda raw: raw[:-3] + bytes([raw[-3] ^ 1]) + raw[-2:],
        lambda raw: pickle.dumps(Bomb()),
    ],
    ids=["cut short", "empty", "zeros", "a bit", "another's"],
)
def test_a_damaged_kernel_is_compiled_again(tmp_path, monkeypatch, suffix, spoil):
    monkeypatch.chdir(tmp_path)
    files(tmp_path).save("signature", ("code", 1))
    assert files(tmp_path).load("signature") == ("code", 1)
    (path,) = tmp_path.glob(f"*.{suffix}")
    path.write_bytes(spoil(path.read_bytes()))
    assert files(tmp_path).load("signature") is None
    files(tmp_path).save("signature", ("code", 2))
    assert files(tmp_path).load("signature") == ("code", 2) and not Path("exploded").exists()


def test_kernels_of_other_packages_are_left_alone(tmp_path):
    made = caching.IndexDataCacheFile(cache_path=str(tmp_path), filename_base="x", source_stamp=1)
    assert type(made) is kernel_cache._plain
    inside = str(kernel_cache.FOLDER / "x")
    assert type(caching.IndexDataCacheFile(inside, "x", 1)) is kernel_cache._CheckedFiles


def test_every_kernel_is_kept_in_this_folder():
    """Whatever is imported first: gamma, DVH, film, and the engine."""
    code = (
        "import validation.metrics.gamma_search, validation.metrics.dvh_kernels, validation.film.lzw, gc\n"
        "import phantoms.resample, phantoms.solids\n"
        "from numba.core.dispatcher import Dispatcher\n"
        "from numba.core.caching import NullCache\n"
        "from phantoms.kernel_cache import FOLDER\n"
        "kept = [d._cache.cache_path for d in gc.get_objects() if isinstance(d, Dispatcher)"
        " and not isinstance(d._cache, NullCache) and 'numba' not in d.py_func.__module__]\n"
        "assert len(kept) >= 10 and all(path.startswith(str(FOLDER)) for path in kept), kept"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "home", ["~/.cache/mcverify", "/proc/cache/mcverify"], ids=["unknown", "not writable"]
)
def test_without_a_home_folder(temporary, monkeypatch, home):
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda _: home)
    monkeypatch.setattr(os, "access", lambda path, _: not str(path).startswith("/proc"))  # root may always
    monkeypatch.delenv(kernel_cache.VARIABLE, raising=False)
    assert user_folders.cache_folder() == user_folders.temporary_folder()
    assert kernel_cache.kernel_folder().is_relative_to(temporary)

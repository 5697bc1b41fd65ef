"""Fixtures for all tests."""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: its threads burn what others could use

import gc
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.compile_once import compile_once
from tests.mc.small_linac import small_case, write_machine
from tests.pictures import draw_once

os.environ["MCVERIFY_CONFIG"] = os.devnull  # tests, and what they start, know no choices of the user's
ROOT = Path(__file__).parents[1]
NO_INDEX = "Could not find a version that satisfies", "No matching distribution found"  # pip without network


def pytest_configure() -> None:
    folder = tempfile.mkdtemp(
        prefix="mcverify-tests-"
    )  # workers inherit it from the process that starts them
    os.environ.setdefault("MCVERIFY_SECRET", f"{folder}/secret")
    compile_once()


# Modules that compile the same kernels outside the cache: one worker takes them all, and compiles once.
TOGETHER = {
    "test_collimation.py": "collimators",
    "test_collimator_electrons.py": "collimators",
    "test_cases.py": "collimators",
    "test_cases_run.py": "collimators",
    "test_gamma.py": "gamma",
    "test_api.py": "gamma",
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.xdist_group(TOGETHER.get(item.path.name, item.nodeid.partition("::")[0])))


@pytest.fixture(scope="module", autouse=True)
def _collect_what_is_new() -> None:
    """Exempt what exists from later garbage collections, of which each report makes several.

    Compiled kernels leave millions of objects, which cost a second each time they are looked through.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def _pictures(request: pytest.FixtureRequest) -> Iterator[None]:
    """Reports are drawn by the tests of the report; elsewhere they would take most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        if request.path.parent.name != "report":
            draw_once(patch)
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared data beside the checkout; the test is skipped where there is none."""
    path = ROOT.parent / "shared"
    if not path.is_dir():
        pytest.skip("no shared data beside the checkout")
    return path


@pytest.fixture(scope="session")
def tracked() -> list[Path]:
    """Every file that git tracks; the test is skipped outside a checkout."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in files if path.exists()]


@pytest.fixture(scope="session")
def wheel(tracked: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of what git tracks, built outside the checkout; the test is skipped without network."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for path in tracked:
        copy = source / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    _pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", built, source)
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the commands of an empty virtual environment into which the wheel was installed."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    _pip(folder / "bin" / "python", "install", wheel)
    return folder / "bin"


def _pip(python: str | Path, *arguments: str | Path) -> None:
    done = subprocess.run([python, "-m", "pip", *arguments], capture_output=True, text=True)
    if done.returncode and any(text in done.stderr + done.stdout for text in NO_INDEX):
        pytest.skip("no network for pip")
    assert done.returncode == 0, done.stderr


@pytest.fixture
def full_disk() -> Callable[[int], AbstractContextManager]:
    """A context in which no file grows beyond `size` bytes, so that writing fails as on a full disk."""
    resource = pytest.importorskip("resource")

    @contextmanager
    def limit(size: int):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limit


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small case and its machine, in the working folder."""
    small_case(tmp_path / "case")
    write_machine(tmp_path / "machine")
    monkeypatch.chdir(tmp_path)
    return tmp_path

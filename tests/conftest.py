"""Fixtures for all tests."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.mc.small_linac import small_case, write_machine


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared data beside the checkout; the test is skipped where there is none."""
    path = Path(__file__).parents[2] / "shared"
    if not path.is_dir():
        pytest.skip("no shared data beside the checkout")
    return path


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

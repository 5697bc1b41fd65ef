"""The documentation site builds strictly, loads nothing from elsewhere and documents the public interface."""

from __future__ import annotations

import importlib.util
import inspect
import os
import re
import subprocess
import sys
from functools import cached_property
from html.parser import HTMLParser
from pathlib import Path

import pytest

import mcverify

ROOT = Path(__file__).parents[1]
EXTRA = ("mkdocs", "material", "mkdocstrings", "mkdocstrings_handlers.python")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Folder of the site, built with every warning an error, and what mkdocs said; skipped without it."""
    missing = [name for name in EXTRA if not _installed(name)]
    if missing:
        pytest.skip(f"the extra 'docs' is not installed: {', '.join(missing)}")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout + done.stderr


def _installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


class Page(HTMLParser):
    """What a page loads from elsewhere, and its text by the identifier of the heading above it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.text: dict[str, str] = {}
        self._heading = ""
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "link" and given.get("rel") not in ("canonical", "prev", "next"):
            self.loaded.append(given["href"])
        if tag in ("script", "img", "iframe", "source", "video", "audio", "embed") and given.get("src"):
            self.loaded.append(given["src"])
        if re.fullmatch(r"h[1-6]", tag) and given.get("id"):
            self._heading = given["id"]

    def handle_data(self, data):
        self.text[self._heading] = self.text.get(self._heading, "") + data


def test_no_warning(site):
    _, said = site
    assert "WARNING" not in said and "ERROR" not in said


def test_pages_load_nothing_from_elsewhere(site):
    folder, _ = site
    pages = list(folder.rglob("*.html"))
    assert len(pages) > 40
    foreign = re.compile(r"^(?:[a-z]+:)?//", re.IGNORECASE)
    found = {f"{page.name}: {url}" for page in pages for url in Page(page).loaded if foreign.match(url)}
    styles = [path for path in folder.rglob("*.css") if re.search(r"url\(\s*[\"']?https?:", path.read_text())]
    assert found == set() and styles == []


def test_every_page_of_the_checkout_is_there(site):
    folder, _ = site
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")} - {"README"}
    assert pages <= {path.stem for path in folder.glob("*.html")}
    assert (folder / "index.html").exists() and (folder / "project" / "CONTRIBUTING.html").exists()


def test_every_module_has_its_section(site):
    folder, _ = site
    headings = {heading for page in (folder / "api").rglob("*.html") for heading in Page(page).text}
    for package in ("mc", "phantoms", "validation"):
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if not any(part.startswith("_") for part in parts):
                assert ".".join(parts) in headings


def test_the_public_interface_is_documented(site):
    """Each name and each member of a type has its section; functions state arguments, result and errors."""
    folder, _ = site
    text = Page(folder / "api" / "mcverify.html").text
    assert mcverify.__all__
    for name in mcverify.__all__:
        said, value = text[f"mcverify.{name}"], getattr(mcverify, name)
        if inspect.isclass(value):
            fields = getattr(value, "__dataclass_fields__", {})  # their defaults may be functions
            members = {member: kind for member, kind in vars(value).items() if member not in fields}
            public = [member for member, kind in members.items() if _offered(member, kind)]
            assert [f"{name}.{member}" for member in public if f"mcverify.{name}.{member}" not in text] == []
        else:
            signature = inspect.signature(value)
            assert not signature.parameters or ("Parameters:" in said and "Raises:" in said), name
            documented = "Returns:" in said or signature.return_annotation in {"None", *mcverify.__all__}
            assert documented, f"{name} returns {signature.return_annotation}"


def _offered(name: str, kind: object) -> bool:
    """Whether a member of a class is a public method or property."""
    methods = property | cached_property | classmethod | staticmethod
    return not name.startswith("_") and (inspect.isfunction(kind) or isinstance(kind, methods))

"""The documentation site builds strictly, loads nothing from elsewhere and documents the public interface."""

from __future__ import annotations

import importlib.util
import inspect
import os
import re
import subprocess
import sys
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
    """Each name has its section; functions and methods state what they take, return and raise."""
    folder, _ = site
    text = Page(folder / "api" / "mcverify.html").text
    assert mcverify.__all__
    for name in mcverify.__all__:
        said = text[f"mcverify.{name}"]
        value = getattr(mcverify, name)
        if inspect.isclass(value):
            assert "Attributes:" in said or "Parameters:" in said or issubclass(value, Exception), name
        elif callable(value):
            signature = inspect.signature(value)
            assert "Parameters:" in said or not signature.parameters, name
            assert "Returns:" in said or signature.return_annotation in (None, "None"), name
            assert "Raises:" in said, name

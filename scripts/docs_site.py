"""Hook of `mkdocs.yml`: the API reference, and files beside `docs` that the documentation links to.

The pages in `docs` link to files beside `docs` by relative paths, so that they can be read on the git host.
Such files are copied to `project/` of the site, and the links are turned there. The pages of the reference
are made from the packages as they lie in the checkout, without importing them.
"""

from __future__ import annotations

import ast
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
DOCS, PROJECT, API = "docs", "project", "api"
ROOT_MODULE, PACKAGES = "mcverify", ("phantoms", "mc", "validation")
LISTED = ("CONTRIBUTING.md", "CHANGELOG.md")  # beside `docs` and in the navigation
PAGES = "|".join(sorted(page.stem for page in (ROOT / DOCS).glob("[a-z]*.md")))
LINK = re.compile(r"(?<=\]\()([^)#\s]+)")
NAMED_PAGE = re.compile(rf"\b{DOCS}/(?P<name>{PAGES})\.md\b")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Append the pages of the project and of the reference to the navigation."""
    config.nav[-1]["Development"] += [f"{PROJECT}/{name}" for name in LISTED]
    reference: list[Any] = [_page(ROOT_MODULE)]
    reference += [{package: [_page(name) for name in _packages(package)]} for package in PACKAGES]
    config.nav.append({"API": reference})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the reference, and the files beside `docs` that pages link to."""
    pages = [f"{DOCS}/{page.src_uri}" for page in files.documentation_pages()]
    for path in _linked_from([*pages, *LISTED]):
        files.append(File.generated(config, _uri(path), abs_src_path=str(ROOT / path)))
    files.append(File.generated(config, _page(ROOT_MODULE), content=_root_page()))
    for package in PACKAGES:
        for name in _packages(package):
            files.append(File.generated(config, _page(name), content=_package_page(name)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Turn links between files of the checkout into links between pages of the site."""
    uri = page.file.src_uri
    if uri.startswith(f"{API}/"):
        return markdown
    source = uri.removeprefix(f"{PROJECT}/") if uri.startswith(f"{PROJECT}/") else f"{DOCS}/{uri}"

    def turned(match: re.Match) -> str:
        target = _target(source, match[1])
        return posixpath.relpath(_uri(target), posixpath.dirname(uri) or ".") if target else match[0]

    return LINK.sub(turned, markdown)


def on_page_content(html: str, page: Page, **_: Any) -> str:
    """Turn the names of pages in docstrings into links."""
    if not page.file.src_uri.startswith(f"{API}/"):
        return html
    to_root = posixpath.relpath(".", posixpath.dirname(page.url))
    return NAMED_PAGE.sub(rf'<a href="{to_root}/\g<name>.html">\g<0></a>', html)


def _linked_from(pages: list[str]) -> list[str]:
    """Files beside `docs` among `pages` and all that is linked from them, directly or through each other."""
    waiting, seen = list(pages), set(pages)
    while waiting:
        source = waiting.pop()
        if source.endswith(".md"):
            targets = {_target(source, link) for link in LINK.findall((ROOT / source).read_text("utf-8"))}
            new = {target for target in targets if target} - seen
            waiting += new
            seen |= new
    return sorted(path for path in seen if not path.startswith(f"{DOCS}/"))


def _target(source: str, link: str) -> str | None:
    """Path in the checkout of the file that a link of the file `source` leads to, if there is one."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
    return path if (ROOT / path).is_file() else None


def _uri(path: str) -> str:
    """Place in the site of a file of the checkout."""
    return path.removeprefix(f"{DOCS}/") if path.startswith(f"{DOCS}/") else f"{PROJECT}/{path}"


def _packages(package: str) -> list[str]:
    """Dotted names of a package and the packages in it, sorted."""
    folders = (path.parent.relative_to(ROOT) for path in (ROOT / package).rglob("__init__.py"))
    return sorted(".".join(folder.parts) for folder in folders)


def _page(name: str) -> str:
    """Place in the site of the page of a package or module; those of `PACKAGES` are the index of a folder."""
    return f"{API}/{name}/index.md" if name in PACKAGES else f"{API}/{name.replace('.', '/')}.md"


def _root_page() -> str:
    """The public interface: every name of `__all__`, in its order."""
    tree = ast.parse((ROOT / f"{ROOT_MODULE}.py").read_text("utf-8"))
    listed = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    names = [name for value in listed for name in ast.literal_eval(value)]
    parts = [_directive(f"{ROOT_MODULE}.{name}") for name in names]
    return "\n".join([f"# {ROOT_MODULE}\n", _directive(ROOT_MODULE, alone=True), *parts])


def _package_page(name: str) -> str:
    """The modules of a package with their public names."""
    modules = sorted(path.stem for path in (ROOT / name.replace(".", "/")).glob("*.py"))
    parts = [_directive(f"{name}.{module}") for module in modules if not module.startswith("_")]
    return "\n".join([f"# {name}\n", _directive(name, alone=True), *parts])


def _directive(name: str, alone: bool = False) -> str:
    """What mkdocstrings replaces by the documentation of a name; `alone`: without heading and members."""
    lines = [f"::: {name}"]
    if alone:
        lines.append("    options:")
        lines += [f"      {key}: false" for key in ("members", "show_root_heading", "show_root_toc_entry")]
    return "\n".join(lines) + "\n"

"""What the documentation names exists: files of the checkout, and modules, functions and classes in it."""

from __future__ import annotations

import ast
import configparser
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("mc", "phantoms", "validation")
PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").glob("*.md"),
    *(page for package in PACKAGES for page in (ROOT / package).rglob("*.md")),
]
OLD_PATHS = re.compile(r"^\| old path \|.*?\n\n", re.MULTILINE | re.DOTALL)
# A path from the root of the checkout, perhaps with {alternatives} or wildcards; not part of a longer one.
PATH = re.compile(r"(?<![\w./-])(?:mc|phantoms|validation|scripts|tests|docs)/[\w./*{},-]*[\w*}]")
NAME = re.compile(r"(?<=`)(?:mc|phantoms|validation)(?:\.\w+)+(?=[`(])")


def text_of(page: Path) -> str:
    """A page without the old paths that CONTRIBUTING lists, and without versions that are released."""
    text = page.read_text(encoding="utf-8")
    if page.name == "CHANGELOG.md":
        text = "".join(text.partition("## [Unreleased]")[1:]).partition("\n## [")[0]
    return OLD_PATHS.sub("", text)


def expanded(path: str) -> list[str]:
    """A path with {alternatives}, written out."""
    if not (found := re.search(r"{([^{}]*)}", path)):
        return [path]
    ends = path[: found.start()], path[found.end() :]
    return [whole for part in found[1].split(",") for whole in expanded(ends[0] + part.strip() + ends[1])]


def exists(path: str) -> bool:
    """Whether a path leads to a file or folder, or to a file with its extension left out."""
    return any(any(ROOT.glob(whole)) for whole in (path.rstrip("/"), f"{path}.*"))


def resolves(name: str) -> bool:
    """Whether a dotted name is that of a module, or of something defined in one."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        module = ROOT.joinpath(*parts[:end])
        source = module / "__init__.py" if module.is_dir() else module.with_suffix(".py")
        if source.is_file():
            return _defined(ast.parse(source.read_text(encoding="utf-8")), parts[end:])
    return False


def _defined(tree: ast.AST, names: list[str]) -> bool:
    """Whether a module or class defines the first of the names, that the second, and so on."""
    if not names:
        return True
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == names[0]:
            return _defined(node, names[1:])
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if names[0] in [getattr(target, "id", None) for target in targets]:
            return len(names) == 1
    return False


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_paths_and_names_exist(page):
    text = text_of(page)
    paths = {whole for path in PATH.findall(text) for whole in expanded(path)}
    missing = sorted(path for path in paths if not exists(path))
    missing += sorted(name for name in set(NAME.findall(text)) if not resolves(name) and not exists(name))
    assert missing == []


@pytest.mark.parametrize(
    ("text", "path", "name"),
    (
        ("`mc/physics/compton.py` and", "mc/physics/compton.py", None),
        ("[x](../mc/data/SOURCES.md)", None, None),
        ("`mc/numerics/{jit,rng}`.", "mc/numerics/{jit,rng}", None),
        ("see `mc.run.simulate`.", None, "mc.run.simulate"),
        ("validate > validation.log", None, None),
        ("`validation-results/sums`", None, None),
    ),
)
def test_what_is_looked_for(text, path, name):
    assert PATH.findall(text) == ([path] if path else [])
    assert NAME.findall(text) == ([name] if name else [])


def test_what_is_found():
    assert exists("mc/numerics/jit") and exists("mc/physics/*.py") and not exists("mc/numerics/no_such")
    assert expanded("a/{b,c}/{d,e}") == ["a/b/d", "a/b/e", "a/c/d", "a/c/e"]
    assert resolves("mc.dose.Dose.save") and resolves("phantoms.errors.InputError") and resolves("mc")
    assert not resolves("mc.dose.Dose.no_such") and not resolves("mc.no_such")


def test_the_drawing_of_the_layers_is_that_of_the_contracts():
    """CONTRIBUTING draws the layers of setup.cfg, from the top of validation to the bottom of phantoms."""
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / "setup.cfg", encoding="utf-8")
    layers = [
        line.strip()
        for package in ("validation", "mc", "phantoms")
        for line in contracts[f"importlinter:contract:{package}"]["layers"].split("\n")
        if line.strip()
    ]
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    drawing = page.partition("## Who may import whom")[2].split("```")[1]
    drawn = re.findall(r"^(?:validation|mc|phantoms|│)? +(\S.*)$", drawing, re.MULTILINE)
    assert drawn == layers


def test_the_tree_of_the_design_holds_every_package():
    page = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    tree = page.split("```")[1]
    packages = {path.parent.name for package in PACKAGES for path in (ROOT / package).glob("*/__init__.py")}
    assert sorted(name for name in packages if not re.search(rf"^  .*\b{name}/", tree, re.MULTILINE)) == []

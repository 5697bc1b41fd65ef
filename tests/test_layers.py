"""The import contracts of setup.cfg hold, and no module of the engine escapes them."""

from __future__ import annotations

import ast
import configparser
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("mc", "phantoms", "validation")


def sources():
    for package in PACKAGES:
        yield from (ROOT / package).rglob("*.py")


def test_import_contracts():
    pytest.importorskip("importlinter")
    lint = "from importlinter.cli import lint_imports_command as lint; lint(args=['--no-logo', '--no-cache'])"
    done = subprocess.run([sys.executable, "-c", lint], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_every_module_of_the_engine_has_its_layer():
    config = configparser.ConfigParser(interpolation=None)
    config.read(ROOT / "setup.cfg")
    layers = config["importlinter:contract:house"]["layers"].replace("|", " ").split()
    modules = {f"mc.{path.stem}" for path in (ROOT / "mc").glob("*.py")} - {"mc.__init__"}
    modules |= {f"mc.{path.parent.name}" for path in (ROOT / "mc").glob("*/__init__.py")}
    assert modules == {layer for layer in layers if layer.startswith("mc.")}


def test_the_cuda_compiler_has_one_door():
    """Contracts know external packages as a whole only, so numba.cuda is looked for here."""
    door = ROOT / "mc" / "backends" / "cuda.py"
    assert [str(path) for path in sources() if path != door and "numba.cuda" in imported(path)] == []


def imported(path):
    """Names of the modules that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names

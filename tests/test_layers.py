"""The import contracts of setup.cfg hold, and no module of the engine escapes them."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("mc", "phantoms", "validation")
MAX_PACKAGES = 15  # of mc
LOOSE = {"config.py", "covariance.py", "dose.py", "provenance.py"}


def sources():
    for package in PACKAGES:
        yield from (ROOT / package).rglob("*.py")


def test_import_contracts():
    pytest.importorskip("importlinter")
    lint = "from importlinter.cli import lint_imports_command as lint; lint(args=['--no-logo', '--no-cache'])"
    done = subprocess.run([sys.executable, "-c", lint], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_every_module_lies_in_a_package():
    """Beside packages, mc holds four modules and validation none; the contracts list the packages."""
    assert {path.name for path in (ROOT / "mc").glob("*.py")} == {"__init__.py"} | LOOSE
    assert {path.name for path in (ROOT / "validation").glob("*.py")} == {"__init__.py"}
    assert len(list((ROOT / "mc").glob("*/__init__.py"))) <= MAX_PACKAGES


def test_no_package_imports_upwards():
    """The contracts know the three packages; the root module, scripts and tests lie above them."""
    above = {"mcverify", "scripts", "tests"}
    assert [str(path) for path in sources() if above & {name.split(".")[0] for name in imported(path)}] == []


def test_the_cuda_compiler_has_one_importer():
    """Contracts know external packages as a whole only, so numba.cuda is looked for here."""
    importer = ROOT / "mc" / "backends" / "cuda.py"
    assert [str(path) for path in sources() if path != importer and "numba.cuda" in imported(path)] == []


def imported(path):
    """Names of the modules that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names

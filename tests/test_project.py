"""The project as such: what is tracked, what is promised in README.md, what a wheel holds."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import mc

ROOT = Path(__file__).parents[1]
PACKAGES = ("mc", "phantoms", "validation")
LARGEST_FILE = 20_000_000  # bytes
LARGEST_WHEEL = 40_000_000
NOT_SHIPPED = "figure.png"  # of the validation cases: the documentation shows them
BINARY = (".dcm", ".h5", ".npz", ".jpg", ".png", ".IAEAphsp")
# A path in the home, work or temporary folder of whoever committed the file.
MACHINE_PATH = re.compile(r"(?<![\w.~$}/])/(?:work|tmp|home|root|Users)/[\w.]+")
README = (ROOT / "README.md").read_text()


def test_no_large_files(tracked):
    assert [path.name for path in tracked if path.stat().st_size > LARGEST_FILE] == []


def test_no_paths_of_a_machine(tracked):
    found = []
    for path in tracked:
        if path.suffix not in BINARY:
            for match in MACHINE_PATH.findall(path.read_text(encoding="utf-8")):
                found.append(f"{path.relative_to(ROOT)}: {match}")
    assert found == []


def test_paths_of_a_machine_are_seen():
    assert MACHINE_PATH.search("see /" + "home/someone/x") and MACHINE_PATH.search('"/' + 'tmp/a.dcm"')
    assert not MACHINE_PATH.search("docs/work/flow and ~/tmp/x")


def test_version_is_one():
    """The version is stated in mc/__init__.py alone, and the command reports it."""
    assert re.fullmatch(r"\d+\.\d+\.\d+", mc.__version__)
    assert "version = attr: mc.__version__" in (ROOT / "setup.cfg").read_text()
    done = subprocess.run(
        [sys.executable, "-m", "mcverify", "--version"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"mcverify {mc.__version__}"


def test_changelog_has_unreleased():
    changelog = (ROOT / "CHANGELOG.md").read_text()
    unreleased = re.search(r"^## \[Unreleased\]\n(.*?)(?=^## \[|\Z)", changelog, re.MULTILINE | re.DOTALL)
    assert unreleased and "- " in unreleased.group(1)


def test_licence():
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert "license = Apache-2.0" in (ROOT / "setup.cfg").read_text()
    assert "TotalSegmentator" in (ROOT / "NOTICE").read_text()


def test_every_module_says_what_it_is():
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    silent = [path for path in files if not ast.get_docstring(ast.parse(path.read_text()))]
    assert [str(path.relative_to(ROOT)) for path in silent if path.name != "__main__.py"] == []


def test_every_public_name_says_what_it_is():
    silent = []
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.parse(path.read_text()).body:
                public = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
                if public and not ast.get_docstring(node):
                    silent.append(f"{path.relative_to(ROOT)}: {node.name}")
    assert silent == []


def test_entries_of_docstrings_are_in_sections():
    """Parameters, attributes and results are listed below a numpydoc heading; the site merges others."""
    loose = []
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                    before = re.split(r"\n[A-Z][A-Za-z ]+\n-{3,}\n", ast.get_docstring(node) or "")[0]
                    if re.search(r"^\w+(, \w+)* : ", before, re.MULTILINE):
                        loose.append(f"{path.relative_to(ROOT)}: {node.name}")
    assert loose == []


def readme_commands():
    """The set-up lines of README.md, cut into single commands."""
    lines = [line for line in README.splitlines() if line.startswith("python3 -m venv .venv && ")]
    return [command.strip() for line in lines for command in line.split("#")[0].split("&&")]


def test_ci_runs_what_the_readme_promises():
    commands = readme_commands()
    assert ".venv/bin/mcverify demo" in commands and ".venv/bin/pytest -n auto" in commands
    script = (ROOT / ".ci" / "run").read_text()
    plain = script.replace('"$venv"', ".venv").replace('"$venv/', ".venv/").replace('"', "")
    plain = re.sub(r" --quiet| --out \S+", "", plain)
    ran = [line.strip() for line in plain.splitlines()]
    assert [command for command in commands if command not in ran] == []
    assert ran[-1] == ".venv/bin/pytest -n auto -m slow"  # the closing line of CI is pytest's summary


def test_links_of_the_documentation_lead_somewhere():
    broken = []
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
            if not target.startswith(("http", "mailto")) and not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")
    assert broken == []


@pytest.mark.slow
def test_wheel(tracked, wheel):
    """The wheel holds all three packages with their data, no tests and no scripts, and stays small."""
    assert wheel.stat().st_size < LARGEST_WHEEL
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    relative = {path.relative_to(ROOT).as_posix() for path in tracked if path.name != NOT_SHIPPED}
    expected = {name for name in relative if name.startswith(tuple(f"{package}/" for package in PACKAGES))}
    assert held == expected | {"mcverify.py"}


@pytest.mark.slow
def test_validate_runs_from_the_wheel(installed, tmp_path):
    """The cases come with the package; they are recorded in a checkout alone."""

    def validate(*options):
        command = [installed / "mcverify", "validate", "--quick", "attenuation", "--out", tmp_path / "out"]
        environment = {"PATH": os.environ["PATH"], "XDG_CACHE_HOME": str(tmp_path / "cache")}
        return subprocess.run(
            [*command, *options], cwd=tmp_path, env=environment, capture_output=True, text=True
        )

    done = validate()
    assert done.returncode == 0, done.stderr
    verdict = json.loads((tmp_path / "out" / "attenuation" / "verdict.json").read_text())
    assert verdict["passed"] and verdict["checks"] and (tmp_path / "out/attenuation/figure.png").is_file()
    refused = validate("--record")
    assert refused.returncode == 2 and "run it from a checkout" in refused.stderr

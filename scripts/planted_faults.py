"""Plant faults in copies of the sources, one at a time, and see whether the tests find them.

Each fault of `planted_faults.toml` (a sign, a factor, a sampler) is planted in a copy of the checkout, where
the tests that should find it run as README's command selects them. It is found if one of them fails, and not
if all pass or none can run.

    python scripts/planted_faults.py            # all: half an hour on one core
    python scripts/planted_faults.py jaws gamma # those whose description has one of these words
    python scripts/planted_faults.py --list
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
TABLE = Path(__file__).with_suffix(".toml")
COPIED = ("mc", "phantoms", "validation", "scripts", "tests", "docs", "mcverify.py", "setup.cfg", "README.md")
KERNELS = ("mc/transport/", "mc/physics/", "mc/geometry/", "mc/source/")
FAILED = 1  # exit code of pytest where tests ran and some failed
LONGEST = 1200  # of a run [s]: a fault may keep a particle going round for ever


@dataclass(frozen=True)
class Fault:
    """A fault to be planted.

    Attributes
    ----------
    what : str
    file : str
        Relative to the checkout.
    old, new : str
        Text that occurs once in the file, and what takes its place.
    tests : tuple of str
        What pytest is given to find it.
    """

    what: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    @property
    def in_kernels(self) -> bool:
        """Whether it is planted in the transport, its physics, geometry or sources."""
        return self.file.startswith(KERNELS)

    def planted(self, text: str) -> str:
        """The file's text with the fault; raises ValueError unless `old` occurs in it once."""
        if text.count(self.old) != 1:
            raise ValueError(f"{self.file}: {self.old!r} occurs {text.count(self.old)} times")
        return text.replace(self.old, self.new)


def load_faults(path: Path = TABLE) -> list[Fault]:
    """The faults of a table."""
    entries = tomllib.loads(path.read_text())["faults"]
    return [Fault(**entry | {"tests": tuple(entry["tests"])}) for entry in entries]


@dataclass(frozen=True)
class Outcome:
    """What the tests made of a fault: `by` names the first test that failed, empty if none did."""

    by: str
    cpu_s: float
    said: str


def run_tests(folder: Path, tests: Sequence[str]) -> Outcome:
    """Run tests in a copy of the checkout until one fails."""
    command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", *tests]
    environment = os.environ | {"PYTHONPATH": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}
    before = os.times()
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=LONGEST
        )
    except subprocess.TimeoutExpired:
        return Outcome(f"no end within {LONGEST} s", float(LONGEST), "")
    after = os.times()
    cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
    failed = re.search(r"^FAILED (\S+)", done.stdout, re.M) if done.returncode == FAILED else None
    return Outcome(failed[1] if failed else "", cpu_s, done.stdout + done.stderr)


def copy_checkout(folder: Path) -> None:
    """Copy what the tests need into an empty folder; shared data beside the checkout stay beside it."""
    ignored = shutil.ignore_patterns("__pycache__", ".*")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        else:
            shutil.copyfile(ROOT / name, folder / name)
    if (ROOT.parent / "shared").is_dir():
        (folder.parent / "shared").symlink_to(ROOT.parent / "shared")


def try_faults(faults: Sequence[Fault]) -> int:
    """Plant each fault in turn and print what finds it; the number that is not found."""
    missed = 0
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "checkout"
        folder.mkdir()
        copy_checkout(folder)
        began = time.monotonic()
        for number, fault in enumerate(faults, start=1):
            path = folder / fault.file
            sound = path.read_text()
            path.write_text(fault.planted(sound))
            try:
                found = run_tests(folder, fault.tests)
            finally:
                path.write_text(sound)
                shutil.rmtree(folder / "cache", ignore_errors=True)
            missed += not found.by
            word = "found" if found.by else "NOT FOUND"
            print(f"{number:3} {word:9} {found.cpu_s:5.0f} s  {fault.what}: {found.by}", flush=True)
            if not found.by:
                print(found.said[-2000:], flush=True)
        kernels = sum(fault.in_kernels for fault in faults)
        print(
            f"{len(faults) - missed} of {len(faults)} found, {kernels} of them planted in kernels, in "
            f"{(time.monotonic() - began) / 60.0:.0f} min"
        )
    return missed


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 if every chosen fault is found, else 1."""
    parser = argparse.ArgumentParser(
        description="Plant faults in copies of the sources: the tests must find them."
    )
    parser.add_argument("words", nargs="*", help="words of the descriptions of the faults to plant; else all")
    parser.add_argument("--list", action="store_true", help="list them")
    options = parser.parse_args(argv)
    faults = [
        fault
        for fault in load_faults()
        if not options.words or any(word.lower() in fault.what.lower() for word in options.words)
    ]
    if options.list:
        print("\n".join(f"{fault.file}: {fault.what}" for fault in faults))
        return 0
    return int(try_faults(faults) > 0)


if __name__ == "__main__":
    sys.exit(main())

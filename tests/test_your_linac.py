"""docs/your-linac.md: its commands run as they stand, and its formulas are those of the engine."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import tomllib
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pydicom
import pytest

from mc.dose import Dose
from mc.machine.machine import SHIPPED, Machine, read_machine
from mc.source.beams import spectrum
from mc.transport.particle import PHOTON
from tests.dicom_factory import Field, Stop, write_plan
from tests.mc.small_linac import small_case
from validation.diagnosis.mu_definition import tissue_maximum_ratio
from validation.engine.collimated import at_plane, collimated
from validation.engine.leaves import ASIDE, CUTS, FIELD, PHYSICS, Bench
from validation.engine.tank import read_bins

CASES = Path(__file__).parents[1] / "validation" / "cases"
PAGE = (Path(__file__).parents[1] / "docs" / "your-linac.md").read_text(encoding="utf-8")
COMMANDS = re.search(r"^```\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[1].splitlines()
ENTRIES = re.search(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[1]
NAME = "TB1"  # on the page


def rows(heading: str) -> dict[str, list[str]]:
    """A table of the page, by its first column."""
    part = PAGE.partition(f"### {heading}")[2].partition("\n###")[0].partition("\n## ")[0]
    lines = [line.strip("|").split("|") for line in part.splitlines() if line.startswith("| GEN")]
    return {line[0].strip(): [cell.strip() for cell in line[1:]] for line in lines}


def write_vmat(folder: Path) -> None:
    """The export of a small VMAT plan on TB1: an arc whose 60 leaf pairs open a field and move."""
    small_case(folder)
    boundaries = read_machine(SHIPPED / "gen_m120.toml").collimators.leaves.boundaries_cm

    def ends(half: float) -> tuple[float, ...]:
        inner = [abs(0.5 * (low + high)) < 2.0 for low, high in pairwise(boundaries)]
        return (*(-half if lit else -0.05 for lit in inner), *(half if lit else 0.05 for lit in inner))

    arc = Field(
        300, turns="CW", jaws=(-2.5, 2.5, -2.5, 2.5), leaves=ends(1.0), boundaries=boundaries,
        stops=[Stop(0.7, 10, leaves=ends(2.0)), Stop(1.0, 60, leaves=ends(1.0))],
    )  # fmt: skip
    path = write_plan(folder, [arc])
    plan = pydicom.dcmread(path)
    for beam in plan.BeamSequence:
        beam.TreatmentMachineName = NAME
    plan.save_as(path)


def enter(machine: Path) -> None:
    """Enter the MU definition of the page in the machine file, and few electrons, which cost little time."""
    text = machine.read_text(encoding="utf-8")
    text = re.sub(r"\[energies\.reference\]\n(?:\w+ = .*\n)+", ENTRIES, text)
    machine.write_text(re.sub(r"electrons = \d+", "electrons = 4000", text), encoding="utf-8")


def check_result(result: Path, machines: Path) -> None:
    stated = tomllib.loads(ENTRIES)["energies"]["reference"]
    machine = read_machine(machines / f"{NAME}.toml")
    assert [quality.label for quality in machine.energies] == ["6 MV FFF"]
    dose = Dose.load(result / "dose.h5")
    assert dose.mean.max() > 0.0 and dose.provenance["machine"] == NAME
    reference = dose.provenance["calibrations"]["6 MV FFF"]["reference"]
    assert reference["dose_per_mu_gy"] == stated["dose_per_mu_gy"] and reference["ssd_cm"] == stated["ssd_cm"]
    (model,) = dose.provenance["beam_models"]
    assert model["state"] == "generic" and "SSD 90 cm, depth 10 cm" in model["statement"]
    assert (result / "report.html").stat().st_size > 10_000


def test_at_most_six_commands_from_pip_to_the_dose():
    assert len(COMMANDS) <= 6 and COMMANDS[0].startswith("pip install")
    assert all(command.startswith("mcverify ") for command in COMMANDS[1:])
    assert COMMANDS[-1].startswith("mcverify plan export/")


@pytest.mark.slow
def test_the_commands_of_the_page(installed, tmp_path):
    """From the machine file to the first dose of a VMAT plan, by the commands that pip installs."""
    machines = tmp_path / "machines"
    machines.mkdir()
    write_vmat(tmp_path / "export")
    places = {"MCVERIFY_MACHINES": str(machines), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    environment = {**os.environ, **places, "PATH": f"{installed}:{os.environ['PATH']}"}
    for command in COMMANDS[1:]:  # the first is what made `installed`
        done = subprocess.run(
            ["sh", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        if command.startswith("mcverify machine new"):
            enter(machines / f"{NAME}.toml")
        allowed = (0, 1, 2) if command == COMMANDS[-1] else (0,)
        assert done.returncode in allowed and "Traceback" not in done.stderr, f"{command}: {done.stderr}"
    check_result(tmp_path / "result", machines)


def test_adjustments_of_the_mu_definition_are_one():
    """TMR and PDD of the table give the same dose per MU for the same linac, whatever its definition."""
    tmr = tissue_maximum_ratio(6.0, 10.0)
    at_ssd_100 = tmr * (101.5 / 110.0) ** 2  # PDD(10) / 100
    assert at_ssd_100 == pytest.approx(0.675, abs=1e-9)
    assert 0.0075 < tomllib.loads(ENTRIES)["energies"]["reference"]["dose_per_mu_gy"] < 0.0082
    assert tmr > at_ssd_100


def fluence(machine: Machine, low: float, high: float, photons: int) -> float:
    """Energy fluence in the middle 9 x 6 cm through leaves with ends at these positions [cm]."""
    edges, counts = read_bins("mohan_6mv")
    edges[0] = PHYSICS.photon_cut
    bench, pairs = Bench(machine, *spectrum(edges, counts)), machine.collimators.leaves.pairs
    sent, starts = bench.photons(photons, 1)
    leaves = np.concatenate([np.full(pairs, low), np.full(pairs, high)])
    found, _ = collimated(sent, starts, bench.collimator, FIELD, leaves, bench.tables, CUTS)
    found = found[found[:, 0] == PHOTON]
    along, across = at_plane(found, machine.sad_cm)
    inside = (np.abs(along) < 4.5) & (np.abs(across) < 3.0)
    return float((found[inside, 1] * found[inside, 8]).sum())


def with_leaves(machine: Machine, offset: float = 0.0, **changes) -> Machine:
    leaves = machine.collimators.leaves
    leaves = replace(leaves, ends=replace(leaves.ends, offset_cm=offset), **changes)
    return replace(machine, collimators=replace(machine.collimators, leaves=leaves))


LEAVES = pytest.mark.parametrize("name", ("GEN-M120", "GEN-HD120", "GEN-AGILITY"))
PHOTONS = 100_000


def shipped(name: str) -> Machine:
    return read_machine(SHIPPED / f"{name.lower().replace('-', '_')}.toml")


@LEAVES
def test_leaf_gaps_of_the_page(name):
    """DLG by Monte Carlo within 0.25 mm of the page, 4 sigma; the formula within a fifth."""
    machine = shipped(name)
    leaves = machine.collimators.leaves
    formula, computed = (float(cell) for cell in rows("Leaf gap")[name])
    middle, mu = 0.5 * (leaves.top_cm + leaves.bottom_cm), 0.045 * leaves.density
    own = 10.0 * 2.0 * machine.sad_cm / middle / (4.0 * mu**2 * leaves.ends.radius_cm)
    assert formula == pytest.approx(own, abs=0.06) and formula == pytest.approx(computed, rel=0.2)
    opened = fluence(machine, -2.0 * ASIDE, 2.0 * ASIDE, PHOTONS)
    shut, gap, offset = fluence(machine, ASIDE, ASIDE, PHOTONS), 2.0, 0.05

    def dlg(machine: Machine) -> float:
        share = (fluence(machine, -0.5 * gap, 0.5 * gap, PHOTONS) - shut) / (opened - shut)
        return 10.0 * (9.0 * share - gap)

    found = dlg(machine)
    assert found == pytest.approx(computed, abs=0.25)
    assert dlg(with_leaves(machine, offset)) - found == pytest.approx(20.0 * offset, abs=0.1)


@LEAVES
def test_transmissions_of_the_page(name):
    """Those of the validation cases; and the density of the formula lowers them as it says.

    The ratio of two transmissions has a sigma of about 4 % (10 % for 0.4 %): 4 sigma are allowed.
    """
    machine = shipped(name)
    density, transmission, k = (float(cell) for cell in rows("Leaf transmission")[name])
    case = CASES / f"leaves_{name.removeprefix('GEN-').lower()}"
    published = tomllib.loads((case / "case.toml").read_text())["transmission_percent"]
    (check,) = (
        check
        for check in json.loads((case / "verdict.json").read_text())["checks"]
        if check["name"] == "transmission less published"
    )
    assert 100.0 * transmission == pytest.approx(published + check["value"], abs=0.006)
    assert density == machine.collimators.leaves.density
    ratio = 0.5
    denser = density * (1.0 + math.log(ratio) / (k * math.log(transmission)))
    before, after = (
        fluence(each, ASIDE, ASIDE, 4 * PHOTONS) for each in (machine, with_leaves(machine, density=denser))
    )
    assert after / before == pytest.approx(ratio, rel=0.16 if transmission > 0.005 else 0.4)


def test_examples_of_the_page():
    density, transmission, k = (float(cell) for cell in rows("Leaf transmission")["GEN-M120"])
    found = density * (1.0 + math.log(0.0135 / transmission) / (k * math.log(transmission)))
    assert f"= {found:.1f} g/cm3" in PAGE
    assert (0.16 - 0.1 * float(rows("Leaf gap")["GEN-M120"][1])) / 2 == pytest.approx(-0.045)

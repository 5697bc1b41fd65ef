"""The tuned machine file: entries of the right tables replaced, the rest as it was, and read again."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest

from mc.machine.machine import SHIPPED, read_machine
from phantoms.errors import InputError
from tests.validation.commission.linac import write_linac
from validation.commission.machine_file import tuned_text, write_tuned_file
from validation.commission.parameters import Entry, parameters_of, rounded
from validation.commission.source import with_tuned

VALUES = {"energy": 6.43217, "spot": 0.11119, "filter": 1.03456, "leaves": 0.0471, "jaws": -0.0213}


@dataclass
class Named:
    """A parameter by its name."""

    name: str


def found(machine, quality, names):
    """As much of a commissioning as the writing of a file needs; the head of its field serves the scans."""
    shaped = replace(quality, head=replace(quality.head, splitting=7, electrons=9))
    energies = tuple(quality if each.label == quality.label else each for each in machine.energies)
    return SimpleNamespace(
        machine=replace(machine, energies=energies),
        fields=(SimpleNamespace(field=SimpleNamespace(quality=shaped)),),
        tuning=SimpleNamespace(parameters=[Named(name) for name in names]),
    )


def test_a_tuned_file_says_what_was_tuned_and_keeps_all_else(tmp_path):
    original = read_machine(SHIPPED / "gen_agility.toml")
    tuned, quality = with_tuned(original, original.energies[1], rounded({**VALUES, "filter": 1.0}))
    write_tuned_file(original, found(tuned, quality, VALUES), tmp_path / "tuned.toml")
    again = read_machine(tmp_path / "tuned.toml")
    assert again.collimators == tuned.collimators and again.energies[1].head == quality.head
    assert again.energies[0] == original.energies[0] and again.collimators != original.collimators
    before = (SHIPPED / "gen_agility.toml").read_text().splitlines()
    after = (tmp_path / "tuned.toml").read_text().splitlines()
    changed = set(after) - set(before)
    assert len(changed) == 5 and all("# tuned" in line for line in changed)
    assert "electron_mev = 6.4322  # tuned, was 6.0" in changed


def test_a_thicker_filter_of_the_right_beam(tmp_path):
    original = read_machine(SHIPPED / "gen_agility.toml")
    tuned, quality = with_tuned(original, original.energies[0], rounded({"filter": 1.03456}))
    write_tuned_file(original, found(tuned, quality, ["filter"]), tmp_path / "tuned.toml")
    again = read_machine(tmp_path / "tuned.toml")
    assert again.energies[0].head == quality.head != original.energies[0].head
    assert again.energies[1] == original.energies[1]


def test_what_no_longer_holds_is_left_out_and_other_phase_spaces_are_found(tmp_path):
    """Phase spaces and calibration of the tuned beam go; those of another beam are named in full."""
    (tmp_path / "linac").mkdir()
    linac = write_linac(tmp_path / "linac", {"five": (-2.5, 2.5, -2.5, 2.5)})
    beam = linac.read_text().split("[[energies]]", 1)[1]
    calibration = (
        "[energies.calibration]\ngy_per_history = 1.0\nsigma = 0.1\nphase_space_sha256 = 'a'\n"
        "version = '0'\ntable_hash = 'b'\n"
    )
    linac.write_text(linac.read_text() + calibration + "[[energies]]" + beam.replace("6.0", "10.0"))
    machine = read_machine(linac)
    text = tuned_text(machine, [Entry("energies.head", "electron_mev", "6.1")], 0)
    first, second = tomllib.loads(text)["energies"]
    assert "phase_spaces" not in first and "calibration" not in first
    assert second["phase_spaces"][0]["file"] == str((tmp_path / "linac" / "five").resolve())
    offsets = tomllib.loads(tuned_text(machine, [Entry("collimators.mlc", "offset_cm", "0.1")], 0))
    assert "calibration" not in offsets["energies"][0] and "phase_spaces" in offsets["energies"][0]


def test_arrays_over_lines_and_comments(tmp_path):
    text = (SHIPPED / "gen6.toml").read_text()
    text = text.replace("z_cm = [12.5, 12.78,", "z_cm = [  # heights [cm]\n  12.5, 12.78,")
    (tmp_path / "own.toml").write_text(text)
    original = read_machine(tmp_path / "own.toml")
    tuned, quality = with_tuned(original, original.energies[0], rounded({"filter": 0.97}))
    write_tuned_file(original, found(tuned, quality, ["filter"]), tmp_path / "tuned.toml")
    assert read_machine(tmp_path / "tuned.toml").energies[0].head == quality.head


def test_a_file_that_is_not_understood_is_refused(tmp_path):
    """Dotted keys are TOML, too, but no tables whose lines could be replaced."""
    text = (SHIPPED / "gen6.toml").read_text().replace("[energies.head]\n", "")
    head = (SHIPPED / "gen6.toml").read_text().split("[energies.head]\n")[1]
    for line in head.split("\n\n")[0].splitlines():
        text = text.replace(line + "\n", "", 1)
        text = text.replace("[energies.reference]", f"head.{line}\n[energies.reference]", 1)
    (tmp_path / "own.toml").write_text(text)
    original = read_machine(tmp_path / "own.toml")
    tuned, quality = with_tuned(original, original.energies[0], {"energy": 6.1})
    with pytest.raises(InputError, match="put the entries in by hand"):
        write_tuned_file(original, found(tuned, quality, ["energy"]), tmp_path / "tuned.toml")
    assert not (tmp_path / "tuned.toml").exists()


def test_jaws_that_differ_are_not_tuned_together():
    machine = read_machine(SHIPPED / "gen6.toml")
    first, second = machine.collimators.jaws
    moved = replace(first, ends=replace(first.ends, offset_cm=0.1))
    machine = replace(machine, collimators=replace(machine.collimators, jaws=(moved, second)))
    with pytest.raises(InputError, match="jaws differ"):
        parameters_of(machine, machine.energies[0].head, ["jaws"])
    with pytest.raises(InputError, match="describes no leaves"):
        parameters_of(machine, machine.energies[0].head, ["leaves"])

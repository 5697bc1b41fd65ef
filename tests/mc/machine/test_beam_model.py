"""What a beam model is worth, and that no entry it was judged by can be edited unnoticed."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from mc.machine.beam_model import beam_model, judged_files, judged_sha256
from mc.machine.commissioned import Commissioned
from mc.machine.machine import SHIPPED, read_machine
from mc.source.phase_space import open_phase_space
from phantoms.errors import InputError
from tests.machines import table
from tests.mc.small_linac import BACKSCATTER, write_above_machine, write_machine

AGILITY = (SHIPPED / "gen_agility.toml").read_text(encoding="utf-8")


def hash_of(machine, number=0):
    quality = machine.energies[number]
    return judged_sha256(machine, quality, {p: open_phase_space(p).sha256 for p in judged_files(quality)})


def state_of(machine, number=0):
    quality = machine.energies[number]
    return beam_model(machine, quality, {p: open_phase_space(p).sha256 for p in judged_files(quality)})


def commissioned(machine, number=0):
    """The machine, one of its beams with a commissioning of it as it is."""
    stated = Commissioned(
        "2026-11-12", 9, 2, "3 x 3 to 20 x 20 cm", 99.1, "1 %/1 mm", "default", "1", hash_of(machine, number)
    )
    beams = list(machine.energies)
    beams[number] = replace(beams[number], commissioned=stated)
    return replace(machine, energies=tuple(beams))


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_machines_are_generic(path):
    machine = read_machine(path)
    for number, quality in enumerate(machine.energies):
        found = state_of(machine, number)
        assert (found.beam, found.state) == (quality.label, "generic")
        assert (
            found.statement.startswith("generic ") and "never compared with measurements" in found.statement
        )
        by_electrons = quality.reference.electrons_per_mu is not None
        mu = "electrons on the target" if by_electrons else f"depth {quality.reference.depth_cm:g} cm"
        assert mu in found.statement


def test_a_copy_of_a_shipped_machine_is_generic_until_its_head_is_edited(tmp_path):
    path = tmp_path / "tb1.toml"
    path.write_text(AGILITY.replace("GEN-AGILITY", "TB1").replace("electrons = 2500000", "electrons = 1000"))
    assert state_of(read_machine(path)).state == "generic"
    path.write_text(AGILITY.replace("electron_mev = 6.2", "electron_mev = 6.3"))
    found = state_of(read_machine(path))
    assert found.state == "calibrated" and "no comparison with measurements recorded" in found.statement


def test_a_phase_space_of_the_users_own(tmp_path):
    found = state_of(read_machine(write_machine(tmp_path)))
    assert found.state == "calibrated" and found.statement.startswith("phase space of its machine file")


def test_commissioned():
    found = state_of(commissioned(read_machine(SHIPPED / "gen_agility.toml")))
    assert found.state == "commissioned"
    assert found.statement == (
        "commissioned 2026-11-12 against 9 scans (3 x 3 to 20 x 20 cm): 99.1 % of points within 1 %/1 mm"
    )


JUDGED = {
    "energy": ("electron_mev = 6.2", "electron_mev = 6.21"),
    "spot": ("spot_radius_cm = 0.06", "spot_radius_cm = 0.07"),
    "filter": ("12.5, 12.78", "12.5, 12.79"),
    "material of the head": ('material = "kapton"', 'material = "copper"'),
    "density of the leaves": (r"(?s)(\[collimators.mlc\].*?density = 1)\d", r"\g<1>1"),
    "offset of the leaves": (r"(\[collimators.mlc\])", r"\1\noffset_cm = 0.01"),
    "offset of the jaws": (r"(\[\[collimators.jaws\]\].*)", r"\1\noffset_cm = 0.01"),
    "widths of the leaves": (r"\[80, 0.5\]", "[80, 0.501]"),
    "radius of the ends": (r"(?s)(\[collimators.mlc\].*?radius_cm = )\d+", r"\g<1>16"),
    "electrons of the collimators": (r"(\[\[collimators.jaws\]\])", r"[collimators]\nelectrons = true\n\1"),
    "dose of an MU": ("dose_per_mu_gy = 0.00812", "dose_per_mu_gy = 0.0081"),
    "reference depth": ("depth_cm = 10.0", "depth_cm = 1.5"),
    "backscatter": (r"(\[energies.reference\])", BACKSCATTER.replace("[1.0, 5.0", "[0.5, 5.0") + r"\n\1"),
    "SAD": ("sad_cm = 100.0", "sad_cm = 99.9"),
}
NOT_JUDGED = {
    "name": ("GEN-AGILITY", "LINAC2"),
    "notes": ("notes = ", "notes = '' #"),
    "electrons": ("electrons = 2500000", "electrons = 1000"),
    "splitting": ("splitting = 1000", "splitting = 100"),
    "core": (r"share = 0.76", "share = 0.5"),
    "comment": ("sad_cm = 100.0", "sad_cm = 100.0  # checked"),
    "couch": (
        r"\Z",
        table("[couch]", width_cm=53.0) + '[[couch.slabs]]\nthickness_cm = 1\nmaterial = "water"\n',
    ),
    "energy of the other beam": ("electron_mev = 6.0", "electron_mev = 6.1"),
}


def edited(text, pattern, replacement):
    text = re.sub(r'(?s)notes = """.*?"""', "notes = 'n'", text)
    changed = re.sub(pattern, replacement, text, count=1)
    assert changed != text
    return changed


@pytest.mark.parametrize("edit", JUDGED)
def test_an_edit_of_what_was_judged_is_noticed(tmp_path, edit):
    path = tmp_path / "own.toml"
    path.write_text(AGILITY)
    stated = commissioned(read_machine(path)).energies[0].commissioned
    path.write_text(edited(AGILITY, *JUDGED[edit]))
    machine = read_machine(path)
    quality = replace(machine.energies[0], commissioned=stated)
    found = beam_model(machine, quality, {})
    assert found.state == "changed"
    assert found.statement.startswith("changed since commissioning on 2026-11-12 against 9 scans")


@pytest.mark.parametrize("edit", NOT_JUDGED)
def test_an_edit_of_anything_else_is_none(tmp_path, edit):
    path = tmp_path / "own.toml"
    path.write_text(AGILITY)
    stated = commissioned(read_machine(path)).energies[0].commissioned
    path.write_text(edited(AGILITY, *NOT_JUDGED[edit]))
    machine = read_machine(path)
    assert beam_model(machine, replace(machine.energies[0], commissioned=stated), {}).state == "commissioned"


def test_another_phase_space_of_the_same_name_is_noticed(tmp_path):
    """The content counts; where the file lies does not."""
    machine = commissioned(read_machine(write_above_machine(tmp_path / "one", calibrated=False)))
    assert state_of(machine).state == "commissioned"
    moved = read_machine(write_above_machine(tmp_path / "two", calibrated=False))
    assert hash_of(moved) == hash_of(machine)
    write_above_machine(tmp_path / "one", particles=2000, calibrated=False)
    assert state_of(machine).state == "changed"


def test_a_simulated_phase_space_is_judged_by_its_head(tmp_path):
    machine = read_machine(SHIPPED / "gen_agility.toml")
    space = read_machine(write_above_machine(tmp_path, calibrated=False)).energies[0].phase_spaces[0]
    quality = machine.energies[0]
    simulated = replace(quality, phase_spaces=(replace(space, simulated=True),))
    assert judged_sha256(machine, simulated, {}) == judged_sha256(machine, quality, {})


def test_the_block_is_read_and_refused_by_entry(tmp_path):
    block = (
        '[energies.commissioned]\ndate = "2026-11-12"\nscans = 9\noutput_factors = 2\nfields = "5 x 5 cm"\n'
        'passing_percent = 99.1\ncriterion = "1 %/1 mm"\ncriteria = "default"\nversion = "1"\nsha256 = "a"\n'
    )
    path = write_machine(tmp_path, calibrated=False)
    text = path.read_text()
    path.write_text(text + block)
    stated = read_machine(path).energies[0].commissioned
    assert (stated.date, stated.scans, stated.passing_percent) == ("2026-11-12", 9, 99.1)
    path.write_text(text + block.replace("2026-11-12", "12.11.2026"))
    with pytest.raises(InputError, match=r"commissioned\.date: '12\.11\.2026' is no date"):
        read_machine(path)
    path.write_text(text + block + "scan = 3\n")
    with pytest.raises(InputError, match="did you mean 'scans'"):
        read_machine(path)

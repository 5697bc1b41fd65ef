"""A passed commissioning in the machine file: only there where it was judged, and nothing else changed."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest

from mc.machine.beam_model import COMMISSIONED, beam_model
from mc.machine.machine import SHIPPED, read_machine
from phantoms.errors import InputError
from validation.commission.recording import commissioned_beams, record, to_toml

JAWS = ((-5.0, 5.0, -5.0, 5.0), (-1.5, 1.5, -1.5, 1.5))


@dataclass
class Comparison:
    """As much of a judged scan as counts."""

    judged: np.ndarray
    passing_percent: float


def passed(machine, statuses=("pass", "pass", "not judged"), status="pass", beam=1):
    """As much of a commissioning as its record needs: two scans of 100 and 300 points."""
    points = [(100, 100.0), (300, 98.0), (0, float("nan"))]
    scans = [
        SimpleNamespace(status=each, comparison=Comparison(np.ones(number, bool), percent))
        for each, (number, percent) in zip(statuses, points, strict=True)
    ]
    fields = [
        SimpleNamespace(
            field=SimpleNamespace(quality=machine.energies[beam], jaws=jaws, output_factors=(1, 2)),
            scans=of_field,
        )
        for jaws, of_field in zip(JAWS, (scans[:1], scans[1:]), strict=True)
    ]
    limit = SimpleNamespace(dose_percent=1.0, distance_mm=1.0, local=False)
    criteria = SimpleNamespace(criterion=limit, name="default")
    return SimpleNamespace(status=status, machine=machine, fields=fields, criteria=criteria)


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text((SHIPPED / "gen_agility.toml").read_text(encoding="utf-8"))
    return path


def test_what_is_stated(own):
    stated = commissioned_beams(passed(read_machine(own)))
    (found,) = stated.values()
    assert list(stated) == ["6 MV FFF"] and found.passing_percent == pytest.approx(98.5)
    assert (found.scans, found.output_factors, found.criterion) == (2, 4, "1 %/1 mm")
    assert found.fields == "3 x 3 cm to 10 x 10 cm"
    assert commissioned_beams(passed(read_machine(own), status="too noisy")) == {}
    assert commissioned_beams(passed(read_machine(own), status="fail")) == {}


def test_it_is_entered_behind_its_beam_and_nothing_else_changes(own):
    before = own.read_text().splitlines()
    machine = read_machine(own)
    stated = commissioned_beams(passed(machine))
    record(stated, own)
    after = own.read_text()
    written = read_machine(own)
    assert written.energies[0] == machine.energies[0] and written.collimators == machine.collimators
    assert beam_model(written, written.energies[1], {}).state == COMMISSIONED
    block = to_toml("6 MV FFF", stated["6 MV FFF"]).splitlines()
    assert [line for line in after.splitlines() if line and line not in block] == [
        line for line in before if line
    ]
    record(stated, own)  # a second time it is replaced
    assert own.read_text() == after
    record(commissioned_beams(passed(machine, beam=0)), own)
    assert len(tomllib.loads(own.read_text())["energies"][0]["commissioned"]) == 9
    assert all(quality.commissioned for quality in read_machine(own).energies)


def test_a_file_edited_meanwhile_stays_as_it_is(own):
    stated = commissioned_beams(passed(read_machine(own)))
    own.write_text(own.read_text().replace("electron_mev = 6.0", "electron_mev = 6.1"))
    before = own.read_text()
    with pytest.raises(InputError, match="was edited while 6 MV FFF was computed"):
        record(stated, own)
    assert own.read_text() == before


def test_comments_before_the_next_table_stay_there(own):
    own.write_text(own.read_text().replace("[energies.head]", "# the head\n[energies.head]"))
    record(commissioned_beams(passed(read_machine(own))), own)
    assert own.read_text().count("# the head\n[energies.head]") == 2


def test_a_layout_that_is_not_understood(own):
    text = own.read_text().replace("\n[[energies]]", "\n[[ 'energies' ]]", 2)
    own.write_text(text)
    machine = read_machine(own)
    with pytest.raises(InputError, match="enter the block by hand"):
        record(commissioned_beams(passed(machine)), own)
    assert own.read_text() == text
    assert replace(machine) == read_machine(own)

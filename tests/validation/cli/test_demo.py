"""The demo: the shipped case on a phase space of its own, which is small, quiet, of GEN6FFF's head."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from mc.compute.head_cache import head_phase_space
from mc.machine.folder import find_machine
from mc.machine.machine import SHIPPED, read_machine
from mc.source.phase_space import open_phase_space
from mc.source.phase_space_tools import latent_sigma
from validation.cli import demo, main
from validation.cli.options import parse

LARGEST = 50e6  # bytes
LATENT = 0.005


@pytest.fixture(scope="module")
def machine():
    return read_machine(demo.MACHINE)


def test_completes_whatever_the_verdict(tmp_path, monkeypatch):
    """The run itself is timed elsewhere."""
    asked = []
    codes = iter((0, 1, 2))
    monkeypatch.setattr(demo, "check_plan", lambda *given: asked.append(given) or next(codes))
    assert [main(["demo", "--out", str(tmp_path)]) for _ in range(3)] == [0, 0, 2]
    folder, options, *_ = asked[0]
    assert (folder / "RTPLAN.dcm").is_file() and options.machine == demo.MACHINE
    assert parse(["demo"]).max_time == 120.0  # six minutes in all, head, compile and report included
    for stopped_by, code in (("time", 0), ("interrupted", 2)):
        (tmp_path / "result.json").write_text(json.dumps({"quality": {"stopped_by": stopped_by}}))
        monkeypatch.setattr(demo, "check_plan", lambda *_: 2)
        assert main(["demo", "--out", str(tmp_path)]) == code


def test_its_linac_is_that_of_the_case(machine):
    """But for the phase spaces, of which it has none; a monitor unit is that of the plan's maker."""
    shipped = find_machine("GEN6FFF")
    (own,), (given,) = machine.energies, shipped.energies
    assert machine.name == shipped.name and machine.path.parent != SHIPPED
    assert own.phase_spaces == () and own.calibration is None
    assert (machine.sad_cm, machine.collimators) == (shipped.sad_cm, shipped.collimators)
    assert own.label == given.label and own.reference == given.reference
    assert own.reference.electrons_per_mu is not None
    how = ("splitting", "splitting_radius_cm", "electrons", "core")
    assert replace(own.head, **{name: getattr(given.head, name) for name in how}) == given.head


def test_its_phase_space_reaches_the_corners_of_all_fields(machine):
    (quality,) = machine.energies
    side = max(quality.reference.field_cm)
    corner, square = side / 2**0.5, quality.reference.averaging_cm / 2**0.5
    assert quality.head.splitting_radius_cm > corner + 0.3
    assert quality.head.core.radius_cm > square


@pytest.mark.slow  # 2 CPU-minutes, unless the demo has run before, as in CI
def test_its_phase_space_is_small_and_quiet(machine):
    (quality,) = machine.energies
    space = open_phase_space(head_phase_space(machine, quality))
    assert space.header.orig_histories == quality.head.electrons
    assert space.data_path.stat().st_size <= LARGEST
    assert latent_sigma(space, machine.sad_cm).energy_fluence <= LATENT

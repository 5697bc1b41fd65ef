"""The report of a run: to a file and back, and what it calls a fault."""

from __future__ import annotations

import json
import math
from dataclasses import fields

import pytest

from mc.run.report import RunReport

STATED = {"stopped_by": "time", "histories": 1000, "latent_uncertainty": 0.01, "energy_balance": 1.0}


def test_only_what_is_stated_is_written():
    report = RunReport.from_dict(STATED)
    assert report.to_dict() == STATED and report.lost_particles is None
    assert RunReport().to_dict() == {} and not RunReport().faults


def test_entries_keep_their_order_whatever_that_of_the_file():
    names = [entry.name for entry in fields(RunReport) if entry.name != "other"]
    report = RunReport.from_dict({name: 1 for name in reversed(names)})
    assert list(report.to_dict()) == names


def test_entries_of_another_version_are_kept():
    stated = {**STATED, "photon_histories": 3}
    report = RunReport.from_dict(stated)
    assert report.other == {"photon_histories": 3} and report.to_dict() == stated


def test_unknown_sigmas_survive_files_that_hold_no_nan():
    text = json.dumps({"latent_uncertainty": None})
    report = RunReport.from_dict(json.loads(text))
    assert math.isnan(report.latent_uncertainty) and "latent_uncertainty" in report.to_dict()


@pytest.mark.parametrize(
    ("stated", "word"),
    [
        ({"energy_balance": 1.0 + 2e-6}, "energy balance"),
        ({"energy_balance": math.nan}, "energy balance"),
        ({"lost_particles": 2}, "2 lost particles"),
        ({"stack_overflows": 1}, "1 stack overflows"),
    ],
)
def test_faults(stated, word):
    (fault,) = RunReport(**stated).faults
    assert word in fault
    assert not RunReport(**dict.fromkeys(stated, 1.0 if "energy_balance" in stated else 0)).faults


@pytest.mark.parametrize(("reason", "expected"), [("interrupted", True), ("uncertainty", False)])
def test_interrupted(reason, expected):
    assert RunReport(stopped_by=reason).interrupted is expected

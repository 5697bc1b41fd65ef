"""A dose records what the models of its beams are worth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

import mcverify as mv
from mc.machine.beam_model import judged_files, judged_sha256
from mc.machine.commissioned import Commissioned
from tests.mc.small_linac import small_case, write_machine

BRIEF = mv.RunOptions(stop=mv.StopRule(None, histories=3000))


def test_calibrated_commissioned_and_changed(tmp_path):
    case = mv.load_case(small_case(tmp_path / "case"))
    machine = mv.read_machine(write_machine(tmp_path / "machine"))
    beam = machine.energies[0]
    hashes = {path: mv.read_phase_space(path).sha256 for path in judged_files(beam)}
    stated = Commissioned(
        "2026-11-12", 9, 0, "5 x 5 cm", 99.0, "1 %/1 mm", "default", "1", judged_sha256(machine, beam, hashes)
    )
    commissioned = replace(machine, energies=(replace(beam, commissioned=stated),))
    changed = replace(commissioned, sad_cm=100.01)  # as far off as plans may be
    states, doses = [], []
    for each in (machine, commissioned, changed):
        run = mv.compute_dose(case, machine=each, options=BRIEF)
        (found,) = run.dose.provenance["beam_models"]
        assert found["beam"] == "6 MV FFF"
        states.append(found["state"])
        doses.append(run.dose_gy)
    assert states == ["calibrated", "commissioned", "changed"]
    assert np.array_equal(doses[0], doses[1])
    assert found["statement"].startswith("changed since commissioning on 2026-11-12 against 9 scans")

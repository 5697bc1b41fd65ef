"""The table of planted faults: every one can still be planted, and most of them are in kernels."""

from __future__ import annotations

import pytest

from scripts.planted_faults import ROOT, load_faults

FAULTS = load_faults()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what)
def test_a_fault_can_be_planted(fault):
    sound = (ROOT / fault.file).read_text()
    assert fault.planted(sound) != sound
    assert fault.tests and all((ROOT / test.partition("::")[0]).exists() for test in fault.tests)


def test_there_are_enough_of_them():
    assert len(FAULTS) >= 40 and sum(fault.in_kernels for fault in FAULTS) >= 25
    assert len({fault.what for fault in FAULTS}) == len(FAULTS)

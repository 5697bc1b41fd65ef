"""Random damage to any file of an export: read all the same, or refused; never another exception."""

from __future__ import annotations

import random
import warnings

import pytest

from mc.plan.rtplan import read_plan
from phantoms.case import find_case
from phantoms.ct import read_ct
from phantoms.errors import InputError
from phantoms.polygons import volume
from phantoms.structures import read_structures
from tests.dicom_factory import Grid, body_box, write_case

GRID = Grid((4, 5, 6), (0.3, 0.3, 0.3), (0.0, 0.0, 0.0))


def read_volumes(path):
    return [volume(roi) for roi in read_structures(path).rois if not roi.is_empty and not roi.problem]


def damage(content: bytes, rng: random.Random) -> bytes:
    """Overwrite, remove or insert a few bytes behind the preamble."""
    data = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 5])):
        place, kind = rng.randrange(132, len(data)), rng.random()
        if kind < 0.6:
            data[place] = rng.randrange(256)
        elif kind < 0.8:
            del data[place : place + rng.randrange(1, 40)]
        else:
            data[place:place] = rng.randbytes(rng.randrange(1, 10))
    return bytes(data)


@pytest.mark.parametrize("part", ["RTPLAN.dcm", "RTSTRUCT.dcm", "CT.000.dcm"])
def test_damaged_files_are_read_or_refused(tmp_path, part):
    write_case(tmp_path, GRID, structures=[body_box(GRID, 0.1)])
    readers = {
        "RTPLAN.dcm": read_plan,
        "RTSTRUCT.dcm": read_volumes,
        "CT.000.dcm": lambda _: read_ct(tmp_path),
    }
    rng, path, refused = random.Random(17), tmp_path / part, 0
    content = path.read_bytes()
    for _ in range(60):
        path.write_bytes(damage(content, rng))
        for read in (readers[part], lambda _: find_case(tmp_path)):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    read(path)
            except InputError:
                refused += 1
    assert refused > 20

"""DVH of the Eclipse doses of SlicerRT against Eclipse's own tables, where no contours are needed.

The contours are not at hand. Where the dose is high all of it lies in BODY, so the volume that receives a
dose is the same for BODY and for the whole grid; lower doses also lie in the air about the patient.
"""

from __future__ import annotations

import csv
import re

import numpy as np
import pytest

from phantoms.subvoxels import SubVoxels
from tests.validation.doses import read_nrrd
from validation.metrics.dvh import Dvh


def body_table(path):
    """Doses [Gy] and volumes [cc] of BODY, which comes first."""
    with open(path, newline="") as file:
        head, *rows = csv.reader(file)
    assert head[0].startswith("BODY")
    volume = float(re.search(r"of ([\d.]+) cc", head[1])[1])
    points = np.array([[float(row[0]), float(row[1])] for row in rows if row[0].strip() and row[1].strip()])
    return points[:, 0], points[:, 1] * volume / 100


@pytest.mark.parametrize("case, lowest", [("EclipseEnt", 10.0), ("EclipseProstate", 10.0)])
def test_volumes_of_high_doses_are_those_of_eclipse(shared, case, lowest):
    folder = shared / "data" / "gamma" / "slicerrt"
    dose, grid = read_nrrd(folder / f"{case}_Dose.nrrd")
    whole = SubVoxels(grid, (0, 0, 0), (2, 2, 2), np.ones([2 * n for n in grid.shape], np.float32), 1.0)
    dvh = Dvh(whole, dose)
    doses, volumes = body_table(folder / f"{case}_DvhTable_Eclipse.csv")
    seen = (doses >= lowest) & (volumes >= 50.0)
    assert np.count_nonzero(seen) > 500
    found = dvh.curve(doses[seen]) * dvh.volume / 100
    np.testing.assert_allclose(found, volumes[seen], rtol=0.012)
    assert np.sqrt(np.mean((found / volumes[seen] - 1) ** 2)) < 0.006
    for volume in (50, 100, 200, 500, 900):
        eclipse = np.interp(-volume, -volumes, doses)
        assert dvh.metric(f"D{volume}cc").value == pytest.approx(eclipse, rel=0.005), volume
    assert dvh.highest == pytest.approx(doses[volumes > 0][-1], rel=0.005)

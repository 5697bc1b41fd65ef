"""Points that plan and dose name are read, joined where they coincide, and compared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydicom.dataset import Dataset

from phantoms.errors import InputError
from tests.dicom_factory import GRID as SMALL
from tests.dicom_factory import write_dose, write_plan
from tests.validation.spine_phantom import GRID, case, compare_case
from validation.plan_check.points import ReferencePoint, joined, read_points


def test_points_of_plan_and_dose(tmp_path):
    def plan(data: Dataset) -> None:
        point = Dataset()
        point.DoseReferenceNumber, point.DoseReferenceStructureType = 2, "COORDINATES"
        point.DoseReferenceType, point.DoseReferenceDescription = "ORGAN_AT_RISK", "chamber"
        point.DoseReferencePointCoordinates = [10, -20, 30.5]
        data.DoseReferenceSequence.append(point)
        beam = data.FractionGroupSequence[0].ReferencedBeamSequence[0]
        beam.BeamDoseSpecificationPoint = [1, 2, 3]

    def dose(data: Dataset) -> None:
        data.NormalizationPoint = [1.02, 2, 3]

    files = write_plan(tmp_path, edit=plan), write_dose(tmp_path, SMALL, np.ones(SMALL.shape), edit=dose)
    found = read_points(files[0], [files[1]])
    assert [point.name for point in found] == ["chamber", "dose specification of beam 1, normalisation"]
    np.testing.assert_allclose([point.position for point in found], [(1.0, -2.0, 3.05), (0.1, 0.2, 0.3)])
    assert read_points(write_plan(tmp_path), [write_dose(tmp_path, SMALL, np.ones(SMALL.shape))]) == ()


def test_a_broken_point_is_refused(tmp_path):
    def edit(data: Dataset) -> None:
        beam = data.FractionGroupSequence[0].ReferencedBeamSequence[0]
        beam.BeamDoseSpecificationPoint = [1, 2]

    with pytest.raises(InputError, match="Beam Dose Specification Point"):
        read_points(write_plan(tmp_path, edit=edit), [])


def test_points_are_compared_and_one_at_the_isocentre_is_it():
    points = (ReferencePoint("chamber", (0.0, 0.4, 0.0)), ReferencePoint("normalisation", (0.0, 0.0, 0.005)))
    found = compare_case(case(1.02, noise=0.001, points=points))
    (isocentre,), (chamber,) = found.isocentres, found.points
    assert isocentre.name == "isocentre, normalisation" and chamber.name == "chamber"
    for point in (isocentre, chamber):
        assert point.mu_factor == pytest.approx(1 / 1.02, abs=0.003)
    outside = replace(points[0], position=(0.0, 0.0, 2 * GRID.upper[0]))
    (gone,) = compare_case(case(points=(outside,))).points
    assert gone.plan_gy is None and "outside" in gone.note
    assert joined(()) == ()

"""What plan and dose state about themselves is read, kept without the patient, and missing in older files."""

from __future__ import annotations

import json

import h5py
import numpy as np
from pydicom.dataset import Dataset

from mc.dose import TO_MEDIUM
from phantoms.identity import Identity
from tests.dicom_factory import GRID, write_dose, write_plan
from tests.validation.spine_phantom import case, with_run
from validation.plan_check.record import Record
from validation.plan_check.stated import Stated, read_stated

WHO = Identity("Doe, Jane", "MRN-0815", frozenset({"doe", "jane", "mrn-0815"}))


def test_statements_of_plan_and_dose(tmp_path):
    def plan(data: Dataset) -> None:
        data.ApprovalStatus, data.PlanIntent, data.RTPlanDate = "APPROVED", "CURATIVE", "20260115"

    def dose(data: Dataset) -> None:
        data.Manufacturer, data.ManufacturerModelName, data.SoftwareVersions = "Maker", "TPS", ["1", "2"]
        data.DoseComment = "Acuros, dose to medium"
        data.TissueHeterogeneityCorrection = ["IMAGE", "ROI_OVERRIDE"]

    files = write_plan(tmp_path, edit=plan), write_dose(tmp_path, GRID, np.ones(GRID.shape), edit=dose)
    found = read_stated(files[0], [files[1]])
    assert found == Stated(
        approval="APPROVED",
        intent="CURATIVE",
        date="20260115",
        dose_system="Maker TPS 1, 2",
        comment="Acuros, dose to medium",
        quantity="dose to medium",
        heterogeneity="IMAGE, ROI_OVERRIDE",
    )


def test_what_is_not_stated_is_empty(tmp_path):
    files = write_plan(tmp_path), write_dose(tmp_path, GRID, np.ones(GRID.shape))
    found = read_stated(files[0], [files[1]])
    assert (found.algorithm, found.comment, found.quantity) == ("", "", "")


def test_statements_are_kept_without_the_patient_and_older_files_have_none(tmp_path):
    given = case()
    dose = with_run(*(given.pop(name) for name in ("dose", "report", "calibration")))
    del given["profile"]
    stated = Stated(approval="APPROVED", comment="for Jane Doe")
    record = Record.of(**given, quantity=TO_MEDIUM, stated=stated, identity=WHO)
    assert record.stated == Stated(approval="APPROVED", comment="for [patient] [patient]")
    dose.save(tmp_path / "dose.h5")
    record.save(tmp_path / "inputs.h5", tmp_path / "dose.h5")
    assert Record.load(tmp_path / "inputs.h5", tmp_path / "dose.h5").stated == record.stated
    with h5py.File(tmp_path / "inputs.h5", "r+") as file:
        text = json.loads(file["text"][...].tobytes())
        del text["stated"], file["text"]
        file["text"] = np.frombuffer(json.dumps(text).encode(), np.uint8)
    assert Record.load(tmp_path / "inputs.h5", tmp_path / "dose.h5").stated == Stated()

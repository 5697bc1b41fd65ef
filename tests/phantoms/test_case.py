"""Sorting an export folder by UID."""

from __future__ import annotations

import shutil

import pytest

from phantoms.case import find_case
from phantoms.errors import InputError
from tests.dicom_factory import (
    GRID,
    Uids,
    body_box,
    write_case,
    write_ct,
    write_dose,
    write_plan,
    write_structures,
)

OTHER = Uids(frame="1.2.1", series="1.2.2", structures="1.2.3", plan="1.2.4", patient="PATIENT-2")


def test_a_consistent_export_is_sorted(tmp_path):
    write_case(tmp_path)
    (tmp_path / "case.toml").touch()
    (tmp_path / "readme.txt").write_text("hello")
    case = find_case(tmp_path)
    assert len(case.ct_files) == GRID.shape[0]
    assert case.plan_file.name == "RTPLAN.dcm" and case.structures_file.name == "RTSTRUCT.dcm"
    assert [(dose.path.name, dose.summation) for dose in case.doses] == [("RTDOSE.dcm", "PLAN")]
    assert case.case_file == tmp_path / "case.toml" and case.unused == () and case.warnings == ()


def test_subfolders_are_searched(tmp_path):
    write_case(tmp_path / "export")
    (tmp_path / "CT").mkdir()
    for path in (tmp_path / "export").glob("CT.*"):
        shutil.move(path, tmp_path / "CT" / path.name)
    assert len(find_case(tmp_path).ct_files) == GRID.shape[0]


def test_the_case_file_is_found_wherever_it_lies(tmp_path):
    folder = tmp_path / "export"
    write_case(folder / "DICOM")
    case_file = folder / "DICOM" / "case.toml"
    case_file.touch()
    for named in (folder, folder / "DICOM"):
        case = find_case(named)
        assert case.case_file == case_file and case.warnings == ()
    (folder / "case.toml").touch()
    with pytest.raises(InputError, match=r"several case files: DICOM/case.toml and case.toml \(leave one"):
        find_case(folder)


def test_what_may_be_meant_for_a_case_file(tmp_path):
    folder = tmp_path / "export"
    write_case(folder)
    (tmp_path / "case.toml").touch()
    (above,) = find_case(folder).warnings
    assert "case.toml in the folder above the export is not read" in above
    (folder / "ours.toml").touch()
    assert find_case(folder).warnings[0].startswith("ours.toml: not read")
    (folder / "cases.toml").touch()
    with pytest.raises(InputError, match=r"cases.toml: is not read \(did you mean 'case.toml'\?"):
        find_case(folder)
    (folder / "cases.toml").rename(folder / "Case.toml")
    assert find_case(folder).case_file.name == "Case.toml"


def test_what_belongs_elsewhere_is_left_out_and_listed(tmp_path):
    write_case(tmp_path)
    write_ct(tmp_path, uids=OTHER, prefix="other")
    write_structures(tmp_path, [body_box(GRID)], uids=OTHER, name="other_struct.dcm")
    write_dose(tmp_path, uids=OTHER, name="other_dose.dcm")
    write_dose(tmp_path, summation="BEAM", beam=1, name="beam_dose.dcm")
    case = find_case(tmp_path)
    assert len(case.ct_files) == GRID.shape[0] and case.doses[0].path.name == "RTDOSE.dcm"
    reasons = {path.name: reason for path, reason in case.unused}
    assert reasons["other_struct.dcm"] == "another structure set"
    assert reasons["other_dose.dcm"] == "dose of plan 1.2.4"
    assert reasons["beam_dose.dcm"] == "dose of a beam, beside that of the plan"
    assert sum(reason == "another CT series" for reason in reasons.values()) == GRID.shape[0]


def test_beam_doses_are_distinguished(tmp_path):
    write_case(tmp_path)
    (tmp_path / "RTDOSE.dcm").unlink()
    for beam in (1, 2):
        write_dose(tmp_path, summation="BEAM", beam=beam, name=f"dose{beam}.dcm")
    assert [dose.beams for dose in find_case(tmp_path).doses] == [(1,), (2,)]


@pytest.mark.parametrize(
    ("remove", "message"),
    [
        ("RTPLAN.dcm", "no RTPLAN"),
        ("RTSTRUCT.dcm", "no RTSTRUCT"),
        ("CT.*", "no CT images"),
    ],
)
def test_an_incomplete_export_is_refused(tmp_path, remove, message):
    write_case(tmp_path)
    for path in tmp_path.glob(remove):
        path.unlink()
    with pytest.raises(InputError, match=message):
        find_case(tmp_path)


def _no_reference(data):
    del data.ReferencedRTPlanSequence


def _other_patient(data):
    data.PatientID = "PATIENT-2"


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda f: write_plan(f, uids=Uids(plan="1.2.3"), name="second.dcm"), "several plans"),
        (lambda f: write_plan(f, uids=Uids(structures="1.2.3")), "planned on structure set 1.2.3"),
        (lambda f: write_plan(f, uids=Uids(plan="1.2.3")), "RTDOSE.dcm: is a dose of plan"),
        (lambda f: write_plan(f, uids=Uids(frame="1.2.3")), "RTPLAN.dcm: has frame of reference 1.2.3"),
        (lambda f: write_dose(f, uids=Uids(plan="1.2.3")), "dose of plan 1.2.3"),
        (lambda f: write_dose(f, uids=Uids(frame="1.2.3")), "RTDOSE.dcm: has frame of reference 1.2.3"),
        (lambda f: write_dose(f, edit=_no_reference), "dose that names no plan"),
        (lambda f: write_dose(f, edit=_other_patient), "RTDOSE.dcm: has patient PATIENT-2"),
        (lambda f: write_dose(f, name="second.dcm"), "several doses of the plan"),
        (lambda f: write_structures(f, [body_box(GRID)], uids=Uids(series="1.2.3")), "CT series 1.2.3"),
        (lambda f: write_structures(f, [body_box(GRID)], name="copy.dcm"), "structure set twice"),
        (lambda f: write_ct(f, uids=Uids(frame="1.2.3")), "has frame of reference 1.2.3"),
    ],
)
def test_an_inconsistent_export_is_refused(tmp_path, write, message):
    write_case(tmp_path)
    write(tmp_path)
    with pytest.raises(InputError, match=message):
        find_case(tmp_path)


def test_a_plan_without_structure_set_takes_the_only_one_and_says_so(tmp_path):
    write_case(tmp_path)
    write_plan(tmp_path, edit=lambda data: delattr(data, "ReferencedStructureSetSequence"))
    case = find_case(tmp_path)
    assert case.structures_file.name == "RTSTRUCT.dcm" and "names no structure set" in case.warnings[0]


def test_spine_case(shared):
    case = find_case(shared / "cases" / "spine_l1")
    assert len(case.ct_files) == 112 and len(case.doses) == 1 and not case.unused and not case.warnings

"""Sorting an export folder by UID."""

from __future__ import annotations

import os
import shutil
from copy import deepcopy

import pytest
from pydicom.dataset import Dataset

from phantoms.case import find_case
from phantoms.errors import InputError
from tests.dicom_factory import (
    GRID,
    Field,
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
        (
            lambda f: write_plan(f / "new", uids=Uids(plan="1.2.3")),
            r"several plans: RTPLAN.dcm \(TEST\), new/RTPLAN.dcm \(TEST\) \(leave the one",
        ),
        (lambda f: write_dose(f / "new"), r"several doses of the plan: RTDOSE.dcm \(PLAN\), new/RTDOSE.dcm"),
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


@pytest.mark.parametrize("name", ["RTPLAN.dcm", "RTSTRUCT.dcm", "RTDOSE.dcm", "CT.004.dcm"])
@pytest.mark.parametrize("how", ["empty", "text", "broken link", "denied"])
def test_a_file_that_cannot_be_read_is_not_absent(tmp_path, monkeypatch, name, how):
    """Of a plan that is there in name it was said that there is none."""
    write_case(tmp_path)
    path = tmp_path / name
    if how == "denied":  # which root never is
        refuse(monkeypatch, path)
    else:
        path.unlink()
    if how == "broken link":
        path.symlink_to(tmp_path / "elsewhere")
    if how in ("empty", "text"):
        path.write_text("" if how == "empty" else "no DICOM, " * 1000)
    with pytest.raises(InputError, match=f"{name}: ") as caught:
        find_case(tmp_path)
    assert caught.value.source == str(path) and caught.value.remedy


def refuse(monkeypatch, path):
    """Let a file not be opened, as of another user's."""

    def opened(file, *arguments, **options):
        if os.fspath(file) == str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return open(file, *arguments, **options)

    monkeypatch.setattr("phantoms.dicom.open", opened, raising=False)


def test_hidden_files_and_other_names_are_no_dicom(tmp_path):
    """Macs leave ._ files beside those they copy."""
    write_case(tmp_path)
    (tmp_path / "._RTPLAN.dcm").write_bytes(b"\0\5\26\7" * 1000)
    (tmp_path / "notes.txt").write_text("none")
    assert find_case(tmp_path).plan_file.name == "RTPLAN.dcm"


def test_linked_folders_are_searched_once(tmp_path):
    write_case(tmp_path / "case")
    (tmp_path / "archive").mkdir()
    for path in (tmp_path / "case").glob("CT.*"):
        shutil.move(path, tmp_path / "archive" / path.name)
    (tmp_path / "case" / "CT").symlink_to(tmp_path / "archive")
    (tmp_path / "case" / "again").symlink_to(tmp_path / "case")
    assert len(find_case(tmp_path / "case").ct_files) == GRID.shape[0]


def _localizer(data):
    data.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]


def _no_series(data):
    del data.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence


def test_a_localizer_is_no_other_series(tmp_path):
    """Where the structure set lists no series, the CT's is the only one."""
    write_case(tmp_path)
    write_structures(tmp_path, [body_box(GRID)], edit=_no_series)
    write_ct(tmp_path, uids=Uids(series="1.2.5"), prefix="survey", edit=_localizer, skip=range(1, 12))
    case = find_case(tmp_path)
    assert len(case.ct_files) == GRID.shape[0] and [why for _, why in case.unused] == ["localizer"]
    assert case.warnings == ("RTSTRUCT.dcm lists no CT series: the only one in the folder is taken",)


def _second_series(first):
    def edit(data):
        frame = data.ReferencedFrameOfReferenceSequence[0]
        other = Dataset()
        other.SeriesInstanceUID = "1.2.5"
        frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence.insert(0 if first else 1, other)
        image = Dataset()
        listed = frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence[1 if first else 0]
        image.ReferencedSOPInstanceUID = listed.ContourImageSequence[0].ReferencedSOPInstanceUID
        for contour in data.ROIContourSequence[0].ContourSequence:
            contour.ContourImageSequence = [image]

    return edit


@pytest.mark.parametrize("first", [True, False])
def test_of_two_listed_series_that_of_the_contours_is_taken(tmp_path, first):
    """Another phase of a 4D CT, say."""
    write_case(tmp_path)
    write_ct(tmp_path, uids=Uids(series="1.2.5"), prefix="phase")
    with pytest.raises(InputError, match=r"CT series 1\.2\.9, which is not in"):
        write_structures(tmp_path, [body_box(GRID)], 0, uids=Uids(series="1.2.9"))
        find_case(tmp_path)
    write_structures(tmp_path, [body_box(GRID)], edit=_second_series(first))
    case = find_case(tmp_path)
    assert {path.name.partition(".")[0] for path in case.ct_files} == {"CT"}


def _two_groups(data):
    second = deepcopy(data.FractionGroupSequence[0])
    second.FractionGroupNumber = 2
    second.ReferencedBeamSequence[0].ReferencedBeamNumber = 2
    second.NumberOfBeams = data.FractionGroupSequence[0].NumberOfBeams = 1
    del second.ReferencedBeamSequence[1:], data.FractionGroupSequence[0].ReferencedBeamSequence[1:]
    data.FractionGroupSequence.append(second)


def test_doses_of_another_fraction_group_are_left_out(tmp_path):
    write_case(tmp_path, fields=[Field(), Field(90)])
    write_plan(tmp_path, [Field(), Field(90)], edit=_two_groups)
    (tmp_path / "RTDOSE.dcm").unlink()
    for number in (1, 2):

        def of_group(data, number=number):
            group = Dataset()
            group.ReferencedFractionGroupNumber = number
            data.ReferencedRTPlanSequence[0].ReferencedFractionGroupSequence = [group]

        write_dose(tmp_path, summation="FRACTION", edit=of_group, name=f"group{number}.dcm")
        write_dose(tmp_path, summation="BEAM", beam=number, name=f"beam{number}.dcm")
    with pytest.raises(
        InputError, match=r"2 fraction groups: 1 \(3 fractions of beams 1\); 2 .* --fraction-group"
    ):
        find_case(tmp_path)
    with pytest.raises(InputError, match="no fraction group 3"):
        find_case(tmp_path, 3)
    for number, other in ((1, 2), (2, 1)):
        case = find_case(tmp_path, number)
        assert [dose.path.name for dose in case.doses] == [f"group{number}.dcm"]
        reasons = {path.name: why for path, why in case.unused}
        assert reasons[f"group{other}.dcm"] == reasons[f"beam{other}.dcm"] == "dose of another fraction group"

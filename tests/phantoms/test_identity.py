"""What identifies a patient is found in an export and taken out of texts."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset

from phantoms.identity import Identity, pseudonym, read_identity
from tests.dicom_factory import write_plan

WHO = Identity("Doe, Jane", "MRN-0815", frozenset({"doe", "jane", "mrn-0815", "19600102"}))


def test_an_export_reveals_the_patient(tmp_path):
    def edit(data: Dataset) -> None:
        data.PatientName, data.PatientID, data.PatientBirthDate = "Doe^Jane^Q", "MRN-0815", "19600102"
        data.OtherPatientIDs = ["OLD-4711", "X"]
        other = Dataset()
        other.PatientID = "CITY-99"
        data.OtherPatientIDsSequence = [other]

    who = read_identity([write_plan(tmp_path, edit=edit)])
    assert (who.name, who.number) == ("Doe, Jane, Q", "MRN-0815")
    assert who.words == {"doe", "jane", "mrn-0815", "19600102", "old-4711", "city-99"}
    assert who.label == "Doe, Jane, Q (ID MRN-0815)"


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("RP_DOE_Jane.dcm: beam 1 has no name", "RP_[patient]_[patient].dcm: beam 1 has no name"),
        ("Doe^Jane, born 19600102", "[patient]^[patient], born [patient]"),
        ("plan of mrn-0815", "plan of [patient]"),
        ("Doering, Janet: does not match", "Doering, Janet: does not match"),
        ("dose of plan 1.2.840.19600102.3", "dose of plan 1.2.840.19600102.3"),
        ("born 1960-01-02, 2.1.1960, 01/02/1960", "born [patient], [patient], [patient]"),
        ("PlanDoe DOEplan2 doejane JaneL1", "Plan[patient] [patient]plan2 [patient][patient] [patient]L1"),
        ("PTVDoe_v2 DoePlan 2Doe DOEPlan", "PTV[patient]_v2 [patient]Plan 2[patient] [patient]Plan"),
        ("Doegen, avoidoes, mrn-08151, 196001023", "Doegen, avoidoes, mrn-08151, 196001023"),
    ],
)
def test_texts_do_not_reveal_it(text, hidden):
    assert WHO.hidden(text) == hidden


@pytest.mark.parametrize(
    ("names", "text", "hidden"),
    [
        ({"müller"}, "Muller MUELLERplan mu\u0308ller", "[patient] [patient]plan [patient]"),
        ({"山田", "太郎"}, "山田太郎計画", "[patient][patient]計画"),
        ({"zyzzogeton"}, "preZYZZOGETONpost", "pre[patient]post"),
    ],
)
def test_other_spellings_and_scripts(names, text, hidden):
    assert Identity(words=frozenset(names)).hidden(text) == hidden


def test_double_names_and_ideographs(tmp_path):
    def edit(data: Dataset) -> None:
        data.SpecificCharacterSet = "ISO_IR 192"
        data.PatientName = "Meyer-Schmidt^O'Hara=山田^太郎"
        data.PatientID = ""

    words = read_identity([write_plan(tmp_path, edit=edit)]).words
    assert {"meyer-schmidt", "meyer", "schmidt", "o'hara", "hara", "山田", "太郎"} == words


def test_one_likeness_is_not_the_patient():
    assert not WHO.is_revealed_by("Jane's ring") and WHO.is_revealed_by("PTV Jane Doe")
    assert WHO.is_revealed_by("PTV MRN-0815") and not Identity().is_revealed_by("PTV")


def test_nobody_is_hidden_where_nobody_is_named(tmp_path):
    assert read_identity([write_plan(tmp_path)]).words == {"patient-1"}  # Test^Patient
    assert Identity().hidden("Test^Patient") == "Test^Patient"
    assert Identity().label == "not stated"


def test_pseudonym_is_stable_and_short():
    assert pseudonym("MRN-0815") == pseudonym("MRN-0815") != pseudonym("MRN-0816")
    assert len(pseudonym("MRN-0815")) == 12 and pseudonym("") == "not stated"

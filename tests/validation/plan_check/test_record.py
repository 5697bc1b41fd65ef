"""What is kept of a comparison: the same comparison comes of it again, and no patient."""

from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np
import pytest

from mc.dose import TO_MEDIUM, TO_WATER, Dose
from phantoms.errors import InputError
from phantoms.identity import Identity, pseudonym
from tests.validation.spine_phantom import BODY, CORD, GRID, NAME, PTV, case, with_run
from validation.limits.profiles import load_profile
from validation.plan_check.comparison import compare
from validation.plan_check.record import Record

WHO = Identity("Doe, Jane", "MRN-0815", frozenset({"doe", "jane", "mrn-0815"}))


def kept(quantity: str = TO_MEDIUM, **changes) -> tuple[Record, Dose]:
    """The record of the made-up case, and its dose as a run leaves it."""
    given = case(**changes)
    dose = with_run(*(given.pop(name) for name in ("dose", "report", "calibration")))
    del given["profile"]
    return Record.of(**given, quantity=quantity, identity=WHO), dose


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("result")
    record, dose = kept()
    dose.save(folder / "dose.h5")
    record.save(folder / "inputs.h5", folder / "dose.h5")
    return folder, record, dose


def test_the_same_comparison_comes_of_it_again(stored):
    folder, record, dose = stored
    again = Record.load(folder / "inputs.h5", folder / "dose.h5")
    assert again.plan == record.plan and again.patient == pseudonym("MRN-0815")
    first, second = (
        compare(r, d, load_profile("spine")).to_dict()
        for r, d in ((record, dose), (again, Dose.load(folder / "dose.h5")))
    )
    for entry in (first, second):
        del entry["created"]
    assert first.keys() == second.keys()
    for tested, again_tested in zip(first["verdict"]["tests"], second["verdict"]["tests"], strict=True):
        assert tested["name"] == again_tested["name"] and tested["status"] == again_tested["status"]
        values = tested["value"], again_tested["value"]
        assert values == (None, None) or values[0] == pytest.approx(values[1], rel=1e-4, abs=1e-4)
    assert first["plan"] == second["plan"] and first["warnings"] == second["warnings"]
    assert first["phantom_audit"] == second["phantom_audit"]


def test_other_limits_judge_the_same_dose(stored):
    folder, _, _ = stored
    record, dose = Record.load(folder / "inputs.h5", folder / "dose.h5"), Dose.load(folder / "dose.h5")
    found = compare(record, dose, load_profile("stereotactic"))
    assert found.profile.name == "stereotactic"
    assert str(found.verdict.gamma[0].map.criterion) == "2 %/1 mm global, 5 % threshold"


def test_record_is_anonymous(stored):
    folder, record, dose = stored
    with h5py.File(folder / "inputs.h5") as file:
        text = file["text"][...].tobytes().decode()
        assert "Doe" not in text and "MRN" not in text and "exports" not in text
        assert all("Doe" not in str(value) for value in file.attrs.values())
    assert "Doe" not in str(compare(record, dose, load_profile("spine")).to_dict())


def test_names_of_the_patient_in_labels_are_hidden_and_structures_keep_theirs():
    given = case(
        rois=(
            BODY,
            PTV,
            CORD,
            replace(CORD, number=9, name="Jane Doe ring"),
            replace(CORD, number=10, name="Jane"),
        )
    )
    plan = replace(given["plan"], label="DOE_L1")
    record, _ = kept(plan=plan, structures=given["structures"])
    assert record.plan.label == "[patient]_L1"
    assert record.structures.names() == ["BODY", "PTV_L1", "SpinalCord", "[patient] [patient] ring", "Jane"]


def test_the_ct_is_kept_about_the_dose():
    given = case()
    dose = np.zeros(GRID.shape)
    dose[7:9, 11:13, 11:13] = 16.0
    record, _ = kept(planned_dose=replace(given["planned_dose"], dose=dose))
    whole, part = given["ct"].grid, record.ct.grid
    assert part.shape == (16, 24, 24)  # 3 cm about the dose is all of this small CT
    assert whole.matches(part)
    record, _ = kept(
        planned_dose=replace(given["planned_dose"], dose=dose),
        ct=replace(given["ct"], grid=replace(GRID, spacing=(2.0,) * 3, origin=(-15.0, -23.0, -23.0))),
    )
    assert max(record.ct.grid.shape) <= 5 and (record.ct.grid.lower <= -3.0).all()
    assert (record.ct.grid.upper >= 3.0).all()


def test_dose_to_water_is_distinguished():
    record, dose = kept(TO_WATER)
    with pytest.raises(InputError, match="holds no dose to water"):
        compare(record, dose, load_profile("spine"))
    water = replace(dose, mean=1.1 * dose.mean, provenance={**dose.provenance, "quantity": TO_WATER})
    found = compare(record, replace(dose, to_water=water), load_profile("spine"))
    assert found.quantity == TO_WATER and np.array_equal(found.dose.mean, water.mean)


def test_refusals(stored, tmp_path):
    folder, _, dose = stored
    other = tmp_path / "dose.h5"
    replace(dose, mean=2 * dose.mean).save(other)
    with pytest.raises(InputError, match=r"is not the dose that inputs\.h5 was kept with"):
        Record.load(folder / "inputs.h5", other)
    with pytest.raises(InputError, match="no such file: the result is of an older mcverify"):
        Record.load(tmp_path / "inputs.h5", other)
    with pytest.raises(InputError, match="not the inputs of a comparison"):
        Record.load(other, other)
    with pytest.raises(InputError, match=r"dose\.h5: no such file"):
        Record.load(folder / "inputs.h5", tmp_path / "nowhere" / "dose.h5")
    broken = bytearray((folder / "inputs.h5").read_bytes())
    for cut in (200, len(broken) // 2):
        (tmp_path / "cut.h5").write_bytes(broken[:cut])
        with pytest.raises(InputError, match="cannot be read as inputs"):
            Record.load(tmp_path / "cut.h5", folder / "dose.h5")


def test_no_name_unless_asked(stored):
    _, record, dose = stored
    assert NAME not in str(compare(record, dose, load_profile("spine"), name="Doe, Jane").to_dict())

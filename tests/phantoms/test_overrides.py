"""The case file."""

from __future__ import annotations

import pytest

from phantoms.errors import InputError
from phantoms.hu import load_calibration
from phantoms.overrides import load_case_file


def test_case_file(tmp_path):
    path = tmp_path / "case.toml"
    path.write_text(
        'calibration = "scanner.toml"\nexternal = "Skin"\n[overrides]\n'
        '"Rod left" = { material = "titanium", density = 4.4 }\nCement = { material = "pmma" }\n'
    )
    case = load_case_file(path)
    assert case.calibration == str(tmp_path / "scanner.toml") and case.external == "Skin"
    assert [(o.roi, o.material.name, o.density) for o in case.overrides] == [
        ("Rod left", "titanium", 4.4),
        ("Cement", "pmma", 1.19),
    ]


def test_materials_of_the_users_own(tmp_path):
    (tmp_path / "ours.toml").write_text(
        "[our_cement]\ndensity = 1.5\ncomposition = { H = 0.06, C = 0.5, O = 0.31, Br = 0.13 }\n"
        "mean_excitation = 90\n"
    )
    (tmp_path / "scanner.toml").write_text(
        "hu_to_density = [[-1000, 0.001], [3000, 2.8]]\n"
        'materials = [{ name = "water", below = 500 }, { name = "our_cement" }]\n'
    )
    path = tmp_path / "case.toml"
    path.write_text(
        'materials = "ours.toml"\ncalibration = "scanner.toml"\n[overrides]\n'
        'A = { material = "our_cement" }\n'
    )
    case = load_case_file(path)
    (cement,) = case.own_materials
    assert cement.name == "our_cement" and cement.mean_excitation == 90
    assert [z for z, _ in cement.composition] == [1, 6, 8, 35]
    assert case.overrides[0].material is cement and case.overrides[0].density == 1.5
    curve = load_calibration(case.calibration, case.materials)
    assert [m.name for m in curve.materials] == ["water", "our_cement"]
    with pytest.raises(InputError, match="'our_cement' is unknown"):
        load_calibration(case.calibration)


def test_own_materials_may_not_bear_a_shipped_name(tmp_path):
    (tmp_path / "ours.toml").write_text("[water]\ndensity = 1\ncomposition = { H = 0.112, O = 0.888 }\n")
    path = tmp_path / "case.toml"
    path.write_text('materials = "ours.toml"\n')
    with pytest.raises(InputError, match="water is shipped already"):
        load_case_file(path)
    path.write_text('materials = "absent.toml"\n')
    with pytest.raises(InputError, match=r"absent.toml.*No such file"):
        load_case_file(path)


def test_an_empty_case_file_says_nothing(tmp_path):
    (tmp_path / "case.toml").touch()
    case = load_case_file(tmp_path / "case.toml")
    assert case.calibration is None and case.external is None and case.overrides == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[overrides]\nA = { material = "soup" }', r"overrides\.A\.material: 'soup' is unknown"),
        ("[overrides]\nA = { density = 1 }", r"A\.material: is missing"),
        ('[overrides]\nA = "titanium"', "must be a table.*titanium"),
        (
            '[overrides]\nA = { material = "water", density = -1 }',
            "density: must be greater than 0, found -1",
        ),
        ('[overrides]\nA = { material = "water", density = 1000 }', "density: 1000 is above 25"),
        ('[overrides]\nA = { material = "water", hu = 3 }', r"A\.hu: is unknown"),
        ("override = 3", "did you mean 'overrides'"),
        ("overrides = 3", "must be a table"),
        ("calibration = 3", "must be text in quotes"),
        ("materials = 3", "must be text in quotes"),
        ("= 3", "not valid TOML"),
    ],
)
def test_broken_case_files_are_refused(tmp_path, text, message):
    path = tmp_path / "case.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        load_case_file(path)

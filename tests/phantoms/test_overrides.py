"""The case file."""

from __future__ import annotations

import pytest

from phantoms.errors import InputError
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


def test_an_empty_case_file_says_nothing(tmp_path):
    (tmp_path / "case.toml").touch()
    case = load_case_file(tmp_path / "case.toml")
    assert case.calibration is None and case.external is None and case.overrides == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[overrides]\nA = { material = "soup" }', "unknown material soup"),
        ("[overrides]\nA = { density = 1 }", "needs a material"),
        ('[overrides]\nA = "titanium"', "needs a material"),
        ('[overrides]\nA = { material = "water", density = -1 }', "density -1"),
        ('[overrides]\nA = { material = "water", density = 1000 }', "density 1000"),
        ('[overrides]\nA = { material = "water", hu = 3 }', "unknown key hu"),
        ("override = 3", "unknown key override"),
        ("overrides = 3", "must be a table"),
        ("calibration = 3", "must be a text"),
        ("= 3", "not valid TOML"),
    ],
)
def test_broken_case_files_are_refused(tmp_path, text, message):
    path = tmp_path / "case.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        load_case_file(path)

"""CT calibration curves: what the shipped ones say, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from phantoms.errors import InputError
from phantoms.hu import calibration_names, load_calibration


def apply(calibration, *hu):
    density, material = calibration.apply(np.array(hu, np.float32)[None])
    return density[0], [calibration.materials[index].name for index in material[0]]


def test_opentps_curve_is_linear_between_its_points():
    curve = load_calibration("opentps-4")
    density, names = apply(curve, -2000, -1000, -918.5, -837, -67, -28.5, 10, 154, 1002, 4000)
    expected = [0.00121, 0.00121, 0.098105, 0.195, 0.967, None, 1.0, None, 1.609, 2.82]
    for found, value in zip(density, expected, strict=True):
        assert value is None or found == pytest.approx(value, rel=1e-6)
    assert density[5] == pytest.approx(0.991 + (1 - 0.991) * 6.5 / 45, rel=1e-6)
    assert density[7] == pytest.approx((1.062 + 1.161) / 2, rel=1e-6)
    assert names[1:4] == ["air", "lung_icru44", "lung_icru44"]


def test_material_limits_belong_to_the_upper_material():
    _, names = apply(load_calibration("opentps-4"), -951, -950, -121, -120, 119, 120)
    assert names == [
        "air",
        "lung_icru44",
        "lung_icru44",
        "soft_tissue_icru4",
        "soft_tissue_icru4",
        "cortical_bone_icrp",
    ]


def test_schneider_follows_the_published_sections():
    curve = load_calibration("schneider-24")
    assert len(curve.materials) == 24
    density, names = apply(curve, -741, 0, 20, 50, 100, 101, 1000, 2500)
    expected = [0.2679, 1.018, 1.03, 1.003 + 1.169e-3 * 50, 1.1199, 1.017 + 0.592e-3 * 101, 1.609, 2.451]
    np.testing.assert_allclose(density, expected, rtol=1e-4)
    assert names[0] == "schneider_lung" and names[6] == "schneider_bone_10"


def test_clamped_voxels_take_the_end_of_the_curve_and_are_counted():
    curve = load_calibration("schneider-24")
    hu = np.array([[-1024, -1000, 0, 2995, 2996, 3071]], np.float32)
    density, _ = curve.apply(hu)
    assert density[0, 0] == density[0, 1] and density[0, 5] == density[0, 3]
    assert curve.count_clamped(hu) == (1, 2)


@pytest.mark.parametrize("name", calibration_names())
def test_every_shipped_curve_loads_and_rises(name):
    curve = load_calibration(name)
    assert curve.name == name and curve.source
    assert curve.density[-1] > 2.5


GOOD = (
    'hu_to_density = [[-1000, 0.001], [1000, 2.0]]\nmaterials = [{name="air", below=-900}, {name="water"}]\n'
)


def test_a_users_own_curve(tmp_path):
    path = tmp_path / "scanner.toml"
    path.write_text(GOOD)
    density, names = apply(load_calibration(path), 0, -1000)
    np.testing.assert_allclose(density, [1.0005, 0.001])
    assert names == ["water", "air"] and load_calibration(path).name == "scanner"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[1000, 2.0]", "[-1000, 2.0]", "ascending HU"),
        ("[1000, 2.0]", "[1000, 0.0]", "above 0"),
        ("[1000, 2.0]", "[1000]", r"hu_to_density: must be a list of 2 numbers, found \[1000\].*HU, density"),
        ("[1000, 2.0]", "[nan, 2.0]", "must be a finite number"),
        (", [1000, 2.0]", "", "two or more points"),
        ('"water"', '"soup"', "'soup' is unknown"),
        (", below=-900", "", "upper HU limit"),
        ('{name="air"', '{name="air", below=0}, {name="air"', "must ascend"),
        ("hu_to_density", "density", "density: is unknown.*'hu_to_density'"),
        ("materials", "# materials", "materials: is missing"),
        ("materials", "surce = 'x'\nmaterials", "did you mean 'source'"),
        ("below=-900", "belw=-900", "belw: is unknown.*'below'"),
    ],
)
def test_broken_curves_are_refused(tmp_path, old, new, message):
    path = tmp_path / "scanner.toml"
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(InputError, match=message):
        load_calibration(path)


def test_an_unknown_curve_names_those_shipped():
    with pytest.raises(InputError, match="schneider-24"):
        load_calibration("siemens")

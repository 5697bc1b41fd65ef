"""Calibrations from scans of films of known dose, and their files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from phantoms.errors import InputError
from tests.synthetic_film import Scanner, devic, write_tiff
from validation.film.calibrate import make_calibration
from validation.film.calibration import read_calibration, write_calibration
from validation.film.film_set import read_film_set
from validation.film.lateral import fit_lateral

DOSES = (0.0, 0.5, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0)
SCANNER = Scanner(400, 340, 36.0, noise=0.003)  # 282 x 240 mm


def strips(scanner: Scanner = SCANNER, doses: tuple[float, ...] = DOSES) -> tuple[np.ndarray, np.ndarray]:
    """Doses and places of films that lie across the scanner, one above the other."""
    dose, film = np.zeros((scanner.height, scanner.width)), np.zeros((scanner.height, scanner.width), bool)
    for k, value in enumerate(doses):
        film[10 + 40 * k : 40 + 40 * k, 30:370] = True
        dose[10 + 40 * k : 40 + 40 * k] = value
    return dose, film


def film_set(
    folder: Path, scanner: Scanner = SCANNER, extra: str = "", doses: tuple[float, ...] = DOSES
) -> Path:
    """A list of films and the scan it names."""
    write_tiff(folder / "cal.tif", scanner.scan(*strips(scanner, doses), 1), scanner.dpi)
    listed = "".join(f"[[films]]\ndose_gy = {dose}\n" for dose in doses)
    path = folder / "films.toml"
    path.write_text(f'title = "test"\nscans = ["cal.tif"]\n{extra}\n{listed}')
    return path


@pytest.mark.parametrize("curve", ["rational", "devic"])
def test_curves_come_back(tmp_path, curve):
    scanner = replace(SCANNER, curve=devic) if curve == "devic" else SCANNER
    calibration = make_calibration(read_film_set(film_set(tmp_path, scanner)))
    warnings = calibration.warnings
    assert len(warnings) == 1 and "lateral_response = true" in warnings[0]  # the films lie across the scanner
    fine = np.linspace(0.5, 9.8, 60)
    for k in range(2):  # blue resolves small doses badly
        error = calibration.curves[k].dose(scanner.curve(fine)[:, k]) - fine
        assert (np.abs(error) < 0.01 * np.maximum(fine, 1.0)).all()


def test_the_lateral_response_is_taken_away(tmp_path):
    """Optical density 8 % higher 100 mm from the middle: 20 to 30 % of dose, less than 1.2 % corrected."""
    scanner = replace(SCANNER, parabola=0.08)
    calibration = make_calibration(read_film_set(film_set(tmp_path, scanner, "lateral_response = true")))
    at = np.array([-105.0, -63.0, 4.0, 48.0, 97.0])
    for dose in (0.7, 3.0, 7.0, 9.5):
        seen = scanner.curve(dose) ** (1.0 + 0.08 * (at[:, None] / 100.0) ** 2)
        corrected = calibration.lateral.correct(seen, at)
        found = calibration.curves[0].dose(corrected[:, 0])
        assert found == pytest.approx(np.full(at.size, dose), rel=0.012, abs=0.012)
        if dose > 1.0:
            assert calibration.curves[0].dose(seen[0, 0]) > 1.1 * dose  # what would be read without
    assert not calibration.lateral.covers(np.array([130.0])).any()


def test_the_lateral_axis_may_lie_along_the_rows_or_columns(tmp_path):
    """The same scan turned over its diagonal gives the same calibration."""
    scanner = replace(SCANNER, parabola=0.06)
    pixels = scanner.scan(*strips(scanner), 1)
    listed = "".join(f"[[films]]\ndose_gy = {dose}\n" for dose in DOSES)
    found = []
    for axis, scan in (("x", pixels), ("y", pixels.transpose(1, 0, 2))):
        write_tiff(tmp_path / f"{axis}.tif", scan, scanner.dpi)
        head = f'scans = ["{axis}.tif"]\nlateral_response = true\nlateral_axis = "{axis}"\n'
        (tmp_path / "films.toml").write_text(head + listed)
        found.append(make_calibration(read_film_set(tmp_path / "films.toml")))
    for one, other in zip(found[0].curves, found[1].curves, strict=True):
        assert other.parameters == pytest.approx(one.parameters, rel=1e-6)
    assert found[1].lateral.coefficients == pytest.approx(found[0].lateral.coefficients, rel=1e-6, abs=1e-9)


def test_films_scanned_at_several_lateral_positions(tmp_path):
    """Films too small to lie across the scanner, scanned in five places (Lewis and Chan)."""
    scanner = replace(SCANNER, parabola=0.08)
    x, y = scanner.places()
    entries = ["lateral_response = true\n"]
    for number, place in enumerate((-100.0, -50.0, 0.0, 50.0, 100.0)):
        dose, film = np.zeros((340, 400)), np.zeros((340, 400), bool)
        for k, value in enumerate(DOSES):
            region = (np.abs(x - place) < 18.0) & (np.abs(y + 98.0 - 28.0 * k) < 12.0)
            film |= region
            dose[region] = value
        write_tiff(tmp_path / f"{number}.tif", scanner.scan(dose, film, number), scanner.dpi)
        entries += [f'[[films]]\nscans = ["{number}.tif"]\ndose_gy = {value}\n' for value in DOSES]
    (tmp_path / "films.toml").write_text("".join(entries))
    calibration = make_calibration(read_film_set(tmp_path / "films.toml"))
    at = np.array([-100.0, -75.0, -50.0, 0.0, 25.0, 100.0])
    seen = scanner.curve(5.0) ** (1.0 + 0.08 * (at[:, None] / 100.0) ** 2)
    found = calibration.curves[0].dose(calibration.lateral.correct(seen, at)[:, 0])
    assert found == pytest.approx(np.full(at.size, 5.0), rel=0.015)  # linear between the places


def test_a_dose_profile_across_the_films(tmp_path):
    """Films whose dose falls by 4 % to the ends give the same curves if that is stated."""
    x, _ = SCANNER.places()
    dose, film = strips()
    horn = 1.0 - 0.04 * (x / 100.0) ** 2
    write_tiff(tmp_path / "cal.tif", SCANNER.scan(dose * horn, film, 2), SCANNER.dpi)
    at = np.linspace(-150, 150, 61)
    (tmp_path / "profile.csv").write_text(
        "".join(f"{p},{98.0 * (1.0 - 0.04 * (p / 100.0) ** 2)}\n" for p in at)
    )
    listed = "".join(f"[[films]]\ndose_gy = {d}\n" for d in DOSES)
    head = 'scans = ["cal.tif"]\ndose_profile = "profile.csv"\nlateral_response = true\n'
    (tmp_path / "films.toml").write_text(head + listed)
    calibration = make_calibration(read_film_set(tmp_path / "films.toml"))
    fine = np.linspace(1.0, 9.5, 30)
    assert calibration.curves[0].dose(SCANNER.curve(fine)[:, 0]) == pytest.approx(fine, rel=0.01)
    at = calibration.lateral.position_mm
    middle = np.broadcast_to(SCANNER.curve(5.0), (at.size, 3))
    assert calibration.lateral.correct(middle, at) == pytest.approx(middle, rel=0.004)


def test_the_file_says_what_was_fitted(tmp_path):
    scanner = replace(SCANNER, parabola=0.05)
    made = make_calibration(read_film_set(film_set(tmp_path, scanner, "lateral_response = true")))
    write_calibration(made, tmp_path / "cal.toml")
    read = read_calibration(tmp_path / "cal.toml")
    dose = np.linspace(0.0, 10.0, 21)
    for one, other in zip(made.curves, read.curves, strict=True):
        assert other.response(dose) == pytest.approx(one.response(dose), rel=1e-8)
        assert other.sigma(dose) == pytest.approx(one.sigma(dose), rel=1e-4)
    response = np.full((5, 3), 0.4)
    at = np.linspace(-90.0, 90.0, 5)
    assert read.lateral.correct(response, at) == pytest.approx(made.lateral.correct(response, at), rel=1e-8)
    assert (read.spread, read.title, len(read.films)) == (pytest.approx(made.spread), "test", len(DOSES))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"0.5": "12.0"}, "brighter in red"),
        ({"scans =": "scan ="}, "scan"),
        ({"dose_gy = 0.5": "dose_gy = nan"}, "finite"),
        ({"dose_gy = 0.5": "dose_gy = -1.0"}, "greater"),
        ({"[[films]]\ndose_gy = 0.5\n": ""}, "lists 7 films"),
        ({"dose_gy = 0.5": "dose_gy = 0.5\nbox_px = [0, 0, 9000, 10]"}, "some films"),
        ({"cal.tif": "nowhere.tif"}, "cannot be read"),
    ],
)
def test_lists_that_cannot_be_are_refused(tmp_path, change, message):
    path = film_set(tmp_path)
    text = path.read_text()
    for old, new in change.items():
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        make_calibration(read_film_set(path))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("spread = ", "spread = -", "spread"),
        ('family = "', 'family = "x', "unknown"),
        ("format_version = 1", "format_version = 7", "version 7"),
        ('format = "mcverify film calibration"', 'format = "other"', "not a film calibration"),
        ("parameters = [", "parameters = [-9.0, ", "list of 5"),
        ("largest_dose_gy = ", "largest_dose_gy = nan #", "finite"),
        ("[red]", "[red", "TOML"),
    ],
)
def test_damaged_calibrations_are_refused(tmp_path, old, new, message):
    made = make_calibration(read_film_set(film_set(tmp_path)))
    path = tmp_path / "cal.toml"
    write_calibration(made, path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=message):
        read_calibration(path)


def test_a_lateral_response_needs_films_across_the_scanner():
    at = np.repeat(np.linspace(-20.0, 20.0, 5), 2)
    measured = np.full((10, 3), 0.5)
    with pytest.raises(InputError, match="two doses"):
        fit_lateral(at, measured, measured, np.zeros(10, int))


def test_shared_films(shared, tmp_path):
    """Real films: red and green curves meet them to 0.03 Gy, blue, which resolves little, to 0.09 Gy."""
    folder = shared / "data" / "film" / "dosepy"
    listed = "".join(f"[[films]]\ndose_gy = {dose}\n" for dose in (0.0, 1.0, 2.0, 4.0, 6.5, 9.5))
    path = tmp_path / "films.toml"
    path.write_text(
        f'scans = ["{folder}/film20240620_002.tif"]\ndose_profile = "{folder}/BeamProfile.csv"\n'
        f"lateral_response = true\n{listed}"
    )
    calibration = make_calibration(read_film_set(path))
    warnings = calibration.warnings
    assert not warnings
    for k, most in enumerate((0.03, 0.03, 0.09)):
        assert np.nanmax(np.abs(calibration.residuals(k))) < most
        assert calibration.curves[k].misfit < 0.005
    reach = calibration.lateral.position_mm[[0, -1]]
    assert reach[0] < -80.0 and reach[1] > 70.0

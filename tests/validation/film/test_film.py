"""A film from TIFF to verdict: synthetic ones of known dose, and real ones."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mc.dose import Dose
from phantoms.errors import InputError
from phantoms.grid import Grid
from tests.synthetic_film import BED
from tests.validation.film.film_case import HALF, MIDDLE, TRUTH, FilmCase, field, film_case
from validation.cli import main
from validation.film.calibrate import make_calibration
from validation.film.check import Options, check_film
from validation.film.compare import compare_film
from validation.film.dose import Strip, film_dose
from validation.film.film_set import read_film_set
from validation.film.placement import Placement
from validation.film.plane import Plane
from validation.film.register import assess
from validation.film.scan import Scan, read_scans
from validation.metrics.gamma import Criterion


@pytest.fixture(scope="module")
def case(tmp_path_factory) -> FilmCase:
    return film_case(tmp_path_factory.mktemp("film"))


@pytest.fixture(scope="module")
def calibrated(case):
    assert (
        main(["film-calibrate", str(case.folder / "films.toml"), "--out", str(case.folder / "CAL.toml")]) == 0
    )
    assert "Film calibration" in (case.folder / "CAL.html").read_text()
    return case.folder / "CAL.toml"


def run(case: FilmCase, calibration: Path, out: Path, *options: str) -> tuple[int, dict]:
    """Run `mcverify film`; exit code and result."""
    files = [str(case.folder / f"film{k}.tif") for k in (2, 3)]
    plane = ["--plane", str(case.folder / "RD.dcm"), "--cut", "coronal=0mm"]
    code = main(["film", *files, "--calibration", str(calibration), *plane, "--out", str(out), *options])
    return code, json.loads((out / "result.json").read_text())


def errors(result: dict, out: Path) -> tuple[float, float]:
    """Largest distance between where pixels lie and were put [mm], and rms error of dose at high dose [%]."""
    maps = np.load(out / "film.npz")
    x0, y0 = result["film"]["middle_in_scan_mm"]
    matrix, centre = np.array(result["registration"]["film_to_plane"]), result["registration"]["centre_mm"]
    scan_middle = (0.5 * 560 * 25.4 / 50.0 + MIDDLE[0], 0.5 * 420 * 25.4 / 50.0 + MIDDLE[1])
    away = 0.0
    for x in (-HALF[0], HALF[0]):
        for y in (-HALF[1], HALF[1]):
            truth = np.array(TRUTH.to_plane(np.array(x), np.array(y)))
            found = centre + matrix @ (x + scan_middle[0] - x0, y + scan_middle[1] - y0)
            away = max(away, float(np.hypot(*(found - truth))))
    truth = field(maps["u_mm"], maps["v_mm"])
    high = np.isfinite(maps["dose"]) & (truth > 0.5 * truth.max())
    return away, float(100.0 * np.abs(np.mean(maps["dose"][high] / truth[high]) - 1.0))


def test_a_known_film_comes_back(case, calibrated, tmp_path):
    """Bar: 1 % of dose and 0.3 mm, by automatic registration."""
    code, result = run(case, calibrated, tmp_path / "out", "--criterion", "3%/2mm", "--criterion", "2%/1mm")
    away, dose = errors(result, tmp_path / "out")
    assert code == 0 and result["status"] == "pass"
    assert away < 0.15 and dose < 0.5
    assert result["registration"]["angle_deg"] == pytest.approx(1.3, abs=0.1)
    assert [g["passing_percent"] > 99.0 for g in result["gamma"]] == [True, True]
    report = (tmp_path / "out" / "report.html").read_text()
    assert "PASS" in report and report.count("<img") >= 5 and 'src="http' not in report


def test_a_result_folder_is_a_dose(case, calibrated, tmp_path):
    """The dose.h5 of a Monte Carlo run, of two fractions; axial planes would be another film's."""
    folder = tmp_path / "run"
    folder.mkdir()
    u, y, v = np.arange(-9.0, 9.01, 0.3), np.arange(-0.9, 0.91, 0.3), np.arange(2.0, 18.01, 0.3)
    dose = 2.0 * np.broadcast_to(field(10.0 * u, 10.0 * v[:, None])[:, None, :], (v.size, y.size, u.size))
    grid = Grid(dose.shape, (0.3, 0.3, 0.3), (v[0], y[0], u[0]))
    Dose(grid, dose, np.full(dose.shape, 0.01), np.array(np.nan), {"quantity": "test"}).save(
        folder / "dose.h5"
    )
    code, result = run(case, calibrated, tmp_path / "out", "--plane", str(folder), "--scale", "1/2")
    away, found = errors(result, tmp_path / "out")
    assert code == 0 and away < 0.15 and found < 0.5
    assert result["plane_dose"] == {"file": "dose.h5", "of": "test", "scale": 0.5}
    assert main(["film", str(case.folder / "film2.tif"), "--calibration", str(calibrated), "--plane",
                 str(tmp_path / "out"), "--out", str(tmp_path / "other")]) == 2  # fmt: skip


def test_marks_and_hand_give_the_same_place(case, calibrated, tmp_path):
    options = []
    for x, y in ((-55.0, -45.0), (57.0, -44.0), (3.0, 50.0)):
        u, v = TRUTH.to_plane(np.array(x), np.array(y))
        px, py = case.pixel(x, y)
        options.append(f"--mark={px:.3f},{py:.3f}={float(u):.4f}mm,{float(v):.4f}mm")
    code, result = run(case, calibrated, tmp_path / "marks", *options)
    away, _ = errors(result, tmp_path / "marks")
    assert code == 0 and away < 0.02
    assert result["registration"]["residual_mm"] < 0.01
    assert result["registration"]["automatic"]["angle_deg"] == pytest.approx(1.3, abs=0.1)
    code, result = run(case, calibrated, tmp_path / "hand", "--place=9.7mm,98.3mm,1.3deg")
    assert code == 1  # 7 mm off
    assert any("would move the film by 7." in warning for warning in result["warnings"])


def test_a_wrong_dose_is_caught(case, calibrated, tmp_path):
    code, result = run(case, calibrated, tmp_path / "out", "--scale", "0.95")
    assert code == 1 and result["status"] == "fail"
    assert result["registration"]["dose_factor"] == pytest.approx(1.0 / 0.95, abs=0.01)


def test_a_failed_registration_is_no_verdict(case, calibrated, tmp_path, capsys):
    """A film laid turned by 180 degrees, and a plane that it was never irradiated in."""
    code, result = run(case, calibrated, tmp_path / "turned", "--turn", "180")
    said = capsys.readouterr().out
    assert code == 2 and result["status"] == "no verdict"
    assert "verdict: NO VERDICT" in said and "fits better with --turn 0" in said
    assert "NO VERDICT" in (tmp_path / "turned" / "report.html").read_text()
    code, result = run(case, calibrated, tmp_path / "other", "--cut", "axial=100mm")
    assert code == 2 and result["status"] == "no verdict"
    assert "its place is only known" in capsys.readouterr().out.replace("the film's", "its")


def two_films(case: FilmCase) -> Path:
    """The same film twice on one scan, side by side."""
    from tests.synthetic_film import write_tiff

    pixels = [np.rint(read_scans([case.folder / f"film{k}.tif"]).response * 65535.0) for k in (2, 3)]
    return write_tiff(case.folder / "two.tif", np.hstack(pixels).astype(np.uint16), 50.0)


def test_two_films_on_a_scan_are_to_choose_from(case, calibrated, tmp_path, capsys):
    scan, plane = two_films(case), str(case.folder / "RD.dcm")
    arguments = ["film", str(scan), "--calibration", str(calibrated), "--plane", plane]
    assert main([*arguments, "--cut", "coronal=0mm", "--out", str(tmp_path)]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "two films seen, at 1" in line and "choose one by --box" in line
    box = re.search(r"at ([\d,]+) and", line)[1]
    calibration = make_calibration(read_film_set(case.folder / "films.toml"))
    alone = film_dose(read_scans([case.folder / "film2.tif"]), calibration)
    chosen = film_dose(read_scans([scan]), calibration, box_px=[float(p) for p in box.split(",")])
    assert np.abs(np.subtract(alone.dose.shape, chosen.dose.shape)).max() <= 2 * 2.0 / 0.508 + 2
    with pytest.raises(InputError, match="two films seen"):
        film_dose(read_scans([scan]), calibration)
    # one of them is a strip of known dose
    strip = Strip(0.0, tuple(float(p) for p in re.search(r"and ([\d,]+)", line)[1].split(",")))
    left = film_dose(read_scans([scan]), calibration, strips=[strip])
    assert left.corner_mm == pytest.approx(chosen.corner_mm, abs=1.0)


def test_a_single_channel(case, calibrated, tmp_path):
    _, result = run(case, calibrated, tmp_path / "out", "--method", "red")
    away, dose = errors(result, tmp_path / "out")
    assert away < 0.15 and dose < 1.0


@pytest.fixture(scope="module")
def calibration(case):
    return make_calibration(read_film_set(case.folder / "films.toml"))


def test_strips_of_known_dose_undo_a_drift(case, calibration):
    """A scanner that reads 4 % brighter with an offset: two strips put the dose right."""
    scanner = replace(case.scanner, thickness=0.0)
    x, y = scanner.places()
    dose, film = np.full((420, 560), 5.0), (np.abs(x) < 60.0) & (np.abs(y) < 40.0)
    for k, value in enumerate((0.0, 7.0)):
        at = (np.abs(x) < 60.0) & (np.abs(y - 60.0 - 25.0 * k) < 9.0)
        dose, film = np.where(at, value, dose), film | at
    clean = scanner.scan(dose, film, 5) / 65535.0
    drifted = 0.01 + 1.04 * clean * (clean < 0.9) + (clean >= 0.9) * (BED - 0.01)
    scan = Scan((case.folder / "film2.tif",), drifted, (scanner.pitch,) * 2, (scanner.pitch,) * 2)
    box = [case.scanner.width / 2 - 100, 0, case.scanner.width / 2 + 100, 0]
    strips = []
    for k, value in enumerate((0.0, 7.0)):
        row = 0.5 * 420 + (60.0 + 25.0 * k) / scanner.pitch
        strips.append(Strip(value, (box[0], row - 12, box[2], row + 12)))
    bare = film_dose(scan, calibration, method="red")
    scaled = film_dose(scan, calibration, strips=strips)
    assert np.nanmean(bare.dose) < 4.8
    assert np.nanmean(scaled.dose) == pytest.approx(5.0, rel=0.01)
    with pytest.raises(InputError, match="one dose"):
        film_dose(scan, calibration, strips=[strips[0], strips[0]])


def test_saturated_film_cannot_pass(case, calibration):
    """Film of twice the largest calibrated dose has no dose there, and no verdict."""
    scan, plane = _film_of(case, 2.0)
    film = film_dose(scan, calibration)
    assert film.saturated.any() and np.isnan(film.dose[film.saturated]).all()
    assert any("darker than 10 Gy" in warning for warning in film.warnings)
    place = Placement((2.7, 98.3), 1.3)
    registration = assess(film, plane, place, "given", np.nan, np.full(3, np.nan))
    found = compare_film(film, plane, registration, [Criterion(3.0, 2.0)], 95.0)
    assert found.status == "not judged" and found.missing > 0.05


def _film_of(case: FilmCase, factor: float) -> tuple[Scan, Plane]:
    scanner = replace(case.scanner, thickness=0.0)
    x, y = (p - m for p, m in zip(scanner.places(), MIDDLE, strict=True))
    dose = factor * field(*TRUTH.to_plane(x, y))
    film = (np.abs(x) < HALF[0]) & (np.abs(y) < HALF[1])
    pixels = scanner.scan(dose, film, 9) / 65535.0
    u, v = np.arange(-90.0, 91.0, 2.0), np.arange(20.0, 181.0, 2.0)
    plane = Plane(factor * field(u[None, :], v[:, None]), u, v, "coronal", 0.0)
    return Scan((case.folder / "film2.tif",), pixels, (scanner.pitch,) * 2, (scanner.pitch,) * 2), plane


def test_gamma_in_the_plane_against_closed_forms(case, calibration):
    """A dose offset of 3 % over a criterion of 2 % is a gamma of 1.5 where the dose is flat."""
    scan, plane = _film_of(case, 1.0)
    film = film_dose(scan, calibration)
    flat = replace(plane, dose=np.full(plane.dose.shape, 5.0))
    film = replace(film, dose=np.where(film.known, 5.15, np.nan))
    registration = assess(film, flat, TRUTH, "given", np.nan, np.full(3, np.nan))
    for reference in ("plane", "film"):
        found = compare_film(film, flat, registration, [Criterion(2.0, 1.0)], 95.0, reference)
        values = found.gamma()
        assert np.nanmax(values) == pytest.approx(1.5, rel=1e-4)
        assert np.nanmin(values) == pytest.approx(1.5, rel=1e-4)
        assert found.statistics()["high_dose_median_ratio"] == pytest.approx(1.03)
    # a ramp of 1 Gy/cm moved by 1 mm: gamma of 3 %/2 mm by Low's formula for a straight slope
    ramp = replace(plane, dose=np.broadcast_to(0.1 * (plane.u_mm + 95.0), plane.dose.shape).copy())
    u, v = TRUTH.to_plane(film.x_mm[None, :], film.y_mm[:, None])
    film = replace(film, dose=np.where(film.film, 0.1 * (u + 96.0) + 0.0 * v, np.nan))
    registration = assess(film, ramp, TRUTH, "given", np.nan, np.full(3, np.nan))
    found = compare_film(film, ramp, registration, [Criterion(3.0, 2.0, threshold_percent=0.0)], 95.0)
    distance, dose = 1.0 / 2.0, 0.1 / (0.03 * found.normalisation)
    expected = 1.0 / np.hypot(1.0 / distance, 1.0 / dose)
    inside = found.gamma()[10:-10, 10:-10]
    assert np.nanmedian(inside) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--cut", "coronal=90mm"], "no dose at y = 90 mm"),
        (["--cut", "coronal=90"], "has no unit"),
        (["--cut", "oblique=3mm"], "is not a plane"),
        (["--box", "0,0,9000,10"], "does not lie in"),
        (["--box", "10,10,5,20"], "not a box"),
        (["--mark", "10,10=1mm,2mm"], "three known"),
        (["--mark", "10,10=1,2mm"], "has no unit"),
        (["--strip", "5@10,10,20,20"], "has no unit"),
        (["--strip", "50Gy@10,10,40,40"], "more than the calibration"),
        (["--place", "400mm,0mm"], "outside the plane"),
        (["--criterion", "3mm/2%"], "not understood"),
        (["--scale", "-1"], "scale"),
        (["--plane", "nowhere.dcm"], "cannot be read"),
    ],
)
def test_impossible_input_is_refused_in_one_line(case, calibrated, tmp_path, capsys, options, message):
    arguments = ["film", str(case.folder / "film2.tif"), "--calibration", str(calibrated)]
    arguments += ["--plane", str(case.folder / "RD.dcm"), "--out", str(tmp_path / "out")]
    if "--cut" not in options:
        arguments += ["--cut", "coronal=0mm"]
    assert main([*arguments, *options]) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert message in line and "Traceback" not in line


def test_a_folder_of_another_result_is_kept(case, calibrated, tmp_path, capsys):
    (tmp_path / "result.json").write_text('{"schema": "mcverify result"}')
    arguments = ["film", str(case.folder / "film2.tif"), "--calibration", str(calibrated)]
    arguments += ["--plane", str(case.folder / "RD.dcm"), "--cut", "coronal=0mm", "--out", str(tmp_path)]
    assert main(arguments) == 2
    assert "another command" in capsys.readouterr().err
    assert json.loads((tmp_path / "result.json").read_text()) == {"schema": "mcverify result"}


@pytest.fixture(scope="module")
def dosepy(shared, tmp_path_factory):
    """Calibration by the first scan of the real films, and their folder."""
    folder = shared / "data" / "film" / "dosepy"
    path = tmp_path_factory.mktemp("dosepy") / "films.toml"
    listed = "".join(f"[[films]]\ndose_gy = {dose}\n" for dose in (0.0, 1.0, 2.0, 4.0, 6.5, 9.5))
    path.write_text(
        f'scans = ["{folder}/film20240620_002.tif"]\ndose_profile = "{folder}/BeamProfile.csv"\n'
        f"lateral_response = true\n{listed}"
    )
    return folder, make_calibration(read_film_set(path))


def test_shared_film_of_4_gy_against_its_dose(dosepy):
    """The second scan of the 4 Gy film, calibrated by the first, against 4 Gy times the beam's profile."""
    folder, calibration = dosepy
    profile = np.genfromtxt(folder / "BeamProfile.csv", delimiter=",")
    u, v = np.arange(-110.0, 110.1, 2.0), np.arange(-20.0, 20.1, 2.0)
    relative = np.interp(u, *profile.T) / np.interp(0.0, *profile.T)
    grid = Grid((v.size, 2, u.size), (0.2, 0.2, 0.2), (-2.0, -0.1, -11.0))
    dose = np.broadcast_to(4.0 * relative, (v.size, 2, u.size))
    scan = read_scans([folder / "film20240620_003.tif"])
    options = Options(box_px=(155, 354, 732, 400), place=(0.0, 0.0, 0.0), view="coronal", at_mm=0.0)
    found = check_film(scan, calibration, dose, grid, "4 Gy", "profile", options).comparison
    assert found.status == "pass" and found.gammas[0].passing_rate() > 99.0
    assert found.statistics()["high_dose_median_ratio"] == pytest.approx(1.0, abs=0.02)


def test_shared_film_of_5_gy_of_another_day(dosepy):
    """A film of 5 Gy scanned months later with an unexposed one, which brings it from 5.5 to 5 Gy.

    The dose is that of Dosepy's own test of this film, with its tolerance of 5 %.
    """
    folder, calibration = dosepy
    scan = read_scans([folder / "Ver_050dpi20241106_001.tif"])
    box, strip = (270, 88, 630, 132), Strip(0.0, (165, 182, 745, 222))
    bare = film_dose(scan, calibration, box_px=box)
    assert np.nanmedian(bare.dose) > 5.3
    assert any("channels disagree" in warning for warning in bare.warnings)
    u, v = np.arange(-80.0, 80.1, 2.0), np.arange(-20.0, 20.1, 2.0)
    grid = Grid((v.size, 1, u.size), (0.2, 0.2, 0.2), (-2.0, 0.0, -8.0))
    dose = np.full((v.size, 1, u.size), 5.0)
    options = Options(box_px=box, strips=(strip,), place=(0.0, 0.0, 0.0))
    found = check_film(scan, calibration, dose, grid, "5 Gy", "open field", options).comparison
    assert found.statistics()["high_dose_median_ratio"] == pytest.approx(1.0, abs=0.025)
    assert found.gammas[0].passing_rate() > 90.0
    assert not any("channels disagree" in warning for warning in found.warnings)


def test_shared_plan_film_gives_a_dose(dosepy):
    """A plan's film of another day: dose up to 9.5 Gy, and the channels' disagreement is reported."""
    folder, calibration = dosepy
    film = film_dose(read_scans([folder / "Film_a_20240711_002.tif"]), calibration)
    assert film.dose.shape[1] * film.pitch_mm[1] == pytest.approx(200.0, abs=4.0)  # as it was cut
    assert np.count_nonzero(film.known) > 0.9 * film.dose.size
    assert 4.0 < np.nanpercentile(film.dose, 95) < 7.0
    assert any("channels disagree" in warning for warning in film.warnings)


def test_shared_dose_maps_are_registered_where_dosepy_put_them(shared):
    """The film's dose by another program finds its place in the plan's RTDOSE plane.

    Both maps have the plane's pixels of 0.78 mm, as the size of the pattern in both shows.
    """
    from validation.cli.gamma import read_dose
    from validation.film.dose import FilmDose
    from validation.film.plane import cut_plane
    from validation.film.register import register

    folder = shared / "data" / "film" / "dosepy"
    dose = np.genfromtxt(folder / "film_dose_map_Dosepy.csv", delimiter=",")
    plan = np.genfromtxt(folder / "dcm_dose_map_Dosepy.csv", delimiter=",")
    read = read_dose(folder / "RD_20x20cm2_256x256pix.dcm", planar=True)
    plane = cut_plane(read.dose, read.grid, "plan")
    assert np.count_nonzero(plane.broken) == 6  # pixels in the corners that hold 25 kGy
    assert plane.dose.max() < 10.0
    x, y = (0.78125 * (np.arange(n) - 0.5 * (n - 1)) for n in dose.shape[::-1])
    none, sigma = np.zeros(dose.shape, bool), np.full(dose.shape, 0.05)
    film = FilmDose(
        dose, sigma, sigma, sigma, sigma, np.ones_like(dose), x, y, (0.0, 0.0), ~none, none, none, none,
        "triple", None, 10.0, (),
    )  # fmt: skip
    start = Placement((0.0, 0.0), 0.0, upwards=plane.upwards)
    ours = register(film, plane, start)
    theirs = register(replace(film, dose=plan), plane, start)  # the plan's own pixels, cut out by the program
    assert theirs.correlation > 0.9999
    assert np.hypot(*np.subtract(ours.placement.centre_mm, theirs.placement.centre_mm)) < 1.0
    found = compare_film(film, plane, ours, [Criterion(3.0, 2.0)], 95.0)
    assert found.gammas[0].passing_rate() > 95.0
    assert any("cannot be" in warning for warning in found.warnings)

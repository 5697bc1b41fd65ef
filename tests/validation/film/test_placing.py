"""Planes, placements, marks and automatic registration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from phantoms.errors import InputError
from phantoms.grid import Grid
from validation.film.dose import FilmDose
from validation.film.marks import Mark, find_mark, place_by_marks
from validation.film.placement import Placement
from validation.film.plane import Plane, cut_plane
from validation.film.register import register
from validation.film.scan import Scan

GRID = Grid((7, 9, 11), (0.3, 0.2, 0.25), (1.0, -2.0, 3.0))
Z, Y, X = np.meshgrid(*(10.0 * GRID.centres(axis) for axis in range(3)), indexing="ij")
LINEAR = 50.0 + 1.0 * X + 0.7 * Y + 0.3 * Z


@pytest.mark.parametrize(
    ("view", "at", "point"),
    [
        ("axial", 15.3, lambda u, v, at: 50.0 + u + 0.7 * v + 0.3 * at),
        ("coronal", -11.0, lambda u, v, at: 50.0 + u + 0.7 * at + 0.3 * v),
        ("sagittal", 41.2, lambda u, v, at: 50.0 + at + 0.7 * u + 0.3 * v),
    ],
)
def test_planes_of_a_linear_dose(view, at, point):
    plane = cut_plane(LINEAR, GRID, "dose", view, at, factor=0.5)
    u = np.linspace(plane.u_mm[0], plane.u_mm[-1], 13)
    v = np.linspace(plane.v_mm[0], plane.v_mm[-1], 13)
    assert plane.sample(u, v) == pytest.approx(0.5 * point(u, v, at), rel=1e-9)
    assert np.isnan(plane.sample(u[-1:] + 0.1, v[:1])).all()


def test_planes_that_are_none_are_refused():
    with pytest.raises(InputError, match="volume"):
        cut_plane(LINEAR, GRID, "dose")
    with pytest.raises(InputError, match="no dose at y = 40 mm"):
        cut_plane(LINEAR, GRID, "dose", "coronal", 40.0)
    broken = LINEAR.copy()
    broken[3, 4, 5] = np.nan
    with pytest.raises(InputError, match="no finite dose"):
        cut_plane(broken, GRID, "dose", "axial", float(Z[3, 0, 0]))
    flat = Grid((1, 9, 11), (0.3, 0.2, 0.25), (1.0, -2.0, 3.0))
    assert cut_plane(LINEAR[:1], flat, "dose").view == "axial"
    with pytest.raises(InputError, match="axial plane, not a volume"):
        cut_plane(LINEAR[:1], flat, "dose", "coronal", -20.0)


def test_a_placement_seen_on_the_screen():
    """Right and down on the scan; turned by 90 degrees, the upper right corner lies at the upper left."""
    corner = np.array(3.0), np.array(-2.0)
    for upwards, up in ((True, 1.0), (False, -1.0)):
        plain = Placement((10.0, 20.0), 0.0, upwards=upwards)
        assert np.allclose(plain.to_plane(*corner), (13.0, 20.0 + up * 2.0))
        turned = replace(plain, turn=90)
        assert np.allclose(turned.to_plane(*corner), (8.0, 20.0 + up * 3.0))
        mirrored = replace(plain, mirror=True)
        assert np.allclose(mirrored.to_plane(*corner), (7.0, 20.0 + up * 2.0))
        angled = replace(plain, angle_deg=1.0)
        assert angled.to_plane(*corner)[1] - plain.to_plane(*corner)[1] == pytest.approx(
            up * 3.0 * np.radians(1.0), rel=0.02
        )
    placement = Placement((1.0, 2.0), 3.0, 270, True, False)
    there = placement.to_plane(np.array([4.0, -5.0]), np.array([6.0, 7.0]))
    assert np.allclose(placement.to_film(*there), ([4.0, -5.0], [6.0, 7.0]))


def _scan(response: np.ndarray, pitch: float = 0.25) -> Scan:
    return Scan((Path("scan.tif"),), response, (pitch, pitch), (pitch, pitch))


def _marks_at(placement: Placement, film_mm: list[tuple[float, float]], corner, pitch: float) -> list[Mark]:
    marks = []
    for x, y in film_mm:
        u, v = placement.to_plane(x, y)
        marks.append(Mark(((x + corner[0]) / pitch - 0.5, (y + corner[1]) / pitch - 0.5), float(u), float(v)))
    return marks


def test_marks_give_back_the_placement():
    scan, corner = _scan(np.full((400, 500, 3), 0.5)), (60.0, 50.0)
    truth = Placement((2.7, -1.4), 1.3, 180, True, True)
    marks = _marks_at(truth, [(-40, -30), (45, -28), (0, 35)], corner, 0.25)
    start = replace(truth, centre_mm=(0.0, 0.0), angle_deg=0.0)
    found = place_by_marks(marks, scan, corner, start)
    assert found.placement.centre_mm == pytest.approx(truth.centre_mm, abs=1e-9)
    assert found.placement.angle_deg == pytest.approx(1.3, abs=1e-9)
    # ticks of a laser cross: the horizontal line is known by v, the vertical one by u
    nan = float("nan")
    ticks = [replace(marks[0], u_mm=nan), replace(marks[1], u_mm=nan), replace(marks[2], v_mm=nan)]
    found = place_by_marks(ticks, scan, corner, start)
    assert found.placement.centre_mm == pytest.approx(truth.centre_mm, abs=1e-9)
    assert np.isnan(found.sigma_mm[0])  # just determined: nothing is known of the error


def test_residuals_of_marks_give_their_sigma():
    scan, corner = _scan(np.full((400, 500, 3), 0.5)), (60.0, 50.0)
    truth, rng = Placement((2.7, -1.4), 1.3), np.random.default_rng(6)
    places = [(-40, -30), (45, -28), (0, 35), (40, 33), (-42, 30)]
    pulls = []
    for _ in range(200):
        marks = [
            replace(m, u_mm=m.u_mm + rng.normal(0, 0.2), v_mm=m.v_mm + rng.normal(0, 0.2))
            for m in _marks_at(truth, places, corner, 0.25)
        ]
        found = place_by_marks(marks, scan, corner, Placement((0.0, 0.0), 0.0))
        pulls.append((found.placement.angle_deg - 1.3) / found.sigma_deg)
    assert np.std(pulls) == pytest.approx(1.18, abs=0.2)  # Student's t of seven degrees of freedom


def test_marks_that_cannot_be_are_refused():
    scan, corner = _scan(np.full((400, 500, 3), 0.5)), (60.0, 50.0)
    marks = _marks_at(Placement((0.0, 0.0), 0.0), [(-40, -30), (45, -28), (0, 35)], corner, 0.25)
    start = Placement((0.0, 0.0), 0.0)
    with pytest.raises(InputError, match="three known"):
        place_by_marks([replace(marks[0], u_mm=float("nan"))], scan, corner, start)
    with pytest.raises(InputError, match="miss each other"):
        place_by_marks([replace(marks[0], u_mm=99.0), *marks[1:]], scan, corner, start)
    with pytest.raises(InputError, match="open"):
        place_by_marks([marks[0], marks[0]], scan, corner, start)


def test_a_drawn_mark_is_found():
    y, x = np.mgrid[:400, :500] + 0.5
    rng = np.random.default_rng(1)
    response = np.repeat(0.5 + 0.003 * rng.standard_normal((400, 500, 1)), 3, axis=2)
    response[np.hypot(x - 211.3, y - 140.8) < 3.0] = 0.1
    found = find_mark(Mark((208.0, 143.0), 0.0, 0.0), _scan(response), 2.0)
    assert found.pixel == pytest.approx((210.8, 140.3), abs=0.15)
    with pytest.raises(InputError, match="nothing distinct"):
        find_mark(Mark((300.0, 300.0), 0.0, 0.0), _scan(response), 2.0)


def _field(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """A dose without symmetry, with penumbrae some millimetres wide."""
    rise = 1.0 / (1.0 + np.exp(-(u + 30.0) / 2.0)) / (1.0 + np.exp((u - 25.0) / 2.0))
    rise = rise / (1.0 + np.exp(-(v + 20.0) / 2.0)) / (1.0 + np.exp((v - 28.0) / 2.0))
    return 0.3 + 6.0 * rise + 2.0 * np.exp(-((u - 10.0) ** 2 + (v + 6.0) ** 2) / 100.0)


def _film(
    placement: Placement, noise: float, size=(60.0, 50.0), pitch: float = 0.5, seed: int = 1
) -> FilmDose:
    x, y = (np.arange(-s, s + 1e-9, pitch) for s in size)
    u, v = placement.to_plane(x[None, :], y[:, None])
    dose = _field(u, v) + noise * np.random.default_rng(seed).standard_normal((y.size, x.size))
    none = np.zeros(dose.shape, bool)
    sigma = np.full(dose.shape, max(noise, 1e-3))
    return FilmDose(
        dose, sigma, sigma, sigma, sigma, np.ones_like(dose), x, y, (0.0, 0.0), ~none, none, none, none,
        "triple", None, 10.0, (),
    )  # fmt: skip


def _plane(step: float = 2.0, most: float = 80.0) -> Plane:
    u, v = np.arange(-most, most + 1e-9, step), np.arange(-most, most + 1e-9, step)
    return Plane(_field(u[None, :], v[:, None]), u, v, "coronal", 0.0)


@pytest.mark.parametrize(
    "truth",
    [
        Placement((2.7, -1.9), 1.3),
        Placement((-13.0, 8.0), -3.6),
        Placement((2.7, -1.9), 1.3, turn=90),
        Placement((0.4, 0.2), -0.7, turn=180, mirror=True),
    ],
)
def test_automatic_registration_finds_shift_and_angle(truth):
    found = register(_film(truth, 0.1), _plane(), replace(truth, centre_mm=(0.0, 0.0), angle_deg=0.0))
    assert found.placement.centre_mm == pytest.approx(truth.centre_mm, abs=0.05)
    assert found.placement.angle_deg == pytest.approx(truth.angle_deg, abs=0.05)
    assert found.factor == pytest.approx(1.0, abs=0.002)
    assert found.correlation > 0.99 and not found.warnings


def test_stated_sigma_of_a_registration_is_its_scatter():
    truth, plane = Placement((2.7, -1.9), 1.3), _plane()
    runs = [
        register(_film(truth, 0.6, pitch=1.0, seed=k), plane, Placement((0.0, 0.0), 0.0)) for k in range(8)
    ]
    centres = np.array([run.placement.centre_mm for run in runs])
    stated = np.mean([run.sigma_mm for run in runs], axis=0)
    assert np.abs(centres.mean(axis=0) - truth.centre_mm).max() < 0.02
    # the scatter of 8 is known to a quarter
    assert (0.5 < centres.std(axis=0, ddof=1) / stated).all() and (
        centres.std(axis=0, ddof=1) / stated < 1.8
    ).all()


def test_holes_and_a_wrong_patch_do_not_pull_the_film_away():
    film = _film(Placement((2.7, -1.9), 1.3), 0.05)
    film.dose[80:100, 60:90] += 1.5  # one place of the plan is wrong
    film.dose[30:50, 150:200] = np.nan
    found = register(film, _plane(), Placement((0.0, 0.0), 0.0))
    assert found.placement.centre_mm == pytest.approx((2.7, -1.9), abs=0.1)


def test_a_film_larger_than_the_plane():
    film = _film(Placement((2.7, -1.9), 1.3), 0.05, size=(70.0, 60.0))
    found = register(film, _plane(most=40.0), Placement((0.0, 0.0), 0.0))
    assert found.placement.centre_mm == pytest.approx((2.7, -1.9), abs=0.1)


def test_a_mirrored_film_is_reported_and_an_even_one_refused():
    found = register(
        _film(Placement((2.7, -1.9), 1.3, mirror=True), 0.05), _plane(), Placement((0.0, 0.0), 0.0)
    )
    assert any("--mirror" in warning for warning in found.warnings)
    even = _film(Placement((0.0, 0.0), 0.0), 0.0)
    even.dose[...] = 2.0
    with pytest.raises(InputError, match="structure"):
        register(even, _plane(), Placement((0.0, 0.0), 0.0))


def test_a_round_field_leaves_the_film_straight():
    """A cone's field gives no angle: the film is taken to lie about straight, the spot where it is."""
    u, v = np.arange(-60.0, 60.1, 1.0), np.arange(-60.0, 60.1, 1.0)

    def spot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return 0.1 + 8.0 * np.exp(-((a - 9.0) ** 2 + (b + 4.0) ** 2) / 90.0)

    plane = Plane(spot(u[None, :], v[:, None]), u, v, "coronal", 0.0)
    film = _film(Placement((1.5, 2.0), 0.4), 0.0, size=(30.0, 30.0))
    there = spot(*Placement((1.5, 2.0), 0.4).to_plane(film.x_mm[None, :], film.y_mm[:, None]))
    film = replace(film, dose=there + 0.1 * np.random.default_rng(7).standard_normal(there.shape))
    found = register(film, plane, Placement((0.0, 0.0), 0.0))
    assert abs(found.placement.angle_deg) < 3.0
    at = found.placement.to_film(
        np.array(9.0), np.array(-4.0)
    )  # the spot lies where it does, whatever the angle
    assert np.allclose(at, Placement((1.5, 2.0), 0.4).to_film(np.array(9.0), np.array(-4.0)), atol=0.1)

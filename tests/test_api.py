"""The Python API: complete, lazy, documented, with the command's results and pictures on given axes."""

from __future__ import annotations

import ast
import inspect
import os
import re
import signal
import subprocess
import sys
import typing
from pathlib import Path

import numpy as np
import pytest
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

import mcverify as mv
from mc.backends import cpu
from mc.dose import Dose
from phantoms.listing import Listing
from tests.dicom_factory import GRID, Field, write_plan
from tests.mc.compute.test_head_cache import MACHINE as HEAD_MACHINE
from tests.mc.small_linac import judged, plan, small_case, write_above_machine, write_machine
from tests.validation.commission.linac import write_linac, write_scans
from tests.validation.film.film_case import film_case
from validation.metrics.gamma import gamma as grid_gamma
from validation.metrics.gamma import parse_criterion

ROOT = Path(__file__).parents[1]
FUNCTIONS = [name for name in mv.__all__ if inspect.isfunction(getattr(mv, name))]
HEAVY = ("numpy", "numba", "h5py", "matplotlib", "scipy", "pydicom", "mc", "phantoms", "validation")
BRIEF = mv.RunOptions(stop=mv.StopRule(uncertainty=None, histories=3000))


# --- the module


def test_importing_it_imports_nothing_heavy():
    ask = f"import sys, mcverify; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", ask], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_type_checkers_see_what_runs():
    """The imports under TYPE_CHECKING and the table of contents are one list."""
    tree = ast.parse((ROOT / "mcverify.py").read_text())
    (block,) = [
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) != "__name__ == '__main__'"
    ]
    seen = {alias.asname: (node.module, alias.name) for node in block.body for alias in node.names}
    assert seen == mv._WHERE and set(seen) == set(mv.__all__)
    contents = mv.__doc__[: mv.__doc__.index("**Units**")]
    assert [name for name in FUNCTIONS if f"`{name}`" not in contents] == []


def test_unknown_names_are_refused():
    with pytest.raises(AttributeError, match="no attribute 'compute_doze'"):
        mv.compute_doze  # noqa: B018
    assert set(mv.__all__) <= set(dir(mv))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_typed_and_documented(name):
    """Annotations that can be resolved; numpydoc sections name every parameter and what is raised."""
    function = getattr(mv, name)
    doc, hints = inspect.getdoc(function), typing.get_type_hints(function)
    parameters = inspect.signature(function).parameters
    assert set(hints) == {*parameters, "return"}
    assert "Raises\n------\nInputError" in doc
    assert hints["return"] is type(None) or "Returns\n-------" in doc
    section = doc.partition("Parameters\n----------\n")[2].partition("\n\n")[0]
    heads = re.findall(r"^(\S[^:\n]*?)(?: : .*)?$", section, re.M)
    listed = [word.strip("* ") for head in heads for word in head.split(",")]
    assert sorted(listed) == sorted(parameters)


def test_types_are_documented():
    assert [name for name in mv.__all__ if len(inspect.getdoc(getattr(mv, name)) or "") < 20] == []


def test_packages_say_that_they_are_typed():
    assert all((ROOT / package / "py.typed").is_file() for package in ("mc", "phantoms", "validation"))


# --- what draws and shows itself


def drawn(found, **options):
    """Draw on Agg axes; every artist that is handed back is on them, and pixels have changed."""
    figure = Figure()
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots()
    artists = found.plot(axes, **options)
    assert isinstance(artists, tuple) and artists
    assert all(isinstance(artist, Artist | ErrorbarContainer) and artist.axes is axes for artist in artists)
    canvas.draw()
    axes.clear()
    return artists


def shown(found):
    """HTML for a notebook: one table or more, whose tags are closed."""
    text = found._repr_html_()
    assert text.count("<table>") == text.count("</table>") >= 1
    assert text.count("<td") == text.count("</td>")
    return text


def test_html_is_escaped():
    listing = Listing.of("<script>", ("a&b",), [("<img src=x>",), (1.5,)], right=[0])
    text = shown(listing)
    assert "<script>" not in text and "<img" not in text
    assert "&lt;script&gt;" in text and "a&amp;b" in text and "&lt;img src=x&gt;" in text


def test_a_picture_of_any_result(tmp_path):
    x = np.linspace(-20.0, 20.0, 41)
    dose = np.exp(-(((x[:, None, None]) ** 2 + x[:, None] ** 2 + x**2) / 200.0))
    found = mv.gamma((x, x, x), dose, (x, x, x), 1.03 * dose, "2%/1mm")
    figure = mv.picture(found, tmp_path / "gamma.png", view="sagittal")
    assert figure.axes[1].get_ylabel() == "gamma, 2 %/1 mm global, 10 % threshold"
    assert len(figure.axes) == 2 and (tmp_path / "gamma.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(mv.InputError, match=r"view 'oblique'.*axial"):
        mv.picture(found, view="oblique")
    with pytest.raises(mv.InputError, match=r"gamma\.what"):
        mv.picture(found, tmp_path / "gamma.what")


# --- a plan


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """A small case and its machine."""
    folder = tmp_path_factory.mktemp("bench")
    small_case(folder / "case")
    write_machine(folder / "machine")
    return folder


@pytest.fixture(scope="module")
def case(bench):
    return mv.load_case(bench / "case")


@pytest.fixture(scope="module")
def run(bench, case):
    return mv.compute_dose(case, machine=bench / "machine" / "linac.toml", options=BRIEF)


@pytest.fixture(scope="module")
def check(case, run):
    return mv.compare(case, run, profile="spine")


def test_the_dose_is_the_commands_bit_for_bit(bench, case, run, monkeypatch, tmp_path):
    monkeypatch.chdir(bench)
    assert judged([*plan()[:-4], "--out", str(tmp_path / "out"), "--histories", "3000"])
    stored = Dose.load(tmp_path / "out" / "dose.h5")
    assert np.array_equal(stored.mean, run.dose_gy) and stored.grid == run.dose.grid
    again = mv.load_result(tmp_path / "out")
    assert np.array_equal(again.dose.mean, run.dose_gy)


def test_what_a_case_and_a_dose_hold(case, run, capfd):
    assert run.dose_gy.shape == GRID.shape == tuple(len(axis) for axis in run.axes_mm)
    assert run.axes_mm[0] == pytest.approx(10.0 * GRID.centres(0))
    assert run.report.histories == 3000 and (run.sigma_gy >= 0).all()
    assert "TESTLINAC" in shown(case) and "TESTLINAC" in shown(run) and "Gy" in shown(run.dose)
    for found in (case, run, run.dose):
        drawn(found, view="coronal", at_mm=3.0)
        drawn(found)
    assert capfd.readouterr() == ("", "")


def test_nothing_is_printed_and_a_listener_hears(bench, case, capfd):
    stages, progress = [], []
    listener = mv.Listener(stages.append, lambda p: progress.append(p.histories))
    machine = mv.read_machine(bench / "machine" / "linac.toml")
    mv.compute_dose(case, machine=machine, options=BRIEF, listener=listener)
    assert "transport" in stages and progress[-1] == 3000
    assert capfd.readouterr() == ("", "")


def test_uncertainty_replaces_that_of_the_options(bench, case):
    machine = bench / "machine" / "linac.toml"
    run = mv.compute_dose(case, uncertainty=0.2, machine=machine)
    assert run.report.stopped_by == "uncertainty" and run.report.transport_uncertainty <= 0.2


def test_an_interrupt_returns_what_is_done(bench, case, monkeypatch):
    kernel, calls = cpu.run_phase_space, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 41:  # in the middle of a batch
            os.kill(os.getpid(), signal.SIGINT)
        kernel(*arguments)

    monkeypatch.setattr("mc.backends.cpu.run_phase_space", interrupted)
    run = mv.compute_dose(case, uncertainty=1e-4, machine=bench / "machine" / "linac.toml")
    assert run.report.interrupted and run.dose_gy.max() > 0


def test_other_voxels_and_dose_to_water(bench, case):
    machine, options = bench / "machine" / "linac.toml", mv.RunOptions(stop=BRIEF.stop, dose_to_water=True)
    run = mv.compute_dose(case, machine=machine, voxel_mm=5.0, options=options)
    assert run.dose.grid.spacing_mm == pytest.approx((5.0, 5.0, 5.0))
    check = mv.compare(case, run, dose_to="water")
    assert "water" in check.quantity
    map_ = check.gamma("5%/3mm")  # on the voxels of the run, which are not those of the plan
    judged = run.dose.to_water
    planned = case.planned_dose
    expected = grid_gamma(
        planned.dose, planned.grid, judged.mean, judged.grid, parse_criterion("5%/3mm"), check.body
    )
    assert np.array_equal(map_.found, expected.found)
    with pytest.raises(mv.InputError, match="to 'air'"):
        mv.compare(case, run, dose_to="air")


def test_comparison(case, run, check):
    planned = case.planned_dose
    map_ = check.gamma("2%/1mm")
    expected = grid_gamma(
        planned.dose, planned.grid, run.dose.mean, run.dose.grid, parse_criterion("2%/1mm"), check.body
    )
    assert np.array_equal(map_.found, expected.found) and map_.gamma.shape == planned.dose.shape
    assert check.gamma("3%/2mm") is check.gamma("3%/2mm")  # one of the verdict's
    assert check.gamma("4%/4mm", local=True).criterion.local
    curves = check.dvh("PTV")
    assert curves.plan_percent[0] == curves.mc_percent[0] == 100.0
    with pytest.raises(mv.InputError, match=r"structure CTV.*evaluated: PTV"):
        check.dvh("CTV")
    with pytest.raises(mv.InputError, match="write it like 2%/1mm"):
        check.gamma("2/1")
    assert check.verdict.status in shown(check) and "Verdict" in shown(check.verdict)
    assert "95 %" in shown(curves) and "passing rate" in shown(map_)
    for found in (check, map_):
        drawn(found)
        drawn(found, view="sagittal", at_mm=0.0)
    assert len(drawn(curves, color="red")) == 3


def test_hostile_names_do_no_harm(tmp_path):
    from dataclasses import replace

    small_case(tmp_path / "case")
    case = mv.load_case(tmp_path / "case")
    case = replace(case, plan=replace(case.plan, label="<script>alert(1)</script>"))
    assert "<script>" not in shown(case)


def test_result_folder(bench, case, run, check, tmp_path):
    folder = tmp_path / "result"
    warnings = mv.write_result(case, run, folder, check=check)
    assert all(isinstance(warning, str) for warning in warnings)
    assert {path.name for path in folder.iterdir()} == {
        "dose.h5", "RTDOSE.dcm", "inputs.h5", "report.html", "report.pdf", "result.json",
    }  # fmt: skip
    result = mv.load_result(folder)
    assert np.array_equal(result.dose.mean, run.dose_gy) and "TESTLINAC" in shown(result)
    again = result.compare()
    assert again.profile.name == "spine" and again.verdict.status == check.verdict.status
    assert result.compare("stereotactic").profile.name == "stereotactic"
    page = mv.write_report(again, tmp_path / "again")
    assert page == tmp_path / "again" / "report.html" and page.is_file()
    planned = mv.read_dose(bench / "case" / "RTDOSE.dcm")
    found = mv.read_dose(folder)
    assert np.array_equal(found.dose_gy, run.dose_gy) and "Gy" in shown(planned)
    drawn(planned)
    assert mv.inspect(folder).listings
    with pytest.raises(mv.InputError, match="lies in the export folder"):
        mv.write_result(case, run, bench / "case" / "out")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("mine")
    with pytest.raises(mv.InputError, match="holds other files"):
        mv.write_result(case, run, tmp_path / "other")


def test_setup_errors(bench, case, run, check, tmp_path):
    mv.write_result(case, run, tmp_path / "result", check=check)
    checks = [mv.SetupError(lateral=3.0)]
    machine = bench / "machine" / "linac.toml"
    found = mv.what_if(tmp_path / "result", shift_mm=4.0, checks=checks, machine=machine, options=BRIEF)
    assert found.largest["lateral"] == 4.0 and found.checks[0].error == checks[0]
    assert "kept" in shown(found)
    assert len(drawn(found, structure="PTV", metric="D95%")) == 6
    drawn(found, turns=True)
    with pytest.raises(mv.InputError, match="has no curve"):
        drawn(found, metric="D5%")
    assert mv.write_report(found, tmp_path / "out").name == "whatif.html"


def test_plan_in_a_phantom(tmp_path):
    write_above_machine(tmp_path / "machine")
    field = Field(jaws=(-2, 2, -2, 2), leaves=[-5.0] * 10 + [5.0] * 10, boundaries=np.arange(-5, 6.0))
    write_plan(tmp_path, [field])
    (path,) = tmp_path.glob("*.dcm")
    (tmp_path / "box.toml").write_text(
        'title = "box"\nsize_cm = [10.0, 12.0, 8.0]\nvoxel_cm = [1.0, 1.0, 0.5]\n'
        'isocentre_cm = [5.0, 6.0, 4.0]\nmaterial = "water"\n'
    )
    plan = mv.load_phantom_plan(path, str(tmp_path / "box.toml"))
    run = mv.compute_dose(plan, machine=tmp_path / "machine" / "linac.toml", options=BRIEF)
    assert run.dose_gy.shape == plan.phantom.grid.shape and run.dose_gy.max() > 0
    mv.write_result(plan, run, tmp_path / "out")
    assert {"dose.h5", "RTDOSE.dcm", "result.json"} == {path.name for path in (tmp_path / "out").iterdir()}


# --- bare arrays


@pytest.fixture(scope="module")
def arrays():
    """Axes (z, y, x) [mm] and two doses [Gy]."""
    z, y, x = np.arange(-12.0, 12.1, 2.0), np.arange(-15.0, 15.1, 1.5), np.arange(-20.0, 20.1, 1.0)
    dose = 40.0 * np.exp(-((z[:, None, None] ** 2 + y[:, None] ** 2 + x**2) / 300.0))
    return (z, y, x), dose, 1.02 * np.roll(dose, 1, axis=2)


def test_gamma_takes_what_pymedphys_takes(arrays):
    """The same call but for the criterion, and the same values within the steps of pymedphys."""
    pymedphys = pytest.importorskip("pymedphys")
    axes, reference, evaluated = arrays
    ours = mv.gamma(axes, reference, axes, evaluated, "3%/2mm", threshold_percent=80)
    theirs = pymedphys.gamma(
        axes, reference, axes, evaluated, 3, 2, lower_percent_dose_cutoff=80, interp_fraction=20, max_gamma=2
    )
    assert np.array_equal(np.isfinite(theirs), np.isfinite(ours.gamma)) and ours.count() > 100
    excess = (theirs - ours.gamma)[ours.evaluated]
    assert excess.min() > -1e-5  # ours is the exact minimum
    assert excess.max() < 0.5 * 3**0.5 / 20  # from the nearest point of theirs, half a diagonal away


def test_gamma_is_that_of_the_program(arrays):
    axes, reference, evaluated = arrays
    grid = mv.Grid(reference.shape, (0.2, 0.15, 0.1), (-1.2, -1.5, -2.0))
    expected = grid_gamma(reference, grid, evaluated, grid, parse_criterion("2%/1mm"))
    found = mv.gamma(axes, reference, axes, evaluated, "2%/1mm")
    assert found.found == pytest.approx(expected.found, abs=1e-6)
    assert found.normalisation == reference.max()


def test_gamma_of_fewer_dimensions(arrays):
    """A plane and a line are what a volume of equal planes is."""
    (z, y, x), dose, other = arrays
    line, moved = dose[6, 10], other[6, 10]
    volume = mv.gamma(
        (z, y, x), np.tile(line, (z.size, y.size, 1)), (z, y, x), np.tile(moved, (z.size, y.size, 1))
    )
    plane = mv.gamma((y, x), np.tile(line, (y.size, 1)), (y, x), np.tile(moved, (y.size, 1)))
    single = mv.gamma((x,), line, (x,), moved)
    assert single.gamma.shape == (1, 1, x.size) and plane.gamma.shape == (1, y.size, x.size)
    expected = volume.gamma[6, 10]
    assert single.gamma[0, 0] == pytest.approx(expected, abs=1e-5, nan_ok=True)
    assert plane.gamma[0, 10] == pytest.approx(expected, abs=1e-5, nan_ok=True)


def test_gamma_within_a_mask_or_structure(arrays):
    axes, dose, other = arrays
    mask = np.zeros(dose.shape, bool)
    mask[6, 5:9, 10:20] = True
    found = mv.gamma(axes, dose, axes, other, within=mask)
    assert found.count() == 40
    square = np.array([(-5.2, -5.2), (5.2, -5.2), (5.2, 5.2), (-5.2, 5.2)])
    contours = [np.column_stack([square, np.full(4, z)]) for z in (-4.0, -2.0, 0.0, 2.0, 4.0)]
    table = mv.dvh(dose, axes, contours, sigma=0.01 * dose)
    assert table.volume == pytest.approx(10.4 * 10.4 * 10.0 * 1e-3, rel=0.01)
    value = table.metric("Dmean")
    assert 0 < value.sigma < 0.01 * value.value
    assert "Dmean" in shown(table) and len(drawn(table, label="cube")) == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a, d: (a[:2], d), "2 axes are stated"),
        (lambda a, d: ((a[0][::-1], *a[1:]), d), "z does not ascend"),
        (lambda a, d: ((a[0] ** 3, *a[1:]), d), "z is not evenly spaced"),
        (lambda a, d: ((a[0][:-1], *a[1:]), d), "has the shape"),
        (lambda a, d: (a, np.where(d > 30, np.nan, d)), "not finite"),
        (lambda a, d: (a, np.zeros_like(d)), "zero everywhere"),
        (lambda a, d: (a[2:], d[0, 0]), "has 3 dimensions, the reference 1"),
        (lambda a, d: (a, d[None]), "not one, two or three"),
    ],
)
def test_arrays_that_do_not_fit(arrays, change, words):
    axes, dose, other = arrays
    with pytest.raises(mv.InputError, match=words):
        mv.gamma(*change(axes, dose), axes, other)


def test_contours_that_cannot_be_used(arrays):
    axes, dose, _ = arrays
    square = np.array([(-5.0, -5.0, 0.0), (5.0, -5.0, 0.0), (5.0, 5.0, 0.0)])
    for contours, words in (
        ([square[:, :2]], "each is"),
        ([square], "thickness is unknown"),
        ([square + (0, 0, k) * np.arange(3)[:, None] for k in (1, 2)], "constant z"),
        ([square + (0, 0, 100), square + (0, 0, 102)], "no volume on the dose grid"),
        ([], "no contours"),
    ):
        with pytest.raises(mv.InputError, match=words):
            mv.dvh(dose, axes, contours)
    with pytest.raises(mv.InputError, match="sigma of the dose"):
        mv.dvh(dose, axes, [square, square + (0, 0, 2)], sigma=dose[0])


def test_dvh_table(bench, run, tmp_path):
    structures = mv.read_structures(bench / "case" / "RTSTRUCT.dcm")
    run.dose.save(tmp_path / "dose.h5")
    doses = mv.read_dose(bench / "case" / "RTDOSE.dcm"), mv.read_dose(tmp_path / "dose.h5")
    table = mv.dvh_table(structures, *doses, fractions=3, prescription_gy=24.0, metrics=["D5cc"])
    assert [item.name for item in table.structures][-1] == "PTV"
    planned = mv.dvh(doses[0].dose_gy, doses[0].axes_mm, structures["PTV"])
    assert table.dvh("PTV").metric("D95%").value == pytest.approx(planned.metric("D95%").value, rel=1e-6)
    assert "D5cc" in shown(table) and drawn(table)
    with pytest.raises(mv.InputError, match="there is none of dose 2"):
        table.dvh("PTV", 2)
    with pytest.raises(mv.InputError, match="of 0 doses"):
        mv.dvh_table(structures)


# --- phase spaces, machines, films, the program


def test_phase_spaces(bench, tmp_path):
    space = mv.read_phase_space(bench / "machine" / "field5")
    assert len(space) == space.read(0, len(space)).energy.size
    assert "original histories" in shown(space)
    for what in ("spectrum", "directions", "profiles", "fluence"):
        drawn(space, what=what)
    with pytest.raises(mv.InputError, match="picture 'halo'"):
        drawn(space, what="halo")
    assert 0 < mv.latent_sigma(space, 100.0).fluence < 0.2
    half = mv.filter_phase_space(space, tmp_path / "half", mv.Selection(("photon",), above_mev=1.0))
    assert 0 < len(half) < len(space) and half.read(0, len(half)).energy.min() >= 1.0
    turned = mv.rotate_phase_space(space, tmp_path / "turned", copies=2)
    assert len(turned) == 2 * len(space)
    both = mv.merge_phase_spaces([half, turned], tmp_path / "both")
    assert len(both) == len(half) + len(turned)
    with pytest.raises(mv.InputError, match="itself"):
        mv.merge_phase_spaces([half, turned], tmp_path / "half")
    with pytest.raises(mv.InputError, match="kind 'muon'"):
        mv.Selection(("muon",))


def test_heads(tmp_path):
    (tmp_path / "linac.toml").write_text(HEAD_MACHINE)
    machine = mv.read_machine(tmp_path / "linac.toml")
    done = mv.simulate_head(machine, out=tmp_path / "head", electrons=64)
    assert done.report.electrons == 64 and done.phase_space.header_path == tmp_path / "head.IAEAheader"
    again = mv.simulate_head(tmp_path / "linac.toml", beam="6 MV FFF", out=tmp_path / "again", electrons=64)
    assert again.phase_space.read(0, 9).energy == pytest.approx(done.phase_space.read(0, 9).energy)
    assert "electrons on the target" in shown(done) and drawn(done)
    with pytest.raises(mv.InputError, match="has no head of '10 MV'"):
        mv.simulate_head(machine, beam="10 MV")


def test_calibration(tmp_path):
    machine = write_machine(tmp_path, calibrated=False)
    (found,) = mv.calibrate(machine, uncertainty=0.2)
    assert found.gy_per_history > 0 and "[energies.calibration]" in found.to_toml()
    assert "dose per source history" in shown(found)
    machine.write_text(machine.read_text() + found.to_toml())
    (stated,) = mv.read_machine(machine).energies
    assert stated.calibration.gy_per_history == pytest.approx(found.gy_per_history, rel=1e-6)


def test_commissioning(tmp_path):
    machine = write_linac(tmp_path, {"five": (-2.5, 2.5, -2.5, 2.5)})
    write_scans(tmp_path / "scans")
    scans = mv.read_scan(tmp_path / "scans")
    assert (
        len(scans) == 2
        and scans[0].kind == "PDD"
        and len(mv.read_scan(tmp_path / "scans" / "scans.csv")) == 2
    )
    assert "PDD" in shown(scans) and "SSD" in shown(scans[0])
    assert len(drawn(scans)) == 2 and drawn(scans[1], color="red")
    found = mv.commission(machine, scans, effort=mv.Effort(uncertainty=0.5, voxel_cm=0.5))
    assert len(found.scans) == 2 and "PDD" in shown(found)
    assert len(drawn(found, number=1)) == 3
    with pytest.raises(mv.InputError, match="scan 2"):
        drawn(found, number=2)
    assert mv.write_report(found, tmp_path / "out").name == "commissioning.html"


def test_films(tmp_path):
    files = film_case(tmp_path).folder
    calibration = mv.calibrate_film(files / "films.toml")
    assert mv.write_report(calibration, files / "CAL.toml").name == "CAL.html"
    read = mv.read_film_calibration(files / "CAL.toml")
    assert read.title == calibration.title and "red" in shown(read)
    assert len(drawn(calibration)) == 6
    plane = mv.read_dose(files / "RD.dcm")
    options = mv.FilmOptions(view="coronal", at_mm=0.0)
    found = mv.check_film([files / "film2.tif", files / "film3.tif"], read, plane, options)
    assert found.comparison.status == "pass" and "registration" in shown(found)
    for what in ("gamma", "film", "plane", "difference"):
        drawn(found, what=what)
    assert mv.write_report(found, files / "out").is_file()


def test_the_program_itself(bench, tmp_path):
    (verdict,) = mv.validate("attenuation", quick=True, out=tmp_path / "results")
    assert verdict.passed and "passed" in shown(verdict)
    with pytest.raises(mv.InputError, match="no validation case"):
        mv.validate("phrenology", out=tmp_path / "results")
    found = mv.inspect(bench / "case")
    assert "Case" in [listing.title for listing in found.listings] and "RTPLAN" in shown(found)
    assert mv.inspect(bench / "machine" / "linac.toml").warnings == ()
    mv.warmup()
    assert mv.load_demo().plan.machine == "GEN6FFF"


@pytest.mark.parametrize(
    "call",
    [
        lambda path: mv.load_case(path),
        lambda path: mv.load_phantom_plan(path, "water"),
        lambda path: mv.load_result(path),
        lambda path: mv.what_if(path),
        lambda path: mv.read_dose(path),
        lambda path: mv.read_structures(path),
        lambda path: mv.read_phase_space(path),
        lambda path: mv.read_machine(path),
        lambda path: mv.simulate_head(path),
        lambda path: mv.calibrate(path),
        lambda path: mv.read_scan(path),
        lambda path: mv.calibrate_film(path),
        lambda path: mv.read_film_calibration(path),
        lambda path: mv.inspect(path),
    ],
)
def test_what_is_not_there_is_named(tmp_path, call):
    with pytest.raises(mv.InputError, match="nowhere") as caught:
        call(tmp_path / "nowhere.toml")
    assert caught.value.problem


def test_several_heads_need_a_name(tmp_path):
    beam = HEAD_MACHINE[HEAD_MACHINE.index("[[energies]]") : HEAD_MACHINE.index("[[collimators")]
    beam += HEAD_MACHINE[HEAD_MACHINE.index("[energies.reference]") :]
    text = HEAD_MACHINE + beam.replace("nominal_mv = 6.0", "nominal_mv = 10.0")
    (tmp_path / "linac.toml").write_text(text)
    with pytest.raises(mv.InputError, match=r"describes 2 heads.*6 MV FFF, 10 MV FFF"):
        mv.simulate_head(tmp_path / "linac.toml")
    with pytest.raises(mv.InputError, match="describes no head"):
        mv.simulate_head(write_machine(tmp_path))


# --- from an installed wheel

SCRIPT = """\
import mcverify as mv
case = mv.load_case("case")
run = mv.compute_dose(case, uncertainty=0.2)
check = mv.compare(case, run, profile="spine")
mv.picture(check.gamma("2%/1mm"), "gamma.png")
"""


@pytest.mark.slow
def test_from_a_folder_to_a_gamma_picture(installed, tmp_path, monkeypatch):
    """In at most eight lines with one import, from an installed wheel, the machine found by its name."""
    assert len(SCRIPT.splitlines()) <= 8 and SCRIPT.count("import") == 1
    small_case(tmp_path / "case")
    write_machine(tmp_path / "machines")
    monkeypatch.setenv("MCVERIFY_MACHINES", str(tmp_path / "machines"))
    done = subprocess.run([installed / "python", "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "gamma.png").read_bytes()[:4] == b"\x89PNG"

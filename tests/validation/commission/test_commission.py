"""Commissioning from files to a verdict: fields, curves and their sigmas, report, command line."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from mc.machine.machine import read_machine
from mc.run.options import RunOptions, StopRule
from phantoms.errors import InputError
from tests.validation.commission.linac import HEADER, csv_lines, write_linac, write_scans
from tests.validation.scans.formats import mcc
from validation.cli import main
from validation.commission.compute import CurveBatches, compute_field
from validation.commission.criteria import load_criteria
from validation.commission.fields import sort_by_field
from validation.commission.finished import FinishedFields
from validation.commission.judge import jackknife, judge_fields
from validation.commission.prepare import prepare
from validation.commission.source import place_beam
from validation.scans import read_folder

FIVE = (-2.5, 2.5, -2.5, 2.5)


@pytest.fixture(scope="module")
def linac(tmp_path_factory):
    return write_linac(tmp_path_factory.mktemp("linac"), {"five": FIVE, "ten": (-5.0, 5.0, -5.0, 5.0)})


def test_scans_sorted_by_field(linac, tmp_path):
    write_scans(tmp_path)
    ten = csv_lines("ten", [(x, 0, 5, 1) for x in np.arange(-4, 4.01)], (10, 10))
    far = csv_lines("far", [(x, 0, 5, 1) for x in np.arange(-4, 4.01)], (5, 5), ssd=100)
    (tmp_path / "more.csv").write_text(HEADER + ten + far)
    machine = read_machine(linac)
    fields, warnings = sort_by_field(machine, read_folder(tmp_path))
    assert [len(field.scans) for field in fields] == [1, 1, 2] and warnings == ()
    assert fields[2].jaws == FIVE and fields[2].ssd_cm == 90.0
    assert place_beam(machine, fields[1]).delivery.origin[2] == -100.0


def test_beam_that_no_file_states(linac, tmp_path):
    """The fluence mode is taken from the machine where it has one beam of that energy, and said."""
    lines = ["$STOM", "%BMTY PHO", "%TYPE OPD", "%AXIS Z", "%PNTS 6", "%FLSZ 50*50", "%SSD 900"]
    lines += [f"<0 0 {z} {100 - z}>" for z in range(0, 60, 10)] + ["$ENOM", "$ENOF"]
    (tmp_path / "a.asc").write_text("\n".join(lines))
    machine = read_machine(linac)
    with pytest.raises(InputError, match="states no energy"):
        sort_by_field(machine, read_folder(tmp_path))
    (tmp_path / "scans.toml").write_text("nominal_mv = 6.0\n")
    fields, warnings = sort_by_field(machine, read_folder(tmp_path))
    assert fields[0].quality.label == "6 MV FFF" and "taken for 6 MV FFF" in warnings[0]
    (tmp_path / "scans.toml").write_text('nominal_mv = 6.0\nfluence_mode = "STANDARD"\n')
    with pytest.raises(InputError, match="no beam of 6 MV STANDARD"):
        sort_by_field(machine, read_folder(tmp_path))


def test_what_cannot_be_judged_is_refused_before_it_is_computed(linac, tmp_path):
    machine, criteria = read_machine(linac), load_criteria()
    only = csv_lines("ten", [(x, 0, 5, 1) for x in np.arange(-4, 4.01)], (10, 10))
    (tmp_path / "a.csv").write_text(HEADER + only)
    with pytest.raises(InputError, match="no depth dose of this energy"):
        prepare(machine, read_folder(tmp_path), criteria)
    (tmp_path / "a.csv").unlink()
    columns = "field_x_cm,field_y_cm,ssd_cm,depth_cm,nominal_mv,output_factor,fluence_mode"
    (tmp_path / "of.csv").write_text(f"{columns}\n10,10,90,10,6,1,FFF\n")
    with pytest.raises(InputError, match=r"of\.csv: holds output factors and no scan.*add a depth dose"):
        prepare(machine, read_folder(tmp_path), criteria)
    (tmp_path / "a.mcc").write_text(mcc([(x, 1.0) for x in range(-40, 41, 10)], ISOCENTER="1435.00"))
    with pytest.raises(
        InputError, match=r"a\.mcc, line 3: its isocentre is at 143\.5 cm, that of .* at 100 cm"
    ):
        prepare(machine, read_folder(tmp_path), criteria)


def test_sigmas_of_curves():
    """Stated sigmas are those that many runs of noise spread by; both kinds of noise have their own.

    Of 200 runs the ratio of variances has a relative sigma of about 12 %; 0.5 is beyond 4 sigma.
    """
    groups, rounds, runs = 16, 2, 200
    transport, histories = 0.3, 0.2
    random = np.random.default_rng(7)
    found, stated = [], []
    for _ in range(runs):
        batches = CurveBatches([np.eye(1)], groups)
        of_group = 1.0 + histories * random.standard_normal(groups)
        for _ in range(rounds):
            for group in range(groups):
                for _ in range(2):
                    batches.add(np.array([of_group[group] + transport * random.standard_normal()]))
        curve = batches.curves([None], [np.zeros(1)], 0.0)[0]
        found.append(curve.dose[0])
        leave_out = jackknife([curve.without_group(g)[0] for g in range(groups)])
        stated.append((curve.sigma[0] ** 2, curve.latent[0] ** 2, leave_out**2))
    sigma, latent, leave_out = np.mean(stated, axis=0)
    assert sigma == pytest.approx(groups * transport**2 / (2 * rounds), rel=0.1)
    assert latent == pytest.approx(groups * histories**2, rel=0.3)
    assert np.var(found) == pytest.approx(sigma + latent, rel=0.5)
    assert np.var(found) == pytest.approx(leave_out, rel=0.5)


@pytest.fixture(scope="module")
def computed(linac, tmp_path_factory):
    machine = read_machine(linac)
    fields, _ = sort_by_field(machine, read_folder(write_scans(tmp_path_factory.mktemp("scans"))))
    beam, options = place_beam(machine, fields[0]), RunOptions(stop=StopRule(uncertainty=0.5))
    return compute_field(fields[0], beam, machine.sad_cm, options, voxel_cm=0.5)


def test_computed_curves(computed):
    """The field of a point source has its edges where geometry puts them."""
    deep, across = computed.curves
    assert np.isin(across.scan.positions.round(6), across.positions).all()
    inside = np.abs(across.positions) < 1.8
    outside = np.abs(across.positions) > 3.2
    assert across.dose[inside].min() > 5 * across.dose[outside].max() > 0
    assert deep.dose[deep.positions > 2].max() > 0 and (deep.sigma > 0).all()
    np.testing.assert_allclose(deep.by_group.mean(axis=0), deep.dose, rtol=1e-12)
    assert computed.report.energy_balance == pytest.approx(1.0, abs=1e-6)


def test_verdict_on_noise(computed):
    """A run this short is too noisy to judge, and says so rather than fail."""
    (judged,), factors = judge_fields([computed], load_criteria())
    assert {scan.status for scan in judged.scans} == {"too noisy"} and factors == ()
    assert all(figure.sigma > 0 or np.isnan(figure.sigma) for figure in judged.scans[0].figures)


def test_command(linac, tmp_path, capsys):
    """Report and result are written; a criterion that anything meets passes, one that nothing does fails."""
    header = "field_x_cm,field_y_cm,ssd_cm,depth_cm,nominal_mv,fluence_mode,output_factor\n"
    scans = write_scans(tmp_path / "scans")
    (scans / "of.csv").write_text(header + "5,5,90,5,6,FFF,1.0\n10,10,90,5,6,FFF,0.3\n")
    own = tmp_path / "own.toml"
    generous = (
        'title = "t"\nstatus = "s"\nsource = "s"\ndose_percent = {}\ndistance_mm = 10.0\n'
        "passing_percent = 50.0\noutput_factor_percent = 40.0\nmax_sigma_percent = 100.0\n"
    )
    own.write_text(generous.format(90.0))
    out = tmp_path / "out"
    command = ["commission", str(linac), str(scans), "--out", str(out), "--criteria", str(own)]
    command += ["--uncertainty", "50%", "--voxel", "5mm", "--threads", "1"]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert "verdict: PASS" in text and "output factor 10 x 10 cm" in text
    result = json.loads((out / "commissioning.json").read_text())
    assert result["schema"] == "mcverify commissioning" and result["status"] == "pass"
    assert len(result["fields"]) == 2 and len(result["fields"][0]["scans"]) == 2
    # point sources of equal numbers: the fluence on the axis goes with the area, its scatter adds some
    assert result["output_factors"][1]["computed"] == pytest.approx(0.3, abs=0.1)
    page = (out / "commissioning.html").read_text()
    assert "PASS" in page and page.count("data:image/png") == 2 and "TPR" not in page
    stated = read_machine(linac).energies[0].commissioned
    assert (stated.scans, stated.output_factors) == (2, 2) and stated.passing_percent >= 50.0
    assert (stated.fields, stated.criterion) == ("5 x 5 cm to 10 x 10 cm", "90 %/10 mm")
    assert f"entered in {linac}: 6 MV FFF commissioned" in text
    own.write_text(generous.format(0.02).replace("10.0", "0.02"))
    before = linac.read_text()
    assert main(command) == 1
    assert linac.read_text() == before


@pytest.mark.parametrize(
    ("text", "words"), [("", "title, .*: are missing"), ("title = 3", "title"), ("x = [", "not valid TOML")]
)
def test_broken_criteria(tmp_path, text, words):
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(InputError, match=words):
        load_criteria(tmp_path / "own.toml")


def test_command_refusals(linac, tmp_path, capsys):
    scans = write_scans(tmp_path / "scans", field=(7, 7))
    assert main(["commission", str(linac), str(scans), "--out", str(tmp_path / "out")]) == 2
    assert "no phase space" in capsys.readouterr().err
    assert main(["commission", str(linac), str(scans), "--out", str(scans / "out")]) == 2
    assert "lies in the folder of the scans" in capsys.readouterr().err
    tuned = ["commission", str(linac), str(write_scans(tmp_path / "five")), "--out", str(tmp_path / "out")]
    assert main([*tuned, "--tune", "energy"]) == 2
    assert "describes no head" in capsys.readouterr().err


def two_fields(folder):
    """Scans of two fields, the second of profiles alone."""
    scans = write_scans(folder)
    x = np.arange(-7, 7.01, 0.5)
    across = [(p, 0, 5, 100 / (1 + np.exp((abs(p) - 4.75) / 0.1))) for p in x]
    (scans / "ten.csv").write_text(HEADER + csv_lines("across", across, (10, 10)))
    return scans


GENEROUS = (
    'title = "t"\nstatus = "s"\nsource = "s"\ndose_percent = 90.0\ndistance_mm = 10.0\n'
    "passing_percent = 1.0\noutput_factor_percent = 40.0\nmax_sigma_percent = 100.0\n"
)


def test_what_must_be_assumed_is_asked_before(linac, tmp_path, capsys, monkeypatch):
    """Someone who says no gets no computation; where nobody can answer, or after --yes, it goes on."""
    asked, answers = [], iter([False])

    def confirm(self, question):
        asked.append(question)
        return next(answers)

    def refused(*_, **__):
        raise AssertionError("computed")

    monkeypatch.setattr("validation.cli.screen.Screen.confirm", confirm)
    monkeypatch.setattr("validation.commission.finished.compute_field", refused)
    command = ["commission", str(linac), str(two_fields(tmp_path / "scans")), "--out", str(tmp_path / "out")]
    assert main(command) == 2 and len(asked) == 1
    screen = capsys.readouterr()
    assert "10 x 10 cm" in screen.out and "5 x 5 cm" in screen.out
    assert "10 x 10 cm, SSD 90 cm: no depth dose of its own; judged from" in screen.err
    assert "size of the detector of its profiles not stated" in screen.err
    monkeypatch.undo()
    (tmp_path / "scans" / "scans.csv").unlink()
    assert main([*command, "--yes"]) == 2
    assert "no depth dose of this energy shows where the build-up ends" in capsys.readouterr().err


def test_finished_fields_survive_ctrl_c(linac, tmp_path, capsys, monkeypatch):
    """The second field is interrupted; the same command computes it alone, and the result is the same."""
    (tmp_path / "own.toml").write_text(GENEROUS)
    scans, fields = two_fields(tmp_path / "scans"), []

    def command(out, *more):
        return ["commission", str(linac), str(scans), "--out", str(tmp_path / out), "--criteria",
                str(tmp_path / "own.toml"), "--uncertainty", "50%", "--voxel", "5mm", "--threads", "1",
                "--no-record", *more]  # fmt: skip

    def interrupted(field, *arguments, **options):
        fields.append(field.label)
        if interrupt and len(fields) == 2:
            raise KeyboardInterrupt
        return compute_field(field, *arguments, **options)

    monkeypatch.setattr("validation.commission.finished.compute_field", interrupted)
    interrupt = True
    assert main(command("out")) == 2 and len(fields) == 2
    assert "1 of 2 fields are finished and kept" in capsys.readouterr().err
    assert len(list((tmp_path / "out" / "fields").iterdir())) == 1
    interrupt = False
    assert main(command("out")) == 0 and len(fields) == 3 and fields[1] == fields[2]
    screen = capsys.readouterr()
    assert "5 x 5 cm, SSD 90 cm: computed before the interruption" in screen.err
    assert "transport sigma" in screen.err and "latent sigma" in screen.err
    assert not (tmp_path / "out" / "fields").exists()
    assert "[energies.commissioned]" in screen.out and "for the machine file" in screen.out
    assert main(command("whole")) == 0 and len(fields) == 5
    one, other = (json.loads((tmp_path / out / "commissioning.json").read_text()) for out in ("out", "whole"))
    assert one["output_factors"] == other["output_factors"] and one["cost"] == other["cost"]
    for resumed, at_once in zip(one["fields"], other["fields"], strict=True):
        assert resumed["scans"] == at_once["scans"]


def test_finished_fields_are_of_one_question_only(linac, tmp_path):
    """Another seed, uncertainty or voxel is another field; a damaged file is none."""
    machine = read_machine(linac)
    fields, _ = sort_by_field(machine, read_folder(write_scans(tmp_path / "scans")))
    beam, kept = place_beam(machine, fields[0]), FinishedFields(tmp_path / "fields")
    options = RunOptions(stop=StopRule(uncertainty=0.5))
    others = [
        (replace(options, seed=2), 0.5),
        (RunOptions(stop=StopRule(uncertainty=0.4)), 0.5),
        (options, 0.4),
        (options, None),
    ]
    paths = {kept.path(machine, fields[0], beam, *each) for each in [(options, 0.5), *others]}
    assert len(paths) == 5
    assert kept.path(machine, fields[0], beam, replace(options, threads=1), 0.5) in paths
    path = paths.pop()
    path.parent.mkdir()
    assert kept.load(path, fields[0]) is None
    path.write_bytes(b"PK")
    assert kept.load(path, fields[0]) is None
    kept.remove()
    assert not (tmp_path / "fields").exists()

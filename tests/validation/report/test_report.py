"""The report: one sound, self-contained HTML file that says what the comparison found."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import subprocess
import sys
import warnings
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pypdfium2
import pytest
from matplotlib.image import imread

from mc.run.report import RunReport
from phantoms.errors import InputError
from phantoms.grid import Grid
from phantoms.subvoxels import SubVoxels
from phantoms.views import VIEWS, cut
from tests.validation.spine_phantom import BODY, CORD, GRID, NAME, PTV, case, compare_case, plan_of, roi
from validation.plan_check.verdict import Structure
from validation.report import html
from validation.report.content import (
    Alarm,
    Cell,
    Facts,
    Group,
    Heading,
    Pair,
    Points,
    Report,
    Section,
    Table,
    Text,
    table,
)
from validation.report.figures import Figures
from validation.report.html import write_html
from validation.report.lines import line_between
from validation.report.pdf import write_pdf
from validation.report.plan import plan_report
from validation.report.tables import gamma_table, metric_table
from validation.report.text import duration, signed, with_sigma
from validation.report.write import write_result
from validation.workflow.reports import write_files

ROOT = Path(__file__).parents[3]
VOID = {"meta", "link", "br", "img", "hr", "input"}


class Checker(HTMLParser):
    """Collects what is wrong with the nesting, all addresses, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture
def no_figures(monkeypatch):
    """Spares the drawing where a test reads text only."""
    monkeypatch.setattr("validation.report.figures.Figures.of", lambda comparison: Figures(None, (), (), ()))


def render(comparison) -> str:
    return html.render(plan_report(comparison))


def checked(html: str) -> Checker:
    checker = Checker()
    checker.feed(html)
    checker.close()
    assert checker.open == [] and checker.wrong == []
    return checker


@pytest.fixture(scope="module")
def comparison():
    return compare_case(case(1.05))


@pytest.fixture(scope="module")
def page(comparison):
    return render(comparison)


def test_html_is_balanced_and_needs_nothing_else(page):
    checker = checked(page)
    assert page.lstrip().startswith("<!DOCTYPE html>")
    assert "script" not in checker.tags and "http" not in page
    assert all(address.startswith(("data:", "#")) for address in checker.addresses)
    assert len(page) < 5_000_000


@pytest.fixture(scope="module")
def printed(comparison, tmp_path_factory):
    path = tmp_path_factory.mktemp("pdf") / "report.pdf"
    write_pdf(plan_report(comparison), path)
    return path


def words_of(document) -> str:
    pages = (document[number].get_textpage().get_text_bounded() for number in range(len(document)))
    return re.sub(r"\s+", " ", " ".join(pages))


def test_pdf_says_the_same_on_few_pages(printed, page):
    document = pypdfium2.PdfDocument(printed)
    assert 2 <= len(document) <= 6
    text, shown = words_of(document), checked(page).text
    for part in ("FAIL", "Clinical limits", "TESTLINAC", "Organs at risk", "titanium", "TG-218",
                 "noise ceiling", "beam 1 has no name", "Checked by", "ot a medical device"):  # fmt: skip
        assert part in text and part in shown, part
    assert f"page {len(document)} of {len(document)}" in text
    assert len(printed.read_bytes()) < 5_000_000
    assert document.get_metadata_dict(skip_empty=True)["Author"] == "mcverify"


def test_pdf_of_a_long_table_is_shortened_and_says_so(tmp_path):
    def found(shorten: bool) -> pypdfium2.PdfDocument:
        long = table(("Organ", "Dose"), ((f"Organ {k}", "1.00") for k in range(600)), shorten=shorten)
        about = {"title": "t", "subject": "s", "status": "pass", "word": "PASS", "headline": "h", "note": "n"}
        write_pdf(Report(**about, opening=(), sections=(Section("All", (long,)),)), tmp_path / "report.pdf")
        return pypdfium2.PdfDocument(tmp_path / "report.pdf")

    whole, short = found(False), found(True)
    assert len(whole) > 5 >= len(short)
    assert "Organ 599" in words_of(whole) and "Organ 5" in words_of(short)
    assert "584 more, less important or less irradiated" in words_of(short)


def test_no_name_and_no_number_of_the_patient(page, printed):
    document = pypdfium2.PdfDocument(printed)
    page = re.sub(r"base64,[^\"]+", "", page)  # three letters are in every picture
    for text in (page, words_of(document), str(document.get_metadata_dict())):
        assert NAME not in text and "Doe" not in text and "MRN-0815" not in text


def test_figures_are_pictures_and_show_something(page):
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert len(pictures) == 17
    drawn = [imread(io.BytesIO(base64.b64decode(picture))) for picture in pictures]
    assert all(pixels[..., :3].std() > 0.05 for pixels in drawn)
    # panels that are compared have one width, and none is too large for a phone
    assert len({pixels.shape[1] for pixels in drawn[6:15]}) == 1
    assert max(pixels.shape[1] for pixels in drawn) < 800


def test_the_verdict_and_every_section_are_there(page):
    text = checked(page).text
    places = [text.index(part) for part in ("FAIL", "DISAGREES", "Signature", "Found Warns Fails",
              "Dose limit", "Organs at risk", "Gamma Passing rate", "Dose in planes", "Point doses",
              "Monte Carlo quality", "CT and couch")]  # fmt: skip
    assert places == sorted(places)
    for part in ("Not a medical device", "TESTLINAC", "6 MV FFF", "16.00 Gy", "Test TPS 1.0", "c0ffee",
                 "titanium", "TG-218", "noise ceiling", "beam 1 has no name", "0.189"):  # fmt: skip
        assert part in text, part


def test_failures_come_before_warnings_before_passes(page):
    tests = page[page.index("Fails</th>") : page.index("Dose limit</th>")]
    words = re.findall(r'<td data-label="Status" class="status (\w+)">', tests)
    order = ["fail", "noisy", "warn", "pass", "shown"]
    assert words == sorted(words, key=order.index) and set(words) >= {"fail", "shown"}


def test_a_flip_is_on_the_first_page_and_comes_first(no_figures):
    # 12.3 Gy to 1.2 cc of cord in three fractions: kept by the plan, broken by a Monte Carlo 8 % hotter
    given = case(noise=0.001)
    cold = given["planned_dose"].dose.copy()
    cord = (slice(None), slice(16, 20), slice(9, 15))
    cold[cord] = 11.9
    mc = replace(given["dose"], mean=np.where(cold == 11.9, 12.9, cold))
    found = compare_case(given | {"planned_dose": replace(given["planned_dose"], dose=cold), "dose": mc})
    page = render(found)
    first = page[page.index("Dose limit</th>") :].split("<tr>")[1]
    assert 'class="status fail">FLIP' in first and "SpinalCord" in first and "D1.2cc" in first
    assert "&lt;= 12.3 Gy" in first and "12.90" in first and "-0.60" in first
    assert "BROKEN BY MONTE CARLO" in page and "kept by the plan, broken by Monte Carlo" in page
    assert page.index("BROKEN BY MONTE CARLO") < page.index("Signature</div>")


def provisional(given: dict, stopped_by: str):
    return compare_case(given | {"report": replace(given["report"], stopped_by=stopped_by)})


def test_provisional_is_said_beside_the_verdict_in_the_title_and_at_every_foot(tmp_path, no_figures):
    report = plan_report(provisional(case(), "interrupted"))
    page = html.render(report)
    assert re.search(r"<title>PROVISIONAL \w+", page)
    banner, foot = page[page.index('<div class="banner') :][:300], page[page.rindex("<footer>") :]
    assert "PROVISIONAL: interrupted" in banner and "PROVISIONAL: interrupted" in foot
    write_pdf(report, tmp_path / "report.pdf")
    document = pypdfium2.PdfDocument(tmp_path / "report.pdf")
    assert document.get_metadata_dict()["Title"].startswith("PROVISIONAL")
    for number in range(len(document)):
        assert "PROVISIONAL: interrupted" in document[number].get_textpage().get_text_bounded()
    assert "PROVISIONAL" not in html.render(plan_report(compare_case(case())))


def test_the_file_of_a_provisional_report_says_so_and_replaces_the_other(tmp_path, no_figures):
    for stopped_by, name in (("time", "report-PROVISIONAL.pdf"), ("uncertainty", "report.pdf")):
        write_files(provisional(case(), stopped_by), tmp_path)
        assert sorted(os.listdir(tmp_path)) == sorted(["report.html", name, "result.json"])


def test_the_first_page_of_the_pdf_answers_and_is_signed(printed):
    document = pypdfium2.PdfDocument(printed)
    first = re.sub(r"\s+", " ", document[0].get_textpage().get_text_bounded())
    for part in ("DISAGREES", "Are the clinical limits kept?", "Can I rely on the statistics?",
                 "beam model", "PTV_L1 D95%", "SpinalCord D0.03cc", "Planned dose is",
                 "not stated", "Signature"):  # fmt: skip
        assert part in first, part
    assert "Found" not in first  # the tables are behind


def test_every_cell_has_the_name_of_its_column_for_a_phone(page):
    assert 'name="viewport"' in page and "@media screen and (max-width" in page
    cells = re.findall(r"<td([^>]*)>", page[page.index('<table class="grid') :])
    labelled = [cell for cell in cells if "data-label=" in cell]
    assert len(labelled) > 100


def test_what_is_in_order_takes_one_line(no_figures):
    text = checked(render(compare_case(case(noise=0.001)))).text
    assert "In order: " in text and "lost particles 0" in text and "No sign of an error in: " in text
    table = text[text.index("Found Warns Fails") : text.index("In order: ")]
    assert "lost particles" not in table and "diagnosis: output" not in table


def test_the_worst_structure_is_first_and_never_shortened_away(no_figures):
    given = case(noise=0.001)
    rois = (
        BODY,
        PTV,
        CORD,
        *(replace(PTV, number=10 + k, name=f"Other{k}", type="ORGAN") for k in range(20)),
    )
    aside = roi(40, "Aside", "ORGAN", (-2.0, -1.4), (-1.0, 1.0))
    mean = given["dose"].mean.copy()
    mean[:, 6:18, 1:5] *= 0.5
    structures = replace(given["structures"], rois=(*rois, aside))
    found = compare_case(given | {"dose": replace(given["dose"], mean=mean), "structures": structures})
    lines = gamma_table(found).groups
    assert lines[1].lines[0][0].text == "Aside"
    assert metric_table(found, targets=False).groups[0].head.text == "Aside"


def test_markup_in_names_is_text():
    names = ["<b>Cord & co</b>", "$\\frac{1}$ $", "_PRV", "Myelon \u810a\u9ad3"]
    more = [replace(CORD, number=10 + k, name=name) for k, name in enumerate(names)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        page = render(compare_case(case(rois=(BODY, PTV, *more))))
    assert "<b>Cord" not in page
    text = checked(page).text
    assert all(name in text for name in names)


@pytest.mark.parametrize(
    "changes",
    [
        {"plan": plan_of(prescriptions=())},
        {"plan": plan_of(isocentres=((50.0, 0.0, 0.0),))},
        {"plan": plan_of(isocentres=((0.0, 0.0, 0.0), (0.2, 0.0, 0.0)))},
        {"rois": (BODY,)},
        {"rois": (BODY, PTV)},
        {"grid": Grid((22, 32, 32), (0.15, 0.15, 0.15), (-1.575, -2.325, -2.325))},
        {"report": RunReport(), "calibration": {}, "warnings": []},
    ],
    ids=[
        "no prescription",
        "isocentre off",
        "two isocentres",
        "no structures",
        "no organ",
        "other voxels",
        "bare",
    ],
)
def test_unusual_cases_still_make_a_report(changes):
    checked(render(compare_case(case(**changes))))


def test_files_are_written_whole(comparison, tmp_path, no_figures):
    report = plan_report(comparison)
    write_html(report, tmp_path / "report.html")
    write_pdf(report, tmp_path / "report.pdf")
    write_result(comparison, tmp_path / "result.json")
    assert sorted(os.listdir(tmp_path)) == ["report.html", "report.pdf", "result.json"]
    assert json.loads((tmp_path / "result.json").read_text())["verdict"]["passed"] is False


@pytest.mark.parametrize("write", [write_html, write_pdf, write_result])
def test_a_place_that_cannot_be_written_is_an_input_error(comparison, write, tmp_path, no_figures):
    found = comparison if write is write_result else plan_report(comparison)
    with pytest.raises(InputError, match=r"nowhere.*cannot be written.*nothing was written"):
        write(found, tmp_path / "nowhere" / "file")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        write(found, tmp_path / "folder")
    assert os.listdir(tmp_path) == ["folder"]


def test_matplotlib_and_jinja_wait_until_a_report_is_made():
    code = "import sys, validation.cli.plan; print({'matplotlib', 'jinja2', 'reportlab'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_cut_is_linear_between_planes_and_nan_outside():
    z = GRID.centres(0)
    values = np.broadcast_to(z[:, None, None], GRID.shape)
    assert cut(values, GRID, 0, 0.13).mean() == pytest.approx(0.13)
    assert cut(values, GRID, 0, z[0] - 0.05).mean() == pytest.approx(z[0])
    assert np.isnan(cut(values, GRID, 0, z[0] - 0.2)).all()
    for view in VIEWS:
        assert cut(values, GRID, view.axis, 0.0).shape == (GRID.shape[min(view.across, view.up)],
                                                           GRID.shape[max(view.across, view.up)])  # fmt: skip


def test_line_runs_from_target_through_organ():
    target, organ = np.zeros(GRID.shape), np.zeros(GRID.shape)
    target[6:10, 8:12, 8:12] = 1
    organ[:, 18:21, 9:11] = 1
    dose = np.ones(GRID.shape)
    dose[7, 19, 10] = 5.0
    target, organ = (SubVoxels.of_fraction(fraction, GRID) for fraction in (target, organ))
    line = line_between(Structure("T", "PTV", target), Structure("O", "ORGAN", organ), dose, GRID)
    middle = line.points[np.abs(line.distance_mm).argmin()]
    wanted = (GRID.centres(0)[7], GRID.centres(1)[8:12].mean(), GRID.centres(2)[8:12].mean())
    assert middle == pytest.approx(wanted, abs=0.05)
    assert np.nanmax(line.sample(dose, GRID)) > 4.5
    x = line.distance_mm
    assert x[line.inside_target].min() < 0 < x[line.inside_target].max() < x[line.inside_organ].min()


def test_numbers_read_well():
    assert [signed(v, 2) for v in (0.004, -0.004, 1.239)] == ["0.00", "0.00", "+1.24"]
    assert with_sigma(17.694, 0.0033) == "17.69 ± <0.01" and with_sigma(-0.001, None) == "0.00"
    assert [duration(s) for s in (4.26, 61.0, 7260.0)] == ["4.3 s", "1 min 1 s", "2 h 1 min"]


@pytest.mark.parametrize(
    "label",
    ["X" * 5000, "word " * 1000, "\x00\x1b[2J\u202e<b>&", "\N{PILE OF POO}" * 300],
    ids=["letters", "words", "signs", "emoji"],
)
def test_what_nobody_calls_a_plan_is_printed(tmp_path, label):
    """Longer than a page in every place of a report, or of signs that steer: a PDF comes of it."""
    cells = (Cell(label), Cell(label, label))
    lines = Table(("a", "b", label[:200]), (Group((cells, cells), Cell(label)),))
    blocks = (
        Facts((Pair(label, label),)),
        Text(label),
        Heading(label),
        Points((label,)),
        Alarm(label, (label,)),
        lines,
    )
    for signed_first in (False, True):
        report = Report(
            label, label, "pass", "PASS", label, label, blocks, (Section(label, blocks),), "", signed_first
        )
        write_pdf(report, tmp_path / "a.pdf")
        write_html(report, tmp_path / "a.html")
        printed = pypdfium2.PdfDocument(tmp_path / "a.pdf")
        text = printed[0].get_textpage().get_text_bounded()
        assert len(printed) <= 12 and "PASS" in text and not set("\x00\x1b\u202e") & set(text)
